"""Judge a challenger that was scored in the shadow against the champion, on the same patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import UsageError
from models.censoring import CensoringDistribution
from models.metrics.discrimination.ranking import auroc
from models.metrics.intervals import bootstrap_interval
from models.metrics.known_outcome import KnownOutcome, known_outcome

__all__ = [
    "BOUNDARIES",
    "CHANGED_OUTCOMES",
    "Comparison",
    "Difference",
    "Disagreement",
    "Look",
    "ShadowedPatients",
    "compare",
]

_Floats = NDArray[np.float64]

BOUNDARIES = {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040}
"""Looks -> constant of O'Brien and Fleming's boundary for 5 % on two sides, 2.5 % on one: look k of
K is judged against the constant times sqrt(K / k). Jennison & Turnbull, Group Sequential Methods
(2000), table 2.3."""

CHANGED_OUTCOMES = (
    "The champion was shown and may have changed what was done, and so what happened; the "
    "challenger was not. A champion that helps to prevent deaths looks miscalibrated for it."
)
"""Printed with every comparison."""

_RESAMPLES = 400
APART = 0.5
"""Log-odds by which two risks disagree."""
_RISK_FLOOR = 1e-6

Verdict = Literal["better", "worse", "no difference", "not yet"]


@dataclass(frozen=True, slots=True, eq=False)
class ShadowedPatients:
    """Patients with a risk by both models, in the order in which they were predicted.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_patients,)
        As reported; the time is NaN where nothing is.
    champion, challenger : ndarray of float, shape (n_patients, n_horizons)
        Risks; NaN where a model refused the patient.
    horizons_days : tuple of float
    """

    time_days: _Floats
    event: NDArray[np.int64]
    champion: _Floats
    challenger: _Floats
    horizons_days: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger less champion on the same patients, with a paired 95 % interval.

    Above 0 the challenger is better for `auroc`, below 0 for `brier`.
    """

    metric: str
    horizon_days: float
    champion: float
    challenger: float
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Look:
    """One planned look: the patients with a known outcome, the statistic and its boundary.

    `statistic` is the fall of the Brier score in standard errors; above 0 the challenger is better.
    """

    patients: int
    statistic: float
    boundary: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Patients to whom the models give risks at least `APART` log-odds from each other.

    The rates are None where a count is under 10.
    """

    higher: Literal["champion", "challenger"]
    patients: int | None
    observed: float | None
    champion: float | None
    challenger: float | None
    nearer: Literal["champion", "challenger"] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the shadow has shown so far.

    Parameters
    ----------
    patients, known : int
        With a risk by both models; of these, with an outcome known at the primary horizon.
    refused_by : mapping
        Patients whom only one model refused.
    looks : tuple of Look
        Those that have been reached, at which alone the models are judged.
    """

    primary_horizon_days: float
    patients: int
    known: int
    refused_by_champion_only: int
    refused_by_challenger_only: int
    planned: int
    planned_looks: int
    verdict: Verdict
    looks: tuple[Look, ...]
    differences: tuple[Difference, ...]
    disagreements: tuple[Disagreement, ...]

    def as_json(self) -> dict[str, object]:
        """Return what `osteon compare --json` prints of it."""
        return asdict(self) | {"statement": CHANGED_OUTCOMES}


def compare(
    shadowed: ShadowedPatients, *, planned: int, looks: int, random_state: int = 0
) -> Comparison:
    r"""Return paired differences, and a verdict at looks that were stated beforehand.

    Parameters
    ----------
    shadowed : ShadowedPatients
    planned : int
        Patients with a known outcome at which the comparison ends.
    looks : int
        Looks until then, evenly spaced, 1 to 5. However often the command runs, the models are
        judged at these alone, each on the patients who were predicted first: the chance that an
        equal challenger is ever called better is 2.5 %.
    random_state : int
        Of the resamples of the intervals.

    Raises
    ------
    UsageError
        If looks or planned patients are out of range.

    Notes
    -----
    The primary horizon is the middle one. The statistic is the mean over patients of
    :math:`(y - p_{champion})^2 - (y - p_{challenger})^2`, weighted for censoring, over its standard
    error.
    """
    if looks not in BOUNDARIES:
        raise UsageError(f"--looks must be 1 to {max(BOUNDARIES)}; got {looks}.")
    if planned < looks * SMALLEST_CELL:
        raise UsageError(f"--planned must be at least {looks * SMALLEST_CELL}; got {planned}.")
    whole = np.isfinite(np.hstack((shadowed.champion, shadowed.challenger)))
    both: NDArray[np.bool_] = np.asarray(whole.all(axis=1))
    at = len(shadowed.horizons_days) // 2
    horizon = shadowed.horizons_days[at]
    reached = tuple(_looks(shadowed, both, at, planned=planned, looks=looks))
    only = [
        np.isfinite(risk).all(1) & ~np.isfinite(other).all(1)
        for risk, other in (
            (shadowed.challenger, shadowed.champion),
            (shadowed.champion, shadowed.challenger),
        )
    ]
    known = _known(shadowed, both, at)
    return Comparison(
        primary_horizon_days=float(horizon),
        patients=int(both.sum()),
        known=0 if known is None else int((known[0].weight > 0).sum()),
        refused_by_champion_only=int(only[0].sum()),
        refused_by_challenger_only=int(only[1].sum()),
        planned=planned,
        planned_looks=looks,
        verdict=_verdict(reached, looks),
        looks=reached,
        differences=tuple(_differences(shadowed, both, random_state)),
        disagreements=() if known is None else tuple(_disagreements(shadowed, *known, at)),
    )


