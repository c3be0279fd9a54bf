"""A score as the sum of components, what a missing component counts, and where points come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.derived.columns import Columns
from data_schema.derived.points import PointRange, sum_of

__all__ = ["Component", "Missing", "PointOrigin", "Score", "Scored"]

Numbers = NDArray[np.float64]

Missing = Literal["normal", "missing", "worst"]
"""What a component that is not settled counts: the fewest points that agree with what is recorded
(what is not recorded is taken to be normal); no points, so that the score is missing too; or the
most points that agree with it."""

PointOrigin = Literal["recorded", "assumed_normal", "assumed_worst", "missing"]
"""Where the points of a component come from. `assumed_normal` and `assumed_worst`: something that
decides them is not recorded."""

_UNSETTLED: Mapping[Missing, PointOrigin] = {
    "normal": "assumed_normal",
    "missing": "missing",
    "worst": "assumed_worst",
}


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a score.

    Parameters
    ----------
    name, label : str
        Its name in code and tables, and what a clinician reads.
    reads : tuple of str
        Variables that decide its points, without the suffix of a feature.
    most : int
        The most points it can count.
    points : callable
        From columns to the points that agree with what is recorded.
    """

    name: str
    label: str
    reads: tuple[str, ...]
    most: int
    points: Callable[[Columns], PointRange]


@dataclass(frozen=True, slots=True)
class Scored:
    """A score of each patient, and how it came about.

    Parameters
    ----------
    total : ndarray of float, shape (n_rows,)
        Points; NaN where the policy leaves a component out, or too little is recorded.
    fewest, most : ndarray of float, shape (n_rows,)
        The lowest and the highest total that agree with what is recorded; equal where every
        component is settled.
    points : DataFrame of float, shape (n_rows, n_components)
        Points as counted in the total; NaN where the policy is `missing`.
    origin : DataFrame of str, shape (n_rows, n_components)
        A `PointOrigin` for each of the points.
    n_recorded : ndarray of int, shape (n_rows,)
        Components of which anything is recorded.
    """

    total: Numbers
    fewest: Numbers
    most: Numbers
    points: pd.DataFrame
    origin: pd.DataFrame
    n_recorded: NDArray[np.int64]

    @property
    def is_settled(self) -> NDArray[np.bool_]:
        """Where every component is recorded, so that no policy decides."""
        return np.asarray(self.fewest == self.most)


@dataclass(frozen=True, slots=True)
class Score:
    """A score of the catalogue: its components and the paper that defines it."""

    name: str
    components: tuple[Component, ...]
    source: str

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that decide it, each once, without the suffix of a feature."""
        return tuple(dict.fromkeys(name for one in self.components for name in one.reads))

    def of(
        self,
        columns: Columns,
        *,
        missing: Missing | Mapping[str, Missing],
        least_recorded: int = 1,
    ) -> Scored:
        """Return the score of each patient.

        Parameters
        ----------
        columns : Columns
            In canonical units. `<name>__min` and `<name>__max` hold the worst of the 24 hours;
            where they are not recorded, `<name>` stands for both.
        missing : {"normal", "missing", "worst"} or mapping of str to them
            What a component that is not settled counts; by component, each must be named.
        least_recorded : int
            The score is missing where anything is recorded of fewer components than this.

        Raises
        ------
        ValueError
            If `missing` does not name exactly the components of the score.
        """
        policies = self._policies(missing)
        names = [component.name for component in self.components]
        ranges = {component.name: component.points(columns) for component in self.components}
        counted = {name: _counted(ranges[name], policies[name]) for name in names}
        recorded = np.column_stack([_is_recorded(one, columns) for one in self.components])
        n_recorded = recorded.sum(axis=1)
        whole = sum_of([*ranges.values()])
        total = np.add.reduce([*counted.values()])
        return Scored(
            total=np.where(n_recorded >= least_recorded, total, np.nan),
            fewest=whole.fewest,
            most=whole.most,
            points=pd.DataFrame(counted),
            origin=pd.DataFrame({name: _origin(ranges[name], policies[name]) for name in names}),
            n_recorded=n_recorded,
        )

    def _policies(self, missing: Missing | Mapping[str, Missing]) -> Mapping[str, Missing]:
        names = [component.name for component in self.components]
        if isinstance(missing, str):
            return dict.fromkeys(names, missing)
        if set(missing) != set(names):
            raise ValueError(f"missing must name each component once: {', '.join(names)}.")
        return missing


def _is_recorded(component: Component, columns: Columns) -> NDArray[np.bool_]:
    recorded = [columns.recorded(name) for name in component.reads]
    return np.asarray(np.logical_or.reduce(recorded), dtype=np.bool_)


def _counted(points: PointRange, policy: Missing) -> Numbers:
    if policy == "worst":
        return points.most
    if policy == "normal":
        return points.fewest
    return np.where(points.fewest == points.most, points.fewest, np.nan)


def _origin(points: PointRange, policy: Missing) -> NDArray[np.object_]:
    recorded: PointOrigin = "recorded"
    return np.where(points.fewest == points.most, recorded, _UNSETTLED[policy]).astype(object)
