"""The columns of a panel of markers, and the base that it is added to."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from data_schema.biomarkers import VARIABLES, is_routine
from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from data_schema.variables import PATHWAYS, Variable, base_name, is_not_done
from training.cohorts.groups import MARKER_PATHWAYS

__all__ = ["USUAL_CARE", "Panel", "panel_among", "panel_of"]

USUAL_CARE = "usual_care"
"""The default base: what is known of any patient without the panel. It holds the person, severity,
renal function and routine chemistry (phosphate, calcium, albumin and CRP among it)."""

_TREATMENTS = ("drivers", "care")
_BONE_MASS = "bone_mass"
_COUNT = "__count"
_JOIN = "+"


@dataclass(frozen=True, slots=True)
class Panel:
    """Columns of a cohort: those of a panel, and those of the base.

    Parameters
    ----------
    added : mapping of str to tuple of str
        Pathway or variable, as requested -> its columns.
    over : tuple of str
        Columns of the base.
    counts : tuple of str
        How often a variable of the panel was measured: which tests were ordered, not their results,
        so that both sides of the comparison hold them.
    not_in_base : tuple of str
        Columns of usual care that the cohort has and the base leaves out.
    """

    added: Mapping[str, tuple[str, ...]]
    over: tuple[str, ...]
    counts: tuple[str, ...] = ()
    not_in_base: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the panel."""
        return tuple(column for members in self.added.values() for column in members)


def panel_of(cohort: Cohort, added: Sequence[str], over: Sequence[str] = ()) -> Panel:
    """Return the columns of pathways or variables that a cohort has; see `panel_among`."""
    columns = tuple(map(str, cohort.features.columns))
    variables = {base_name(column): cohort.variables[base_name(column)] for column in columns}
    return panel_among(columns, variables, added, over)


def panel_among(
    columns: Sequence[str],
    variables: Mapping[str, Variable],
    added: Sequence[str],
    over: Sequence[str] = (),
) -> Panel:
    """Return which of the columns of a table belong to a panel, and which to its base.

    Parameters
    ----------
    columns : sequence of str
    variables : mapping of str to Variable
        Those of the columns, by name.
    added : sequence of str
        Keys of `PATHWAYS`, or variables of the table; several joined by `+` are one part of the
        panel. A pathway stands for its markers: its routine tests belong to the base.
    over : sequence of str
        The base: pathways, variables or `USUAL_CARE` (the default). The routine tests of the
        panel's pathways are added to it. A variable named in one argument is removed from a
        pathway named in the other.

    Raises
    ------
    UsageError
        If a name is neither, the table has no column for it, or a column is on both sides.
    """
    choice = _Choice.of(tuple(columns), variables, [*added, *over])
    panel = {name: choice.markers(name) for name in dict.fromkeys(added)}
    taken = {column for members in panel.values() for column in members}
    tested = {base_name(column) for column in taken}
    counts = {c for c in choice.columns if c.endswith(_COUNT) and base_name(c) in tested}
    usual = set(choice.usual_care())
    stated = {column for name in over or (USUAL_CARE,) for column in choice.base(name)}
    others = stated | set(choice.routine_of(added))
    overlap = len(taken) < sum(map(len, panel.values())) or taken & others
    if overlap or not taken or not others:
        raise UsageError(
            "a panel and the variables that it is compared with must have at least one column each "
            "and none in common. Name each pathway or variable once."
        )
    return Panel(
        added=panel,
        over=choice.ordered(others - counts),
        counts=choice.ordered(counts),
        not_in_base=choice.ordered(usual - others - taken - counts),
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The columns of a table that the names of a panel and of its base stand for."""

    columns: tuple[str, ...]
    variables: Mapping[str, Variable]
    named: frozenset[str]

    @classmethod
    def of(
        cls, columns: tuple[str, ...], variables: Mapping[str, Variable], joined: Sequence[str]
    ) -> Self:
        """Return the columns of a table, and which of its variables are named one by one."""
        names = _names(joined)
        _require_known([name for name in names if name != USUAL_CARE], variables)
        return cls(columns, variables, frozenset(variables.keys() & set(names)))

    def markers(self, joined: str) -> tuple[str, ...]:
        """Return the columns of one part of a panel: named variables, and markers of pathways."""
        members: list[str] = []
        for name in _names([joined]):
            columns = [
                column
                for column in self._members(name)
                if not column.endswith(_COUNT)
                and not is_not_done(column)
                and (name in self.variables or not _is_routine(self._variable(column)))
            ]
            if not columns:
                raise UsageError(
                    f"each part of a panel must have a marker in the cohort; got {name} without "
                    "one. Leave it out; for tests of usual care, name the variables themselves."
                )
            members += columns
        return self.ordered(members)

    def base(self, joined: str) -> tuple[str, ...]:
        """Return the columns of one name of the base."""
        members: list[str] = []
        for name in _names([joined]):
            columns = self.usual_care() if name == USUAL_CARE else self._members(name)
            if not columns:
                raise UsageError(
                    f"each part of a base must have a column in the cohort; got {name} without "
                    "one. Leave it out, or name other pathways or variables."
                )
            members += columns
        return self.ordered(members)

    def usual_care(self) -> tuple[str, ...]:
        """Return what is routine, without treatments and without what is named one by one."""
        return tuple(
            column
            for column in self.columns
            for variable in [self._variable(column)]
            if _is_routine(variable)
            and variable.pathway not in _TREATMENTS
            and base_name(column) not in self.named
        )

    def routine_of(self, added: Sequence[str]) -> tuple[str, ...]:
        """Return the routine tests of the pathways of a panel."""
        pathways = set(_names(added)) - self.variables.keys()
        return tuple(
            column for column in self.usual_care() if self._variable(column).pathway in pathways
        )

    def ordered(self, columns: Collection[str]) -> tuple[str, ...]:
        """Return columns once each, in the cohort's order."""
        return tuple(column for column in self.columns if column in columns)

    def _members(self, name: str) -> tuple[str, ...]:
        return tuple(
            column
            for column in self.columns
            for base in [base_name(column)]
            if base == name or (base not in self.named and self.variables[base].pathway == name)
        )

    def _variable(self, column: str) -> Variable:
        return self.variables[base_name(column)]


def _names(joined: Sequence[str]) -> list[str]:
    """Return each name once, with the parts of those joined by `+`."""
    return list(dict.fromkeys(name for text in joined for name in text.split(_JOIN)))


def _is_routine(variable: Variable) -> bool:
    """Return whether usual care knows a variable; of a site's own numbers, no marker is routine."""
    if variable.name in VARIABLES:
        return is_routine(variable.name)
    return variable.kind != "number" or variable.pathway not in (*MARKER_PATHWAYS, _BONE_MASS)


def _require_known(names: Sequence[str], variables: Mapping[str, Variable]) -> None:
    """Reject a name that is neither a pathway nor a variable of the cohort."""
    known = [*PATHWAYS, *sorted(variables)]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        close = difflib.get_close_matches(unknown[0], [*known, USUAL_CARE], n=3)
        raise UsageError(
            "a panel must consist of pathways or variables of the cohort; "
            f"got {', '.join(unknown)}."
            + (f" Did you mean {' or '.join(close)}?" if close else "")
            + f" Pathways: {', '.join(PATHWAYS)}."
        )
