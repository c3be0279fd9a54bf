"""How the commands speak: results go to stdout, everything else to stderr."""

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
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, steps: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=steps)
            bar.update(tasks[what], completed=done)

        yield told


def print_json(result: Mapping[str, object]) -> None:
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
    """Print a table without a frame on stdout; `numbers` names the columns aligned to the right.

    The first column, which names the rows, and numbers keep their width: neither is ever broken
    over two lines. The head of a column of numbers is broken at words, to be about as narrow.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(header):
        is_number = name in numbers
        shown = _narrow(name, [row[place] for row in cells]) if is_number else name
        justify: Literal["left", "right"] = "right" if is_number else "left"
        if is_number or place == 0:
            whole = (shown, *(row[place] for row in cells))
            width = max(len(line) for text in whole for line in text.split("\n"))
            table.add_column(Text(shown), justify=justify, min_width=width, no_wrap=True)
        else:
            table.add_column(Text(shown), overflow="fold")
    for row in cells:
        # As text, since a message may hold what looks like markup: [ids].
        table.add_row(*map(Text, row))
    _print(table)


def _narrow(head: str, cells: Sequence[str]) -> str:
    """Return the head of a column broken at words, about as narrow as what stands below it."""
    width = max(2 + max(map(len, cells), default=0), *map(len, head.split(" ")), 1)
    return textwrap.fill(head, width, break_long_words=False, break_on_hyphens=False)


def _print(shown: RenderableType) -> None:
    """Print on stdout, without the spaces that fill up lines where they fill nothing.

    What does not fit is printed wider than the terminal: a broken number is another number.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    console.width = max(
        console.width, Measurement.get(console, console.options.update_width(10_000), shown).minimum
    )
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
