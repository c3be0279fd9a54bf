"""Definition of a simulated marker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from training.simulation.parameter import Basis

__all__ = ["Marker"]


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker: a number that hidden states move, seen through noise of its own.

    On its own scale a marker is `location + spread * (loads . states + noise) + effects . facts`,
    with noise such that the bracket has variance 1 given all that is always known.

    Parameters
    ----------
    name : str
        Name in the catalogue.
    scale : {"log", "identity", "gap"}
        Natural logarithm, identity, or logarithm of the difference from 100 (%).
    location : float
        On that scale and the first day, of a patient with every fact and state at 0.
    spread : float
        Standard deviation on that scale given the facts.
    loads : mapping of str to float
        State -> correlation-like weight.
    panel : str
        Markers of a panel are ordered together.
    basis : Basis
        Source of location and spread; loads and effects are all assumed.
    effects : mapping of str to float
        Fact -> its effect on the marker's scale.
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
        # A printed 100 % counts as half a unit less, so that its logarithm exists.
        gap = np.maximum(100 - value, 0.5 * 10.0**-self.digits)
        return value if self.scale == "identity" else np.asarray(np.log(gap))
