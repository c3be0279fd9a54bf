"""Blanks drawn into training patients, so that both parts learn that a value may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_schema.variables import Variable, base_name, is_not_done
from models.inference.matrices import level_columns
from models.inference.parameters import Encoding

__all__ = ["RECORDED_SHARE", "Blanking"]

RECORDED_SHARE = 0.75
"""Weight of patients as recorded, in fits and choices; the same with blanks have the rest. Chosen
on a simulated cohort: an even split was no better with blanks, and worse for complete records."""

MOST_BLANK = 0.97
"""Largest probability with which a variable or panel is blanked."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Blanking:
    """Which columns of the raw matrix are blanked together.

    Attributes
    ----------
    variable : ndarray of int, shape (n_columns,)
        Of each column; the features of a variable are blanked together.
    panel : ndarray of int, shape (n_variables,)
        Of each variable: those that are measured together. A pathway of the catalogue is a panel; a
        variable outside the catalogue is a panel of its own.
    flags : ndarray of bool, shape (n_columns,)
        Columns that record that something was not done: blanked, they are 0.
    known : ndarray of bool, shape (n_variables,)
        Variables that are never blanked.
    """

    variable: NDArray[np.int64]
    panel: NDArray[np.int64]
    flags: Mask
    known: Mask

    @classmethod
    def of(cls, encoding: Encoding, variables: Mapping[str, Variable]) -> Self:
        """Return the variables and panels of the columns of `matrices.raw_matrix`."""
        features = [*encoding.numbers, *(name for name, _ in level_columns(encoding))]
        bases = list(dict.fromkeys(map(base_name, features)))
        panels = [variables[b].pathway if b in variables else f"={b}" for b in bases]
        distinct = list(dict.fromkeys(panels))
        return cls(
            variable=np.array([bases.index(base_name(name)) for name in features]),
            panel=np.array([distinct.index(panel) for panel in panels]),
            flags=np.array([is_not_done(name) for name in features]),
            known=np.array([b in variables and variables[b].always_known for b in bases]),
        )

    def draw(self, rows: int, rng: np.random.Generator) -> Mask:
        """Return which variables to blank, (rows, n_variables).

        Each row draws a probability between 0 and `MOST_BLANK` and then blanks with it either each
        variable or each panel, so that the model meets scattered gaps and whole blocks.
        """
        share = rng.uniform(0.0, MOST_BLANK, (rows, 1))
        by_variable = rng.random((rows, len(self.panel)))
        by_panel = rng.random((rows, int(self.panel.max()) + 1))
        together = rng.random((rows, 1)) < 0.5
        # Compared first: truth values are an eighth of the numbers to move.
        blank = np.where(together, (by_panel < share)[:, self.panel], by_variable < share)
        return np.asarray(blank & ~self.known)

    def apply(self, raw: Floats, blank: Mask) -> Floats:
        """Return rows of the raw matrix, (rows, n_columns), with the given variables blanked."""
        blanked = np.where(self.flags, 0.0, np.nan)
        out: Floats = np.where(blank[:, self.variable], blanked, raw)
        return out
