"""Osteon: the command line, and the same steps for a notebook.

    import osteon

    osteon.check(frame, outcome="mortality")            # broken rules, as a data frame
    run = osteon.train(frame, outcome="mortality")      # registered as challenger in MLflow
    osteon.score(frame, model=run.model_uri)            # one row per patient and horizon
    osteon.evaluate(other, model=run.model_uri)         # every metric with its interval
    osteon.added_value(frame, outcome="mortality", added=["resorption"])
    osteon.explain(frame, model=run.model_uri)          # shap.Explanation, for shap.plots

Research use only. Not a medical device. Not for triage, nor for limiting or withdrawing treatment.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from data_schema.errors import UsageError
from serving.cli.audit import JsonOption, audit
from serving.cli.backup import backup, restore
from serving.cli.keys import keys
from serving.cli.serve import serve
from serving.cli.settings import settings
from training.cli.examples import add_examples
from training.cli.main import add_commands, run_command

# Idle OpenMP threads spin by default: beside another busy process a fit took 40 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    import pandas as pd
    import shap

    from data_schema.cohort import Cohort
    from models.registry.lifecycle import LoadedModel
    from serving.audit.commands import Decisions
    from training.cohorts.study import Study
    from training.config import RunConfig
    from training.run.train import Trained
    from training.validation.panel_value import PanelValue

__all__ = ["added_value", "check", "evaluate", "explain", "main", "score", "train"]


def _on_record() -> AbstractContextManager[Decisions]:
    try:
        from serving.audit.commands import on_record
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"decisions about a version are written to the audit trail, which needs {missing.name} "
            "(not installed). Install osteon[serve]."
        ) from None

    return on_record()


def doctor(as_json: JsonOption = False) -> None:
    """Say why there is no champion, card or login; check the rest.

    Checks versions, registry, write access, gate key and every champion, then settings, audit
    trail, callers, sign-in and cards of the service. Exits with 3 if something outside Osteon
    fails, 2 if a setting is wrong, 1 if a gate record or the trail is.
    """
    from training.cli.console import print_json, print_rows, working
    from training.cli.doctor import examine

    with working():
        examined = examine()
        try:
            from serving.cli.doctor import examine_service
        except ModuleNotFoundError:
            checks = examined.checks
        else:
            checks = (*examined.checks, *examine_service(examined.champions))
    troubles = {check.trouble for check in checks if not check.ok}
    if as_json:
        print_json({"ok": not troubles, "checks": [check.as_json() for check in checks]})
    else:
        print_rows(
            ("", "check", "result"),
            [("ok" if check.ok else "NOT OK", check.check, check.detail) for check in checks],
        )
    codes = {"outside": 3, "usage": 2, "gate": 1}
    raise typer.Exit(max((codes[trouble] for trouble in troubles if trouble), default=0))


# Plain help needs no Rich, which takes longer to import than everything else together.
app = typer.Typer(
    help="Risk of death and of fracture in critical illness, explained by pathway.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # Decisions about a version are written to the audit trail, which belongs to `serving`.
    context_settings={"obj": _on_record},
)
add_commands(app)
app.command()(serve)
app.command()(settings)
app.command()(doctor)
app.command()(backup)
app.command()(restore)
app.add_typer(audit, name="audit")
app.add_typer(keys, name="keys")
add_examples(app)


def _show_version(stated: bool) -> None:
    if stated:
        from training.provenance import git_revision, versions

        revision = git_revision()
        of_code = "" if revision is None else f" ({revision[:12]})"
        typer.echo(f"osteon {versions().get('osteon', 'not installed')}{of_code}")
        raise typer.Exit


@app.callback()
def _osteon(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Apply to every command."""


OBJECTS_BEFORE_COLLECTION = 50_000
"""New objects after which Python looks for those that only refer to each other.

Imports make a million objects that stay. At Python's own 700 they are gone over many times, which
takes a quarter of a command's start.
"""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    sys.exit(run_command(app))


