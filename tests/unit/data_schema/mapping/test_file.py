"""The mapping file: every key it may hold, and what fails in it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from data_schema.errors import UsageError
from data_schema.mapping.file import Period, parse_mapping, read_mapping

WHOLE = """
[ids]
patient_id = "subject"
stay_id = "stay"
site = "hospital"
time_zero = "t0"
date_format = "%d.%m.%Y"

[outcome.mortality]
days = "followup_d"
event = "dead"
event_map = {alive = 0, dead = 1}
decimal = ","

[outcome.fracture]
event_date = "fx"
last_seen_date = "seen"
competing_date = "died"
date_format = "%Y-%m-%d"

[columns."FGF-23 C-term"]
variable = "fgf23_c"
unit_column = "fgf unit"
assay = "Quidel"
specimen = "plasma"
lower_limit = 1.5
missing_values = [-999, "n.d."]
decimal = ","
[[columns."FGF-23 C-term".periods]]
to = 2019-12-31
assay = "old kit"
[[columns."FGF-23 C-term".periods]]
from = 2020-01-01
unit = "RU/mL"
lower_limit = 3

[columns.g]
variable = "sex"
map = {M = "male", F = "female"}

[columns.dzgroup]
variable = "dzgroup"
kind = "category"
pathway = "person"
unit = ""
label = "Disease group"
known_at_time_zero = true

[columns.score]
variable = "site_score"
kind = "number"
pathway = "severity"
unit = "1"
low = 0
high = 40
assay_column = "kit"
"""


def test_a_whole_mapping_is_read() -> None:
    mapping = parse_mapping(WHOLE)
    assert mapping.ids.time_zero == "t0"
    assert mapping.outcomes["mortality"].event_map == {"alive": 0, "dead": 1}
    assert mapping.outcomes["fracture"].competing_date == "died"
    fgf23 = mapping.columns["FGF-23 C-term"]
    assert fgf23.missing_values == (-999, "n.d.")
    assert fgf23.periods == (
        Period(end=datetime.date(2019, 12, 31), assay="old kit"),
        Period(start=datetime.date(2020, 1, 1), unit="RU/mL", lower_limit=3),
    )
    assert mapping.columns["g"].value_map == {"M": "male", "F": "female"}
    assert mapping.columns["dzgroup"].known_at_time_zero
    assert (mapping.columns["score"].low, mapping.columns["score"].high) == (0, 40)


def test_a_mapping_cannot_be_changed() -> None:
    mapping = parse_mapping(WHOLE)
    with pytest.raises(AttributeError):
        mapping.ids.site = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        mapping.columns["new"] = mapping.columns["g"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[id]\n", "the mapping file must hold known keys only; it has id"),
        ('[ids]\npatient = "x"\n', r"\[ids\] must hold known keys only; it has patient"),
        ('[outcome.death]\nevent = "x"\n', r"\[outcome\] must hold known keys only"),
        ('[outcome.mortality]\ntime = "x"\n', "known keys only; it has time"),
        ('[columns.x]\nvariabel = "age"\n', r'\[columns."x"\] must hold known keys only'),
        ("[columns.x]\nvariable = 3\n", "variable must be a text"),
        ('[columns.x]\nlower_limit = "3"\n', "lower_limit must be a number"),
        ("[columns.x]\nlower_limit = true\n", "lower_limit must be a number"),
        ('[columns.x]\nknown_at_time_zero = "yes"\n', "must be true or false"),
        ('[columns.x]\ndecimal = ";"\n', "decimal must be"),
        (
            "[columns.x]\nmissing_values = [[1]]\n",
            "missing_values must be a list of texts or numbers",
        ),
        ("[columns.x]\nmap = {a = [1]}\n", "map must be an inline table of texts or numbers"),
        (
            '[outcome.mortality]\nevent_map = {a = "dead"}\n',
            "event_map must be an inline table of whole numbers",
        ),
        (
            "[outcome.mortality]\nevent_map = {a = true}\n",
            "event_map must be an inline table of whole numbers",
        ),
        ("[columns]\nx = 3\n", "must be a table"),
        ("columns = 3\n", "must be a table"),
        ("[columns.x]\nperiods = [1]\n", "periods must be tables"),
        ('[[columns.x.periods]]\nfrom = "2020"\n', "from must be a date"),
        ("[[columns.x.periods]]\nsince = 2020-01-01\n", "known keys only; it has since"),
        ("[ids\n", "mapping must be TOML"),
    ],
)
def test_what_is_unknown_or_of_the_wrong_type_fails(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_mapping(text)


@pytest.mark.parametrize(
    "periods",
    [
        "from = 2020-01-01\nto = 2019-01-01",
        "to = 2020-06-01\n[[columns.x.periods]]\nfrom = 2020-06-01",
        "from = 2020-01-01\n[[columns.x.periods]]\nfrom = 2021-01-01",
    ],
)
def test_periods_follow_one_another(periods: str) -> None:
    with pytest.raises(UsageError, match="must follow one another without overlap"):
        parse_mapping(f"[[columns.x.periods]]\n{periods}\n")


def test_a_mapping_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text('[ids]\nsite = "Köln"\n', encoding="utf-8-sig")
    assert read_mapping(path).ids.site == "Köln"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_mapping_that_is_no_text_file_is_wrong_usage(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "m.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="must be a TOML file in UTF-8"):
        read_mapping(path)
