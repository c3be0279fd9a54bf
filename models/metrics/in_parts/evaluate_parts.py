"""Every metric of patients who are read in parts, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import DataError
from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.metrics.alert_burden import CANDIDATES
from models.metrics.calibration.whole_curve import DCalibrationTest, tenths_test
from models.metrics.catalogue import AT_HORIZON, METRICS, OVER_FOLLOW_UP, Place
from models.metrics.in_parts.judged_part import ALL, ANSWERED, JudgedPart, Scope, Survey
from models.metrics.in_parts.resampled import (
    AtDay,
    Judged,
    Reading,
    ValueKey,
    bins_of,
    resampled_sums,
    values_of,
)
from models.metrics.in_parts.risk_bins import BinnedRisks, bin_edges
from models.metrics.in_parts.time_counts import TimeCounts
from models.metrics.intervals import interval_of_resamples
from models.metrics.known_outcome import LOWEST_OBSERVED_SHARE, why_too_few
from models.metrics.metric import BLANK_SHARES, Metric
from models.metrics.overall.survival_curves import cumulative_incidence
from models.metrics.subgroups import (
    SMALLEST_SUBGROUP,
    SUBGROUP_METRICS,
    Subgroup,
    in_order,
    shown_counts,
)
from models.metrics.summary import metric_of

__all__ = ["MOST_LEVELS", "PartsJudgement", "evaluate_parts"]

MOST_LEVELS = 30
"""Most levels of a grouping that are judged apart, such as sites."""

_AT_A_TIME = 50
"""Resamples of one task: it holds their sums by interval of risk, and reads all parts twice."""

T = TypeVar("T")
Run = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]
_Floats = NDArray[np.float64]
_Values = dict[ValueKey, _Floats]
_Bins = dict[tuple[Scope, AtDay], BinnedRisks]


@dataclass(frozen=True, slots=True)
class PartsJudgement:
    """The metrics of all stays, of those not refused and of groups.

    Parameters
    ----------
    metrics, blanked, metrics_of_answered, subgroups, d_calibration
        As in `training.validation.judgement.Judgement`.
    concordance_patients : int
        Patients, drawn by hash, among whom `c_harrell` and `c_uno` were computed.
    """

    metrics: tuple[Metric, ...]
    blanked: tuple[Metric, ...]
    metrics_of_answered: tuple[Metric, ...]
    subgroups: tuple[Subgroup, ...]
    d_calibration: DCalibrationTest | None
    concordance_patients: int


def evaluate_parts(
    parts: Iterable[JudgedPart],
    survey: Survey,
    *,
    horizons_days: Sequence[float],
    curve_days: ArrayLike,
    has_competing_curve: bool,
    simulated: bool,
    n_bootstrap: int,
    n_bootstrap_of_groups: int,
    random_state: int = 0,
    run: Run,
) -> PartsJudgement:
    r"""Return every metric with its 95 % interval, from sums over the parts.

    Parameters
    ----------
    parts : iterable of JudgedPart
        Is read several times. Each task gets it as an argument: it holds paths, or all parts.
    survey : Survey
        Of the same parts.
    horizons_days, curve_days : array-like of float
        Days of the risks and of the curve.
    has_competing_curve : bool
    simulated : bool
        Whether the patients are simulated, so that no count need be withheld.
    n_bootstrap, n_bootstrap_of_groups : int
        Resamples of all patients, and of those of groups.
    random_state : int
        Seed of the resamples.
    run : callable
        Yields `work(*job)` of each job in turn.

    Returns
    -------
    PartsJudgement
        Metrics that are means over patients (`oe_ratio`, `ibs`, `d_calibration`, `aj_calibration`)
        are those of `metrics.summary.evaluate` to the last digits while at most `MOST_TIMES` times
        are distinct; the others within .001, since risks are told apart by .01 in log-odds
        (average precision is too low by that: patients of one interval count as equal).

    Raises
    ------
    DataError
        If no horizon has enough outcomes.

    Notes
    -----
    With weights w for censoring, each metric at a horizon is computed from

    .. math:: W_{ky} = \sum_{i: r_i \in k, y_i = y} w_i \quad\text{and}\quad
       N_k = \sum_{i: r_i \in k} n_i

    over fine intervals k of risk, at the mean risk of the patients of each. Ends of intervals
    include the threshold of the net benefit, which is therefore exact. A resample counts each
    patient by a Poisson draw of its own (`poisson_counts`); censoring is estimated anew in each,
    from the numbers who left at each time. Knots and thresholds are those of the cohort.
    Harrell's and Uno's C compare pairs: they are of the `CONCORDANCE_PATIENTS` patients with the
    smallest hashes.
    """
    reading = Reading(
        tuple(map(float, horizons_days)),
        np.asarray(curve_days, dtype=np.float64),
        has_competing_curve,
        survey.last_key,
        random_state,
    )
    whole, notes = _judged(survey, ALL, reading)
    if whole is None or not whole.thresholds:
        raise DataError(
            f"horizons_days must have one with at least {MIN_EVENTS} patients with and "
            f"{MIN_EVENTS} without the event while patients are still observed; "
            f"0 of {len(notes)} have. Evaluate on more patients or at other horizons."
        )
    together = [whole]
    answered_notes: dict[float, str] = {}
    some_refused = survey.scopes[ALL].times.stays > _stays(survey, ANSWERED)
    if some_refused:
        answered, answered_notes = _judged(survey, ANSWERED, reading)
        if answered is not None and answered.thresholds:
            together.append(answered)
    groups = _groups(survey, reading, whole)
    tasks = [(together, n_bootstrap)]
    tasks += [(levels, n_bootstrap_of_groups) for levels in groups.values() if levels]
    estimates = [*run(_estimates, [(parts, judged, reading) for judged, _ in tasks])]
    blocks = [
        (place, range(first, min(first + _AT_A_TIME, size)))
        for place, (_, size) in enumerate(tasks)
        for first in range(0, size, _AT_A_TIME)
    ]
    jobs = [(parts, tasks[k][0], reading, block, estimates[k].bins) for k, block in blocks]
    drawn: dict[Scope, list[_Values]] = {}
    for (k, _), of_block in zip(blocks, run(_of_resamples, jobs), strict=True):
        for judged, values in zip(tasks[k][0], of_block, strict=True):
            drawn.setdefault(judged.scope, []).append(values)
    estimated = {
        judged.scope: values
        for (scopes, _), of_task in zip(tasks, estimates, strict=True)
        for judged, values in zip(scopes, of_task.values, strict=True)
    }
    metrics = {
        judged.scope: _metrics(estimated[judged.scope], drawn.get(judged.scope, []))
        for scopes, _ in tasks
        for judged in scopes
    }
    of_all = metrics[ALL]
    return PartsJudgement(
        metrics=_in_order(whole, of_all, reading.horizons_days, notes),
        blanked=tuple(
            replace(metric, blank_share=share)
            for share in BLANK_SHARES
            for metric in _at_horizons(whole.blanked, of_all, reading.horizons_days, notes, share)
        ),
        metrics_of_answered=(
            _in_order(together[1], metrics[ANSWERED], reading.horizons_days, answered_notes)
            if len(together) > 1
            else ()
        ),
        subgroups=_subgroups(survey, metrics, reading, whole, simulated=simulated),
        d_calibration=tenths_test(estimates[0].in_tenth, survey.scopes[ALL].times.stays),
        concordance_patients=survey.concordance_patients,
    )


@dataclass(frozen=True, slots=True)
class _Estimates:
    values: list[_Values]
    bins: _Bins
    in_tenth: _Floats


def _estimates(parts: Iterable[JudgedPart], judged: list[Judged], reading: Reading) -> _Estimates:
    """Return the metrics of the patients themselves, and the intervals in which they lie."""
    sums = resampled_sums(parts, judged, reading, None)
    bins: _Bins = {}
    for each, total in zip(judged, sums, strict=True):
        bins |= bins_of(each, total)
    values = [
        values_of(each, total, bins, reading, of_resamples=False)
        for each, total in zip(judged, sums, strict=True)
    ]
    return _Estimates(values, bins, sums[0].in_tenth[:, 0])


def _of_resamples(
    parts: Iterable[JudgedPart], judged: list[Judged], reading: Reading, block: range, bins: _Bins
) -> list[_Values]:
    """Return the metrics of some of the resamples."""
    sums = resampled_sums(parts, judged, reading, block, bins)
    return [
        values_of(each, total, bins, reading, of_resamples=True)
        for each, total in zip(judged, sums, strict=True)
    ]


def _judged(
    survey: Survey, scope: Scope, reading: Reading
) -> tuple[Judged | None, dict[float, str]]:
    """Return how the stays of a scope are judged, and why not at a horizon."""
    if scope not in survey.scopes:
        return None, {}
    notes = _notes(survey, scope, reading)
    times = survey.scopes[scope].times
    rates = {days: _event_rate(times, days) for days in notes if not notes[days]}
    inside = _censoring(times).survival_before(reading.curve_days) >= LOWEST_OBSERVED_SHARE
    judged = Judged(
        scope,
        times,
        rates,
        {days: bin_edges([*CANDIDATES, *_between(rate)]) for days, rate in rates.items()},
        at_horizon=AT_HORIZON,
        blanked=tuple(spec for spec in AT_HORIZON if Place.BLANKED in spec.places),
        over_follow_up=tuple(
            spec
            for spec in OVER_FOLLOW_UP
            if reading.has_competing_curve or not spec.of_competing_event
        ),
        blank_shares=(0.0, *BLANK_SHARES) if scope == ALL else (0.0,),
        curve_days=reading.curve_days[inside],
    )
    return judged, notes


def _groups(survey: Survey, reading: Reading, whole: Judged) -> dict[str, list[Judged]]:
    """Return how the levels of each grouping are judged; those of few patients are not."""
    groups: dict[str, list[Judged]] = {}
    for grouping, scopes in _levels(survey).items():
        for scope in scopes:
            patients = survey.scopes[scope]
            notes = _notes(survey, scope, reading)
            usable = {h: t for h, t in whole.thresholds.items() if not notes[h]}
            if patients.patients[0] >= SMALLEST_SUBGROUP and usable:
                judged = replace(
                    whole,
                    scope=scope,
                    times=patients.times,
                    thresholds=usable,
                    at_horizon=SUBGROUP_METRICS,
                    over_follow_up=(),
                    blank_shares=(0.0,),
                    by_pseudo_values=True,
                )
                groups.setdefault(grouping, []).append(judged)
    return groups


def _levels(survey: Survey) -> dict[str, list[Scope]]:
    """Return the levels of each grouping that has at least two, and not too many."""
    levels: dict[str, set[str]] = {}
    for scope in survey.scopes:
        if scope.grouping:
            levels.setdefault(scope.grouping, set()).add(scope.level)
    return {
        grouping: [Scope(grouping, level) for level in in_order(names)]
        for grouping, names in levels.items()
        if 1 < len(names) <= MOST_LEVELS
    }


def _subgroups(
    survey: Survey,
    metrics: Mapping[Scope, dict[ValueKey, Metric]],
    reading: Reading,
    whole: Judged,
    *,
    simulated: bool,
) -> tuple[Subgroup, ...]:
    """Return each group with its metrics, and with counts where these describe enough patients."""
    subgroups = []
    for scopes in _levels(survey).values():
        members = [survey.scopes[scope] for scope in scopes]
        together = members[0]
        for member in members[1:]:
            together = together.joined(member)
        stated = [(member.times.stays, member.events) for member in members]
        patients = np.array([each.patients for each in (together, *members)]).T
        counts = [*stated] if simulated else shown_counts(stated, patients)
        for scope, member, (stays, events) in zip(scopes, members, counts, strict=True):
            if member.patients[0] < SMALLEST_SUBGROUP:
                note = f"fewer than {SMALLEST_SUBGROUP} patients"
                subgroups.append(Subgroup(*scope, stays, events, (), note))
                continue
            notes = {
                days: note or ("" if days in whole.thresholds else _NOT_IN_WHOLE)
                for days, note in _notes(survey, scope, reading).items()
            }
            known = metrics.get(scope, {})
            of_group = _at_horizons(SUBGROUP_METRICS, known, reading.horizons_days, notes, 0.0)
            subgroups.append(Subgroup(*scope, stays, events, of_group))
    return tuple(subgroups)


_NOT_IN_WHOLE = "cannot be judged in the whole cohort"


def _notes(survey: Survey, scope: Scope, reading: Reading) -> dict[float, str]:
    """Return why a scope cannot be judged at each horizon; "" where it can."""
    patients = survey.scopes[scope]
    censoring = _censoring(patients.times)
    return {
        days: why_too_few(len(yes), len(no), censoring, days)
        for days, yes, no in zip(
            reading.horizons_days, patients.with_event, patients.without_event, strict=True
        )
    }


def _censoring(times: TimeCounts) -> CensoringDistribution:
    return CensoringDistribution.fit(times.times, times.kinds, counts=times.count)


def _event_rate(times: TimeCounts, days: float) -> float:
    at = cumulative_incidence(times.times, times.kinds, [days], counts=times.count)
    return float(at[0])


def _between(rate: float) -> tuple[float, ...]:
    return (rate,) if 0 < rate < 1 else ()


def _stays(survey: Survey, scope: Scope) -> int:
    return survey.scopes[scope].times.stays if scope in survey.scopes else 0


def _metrics(estimates: _Values, drawn: Sequence[_Values]) -> dict[ValueKey, Metric]:
    """Return each value with its interval."""
    metrics = {}
    for key, estimate in estimates.items():
        name, days, _ = key
        values = np.concatenate([of_block[key] for of_block in drawn] or [np.empty(0)])
        interval = interval_of_resamples(estimate[0], values if len(values) else estimate * np.nan)
        metrics[key] = metric_of(METRICS[name], days, interval)
    return metrics


def _in_order(
    judged: Judged,
    metrics: Mapping[ValueKey, Metric],
    horizons_days: Sequence[float],
    notes: Mapping[float, str],
) -> tuple[Metric, ...]:
    """Return the metrics of each horizon, then those of the whole follow-up."""
    at_horizons = _at_horizons(judged.at_horizon, metrics, horizons_days, notes, 0.0)
    return at_horizons + tuple(metrics[spec.name, None, 0.0] for spec in judged.over_follow_up)


def _at_horizons(
    specs: Sequence[Any],
    metrics: Mapping[ValueKey, Metric],
    horizons_days: Sequence[float],
    notes: Mapping[float, str],
    share: float,
) -> tuple[Metric, ...]:
    return tuple(
        metrics[spec.name, days, share]
        if (spec.name, days, share) in metrics
        else Metric.undefined(spec.name, days, notes[days])
        for days in horizons_days
        for spec in specs
    )
