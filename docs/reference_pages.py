"""The reference pages of the site, written from the code that they describe.

Each function returns one page in Markdown; `write_pages` writes them all where Sphinx reads them.
"""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import typer

from data_schema.biomarkers import VARIABLES
from data_schema.variables import PATHWAYS, Variable
from methods_pages import metrics_page, simulation_page

__all__ = [
    "PAGES",
    "catalogue_page",
    "commands",
    "commands_page",
    "endpoints",
    "endpoints_page",
    "exit_codes_page",
    "problems_page",
    "write_pages",
]

_ROOT = Path(__file__).parents[1]
_SEARCH = """
<label>Search the catalogue: <input type="search" id="catalogue-search" autocomplete="off"></label>
<span id="catalogue-count"></span>
"""
_SCRIPT = """
<script>
const box = document.getElementById("catalogue-search");
const rows = [...document.querySelectorAll("#catalogue tbody tr")];
function show() {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.words;
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  document.getElementById("catalogue-count").textContent = shown + " of " + rows.length;
}
box.addEventListener("input", show);
show();
</script>
"""


def catalogue_page() -> str:
    """Return the catalogue as one table that can be searched without a network."""
    head = "".join(
        f"<th>{name}</th>"
        for name in ("name", "label", "pathway", "units", "range", "codes", "counts", "notes")
    )
    rows = "\n".join(_row(variable) for variable in VARIABLES.values())
    return (
        "# Catalogue of variables\n\n"
        f"Every variable that Osteon knows: {len(VARIABLES)}. A table, an HTTP request, a FHIR "
        "record and a model name it by the first column; the second is what a clinician reads. "
        "The first unit is the one that models use; values in the others are converted, and "
        "nothing else is accepted. A value outside the range is refused. The words that headers of "
        "spreadsheets use are searched, too.\n\n"
        f"```{{raw}} html\n{_SEARCH}\n"
        f'<div class="table-wrapper"><table id="catalogue"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>\n{_SCRIPT}\n```\n"
    )


def _row(variable: Variable) -> str:
    codes = [f"{'LOINC ' if 'loinc' in code.system else ''}{code.code}" for code in variable.codes]
    codes += [f"ICD-10 {code}" for code in variable.icd_10]
    codes += [f"SNOMED CT {code}" for code in (*variable.snomed, *variable.procedures)]
    codes += [f"ATC {code}" for code in variable.atc]
    sources = sorted({reference.source for reference in variable.references if reference.source})
    notes = [variable.note, variable.caution, variable.ambiguity]
    notes += [f"Reference: {source}." for source in sources]
    cells = (
        f"<code>{html.escape(variable.name)}</code>",
        html.escape(variable.label),
        html.escape(PATHWAYS[variable.pathway]),
        html.escape(", ".join([*variable.units, *variable.offset_units]) or variable.kind),
        html.escape(_range(variable)),
        html.escape(", ".join(codes)),
        html.escape(variable.window.words),
        html.escape(" ".join(note for note in notes if note)),
    )
    words = " ".join(
        (variable.name, variable.label, PATHWAYS[variable.pathway], *variable.synonyms, *codes)
    ).lower()
    return (
        f'<tr id="{html.escape(variable.name)}" data-words="{html.escape(words)}">'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _range(variable: Variable) -> str:
    if variable.kind == "category":
        return ", ".join(variable.categories)
    if variable.low is None and variable.high is None:
        return "0 or 1" if variable.kind == "flag" else ""
    return f"{_number(variable.low)} to {_number(variable.high)}"


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its whole name, as `osteon audit verify`."""
    from osteon import app

    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if hasattr(command, "commands"):
            for sub in command.commands.values():
                yield from below(f"{name} {sub.name}", sub)
        else:
            yield name, command

    yield from below("osteon", typer.main.get_command(app))


def commands_page() -> str:
    """Return every command with its arguments and options, from the parser."""
    parts = [
        "# Commands\n\nAs `osteon COMMAND --help` prints them. With `--json` a command "
        "prints one JSON object and nothing else on stdout; [exit codes](exit-codes.md) are the "
        "same for all.\n"
    ]
    for name, command in commands():
        paragraphs = "\n\n".join(
            " ".join(text.split()) for text in (command.help or "").split("\n\n")
        )
        parts.append(f"## `{name}`\n\n{_plain(paragraphs)}\n")
        rows = [
            f"| {_parameter(one)} | {_plain(one.help or '')} |"  # type: ignore[attr-defined]
            for one in command.params
            if one.name != "help"
        ]
        if rows:
            parts.append(
                "| argument or option | what it is |\n| --- | --- |\n" + "\n".join(rows) + "\n"
            )
    return "\n".join(parts)


def _parameter(parameter: click.Parameter) -> str:
    if parameter.param_type_name == "argument":
        name = (parameter.human_readable_name or "").upper()
        return f"`{name}`" if parameter.required else f"`[{name}]`"
    names = ", ".join(f"`{option}`" for option in parameter.opts)
    return names + (" (required)" if parameter.required else "")


def _plain(text: str) -> str:
    """Return a text without what Markdown would read as markup of a table or of HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").strip()


def endpoints() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield method, path and operation of every endpoint, from the service's OpenAPI document."""
    from serving.app import create_app
    from serving.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(state_dir=Path(folder))).openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def endpoints_page() -> str:
    """Return every endpoint, grouped by its tag."""
    groups: dict[str, list[str]] = {}
    for method, path, operation in endpoints():
        tag = (operation.get("tags") or ["other"])[0]
        answers = ", ".join(f"`{status}`" for status in operation["responses"])
        groups.setdefault(tag, []).append(
            f"### `{method} {path}`\n\n**{operation['summary']}.** "
            f"{_paragraphs(operation['description'])}\n\nAnswers: {answers}.\n"
        )
    parts = [
        "# HTTP, FHIR and CDS Hooks\n\nFrom the OpenAPI document that a running service serves at "
        "`/openapi.json`, with schemas and an example that works unchanged. Errors are "
        "[problems](problems.md), or an OperationOutcome under `/fhir`.\n"
    ]
    for tag, entries in groups.items():
        parts += [f"## {tag[0].upper()}{tag[1:]}\n", *entries]
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).replace("<", "&lt;")


