"""Contributions to the estimates of a cohort, aggregated so that no patient is disclosed.

Every dot and every point of a curve is a mean or a quantile over at least `SMALLEST_CELL` patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from data_schema.cohort import Cohort
from data_schema.disclosure import SMALLEST_CELL
from models.inference.contract import Feature
from models.inference.risk_model import RiskModel
from training.explanation.importance import Importance, explained, importance_of, recorded_values

__all__ = ["MOST_EXPLAINED", "Dots", "ExplainedCohort", "Response", "explain_cohort"]

MOST_EXPLAINED = 2_000
"""Size of the random sample of patients explained; more would not visibly change a figure."""

_MOST_DOTS = 200
_MOST_BINS = 25
_FEW_VALUES = 12


@dataclass(frozen=True, slots=True)
class Dots:
    """The contributions of one variable, in groups of patients with similar contributions.

    Parameters
    ----------
    label, pathway : str
    points : ndarray of float, shape (n_dots,)
        Mean contribution of each group, in points of risk.
    value : ndarray of float, shape (n_dots,)
        Mean rank of their values, 0 the lowest and 1 the highest; NaN where not measured, and for
        categories, which have no order.
    measured : ndarray of bool, shape (n_dots,)
    patients_per_dot : int
    """

    label: str
    pathway: str
    points: NDArray[np.float64]
    value: NDArray[np.float64]
    measured: NDArray[np.bool_]
    patients_per_dot: int


@dataclass(frozen=True, slots=True)
class Response:
    """The contribution of one variable by its value.

    Parameters
    ----------
    label, unit : str
    values : ndarray of float, shape (n_bins,)
        Median value of each bin; for categories, 0, 1, ...
    levels : tuple of str
        The categories; empty for a number.
    low, middle, high : ndarray of float, shape (n_bins,)
        Quartiles of the contributions of the patients in the bin, in points of risk.
    not_measured : float or None
        Median contribution in patients without a measurement.
    """

    label: str
    unit: str
    values: NDArray[np.float64]
    levels: tuple[str, ...]
    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    not_measured: float | None


@dataclass(frozen=True, slots=True)
class ExplainedCohort:
    """Contributions to the estimates of at most `MOST_EXPLAINED` patients.

    `dots` and `responses` are those at `horizon_days`, the largest contributions first.
    """

    horizon_days: float
    importance: tuple[Importance, ...]
    dots: tuple[Dots, ...]
    responses: tuple[Response, ...]


def explain_cohort(
    risk_model: RiskModel,
    cohort: Cohort,
    horizons_days: Sequence[float],
    *,
    horizon_days: float,
    random_state: int,
    n_dotted: int = 15,
    n_responses: int = 6,
) -> ExplainedCohort:
    """Explain one stay of each of at most `MOST_EXPLAINED` patients by the registered model.

    `horizon_days`, one of `horizons_days`, is that of the `n_dotted` dots and `n_responses`
    responses; `random_state` is the seed of the sample.
    """
    frame = cohort.features.iloc[_one_stay_each(cohort.patient_id, random_state)]
    prediction = explained(risk_model, frame, list(horizons_days))
    available = np.array([status == "ok" for status in prediction.status])
    at = [float(days) for days in prediction.horizons_days].index(float(horizon_days))
    importance = importance_of(risk_model, prediction)
    assert prediction.points is not None  # the prediction is explained
    numbers, texts = recorded_values(risk_model, frame[available])
    contributions = _Contributions(
        points=prediction.points[available, at],
        measured=prediction.measured[available],
        numbers=numbers,
        texts=texts,
        place={name: place for place, name in enumerate(prediction.variables)},
        features={f.name: f for f in risk_model.contract.features},
    )
    ranked = importance[at].variables
    responses = contributions.responses([v.variable for v in ranked])
    return ExplainedCohort(
        horizon_days=float(horizon_days),
        importance=importance,
        dots=tuple(contributions.dots(v.variable, v.label, v.pathway) for v in ranked[:n_dotted]),
        responses=tuple(islice(responses, n_responses)),
    )


def _one_stay_each(patient_id: NDArray[np.object_], random_state: int) -> NDArray[np.int64]:
    """Return the rows of a random sample of patients, one random stay of each."""
    order = np.random.default_rng(random_state).permutation(len(patient_id))
    _, first = np.unique(patient_id[order].astype(str), return_index=True)
    return np.sort(order[np.sort(first)[:MOST_EXPLAINED]])


@dataclass(frozen=True, slots=True)
class _Contributions:
    """Contributions at one horizon and recorded values, shape (n_patients, n_variables)."""

    points: NDArray[np.float64]
    measured: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    texts: NDArray[np.object_]
    place: dict[str, int]
    features: dict[str, Feature]

    def dots(self, variable: str, label: str, pathway: str) -> Dots:
        """Return the groups of one variable, those with a measurement first."""
        place = self.place[variable]
        points, measured = self.points[:, place], self.measured[:, place]
        value = self.numbers[:, place]
        if self._kind(variable) == "category":
            value = np.full(len(value), np.nan)
        per_dot = max(SMALLEST_CELL, -(-len(points) // _MOST_DOTS))
        means = np.empty((0, 3))
        for known in (True, False):
            rows = np.flatnonzero(measured == known)
            rank = _relative_rank(value[rows])
            order = np.argsort(points[rows], kind="stable")
            groups = np.array_split(order, len(rows) // per_dot) if len(rows) >= per_dot else []
            dots = [(points[rows][group].mean(), rank[group].mean(), known) for group in groups]
            means = np.vstack([means, np.array(dots).reshape(-1, 3)])
        return Dots(label, pathway, means[:, 0], means[:, 1], means[:, 2] == 1, per_dot)

    def responses(self, variables: list[str]) -> Iterator[Response]:
        """Yield the response of each variable of which the model reads the value itself."""
        for variable in variables:
            place, kind = self.place[variable], self._kind(variable)
            numbers, texts = self.numbers[:, place], self.texts[:, place]
            points = self.points[:, place]
            known = np.isfinite(numbers)
            bins = _bins(numbers[known], own=kind != "number")
            if len(bins) < 2:
                continue
            quartiles = [np.quantile(points[known][rows], [0.25, 0.5, 0.75]) for rows in bins]
            low, middle, high = np.transpose(quartiles)
            unknown = points[~known]
            feature = self.features[variable]
            yield Response(
                label=feature.label,
                unit=feature.unit,
                values=np.array([np.median(numbers[known][rows]) for rows in bins]),
                levels=_levels(kind, [texts[known][rows][0] for rows in bins]),
                low=low,
                middle=middle,
                high=high,
                not_measured=float(np.median(unknown)) if len(unknown) >= SMALLEST_CELL else None,
            )

    def _kind(self, variable: str) -> str:
        return self.features[variable].kind if variable in self.features else "number"


def _relative_rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1, with ties at their mean rank; NaN stays."""
    if not np.isfinite(values).any():
        return np.full(len(values), np.nan)
    ranks: NDArray[np.float64] = rankdata(values, nan_policy="omit")
    lowest, highest = np.nanmin(ranks), np.nanmax(ranks)
    return (ranks - lowest) / max(highest - lowest, 1.0)


def _bins(values: NDArray[np.float64], *, own: bool) -> list[NDArray[np.int64]]:
    """Return the rows of each bin with enough patients; one bin per value if `own` or few."""
    distinct = np.unique(values)
    if own or len(distinct) <= _FEW_VALUES:
        bins = [np.flatnonzero(values == value) for value in distinct]
    else:
        number = int(np.clip(len(values) // (3 * SMALLEST_CELL), 2, _MOST_BINS))
        edges = np.unique(np.quantile(values, np.linspace(0, 1, number + 1)))[1:-1]
        bin_of = np.searchsorted(edges, values, side="right")
        bins = [np.flatnonzero(bin_of == place) for place in range(len(edges) + 1)]
    return [rows for rows in bins if len(rows) >= SMALLEST_CELL]


def _levels(kind: str, values: list[object]) -> tuple[str, ...]:
    if kind == "number":
        return ()
    if kind == "category":
        return tuple(map(str, values))
    return tuple("yes" if value == 1 else "no" for value in values)
