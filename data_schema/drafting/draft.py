"""`osteon map`: draft the mapping file of a table from its headers, units and ranges of values.

What is unambiguous is filled in, with a comment where it was inferred from the values. What is
ambiguous is left blank, with a comment that explains why; a blank is fatal until it is filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import tomlkit
from tomlkit.items import Item, Table

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import HeaderMatch, match_header
from data_schema.drafting.roles import draft_ids, draft_outcomes
from data_schema.drafting.site_variables import SiteVariable, draft_site_variables
from data_schema.readings import FLAG_WORDS, NOT_DONE_WORDS, NOT_STATED
from data_schema.table.stated_units import fitting_units
from data_schema.units import canonical_unit_spelling, units_in_words
from data_schema.values import GROUPED_BY_POINTS, cell_texts, parse_numbers
from data_schema.variables import Variable, is_not_done

__all__ = ["draft_mapping"]

_HEADER = """\
Drafted by osteon map: read it before you use it.
A blank ("") could not be inferred from the table. Fill it in, or remove its table to leave the
column out. Then: osteon check COHORT --mapping THIS_FILE\
"""

_SEX: Mapping[str, str] = {
    **dict.fromkeys(("f", "female", "w", "woman", "weiblich", "frau"), "female"),
    **dict.fromkeys(("m", "male", "man", "männlich", "mann"), "male"),
}
_MAX_WORDS = 12
_DECIMAL_COMMA = re.compile(r"[<>≤≥=\s]*-?\d*,(\d*)\s*")


def draft_mapping(table: pd.DataFrame, *, site_variables: bool = False) -> str:
    """Return the TOML text of a mapping file for a table.

    Once its blanks are filled in, the file passes `check_cohort` if the table itself does.

    Parameters
    ----------
    table : DataFrame
    site_variables : bool
        Whether to describe each column outside the catalogue as a variable of the site's own:
        drafted in where it can be a predictor, commented out with the reason where it cannot.
    """
    document = tomlkit.document()
    for line in _HEADER.splitlines():
        document.add(tomlkit.comment(line))
    ids, outcomes = draft_ids(table), draft_outcomes(table)
    if any("event_date" in drafted.table for drafted in outcomes.values()):
        _blank_time_zero(ids.table)
    document.add("ids", ids.table)
    if outcomes:
        document.add("outcome", _super_table({n: d.table for n, d in outcomes.items()}))
    else:
        document.add(tomlkit.comment("No column looks like an outcome: to train, state one here."))
    used = ids.columns.union(*(drafted.columns for drafted in outcomes.values()))
    columns, unknown = _columns(table, [str(c) for c in table.columns if str(c) not in used])
    own: tuple[SiteVariable, ...] = ()
    if site_variables:
        taken = [str(draft.get("variable", "")) for draft in columns.values()]
        texts = {name: cell_texts(table[name]).dropna().astype(str) for name in unknown}
        decimals = {name: _decimal(texts[name]) for name in unknown}
        own = draft_site_variables(table, unknown, taken=taken, decimals=decimals)
    for variable in own:
        if not variable.reason:
            variable.table.comment(_one_line(variable.summary))
            columns[variable.column] = variable.table
    document.add("columns", _super_table(columns))
    if site_variables:
        _add_commented_out(document, [variable for variable in own if variable.reason])
    elif unknown:
        document.add(tomlkit.comment("Not in the catalogue, and ignored unless you describe them:"))
        for name in unknown:
            document.add(tomlkit.comment(_one_line(f"  {name}")))
    return tomlkit.dumps(document)


def _add_commented_out(document: tomlkit.TOMLDocument, left_out: Sequence[SiteVariable]) -> None:
    """Add what cannot be a predictor as comments, each with what it is and why it is left out."""
    if left_out:
        document.add(tomlkit.nl())
        document.add(tomlkit.comment("Left out; take the # away from what you want to use:"))
    for variable in left_out:
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(_one_line(f"{variable.summary}: {variable.reason}")))
        whole = tomlkit.document()
        whole.add("columns", _super_table({variable.column: variable.table}))
        for line in tomlkit.dumps(whole).splitlines():
            document.add(tomlkit.comment(_one_line(line)))


def _blank_time_zero(ids: Table) -> None:
    if "time_zero" not in ids:
        ids.add("time_zero", _commented("", "The dates of the outcome count from it."))


def _super_table(tables: Mapping[str, Table]) -> Table:
    parent = tomlkit.table(is_super_table=True)
    for name, table in tables.items():
        parent.add(name, table)
    return parent


def _commented(value: str, comment: str) -> Item:
    item = tomlkit.item(value)
    return item.comment(_one_line(comment)) if comment else item


def _one_line(comment: str) -> str:
    """Return a comment without characters that TOML does not allow in comments."""
    return "".join(letter if letter.isprintable() else "?" for letter in comment)


def _columns(table: pd.DataFrame, names: Sequence[str]) -> tuple[dict[str, Table], list[str]]:
    """Return a draft for every column that a header explains, and the names of the others."""
    texts = {name: cell_texts(table[name]).dropna().astype(str) for name in names}
    matches = {
        name: match
        for name in names
        if (match := match_header(name)) is not None and _may_be(match, texts[name])
    }
    file_has_commas = any(_decimal(texts[name]) == "," for name in matches)
    features = [m.variables[0] + m.suffix for m in matches.values() if m.is_settled]
    drafts: dict[str, Table] = {}
    for name, match in matches.items():
        draft, variable = tomlkit.table(), match.variable
        if variable is None:
            draft.add("variable", _commented("", _which(match)))
        elif features.count(variable.name + match.suffix) > 1:
            other = f"several columns look like {variable.name}{match.suffix}: which?"
            draft.add("variable", _commented("", other))
        else:
            draft.add("variable", variable.name + match.suffix)
        if is_not_done(f"{match.variables[0]}{match.suffix}"):
            _draft_state(draft, texts[name])
        elif variable is None or variable.kind == "number":
            _draft_number(draft, match, table[name], texts[name], file_has_commas)
            _draft_not_done(draft, texts[name])
        else:
            _draft_words(draft, variable, texts[name])
            _draft_not_done(draft, texts[name])
        drafts[name] = draft
    return drafts, [name for name in names if name not in matches]


def _may_be(match: HeaderMatch, texts: pd.Series) -> bool:
    """Return whether the cells fit the header: most cells of a number must look like numbers."""
    if is_not_done(f"{match.variables[0]}{match.suffix}"):
        return True
    kinds = {VARIABLES[name].kind for name in match.variables if name}
    texts = texts[~texts.str.casefold().isin(NOT_DONE_WORDS)]
    return kinds != {"number"} or texts.str.contains(r"\d").mean() > 0.5 or texts.empty


def _which(match: HeaderMatch) -> str:
    known = [name for name in match.variables if name]
    why = match.why or "the header fits several variables: which?"
    return f"{why} {' or '.join(known)}"


def _draft_number(
    draft: Table, match: HeaderMatch, cells: pd.Series, texts: pd.Series, file_has_commas: bool
) -> None:
    """Add the unit and, where the text has commas, the decimal mark."""
    decimal = _decimal(texts)
    if file_has_commas and (decimal == "" or _points_group_thousands(texts)):
        decimal = ","
    if decimal is not None:
        why = "" if decimal else "a comma before three digits may separate thousands: . or ,"
        draft.add("decimal", _commented(decimal, why))
    variable = match.variable
    if variable is None:
        # Its unit waits for the variable, unless the header states one.
        draft.add(
            "unit", _commented(match.unit, "" if match.unit else "as the laboratory prints it")
        )
        return
    if match.unit and not match.unit_is_accepted:
        accepted = ", ".join(units_in_words(variable, variable.units))
        draft.add("unit", _commented("", f"the header's unit is not accepted; {accepted} are"))
        return
    if match.unit or canonical_unit_spelling(variable, "") is None:
        unit, why = _unit(variable, match.unit, cells, "," if decimal == "," else None)
        draft.add("unit", _commented(unit, why))


def _unit(
    variable: Variable, in_header: str, cells: pd.Series, decimal: Literal[".", ","] | None
) -> tuple[str, str]:
    """Return the unit, blank where header and values leave it open, and why."""
    parsed = parse_numbers(cells, decimal=decimal)
    measured = ~np.isnan(parsed.values)
    fitting = []
    if measured.any():
        fitting = fitting_units(variable, parsed.values[measured], below=parsed.below[measured])
    scales = {variable.units[unit] for unit in fitting}
    fits = " or ".join(units_in_words(variable, fitting))
    if in_header:
        stated = canonical_unit_spelling(variable, in_header) or ""
        if scales and variable.units.get(stated, 1.0) not in scales:
            return "", f"the header says {in_header}, but the values fit {fits}"
        return in_header, ""
    if len(set(variable.units.values())) == 1:
        return variable.unit, "the only unit of this variable; confirm"
    if len(fitting) == 1:
        return fitting[0], "read from the values, which fit no other unit; confirm"
    if fitting:
        return "", f"the values fit {fits}"
    accepted = ", ".join(units_in_words(variable, variable.units))
    return "", f"the values fit no unit of this variable ({accepted})"


def _decimal(texts: pd.Series) -> Literal[",", ""] | None:
    """Return a comma if it is the decimal mark, a blank if unclear, None if there is no comma."""
    matches = filter(None, map(_DECIMAL_COMMA.fullmatch, texts))
    fractions = [match[1] for match in matches]
    if not fractions:
        return None
    surely = any(len(fraction) != 3 for fraction in fractions) or any(
        re.match(r"[<>≤≥=\s]*-?0*,", text) for text in texts
    )
    return "," if surely else ""


def _points_group_thousands(texts: pd.Series) -> bool:
    """Return whether every cell with a point is grouped like 1.471."""
    pointed = texts[texts.str.contains(".", regex=False)]
    return len(pointed) > 0 and bool(pointed.str.fullmatch(GROUPED_BY_POINTS).all())


def _draft_words(draft: Table, variable: Variable, texts: pd.Series) -> None:
    """Add a map for the words of a category or flag that the catalogue does not use."""
    no_value = NOT_STATED | NOT_DONE_WORDS
    words = [word for word in sorted(texts.unique()) if word.casefold() not in no_value]
    own = {category.casefold() for category in variable.categories}
    known = own if variable.kind == "category" else FLAG_WORDS.keys()
    if all(word.casefold() in known for word in words):
        return
    if len(words) > _MAX_WORDS:
        draft["variable"] = ""
        draft["variable"].comment(f"{len(words)} different values are not {variable.name}: which?")
        return
    codes = tomlkit.inline_table()
    for word in words:
        codes[word] = _SEX.get(word.casefold(), "") if variable.name == "sex" else ""
        if word.casefold() in own:
            codes[word] = word.casefold()
    if "" in codes.values():
        meant = ", ".join(variable.categories) if variable.categories else "0 or 1"
        codes.comment(f"what does each value mean: {meant}?")
    draft.add("map", codes)


def _draft_not_done(draft: Table, texts: pd.Series) -> None:
    """Add the words of a column that seem to record the variable as not done."""
    words = [word for word in sorted(texts.unique()) if word.casefold() in NOT_DONE_WORDS]
    if words:
        listed = tomlkit.array()
        listed.extend(words)
        listed.comment('recorded as not done; a blank cell is "not entered"; confirm')
        draft.add("not_done", listed)


def _draft_state(draft: Table, texts: pd.Series) -> None:
    """Add a map for the words of a flag of "recorded as not done" that are not yes or no."""
    words = [word for word in sorted(texts.unique()) if word.casefold() not in NOT_STATED]
    if all(word.casefold() in FLAG_WORDS for word in words):
        return
    codes = tomlkit.inline_table()
    for word in words:
        read = FLAG_WORDS.get(word.casefold())
        codes[word] = 1 if word.casefold() in NOT_DONE_WORDS else "" if read is None else int(read)
    if "" in codes.values():
        codes.comment("what does each value mean: 1 recorded as not done, or 0?")
    draft.add("map", codes)
