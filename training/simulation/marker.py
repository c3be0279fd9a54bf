"""What a simulated marker is, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from training.simulation.parameter import Basis
from training.simulation.states import STATES, correlation, state_course

__all__ = ["Marker", "MarkerTable", "marker_table"]

_LEAST_NOISE = 0.05


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker: a number that hidden states move, seen through noise of its own.

    On its own scale a marker is `location + spread * (loads . states + noise) + effects . facts`,
    with noise such that the bracket has variance 1 given all that is always known.

    Parameters
    ----------
    name : str
        Of the catalogue.
    scale : {"log", "identity", "gap"}
        Natural logarithm; as it is; or logarithm of what is missing to 100 (%).
    location : float
        On that scale and the first day, of a patient with every fact and state at 0.
    spread : float
        Standard deviation on that scale given the facts.
    loads : mapping of str to float
        State -> correlation-like weight.
    panel : str
        Markers of a panel are ordered together.
    basis : Basis
        What location and spread rest on; loads and effects are assumed throughout.
    effects : mapping of str to float
        Fact -> what it adds on the marker's scale.
    digits : int
        Decimals that a laboratory prints; on the logarithmic scale, three significant figures.
    """

    name: str
    scale: Literal["log", "identity", "gap"]
    location: float
    spread: float
    loads: Mapping[str, float]
    panel: str
    basis: Basis
    effects: Mapping[str, float] = field(default_factory=dict)
    digits: int = 1

    def printed(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in the catalogue's unit as a laboratory prints them, within its range."""
        known = VARIABLES[self.name]
        if self.scale == "log":
            value = np.exp(scaled)
            size = 10 ** (np.floor(np.log10(value)) - 2)
            value = np.round(value / size) * size
        else:
            value = scaled if self.scale == "identity" else 100 - np.exp(scaled)
            value = np.round(value, self.digits)
        return np.asarray(np.clip(value, known.low, known.high), dtype=np.float64)

    def scaled(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return printed values on the marker's own scale."""
        if self.scale == "log":
            return np.asarray(np.log(value))
        # A printed 100 % is as good as half a unit less: its logarithm must exist.
        gap = np.maximum(100 - value, 0.5 * 10.0**-self.digits)
        return value if self.scale == "identity" else np.asarray(np.log(gap))


@dataclass(frozen=True, slots=True)
class MarkerTable:
    """All markers as arrays, in one order.

    Parameters
    ----------
    markers : tuple of Marker
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
        """Return what each fact adds in units of spread, (n_markers, n_facts)."""
        return np.array(
            [
                [marker.effects.get(fact, 0.0) / marker.spread for fact in facts]
                for marker in self.markers
            ]
        )

    def on_day(self, day: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return shift of each marker and loads on a day of the stay, in units of its spread.

        Parameters
        ----------
        day : int
            One of `states.DAYS`.

        Returns
        -------
        tuple of ndarray of float, shapes (n_markers,) and (n_markers, n_states)
        """
        trend, spill = state_course(day)
        return self.loads @ trend, self.loads + self.loads @ spill


@cache
def marker_table() -> MarkerTable:
    """Return every simulated marker.

    Returns
    -------
    MarkerTable

    Raises
    ------
    ValueError
        If the loads of a marker leave no room for noise.
    """
    from training.simulation import markers_bone, markers_organs, markers_signals

    markers = (*markers_bone.MARKERS, *markers_signals.MARKERS, *markers_organs.MARKERS)
    loads = np.array([[marker.loads.get(state, 0.0) for state in STATES] for marker in markers])
    left = 1 - np.einsum("jk,kl,jl->j", loads, correlation(), loads)
    if left.min() < _LEAST_NOISE:
        crowded = markers[int(left.argmin())].name
        raise ValueError(f"loads must leave room for noise; those of {crowded} do not.")
    return MarkerTable(
        markers,
        location=np.array([marker.location for marker in markers]),
        spread=np.array([marker.spread for marker in markers]),
        noise=np.sqrt(left),
        loads=loads,
    )