def _verdict(reached: Sequence[Look], looks: int) -> Verdict:
    """Return what the first look beyond its boundary says, or what the last one leaves open."""
    for look in reached:
        if abs(look.statistic) >= look.boundary:
            return "better" if look.statistic > 0 else "worse"
    return "no difference" if len(reached) == looks else "not yet"


def _known(
    shadowed: ShadowedPatients, rows: NDArray[np.bool_], at: int
) -> tuple[KnownOutcome, NDArray[np.int64]] | None:
    """Return what is known at a horizon and of which patients; None where nothing can be said."""
    used = np.flatnonzero(rows & np.isfinite(shadowed.time_days))
    if not len(used):
        return None
    time, event, days = shadowed.time_days[used], shadowed.event[used], shadowed.horizons_days[at]
    censoring = CensoringDistribution.fit(time, event)
    if censoring.lowest_before(days) <= 0.05:
        return None
    return known_outcome(time, event, days, censoring=censoring), used


def _looks(
    shadowed: ShadowedPatients, both: NDArray[np.bool_], at: int, *, planned: int, looks: int
) -> Iterator[Look]:
    """Yield the planned looks that have been reached, each of the patients predicted first."""
    whole = _known(shadowed, both, at)
    if whole is None:
        return
    outcome, used = whole
    settled = np.cumsum(outcome.weight > 0)
    for number in range(1, looks + 1):
        needed = planned * number // looks
        if settled[-1] < needed:
            return
        last = int(np.searchsorted(settled, needed))
        first = np.zeros(len(both), dtype=bool)
        first[used[: last + 1]] = True
        known = _known(shadowed, first, at)
        if known is None:
            return
        happened, weight = known[0].happened, known[0].weight
        ours, theirs = (
            (happened - risk[known[1], at]) ** 2
            for risk in (shadowed.challenger, shadowed.champion)
        )
        gain = theirs - ours
        mean = weight @ gain / weight.sum()
        error = np.sqrt((weight**2) @ (gain - mean) ** 2) / weight.sum()
        statistic = float(mean / error) if error > 0 else 0.0
        yield Look(needed, statistic, BOUNDARIES[looks] * float(np.sqrt(looks / number)))


def _differences(
    shadowed: ShadowedPatients, both: NDArray[np.bool_], random_state: int
) -> Iterator[Difference]:
    """Yield the differences of both models at each horizon, from the same resamples of patients."""
    for at, days in enumerate(shadowed.horizons_days):
        known = _known(shadowed, both, at)
        if known is None:
            continue
        outcome, used = known
        events = int((outcome.happened & (outcome.weight > 0)).sum())
        if min(events, int((outcome.weight > 0).sum()) - events) < SMALLEST_CELL:
            continue
        risks = [risk[used, at] for risk in (shadowed.champion, shadowed.challenger)]
        for metric in ("auroc", "brier"):
            yield _difference(metric, float(days), outcome, risks, random_state)


def _difference(
    metric: str,
    days: float,
    outcome: KnownOutcome,
    risks: Sequence[_Floats],
    random_state: int,
) -> Difference:
    def values(counts: _Floats | None) -> _Floats:
        weight = outcome.weight if counts is None else outcome.weight[:, None] * counts
        count = outcome.count if counts is None else outcome.count[:, None] * counts
        resampled = KnownOutcome(outcome.happened, weight, count)
        return np.stack([_metric(metric, resampled, risk) for risk in risks])

    def difference(counts: _Floats | None) -> _Floats:
        champion, challenger = values(counts)
        apart: _Floats = np.asarray(challenger - champion)
        return apart

    interval = bootstrap_interval(
        difference, len(risks[0]), n_resamples=_RESAMPLES, random_state=random_state
    )
    champion, challenger = (float(value) for value in values(None))
    return Difference(
        metric,
        days,
        champion,
        challenger,
        float(interval.estimate),
        float(interval.low),
        float(interval.high),
    )


def _metric(metric: str, outcome: KnownOutcome, risk: _Floats) -> _Floats:
    """Return a metric of one model, for each resample."""
    if metric == "auroc":
        return np.asarray(auroc(outcome, risk))
    loss = (outcome.happened - risk) ** 2
    score: _Floats = np.asarray((loss @ outcome.weight) / outcome.weight.sum(axis=0))
    return score


def _disagreements(
    shadowed: ShadowedPatients, outcome: KnownOutcome, used: NDArray[np.int64], at: int
) -> Iterator[Disagreement]:
    """Yield those whom one model puts much higher, what happened to them, and who was nearer."""
    champion, challenger = (
        np.clip(risk[used, at], _RISK_FLOOR, 1 - _RISK_FLOOR)
        for risk in (shadowed.champion, shadowed.challenger)
    )
    apart = logit(challenger) - logit(champion)
    settled = outcome.weight > 0
    sides: tuple[tuple[Literal["champion", "challenger"], NDArray[np.bool_]], ...] = (
        ("challenger", apart >= APART),
        ("champion", apart <= -APART),
    )
    for higher, rows in sides:
        rows = rows & settled
        count = int(rows.sum())
        if count < SMALLEST_CELL:
            yield Disagreement(higher, None, None, None, None, None)
            continue
        weight = outcome.weight[rows]
        observed = float(weight @ outcome.happened[rows] / weight.sum())
        means = [float(weight @ risk[rows] / weight.sum()) for risk in (champion, challenger)]
        nearer: Literal["champion", "challenger"] = (
            "champion" if abs(means[0] - observed) < abs(means[1] - observed) else "challenger"
        )
        yield Disagreement(higher, count, observed, means[0], means[1], nearer)
