"""The commands `osteon audit verify`, `export`, `prune` and `adopt`.

Heavy modules are imported when a command runs, so that `osteon --help` stays fast.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from data_schema.errors import OutsideError, UsageError

__all__ = ["JsonOption", "acting_user", "audit"]

audit = typer.Typer(
    help="Verify, export, prune or adopt the audit trail.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
HeadOption = Annotated[
    Path | None, typer.Option(help="A copy of the signed head from another place.")
]


@audit.command()
def verify(
    head: HeadOption = None,
    acknowledged: Annotated[
        Path | None,
        typer.Option(
            help="File of prediction ids that callers were answered with, one a line: counts those "
            "without a record."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no record was changed, removed or cut off. Exit 1 if one was.

    Checks API keys, used tokens, sessions, risks, outcomes, cards and feedback too.
    """
    from serving.audit.acknowledged import count_missing
    from serving.audit.head import read_head
    from serving.audit.opening import audit_keys, database_of, head_path
    from serving.audit.verification import verify as check
    from serving.settings import read_settings

    settings = read_settings()
    keys = audit_keys(settings)
    if head is not None and not head.is_file():
        raise UsageError("--head must name an existing file.")
    if acknowledged is not None and not acknowledged.is_file():
        raise UsageError("--acknowledged must name an existing file.")
    signed = read_head(head or head_path(settings), keys)
    with _progress("records checked") as progress:
        result = check(database_of(settings), keys, signed, progress=progress)
    count = missing = 0
    if acknowledged is not None:
        ids = acknowledged.read_text(encoding="utf-8", errors="replace").splitlines()
        count, missing = count_missing(settings, ids)
    answered = {"acknowledged": count, "missing": missing} if acknowledged is not None else {}
    if as_json:
        typer.echo(json.dumps(result.as_json() | answered))
    elif result.ok:
        numbers = f"{result.first} to {result.last}"
        typer.echo(f"The audit trail is complete: {result.records} records, {numbers}.")
        if signed is None and result.records:
            typer.echo(
                "Compared with the signed head in the database alone, which a copy of an earlier "
                "moment has too. Use --head with a copy of audit.head from another machine.",
                err=True,
            )
    else:
        for flaw in result.flaws:
            where = f"record {flaw.seq}: " if flaw.seq or flaw.rule == "head" else ""
            typer.echo(f"[{flaw.rule}] {where}{flaw.message}")
        typer.echo(f"The audit trail is NOT complete: {result.flaw_count} flaws.")
    if answered and not as_json:
        typer.echo(f"{missing} of {count} acknowledged predictions are missing.")
    raise typer.Exit(0 if result.ok and missing == 0 else 1)


@audit.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write, one resource per line.")],
    as_json: JsonOption = False,
) -> None:
    """Write every record as a FHIR R4 AuditEvent, the oldest first (NDJSON)."""
    from serving.audit.export import audit_events
    from serving.audit.opening import database_of
    from serving.settings import read_settings

    count = 0
    database = database_of(read_settings())
    try:
        with _whole(out) as file, _progress("records written") as progress:
            for count, event in enumerate(audit_events(database), start=1):
                file.write(json.dumps(event) + "\n")
                progress(count, 0)
    except OSError as error:
        raise OutsideError(f"The file must be writable ({error.strerror}).") from None
    result = {"records": count, "out": str(out)}
    typer.echo(json.dumps(result) if as_json else f"{count} AuditEvents are in {out}.")


@audit.command()
def prune(
    clock_is_checked: Annotated[
        bool,
        typer.Option(
            "--clock-is-checked",
            help="Prune although the clock is more than a day ahead of the newest records.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete records older than OSTEON_AUDIT_RETENTION_DAYS; the rest still verifies.

    Refuses if the clock is ahead of the newest records, since it may be wrong.
    """
    from serving.audit.opening import open_trail
    from serving.audit.retention import prune as delete
    from serving.settings import read_settings

    settings = read_settings()
    days = settings.audit_retention_days
    with closing(open_trail(settings, make=False)) as trail:
        deleted = delete(
            trail,
            older_than_days=days,
            actor=acting_user(),
            clock_is_checked=clock_is_checked,
        )
    result = {"deleted": deleted, "older_than_days": days}
    typer.echo(
        json.dumps(result) if as_json else f"{deleted} records older than {days} days are deleted."
    )


@audit.command()
def adopt(as_json: JsonOption = False) -> None:
    """Resume the trail from the database, after restoring a backup; this is recorded."""
    from serving.audit.opening import database_of, trail_at
    from serving.settings import read_settings

    settings = read_settings()
    database_of(settings).close()  # it must be there
    with closing(trail_at(settings)) as trail:
        trail.adopt(actor=acting_user())
    typer.echo(
        json.dumps({"adopted": True})
        if as_json
        else "The trail resumes from the database. Run `osteon audit verify`."
    )


def acting_user() -> str:
    """Return the user of the command, as the trail names them."""
    import getpass

    return f"command:{getpass.getuser()}"


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Yield a file that replaces the file at a path once it is complete, or not at all."""
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    path = path.resolve()
    written = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with written.open("w", encoding="utf-8") as file:
            if path.exists():
                shutil.copymode(path, written)
            yield file
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback that shows progress, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of or None)
