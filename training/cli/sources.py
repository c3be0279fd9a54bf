"""The sources of records that commands name, and the draft of a source's code map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_schema.errors import UsageError
from training.cli.console import print_json, print_lines, working

if TYPE_CHECKING:
    from training.sources.code_map import CodeMap
    from training.sources.observations import Source

__all__ = ["SourceKind", "draft_codes", "source_of"]

SourceKind = Literal["mimic-iv-meds", "meds", "long", "fhir", "omop"]


def source_of(source: str, kind: SourceKind, code_map: CodeMap, icu: tuple[str, ...]) -> Source:
    """Return the source of the given kind; `icu` names its intensive care units."""
    from training.sources.fhir import Fhir
    from training.sources.long import Long
    from training.sources.meds import Meds
    from training.sources.omop import Omop

    if icu and kind not in ("fhir", "omop"):
        raise UsageError(f"--icu must go with --source fhir or omop; got {kind}.")
    path = Path(source)
    match kind:
        case "fhir":
            return Fhir(path, icu_locations=icu)
        case "omop":
            if not all(concept.isdecimal() for concept in icu):
                raise UsageError("--icu must be concept ids for omop; some are not numbers.")
            return Omop(source, mapped=code_map.codes, intensive_care=[*map(int, icu)])
        case "long":
            return Long(path)
        case _:
            return Meds(path, mimic_iv=kind == "mimic-iv-meds", mapped=code_map.codes)


def draft_codes(source: str, kind: SourceKind, out: Path, *, as_json: bool) -> None:
    """Write a draft of the code map of a source, and print how many codes it names.

    As CSV where `out` ends in `.csv`, else as TOML.
    """
    with working():
        from training.files import require_folder, whole_file
        from training.sources.code_map import CodeMap
        from training.sources.draft import code_names, draft_code_map
        from training.sources.observations import connection

        require_folder(out)
        with connection() as db:
            draft = draft_code_map(
                db,
                source_of(source, kind, CodeMap(), ()),
                code_names(db, Path(source)),
            )
        with whole_file(out) as file:
            is_table = out.suffix.casefold() == ".csv"
            file.write_text(draft.as_csv if is_table else draft.as_toml, encoding="utf-8")
    counts = {"named": draft.named, "blanks": draft.blanks, "unknown": draft.unknown}
    if as_json:
        print_json({"out": str(out), **counts})
        return
    print_lines(
        [
            f"Drafted {out}: {draft.named} codes named, {draft.blanks} blanks to fill in, "
            f"{draft.unknown} that resemble no variable.",
            f"Read it, fill in the blanks, then: osteon landmark {source} --codes {out} ...",
        ]
    )
