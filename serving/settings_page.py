"""Every setting of the service with its default and an example, as `SETTINGS.md` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import PydanticUndefined

from serving.settings import OTHER_VARIABLES, Settings, variable_of

__all__ = ["DocumentedSetting", "documented_settings", "settings_page"]

_INTRODUCTION = """# Settings

Every environment variable that Osteon reads. This page is printed by `osteon settings`, from
`serving/settings.py`; do not edit it. A misspelt `OSTEON_*` variable is refused at the start.
"""


@dataclass(frozen=True, slots=True)
class DocumentedSetting:
    """One environment variable: its default in words (empty if there is none), and an example."""

    variable: str
    default: str
    example: str
    description: str


def documented_settings() -> list[DocumentedSetting]:
    """Return every setting of the service, then the variables that other parts read.

    Examples
    --------
    >>> documented_settings()[1].variable, documented_settings()[1].default
    ('OSTEON_PORT', '8000')
    """
    listed = [
        DocumentedSetting(
            variable_of(name),
            _in_words(field.default),
            str((field.examples or [""])[0]),
            " ".join((field.description or "").split()),
        )
        for name, field in Settings.model_fields.items()
    ]
    others = (
        DocumentedSetting(one.name, "", one.example, one.description) for one in OTHER_VARIABLES
    )
    return [*listed, *others]


def settings_page() -> str:
    """Return the page of all settings, in Markdown."""
    rows = [
        f"| `{one.variable}` | {_code(one.default)} | {_code(one.example)} | {one.description} |"
        for one in documented_settings()
    ]
    head = ("| variable | default | example | what it does |", "| --- | --- | --- | --- |")
    return "\n".join((_INTRODUCTION, *head, *rows)) + "\n"


def _in_words(default: object) -> str:
    if default is None or default is PydanticUndefined or default == () or default == {}:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, Mapping):
        return ",".join(f"{key}={value}" for key, value in default.items())
    return str(default).lower() if isinstance(default, bool) else str(default)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