def check(
    frame: pd.DataFrame, *, outcome: str | None = None, mapping: str | Path | None = None
) -> pd.DataFrame:
    """Return every rule that a cohort breaks.

    Parameters
    ----------
    frame : DataFrame
        One row per stay.
    outcome : str, optional
        `mortality`, `mortality-72h` or `fracture` (default: check the table as one to be scored).
    mapping : path, optional
        Mapping file that describes the columns of the table.

    Returns
    -------
    DataFrame
        `severity` (fatal or warning), `rule`, `variable`, `count`, `message`; empty if no rule is
        broken.

    Raises
    ------
    UsageError
        If the outcome is unknown, or the mapping file cannot be read.
    """
    import pandas as pd

    from training.cli.cohorts import stated_mapping
    from training.cohorts.study import check_table

    report = check_table(frame, outcome=outcome, mapping=stated_mapping(mapping)).report
    rows = [
        {"severity": severity, **asdict(finding)}
        for severity, findings in (("fatal", report.fatal), ("warning", report.warnings))
        for finding in findings
    ]
    return pd.DataFrame(rows, columns=["severity", "rule", "variable", "count", "message"])


def train(
    cohort: pd.DataFrame | str,
    *,
    outcome: str,
    landmark: str = "",
    mapping: str | Path | None = None,
    config: RunConfig | None = None,
) -> Trained:
    """Check, fit to all patients, judge, explain, log to MLflow and register as challenger.

    Parameters
    ----------
    cohort : DataFrame or str
        One row per stay, or the name of a public data set.
    outcome : str
        `mortality` or `fracture`.
    landmark : str
        `24h`, `72h` or `discharge` (default: `24h` for mortality, `discharge` for fracture).
    mapping : path, optional
        Mapping file that describes the columns of the table.
    config : training.config.RunConfig, optional
        Settings of the run.

    Returns
    -------
    training.run.train.Trained
        Name, version and URI of the model, and metrics of the procedure that fitted it.

    Raises
    ------
    OsteonError
        If the cohort breaks a rule, has too few events, or MLflow fails.
    """
    from training.config import RunConfig
    from training.run.train import train as run

    settings = config or RunConfig()
    return run(_study(cohort, outcome, landmark, mapping, settings), settings)


def score(
    frame: pd.DataFrame,
    *,
    model: str,
    mapping: str | Path | None = None,
    horizons_days: Sequence[float] | None = None,
    explain: bool = False,
) -> pd.DataFrame:
    """Return the risk of every patient at every horizon.

    Parameters
    ----------
    frame : DataFrame
        One row per stay; no outcome is needed.
    model : str
        `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or the folder of a bundle.
    mapping : path, optional
        Mapping file that describes the columns of the table.
    horizons_days : sequence of float, optional
        Days after time zero (default: the model's default horizons).
    explain : bool
        Whether to add the contribution of each variable.

    Returns
    -------
    DataFrame
        One row per patient and horizon, with the columns of the MLflow model. The rows of refused
        patients hold the reason and no risk.

    Raises
    ------
    OsteonError
        If the model cannot be loaded, the table breaks a rule, or a horizon is out of range.
    """
    from training.score import score as scored

    loaded, cohort = _model_and_cohort(frame, model, mapping)
    return scored(loaded.risk_model, cohort, horizons_days=horizons_days, explain=explain)


def evaluate(frame: pd.DataFrame, *, model: str, mapping: str | Path | None = None) -> pd.DataFrame:
    """Return every metric of a model, with its interval, on patients whose outcome is known.

    Parameters
    ----------
    frame : DataFrame
        One row per stay, with the outcome, of patients that the model was not trained on.
    model, mapping
        As in `score`.

    Returns
    -------
    DataFrame
        `metric`, `horizon_days`, `estimate`, `low`, `high`, `note`.

    Raises
    ------
    OsteonError
        If the model cannot be loaded, the table breaks a rule, or there are too few events.
    """
    import pandas as pd

    from training.validation.evaluate_model import evaluate_on

    loaded, cohort = _model_and_cohort(frame, model, mapping, with_outcome=True)
    names = ["metric", "horizon_days", "estimate", "low", "high", "note"]
    return pd.DataFrame(evaluate_on(loaded, cohort).as_json()["metrics"], columns=names)


