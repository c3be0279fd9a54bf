"""Count where the values of patients lie in the training cohort, without counting one patient.

Counts are released for some patients at a time: a counter that moved with each request would tell
where the values of the last patient lie.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from data_schema.disclosure import SMALLEST_CELL
from models.inference.contract import Contract
from models.inference.risk_model import Table

__all__ = ["InputBatches", "InputCount", "Place"]

Place = Literal["below", "within", "above", "missing"]
"""Below the lower or above the upper quartile of the training cohort, between them, not entered."""


class InputCount(Protocol):
    """Counts values of one variable."""

    def __call__(self, variable: str, place: Place, number: int) -> None:
        """Add a number of patients."""


@dataclass(slots=True)
class InputBatches:
    """The counts of one model that are not released yet."""

    _patients: int = 0
    _counts: Counter[tuple[str, Place]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, contract: Contract, table: Table, count: InputCount) -> None:
        """Add one patient, and count all that are waiting if they are `SMALLEST_CELL`.

        Parameters
        ----------
        contract : Contract
            Of the model.
        table : Table
            One row, as the model reads it.
        count : callable
        """
        places = [
            (name, _place(table, name, low, high))
            for name, (low, high) in _quartiles(_ById(contract)).items()
        ]
        with self._lock:
            self._counts.update(places)
            self._patients += 1
            if self._patients < SMALLEST_CELL:
                return
            released, self._counts, self._patients = self._counts, Counter(), 0
        for (variable, place), number in released.items():
            count(variable, place, number)


def _place(table: Table, name: str, low: float, high: float) -> Place:
    value = float(table.numbers[name][0])
    if np.isnan(value):
        return "missing"
    return "below" if value < low else "above" if value > high else "within"


@dataclass(frozen=True, slots=True, eq=False)
class _ById:
    """A contract that is compared by identity, so that its quartiles are read once."""

    contract: Contract

    def __hash__(self) -> int:
        return id(self.contract)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.contract is other.contract


@lru_cache(maxsize=8)
def _quartiles(by_id: _ById) -> Mapping[str, tuple[float, float]]:
    """Return the outer quartiles of each number of the training cohort that the bundle states."""
    described = by_id.contract.described
    names = {feature.name for feature in by_id.contract.features}
    found = {}
    for variable in described["variables"] if described else ():
        quartiles = variable["groups"][0]["quartiles"]
        if variable["name"] in names and variable["kind"] == "number" and quartiles:
            found[variable["name"]] = quartiles[0], quartiles[2]
    return found
