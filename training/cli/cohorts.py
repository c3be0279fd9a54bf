"""The commands `osteon map`, `osteon check` and `osteon datasets`: what the data are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_schema.errors import Finding, RulesBroken
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.mapping.file import CohortMapping
    from data_schema.table.check import Report

__all__ = [
    "CohortArgument",
    "MappingOption",
    "StrictOption",
    "check",
    "datasets",
    "map_columns",
    "stated_mapping",
]

CohortArgument = Annotated[Path, typer.Argument(help="CSV, .xlsx or Parquet, one row per stay.")]
MappingOption = Annotated[
    Path | None, typer.Option(help="Mapping file: what the site's columns are.")
]

StrictOption = Annotated[bool, typer.Option("--strict", help="Refuse columns that nothing names.")]


def map_columns(
    cohort: CohortArgument,
    out: Annotated[Path, typer.Option(help="Mapping file to write (TOML).")],
    as_json: JsonOption = False,
) -> None:
    """Draft a mapping file from headers, units and values.

    What is ambiguous stays blank, and a blank is fatal until it is filled in.
    """
    with working():
        from data_schema.drafting.draft import draft_mapping
        from data_schema.mapping.file import parse_mapping
        from data_schema.mapping.rules import mapping_problems
        from data_schema.table.files import read_table
        from training.files import require_folder, whole_file

        require_folder(out)
        table = read_table(cohort)
        text = draft_mapping(table)
        mapping = parse_mapping(text)
        blanks = [f for f in mapping_problems(mapping, table.columns) if f.rule == "blank"]
        with whole_file(out) as draft:
            draft.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"out": str(out), "columns": len(mapping.columns), "blanks": len(blanks)})
        return
    print_lines(
        [
            f"Drafted {out}: {len(mapping.columns)} columns, {len(blanks)} blanks to fill in.",
            f"Read it, fill in the blanks, then: osteon check {cohort} --mapping {out}",
        ]
    )


def check(
    cohort: CohortArgument,
    mapping: MappingOption = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="Outcome to check; without it, whatever outcome the cohort tells."),
    ] = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Report every rule that a cohort breaks, by count of rows. Exit 1 if any is fatal."""
    with working():
        from data_schema.table.check import Report
        from data_schema.table.files import read_table

        stated = stated_mapping(mapping)
        try:
            table = read_table(cohort)
        except RulesBroken as error:
            report = Report(0, error.findings, ())
        else:
            report = _checked(table, stated, outcome, strict=strict)
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)
    raise typer.Exit(1 if report.fatal else 0)


def datasets(as_json: JsonOption = False) -> None:
    """List the public data sets known by name, to `osteon train` and `osteon benchmark`."""
    with working():
        from training.datasets.registry import ADAPTERS

        known = [
            {
                "name": one.name,
                "outcome": one.outcome,
                "purpose": one.purpose,
                "time_zero": one.time_zero,
                "source": one.source,
                "needs_folder": one.needs_folder,
                "notes": list(one.notes),
            }
            for one in ADAPTERS.values()
        ]
    if as_json:
        print_json({"datasets": known})
        return
    shown = ("name", "outcome", "purpose", "time_zero", "source")
    print_rows(shown, [[str(one[key]) for key in shown] for one in known])


def stated_mapping(path: str | Path | None) -> CohortMapping | None:
    """Return the mapping file that an option names, if it names one."""
    from data_schema.mapping.file import read_mapping

    return None if path is None else read_mapping(path)


def _checked(
    table: pd.DataFrame, mapping: CohortMapping | None, outcome: str | None, *, strict: bool
) -> Report:
    """Check a table for every outcome that it tells, or for the one that was asked for."""
    from data_schema.table.check import Report
    from training.cohorts.study import check_table

    asked: list[str | None] = [outcome] if outcome else [*_told(table, mapping)]
    reports = [
        check_table(table, outcome=name, mapping=mapping, strict=strict).report
        for name in asked or [None]
    ]
    fatal = dict.fromkeys(finding for report in reports for finding in report.fatal)
    warnings = dict.fromkeys(finding for report in reports for finding in report.warnings)
    if not asked:
        warnings[_no_outcome(len(table))] = None
    return Report(len(table), tuple(fatal), tuple(warnings))


def _told(table: pd.DataFrame, mapping: CohortMapping | None) -> list[str]:
    """Return the outcomes of which a table or its mapping holds at least a part."""
    from data_schema.outcomes import ENDPOINTS

    mapped = set() if mapping is None else set(mapping.outcomes)
    return [
        entry.name
        for entry in ENDPOINTS.values()
        if entry.endpoint in mapped or entry.days_column in table or entry.event_column in table
    ]


def _no_outcome(n_rows: int) -> Finding:
    return Finding(
        "no_outcome",
        "",
        n_rows,
        f"cohort should tell an outcome; {n_rows} of {n_rows} rows tell none. It can be scored, "
        "but nothing can be learned from it.",
    )


def _print_report(report: Report) -> None:
    """Print what is wrong as a table, then the verdict."""
    found: list[tuple[str, Any]] = [("fatal", finding) for finding in report.fatal]
    found += [("warning", finding) for finding in report.warnings]
    if found:
        print_rows(
            ("", "rule", "variable", "rows", "what to do"),
            [(how, f.rule, f.variable, str(f.count), f.message) for how, f in found],
            numbers=("rows",),
        )
    print_lines(
        [
            f"{report.rows} rows, {len(report.fatal)} fatal, {len(report.warnings)} warnings: "
            + ("not fit for use." if report.fatal else "fit for use.")
        ]
    )
