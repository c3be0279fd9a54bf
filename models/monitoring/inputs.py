"""Compare what arrived with the training cohort: recorded or not, distribution, levels, pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from data_schema.disclosure import SMALLEST_CELL
from models.monitoring.alerts import Alert, AlertKind, control_limit
from models.monitoring.arrivals import Arrivals
from models.monitoring.reference import LevelsReference, NumberReference, Reference

__all__ = ["InputCheck", "check_inputs", "input_alerts"]

_Floats = NDArray[np.float64]

FEWEST_PAIRS = 50
"""Patients with both values that a correlation needs."""

MOST_IN_PAIRS = 30
"""The strongest variables whose correlations are compared."""

MOST_SHRUNK = 0.3
"""A bundle's correlation is drawn towards 0: the true one may be larger by up to this share."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """One figure of what arrived beside that of the training cohort.

    `statistic` is the difference in standard errors, with its sign; 0 is no difference.
    `variables` are two where their correlation is compared.
    """

    kind: AlertKind
    variables: tuple[str, ...]
    what: str
    statistic: float
    estimate: float
    expected: float
    patients: int


def check_inputs(
    arrivals: Arrivals, reference: Reference, *, strongest: Sequence[str] = ()
) -> list[InputCheck]:
    """Return every comparison of the inputs of all patients.

    Sites are not compared: a bundle states nothing of the sites of its training cohort, which may
    well differ in what they measure.

    Parameters
    ----------
    arrivals : Arrivals
    reference : Reference
    strongest : sequence of str
        Variables by what they count in the model, strongest first; correlations are compared among
        the first `MOST_IN_PAIRS`.

    Returns
    -------
    list of InputCheck
    """
    return [*_of_variables(arrivals, reference), *_pairs(arrivals, reference, strongest)]


def input_alerts(
    arrivals: Arrivals,
    checks: Sequence[InputCheck],
    *,
    without: Sequence[str] = (),
    beside: int = 0,
) -> list[Alert]:
    """Return an alert for each comparison beyond its control limit, and for new categories.

    Parameters
    ----------
    arrivals : Arrivals
    checks : sequence of InputCheck
        From `check_inputs`.
    without : sequence of str
        Variables whose unit is wrong: their distribution is another because of it.
    beside : int
        Other comparisons of drift that share the control limit.
    """
    alerts = []
    for kind in ("missing", "drift"):
        family = [check for check in checks if check.kind == kind]
        limit = control_limit(len(family) + (beside if kind == "drift" else 0))
        alerts += [
            _alert(check, limit)
            for check in family
            if abs(check.statistic) > limit
            and not (kind == "drift" and set(check.variables) & set(without))
        ]
    for variable, count in arrivals.new_categories.items():
        message = (
            f"{variable} must have a category that the model knows; {count} of {arrivals.stays} "
            "stays have another, which counts as not entered. Map it, or train again."
        )
        alerts.append(Alert("drift", variable, message, float(count), 0.0, what="new_category"))
    return alerts


def _of_variables(arrivals: Arrivals, reference: Reference) -> Iterator[InputCheck]:
    """Yield the comparisons of single variables."""
    for name, number in reference.numbers.items():
        if name not in arrivals.numbers or number.recorded is None:
            continue
        values = arrivals.numbers[name]
        values = values[np.isfinite(values)]
        yield _recorded(name, len(values), arrivals.stays, number.recorded, number.stays)
        if number.is_comparable and len(values) >= SMALLEST_CELL:
            yield from _distribution(number, values)
    for name, known in reference.levels.items():
        texts = _levels_of(arrivals, known)
        if texts is None or known.recorded is None:
            continue
        recorded = texts[[text is not None for text in texts]]
        yield _recorded(name, len(recorded), arrivals.stays, known.recorded, known.stays)
        if len(recorded) >= SMALLEST_CELL and known.recorded >= SMALLEST_CELL:
            yield from _shares(known, recorded)


def _levels_of(arrivals: Arrivals, known: LevelsReference) -> NDArray[np.object_] | None:
    """Return the levels of the stays; None where nothing of the variable arrived."""
    if known.name in arrivals.texts:
        return arrivals.texts[known.name]
    if known.name not in arrivals.numbers:
        return None
    flags = arrivals.numbers[known.name]
    words = np.where(flags == 1.0, "yes", "no").astype(object)
    words[np.isnan(flags)] = None
    return words


def _recorded(name: str, recorded: int, stays: int, before: int, stays_before: int) -> InputCheck:
    """Compare the shares of stays with a value."""
    statistic = _apart(recorded, stays, before, stays_before)
    share, expected = recorded / stays, before / stays_before
    return InputCheck("missing", (name,), "recorded", statistic, share, expected, stays)


def _apart(count: float, of: float, before: float, of_before: float) -> float:
    r"""Return :math:`2 (\arcsin\sqrt{p} - \arcsin\sqrt{q})` of two shares in its errors."""
    # Half a stay is added, so that a share of 0 or 1 is not taken for certain.
    p, q = (count + 0.5) / (of + 1), (before + 0.5) / (of_before + 1)
    apart = 2 * (np.arcsin(np.sqrt(p)) - np.arcsin(np.sqrt(q)))
    return float(apart / np.sqrt(1 / of + 1 / of_before))


def _distribution(known: NumberReference, values: _Floats) -> Iterator[InputCheck]:
    """Yield the comparisons of location, and of the shares beyond the outermost quantiles."""
    n, before = len(values), known.recorded or 0
    scores = known.inner_scores(values)
    # Values that all moved to one end do not spread, and chance is not smaller for it.
    spread = max(float(scores.std()), known.spread)
    mean = float(scores.mean()) - known.middle
    off = mean / (spread * np.sqrt(1 / n + 1 / before))
    yield InputCheck("drift", (known.name,), "location", float(off), mean, 0.0, n)
    if known.scale is None:
        return
    quantiles = known.scale.quantiles[0]
    if quantiles[0] == quantiles[1] or quantiles[-1] == quantiles[-2]:
        return  # more than this share may have the outermost value itself
    # Values are rounded: those that equal an outermost quantile count half.
    far = np.abs(scores) >= known.inner
    on = np.isclose(values, _own(known, 0)) | np.isclose(values, _own(known, -1))
    beyond = float((far & ~on).sum() + (far & on).sum() / 2)
    expected = 2 * float(norm.sf(known.inner))
    off = _apart(beyond, n, expected * before, before)
    yield InputCheck("drift", (known.name,), "spread", off, beyond / n, expected, n)


def _own(known: NumberReference, at: int) -> float:
    """Return an outermost quantile in the variable's own unit."""
    assert known.scale is not None
    quantile = known.scale.quantiles[0, at]
    return float(np.exp(quantile) if known.scale.logarithmic[0] else quantile)


