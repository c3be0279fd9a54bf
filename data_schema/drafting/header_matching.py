"""The variable and the unit that a column's header names, for `osteon map`.

Only headers are read, no cells. A header that fits several variables is left open.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from data_schema.biomarkers import VARIABLES
from data_schema.units import canonical_unit_spelling
from data_schema.variables import NOT_DONE, Variable

__all__ = ["HeaderMatch", "match_header", "spelled_out", "squashed", "unit_in_header"]

_SUFFIXES: Mapping[str, str] = {
    **dict.fromkeys(("first", "initial"), "__first"),
    **dict.fromkeys(("max", "maximum", "highest", "peak"), "__max"),
    **dict.fromkeys(("min", "minimum", "lowest", "nadir"), "__min"),
    **dict.fromkeys(("last",), ""),
}
_SPECIMENS: Mapping[str, str] = {
    "serum": "serum",
    "plasma": "plasma",
    "urine": "urine",
    "urinary": "urine",
}
_NOT_DONE = re.compile(r"(.+?)[\s_.-]+not[\s_.-]*(done|performed|measured|asked)", re.IGNORECASE)
# Words that do not say which variable it is.
_FILLERS = frozenset({"level", "levels", "conc", "concentration", "value", "baseline", "admission"})
_BRACKET = re.compile(r"(.+?)[\s_,]*[\(\[]([^()\[\]]+)[\)\]]\s*")
_BRACKET_AHEAD = re.compile(r"\s*[\(\[]([^()\[\]]+)[\)\]][\s_,]*([^()\[\]]+)")
_WORDS_FOR_NO_UNIT = frozenset(
    {"{T-score}", "{Tscore}", "{score}", "{stage}", "[pH]", "1", "{ratio}"}
)
_GREEK: Mapping[str, str] = {"α": "alpha", "β": "beta", "γ": "gamma", "µ": "u", "μ": "u"}


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """The variable and unit that a header may mean.

    Parameters
    ----------
    variables : tuple of str
        Names in the catalogue that it may mean; exactly one if it is settled.
    suffix : str
        `__max` and the like, `__not_done` for a flag, or empty.
    unit : str
        Unit as the header writes it; empty if there is none.
    unit_is_accepted : bool
        Whether the variables accept that unit; False where there is none.
    why : str
        What must be known to choose between several variables.
    """

    variables: tuple[str, ...]
    suffix: str
    unit: str
    unit_is_accepted: bool
    why: str

    @property
    def variable(self) -> Variable | None:
        """The variable, if it is settled."""
        return VARIABLES[self.variables[0]] if self.is_settled else None

    @property
    def is_settled(self) -> bool:
        """Whether exactly one variable of the catalogue is left."""
        return len(self.variables) == 1 and self.variables[0] != ""


def match_header(header: str) -> HeaderMatch | None:
    """Return what a header, with or without a unit, may mean; None if it resembles no variable.

    A header such as `CTX not done` is that of a flag, which has no unit.

    >>> match_header("CTX [ng/mL]").variables, match_header("CTX [ng/mL]").unit
    (('ctx_s',), 'ng/mL')
    >>> match_header("FGF23").variables
    ('fgf23_c', 'fgf23_i', 'fgf23_i_units')
    >>> match_header("PTH_not_done").suffix
    '__not_done'
    """
    not_done = _NOT_DONE.fullmatch(header.strip())
    if not_done is not None:
        of_values = match_header(not_done[1])
        if of_values is None:
            return None
        return replace(of_values, suffix=f"__{NOT_DONE}", unit="", unit_is_accepted=False)
    if squashed(header) in _INDEX and not re.search(r"[%()\[\]]", header):
        # A name as a whole: "lymphocyte count" states no unit.
        variables = _INDEX[squashed(header)]
        return HeaderMatch(variables, "", "", False, _ambiguity(variables))
    explained = _explained(header)
    if explained:
        return HeaderMatch(explained, "", "", False, _ambiguity(explained))
    rejected: HeaderMatch | None = None
    for words, unit, is_explicit in _splits(header):
        variables, suffix = _candidates(words)
        if not variables:
            continue
        why = _ambiguity(variables)
        if not unit:
            return rejected or HeaderMatch(variables, suffix, "", False, why)
        accepting = tuple(v for v in variables if v == "" or _accepts(v, unit))
        if any(accepting):
            return HeaderMatch(accepting, suffix, unit, True, why)
        if is_explicit and rejected is None:
            rejected = HeaderMatch(variables, suffix, unit, False, why)
    return rejected


def squashed(text: str) -> str:
    """Return only the letters and digits of a header, in lower case, for comparison.

    >>> squashed("FGF-23 (C-term)")
    'fgf23cterm'
    """
    return re.sub(r"[^a-z0-9]", "", spelled_out(text))


def spelled_out(text: str) -> str:
    """Return a header in lower case with its Greek letters in words.

    >>> spelled_out("TNF-α")
    'tnf-alpha'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    for letter, spelled in _GREEK.items():
        folded = folded.replace(letter, spelled)
    return folded


