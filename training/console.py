"""How the commands speak: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["JsonOption", "print_json", "print_lines", "print_rows", "working"]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and the rest on stderr.")
]

_WIDTH_WITHOUT_TERMINAL = 120


@contextmanager
def working() -> Iterator[Callable[[str, int, int], None]]:
    """Keep stdout free of what libraries print, log stages, and give a progress callback.

    Yields
    ------
    callable
        Takes what is done, how many steps are done, and how many there are. It draws on a terminal
        only.
    """
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr), _stages_logged():
        if sys.stderr.isatty():
            with _progress_bar() as progress:
                yield progress
        else:
            yield lambda what, done, steps: None


@contextmanager
def _stages_logged() -> Iterator[None]:
    """Show what training logs, one line per stage, while a command works."""
    stages = logging.getLogger("training")
    handler = logging.StreamHandler(sys.stderr)
    stages.addHandler(handler)
    stages.setLevel(logging.INFO)
    try:
        yield
    finally:
        stages.removeHandler(handler)


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def told(what: str, done: int, steps: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=steps)
            bar.update(tasks[what], completed=done)

        yield told


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout; null stands for what is undefined."""
    typer.echo(json.dumps(_finite(result), ensure_ascii=False, allow_nan=False))


def print_lines(lines: Sequence[str]) -> None:
    """Print result lines on stdout, folded at words."""
    from rich.text import Text

    for line in lines:
        _print(Text(line))


def print_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table without a frame on stdout; `numbers` names the columns aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in header:
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(Text(name), justify=justify, overflow="fold")
    for row in rows:
        # As text, since a message may hold what looks like markup: [ids].
        table.add_row(*map(Text, row))
    _print(table)


def _print(shown: RenderableType) -> None:
    """Print on stdout, without the spaces that fill up lines where they fill nothing."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(shown)
        return
    console = Console(width=_WIDTH_WITHOUT_TERMINAL)
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def _finite(value: Any) -> Any:
    """Return a result with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
