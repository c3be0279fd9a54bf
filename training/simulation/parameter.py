"""The source of a number in the simulation: its row in the evidence sheet, and its mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Basis", "Mark", "assumed"]

Mark = Literal["seen", "derived", "background", "seed", "assumed"]
"""Marks of the evidence sheet, and `assumed` for a number without direct evidence."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The source of a number: section and row of the evidence sheet ("" if none), and its mark."""

    row: str
    mark: Mark


def assumed(row: str = "") -> Basis:
    """Return the basis of a number chosen freely, or to reproduce the published figure in `row`."""
    return Basis(row, "assumed")