def unit_in_header(header: str) -> str:
    """Return the unit that a header of any column states, in UCUM; empty if it states none.

    The unit must be one that the catalogue accepts of some number, in brackets or with a stroke or
    a percent sign: the end of `sat_s` is no unit.

    >>> unit_in_header("Neopterin [nmol/L]"), unit_in_header("zonulin_ng_ml"), unit_in_header("x_s")
    ('nmol/L', 'ng/mL', '')
    """
    bracket = _BRACKET.fullmatch(header)
    in_brackets = bracket[2].strip() if bracket else ""
    for _, unit, _ in _splits(header):
        if unit and (unit == in_brackets or re.search(r"[/%]", unit)):
            existing = _existing_unit(unit)
            if existing:
                return existing
    return ""


def _explained(header: str) -> tuple[str, ...]:
    """Return the variables of a name that brackets repeat in short: "Creatine kinase (CK)"."""
    bracket = _BRACKET.fullmatch(header)
    if bracket is None:
        return ()
    short = _INDEX.get(squashed(bracket[2]), ())
    return tuple(name for name in _candidates(bracket[1])[0] if name in short)


@cache
def _existing_unit(text: str) -> str:
    """Return the UCUM spelling under which some number of the catalogue accepts a unit."""
    spellings = (canonical_unit_spelling(v, text) for v in VARIABLES.values() if v.kind == "number")
    return next((unit for unit in spellings if unit and unit not in _WORDS_FOR_NO_UNIT), "")


def _splits(header: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the ways to split a header into words and unit, and whether the unit is certain."""
    bracket = _BRACKET.fullmatch(header)
    if bracket:
        yield bracket[1], bracket[2].strip(), bool(re.search(r"[/%]", bracket[2]))
    ahead = _BRACKET_AHEAD.fullmatch(header)
    if ahead:
        yield ahead[2], ahead[1].strip(), bool(re.search(r"[/%]", ahead[1]))
    marked = re.fullmatch(r"(.+?)[\s,_]+(\S*[/%]\S*)\s*", header)
    if marked:
        yield marked[1], marked[2], True
    tokens = [token for token in re.split(r"[\s_.,]+", header) if token]
    for length in (3, 2, 1):
        if len(tokens) > length:
            words, parts = tokens[:-length], tokens[-length:]
            for mark in ("/", " "):
                yield " ".join(words), mark.join(parts), False
    yield header, "", False


def _accepts(name: str, unit: str) -> bool:
    return canonical_unit_spelling(VARIABLES[name], unit) is not None


def _candidates(words: str) -> tuple[tuple[str, ...], str]:
    """Return the variables that words may mean, and the feature suffix among them."""
    if squashed(words) in _INDEX:
        return _INDEX[squashed(words)], ""
    tokens = [token for token in re.split(r"[\s_.,()\[\]]+", words.casefold()) if token]
    specimens = {_SPECIMENS[token] for token in tokens if token in _SPECIMENS}
    suffixes = [_SUFFIXES[token] for token in tokens if token in _SUFFIXES]
    words_left = [
        token
        for token in tokens
        if token not in _FILLERS and token not in _SPECIMENS and token not in _SUFFIXES
    ]
    if {"whole", "blood"} <= {*words_left}:
        words_left = [token for token in words_left if token not in ("whole", "blood")]
    names = _INDEX.get(squashed(" ".join(words_left)), ())
    matching = tuple(
        name for name in names if name and VARIABLES[name].specimen in (*specimens, "")
    )
    if specimens and matching:
        names = matching
    names = tuple(name for name in names if not _is_of_another_sample(name, specimens))
    return names, suffixes[0] if len(suffixes) == 1 else ""


def _is_of_another_sample(name: str, specimens: Collection[str]) -> bool:
    """Return whether a header says urine of a test of blood, or blood of a test of urine."""
    if not name or not specimens:
        return False
    entry = VARIABLES[name]
    is_sample = entry.origin is not None and entry.origin.kind == "sample"
    return is_sample and ("urine" in specimens) != (entry.specimen == "urine")


def _ambiguity(names: Sequence[str]) -> str:
    """Return what must be known to choose, if the names are all those that it concerns."""
    texts = {VARIABLES[name].ambiguity for name in names if name}
    if len(names) == 1 or len(texts) > 1:
        return ""
    (text,) = texts
    concerned = {name for name, variable in VARIABLES.items() if variable.ambiguity == text}
    return text if concerned == {*names} - {""} else ""


def _index() -> Mapping[str, tuple[str, ...]]:
    """Return squashed words -> variables they may mean; "" is one that the catalogue lacks."""
    index: dict[str, list[str]] = defaultdict(list)
    for name, variable in VARIABLES.items():
        for phrase in variable.synonyms:
            index[squashed(phrase)].append(name)
        for phrase in variable.near_synonyms:
            index[squashed(phrase)] += [name, ""]
    for name, variable in VARIABLES.items():
        short = re.sub(r"\(.*?\)", "", variable.label)
        for phrase in {squashed(name), squashed(variable.label), squashed(short)}:
            # A word that the synonyms leave open stays open, whatever the labels say.
            if phrase not in index or phrase == squashed(name):
                index[phrase].append(name)
    return {phrase: tuple(dict.fromkeys(names)) for phrase, names in index.items()}


_INDEX = _index()
