"""Sums over the parts, weighted for censoring, of the patients and of their resamples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.censoring import CensoringDistribution
from models.metrics.calibration.whole_curve import (
    TENTHS,
    mean_distance,
    share_in_wrong_tenth,
    tenths,
)
from models.metrics.catalogue import AtHorizon, MetricSpec, OverFollowUp
from models.metrics.in_parts.judged_part import JudgedPart, Scope
from models.metrics.in_parts.poisson_bootstrap import poisson_counts
from models.metrics.in_parts.risk_bins import BinnedRisks
from models.metrics.in_parts.time_counts import TimeCounts, summed_by
from models.metrics.known_outcome import KnownOutcome, known_outcome
from models.metrics.overall.brier import integrated_brier
from models.metrics.overall.survival_curves import cumulative_incidence
from models.metrics.pseudo_values import pseudo_values

__all__ = [
    "AtDay",
    "Binned",
    "Judged",
    "Reading",
    "Sums",
    "ValueKey",
    "bins_of",
    "resampled_sums",
    "values_of",
]

_OWN_FACTOR = 2.0
"""A patient drawn by Poisson's distribution of mean 1 occurs so many times, weighted by counts."""

_Floats = NDArray[np.float64]
ValueKey = tuple[str, float | None, float]
"""Metric, horizon (None for the whole follow-up) and share of the fields left empty."""
AtDay = tuple[float, float]
"""Horizon, and share of the fields left empty."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How the stays of one scope are judged.

    Parameters
    ----------
    scope : Scope
    times : TimeCounts
        Of all of them.
    thresholds : mapping of float to float
        Horizons that can be judged, with the threshold of the net benefit.
    edges : mapping of float to ndarray
        Ends of the intervals of risk, by horizon.
    at_horizon, over_follow_up : tuple of MetricSpec
    blank_shares : tuple of float
        0, and the shares of fields left empty for which metrics are computed.
    curve_days : ndarray of float
        Days of the curve on which enough are observed.
    by_pseudo_values : bool
        Whether calibration rests on pseudo-values, as within a group.
    """

    scope: Scope
    times: TimeCounts
    thresholds: Mapping[float, float]
    edges: Mapping[float, _Floats]
    at_horizon: tuple[MetricSpec[AtHorizon], ...]
    blanked: tuple[MetricSpec[AtHorizon], ...]
    over_follow_up: tuple[MetricSpec[OverFollowUp], ...]
    blank_shares: tuple[float, ...]
    curve_days: _Floats
    by_pseudo_values: bool = False

    @property
    def at_days(self) -> list[AtDay]:
        """Every horizon with every share of empty fields."""
        return [(days, share) for days in self.thresholds for share in self.blank_shares]


@dataclass(slots=True)
class Binned:
    """Sums of one horizon by interval of risk, each of shape (n_intervals, n_resamples)."""

    without_event: _Floats
    with_event: _Floats
    count: _Floats
    calibration: tuple[_Floats, _Floats] | None = None
    risks: _Floats | None = None
    squares: _Floats | None = None


