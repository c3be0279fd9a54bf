"""The commands `osteon validate` and `osteon pool`: a version elsewhere, and sites together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import UsageError
from training.cli.cohorts import MappingOption
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.options import DatasetOption, OptionalCohort
from training.cli.score import cohort_for, full_name, loaded_model
from training.cli.tables import notice_lines

if TYPE_CHECKING:
    from data_schema.cohort import Cohort
    from models.registry.lifecycle import LoadedModel
    from training.validation.external import ExternalValidation
    from training.validation.sharing import PooledValidation

__all__ = ["pool", "validate"]

_SHOWN = ("auroc", "oe_ratio", "calibration_slope", "ici", "brier", "net_benefit")


def validate(
    model: Annotated[
        str,
        typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or the folder of a bundle."),
    ],
    cohort: OptionalCohort = None,
    mapping: MappingOption = None,
    dataset: DatasetOption = None,
    site: Annotated[
        str, typer.Option(help="Name of the site, as the registry and shared files may state it.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="New folder for report and results.")] = None,
    share: Annotated[
        Path | None,
        typer.Option(
            help="New folder of aggregates alone, to give to the model's owner: no row, no cell "
            "under 10."
        ),
    ] = None,
    refit: Annotated[
        bool, typer.Option(help="Also fit models of these patients alone, for comparison.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Validate a version on patients elsewhere.

    The report shows what an update would gain. Discrimination, calibration, decision curves and
    case mix, with three updates side by side: intercept, intercept and slope, refit. The validation
    is listed with the version in the registry and holds for no other version.
    """
    with working() as progress:
        from models.registry.validations import check_site
        from training.files import require_new_folder
        from training.report.folders import write_validation
        from training.validation.external import validate_elsewhere
        from training.validation.sharing import shared_validation, write_shared

        check_site(site)
        for folder in (out, share):
            if folder is not None:
                require_new_folder(folder)
        loaded = loaded_model(model)
        patients = _patients(loaded, cohort, mapping, dataset)
        validation = validate_elsewhere(
            loaded, patients, site=site, with_refit=refit, progress=progress
        )
        if share is not None:
            write_shared(shared_validation(validation), share)
        if out is not None:
            write_validation(validation, out)
        listed = _list_with_version(validation)
    if as_json:
        folders = {"out": out, "share": share}
        print_json(
            validation.as_json()
            | {name: None if folder is None else str(folder) for name, folder in folders.items()}
            | {"listed": listed}
        )
        return
    _show(validation, listed=listed)


def _patients(
    loaded: LoadedModel, cohort: Path | None, mapping: Path | None, dataset: str | None
) -> Cohort:
    """Return the patients of a file, or of a public data set that the model may be judged on."""
    from training.validation.external import require_other_patients

    outcome = loaded.risk_model.contract.outcome
    if dataset is None:
        if cohort is None:
            raise UsageError("the patients are missing. Give a COHORT or --dataset.")
        return cohort_for(loaded, cohort, mapping, outcome=outcome)
    if cohort is not None or mapping is not None:
        raise UsageError("--dataset cannot be combined with COHORT or --mapping.")
    from training.datasets.registry import dataset as known_dataset
    from training.datasets.registry import load_dataset

    known = known_dataset(dataset)
    require_other_patients(loaded.name, known.name)
    patients = load_dataset(known.name)
    if known.outcome != outcome:
        raise UsageError(
            f"the outcome of {known.name} must be {outcome}, the model's; it is {known.outcome}."
        )
    missing = [name for name in loaded.risk_model.features if name not in patients.features]
    if missing:
        raise UsageError(
            f"{known.name} must have every column that the model reads; {len(missing)} of "
            f"{len(loaded.risk_model.features)} are absent, among them {', '.join(missing[:5])}."
        )
    return patients


