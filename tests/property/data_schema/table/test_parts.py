"""A file in parts is the same file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_schema.mapping.file import CohortMapping, IdMapping
from data_schema.table.files import read_parts, read_table
from data_schema.table.identifiers import FACTS, read_identifiers
from data_schema.table.parts import FileIdentifiers

_NUMBERS = st.sampled_from(["1", "2", "01", "a", "A", "b", "7.0", ""])
_ROWS = st.lists(
    st.tuples(_NUMBERS, st.sampled_from(["1", "2"]), st.sampled_from(["n", "s", ""])),
    min_size=2,
    max_size=14,
)
_OF_THE_FILE = {"duplicate_stays", "several_stays", "ids_of_sites", "id_spelling"}


@settings(max_examples=20)
@given(rows=_ROWS, size=st.integers(1, 6), columns=st.sets(st.sampled_from(["stay_id", "site"])))
def test_identifiers_in_parts_break_the_rules_of_the_whole(rows, size, columns):
    table = pd.DataFrame(rows, columns=["patient_id", "stay_id", "site"], dtype="string")
    table = table.mask(table == "")[["patient_id", *sorted(columns)]]
    table["sex"] = ["m" if place % 3 else "f" for place in range(len(table))]
    ids = IdMapping(patient_id="patient_id", **{name: name for name in columns})
    parts = [table.iloc[k : k + size].reset_index(drop=True) for k in range(0, len(table), size)]
    of_file = FileIdentifiers(CohortMapping(ids=ids))
    for part in parts:
        of_file.add(part)

    whole = read_identifiers(table, ids, person=["sex"])

    expected = {(f.rule, f.variable): f.count for f in whole.findings if f.rule in _OF_THE_FILE}
    actual = {(f.rule, f.variable): f.count for f in of_file.findings()}
    assert actual == expected
    assert of_file.patients == len(pd.unique(whole.patient_id[pd.notna(whole.patient_id)]))
    read = []
    for part, facts in zip(parts, of_file.facts(), strict=True):
        part.attrs[FACTS] = facts
        read.extend(read_identifiers(part, ids, person=["sex"]).patient_id)
    if not any(key[0] == "id_spelling" for key in actual):
        assert read == [*whole.patient_id]


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(_CELL, st.integers(-5, 5), _CELL), min_size=1, max_size=40),
    size=st.integers(1, 9),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_csv_in_parts_is_the_csv(cells, size, encoding, tmp_path: Path):
    table = pd.DataFrame(cells, columns=["name", "lactate", "note"])
    path = tmp_path / "cohort.csv"
    table.to_csv(path, index=False, sep=";", encoding=encoding, errors="replace")

    parts = [*read_parts(path, size)]

    whole = read_table(path)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    assert all(len(part) == size for part in parts[:-1])
    assert len(parts) == 1 or size / 2 <= len(parts[-1]) <= 1.5 * size
