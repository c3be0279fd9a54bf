"""The characteristics of a cohort: each variable by group, with small counts withheld."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, OutcomeData
from data_schema.disclosure import SMALLEST_CELL, hidden_cells
from data_schema.variables import BELOW, base_name, is_not_done, not_done_column
from models.censoring import is_known
from models.inference.contract import Description, Group, VariableInGroup, VariableInGroups

__all__ = [
    "NOT_RECORDED",
    "Grouping",
    "by_outcome",
    "describe",
    "only",
    "recorded_share",
    "standardised_difference",
]

NOT_RECORDED = "not recorded"
_MOST_LEVELS = 12
_OWN_COLUMN = 50
_OTHER = "other"


class Grouping(TypedDict):
    """A partition of a cohort: the labels of its groups, and the group of each stay."""

    labels: list[str]
    group: NDArray[np.int64]


def by_outcome(
    outcome: OutcomeData, horizon_days: float, *, event_label: str, competing: str | None
) -> Grouping:
    """Group stays by outcome at a horizon: event, competing event, neither, or censored before.

    Empty groups are left out. Fewer than `_OWN_COLUMN` stays with a competing event, or censored,
    are counted with those without a known event: so small a group would make it necessary to
    withhold many counts of the others. `event_label` is in the singular.
    """
    time, event = outcome.time_days, outcome.event
    within = time <= horizon_days
    censored = ~is_known(time, event, horizon_days)
    group = np.select(
        [censored, within & (event == 1), within & (event == 2)], [3, 0, 1], default=2
    )
    few = [number for number in (1, 3) if 0 < (group == number).sum() < _OWN_COLUMN]
    group[np.isin(group, few)] = 2
    labels = {
        0: f"{event_label} by day {horizon_days:g}",
        1: f"{competing or 'another event'} first",
        2: f"no {event_label} {'known ' if few else ''}by then"
        if few or not competing
        else "neither by then",
        3: "censored before then",
    }
    present = [number for number in labels if (group == number).any()]
    return Grouping(
        labels=[labels[number] for number in present], group=np.searchsorted(present, group)
    )


def describe(
    cohort: Cohort,
    groupings: Sequence[Grouping] = (),
    *,
    whole: str = "all",
    like: Description | None = None,
) -> Description:
    """Return every variable of a cohort, over all stays and by group.

    A count is given if it stands for at least `SMALLEST_CELL` patients and no smaller count follows
    from it and all others (`data_schema.disclosure`). Of simulated patients every count is given.

    Parameters
    ----------
    cohort : Cohort
    groupings : sequence of Grouping, optional
        Partitions of the cohort.
    whole : str
        Label of all stays.
    like : Description, optional
        The description whose levels of categories are used, so that both can be compared.
    """
    counts = _Counts(cohort.patient_id, groupings, simulated=cohort.simulated)
    one_level = np.zeros(len(cohort), dtype=np.int64)
    labels = [whole, *(label for grouping in groupings for label in grouping["labels"])]
    groups = [
        Group(label=label, stays=None if hide else int(number))
        for label, number, hide in zip(
            labels, counts.stays(one_level, 1)[0], counts.hidden(one_level, 1)[0], strict=True
        )
    ]
    named = {v["name"]: v["levels"] for v in like["variables"]} if like else {}
    return Description(groups=groups, variables=list(_variables(cohort, counts, named)))


def only(description: Description, labels: Sequence[str]) -> Description:
    """Return a description with the groups of the given labels, in their order."""
    places = [[g["label"] for g in description["groups"]].index(label) for label in labels]
    return Description(
        groups=[description["groups"][place] for place in places],
        variables=[
            {**variable, "groups": [variable["groups"][place] for place in places]}
            for variable in description["variables"]
        ],
    )


def recorded_share(values: VariableInGroup) -> float | None:
    """Return the share of stays in which a variable was recorded; None where it is withheld."""
    if None in values["levels"]:
        return None
    counts = [count or 0 for count in values["levels"]]
    return 1 - counts[-1] / max(sum(counts), 1)


def standardised_difference(first: VariableInGroup, second: VariableInGroup) -> float | None:
    """Return the difference of two groups in a variable, in standard deviations.

    0 is no difference; above 0.1 is often called an imbalance. None where a count is withheld or
    the variable does not vary. Both groups must have the same levels.

    Notes
    -----
    Numbers: absolute difference of means over the root of the mean variance. Levels: the
    Mahalanobis distance of the shares among those recorded [1]_.

    References
    ----------
    .. [1] Yang & Dalton. SAS Global Forum 2012, paper 335.
    """
    if first["mean"] is not None and second["mean"] is not None:
        spread = np.sqrt(((first["deviation"] or 0) ** 2 + (second["deviation"] or 0) ** 2) / 2)
        return float(abs(first["mean"] - second["mean"]) / spread) if spread > 0 else None
    if None in first["levels"] or None in second["levels"] or len(first["levels"]) < 3:
        return None
    shares = [np.array(values["levels"][:-1], dtype=float) for values in (first, second)]
    if min(share.sum() for share in shares) < SMALLEST_CELL:
        return None
    p, q = (share[1:] / share.sum() for share in shares)
    covariance = sum((np.diag(share) - np.outer(share, share)) / 2 for share in (p, q))
    gap = p - q
    return float(np.sqrt(gap @ np.linalg.pinv(covariance) @ gap))


class _Counts:
    """Counts of stays and patients by level, overall and by group."""

    def __init__(
        self,
        patient_id: NDArray[np.object_],
        groupings: Sequence[Grouping],
        *,
        simulated: bool,
    ) -> None:
        self._simulated = simulated
        self.smallest = 2 if simulated else SMALLEST_CELL
        whole = Grouping(labels=[""], group=np.zeros(len(patient_id), dtype=np.int64))
        self.partitions = [len(grouping["labels"]) for grouping in groupings]
        starts = np.cumsum([0, 1, *self.partitions])
        self.column_of = [
            start + grouping["group"]
            for start, grouping in zip(starts, [whole, *groupings], strict=False)
        ]
        self.n_columns = int(starts[-1])
        self._patient = np.unique(patient_id.astype(str), return_inverse=True)[1]
        self._once = len(np.unique(self._patient)) == len(self._patient)

    def stays(self, level: NDArray[np.int64], n_levels: int) -> NDArray[np.int64]:
        """Return stays by level (rows), overall and by group (columns)."""
        return self._by(level, n_levels, np.arange(len(level)))

    def patients(self, level: NDArray[np.int64], n_levels: int) -> NDArray[np.int64]:
        """Return patients by level and group, each counted once in a cell."""
        return self._by(level, n_levels, np.arange(len(level)) if self._once else self._patient)

    def hidden(self, level: NDArray[np.int64], n_levels: int) -> NDArray[np.bool_]:
        """Return which cells must be withheld: none of simulated patients."""
        patients = self.patients(level, n_levels)
        if self._simulated:
            return np.zeros(patients.shape, dtype=bool)
        return hidden_cells(patients, self.partitions)

    def rows(self, column: int) -> NDArray[np.bool_]:
        """Return which stays are in a column."""
        return next(of == column for of in self.column_of if (of == column).any())

    def _by(
        self, level: NDArray[np.int64], n_levels: int, unit: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        counts = np.zeros((n_levels, self.n_columns), dtype=np.int64)
        for column in self.column_of:
            cell = level * self.n_columns + column
            once = np.unique(unit * counts.size + cell) % counts.size
            counts += np.bincount(once, minlength=counts.size).reshape(counts.shape)
        return counts


def _variables(
    cohort: Cohort, counts: _Counts, named: Mapping[str, list[str]]
) -> Iterator[VariableInGroups]:
    for name in map(str, cohort.features.columns):
        if is_not_done(name):
            continue  # counted with its variable
        variable = cohort.variables[base_name(name)]
        suffix = name.removeprefix(base_name(name)).removeprefix("__")
        kind = "flag" if suffix == BELOW else "number" if suffix else variable.kind
        column = cohort.features[name]
        levels, level = _levels(column, kind, named.get(name))
        yield VariableInGroups(
            name=name,
            label=_label(variable.label, suffix),
            unit=variable.unit if kind == "number" else "",
            pathway=variable.pathway,
            kind=kind,
            levels=levels,
            groups=_in_groups(column, kind, level, len(levels), counts, _not_done(cohort, name)),
        )


def _not_done(cohort: Cohort, name: str) -> NDArray[np.bool_] | None:
    """Return where a variable is recorded as not done; None if the cohort does not state it."""
    flag = not_done_column(name)
    if cohort.not_done is None or flag not in cohort.not_done:
        return None
    return (cohort.not_done[flag] == 1.0).to_numpy()


def _label(label: str, suffix: str) -> str:
    if suffix == BELOW:
        return f"{label}: below its detection limit"
    return f"{label} ({suffix})" if suffix else label


def _levels(
    column: pd.Series[Any], kind: str, like: list[str] | None
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the levels of a column, `NOT_RECORDED` last, and the level of each stay."""
    recorded = column.notna().to_numpy()
    if kind == "number":
        return ["recorded", NOT_RECORDED], np.where(recorded, 0, 1)
    if kind == "flag":
        return ["yes", "no", NOT_RECORDED], np.where(~recorded, 2, np.where(column == 1, 0, 1))
    stays = column.value_counts()
    named = [str(level) for level, number in stays.items() if number >= SMALLEST_CELL]
    names = [*named[:_MOST_LEVELS], NOT_RECORDED] if like is None else list(like)
    if set(stays.index.astype(str)) - set(names) and _OTHER not in names:
        names.insert(-1, _OTHER)
    place = {level: number for number, level in enumerate(names)}
    level = [place.get(str(value), place.get(_OTHER, 0)) for value in column]
    return names, np.where(recorded, level, len(names) - 1).astype(np.int64)


