"""The distribution of predicted risks among patients with the event and among the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.disclosure import hidden_cells
from models.censoring import is_known

__all__ = ["KINDS", "QUANTILES", "RiskDistribution", "risk_distribution"]

KINDS = ("all", "event", "no_event", "unknown")
"""The patients, and what is known of them at the horizon."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_BINS = 50


@dataclass(frozen=True, slots=True)
class RiskDistribution:
    """Predicted risks at one horizon by what happened: one entry for each of `KINDS`.

    `n` are the patients of each kind, and `quantiles` those at `QUANTILES`. `counts[kind][i]`
    patients have a risk from `bin_edges[i]` to `bin_edges[i + 1]`.
    """

    horizon_days: float
    n: dict[str, int]
    mean: dict[str, float]
    quantiles: dict[str, tuple[float, ...]]
    bin_edges: NDArray[np.float64]
    counts: dict[str, NDArray[np.int64]]

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds that hold enough patients to be shown."""
        small = hidden_cells(np.array([[self.n[kind] for kind in KINDS]]))[0]
        return tuple(
            kind for kind, hide in zip(KINDS, small, strict=True) if not hide and self.n[kind]
        )

    def as_json(self) -> dict[str, object]:
        """Return the kinds `shown`; null stands for a count that would describe few patients."""
        bins = np.column_stack([self.counts[kind] for kind in KINDS])
        hidden = dict(zip(KINDS, hidden_cells(bins).T, strict=True))
        return {
            "horizon_days": self.horizon_days,
            "n": {kind: self.n[kind] for kind in self.shown},
            "mean": {kind: self.mean[kind] for kind in self.shown},
            "quantile_levels": list(QUANTILES),
            "quantiles": {kind: list(self.quantiles[kind]) for kind in self.shown},
            "bin_edges": self.bin_edges.tolist(),
            "counts": {
                kind: [
                    None if hide else int(n)
                    for n, hide in zip(self.counts[kind], hidden[kind], strict=True)
                ]
                for kind in self.shown
            },
        }


def risk_distribution(
    time_days: ArrayLike, event: ArrayLike, risk: ArrayLike, horizons_days: Sequence[float]
) -> tuple[RiskDistribution, ...]:
    """Return the distribution of risks at each horizon.

    Parameters
    ----------
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event, which is no event.
    risk : array-like of float, shape (n_stays, n_horizons)
        Predicted probability of the outcome by each horizon.
    horizons_days : sequence of float

    Returns
    -------
    tuple of RiskDistribution
        One for each horizon; patients who were lost before it are `unknown`.

    Examples
    --------
    >>> risks = risk_distribution([5, 20, 3], [1, 0, 0], [[0.6], [0.2], [0.3]], [10])[0]
    >>> risks.n, risks.mean["event"]
    ({'all': 3, 'event': 1, 'no_event': 1, 'unknown': 1}, 0.6)
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    predicted = np.asarray(risk, dtype=np.float64)
    return tuple(
        _at(time, kind, predicted[:, column], float(days))
        for column, days in enumerate(horizons_days)
    )


def _at(
    time: NDArray[np.float64], kind: NDArray[np.int64], risk: NDArray[np.float64], days: float
) -> RiskDistribution:
    happened = (kind == 1) & (time <= days)
    known = is_known(time, kind, days)
    groups = {
        "all": risk,
        "event": risk[happened],
        "no_event": risk[known & ~happened],
        "unknown": risk[~known],
    }
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    return RiskDistribution(
        days,
        {name: len(values) for name, values in groups.items()},
        {name: float(v.mean()) if len(v) else np.nan for name, v in groups.items()},
        {
            name: tuple(np.quantile(v, QUANTILES).tolist()) if len(v) else ()
            for name, v in groups.items()
        },
        edges,
        {name: np.histogram(v, bins=edges)[0].astype(np.int64) for name, v in groups.items()},
    )
