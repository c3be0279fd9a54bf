"""Output of the commands: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["JsonOption", "print_json", "print_lines", "print_rows", "working"]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; all else goes to stderr.")
]

_WIDTH_WITHOUT_TERMINAL = 120


@contextmanager
def working() -> Iterator[Callable[[str, int, int], None]]:
    """Keep the output of libraries off stdout, log stages, and yield a progress callback.

    The callback takes the name of a task, its steps done and its number of steps. It prints on a
    terminal only.
    """
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr), _stages_logged():
        if sys.stderr.isatty():
            with _progress_bar() as progress:
                yield progress
        else:
            yield lambda task, done, steps: None


@contextmanager
def _stages_logged() -> Iterator[None]:
    """Print the log of `training` and `models`, one line per stage, while a command works."""
    handler = logging.StreamHandler(sys.stderr)
    loggers = [logging.getLogger(name) for name in ("training", "models")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(task: str, done: int, steps: int) -> None:
            if task not in tasks:
                tasks[task] = bar.add_task(task, total=steps)
            bar.update(tasks[task], completed=done)

        yield report


def print_json(result: Mapping[str, object]) -> None:
    """Print one JSON object on stdout, with null for undefined numbers."""
    typer.echo(json.dumps(_finite(result), ensure_ascii=False, allow_nan=False))


def print_lines(lines: Sequence[str]) -> None:
    """Print result lines on stdout, wrapped at words."""
    from rich.text import Text

    for line in lines:
        _print(Text(line))


def print_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table without borders on stdout; `numbers` names the right-aligned columns.

    The first column, which names the rows, and columns of numbers are never wrapped. The header of
    a column of numbers is wrapped at words, to be about as narrow as the numbers.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(header):
        is_number = name in numbers
        header_text = _wrapped(name, [row[place] for row in cells]) if is_number else name
        justify: Literal["left", "right"] = "right" if is_number else "left"
        if is_number or place == 0:
            texts = (header_text, *(row[place] for row in cells))
            width = max(len(line) for text in texts for line in text.split("\n"))
            table.add_column(Text(header_text), justify=justify, min_width=width, no_wrap=True)
        else:
            table.add_column(Text(header_text), overflow="fold")
    for row in cells:
        # As Text, since a message may contain brackets that Rich would read as markup: [ids].
        table.add_row(*map(Text, row))
    _print(table)


def _wrapped(header: str, cells: Sequence[str]) -> str:
    """Return the header of a column wrapped at words, about as narrow as its cells."""
    width = max(2 + max(map(len, cells), default=0), *map(len, header.split(" ")), 1)
    return textwrap.fill(header, width, break_long_words=False, break_on_hyphens=False)


def _print(content: RenderableType) -> None:
    """Print on stdout, without trailing spaces.

    A table too wide for the terminal is printed in full width: a wrapped number could be misread.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    console.width = max(
        console.width,
        Measurement.get(console, console.options.update_width(10_000), content).minimum,
    )
    with console.capture() as captured:
        console.print(content)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def _finite(value: Any) -> Any:
    """Return a result with None for NaN and infinities, which JSON cannot represent."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