def _shares(known: LevelsReference, levels: NDArray[np.object_]) -> Iterator[InputCheck]:
    """Yield the comparison of the shares of levels, as a chi-square with the rare ones joined."""
    n, before = len(levels), known.recorded or 0
    expected = np.array(list(known.levels.values())) / before
    observed = np.array([(levels == level).sum() for level in known.levels]) / n
    common = expected * n >= 5
    p = np.append(expected[common], expected[~common].sum())
    q = np.append(observed[common], observed[~common].sum())
    q, p = q[p > 0], p[p > 0]
    if len(p) < 2:
        return
    error = 1 / n + 1 / before
    statistic = float((((q - p) ** 2) / (p * error)).sum())
    # As normal deviates, so that one control limit holds for every comparison.
    deviates = float(norm.isf(np.maximum(chi2.sf(statistic, len(p) - 1), 1e-300) / 2))
    largest = int(np.abs(q - p).argmax())
    yield InputCheck(
        "drift", (known.name,), "levels", deviates, float(q[largest]), float(p[largest]), n
    )


def _pairs(
    arrivals: Arrivals, reference: Reference, strongest: Sequence[str]
) -> Iterator[InputCheck]:
    """Yield the comparisons of correlations of normal scores, by Fisher's transformation."""
    scores: dict[str, _Floats] = {}
    for name in strongest:
        number = reference.numbers.get(name)
        if number is None or number.column is None or name not in arrivals.numbers:
            continue
        values = arrivals.numbers[name]
        measured = np.isfinite(values)
        if measured.sum() >= FEWEST_PAIRS:
            column = np.full(len(values), np.nan)
            column[measured] = number.inner_scores(values[measured])
            scores[name] = column
        if len(scores) == MOST_IN_PAIRS:
            break
    names = list(scores)
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            yield from _pair(reference, first, second, scores[first], scores[second])


def _pair(
    reference: Reference, first: str, second: str, x: _Floats, y: _Floats
) -> Iterator[InputCheck]:
    both = np.isfinite(x) & np.isfinite(y)
    n = int(both.sum())
    if n < FEWEST_PAIRS or x[both].std() == 0 or y[both].std() == 0:
        return
    a, b = reference.numbers[first], reference.numbers[second]
    assert a.column is not None
    assert b.column is not None
    expected = float(reference.correlation[a.column, b.column])
    found = float(np.corrcoef(x[both], y[both])[0, 1])
    # Training patients with both values are not counted in the bundle: as if by chance.
    before = max((a.recorded or 0) * (b.recorded or 0) / a.stays, FEWEST_PAIRS)
    ends = sorted((expected, expected / (1 - MOST_SHRUNK)))
    nearest = min(max(found, ends[0]), ends[1])
    apart = np.arctanh(np.clip(found, -0.99, 0.99)) - np.arctanh(np.clip(nearest, -0.99, 0.99))
    off = float(apart / np.sqrt(1 / (n - 3) + 1 / before))
    yield InputCheck("drift", (first, second), "correlation", off, found, expected, n)


_WORDS = {
    "location": "its values lie {estimate:+.2f} standard deviations from those of the training "
    "cohort",
    "spread": "{estimate:.0%} of its values lie far out, {expected:.0%} in the training cohort",
    "levels": "a level has {estimate:.0%} of the stays, {expected:.0%} in the training cohort",
    "correlation": "their correlation is {estimate:.2f}, {expected:.2f} in the training cohort",
    "recorded": "it is recorded in {estimate:.0%} of the stays, {expected:.0%} of the training "
    "cohort",
}


def _alert(check: InputCheck, limit: float) -> Alert:
    name = " and ".join(check.variables)
    facts = _WORDS[check.what].format(estimate=check.estimate, expected=check.expected)
    return Alert(
        kind=check.kind,
        variable=name,
        what=check.what,
        statistic=abs(check.statistic),
        limit=limit,
        estimate=round(check.estimate, 4),
        expected=round(check.expected, 4),
        message=f"{name}: {facts}. Find out why before its risks are relied on.",
    )
