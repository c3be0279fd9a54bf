"""The columns of a panel of markers, and the variables that it is added to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from data_schema.variables import PATHWAYS, base_name

__all__ = ["Panel", "panel_of", "part_label"]

_JOIN = "+"


@dataclass(frozen=True, slots=True)
class Panel:
    """Columns of a cohort: those of a panel, and those of the model without it.

    Parameters
    ----------
    added : mapping of str to tuple of str
        Pathway or variable, as requested -> its columns.
    over : tuple of str
        Columns of the model without the panel.
    """

    added: Mapping[str, tuple[str, ...]]
    over: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the panel."""
        return tuple(column for members in self.added.values() for column in members)


def panel_of(cohort: Cohort, added: Sequence[str], over: Sequence[str] = ()) -> Panel:
    """Return the columns of pathways or variables that a cohort has.

    Parameters
    ----------
    cohort : Cohort
    added, over : sequence of str
        Keys of `PATHWAYS`, or variables of the cohort; several joined by `+` are one part of the
        panel. A variable named in one argument is removed from a pathway named in the other. By
        default, `over` is every column that is not added.

    Raises
    ------
    UsageError
        If a name is neither, the cohort has no column for it, or a column is on both sides.
    """
    columns = list(map(str, cohort.features.columns))
    variables = {base_name(column) for column in columns}
    single = [name for joined in (*added, *over) for name in joined.split(_JOIN)]
    _require_known(single, variables)
    named = variables & set(single)

    def members(joined: str) -> tuple[str, ...]:
        names = set(joined.split(_JOIN))
        return tuple(
            column
            for column in columns
            for base in [base_name(column)]
            if base in names or (base not in named and cohort.variables[base].pathway in names)
        )

    by_name = {name: members(name) for name in dict.fromkeys(added)}
    taken = {column for group in by_name.values() for column in group}
    if over:
        others = tuple(column for name in dict.fromkeys(over) for column in members(name))
    else:
        others = tuple(column for column in columns if column not in taken)
    empty = [name for name in dict.fromkeys(single) if not members(name)]
    if empty:
        raise UsageError(
            f"pathways must have a column in the cohort; got {', '.join(empty)} without one. "
            "Leave them out."
        )
    overlap = len(taken) < sum(map(len, by_name.values())) or taken & set(others)
    if overlap or not taken or not others:
        raise UsageError(
            "a panel and the variables that it is compared with must have at least one column each "
            "and none in common. Name each pathway or variable once."
        )
    return Panel(by_name, others)


def part_label(name: str) -> str:
    """Return the label of a part of a panel: a pathway or variable, or several joined by `+`.

    Examples
    --------
    >>> part_label("resorption+p1np")
    'Bone resorption + p1np'
    """
    return " + ".join(PATHWAYS.get(part, part) for part in name.split(_JOIN))


def _require_known(names: Sequence[str], variables: set[str]) -> None:
    """Reject a name that is neither a pathway nor a variable of the cohort."""
    known = [*PATHWAYS, *sorted(variables)]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=3)
        raise UsageError(
            "a panel must consist of pathways or variables of the cohort; "
            f"got {', '.join(unknown)}."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
            + f" Pathways: {', '.join(PATHWAYS)}."
        )
