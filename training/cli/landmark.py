"""The command `osteon landmark`: a hospital's own records to a cohort at time zero."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from data_schema.errors import UsageError
from training.cli.console import (
    JsonOption,
    print_command,
    print_json,
    print_lines,
    print_rows,
    working,
)
from training.cli.options import names
from training.cli.sources import SourceKind, source_of

if TYPE_CHECKING:
    from training.sources.code_map import CodeMap
    from training.sources.severity import Severity

__all__ = ["landmark"]


def landmark(
    source: Annotated[
        str,
        typer.Argument(
            help="File or folder of the hospital's records; for omop also postgresql://... (leave "
            "the password to PGPASSWORD or a password file)."
        ),
    ],
    kind: Annotated[SourceKind, typer.Option("--source", help="What the records are.")],
    time_zero: Annotated[
        str,
        typer.Option(help="Time zero: icu_discharge, icu_admission+24h, or a column of stays."),
    ],
    out: Annotated[Path, typer.Option(help="Cohort to write (.parquet or .csv).")],
    codes: Annotated[
        Path | None, typer.Option(help="Code map (TOML or CSV): which code is which variable.")
    ] = None,
    icu: Annotated[
        str,
        typer.Option(
            help="Intensive care units that the records do not name as such, comma-separated: "
            "references to Locations (fhir), or concept ids of visits (omop)."
        ),
    ] = "",
    missing_component: Annotated[
        Literal["normal", "missing", "worst"],
        typer.Option(help="What an unrecorded component of SOFA, APACHE II and SAPS II counts."),
    ] = "normal",
    memory: Annotated[str, typer.Option(help="Memory for the tables, such as 2GB.")] = "2GB",
    as_json: JsonOption = False,
) -> None:
    """Turn a hospital's records into a cohort at time zero.

    From long tables, FHIR, OMOP or MEDS: one row per stay at risk then, of what was known then.
    Prints the flow of exclusions, the codes that have no variable, and the values left out.
    """
    with working():
        from tempfile import TemporaryDirectory

        from training.files import require_table_path, write_table
        from training.sources.landmark import landmark as landmark_cohort
        from training.sources.observations import connection

        require_table_path(out)
        is_address = kind == "omop" and "://" in source
        if not is_address and not Path(source).exists():
            raise UsageError(f"source must be a file or a folder; {source} does not exist.")
        with TemporaryDirectory() as spill, connection(memory=memory, spill=spill) as db:
            code_map = _code_map(codes, kind)
            result = landmark_cohort(
                db,
                source_of(source, kind, code_map, names(icu)),
                code_map,
                time_zero=time_zero,
                missing_component=missing_component,
            )
        write_table(result.cohort, out)
    if as_json:
        print_json(
            {
                "patients": result.patients,
                "stays": result.stays,
                "stays_in_source": result.stays_in_source,
                "excluded": dict(result.excluded),
                "unmapped_codes": result.codes.unmapped_codes,
                "records": result.codes.records,
                "unmapped_records": result.codes.unmapped_records,
                "left_out": result.codes.left_out(),
                "above": dict(result.codes.above),
                "glasgow": dict(result.severity.glasgow),
                "glasgow_chartings": dict(result.severity.chartings),
                "doses_without_weight": result.severity.doses_without_weight,
                "doses_under_an_hour": result.severity.doses_under_an_hour,
                "gases_without_fio2": result.severity.gases_without_fio2,
                "gases_ruling_out_fio2": result.severity.gases_ruling_out_fio2,
                "dropped": dict(result.dropped),
                "findings": [asdict(finding) for finding in result.findings],
                "out": str(out),
            }
        )
        return
    print_rows(
        ("stays", "number"),
        [
            ("in the source", str(result.stays_in_source)),
            *((reason.replace("_", " "), str(n)) for reason, n in result.excluded.items()),
            ("in the cohort", str(result.stays)),
        ],
        numbers=("number",),
    )
    print_lines(
        [
            f"{result.patients} patients, {len(result.cohort.columns)} columns. "
            f"{result.codes.unmapped_codes} codes have no variable.",
            *(
                f"Left out, {_REASONS[reason]}: {sum(by_variable.values())} ("
                + ", ".join(f"{name} {count}" for name, count in by_variable.items())
                + ")."
                for reason, by_variable in result.codes.left_out().items()
                if reason in _REASONS
            ),
            f"{sum(result.codes.above.values())} results above a limit count as the limit.",
            *_severity_lines(result.severity),
            *(f"Not read: {count} {reason}." for reason, count in result.dropped.items()),
            *(finding.message for finding in result.findings),
            f"Wrote {out}.",
        ]
    )
    print_command("Next:", "check", str(out))


# What lies after time zero, or long before it, is the rule in any record: it is in the JSON alone.
_REASONS = {
    "without_value": "with neither a number nor a text",
    "unit": "in a unit that is not known",
    "specimen": "of another specimen, or not stated to be arterial",
    "assay": "by the assay of another variable",
    "unreadable": "with a text that means no value",
    "artefacts": "outside the plausible range",
    "repeated": "held by the source more than once",
}

_GLASGOW = {
    "charted": "as charted",
    "verbal_estimated": "with the verbal score estimated (tube)",
    "before_sedation": "from before sedation",
    "sedated": "none, sedated throughout",
    "verbal_unknown": "none, only the total with a tube",
    "not_recorded": "not recorded",
}


def _severity_lines(severity: Severity) -> list[str]:
    """Return in words what decided the severity scores."""
    glasgow = ", ".join(f"{_GLASGOW[name]} {count}" for name, count in severity.glasgow.items())
    return [
        f"Glasgow score, stays: {glasgow}.",
        *(
            f"{count} {words}."
            for count, words in (
                (severity.doses_without_weight, "stays have a catecholamine without a weight"),
                (severity.doses_under_an_hour, "stays had a catecholamine for under an hour"),
                (severity.gases_without_fio2, "blood gases have no FiO2 in force"),
                (severity.gases_ruling_out_fio2, "blood gases hold more oxygen than FiO2 gives"),
            )
            if count
        ),
    ]


def _code_map(path: Path | None, kind: SourceKind) -> CodeMap:
    from training.sources.code_map import CodeMap, mimic_iv_map, read_code_map

    if path is not None:
        return read_code_map(path)
    return mimic_iv_map() if kind == "mimic-iv-meds" else CodeMap()
