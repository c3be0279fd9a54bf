"""The commands `osteon keys create`, `list`, `rotate` and `revoke`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.audit import JsonOption, acting_user

if TYPE_CHECKING:
    from serving.access.api_keys import ApiKey
    from serving.audit.trail import AuditTrail

__all__ = ["keys"]

keys = typer.Typer(
    help="Create, list and revoke the API keys of callers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

IdArgument = Annotated[str, typer.Argument(help="Id of the key, as `osteon keys list` shows it.")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Holder of the key, e.g. the name of a system.")],
    role: Annotated[
        list[str], typer.Option(help="predict, outcomes, audit, metrics or admin; may be repeated.")
    ],
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="Days until the key expires (default: never)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key. Its text is shown only once; the service stores a hash of it."""
    from serving.access import api_keys

    with _trail() as trail:
        key, text = api_keys.create(trail, name, role, days=days, actor=acting_user())
    _show(key, text, as_json=as_json)


@keys.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List every key, without its secret.

    A key is `changed`, and refused, if its row was written by other means than `osteon keys`.
    """
    from serving.access import api_keys

    with _trail() as trail:
        listed = api_keys.list_keys(trail.database, trail.keys)
    if as_json:
        typer.echo(json.dumps({"keys": [asdict(key) | {"valid": key.valid} for key in listed]}))
        return
    for key in listed:
        state = (
            "changed"
            if not key.genuine
            else "valid"
            if key.valid
            else "revoked"
            if key.revoked_at
            else "expired"
        )
        ends = f", until {key.expires_at}" if key.expires_at else ""
        typer.echo(f"{key.id}  {state}  {', '.join(key.roles)}  {key.name}{ends}")


@keys.command()
def rotate(
    key_id: IdArgument,
    grace_hours: Annotated[
        int, typer.Option(min=0, max=8_760, help="Hours for which the old key stays valid.")
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Replace a key by a new one; the old key expires after a period of grace."""
    from serving.access import api_keys

    with _trail() as trail:
        key, text = api_keys.rotate(trail, key_id, grace_hours=grace_hours, actor=acting_user())
    _show(key, text, as_json=as_json)


@keys.command()
def revoke(key_id: IdArgument, as_json: JsonOption = False) -> None:
    """Revoke a key now."""
    from serving.access import api_keys

    with _trail() as trail:
        api_keys.revoke(trail, key_id, actor=acting_user())
    typer.echo(json.dumps({"revoked": key_id}) if as_json else f"Key {key_id} is revoked.")


@contextmanager
def _trail() -> Iterator[AuditTrail]:
    from serving.audit.opening import open_trail
    from serving.settings import read_settings

    with closing(open_trail(read_settings())) as trail:
        yield trail


def _show(key: ApiKey, text: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(key) | {"key": text}))
        return
    typer.echo(f"Key {key.id} of {key.name} has the roles: {', '.join(key.roles)}.")
    typer.echo("Send it as `Authorization: Bearer TEXT`. The text is not shown again:")
    typer.echo(text)
