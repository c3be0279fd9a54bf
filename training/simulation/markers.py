"""Every simulated marker, and the arrays from which a cohort is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.simulation import markers_bone, markers_organs, markers_signals
from training.simulation.marker import Marker
from training.simulation.states import STATES, correlation, state_course

__all__ = ["MarkerTable", "marker_table"]

_LEAST_NOISE = 0.05


@dataclass(frozen=True, slots=True)
class MarkerTable:
    """All markers as arrays, in one order.

    Parameters
    ----------
    location, spread, noise : ndarray of float, shape (n_markers,)
        `noise` is a standard deviation in units of `spread`.
    loads : ndarray of float, shape (n_markers, n_states)
    """

    markers: tuple[Marker, ...]
    location: NDArray[np.float64]
    spread: NDArray[np.float64]
    noise: NDArray[np.float64]
    loads: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the markers."""
        return tuple(marker.name for marker in self.markers)

    def effects(self, facts: Sequence[str]) -> NDArray[np.float64]:
        """Return the effect of each fact in units of spread, (n_markers, n_facts)."""
        return np.array(
            [
                [marker.effects.get(fact, 0.0) / marker.spread for fact in facts]
                for marker in self.markers
            ]
        )

    def on_day(self, day: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the shift (n_markers,) and loads (n_markers, n_states) of markers on a day.

        Both are in units of spread; the day is one of `states.DAYS`.
        """
        trend, spill = state_course(day)
        # On day t a state is s + trend + spill s, so a marker's bracket l's becomes l'trend + (l +
        # l spill)'s: a shift, and loads of that day.
        return self.loads @ trend, self.loads + self.loads @ spill


@cache
def marker_table() -> MarkerTable:
    """Return every simulated marker.

    Raises
    ------
    ValueError
        If the loads of a marker leave no room for noise.
    """
    markers = (*markers_bone.MARKERS, *markers_signals.MARKERS, *markers_organs.MARKERS)
    loads = np.array([[marker.loads.get(state, 0.0) for state in STATES] for marker in markers])
    # The bracket l's + n e has variance l'R l + n^2 given the facts; it is 1 with n^2 = 1 - l'R l.
    left = 1 - np.einsum("jk,kl,jl->j", loads, correlation(), loads)
    if left.min() < _LEAST_NOISE:
        crowded = markers[int(left.argmin())].name
        raise ValueError(f"loads must leave room for noise; those of {crowded} are too large.")
    return MarkerTable(
        markers,
        location=np.array([marker.location for marker in markers]),
        spread=np.array([marker.spread for marker in markers]),
        noise=np.sqrt(left),
        loads=loads,
    )
