"""The commands about what is registered: promote, registry, card, rollback and withdraw."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.score import loaded_model

if TYPE_CHECKING:
    from models.registry.versions import Version

__all__ = ["card", "promote", "registry", "rollback", "withdraw"]

NameArgument = Annotated[str, typer.Argument(help="Registered name, e.g. osteon-mortality.")]


def promote(
    context: typer.Context,
    name: NameArgument,
    version: Annotated[str, typer.Argument(help="Version number.")],
    cohort: Annotated[
        Path | None,
        typer.Option(help="Cohort to judge it on (default: the figures of its training run)."),
    ] = None,
    mapping: MappingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version champion if its figures pass the gate.

    Exits with 1 and the reasons if they do not. The decision is signed with OSTEON_GATE_KEY and
    recorded in the audit trail.
    """
    with working(), context.obj() as decisions:
        from data_schema.table.files import read_table
        from models.registry.versions import find_version
        from training.run.promotion import promote as decide

        stated = find_version(name, version=version)
        decisions.check_standing(name=name, version=version, sha256=stated.sha256)
        table = None if cohort is None else read_table(cohort)
        decision = decide(name, version, table=table, mapping=stated_mapping(mapping))
        refused = decision.decision != "promote"
        decisions.note(
            "promoted",
            "refused" if refused else "ok",
            name=name,
            version=version,
            sha256=decision.model_sha256,
        )
    if as_json:
        print_json(decision.as_json())
    elif refused:
        for reason in decision.reasons:
            typer.echo(f"refused: {reason}", err=True)
    else:
        print_lines(
            [
                f"{name} version {version} is champion: it passed the gate on "
                f"{decision.judged_on}. Gate record signed by {decision.by} at {decision.at}.",
                f"{decision.champion[0].upper()}{decision.champion[1:]}.",
                *(
                    f"It is not known whether the model learned from patients of the cohort: {why}."
                    for why in (decision.overlap_not_known,)
                    if why
                ),
                *(
                    f"Does not hold for version {version}: {validation}."
                    for validation in decision.validations_of_others
                ),
            ]
        )
    raise typer.Exit(1 if refused else 0)


def registry(
    name: Annotated[str | None, typer.Argument(help="Model to list (default: all).")] = None,
    mark_clinical: Annotated[
        bool,
        typer.Option(
            "--mark-clinical",
            help="Mark the registry as clinical, for good: it takes no model of simulated patients "
            "from then on.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List versions with their aliases and gate records.

    With a name, also the model's timeline. The timeline holds registrations, updates, gates,
    validations elsewhere and withdrawals.
    """
    with working():
        from models.registry import clinical
        from models.registry.timeline import timeline
        from models.registry.versions import list_models

        if mark_clinical:
            clinical.mark_clinical()
        versions = list_models(name)
        events = () if name is None else timeline(versions)
    if as_json:
        listed: dict[str, object] = {"versions": [_described(version) for version in versions]}
        if name is not None:
            listed["timeline"] = [event.as_json() for event in events]
        print_json(listed)
        return
    print_rows(
        ("name", "version", "aliases", "gate record", "population"),
        [
            (
                entry.name,
                entry.version,
                ", ".join(entry.aliases),
                _decision(entry),
                _population(entry),
            )
            for entry in versions
        ],
    )
    if events:
        print_lines(["", "Timeline:"])
        print_rows(
            ("time", "version", "event", "detail"),
            [(event.at, event.version, event.kind, event.detail) for event in events],
        )


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


def rollback(context: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Restore the previous champion.

    The newest approved version before the champion becomes champion, or the newest of all if the
    champion was withdrawn. A new gate record is signed; the audit trail records it.
    """
    with working(), context.obj() as decisions:
        from models.registry import lifecycle as models
        from models.registry.gate import gate_key
        from training.run.mlflow_run import user_name

        excluded = decisions.withdrawn([one.sha256 for one in models.list_models(name)])
        version = models.rollback(name, key=gate_key(), by=user_name(), excluded=set(excluded))
        decisions.note(
            "rolled_back", "ok", name=name, version=version.version, sha256=version.sha256
        )
    if as_json:
        print_json({"name": version.name, "version": version.version, "alias": "champion"})
        return
    print_lines([f"{version.name} version {version.version} is champion again."])


def withdraw(
    context: typer.Context,
    name: NameArgument,
    version: Annotated[str, typer.Argument(help="Version number.")],
    why: Annotated[
        str, typer.Option(help="Why it is unfit, in one sentence that names no patient.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Mark a version as unfit, for good.

    The service stops serving it within half a minute and refuses it from then on, also under
    another version number; it cannot be promoted again. The audit trail records it first.
    """
    with working(), context.obj() as decisions:
        from models.registry.versions import find_version
        from models.registry.withdrawal import check_reason
        from models.registry.withdrawal import withdraw as mark
        from training.run.mlflow_run import user_name

        check_reason(why)
        sha256 = find_version(name, version=version).sha256
        decisions.note("withdrawn", "ok", name=name, version=version, sha256=sha256, why=why)
        withdrawn = mark(name, version, why=why, by=user_name())
    was_champion = "champion" in withdrawn.aliases
    if as_json:
        print_json({"name": name, "version": version, "was_champion": was_champion, "why": why})
        return
    print_lines(
        [
            f"{name} version {version} is withdrawn: {why}",
            *(
                [f"{name} has no champion now. Run `osteon rollback {name}` or promote another."]
                if was_champion
                else []
            ),
        ]
    )


def _decision(version: Version) -> str:
    """Return the gate record of a version, or why it was withdrawn, as the list shows it."""
    from models.registry.withdrawal import reason_of

    reason, record = reason_of(version), version.gate_record
    if reason is not None:
        return f"withdrawn: {reason}"
    return "none" if record is None else f"{record.decision} by {record.by} at {record.at}"


def _population(version: Version) -> str:
    return version.tags.get("osteon.population", "")


def _described(version: Version) -> dict[str, object]:
    """Return a version as `--json` lists it; its gate record is not verified."""
    from models.registry.validations import validations_of
    from models.registry.versions import whole_gate_record
    from models.registry.withdrawal import reason_of

    record = whole_gate_record(version)
    return {
        "name": version.name,
        "version": version.version,
        "model_uri": version.model_uri,
        "aliases": list(version.aliases),
        "run_id": version.run_id,
        "sha256": version.sha256,
        "population": _population(version),
        "simulated": version.tags.get("osteon.simulated") == "true",
        "withdrawn": reason_of(version),
        "updated_from": version.updated_from,
        "validations": [validation.as_json() for validation in validations_of(version)],
        "gate": None
        if record is None
        else {
            "decision": record.decision,
            "by": record.by,
            "at": record.at,
            "cohort_fingerprint": record.cohort_fingerprint,
            "criteria": [asdict(criterion) for criterion in record.criteria],
        },
    }