def _list_with_version(validation: ExternalValidation) -> bool:
    """List the validation with the version in the registry; return whether it has one."""
    from data_schema.disclosure import SMALLEST_CELL
    from models.registry.validations import add_validation
    from models.registry.versions import find_version
    from training.run.mlflow_run import user_name

    evaluation = validation.evaluation
    loaded, predictions = evaluation.loaded, evaluation.predictions
    if loaded.version is None:
        return False
    counts = (predictions.patients, predictions.events)
    patients, events = (count if count >= SMALLEST_CELL else None for count in counts)
    add_validation(
        find_version(loaded.name, version=loaded.version),
        site=validation.site,
        patients=patients,
        events=events,
        cohort_fingerprint=predictions.cohort_fingerprint,
        metrics=evaluation.judgement.metrics,
        horizon_days=validation.primary_horizon_days,
        simulated=evaluation.cohort.simulated,
        by=user_name(),
    )
    return True


def _show(validation: ExternalValidation, *, listed: bool) -> None:
    """Print the figures, the updates side by side and the case mix."""
    from models.metrics.metric import metric_at
    from training.report.performance import estimate_text
    from training.report.update_report import tested_sentence

    evaluation, updates = validation.evaluation, validation.updates
    judged, days = evaluation.predictions, validation.primary_horizon_days
    print_lines(
        [
            *notice_lines(evaluation.overlap.sentence or None),
            *notice_lines(judged.refusals.notice),
            f"{full_name(evaluation.loaded)} on {judged.patients} patients with {judged.events} "
            f"events, at {days:g} days, with 95 % intervals; updates out of fold:",
        ]
    )
    print_rows(
        ("metric", *(update.method for update in updates.updates)),
        [
            (
                name,
                *(
                    update.note or estimate_text(metric_at(update.metrics, name, days))
                    for update in updates.updates
                ),
            )
            for name in _SHOWN
        ],
    )
    mix = next(mix for mix in validation.case_mix if mix.horizon_days == days)
    membership = validation.membership_auroc
    print_lines(
        [
            *([] if updates.tested is None else [tested_sentence(updates.tested)]),
            f"With the refit among the candidates, the choice is: {updates.chosen}.",
            f"Expected area under the curve in this case mix: {mix.expected_auroc:.3f}."
            + (
                ""
                if membership is None
                else f" Patients are distinguished from the training cohort's with an area of "
                f"{membership:.2f}."
            ),
            "Listed with the version in the registry."
            if listed
            else "Not listed: the model is no registered version.",
        ]
    )


def pool(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that sites wrote with osteon validate --share.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="New folder for report and forest plots.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pool the validations of one version at several sites.

    Random-effects meta-analysis of discrimination and calibration, with the interval in which the
    figure of a new site would lie. Three sites at least.
    """
    with working():
        from training.files import require_new_folder
        from training.report.folders import write_pooled
        from training.validation.sharing import pool_sites, read_shared

        if out is not None:
            require_new_folder(out)
        pooled = pool_sites([read_shared(folder) for folder in folders])
        if out is not None:
            write_pooled(pooled, out)
    if as_json:
        print_json(pooled.as_json() | {"out": None if out is None else str(out)})
        return
    _show_pooled(pooled)


def _show_pooled(pooled: PooledValidation) -> None:
    """Print each pooled metric with its intervals, below those of the sites."""
    from training.report.performance import estimate_text

    first = pooled.sites[0]
    print_lines([f"{first.model_name} version {first.model_version} at {len(pooled.sites)} sites:"])
    rows: list[tuple[str, str, str]] = []
    for mean in pooled.pooled:
        assert mean.horizon_days is not None  # only metrics of a horizon are pooled
        rows += [
            (f"{mean.metric} at {mean.horizon_days:g} days", site, estimate_text(metric))
            for site, metric in pooled.at_sites(mean.metric, mean.horizon_days)
        ]
        rows += [
            ("", "mean", estimate_text(mean)),
            ("", "a new site", f"{mean.next_low:.3f} to {mean.next_high:.3f}"),
        ]
    print_rows(("metric", "site", "estimate (95 % interval)"), rows)
