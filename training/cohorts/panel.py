"""Which columns of a cohort a panel of markers is, and which ones it is judged over."""

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
    """Columns of a cohort, by the name under which they were asked for.

    Parameters
    ----------
    added : mapping of str to tuple of str
        Pathway or variable -> its columns: what is judged.
    over : tuple of str
        Columns that are there in any case.
    """

    added: Mapping[str, tuple[str, ...]]
    over: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are judged."""
        return tuple(column for members in self.added.values() for column in members)


def panel_of(cohort: Cohort, added: Sequence[str], over: Sequence[str] = ()) -> Panel:
    """Return the columns of pathways or variables that a cohort has.

    Parameters
    ----------
    cohort : Cohort
    added, over : sequence of str
        Keys of `PATHWAYS`, or variables of the cohort; several joined by `+` are one part of the
        panel. A variable named in one of them is taken out of a pathway named in the other. Without
        `over`, everything that is not added.

    Returns
    -------
    Panel

    Raises
    ------
    UsageError
        If a name is neither, the cohort has nothing of it, or something is on both sides.
    """
    columns = list(map(str, cohort.features.columns))
    variables = {base_name(column) for column in columns}
    single = [name for joined in (*added, *over) for name in joined.split(_JOIN)]
    _require_known(single, variables)
    named = variables & set(single)

    def members(joined: str) -> tuple[str, ...]:
        wanted = set(joined.split(_JOIN))
        return tuple(
            column
            for column in columns
            for base in [base_name(column)]
            if base in wanted or (base not in named and cohort.variables[base].pathway in wanted)
        )

    by_name = {name: members(name) for name in dict.fromkeys(added)}
    taken = {column for group in by_name.values() for column in group}
    if over:
        kept = tuple(column for name in dict.fromkeys(over) for column in members(name))
    else:
        kept = tuple(column for column in columns if column not in taken)
    empty = [name for name in dict.fromkeys(single) if not members(name)]
    if empty:
        raise UsageError(
            f"pathways must have a column in the cohort; {', '.join(empty)} have none. "
            "Leave them out."
        )
    overlap = len(taken) < sum(map(len, by_name.values())) or taken & set(kept)
    if overlap or not taken or not kept:
        raise UsageError(
            "a panel must be judged over other variables than its own, at least one on each side; "
            "it is not. Name each pathway or variable once."
        )
    return Panel(by_name, kept)


def part_label(name: str) -> str:
    """Return what a reader calls a part of a panel.

    Parameters
    ----------
    name : str
        Key of `PATHWAYS`, or variable; or several joined by `+`.

    Returns
    -------
    str

    Examples
    --------
    >>> part_label("resorption+p1np")
    'Bone resorption + p1np'
    """
    return " + ".join(PATHWAYS.get(one, one) for one in name.split(_JOIN))


def _require_known(names: Sequence[str], variables: set[str]) -> None:
    """Refuse a name that is neither a pathway nor a variable of the cohort."""
    known = [*PATHWAYS, *sorted(variables)]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=3)
        raise UsageError(
            "a panel must be made of pathways or of variables of the cohort; "
            f"{', '.join(unknown)} are neither."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
            + f" Pathways: {', '.join(PATHWAYS)}."
        )