def _in_groups(
    column: pd.Series[Any],
    kind: str,
    level: NDArray[np.int64],
    n_levels: int,
    counts: _Counts,
    not_done: NDArray[np.bool_] | None,
) -> list[VariableInGroup]:
    patients, stays = counts.patients(level, n_levels), counts.stays(level, n_levels)
    hidden = counts.hidden(level, n_levels)
    values = column.to_numpy(dtype=float) if kind == "number" else None
    described = []
    for at in range(stays.shape[1]):
        variable = VariableInGroup(
            levels=[
                None if hide else int(number)
                for number, hide in zip(stays[:, at], hidden[:, at], strict=True)
            ],
            quartiles=None,
            mean=None,
            deviation=None,
        )
        if values is not None and patients[0, at] >= counts.smallest:
            recorded = values[(level == 0) & counts.rows(at)]
            variable["quartiles"] = np.quantile(recorded, [0.25, 0.5, 0.75]).tolist()
            variable["mean"] = float(recorded.mean())
            variable["deviation"] = float(recorded.std(ddof=1))
        described.append(variable)
    if not_done is not None:
        # Of the stays without a value, those not entered become a further level.
        states = np.where(not_done, level, level + (level == n_levels - 1))
        stays, hidden = counts.stays(states, n_levels + 1), counts.hidden(states, n_levels + 1)
        for at, variable in enumerate(described):
            hide = hidden[-2:, at].any() or variable["levels"][-1] is None
            variable["not_done"] = None if hide else int(stays[-2, at])
    return described
