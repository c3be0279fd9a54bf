"""The examples that the help of each command ends with."""

import shlex

import pytest
import typer

import osteon
from training.cli.examples import EXAMPLES
from training.cli.main import run_command


def commands(command, name=""):
    """Yield every command by what one types for it."""
    for part, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {part}".strip())
    if not hasattr(command, "commands"):
        yield name, command


COMMANDS = dict(commands(typer.main.get_command(osteon.app)))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_every_command_ends_with_examples_that_it_understands(name):
    command = COMMANDS[name]
    for example in EXAMPLES[name]:
        program, *typed = shlex.split(example)
        assert (program, typed[: len(name.split())]) == ("osteon", name.split())
        # What the list of all commands holds in a terminal of 80 columns.
        assert " " in name or not command.get_short_help_str(limit=62).endswith("...")
        with command.make_context(name, typed[len(name.split()) :]) as context:
            assert example in command.get_help(context)


def test_there_are_examples_of_no_other_command():
    assert set(EXAMPLES) == set(COMMANDS)


def test_osteon_alone_shows_help(capsys):
    assert run_command(osteon.app, []) == 0
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_shown(capsys):
    assert run_command(osteon.app, ["--version"]) == 0
    assert capsys.readouterr().out.startswith("osteon ")


def test_an_outcome_that_is_misspelt_gets_a_suggestion(capsys, tmp_path):
    (tmp_path / "cohort.csv").write_text("age,sex\n50,male\n60,female\n")
    for wrong, meant in (("mortalty", "mortality"), ("Fractures", "fracture")):
        given = ["check", str(tmp_path / "cohort.csv"), "--outcome", wrong]
        assert run_command(osteon.app, given) == 2
        assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_what_comes_next_can_be_typed(capsys, tmp_path):
    cohort = tmp_path / "a cohort.parquet"
    given = ["simulate", "--patients", "100", "--out", str(cohort), "--landmark", "72h"]
    assert run_command(osteon.app, given) == 0
    (line,) = [row for row in capsys.readouterr().out.splitlines() if row.startswith("Next: ")]

    program, name, *typed = shlex.split(line.removeprefix("Next: "))

    assert (program, name) == ("osteon", "train")
    with COMMANDS[name].make_context(name, typed) as context:
        assert context.params["cohort"] == str(cohort)
        assert (context.params["outcome"], context.params["landmark"]) == ("mortality", "72h")
