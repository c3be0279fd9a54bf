"""The commands about data: `osteon map`, `osteon check` and `osteon datasets`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import Finding, RulesBroken, UsageError
from training.cli.console import (
    JsonOption,
    print_command,
    print_json,
    print_lines,
    print_rows,
    working,
)
from training.cli.sources import SourceKind, draft_codes

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.mapping.file import CohortMapping
    from data_schema.table.check import Report
    from data_schema.table.plausible_follow_up import FollowUp

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
    Path | None, typer.Option(help="Mapping file that describes your columns (TOML).")
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse columns that neither catalogue nor mapping file names."),
]


def map_columns(
    cohort: CohortArgument,
    out: Annotated[
        Path,
        typer.Option(help="Mapping file to write (TOML); a code map also as .csv."),
    ],
    site_variables: Annotated[
        bool,
        typer.Option(
            "--site-variables",
            help="Describe columns outside the catalogue too: kind, unit, range, share missing.",
        ),
    ] = False,
    kind: Annotated[
        SourceKind | None,
        typer.Option("--source", help="Draft a code map of such records instead."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draft a mapping file, or the code map of a source.

    Ambiguous entries stay blank; `osteon check` refuses the file until they are filled in.
    """
    if kind is not None:
        if site_variables:
            raise UsageError("--site-variables describes a cohort, and cannot go with --source.")
        draft_codes(str(cohort), kind, out, as_json=as_json)
        return
    with working():
        from data_schema.drafting.draft import draft_mapping
        from data_schema.mapping.file import parse_mapping
        from data_schema.mapping.rules import mapping_problems
        from data_schema.table.files import read_table
        from training.files import require_folder, whole_file

        require_folder(out)
        table = read_table(cohort)
        text = draft_mapping(table, site_variables=site_variables)
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
        ]
    )
    then = ("check", str(cohort), "--mapping", str(out))
    print_command("Next, once the blanks are filled in:" if blanks else "Next:", *then)


def check(
    cohort: CohortArgument,
    mapping: MappingOption = None,
    outcome: Annotated[
        str | None, typer.Option(help="Outcome to check (default: every outcome of the cohort).")
    ] = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """Report the rules that a cohort breaks, by number of rows.

    Exits with 1 if a rule is fatal.
    """
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
    """List the public data sets that are known by name."""
    with working():
        from training.datasets.registry import ADAPTERS
    columns = ("name", "outcome", "purpose", "time_zero", "source")
    if as_json:
        keys = (*columns, "needs_folder", "notes")
        entries = [{key: getattr(entry, key) for key in keys} for entry in ADAPTERS.values()]
        print_json({"datasets": entries})
        return
    print_rows(columns, [[getattr(entry, key) for key in columns] for entry in ADAPTERS.values()])


def stated_mapping(path: str | Path | None) -> CohortMapping | None:
    """Return the mapping in a file, or None if there is no file."""
    from data_schema.mapping.file import read_mapping

    return None if path is None else read_mapping(path)


def _checked(
    table: pd.DataFrame, mapping: CohortMapping | None, outcome: str | None, *, strict: bool
) -> Report:
    """Check a table for the given outcome, or for every outcome that it has."""
    from data_schema.table.check import Report
    from training.cohorts.study import check_table

    outcomes: list[str | None] = [outcome] if outcome else [*_outcomes(table, mapping)]
    reports = [
        check_table(table, outcome=name, mapping=mapping, strict=strict).report
        for name in outcomes or [None]
    ]
    fatal = dict.fromkeys(finding for report in reports for finding in report.fatal)
    warnings = dict.fromkeys(finding for report in reports for finding in report.warnings)
    if not outcomes:
        message = (
            f"cohort should have an outcome; {len(table)} of {len(table)} rows have none. It can "
            "be scored, but no model can be trained on it."
        )
        warnings[Finding("no_outcome", "", len(table), message)] = None
    followed = tuple(one for report in reports for one in report.follow_up)
    return Report(len(table), tuple(fatal), tuple(warnings), followed)


def _outcomes(table: pd.DataFrame, mapping: CohortMapping | None) -> list[str]:
    """Return the outcomes of which a table or its mapping has at least one column."""
    from data_schema.outcomes import ENDPOINTS

    mapped = set() if mapping is None else set(mapping.outcomes)
    return [
        entry.name
        for entry in ENDPOINTS.values()
        if entry.endpoint in mapped or entry.days_column in table or entry.event_column in table
    ]


def _print_report(report: Report) -> None:
    """Print the findings as a table, then the verdict."""
    rows = [
        (severity, f.rule, f.variable, str(f.count), f.message)
        for severity, findings in (("fatal", report.fatal), ("warning", report.warnings))
        for f in findings
    ]
    if rows:
        print_rows(("", "rule", "variable", "rows", "what to do"), rows, numbers=("rows",))
    print_lines(
        [
            *map(_followed, report.follow_up),
            f"{report.rows} rows, {len(report.fatal)} fatal, {len(report.warnings)} warnings: "
            + ("not fit for use." if report.fatal else "fit for use."),
        ]
    )


def _followed(follow_up: FollowUp) -> str:
    """Return how long patients were followed, in a line."""
    known = "; ".join(
        f"{one.with_event} with and {one.without_event} without it by day {one.horizon_days:g}"
        for one in follow_up.horizons
    )
    return (
        f"{follow_up.outcome}: {follow_up.events} of {follow_up.stays} stays have the outcome; "
        f"the longest follow-up is {follow_up.longest_days:g} days. Known: {known}."
    )
