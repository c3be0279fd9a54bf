"""What a number of the simulation rests on: its row in the evidence sheet, and its mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Basis", "Mark", "assumed"]

Mark = Literal["seen", "derived", "background", "seed", "assumed"]
"""As the evidence sheet marks its rows, and `assumed`, which is to be questioned."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Where a number comes from.

    Parameters
    ----------
    row : str
        Section of the evidence sheet and its row; "" where no row supports the number.
    mark : str
        `seen`, `derived`, `background` or `seed` as in the sheet, or `assumed`.
    """

    row: str
    mark: Mark


def assumed(row: str = "") -> Basis:
    """Return the basis of a number chosen so that a published figure comes out, or chosen freely.

    Parameters
    ----------
    row : str
        The published figure it is to reproduce.
    """
    return Basis(row, "assumed")
