"""Osteon: the one command, and the same steps for a notebook.

    import osteon

    osteon.check(frame, outcome="mortality")            # rules broken, as a frame
    run = osteon.train(frame, outcome="mortality")      # registered as challenger in MLflow
    osteon.score(frame, model=run.model_uri)            # one row per patient and horizon
    osteon.evaluate(other, model=run.model_uri)         # every metric with its interval
    osteon.added_value(frame, outcome="mortality", added=["resorption"], over=["severity"])
    osteon.explain(frame, model=run.model_uri)          # shap.Explanation, for shap.plots

Research use only. Not a medical device. Not for triage, nor for limiting or withdrawing treatment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from data_schema.errors import UsageError
from serving.cli.audit import audit
from serving.cli.keys import keys
from serving.cli.serve import serve
from training.cli.main import add_commands, run_command

# Idle OpenMP threads spin by default: beside another busy process a fit took 40 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    import pandas as pd
    import shap

    from data_schema.cohort import Cohort
    from models.registry.lifecycle import LoadedModel
    from training.cohorts.study import Study
    from training.config import RunConfig
    from training.run.train import Trained
    from training.validation.panel_value import PanelValue

__all__ = ["added_value", "check", "evaluate", "explain", "main", "score", "train"]


def _on_record() -> AbstractContextManager[Callable[..., None]]:
    try:
        from serving.audit.commands import on_record
    except ModuleNotFoundError as missing:
        raise UsageError(
            "a decision about a version goes into the service's audit trail, which needs "
            f"{missing.name}; it is missing. Install osteon[serve]."
        ) from None

    return on_record()


# Plain help needs no Rich, which takes longer to import than everything else together.
app = typer.Typer(
    help="Risk of death and of fracture in critical illness, explained by pathway.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # What training decides about a version goes into the audit trail, which is serving's.
    context_settings={"obj": _on_record},
)
add_commands(app)
app.command()(serve)
app.add_typer(audit, name="audit")
app.add_typer(keys, name="keys")


def main() -> None:
    """Run the command line and exit with its code."""
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
        `mortality`, `mortality-72h` or `fracture`; without it, as a cohort that is to be scored.
    mapping : path, optional
        Mapping file of the site's columns.

    Returns
    -------
    DataFrame
        `severity` (fatal or warning), `rule`, `variable`, `count`, `message`; empty if all is well.

    Raises
    ------
    UsageError
        If there is no such outcome, or the mapping file cannot be read.
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
    """Check, split, fit, evaluate, explain, log to MLflow and register as challenger.

    Parameters
    ----------
    cohort : DataFrame or str
        One row per stay; or the name of a public data set.
    outcome : str
        `mortality` or `fracture`.
    landmark : str
        `24h`, `72h` or `discharge`; without it, the outcome's usual one.
    mapping : path, optional
        Mapping file of the site's columns.
    config : training.config.RunConfig, optional
        Settings of the run.

    Returns
    -------
    training.run.train.Trained
        Name, version and URI of the model, and its metrics on held-out patients.

    Raises
    ------
    OsteonError
        As `training.cohorts.study` and `training.run.train.train` do.
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
    """Return the risks of every patient, one row per patient and horizon; refused ones stay.

    Parameters
    ----------
    frame : DataFrame
        One row per stay; no outcome is needed.
    model : str
        `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or a bundle's folder.
    mapping : path, optional
        Mapping file of the site's columns.
    horizons_days : sequence of float, optional
        The model's default horizons without it.
    explain : bool
        Whether to add what each variable contributed.

    Returns
    -------
    DataFrame
        The columns of the MLflow model.

    Raises
    ------
    OsteonError
        As `models.registry.lifecycle.load` and `training.score` do.
    """
    from training.score import score as scored

    loaded, cohort = _asked(frame, model, mapping)
    return scored(loaded.risk_model, cohort, horizons_days=horizons_days, explain=explain)


def evaluate(frame: pd.DataFrame, *, model: str, mapping: str | Path | None = None) -> pd.DataFrame:
    """Return every metric of a model, with its interval, on patients whose outcome is known.

    Parameters
    ----------
    frame : DataFrame
        One row per stay, with the outcome; patients that the model did not learn from.
    model, mapping
        As in `score`.

    Returns
    -------
    DataFrame
        `metric`, `horizon_days`, `estimate`, `low`, `high`, `note`.

    Raises
    ------
    OsteonError
        As `models.registry.lifecycle.load`, `training.score` and
        `training.validation.evaluate_model` do.
    """
    import pandas as pd

    from training.validation.evaluate_model import evaluate_on

    loaded, cohort = _asked(frame, model, mapping, with_outcome=True)
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
        One row per stay; or the name of a public data set.
    outcome : str
        `mortality` or `fracture`.
    added, over : sequence of str
        Pathways or variables; without `over`, everything else.
    landmark, mapping, config
        As in `train`.
    horizon_days : float, optional
        That of the verdict; the middle one of the run without it.
    thresholds : sequence of float, optional
        Risks at which one would act; around the event rate without it.

    Returns
    -------
    training.validation.panel_value.PanelValue
        Its `verdict`, `primary` change and `changes` with intervals; `as_json()` for all of it.

    Raises
    ------
    OsteonError
        As `training.cohorts.study` and `training.validation.panel_value` do.
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
    """Return what raised or lowered each estimate, for every plot of `shap.plots`.

    Parameters
    ----------
    frame : DataFrame, optional
        One row per stay; without it, the model's made-up example patient.
    model, mapping
        As in `score`.
    horizon_days : float, optional
        The model's first default horizon without it.
    by : {"variable", "pathway"}
        A pathway is the sum of its measured variables.

    Returns
    -------
    shap.Explanation
        In log-odds; refused patients are left out.

    Raises
    ------
    OsteonError
        As `models.registry.lifecycle.load` and `training.score` do.
    """
    from models.patient_explanation import example_patient
    from models.registry.lifecycle import load
    from training.explanation.importance import shap_by_pathway, shap_by_variable

    explained = {"variable": shap_by_variable, "pathway": shap_by_pathway}[by]
    if frame is None:
        risk_model = load(model).risk_model
        patients = example_patient(risk_model.contract)
    else:
        loaded, cohort = _asked(frame, model, mapping)
        risk_model, patients = loaded.risk_model, cohort.features
    return explained(risk_model, patients, horizon_days=horizon_days)


def _study(
    cohort: pd.DataFrame | str,
    outcome: str,
    landmark: str,
    mapping: str | Path | None,
    settings: RunConfig,
) -> Study:
    """Return a frame, or a public data set by name, checked."""
    from training.cli.cohorts import stated_mapping
    from training.cohorts.study import public_study, study_of_table

    if isinstance(cohort, str):
        return public_study(cohort, outcome=outcome, config=settings)
    return study_of_table(
        cohort,
        outcome=outcome,
        landmark=landmark,
        mapping=stated_mapping(mapping),
        config=settings,
    )


def _asked(
    frame: pd.DataFrame, model: str, mapping: str | Path | None, *, with_outcome: bool = False
) -> tuple[LoadedModel, Cohort]:
    """Return a model, and a frame as it reads it."""
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
