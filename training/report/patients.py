"""The patients of a report: flow, characteristics by outcome, and missing data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_schema.disclosure import SMALLEST_CELL, shown_count
from data_schema.printed_units import printed_unit, with_unit
from data_schema.variables import BELOW, PATHWAYS
from models.inference.contract import Description, VariableInGroup, VariableInGroups
from training.cohorts.description import recorded_share, standardised_difference
from training.cohorts.flow import AtHorizon, FlowStep
from training.report.content import Box, Section, Table

__all__ = ["comparison_table", "flow_section", "missing_table", "table_one"]

_WITHHELD = "*"

_BELOW = f"__{BELOW}"

_MOST_MISSING = 20
_BEYOND_CHANCE = 3.0
_IMBALANCE = 0.1

_NOTE_NUMBERS = (
    "Numerical variables: median (first to third quartile). Others: stays (% of those recorded)."
)
_NOTE_WITHHELD = (
    f"{_WITHHELD} Withheld: fewer than {SMALLEST_CELL} patients, or a count from which such a "
    "number could be derived."
)


def flow_section(
    steps: Mapping[str, FlowStep], *, whole: str, event: str, competing: str | None
) -> Section:
    """Return the flow of patients as boxes and, by horizon, their outcomes as a table.

    `steps` maps the title of each group to its flow; `whole` is the title of all groups together,
    and `event` is in the singular.
    """
    patients = sum(step.patients for step in steps.values())
    stays = sum(step.stays for step in steps.values())
    parts = tuple(_box(title, step) for title, step in steps.items())
    return Section(
        "Patient flow",
        ("A cohort is read completely or not at all: no row is dropped without notice.",),
        tables=(_outcome_table(steps, event, competing),),
        flow=parts if len(parts) == 1 else (Box(whole, (_size(patients, stays),), parts),),
    )


def table_one(description: Description, *, caption: str) -> Table:
    """Return the characteristics of the patients, overall and by group."""
    groups = description["groups"]
    rows: list[tuple[str, ...]] = [("Stays", "", *(_count(group["stays"]) for group in groups))]
    for heading, variables in _by_pathway(description):
        rows.append((heading,))
        for variable in variables:
            rows += _rows_of(variable)
    return Table(
        caption,
        ("", "recorded", *(group["label"] for group in groups)),
        tuple(rows),
        (_NOTE_NUMBERS, *_withheld(rows)),
        numbers=True,
    )


def comparison_table(
    first: Description, second: Description, *, labels: tuple[str, str], caption: str
) -> Table:
    """Return two cohorts side by side, with standardised differences.

    The first group of each is shown; variables that only one cohort has are left out.
    """
    others = {variable["name"]: variable for variable in second["variables"]}
    sizes = (_count(description["groups"][0]["stays"]) for description in (first, second))
    rows: list[tuple[str, ...]] = [("Stays", *sizes, "")]
    similar = 0
    for heading, variables in _by_pathway(first):
        shared = [v for v in variables if v["name"] in others]
        apart = [v for v in shared if _is_apart(v, others[v["name"]])]
        similar += len(shared) - len(apart)
        rows += [(heading,)] if apart else []
        for variable in apart:
            rows += _compared(variable, others[variable["name"]])
    return Table(
        caption,
        ("", *labels, "standardised difference"),
        tuple(rows),
        (
            _NOTE_NUMBERS,
            f"Only variables that differ by more than {_IMBALANCE:g} standard deviations, which is "
            f"often called an imbalance; {similar} others do not.",
            *_withheld(rows),
        ),
        numbers=True,
    )


def _is_apart(variable: VariableInGroups, other: VariableInGroups) -> bool:
    """Return whether two cohorts differ in a variable by more than `_IMBALANCE`."""
    second = _relevelled(other, variable["levels"])
    if second is None:
        return True
    distance = standardised_difference(variable["groups"][0], second)
    return distance is not None and distance > _IMBALANCE


def missing_table(description: Description, *, caption: str) -> Table | None:
    """Return the variables whose recorded share differs between the groups by more than chance.

    Whether a variable was recorded then tells of the outcome. Complete variables, flags of values
    below a limit and withheld counts are left out; None where nothing is left. The largest
    differences come first, at most `_MOST_MISSING`.
    """
    differing = sorted(
        (
            (gap, variable)
            for variable in description["variables"]
            if not variable["name"].endswith(_BELOW)
            for gap in [_beyond_chance(variable["groups"][1:])]
            if gap is not None
        ),
        key=lambda pair: -pair[0],
    )[:_MOST_MISSING]
    if not differing:
        return None
    rows = [
        (variable["label"], *(_missing(values) for values in variable["groups"]))
        for _, variable in differing
    ]
    return Table(
        caption,
        ("", *(group["label"] for group in description["groups"])),
        tuple(rows),
        (
            "Only variables whose shares differ by more than chance between outcomes (z above 3), "
            f"the largest differences first, at most {_MOST_MISSING}; the share recorded of every "
            "variable is in the table of characteristics.",
            *_withheld(rows),
        ),
        numbers=True,
    )


def _beyond_chance(groups: Sequence[VariableInGroup]) -> float | None:
    """Return the largest difference in the share recorded, where it is more than chance."""
    known = [
        (share, sum(count or 0 for count in values["levels"]))
        for values in groups
        if (share := recorded_share(values)) is not None
    ]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    pooled = (low[0] * low[1] + high[0] * high[1]) / max(low[1] + high[1], 1)
    error = np.sqrt(pooled * (1 - pooled) * (1 / max(low[1], 1) + 1 / max(high[1], 1)))
    return high[0] - low[0] if error > 0 and high[0] - low[0] > _BEYOND_CHANCE * error else None


def _percent(share: float) -> str:
    """Return a share in whole percent; only an exact 0 or 1 is printed as 0 % or 100 %.

    Examples
    --------
    >>> _percent(0.614), _percent(0.9991), _percent(0.0), _percent(0.002)
    ('61 %', '> 99 %', '0 %', '< 1 %')
    """
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def _size(patients: int, stays: int) -> str:
    if patients == stays:
        return f"{shown_count(patients)} patients"
    return f"{shown_count(patients)} patients with {shown_count(stays)} stays"


def _box(title: str, step: FlowStep) -> Box:
    """Return one group, with refused and answered stays below it."""
    lines = (_size(step.patients, step.stays), _follow_up(step.median_follow_up_days))
    if not step.n_refused:
        return Box(title, lines)
    reasons = tuple(
        f"{code.replace('_', ' ')}: {shown_count(number)}" for code, number in step.refused.items()
    )
    small = step.n_refused < SMALLEST_CELL
    rest = "all other stays" if small else f"{step.stays - step.n_refused:,} stays"
    refused = Box("Refused by the model", (f"{shown_count(step.n_refused)} stays", *reasons))
    return Box(title, lines, (refused, Box("Given a risk", (rest,))))


def _follow_up(days: float) -> str:
    if not np.isfinite(days):
        return "median follow-up not reached (fewer than half were censored)"
    return f"median follow-up {days:,.0f} days (reverse Kaplan-Meier)"


def _outcome_table(steps: Mapping[str, FlowStep], event: str, competing: str | None) -> Table:
    rows = [
        (
            f"{title}, by day {at.horizon_days:g}",
            *_outcome_counts(at, competing=competing is not None),
        )
        for title, step in steps.items()
        for at in step.at_horizons
    ]
    others = (f"{competing} first", "neither") if competing else (f"no {event}",)
    return Table(
        "Outcome by each horizon (stays)",
        ("", event, *others, "censored before"),
        tuple(rows),
        _withheld(rows),
        numbers=True,
    )


def _withheld(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the note on withheld counts, if there are any."""
    return (_NOTE_WITHHELD,) if any(_WITHHELD in row for row in rows) else ()