def exit_codes_page() -> str:
    """Return what each exit code of the command means."""
    from training.cli.main import EXIT_CODES

    meanings = {
        "data": "the data break a rule; each is named with a count of rows",
        "gate": "a model may not be promoted or served, or the audit trail is not complete",
        "usage": "wrong usage: an option, a name, a file or a setting",
        "outside": "something outside Osteon failed: registry, database, file system, network",
        "defect": "an error that Osteon does not raise: please report it",
    }
    rows = [f"| {code} | {kind} | {meanings[kind]} |" for kind, code in EXIT_CODES.items()]
    return (
        "# Exit codes\n\nThe same for every command. With `--json` an error is one object on "
        "stdout: `kind`, `exit_code`, `message` and, for data, `findings`.\n\n"
        "| code | kind | meaning |\n| --- | --- | --- |\n| 0 |  | done |\n"
        + "\n".join(rows)
        + "\n| 130 |  | stopped by the user |\n"
    )


def problems_page() -> str:
    """Return every problem type of the service, with its status."""
    from serving.problems.details import TITLES

    rows = [
        f"| {status} | `urn:osteon:problem:{slug}` | {title} |"
        for status, (slug, title) in sorted(TITLES.items())
    ]
    return (
        "# Problems\n\nErrors of the service are problem details (RFC 9457): `type`, `title`, "
        "`status`, and `errors`, each with the field, the rule and a sentence. No field repeats a "
        "value that was sent.\n\n| status | type | title |\n| --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n\nA patient whom a model refuses is no error: the answer is 200 with `status: "
        "refused` and the codes of its refusals.\n"
    )


def settings_page() -> str:
    """Return SETTINGS.md."""
    from serving.settings_page import settings_page as page

    return page()


def _document(name: str) -> str:
    """Return a document of the repository's root, its links to others as links of the site."""
    text = (_ROOT / name).read_text(encoding="utf-8")
    places = {"SETTINGS.md": "settings.md", "SECURITY.md": "security.md"}
    return re.sub(r"\]\(([A-Z]+\.md)\)", lambda found: f"]({places.get(found[1], found[1])})", text)


PAGES = {
    "catalogue": catalogue_page,
    "commands": commands_page,
    "http": endpoints_page,
    "exit-codes": exit_codes_page,
    "problems": problems_page,
    "settings": settings_page,
    "metrics": metrics_page,
    "simulation": simulation_page,
    "glossary": lambda: _document("GLOSSARY.md"),
    "security": lambda: _document("SECURITY.md"),
    "changes": lambda: _document("CHANGELOG.md"),
}
"""Every generated page by the name of its file."""


def write_pages(folder: Path) -> None:
    """Write every generated page into a folder, where it differs from what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        path, text = folder / f"{name}.md", page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
