"""The command `osteon settings`.

Heavy modules are imported when it runs, so that `osteon --help` stays fast.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from serving.cli.audit import JsonOption

__all__ = ["settings"]


def settings(as_json: JsonOption = False) -> None:
    """Print every OSTEON_* variable, its default and an example."""
    from serving.settings_page import documented_settings, settings_page

    if as_json:
        listed = [asdict(setting) for setting in documented_settings()]
        typer.echo(json.dumps({"settings": listed}))
    else:
        typer.echo(settings_page(), nl=False)
