"""The commands about data and models, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from data_schema.errors import DataError, Finding, GateError, OsteonError, OutsideError, UsageError
from training.cli import (
    cohorts,
    compare,
    diagnose,
    evaluate,
    landmark,
    monitor,
    protocol,
    registry,
    score,
    simulate,
    train,
    update,
    validate,
)
from training.cli.console import print_json

__all__ = ["EXIT_CODES", "add_commands", "run_command"]

EXIT_CODES = {"data": 1, "gate": 1, "usage": 2, "outside": 3, "defect": 3}
"""Kind of error -> exit code; 0 is success. A defect is an error that Osteon does not raise."""

_KINDS = {DataError: "data", GateError: "gate", UsageError: "usage", OutsideError: "outside"}

# Typer may bring its own copy of click; this is its class of wrong usage in either case.
_WrongUsage: Any = typer.BadParameter.__base__
_NoArguments: Any = next(
    kind for kind in _WrongUsage.__subclasses__() if kind.__name__ == "NoArgsIsHelpError"
)


def add_commands(app: typer.Typer) -> None:
    """Add every command of training to the application."""
    app.command("map")(cohorts.map_columns)
    for command in (
        cohorts.check,
        diagnose.diagnose,
        landmark.landmark,
        simulate.simulate,
        protocol.protocol,
        train.train,
        score.score,
        evaluate.evaluate,
        score.explain,
        validate.validate,
        validate.pool,
        update.recalibrate,
        train.benchmark,
        registry.promote,
        monitor.monitor,
        compare.compare,
        registry.registry,
        registry.rollback,
        registry.withdraw,
        registry.card,
        cohorts.datasets,
    ):
        app.command()(command)


def run_command(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, without a traceback or a patient's value.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: the arguments of the process.

    Returns
    -------
    int
        0 success, 1 refused data or gate, 2 wrong usage, 3 failure of another system or of Osteon.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in given
    try:
        return int(app(args=given, prog_name="osteon", standalone_mode=False) or 0)
    except _NoArguments as error:
        # The whole message is the help.
        typer.echo(error.format_message())
        return 0
    except OsteonError as error:
        kind = next(kind for family, kind in _KINDS.items() if isinstance(error, family))
        return _report(kind, str(error), getattr(error, "findings", ()), as_json=as_json)
    except _WrongUsage as error:
        return _report("usage", error.format_message(), (), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Stopped.", err=True)
        return 130
    except Exception as error:  # noqa: BLE001 - the last boundary: its text might contain a value
        return _report("defect", _place(error), (), as_json=as_json)


def _report(kind: str, message: str, findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print an error, as JSON on stdout or as lines on stderr, and return its exit code."""
    code = EXIT_CODES[kind]
    if as_json:
        error = {"kind": kind, "exit_code": code, "message": message}
        print_json({"error": {**error, "findings": [asdict(finding) for finding in findings]}})
    elif findings:
        for finding in findings:
            rows = f"{finding.variable} ({finding.count})".lstrip()
            typer.echo(f"error: [{finding.rule}] {rows}: {finding.message}", err=True)
    else:
        typer.echo(f"error: {message}", err=True)
    return code


def _place(error: Exception) -> str:
    """Describe a defect without the text of the error, which may contain a patient's value."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Unexpected error: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}. "
        "This is a bug in Osteon; please report it."
    )
