"""One part of the patients judged, and what a first reading of all parts shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.censoring import is_known
from models.metrics.in_parts.time_counts import TimeCounts

__all__ = [
    "ALL",
    "ANSWERED",
    "CONCORDANCE_PATIENTS",
    "JudgedPart",
    "Levels",
    "Patients",
    "Scope",
    "Survey",
]

CONCORDANCE_PATIENTS = 20_000
"""Patients among whom Harrell's and Uno's C are computed: every pair is compared."""

_ENOUGH = 64
"""Patients that are told apart; of more it is only known that they are at least as many."""

Keys = NDArray[np.uint64]


class Scope(NamedTuple):
    """All stays, those not refused, or those of one level of a grouping."""

    grouping: str
    level: str


ALL = Scope("", "all")
ANSWERED = Scope("", "answered")


@dataclass(frozen=True, slots=True)
class Levels:
    """The level of each stay in one grouping: its number among the names, -1 where it has none."""

    names: tuple[str, ...]
    codes: NDArray[np.int16]

    @classmethod
    def of(cls, levels: NDArray[np.object_]) -> Levels:
        """Return the levels of the stays, None where one has none.

        >>> Levels.of(np.array(["b", None, "b"], dtype=object))
        Levels(names=('b',), codes=array([ 0, -1,  0], dtype=int16))
        """
        codes, names = pd.factorize(levels)
        return cls(tuple(map(str, names)), codes.astype(np.int16))


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """Outcomes and risks of some of the stays, each by one model that has not learned from it.

    Parameters
    ----------
    patient : ndarray of uint64, shape (n_stays,)
        Hash of the patient, the same for each stay of one.
    time_days, event : ndarray, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : ndarray of float, shape (n_stays, n_horizons)
    score : ndarray of float, shape (n_stays,)
        Higher for an earlier event.
    curve_risk : ndarray of float, shape (n_stays, n_days)
        The predicted curve; the risks at the horizons where there is none.
    competing_curve : ndarray of float, shape (n_stays, n_days), or None
    blanked : mapping of float to ndarray of float, shape (n_stays, n_horizons)
        Risks with a share of the fields left empty, by share.
    answered : ndarray of bool, shape (n_stays,)
        Which stays were not refused.
    levels : mapping of str to Levels
        By grouping.
    """

    patient: Keys
    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    risk: NDArray[np.float64]
    score: NDArray[np.float64]
    curve_risk: NDArray[np.float64]
    competing_curve: NDArray[np.float64] | None
    blanked: Mapping[float, NDArray[np.float64]]
    answered: NDArray[np.bool_]
    levels: Mapping[str, Levels]

    def rows(self, scope: Scope) -> NDArray[np.int64]:
        """Return the stays of a scope, by number."""
        if scope == ALL:
            return np.arange(len(self.event))
        if scope == ANSWERED:
            return np.flatnonzero(self.answered)
        levels = self.levels.get(scope.grouping)
        if levels is None or scope.level not in levels.names:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(levels.codes == levels.names.index(scope.level))

    @property
    def scopes(self) -> list[Scope]:
        """All, those answered, and every level that occurs."""
        levels = [
            Scope(grouping, level)
            for grouping, of_stay in self.levels.items()
            for level in of_stay.names
        ]
        return [ALL, ANSWERED, *levels]


@dataclass(frozen=True, slots=True)
class Patients:
    """The stays of one scope: when they ended, and by whom enough patients are represented.

    Parameters
    ----------
    times : TimeCounts
    keys : tuple of ndarray of uint64
        The smallest hashes, at most `_ENOUGH`, of all patients, and of those with a stay with the
        event, and without it.
    with_event, without_event : tuple of ndarray of uint64
        The same by each horizon, where it is known.
    """

    times: TimeCounts
    keys: tuple[Keys, ...]
    with_event: tuple[Keys, ...]
    without_event: tuple[Keys, ...]

    @classmethod
    def of(
        cls,
        patient: Keys,
        time: NDArray[np.float64],
        event: NDArray[np.int64],
        horizons_days: Sequence[float],
    ) -> Patients:
        """Return the stays of one part."""
        happened = [(event == 1) & (time <= days) for days in horizons_days]
        known = [is_known(time, event, days) for days in horizons_days]
        return cls(
            TimeCounts.of(time, event),
            tuple(_smallest(patient[rows]) for rows in (event >= 0, event == 1, event != 1)),
            tuple(_smallest(patient[yes]) for yes in happened),
            tuple(_smallest(patient[k & ~yes]) for k, yes in zip(known, happened, strict=True)),
        )

    def joined(self, other: Patients) -> Patients:
        """Return the stays of both."""
        return Patients(
            self.times.joined(other.times),
            tuple(map(_union, self.keys, other.keys)),
            tuple(map(_union, self.with_event, other.with_event)),
            tuple(map(_union, self.without_event, other.without_event)),
        )

    @property
    def events(self) -> int:
        """Stays with the event."""
        return int(self.times.counts[:, 1].sum())

    @property
    def patients(self) -> tuple[int, int, int]:
        """Patients, those with the event and those without; where they are many, their stays."""
        stays = self.times.stays, self.events, self.times.stays - self.events
        few = [len(keys) for keys in self.keys]
        all_, yes, no = (n if n < _ENOUGH else of for n, of in zip(few, stays, strict=True))
        return all_, yes, no


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first reading of the parts shows.

    Parameters
    ----------
    scopes : mapping of Scope to Patients
    smallest_keys : ndarray of uint64
        Of one patient more than concordance is computed among.
    """

    scopes: Mapping[Scope, Patients]
    smallest_keys: Keys

    @classmethod
    def of(cls, part: JudgedPart, horizons_days: Sequence[float]) -> Survey:
        """Return what one part shows."""
        scopes = {}
        for scope in part.scopes:
            rows = part.rows(scope)
            if len(rows):
                scopes[scope] = Patients.of(
                    part.patient[rows], part.time_days[rows], part.event[rows], horizons_days
                )
        return cls(scopes, _smallest(part.patient, CONCORDANCE_PATIENTS + 1))

    @classmethod
    def joined(cls, parts: Iterable[Survey]) -> Survey:
        """Return what all parts show; their order does not matter."""
        scopes: dict[Scope, Patients] = {}
        keys = np.empty(0, dtype=np.uint64)
        for part in parts:
            for scope, patients in part.scopes.items():
                known = scopes.get(scope)
                scopes[scope] = patients if known is None else known.joined(patients)
            keys = _union(keys, part.smallest_keys, CONCORDANCE_PATIENTS + 1)
        return cls(scopes, keys)

    @property
    def last_key(self) -> int:
        """The largest hash of a patient among whom concordance is computed."""
        return int(self.smallest_keys[:CONCORDANCE_PATIENTS][-1])

    @property
    def concordance_patients(self) -> int:
        """Number of these patients."""
        return min(len(self.smallest_keys), CONCORDANCE_PATIENTS)


def _smallest(keys: Keys, most: int = _ENOUGH) -> Keys:
    return np.unique(keys)[:most]


def _union(first: Keys, second: Keys, most: int = _ENOUGH) -> Keys:
    return np.union1d(first, second)[:most]
