from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from data_schema.errors import (
    DataError,
    Finding,
    GateError,
    OutsideError,
    RulesBroken,
    UsageError,
)
from training.cli.console import JsonOption, print_json
from training.cli.main import add_commands, run_command

SENTINEL = "7319.0625"


def app_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def fail(as_json: JsonOption = False) -> None:
        raise error

    @app.command()
    def other() -> None:
        """Make it an application of several commands."""

    return app


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (DataError("no"), "data", 1),
        (RulesBroken([Finding("range", "lactate", 2, "no")]), "data", 1),
        (GateError("no"), "gate", 1),
        (UsageError("no"), "usage", 2),
        (OutsideError("no"), "outside", 3),
    ],
)
def test_each_error_has_its_exit_code_and_one_json_object(
    error: Exception, kind: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(app_that_raises(error), ["fail", "--json"]) == code
    reported = json.loads(capsys.readouterr().out)["error"]
    assert (reported["kind"], reported["exit_code"]) == (kind, code)
    assert run_command(app_that_raises(error), ["fail"]) == code
    spoken = capsys.readouterr()
    assert spoken.out == ""
    assert spoken.err.startswith("error: ")
    assert spoken.err.count("\n") == 1


def test_broken_rules_are_listed_with_name_rule_and_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = [Finding("range", "lactate", 2, "lactate must be 0-30"), Finding("x", "", 7, "y")]
    assert run_command(app_that_raises(RulesBroken(findings)), ["fail"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: [range] lactate (2): lactate must be 0-30",
        "error: [x] (7): y",
    ]
    run_command(app_that_raises(RulesBroken(findings)), ["fail", "--json"])
    reported = json.loads(capsys.readouterr().out)["error"]["findings"]
    assert reported[0] == {
        "rule": "range",
        "variable": "lactate",
        "count": 2,
        "message": "lactate must be 0-30",
    }


def test_a_defect_shows_where_and_neither_traceback_nor_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(app_that_raises(KeyError(SENTINEL)), ["fail"]) == 3
    spoken = capsys.readouterr().err
    assert "KeyError at test_main.py:" in spoken
    assert SENTINEL not in spoken
    assert "Traceback" not in spoken


@pytest.mark.parametrize("arguments", [["fail", "--nonsense"], ["nonsense"]])
def test_wrong_options_are_wrong_usage_in_json_too(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_that_raises(DataError("never raised"))
    assert run_command(app, [*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "usage"


def test_what_is_stopped_by_hand_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(app_that_raises(KeyboardInterrupt()), ["fail"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_json_holds_null_for_what_is_undefined(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], 3: (None, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "3": [None, "x"]}


def commands() -> dict[str, Any]:
    app = typer.Typer(rich_markup_mode=None)
    add_commands(app)
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


@pytest.mark.parametrize("name", commands())
def test_every_option_states_its_purpose_and_its_default_in_parentheses(name: str) -> None:
    command = commands()[name]
    helps = {parameter.name: getattr(parameter, "help", None) for parameter in command.params}

    assert command.get_short_help_str(limit=70).endswith(".")
    assert not command.get_short_help_str(limit=70).endswith("...")
    assert all(helps.values()), helps
    assert not [text for text in helps.values() if "without it" in text or " asked" in text]
