"""A cohort prepared so that two models differ in the results of a panel of markers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.variables import BELOW, Variable, base_name, not_done_column
from training.cohorts.panel import Panel

__all__ = ["Comparison", "comparison_of"]

_MEASURED = "measured."
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cohort in which a panel is compared with its base.

    Parameters
    ----------
    cohort : Cohort
        With a column of 0 and 1 for each pattern of measurement, and without a settled direction of
        any variable of the panel: a constraint would count for the panel.
    panel : Panel
    ordered : tuple of str
        Columns that say which tests of the panel were done, and how often.
    measured : ndarray of bool, shape (n_stays,)
        Stays in which at least half of the panel's variables were measured.
    flags : mapping of str to str
        Column of 0 and 1 -> the panel's column that it is of.
    """

    cohort: Cohort
    panel: Panel
    ordered: tuple[str, ...]
    measured: NDArray[np.bool_]
    flags: Mapping[str, str]

    @property
    def base(self) -> tuple[str, ...]:
        """Columns of the model without the panel."""
        return (*self.panel.over, *self.ordered)

    @property
    def extended(self) -> tuple[str, ...]:
        """Columns of the model with the panel."""
        return (*self.base, *self.panel.columns)

    def flagged(self, others: Cohort) -> Cohort:
        """Return other patients with the columns of which tests were done."""
        known = _known(others, self.panel)
        columns = {name: known[column].astype(np.float64) for name, column in self.flags.items()}
        features = pd.concat(
            [others.features, pd.DataFrame(columns, index=others.features.index)], axis=1
        )
        return replace(others, features=features, variables=self.cohort.variables)


def comparison_of(cohort: Cohort, panel: Panel) -> Comparison:
    """Return the cohort in which a panel is compared with its base.

    Which tests were done is known to both sides alike: otherwise a panel of noise that is ordered
    more often in the sick would seem to add something. So the base holds a column of 0 and 1,
    without gaps, for each distinct pattern of measurement of the panel's columns, and of what was
    recorded as not done; the columns of that record are in neither model.
    """
    known = _known(cohort, panel)
    flags = {_flag_name(column): column for column in _distinct(known)}
    tested = {base_name(column) for column in panel.columns}
    free = {name: replace(cohort.variables[name], direction={}) for name in tested}
    of_flags = {name: _flag(name, column, cohort) for name, column in flags.items()}
    values = {column: known[column] for column in panel.columns if column in known}
    by_variable = pd.DataFrame(values).T.groupby([*map(base_name, values)]).any()
    comparison = Comparison(
        cohort=replace(cohort, variables={**cohort.variables, **free, **of_flags}),
        panel=panel,
        ordered=(*panel.counts, *flags),
        measured=(by_variable.mean() >= _MOSTLY).to_numpy(dtype=bool),
        flags=flags,
    )
    return replace(comparison, cohort=comparison.flagged(cohort))


def _known(cohort: Cohort, panel: Panel) -> dict[str, NDArray[np.bool_]]:
    """Return where each column of a panel has a value, and what was recorded as not done."""
    features = cohort.features
    has_value = {
        column: features[column].notna().to_numpy()
        for column in panel.columns
        if not column.endswith(f"__{BELOW}")
    }
    not_done = {
        column: (features[column] == 1.0).to_numpy()
        for column in map(not_done_column, sorted({base_name(c) for c in panel.columns}))
        if column in features
    }
    return {**has_value, **not_done}


def _distinct(has_value: dict[str, NDArray[np.bool_]]) -> Iterator[str]:
    """Yield the first column of each pattern of measurement that differs between stays."""
    seen: set[bytes] = set()
    for column, pattern in has_value.items():
        if pattern.any() and not pattern.all() and pattern.tobytes() not in seen:
            yield column
        seen |= {pattern.tobytes(), (~pattern).tobytes()}


def _flag_name(column: str) -> str:
    """Return a name without suffix, so that the flag is a variable of its own."""
    return f"{_MEASURED}{column.replace('__', '.')}"


def _flag(name: str, column: str, cohort: Cohort) -> Variable:
    label = cohort.variables[base_name(column)].label
    return Variable(name, f"{label}: measured", "person", "flag", always_known=True)
