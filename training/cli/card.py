"""The command `osteon card`: the Applied Model Card of a version, as XML or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_schema.errors import UsageError
from training.cli.console import JsonOption, print_json, print_lines, working
from training.cli.score import loaded_model

__all__ = ["card"]


def card(
    model: Annotated[str, typer.Option(help="models:/NAME/VERSION or models:/NAME@ALIAS.")],
    out: Annotated[Path, typer.Option(help="File to write: .xml or .json.")],
    as_json: JsonOption = False,
) -> None:
    """Write the Applied Model Card of a registered version.

    Its schema is version 0.2 of the Coalition for Health AI (CHAI). What the bundle
    does not know is marked as for the site to state.
    """
    with working():
        from models.registry.applied_model_card import (
            applied_model_card,
            card_as_json,
            card_as_xml,
        )
        from models.registry.versions import find_version
        from training.files import require_folder, whole_file

        if out.suffix not in (".xml", ".json"):
            raise UsageError(f"--out must end in .xml or .json; got {out.name}.")
        require_folder(out)
        loaded = loaded_model(model)
        if loaded.version is None:
            raise UsageError(
                "a card is of a registered version. Give models:/NAME/VERSION or "
                "models:/NAME@ALIAS."
            )
        version = find_version(loaded.name, version=loaded.version)
        written = applied_model_card(
            loaded.risk_model.contract,
            version=version.version,
            released_on=version.created_at,
            validations=loaded.validations,
        )
        text = card_as_xml(written) if out.suffix == ".xml" else card_as_json(written)
        with whole_file(out) as draft:
            draft.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"name": loaded.name, "version": version.version, "out": str(out)})
    else:
        print_lines([f"Applied Model Card of {loaded.name} version {version.version}: {out}"])
