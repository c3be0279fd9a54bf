"""A file that is read in parts: what only the whole of it shows, gathered part by part.

Identifiers are compared over the whole file, by hashes of 64 bits, so that a file of any length
needs some bytes a row. Rules about values (units, ranges, categories, dates) are judged in each
part, which is long enough for them: a rule that a part breaks is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import CohortMapping
from data_schema.table.identifiers import (
    DIGITS,
    WITH_FRACTION,
    FileFacts,
    all_with_fraction,
    are_apart,
    duplicate_stays,
    identifier_texts,
    several_stays,
    spelling_key,
    two_spellings,
)
from data_schema.table.plan import plan_cohort
from data_schema.values import cell_texts

__all__ = ["FileIdentifiers", "FindingsOfParts"]

_OF_THE_FILE = frozenset({"duplicate_stays", "ids_of_sites", "several_stays"})
"""Rules that only the whole file is judged by."""

_NOTHING = np.uint64(0)
"""Hash of a blank cell; no text has it, but for one in 10^19."""


@dataclass(frozen=True, slots=True)
class _Forms:
    """Which forms the identifiers of a part have."""

    digits: bool
    with_fraction: bool
    others: bool


@dataclass(slots=True)
class FileIdentifiers:
    """The identifiers of a file, part by part, as hashes.

    Parameters
    ----------
    mapping : CohortMapping
        The meaning of the site's columns.
    """

    mapping: CohortMapping
    _parts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _spellings: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    _forms: dict[str, list[_Forms]] = field(default_factory=dict)

    def add(self, table: pd.DataFrame) -> None:
        """Add the next part of the file, as it is read from there."""
        plan, _ = plan_cohort(table.columns, self.mapping, None)
        texts = identifier_texts(table, plan.ids)
        rows: dict[str, NDArray[Any]] = {"row": np.arange(len(table))}
        for key, cells in texts.items():
            rows[key] = _hash_of_texts(cells)
            self._add_spellings(key, cells)
        if {"patient_id", "site"} <= set(texts):
            known = texts["site"].notna() & texts["patient_id"].notna()
            both = texts["site"].astype(str) + "/" + texts["patient_id"].astype(str)
            rows["patient_at_site"] = _hash_of_texts(texts["patient_id"].where(~known, both))
            for feature in plan.features:
                if feature.feature in ("age", "sex"):
                    cells = cell_texts(table[feature.source.column])
                    rows[f"number {feature.feature}"] = pd.to_numeric(
                        cells, errors="coerce"
                    ).to_numpy(dtype=np.float64)
                    rows[f"word {feature.feature}"] = _hash_of_texts(cells.str.casefold())
        if "patient_id" in texts and "stay_id" not in texts:
            start = plan.ids.time_zero
            of_row = table if start is None else table[[start]]
            rows["start"] = pd.util.hash_pandas_object(of_row, index=False).to_numpy()
        self._parts.append(rows)

    def join(self, later: FileIdentifiers) -> None:
        """Add the parts that another has read of the same file, after those of this one."""
        self._parts += later._parts
        for key, spellings in later._spellings.items():
            self._spellings.setdefault(key, []).extend(spellings)
        for key, forms in later._forms.items():
            self._forms.setdefault(key, []).extend(forms)

    def _add_spellings(self, key: str, cells: pd.Series[Any]) -> None:
        distinct = pd.Series(cells.dropna().unique(), dtype=object).astype(str)
        spellings = pd.DataFrame(
            {
                "text": _hash_of_texts(distinct),
                "key": _hash_of_texts(spelling_key(distinct)),
                "with_fraction": distinct.str.fullmatch(WITH_FRACTION).astype(bool),
            }
        )
        self._spellings.setdefault(key, []).append(spellings)
        forms = _Forms(
            digits=bool(distinct.str.fullmatch(DIGITS).any()),
            with_fraction=bool(distinct.str.fullmatch(WITH_FRACTION).any()),
            others=not all_with_fraction(distinct) and bool(len(distinct)),
        )
        self._forms.setdefault(key, []).append(forms)

    @property
    def rows(self) -> int:
        """Rows of the parts added."""
        return sum(len(part["row"]) for part in self._parts)

    @property
    def patients(self) -> int:
        """Patients of the parts added; every row is one where no column states the patient."""
        patient = self._patient()
        return self.rows if patient is None else _n_distinct(patient[patient != _NOTHING])

    @property
    def states_patients(self) -> bool:
        """Whether a column states the patient of each row."""
        return "patient_id" in self._parts[0]

    def facts(self) -> Iterator[FileFacts]:
        """Yield what each part is to be read by."""
        above, numbers_of_sites = 0, self._numbers_of_sites().any()
        fractions = frozenset(filter(self._all_with_fraction, self._forms))
        for part in self._parts:
            yield FileFacts(above, bool(numbers_of_sites), fractions)
            above += len(part["row"])

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with identifiers over all parts, and how many sites number alone."""
        for key in [key for key in self._spellings if key != "site"]:
            if count := self._spelled_twice(key, pd.concat(self._spellings[key])):
                yield two_spellings(key, count, self.rows)
        of_two = int(self._numbers_of_sites().sum())
        if of_two:
            message = (
                f"patient_id should be one patient at all sites; {of_two} of {self.rows} rows have "
                "a number of people who differ in sex or age at two sites. A patient is taken as "
                "site and number."
            )
            yield Finding("ids_of_sites", "site", of_two, message)
        patient = self._patient()
        if patient is None:
            return
        repeated = self._repeated(patient)
        if repeated.any():
            of_sites = "site" in self._parts[0]
            yield duplicate_stays(int(repeated.sum()), self.rows, of_sites=of_sites)
        once = patient[~repeated & (patient != _NOTHING)]
        if several := len(once) - _n_distinct(once):
            yield several_stays(several, self.rows)

    def _column(self, name: str) -> NDArray[Any]:
        return np.concatenate([part[name] for part in self._parts])

    def _patient(self) -> NDArray[np.uint64] | None:
        if "patient_id" not in self._parts[0]:
            return None
        return self._column("patient_at_site" if self._numbers_of_sites().any() else "patient_id")

    def _repeated(self, patient: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return the rows of a stay that an earlier row states."""
        by_stay = "stay_id" in self._parts[0]
        other = self._column("stay_id" if by_stay else "start")
        repeated = _recurs(patient)
        stays = pd.DataFrame({"patient": patient[repeated], "other": other[repeated]})
        repeated[repeated] = stays.duplicated().to_numpy()
        return repeated & (other != _NOTHING) if by_stay else repeated

    def _numbers_of_sites(self) -> NDArray[np.bool_]:
        """Return the rows with the number of another person at another site."""
        nowhere = np.zeros(self.rows, dtype=np.bool_)
        if "patient_at_site" not in self._parts[0]:
            return nowhere
        of_row = self._column("patient_id")
        several = np.flatnonzero(_recurs(of_row))
        rows = pd.DataFrame(
            {"patient_id": of_row[several], "site": self._column("site")[several]}, index=several
        )
        stated = rows[(rows != _NOTHING).all(axis=1)]
        sites = stated.drop_duplicates().groupby("patient_id").size()
        among = stated[stated["patient_id"].isin(sites.index[sites > 1])]
        if among.empty:
            return nowhere
        for name in [key for key in self._parts[0] if key.startswith("number ")]:
            numbers = pd.Series(self._column(name)[among.index], index=among.index)
            words = pd.Series(
                self._column(name.replace("number ", "word "))[among.index], index=among.index
            )
            if are_apart(among["patient_id"], numbers, words.mask(words == _NOTHING)):
                nowhere[among.index] = True
                break
        return nowhere

    def _spelled_twice(self, key: str, spellings: pd.DataFrame) -> int:
        """Return how many rows have an identifier with more than one spelling in the file."""
        several = spellings[_recurs(spellings["key"].to_numpy())].drop_duplicates()
        texts = several["text"][several["key"].duplicated(keep=False)].to_numpy()
        if any(forms.digits for forms in self._forms[key]):
            texts = np.append(texts, spellings["text"][spellings["with_fraction"]].to_numpy())
        return int(np.isin(self._column(key), texts).sum()) if texts.size else 0

    def _all_with_fraction(self, key: str) -> bool:
        forms = self._forms[key]
        return any(part.with_fraction for part in forms) and not any(part.others for part in forms)


@dataclass(slots=True)
class FindingsOfParts:
    """The rules that the parts of a file break, each with the rows of all parts."""

    _first: dict[tuple[str, str], tuple[int, Finding]] = field(default_factory=dict)
    _parts: int = 0

    def add(self, findings: Sequence[Finding]) -> None:
        """Add what is wrong with the next part."""
        self._parts += 1
        for finding in findings:
            key = finding.rule, finding.variable
            part, first = self._first.get(key, (self._parts, replace(finding, count=0)))
            self._first[key] = part, replace(first, count=first.count + finding.count)

    def merged(self, of_file: Iterable[Finding]) -> Iterator[Finding]:
        """Yield each rule once; its message is that of the first part that breaks it.

        `of_file` is what `FileIdentifiers.findings` yields, which parts cannot see.
        """
        if self._parts == 1:
            yield from (finding for _, finding in self._first.values())
            return
        whole = {(finding.rule, finding.variable): finding for finding in of_file}
        for key, (part, finding) in self._first.items():
            if key not in whole and finding.rule not in _OF_THE_FILE:
                where = f"In part {part} of {self._parts} of the file: "
                yield replace(finding, message=where + finding.message)
        yield from whole.values()


def _n_distinct(hashes: NDArray[np.uint64]) -> int:
    """Return how many hashes differ; sorting numbers is much faster than a table of them."""
    ordered = np.sort(hashes)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


def _recurs(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which hashes occur more than once."""
    ordered = np.sort(hashes)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(hashes, again) if again.size else np.zeros(len(hashes), dtype=np.bool_)


def _hash_of_texts(texts: pd.Series[Any]) -> NDArray[np.uint64]:
    """Return the hash of each text, 0 where there is none."""
    known = texts.notna().to_numpy(dtype=bool)
    out = np.zeros(len(texts), dtype=np.uint64)
    out[known] = pd.util.hash_array(texts.to_numpy(dtype=object)[known])
    return out