def added_value(
    cohort: pd.DataFrame | str,
    *,
    outcome: str,
    added: Sequence[str],
    over: Sequence[str] = (),
    landmark: str = "",
    mapping: str | Path | None = None,
    config: RunConfig | None = None,
    horizon_days: float | None = None,
    thresholds: Sequence[float] = (),
) -> PanelValue:
    """Return what a panel of markers adds over other variables, fitted out of fold by patient.

    Parameters
    ----------
    cohort : DataFrame or str
        One row per stay, or the name of a public data set.
    outcome : str
        `mortality` or `fracture`.
    added, over : sequence of str
        Pathways or variables of the panel, and those of its base (default: usual care).
    landmark, mapping, config
        As in `train`.
    horizon_days : float, optional
        Horizon of the verdict (default: the middle horizon of the run).
    thresholds : sequence of float, optional
        Risks at which treatment would start (default: 0.5, 1 and 2 times the event rate).

    Returns
    -------
    training.validation.panel_value.PanelValue
        Its `verdict`, `primary` change and `changes` with intervals; `as_json()` returns the rest.

    Raises
    ------
    OsteonError
        If the cohort breaks a rule, a panel is unknown, or there are too few events.
    """
    from training.cohorts.panel import panel_of
    from training.config import RunConfig
    from training.validation.panel_value import panel_value

    settings = config or RunConfig()
    study = _study(cohort, outcome, landmark, mapping, settings)
    return panel_value(
        study,
        panel_of(study.cohort, added, over),
        settings,
        primary_horizon_days=horizon_days,
        thresholds=thresholds,
    )


def explain(
    frame: pd.DataFrame | None = None,
    *,
    model: str,
    mapping: str | Path | None = None,
    horizon_days: float | None = None,
    by: Literal["variable", "pathway"] = "variable",
) -> shap.Explanation:
    """Return the contributions to each estimate, for every plot of `shap.plots`.

    Parameters
    ----------
    frame : DataFrame, optional
        One row per stay (default: the model's synthetic example patient).
    model, mapping
        As in `score`.
    horizon_days : float, optional
        Days after time zero (default: the model's first default horizon).
    by : {"variable", "pathway"}
        The contribution of a pathway is the sum over its measured variables.

    Returns
    -------
    shap.Explanation
        In log-odds; refused patients are left out.

    Raises
    ------
    OsteonError
        If the model cannot be loaded, or the table breaks a rule.
    """
    from models.patient_explanation import example_patient
    from models.registry.lifecycle import load
    from training.explanation.importance import shap_by_pathway, shap_by_variable

    explained = {"variable": shap_by_variable, "pathway": shap_by_pathway}[by]
    if frame is None:
        risk_model = load(model).risk_model
        patients = example_patient(risk_model.contract)
    else:
        loaded, cohort = _model_and_cohort(frame, model, mapping)
        risk_model, patients = loaded.risk_model, cohort.features
    return explained(risk_model, patients, horizon_days=horizon_days)


def _study(
    cohort: pd.DataFrame | str,
    outcome: str,
    landmark: str,
    mapping: str | Path | None,
    settings: RunConfig,
) -> Study:
    """Return a checked data frame, or a public data set by name."""
    from training.cli.cohorts import stated_mapping
    from training.cohorts.drawn_patients import drawn_rows
    from training.cohorts.study import public_study, study_of_table

    if isinstance(cohort, str):
        return public_study(cohort, outcome=outcome, config=settings)
    described = stated_mapping(mapping)
    drawn = drawn_rows(cohort, settings, mapping=described)
    study = study_of_table(
        drawn.table,
        outcome=outcome,
        landmark=landmark,
        mapping=described,
        config=settings,
    )
    return replace(study, warnings=(*drawn.findings, *study.warnings))


def _model_and_cohort(
    frame: pd.DataFrame, model: str, mapping: str | Path | None, *, with_outcome: bool = False
) -> tuple[LoadedModel, Cohort]:
    """Load a model, and check a data frame against its contract."""
    from models.registry.lifecycle import load
    from training.cli.cohorts import stated_mapping
    from training.score import cohort_for_model

    loaded = load(model)
    contract = loaded.risk_model.contract
    return loaded, cohort_for_model(
        frame,
        contract,
        outcome=contract.outcome if with_outcome else None,
        mapping=stated_mapping(mapping),
    )


if __name__ == "__main__":
    main()
