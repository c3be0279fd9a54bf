"""CSV files as people send them: stray quotes, encodings, line ends and rows above the header."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_schema.errors import RulesBroken
from data_schema.table.files import read_table

_HEADER = "patient_id,age,note,crp"
_ROWS = [f"P{i},{40 + i},ok,{i}.5" for i in range(20)]


def _file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _refused(tmp_path: Path, text: str | bytes) -> RulesBroken:
    with pytest.raises(RulesBroken) as broken:
        read_table(_file(tmp_path, text))
    return broken.value


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("closing", [None, 9, 3])
def test_rows_inside_one_quoted_cell_are_refused_by_count(
    tmp_path: Path, delimiter: str, closing: int | None
) -> None:
    rows = [*_ROWS]
    rows[2] = rows[2].replace("ok", '"ok')
    if closing is not None:
        rows[closing] = rows[closing].replace("ok", 'ok"')
    text = "\n".join([_HEADER, *rows]).replace(",", delimiter)
    broken = _refused(tmp_path, text)
    assert [(f.rule, f.count) for f in broken.findings] == [("stray_quote", 1)]


def test_two_stray_pairs_are_two_cells(tmp_path: Path) -> None:
    rows = [*_ROWS]
    for place, mark in ((2, '"ok'), (5, 'ok"'), (10, '"ok'), (15, 'ok"')):
        rows[place] = rows[place].replace("ok", mark)
    assert _refused(tmp_path, "\n".join([_HEADER, *rows])).findings[0].count == 2


def test_a_note_of_several_lines_with_commas_is_read(tmp_path: Path) -> None:
    rows = [*_ROWS]
    rows[2] = rows[2].replace("ok", '"line one, and more\nline two"')
    table = read_table(_file(tmp_path, "\n".join([_HEADER, *rows])))
    assert len(table) == 20
    assert table["note"][2] == "line one, and more\nline two"


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([_HEADER, *_ROWS]).replace("\n", "\r"),
        "sep=;\n" + "\n".join([_HEADER, *_ROWS]).replace(",", ";"),
        "\n,,,\n" + "\n".join([_HEADER, *_ROWS]),
        "\n".join([_HEADER, *_ROWS]).encode("utf-16-le"),
        "\n".join(", ".join(f'"{cell}"' for cell in line.split(",")) for line in [_HEADER, *_ROWS]),
    ],
    ids=["CR", "sep", "blank lines", "UTF-16 without mark", "space before the quote"],
)
def test_files_of_other_programs_give_the_same_table(tmp_path: Path, text: str | bytes) -> None:
    expected = read_table(_file(tmp_path, "\n".join([_HEADER, *_ROWS])))
    assert read_table(_file(tmp_path, text)).equals(expected)


@pytest.mark.parametrize("above", ["ICU cohort 2019-2023", "ICU cohort,,,", "# exported\n# twice"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rows_above_the_header_are_refused_with_the_row_of_the_header(
    tmp_path: Path, above: str, delimiter: str
) -> None:
    text = "\n".join([above, _HEADER, *_ROWS]).replace(",", delimiter)
    (finding,) = _refused(tmp_path, text).findings
    assert finding.rule == "header_row"
    assert f"row {above.count(chr(10)) + 2}, with 4 names" in finding.message


def test_windows_1252_is_read_with_its_dashes_and_quotes(tmp_path: Path) -> None:
    text = "patient_id,CRP–wert,ward\n1,2.0,Müller’s\n2,3.0,x\n"
    table = read_table(_file(tmp_path, text.encode("cp1252")))
    assert list(table.columns) == ["patient_id", "CRP–wert", "ward"]
    assert table["ward"][0] == "Müller’s"


@pytest.mark.parametrize("bad", [1, 3])
def test_single_bytes_that_are_not_utf_8_are_refused_by_count_and_line(
    tmp_path: Path, bad: int
) -> None:
    lines = [f"{i},Müller".encode() for i in range(20)]
    for place in range(bad):
        lines[5 + place] = f"{place},Müller".encode("latin-1")
    (finding,) = _refused(tmp_path, b"\n".join([b"patient_id,ward", *lines])).findings
    assert (finding.rule, finding.count) == ("encoding", bad)
    assert "line 7" in finding.message
    assert "ller" not in finding.message


def test_a_cell_longer_than_the_standard_library_reads_is_read(tmp_path: Path) -> None:
    note = "x" * 2_000_000
    table = read_table(_file(tmp_path, f"patient_id;note;crp\n1;{note};2,5\n2;y;3,5\n"))
    assert table.shape == (2, 3)
    assert len(table["note"][0]) == 2_000_000


@pytest.mark.parametrize(
    ("start", "words"), [(b"\x1f\x8b\x08", "Decompress"), (b"PK\x03\x04", "spreadsheet")]
)
def test_another_kind_of_file_named_csv_is_refused_in_words(
    tmp_path: Path, start: bytes, words: str
) -> None:
    assert words in str(_refused(tmp_path, start + b"rest,of,it"))