@dataclass(slots=True)
class Sums:
    """Sums over the parts of one scope; the last axis is that of the resamples."""

    left: _Floats
    count: _Floats
    brier: _Floats
    curve: _Floats
    competing: _Floats
    in_tenth: _Floats
    binned: dict[AtDay, Binned] = field(default_factory=dict)
    sample: list[tuple[_Floats, NDArray[np.int64], _Floats, _Floats]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of the parts: days, horizons, seed and the patients of the concordance."""

    horizons_days: tuple[float, ...]
    curve_days: _Floats
    has_competing_curve: bool
    last_key: int
    random_state: int


def resampled_sums(
    parts: Iterable[JudgedPart],
    judged: list[Judged],
    reading: Reading,
    resamples: range | None,
    bins: Mapping[tuple[Scope, AtDay], BinnedRisks] | None = None,
) -> list[Sums]:
    """Return the sums of each scope over all parts, which are read twice.

    Parameters
    ----------
    parts : iterable of JudgedPart
        Can be read again.
    judged : list of Judged
    resamples : range or None
        Numbers of the resamples; None for the patients themselves.
    bins : mapping, optional
        The intervals of risk that hold patients (default: all).
    """
    size = 1 if resamples is None else len(resamples)
    sums = [_empty(each, reading, size) for each in judged]
    for part in parts:
        counts = _counts(part, reading, resamples)
        for each, total in zip(judged, sums, strict=True):
            _add_times(part, each, reading, counts, total)
    censoring = [
        CensoringDistribution.fit(each.times.times, each.times.kinds, counts=total.left)
        for each, total in zip(judged, sums, strict=True)
    ]
    pseudo = [_pseudo_values(each) for each in judged]
    for part in parts:
        counts = _counts(part, reading, resamples)
        for each, total, observed, values in zip(judged, sums, censoring, pseudo, strict=True):
            rows = part.rows(each.scope)
            if len(rows):
                _add_weighted(
                    part, rows, each, reading, counts[rows], observed, values, bins or {}, total
                )
    return sums


def _counts(part: JudgedPart, reading: Reading, resamples: range | None) -> _Floats:
    if resamples is None:
        return np.ones((len(part.event), 1))
    return poisson_counts(part.patient, resamples, random_state=reading.random_state)


def _empty(judged: Judged, reading: Reading, size: int) -> Sums:
    days = len(judged.curve_days) if judged.over_follow_up else 0
    competing = days if reading.has_competing_curve else 0
    return Sums(
        left=np.zeros((len(judged.times.count), size)),
        count=np.zeros(size),
        brier=np.zeros(size),
        curve=np.zeros((days, size)),
        competing=np.zeros((competing, size)),
        in_tenth=np.zeros((TENTHS, size)),
    )


def _add_times(
    part: JudgedPart, judged: Judged, reading: Reading, counts: _Floats, total: Sums
) -> None:
    """Add what needs no weights: who left when, and sums of the curves."""
    rows = part.rows(judged.scope)
    if not len(rows):
        return
    count, time, event = counts[rows], part.time_days[rows], part.event[rows]
    total.left += summed_by(judged.times.place(time, event), count, len(total.left))
    total.count += count.sum(axis=0)
    if not judged.over_follow_up:
        return
    inside = np.isin(reading.curve_days, judged.curve_days)
    curve = part.curve_risk[np.ix_(rows, inside)].astype(np.float64)
    competing = part.competing_curve
    competing = None if competing is None else competing[np.ix_(rows, inside)].astype(np.float64)
    total.curve += curve.T @ count
    if competing is not None:
        total.competing += competing.T @ count
    total.in_tenth += tenths(time, event, curve, judged.curve_days, competing).T @ count
    drawn = part.patient[rows] <= np.uint64(reading.last_key)
    total.sample.append((time[drawn], event[drawn], part.score[rows][drawn], count[drawn]))


def _add_weighted(
    part: JudgedPart,
    rows: NDArray[np.int64],
    judged: Judged,
    reading: Reading,
    count: _Floats,
    censoring: CensoringDistribution,
    pseudo: Mapping[float, _Floats],
    bins: Mapping[tuple[Scope, AtDay], BinnedRisks],
    total: Sums,
) -> None:
    """Add what is weighted for censoring."""
    time, event = part.time_days[rows], part.event[rows]
    if judged.over_follow_up and len(judged.curve_days) > 1:
        inside = np.isin(reading.curve_days, judged.curve_days)
        curve = part.curve_risk[np.ix_(rows, inside)].astype(np.float64)
        drawn = count.sum(axis=0)
        score = integrated_brier(
            time, event, curve, judged.curve_days, counts=count, censoring=censoring
        )
        total.brier += np.where(drawn > 0, score * drawn, 0.0)
    for days in judged.thresholds:
        outcome = known_outcome(time, event, days, counts=count, censoring=censoring)
        values = pseudo.get(days)
        of_row = None if values is None else values[judged.times.place(time, event)]
        column = reading.horizons_days.index(days)
        for share in judged.blank_shares:
            risk = (part.blanked[share] if share else part.risk)[rows, column]
            known = bins.get((judged.scope, (days, share)))
            edges = judged.edges[days]
            place = (
                np.searchsorted(edges, risk, side="right") if known is None else known.place(risk)
            )
            size = len(edges) + 1 if known is None else len(known.used)
            _add_binned(
                total.binned, (days, share), place, size, risk, outcome, of_row, exact=known is None
            )


def _add_binned(
    binned: dict[AtDay, Binned],
    at: AtDay,
    place: NDArray[np.int64],
    size: int,
    risk: _Floats,
    outcome: KnownOutcome,
    pseudo: _Floats | None,
    *,
    exact: bool,
) -> None:
    """Add the patients of a part to the intervals of risk in which they lie."""
    shape = (size, outcome.count.shape[1])
    if at not in binned:
        zeros = [np.zeros(shape) for _ in range(7)]
        binned[at] = Binned(
            zeros[0],
            zeros[1],
            zeros[2],
            None if pseudo is None else (zeros[3], zeros[4]),
            np.zeros(size) if exact else None,
            np.zeros((2, size)) if exact else None,
        )
    total, happened = binned[at], outcome.happened
    yes = np.flatnonzero(happened)
    with_event = summed_by(place[yes], outcome.weight[yes], size)
    total.with_event += with_event
    total.without_event += summed_by(place, outcome.weight, size) - with_event
    total.count += summed_by(place, outcome.count, size)
    if pseudo is not None and total.calibration is not None:
        by_value = summed_by(place, outcome.count * pseudo[:, None], size)
        total.calibration[1][:] += by_value
        total.calibration[0][:] += summed_by(place, outcome.count, size) - by_value
    if exact and total.risks is not None and total.squares is not None:
        total.risks += np.bincount(place, weights=risk, minlength=size)
        square = outcome.weight[:, 0] ** 2
        for row, chosen in enumerate((~happened, happened)):
            total.squares[row] += np.bincount(place, weights=square * chosen, minlength=size)


def _pseudo_values(judged: Judged) -> dict[float, _Floats]:
    """Return the pseudo-value of each time and kind by horizon, within the scope."""
    if not judged.by_pseudo_values:
        return {}
    times = judged.times
    return {
        days: pseudo_values(times.times, times.kinds, days, count=times.count)
        for days in judged.thresholds
    }


def bins_of(judged: Judged, sums: Sums) -> dict[tuple[Scope, AtDay], BinnedRisks]:
    """Return the intervals of risk that hold patients, from sums over the patients themselves."""
    bins = {}
    for (days, share), binned in sums.binned.items():
        assert binned.risks is not None
        assert binned.squares is not None
        bins[judged.scope, (days, share)] = BinnedRisks.of(
            judged.edges[days],
            binned.count[:, 0],
            binned.risks,
            np.stack([binned.without_event[:, 0], binned.with_event[:, 0]]),
            binned.squares,
        )
    return bins


def values_of(
    judged: Judged,
    sums: Sums,
    bins: Mapping[tuple[Scope, AtDay], BinnedRisks],
    reading: Reading,
    *,
    of_resamples: bool,
) -> dict[ValueKey, _Floats]:
    """Return every metric of the sums, each of shape (n_resamples,)."""
    values: dict[ValueKey, _Floats] = {}
    for (days, share), binned in sums.binned.items():
        risks = bins[judged.scope, (days, share)]
        # Sums over the patients themselves hold every interval; those of resamples the used ones.
        taken = slice(None) if of_resamples else risks.used
        factor = _OWN_FACTOR if of_resamples else 1.0
        count = binned.count[taken]
        outcome = risks.outcome(
            binned.without_event[taken], binned.with_event[taken], count, own_factor=factor
        )
        calibration = outcome
        if binned.calibration is not None:
            no, yes = (each[taken] for each in binned.calibration)
            calibration = risks.outcome(no, yes, count, own_factor=factor)
        data = AtHorizon(
            outcome, calibration, risks.risk, judged.thresholds[days], knots=risks.knots
        )
        for spec in judged.blanked if share else judged.at_horizon:
            values[spec.name, days, share] = _each(spec.function(data), sums.count)
    return values | _over_follow_up(judged, sums, reading)


def _over_follow_up(judged: Judged, sums: Sums, reading: Reading) -> dict[ValueKey, _Floats]:
    """Return the metrics of the whole follow-up."""
    if not judged.over_follow_up:
        return {}
    days, times = judged.curve_days, judged.times
    censoring = CensoringDistribution.fit(times.times, times.kinds, counts=sums.left)
    time, event, score, count = (
        np.concatenate([part[k] for part in sums.sample]) for k in range(4)
    )
    nothing = np.full(len(sums.count), np.nan)

    def distance(cause: int, curve: _Floats) -> _Floats:
        if not len(days):
            return nothing
        observed = cumulative_incidence(
            times.times, times.kinds, days, cause=cause, counts=sums.left
        )
        return mean_distance(curve / sums.count, observed, days)

    by_sums = {
        "ibs": sums.brier / sums.count if len(days) > 1 else nothing,
        "d_calibration": share_in_wrong_tenth(sums.in_tenth / sums.count),
        "aj_calibration": distance(1, sums.curve),
    }
    if reading.has_competing_curve:
        by_sums["aj_calibration_competing"] = distance(2, sums.competing)
    pairs = OverFollowUp(
        time_days=time,
        event=event,
        score=score,
        curve_risk=score[:, None],
        curve_days=days,
        competing_curve=None,
        last_day=max([*judged.thresholds, *days]),
        counts=count,
        censoring=censoring,
    )
    return {
        (spec.name, None, 0.0): by_sums[spec.name]
        if spec.name in by_sums
        else _each(spec.function(pairs), sums.count)
        for spec in judged.over_follow_up
    }


def _each(value: _Floats, count: _Floats) -> _Floats:
    """Return one value for each resample, also where it is the same for all."""
    return np.broadcast_to(np.asarray(value, dtype=np.float64), count.shape)
