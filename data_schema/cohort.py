"""A checked cohort: features in canonical units, one outcome, identifiers and its origin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import UsageError
from data_schema.variables import Variable

__all__ = ["Cohort", "OutcomeData", "TreatmentLimits", "outcome_of"]


@dataclass(frozen=True, slots=True)
class OutcomeData:
    """What happened, and when, counted in days from time zero.

    Parameters
    ----------
    name : str
        `mortality`, `fracture`, or the name a data set gives an outcome of its own.
    time_days : ndarray of float64, shape (n_stays,)
        Time to the first event or to censoring, > 0.
    event : ndarray of int64, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event (death before fracture).
    horizon_days : float or None
        Set when the outcome is known at one horizon only (`time_days` equals it everywhere).
    from_entry : bool
        Whether time zero is each patient's entry into observation, later than the clock of the
        table: the risk is among those then alive and under observation.
    """

    name: str
    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    horizon_days: float | None = None
    from_entry: bool = False


@dataclass(frozen=True, slots=True)
class TreatmentLimits:
    """Orders to limit treatment: not to resuscitate, to withhold or withdraw, comfort care.

    Such an order foretells the death that it permits, and most come after time zero. So it is never
    a predictor; it says which deaths followed a limitation.

    Parameters
    ----------
    limited : ndarray of float64, shape (n_stays,)
        1 where an order is recorded by the end of the record, 0 where none is, NaN where unknown.
    days : ndarray of float64, shape (n_stays,), or None
        Days from time zero to the first order, negative before it; NaN where there is none or its
        day is unknown.
    recorded : str
        The part of the stay that the record covers, where it is not all of it.
    """

    limited: NDArray[np.float64]
    days: NDArray[np.float64] | None = None
    recorded: str = ""


@dataclass(frozen=True, slots=True)
class Cohort:
    """One row per ICU stay, checked on entry and trusted from then on.

    Parameters
    ----------
    features : DataFrame, shape (n_stays, n_features)
        RangeIndex. Numbers and flags are float64 with NaN where there is no value; categories are
        object columns of str or None; `<variable>__below` columns are float64 0/1. Only a model
        that learns from the flags of `not_done` has these here, too.
    variables : mapping of str to Variable
        The record of every base variable in `features`, from the catalogue or declared by the site.
    patient_id, stay_id : ndarray of object, shape (n_stays,)
    outcome : OutcomeData or None
        None when the cohort is only to be scored.
    not_done : DataFrame, shape (n_stays, n_flags), or None
        `<variable>__not_done`, float64 0/1: where 1, the variable is recorded as not done. Where a
        variable has neither a value nor this flag, it is not entered. None without such flags.
    site, time_zero : ndarray of object or None, shape (n_stays,)
    name : str
        Data set name, part of the registered model's name (`support2`); "" for a user's own cohort.
    population : str
        Who these patients are, in one sentence; printed beside every risk.
    simulated : bool
    scenario : str
        Name of the simulated population, as the table states it; "" for real patients.
    dropped : mapping of str to str
        Columns left out on purpose -> reason.
    treatment_limits : TreatmentLimits or None
        None where the cohort does not record them.
    social : DataFrame, shape (n_stays, n_columns), or None
        Race, income or education as recorded, where no model may read them: performance is judged
        by each. None without such columns.
    """

    features: pd.DataFrame
    variables: Mapping[str, Variable]
    patient_id: NDArray[np.object_]
    stay_id: NDArray[np.object_]
    outcome: OutcomeData | None = None
    not_done: pd.DataFrame | None = None
    site: NDArray[np.object_] | None = None
    time_zero: NDArray[np.object_] | None = None
    name: str = ""
    population: str = ""
    simulated: bool = False
    scenario: str = ""
    dropped: Mapping[str, str] = field(default_factory=dict)
    treatment_limits: TreatmentLimits | None = None
    social: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: NDArray[Any]) -> Cohort:
        """Return the cohort of the given rows (integer positions or a boolean mask)."""
        index = np.arange(len(self))[rows]
        outcome = self.outcome
        if outcome is not None:
            outcome = replace(
                outcome, time_days=outcome.time_days[index], event=outcome.event[index]
            )
        limits = self.treatment_limits
        if limits is not None:
            days = None if limits.days is None else limits.days[index]
            limits = TreatmentLimits(limits.limited[index], days, limits.recorded)
        return Cohort(
            features=self.features.iloc[index].reset_index(drop=True),
            variables=self.variables,
            patient_id=self.patient_id[index],
            stay_id=self.stay_id[index],
            outcome=outcome,
            not_done=(
                None if self.not_done is None else self.not_done.iloc[index].reset_index(drop=True)
            ),
            site=None if self.site is None else self.site[index],
            time_zero=None if self.time_zero is None else self.time_zero[index],
            name=self.name,
            population=self.population,
            simulated=self.simulated,
            scenario=self.scenario,
            dropped=self.dropped,
            treatment_limits=limits,
            social=None if self.social is None else self.social.iloc[index].reset_index(drop=True),
        )

    def fingerprint(self) -> str:
        """Return a SHA-256 of features, flags, identifiers and outcome; it reveals no value."""
        digest = hashlib.sha256()
        digest.update("|".join(self.features.columns).encode())
        digest.update(pd.util.hash_pandas_object(self.features, index=False).to_numpy().tobytes())
        digest.update(pd.util.hash_array(self.patient_id.astype(str).astype(object)).tobytes())
        if self.not_done is not None:
            digest.update("|".join(self.not_done.columns).encode())
            digest.update(
                pd.util.hash_pandas_object(self.not_done, index=False).to_numpy().tobytes()
            )
        if self.outcome is not None:
            digest.update(self.outcome.name.encode())
            digest.update(np.ascontiguousarray(self.outcome.time_days).tobytes())
            digest.update(np.ascontiguousarray(self.outcome.event).tobytes())
        return digest.hexdigest()


def outcome_of(cohort: Cohort) -> OutcomeData:
    """Return the cohort's outcome; a cohort that is only to be scored has none."""
    if cohort.outcome is None:
        raise UsageError("a cohort must have an outcome to learn from; this one has none.")
    return cohort.outcome
