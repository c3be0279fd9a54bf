"""Output of the commands: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["JsonOption", "print_command", "print_json", "print_lines", "print_rows", "working"]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; all else goes to stderr.")
]

_WIDTH_WITHOUT_TERMINAL = 120
_BAR_WIDTH = 20


@contextmanager
def working() -> Iterator[Callable[[str, int, int], None]]:
    """Keep the output of libraries off stdout, log stages, and yield a progress callback.

    The callback takes the name of a task, its steps done and its number of steps. It prints on a
    terminal only.
    """
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr):
        if sys.stderr.isatty():
            # The display stands for stderr while it lasts, so the log is opened after it: what is
            # written past it would lie under the bars and be wiped with them.
            with _progress_bar() as progress, _stages_logged():
                yield progress
        else:
            with _stages_logged():
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
    """Show what is done, and from the start how long it takes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

    columns = (
        "{task.description}",
        BarColumn(_BAR_WIDTH),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        # Without a number of steps its bar pulses, and the time counts up.
        bar.add_task("working", total=None)
        tasks: dict[str, TaskID] = {}

        def report(task: str, done: int, steps: int) -> None:
            total = steps or None
            if task not in tasks:
                tasks[task] = bar.add_task(task, total=total)
            bar.update(tasks[task], completed=done, total=total)

        yield report


def print_json(result: Mapping[str, object]) -> None:
    """Print one JSON object on stdout, with null for undefined numbers."""
    typer.echo(json.dumps(_finite(result), ensure_ascii=False, allow_nan=False))


def print_lines(lines: Sequence[str]) -> None:
    """Print result lines on stdout, wrapped at words."""
    from rich.text import Text

    for line in lines:
        _print(Text(line))


def print_command(before: str, *arguments: str) -> None:
    """Print a command of Osteon as it can be typed in this shell: on one line, however long."""
    typer.echo(f"{before} {shlex.join((_program(), *arguments))}")


def _program() -> str:
    """Return how the shell starts Osteon: by its name where that is on the path."""
    program = Path(sys.argv[0])
    on_path = shutil.which("osteon")
    if program.name != "osteon" or (on_path and Path(on_path).samefile(program)):
        return "osteon"
    return os.path.relpath(program)


def print_rows(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table without borders on stdout; `numbers` names the right-aligned columns.

    The first column, which names the rows, and columns of numbers are never wrapped. The header of
    a column of numbers is wrapped at words, to be about as narrow as the numbers. A table with
    other text that would be wider than the terminal is printed as blocks of lines, one a row.
    """

    cells = [list(row) for row in rows]
    columns = []
    for place, name in enumerate(header):
        texts = [row[place] for row in cells]
        is_number = name in numbers
        header_text = _wrapped(name, texts) if is_number else name
        whole = is_number or place == 0
        columns.append(_Column(header_text, is_number=is_number, whole=whole, cells=texts))
    fits = sum(column.least + 2 for column in columns) - 2 <= _width()
    if fits or all(column.is_number for column in columns[1:]):
        _print_table(columns)
    else:
        _print_blocks(columns)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column to print; `whole` states that its cells are never wrapped."""

    header: str
    is_number: bool
    whole: bool
    cells: list[str]

    @property
    def least(self) -> int:
        """The width below which a cell, or a word of it, would be cut."""
        texts = (self.header, *self.cells)
        parts = (part for text in texts for part in text.split("\n" if self.whole else None))
        return max(map(len, parts), default=0)


def _print_table(columns: Sequence[_Column]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        table.add_column(
            Text(column.header), justify=justify, min_width=column.least, no_wrap=column.whole
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        # As Text, since a message may contain brackets that Rich would read as markup: [ids].
        table.add_row(*map(Text, row))
    _print(table)


def _print_blocks(columns: Sequence[_Column]) -> None:
    """Print a table that is too wide row by row, a cell a line, so that no word is cut."""
    from rich.padding import Padding
    from rich.text import Text

    first, *others = columns
    for place, name in enumerate(first.cells):
        if name:
            _print(Text(name))
        for column in others:
            if cell := column.cells[place]:
                label = column.header.replace("\n", " ")
                text = f"{label}: {cell}" if label else cell
                _print(Padding(Text(text), (0, 0, 0, 2)))


def _width() -> int:
    """Return the columns of the terminal, or those to print without one."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL


def _wrapped(header: str, cells: Sequence[str]) -> str:
    """Return the header of a column wrapped at words, about as narrow as its cells."""
    width = max(2 + max(map(len, cells), default=0), *map(len, header.split(" ")), 1)
    return textwrap.fill(header, width, break_long_words=False, break_on_hyphens=False)


def _print(content: RenderableType) -> None:
    """Print on stdout, without trailing spaces.

    A table too wide even so is printed in full width: a wrapped number could be misread.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=_width())
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
