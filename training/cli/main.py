"""The commands about data and models, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from data_schema.errors import DataError, GateError, OsteonError, OutsideError, UsageError
from training.cli import cohorts as cli_cohorts
from training.cli import evaluate as cli_evaluating
from training.cli import registry as cli_registry
from training.cli import score as cli_asking
from training.cli import simulate as cli_simulation
from training.cli import train as cli_training
from training.cli.console import print_json

__all__ = ["EXIT_CODES", "add_commands", "run_command"]

EXIT_CODES = {"data": 1, "gate": 1, "usage": 2, "outside": 3, "defect": 3}
"""Who says no -> exit code; 0 is done. A defect is an error that nobody raised on purpose."""

_KINDS = {DataError: "data", GateError: "gate", UsageError: "usage", OutsideError: "outside"}

# Typer may bring its own copy of click; this is its class of wrong usage in either case.
_WrongUsage: Any = typer.BadParameter.__base__


def add_commands(app: typer.Typer) -> None:
    """Add every command of training to the application."""
    for command in (
        cli_cohorts.map_columns,
        cli_cohorts.check,
        cli_simulation.simulate,
        cli_training.train,
        cli_asking.score,
        cli_evaluating.evaluate,
        cli_asking.explain,
        cli_training.benchmark,
        cli_registry.promote,
        cli_registry.registry,
        cli_registry.rollback,
        cli_cohorts.datasets,
        cli_registry.doctor,
    ):
        name = "map" if command is cli_cohorts.map_columns else None
        app.command(name)(command)


def run_command(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; no error passes as a traceback or with a value.

    Parameters
    ----------
    app : Typer
    arguments : sequence of str, optional
        Those of the process without it.

    Returns
    -------
    int
        0 done, 1 the data or the gate says no, 2 wrong usage, 3 something outside failed.
    """
    stated = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in stated
    try:
        return int(app(args=stated, prog_name="osteon", standalone_mode=False) or 0)
    except OsteonError as error:
        kind = next(kind for tree, kind in _KINDS.items() if isinstance(error, tree))
        return _report(kind, str(error), getattr(error, "findings", ()), as_json=as_json)
    except _WrongUsage as error:
        return _report("usage", error.format_message(), (), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Stopped.", err=True)
        return 130
    except Exception as error:  # noqa: BLE001 - the last boundary: its text might hold a value
        return _report("defect", _where(error), (), as_json=as_json)


def _report(kind: str, message: str, findings: Sequence[Any], *, as_json: bool) -> int:
    """Print an error, as JSON on stdout or as lines on stderr, and return its exit code."""
    code = EXIT_CODES[kind]
    if as_json:
        broken = [
            {"rule": f.rule, "variable": f.variable, "count": f.count, "message": f.message}
            for f in findings
        ]
        error = {"kind": kind, "exit_code": code, "message": message, "findings": broken}
        print_json({"error": error})
    elif findings:
        for finding in findings:
            where = f"{finding.variable} ({finding.count})".lstrip()
            typer.echo(f"error: [{finding.rule}] {where}: {finding.message}", err=True)
    else:
        typer.echo(f"error: {message}", err=True)
    return code


def _where(error: Exception) -> str:
    """Say what went wrong without the text of the error, which may hold a patient's value."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Osteon failed in a way that nobody foresaw: {type(error).__name__} in "
        f"{Path(last.filename).name}, line {last.lineno}. This is a defect; please report it."
    )
