"""The document of a protocol: complete, of the catalogue, with commands that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from data_schema.outcomes import OUTCOMES
from osteon import app
from training.config import parse_config
from training.protocol.commands import analysis_commands, rehearsal_commands
from training.protocol.design import StudyDesign, design_of
from training.protocol.document import protocol_text, settings_path, write_protocol
from training.protocol.study_file import settings_of, settings_text
from training.report.checklists.tripod import TOPICS

MARKDOWN = Path("study.md")


def planned(outcome: str = "mortality", **changed: object) -> StudyDesign:
    stated: dict[str, object] = {"added": ("ctx_s+p1np", "fgf23_c"), "over": ("severity", "age")}
    return design_of(
        outcome_name=outcome,
        event_rate=0.2,
        expected_gain=0.04,
        **{**stated, **changed},  # type: ignore[arg-type]
    )


def test_the_settings_are_those_that_a_run_reads() -> None:
    for outcome in OUTCOMES:
        design = planned(outcome)
        assert parse_config(settings_text(design)) == settings_of(design)


def test_what_only_the_group_knows_is_no_setting() -> None:
    assert "TO BE STATED" in settings_text(planned())
    assert "TO BE STATED" not in repr(parse_config(settings_text(planned())))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_command_of_a_protocol_exists_with_its_options(outcome: str) -> None:
    design = planned(outcome)
    file = settings_path(MARKDOWN)
    lines = [*analysis_commands(design, file), *rehearsal_commands(design, file)]
    group = typer.main.get_command(app)
    for line in lines:
        program, name, *rest = shlex.split(line)
        assert program == "osteon"
        command = group.commands[name]  # type: ignore[attr-defined]
        _, left, _ = command.make_parser(click.Context(command, info_name=name)).parse_args(rest)
        assert left == [], line
        assert line in protocol_text(design, MARKDOWN)


def test_the_data_dictionary_has_the_catalogues_codes_units_and_ranges() -> None:
    text = protocol_text(planned(), MARKDOWN)

    row = next(line for line in text.splitlines() if line.startswith("| ctx_s |"))
    assert all(code.code in row for code in VARIABLES["ctx_s"].codes)
    assert "ng/mL" in row
    assert all(f"| {name} |" in text for name in planned().panel.over)


def test_competing_death_is_part_of_a_protocol_of_fractures_alone() -> None:
    fracture = protocol_text(planned("fracture"), MARKDOWN)

    assert "Competing event: death without fracture." in fracture
    assert "One minus Kaplan-Meier is not used" in fracture
    assert "at discharge from intensive care" in fracture
    assert "One minus Kaplan-Meier" not in protocol_text(planned(), MARKDOWN).replace(
        "never one minus Kaplan-Meier", ""
    )


def test_both_checklists_are_complete() -> None:
    text = protocol_text(planned(), MARKDOWN)

    numbers = [number for topics in TOPICS.values() for number in topics]
    assert [n for n in numbers if not re.search(rf"^\| {n} \| .+ \| .+ \|", text, re.M)] == []
    questions = re.findall(r"^\| ([1-4]\.\d) \|", text, flags=re.MULTILINE)
    assert len(questions) == 20


def test_the_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    out = tmp_path / "study.html"

    settings = write_protocol(planned(), out)

    page = out.read_text(encoding="utf-8")
    assert settings == settings_path(out) == tmp_path / "study.toml"
    assert parse_config(settings.read_text(encoding="utf-8")).added_value == (
        "ctx_s+p1np",
        "fgf23_c",
    )
    assert "<title>Added value of" in page
    assert ": study protocol</title>" in page
    assert "Research use only" in page
    assert re.findall(r'(?:src|href)="https?://', page) == []


def test_another_ending_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--out must end in \.md or \.html; got study\.docx"):
        protocol_text(planned(), Path("study.docx"))