def _outcome_counts(at: AtHorizon, *, competing: bool) -> tuple[str, ...]:
    counts = (at.event, *((at.competing,) if competing else ()), at.neither, at.lost)
    return tuple(map(_count, counts))


def _count(number: int | None) -> str:
    return _WITHHELD if number is None else f"{number:,}"


def _by_pathway(description: Description) -> Iterator[tuple[str, list[VariableInGroups]]]:
    """Yield each pathway with its variables, the pathway of the person first."""
    for key in ("person", *(key for key in PATHWAYS if key != "person")):
        members = [v for v in description["variables"] if v["pathway"] == key]
        if members:
            yield PATHWAYS[key], _limits_after_values(members)


def _limits_after_values(members: Sequence[VariableInGroups]) -> list[VariableInGroups]:
    """Return variables, each followed by its flag of values below the detection limit."""
    place = {member["name"]: at for at, member in enumerate(members)}

    def key(member: VariableInGroups) -> tuple[int, bool]:
        name = member["name"].removesuffix(_BELOW)
        return place.get(name, place[member["name"]]), name != member["name"]

    return sorted(members, key=key)


def _rows_of(variable: VariableInGroups) -> Iterator[tuple[str, ...]]:
    groups = variable["groups"]
    recorded = _recorded(groups[0])
    label = _label(variable)
    if variable["kind"] == "number":
        yield (label, recorded, *_quartiles(groups))
    elif variable["kind"] == "flag":
        yield (label, recorded, *(_level(values, 0) for values in groups))
    else:
        yield (label, recorded, *("" for _ in groups))
        for place, level in enumerate(variable["levels"][:-1]):
            yield (_indented(level), "", *(_level(values, place) for values in groups))
    if any("not_done" in values for values in groups):
        for place, state in enumerate(("recorded as not done", "not entered")):
            cells = (_count(_without_value(values)[place]) for values in groups)
            yield (_indented(state), "", *cells)


