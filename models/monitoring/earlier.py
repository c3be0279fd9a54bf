"""Compare a period with an earlier one of the same place, beside the training cohort.

A laboratory that slowly changes differs from its own past; another hospital differs from the
training cohort from its first day on, and not from its own past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, rankdata

from data_schema.disclosure import SMALLEST_CELL
from models.monitoring.alerts import Alert, control_limit
from models.monitoring.arrivals import Arrivals

__all__ = ["PeriodChange", "change_alerts", "compare_periods"]

_Floats = NDArray[np.float64]
What = Literal["recorded", "location", "spread", "levels", "mean", "share"]


@dataclass(frozen=True, slots=True)
class PeriodChange:
    """One figure of a period beside that of the earlier one.

    Parameters
    ----------
    kind : {"missing", "drift"}
    variable : str
        Variable, or `risk` or `refused`.
    what : str
        `recorded` is the share of stays with a value; `location` the chance that a value is larger
        than an earlier one; `spread` the share of values among the outer tenths of both periods on
        either side; `levels` the share of the level that changed most; `mean` and `share` those of
        risks and refusals.
    statistic : float
        Difference in standard errors, with its sign.
    estimate, earlier : float
    horizon_days : float or None
    """

    kind: Literal["missing", "drift"]
    variable: str
    what: What
    statistic: float
    estimate: float
    earlier: float
    horizon_days: float | None = None


def compare_periods(arrivals: Arrivals, earlier: Arrivals) -> list[PeriodChange]:
    """Return how a period differs from an earlier one: values, levels, risks and refusals.

    Values are compared by ranks, so that neither a unit nor a shape is assumed.

    Parameters
    ----------
    arrivals, earlier : Arrivals
        Read for the same model.
    """
    changes = list(_risks(arrivals, earlier))
    for name, values in arrivals.numbers.items():
        if name in earlier.numbers:
            before = earlier.numbers[name]
            counts = [int(np.isfinite(one).sum()) for one in (values, before)]
            changes.append(_recorded(name, counts, arrivals.stays, earlier.stays))
            if min(counts) >= SMALLEST_CELL:
                changes += _values(name, values[np.isfinite(values)], before[np.isfinite(before)])
    for name, levels in arrivals.texts.items():
        if name in earlier.texts:
            known = [
                one[np.array([text is not None for text in one], dtype=bool)]
                for one in (levels, earlier.texts[name])
            ]
            counts = [len(one) for one in known]
            changes.append(_recorded(name, counts, arrivals.stays, earlier.stays))
            if min(counts) >= SMALLEST_CELL:
                changes += _levels(name, *known)
    return changes


def change_alerts(changes: Sequence[PeriodChange]) -> list[Alert]:
    """Return an alert for each figure that differs from the earlier period beyond its limit.

    One period in a hundred without a change raises an alert of a kind by this comparison, beside
    those of the comparison with the training cohort.
    """
    alerts = []
    for kind in ("missing", "drift"):
        family = [change for change in changes if change.kind == kind]
        limit = control_limit(len(family))
        alerts += [_alert(one, limit) for one in family if abs(one.statistic) > limit]
    return alerts


def _risks(arrivals: Arrivals, earlier: Arrivals) -> Iterator[PeriodChange]:
    """Yield the mean risk at each horizon and the share of stays that were refused."""
    for at, days in enumerate(arrivals.horizons_days):
        now, before = (one.risk[np.isfinite(one.risk[:, at]), at] for one in (arrivals, earlier))
        if min(len(now), len(before)) < SMALLEST_CELL:
            continue
        error = np.sqrt(now.var(ddof=1) / len(now) + before.var(ddof=1) / len(before))
        means = float(now.mean()), float(before.mean())
        statistic = float((means[0] - means[1]) / error) if error > 0 else 0.0
        yield PeriodChange("drift", "risk", "mean", statistic, *means, horizon_days=float(days))
    counts = [int(one.refused.sum()) for one in (arrivals, earlier)]
    statistic = _apart(counts, arrivals.stays, earlier.stays)
    shares = counts[0] / arrivals.stays, counts[1] / earlier.stays
    yield PeriodChange("drift", "refused", "share", statistic, *shares)


def _recorded(name: str, counts: Sequence[int], stays: int, before: int) -> PeriodChange:
    shares = counts[0] / stays, counts[1] / before
    return PeriodChange("missing", name, "recorded", _apart(counts, stays, before), *shares)


def _values(name: str, now: _Floats, before: _Floats) -> Iterator[PeriodChange]:
    """Yield how far values lie from the earlier ones, and how many lie far out, by ranks."""
    n, m = len(now), len(before)
    if len(np.unique(now)) <= 2 and len(np.unique(before)) <= 2:
        yield from _levels(name, now.astype(str).astype(object), before.astype(str).astype(object))
        return
    ranks = rankdata(np.concatenate((now, before)))
    # The variance of the sum of ranks, with ties: that of drawing n of all ranks.
    error = np.sqrt(n * m * ranks.var() / (n + m - 1))
    if error == 0:
        return
    larger = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    off = float((ranks[:n].sum() - n * ranks.mean()) / error)
    yield PeriodChange("drift", name, "location", off, float(larger), 0.5)
    share = (ranks - 0.5) / (n + m)
    far = (np.abs(share - 0.5) > 0.4).astype(np.float64)
    counts = [int(far[:n].sum()), int(far[n:].sum())]
    yield PeriodChange("drift", name, "spread", _apart(counts, n, m), counts[0] / n, counts[1] / m)


def _levels(
    name: str, now: NDArray[np.object_], before: NDArray[np.object_]
) -> Iterator[PeriodChange]:
    """Yield the comparison of the shares of levels, as a chi-square with the rare ones joined."""
    n, m = len(now), len(before)
    names = sorted({*now.tolist(), *before.tolist()})
    counts = np.array([[(now == one).sum(), (before == one).sum()] for one in names], dtype=float)
    pooled = counts.sum(axis=1) / (n + m)
    common = pooled * min(n, m) >= 5
    counts = np.vstack((counts[common], counts[~common].sum(axis=0)))
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < 2:
        return
    expected = np.outer(counts.sum(axis=1), [n, m]) / (n + m)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    deviate = float(norm.isf(max(float(chi2.sf(statistic, len(counts) - 1)), 1e-300) / 2))
    shares = counts / [n, m]
    most = int(np.abs(shares[:, 0] - shares[:, 1]).argmax())
    yield PeriodChange(
        "drift", name, "levels", deviate, float(shares[most, 0]), float(shares[most, 1])
    )


def _apart(counts: Sequence[int], stays: int, before: int) -> float:
    """Return the difference of two shares in standard errors, on the arcsine scale."""
    now, then = (
        np.arcsin(np.sqrt((count + 0.375) / (of + 0.75)))
        for count, of in zip(counts, (stays, before), strict=True)
    )
    return float(2 * (now - then) / np.sqrt(1 / (stays + 0.5) + 1 / (before + 0.5)))


_WORDS = {
    "recorded": "it is recorded in {now:.0%} of the stays, {then:.0%} in the earlier period",
    "location": "a value is larger than one of the earlier period with a chance of {now:.0%}, "
    "50 % without a change",
    "spread": "{now:.0%} of its values lie far out, {then:.0%} in the earlier period",
    "levels": "a level has {now:.0%} of the stays, {then:.0%} in the earlier period",
    "mean": "its mean by {days:g} days is {now:.1%}, {then:.1%} in the earlier period",
    "share": "{now:.1%} of the stays are, {then:.1%} in the earlier period",
}


def _alert(change: PeriodChange, limit: float) -> Alert:
    facts = _WORDS[change.what].format(
        now=change.estimate, then=change.earlier, days=change.horizon_days or 0.0
    )
    return Alert(
        kind=change.kind,
        variable=change.variable,
        what=change.what,
        compared_with="earlier period",
        horizon_days=change.horizon_days,
        statistic=abs(change.statistic),
        limit=limit,
        estimate=round(change.estimate, 4),
        expected=round(change.earlier, 4),
        message=f"{change.variable}: {facts}. Something has changed here since then: ask the "
        "laboratory or the ward what.",
    )
