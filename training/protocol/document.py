"""A protocol as a file: Markdown or one HTML page, with its settings beside it."""

from __future__ import annotations

from pathlib import Path

from data_schema.errors import UsageError
from models.wording import NOTICE
from training.files import require_folder, whole_file
from training.protocol.design import StudyDesign
from training.protocol.sections import protocol_sections, protocol_title
from training.protocol.study_file import settings_text
from training.protocol.words import OPEN
from training.report.content import as_markdown
from training.report.page import report_page

__all__ = ["protocol_text", "settings_path", "write_protocol"]

_MARKDOWN, _PAGE = ".md", ".html"


def settings_path(out: Path) -> Path:
    """Return the file of the settings that lies beside a protocol."""
    return out.with_suffix(".toml")


def protocol_text(design: StudyDesign, out: Path) -> str:
    """Return the protocol as the ending of its file says: Markdown, or one HTML page.

    Raises
    ------
    UsageError
        If the file ends otherwise.
    """
    if out.suffix not in (_MARKDOWN, _PAGE):
        raise UsageError(f"--out must end in {_MARKDOWN} or {_PAGE}; got {out.name}.")
    title = protocol_title(design)
    sections = protocol_sections(design, settings_path(out))
    if out.suffix == _PAGE:
        return report_page(
            title,
            f'Draft of a study protocol. "{OPEN}" marks what is open.',
            sections,
            simulated=False,
            kind="study protocol",
        )
    return as_markdown(title, sections).replace("\n\n", f"\n\n> {NOTICE}\n\n", 1)


def write_protocol(design: StudyDesign, out: Path) -> Path:
    """Write a protocol and its settings, each whole or not at all; return the settings' file.

    Raises
    ------
    UsageError
        If the file ends otherwise, or its folder does not exist.
    OutsideError
        If a file cannot be written.
    """
    text = protocol_text(design, out)
    require_folder(out)
    settings = settings_path(out)
    for path, content in ((settings, settings_text(design)), (out, text)):
        with whole_file(path) as draft:
            draft.write_text(content, encoding="utf-8")
    return settings