def _recorded(values: VariableInGroup) -> str:
    """Return the share recorded; where fewer than `SMALLEST_CELL` lack a value, that nearly all."""
    share = recorded_share(values)
    if share is not None:
        return _percent(share)
    return "nearly all" if values["quartiles"] is not None else _WITHHELD


def _without_value(values: VariableInGroup) -> tuple[int | None, int | None]:
    """Return the stays in which a variable is recorded as not done, and is not entered."""
    not_done, total = values.get("not_done"), values["levels"][-1]
    return not_done, None if not_done is None or total is None else total - not_done


def _label(variable: VariableInGroups) -> str:
    """Return a label with its unit, unless the label contains the unit already."""
    label = variable["label"]
    unit = printed_unit(variable["unit"])
    named = {label.split(" ")[0].casefold(), label.rsplit(" ")[-1].casefold()}
    return label if unit.casefold() in named else with_unit(label, variable["unit"])


def _indented(level: str) -> str:
    return f"\N{EM DASH} {level.replace('_', ' ')}"


def _compared(variable: VariableInGroups, other: VariableInGroups) -> Iterator[tuple[str, ...]]:
    first, second = variable["groups"][0], _relevelled(other, variable["levels"])
    distance = None if second is None else standardised_difference(first, second)
    difference = "" if distance is None else f"{distance:.2f}"
    label = _label(variable)
    if variable["kind"] == "number":
        yield (label, *_quartiles((first, other["groups"][0])), difference)
    elif variable["kind"] == "flag":
        yield (label, _level(first, 0), _level(other["groups"][0], 0), difference)
    else:
        yield (label, "", "", difference)
        for place, level in enumerate(variable["levels"][:-1]):
            beside = "" if second is None else _level(second, place)
            yield (_indented(level), _level(first, place), beside, "")


def _relevelled(variable: VariableInGroups, levels: Sequence[str]) -> VariableInGroup | None:
    """Return the counts in the order of `levels`; None where the two sets of levels differ."""
    values = variable["groups"][0]
    if set(variable["levels"]) != set(levels):
        return None
    ordered = [values["levels"][variable["levels"].index(level)] for level in levels]
    return VariableInGroup(
        levels=ordered,
        quartiles=values["quartiles"],
        mean=values["mean"],
        deviation=values["deviation"],
    )


def _quartiles(groups: Sequence[VariableInGroup]) -> Iterator[str]:
    """Yield the median and quartiles of each group, all with the same decimals."""
    known = [values["quartiles"] for values in groups if values["quartiles"] is not None]
    decimals = _decimals([number for quartiles in known for number in quartiles])
    for values in groups:
        if values["quartiles"] is None:
            yield _WITHHELD
        else:
            low, middle, high = (_number(number, decimals) for number in values["quartiles"])
            yield f"{middle} ({low} to {high})"


def _decimals(numbers: Sequence[float]) -> int:
    """Return the decimals that give the median number three digits, without trailing zeros.

    Numbers below 1 get two digits, as few laboratories report more.

    Examples
    --------
    >>> _decimals([52.8, 64.9, 74.0]), _decimals([0.0259, 0.0554, 0.116]), _decimals([8.0, 12.0])
    (1, 3, 0)
    """
    sizes = np.abs([number for number in numbers if number])
    if not len(sizes):
        return 0
    size = int(np.floor(np.log10(np.median(sizes))))
    most = max(2 - size, 0) if size >= 0 else min(1 - size, 4)
    needed = (d for d in range(most) if np.allclose(numbers, np.round(numbers, d), atol=1e-9))
    return next(needed, most)


def _number(value: float, decimals: int) -> str:
    """Return a value with that many decimals; from 1000, with three significant digits."""
    rounded = float(f"{value:.3g}") if abs(value) >= 1000 else round(value, decimals) or 0.0
    return f"{rounded:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _level(values: VariableInGroup, place: int) -> str:
    count = values["levels"][place]
    if count is None:
        return _WITHHELD
    # A share of a total would give away a hidden part of it.
    if None in values["levels"]:
        return f"{count:,}"
    recorded = sum(count or 0 for count in values["levels"][:-1])
    return f"{count:,} ({_percent(count / recorded)})" if recorded else f"{count:,}"


def _missing(values: VariableInGroup) -> str:
    count = values["levels"][-1]
    if count is None or None in values["levels"]:
        return _count(count)
    return f"{count:,} ({_percent(count / max(sum(n or 0 for n in values['levels']), 1))})"
