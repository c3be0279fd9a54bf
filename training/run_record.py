"""What a run leaves in MLflow: parameters, figures with intervals, plots, report and model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from models.inference import RiskModel
from training.answers import Answers
from training.evaluation.sample_size import SampleSize
from training.explaining import Importance
from training.figures import as_png, evaluation_figures, explanation_figures
from training.judging import Judgement
from training.mlflow_run import TrackedRun
from training.model_card import as_markdown, model_card
from training.report import report_page

__all__ = ["REPORT", "keep_record"]

REPORT = "report.html"
"""The artifact that holds everything on one page."""


def keep_record(
    run: TrackedRun,
    risk_model: RiskModel,
    told: Answers,
    moved: Sequence[Importance],
    judgement: Judgement,
    needed: Sequence[SampleSize],
    *,
    seconds: Mapping[str, float],
) -> None:
    """Log all that is known of a model to its run.

    Parameters
    ----------
    run : TrackedRun
    risk_model : RiskModel
        With the whole contract.
    told : Answers
        For the held-out patients.
    moved : sequence of Importance
        Of the same patients, one for each horizon.
    judgement : Judgement
        Of the same patients.
    needed : sequence of SampleSize
        What a model of so many columns needs to learn from, at each horizon.
    seconds : mapping of str to float
        How long each part of the fit took.

    Raises
    ------
    OutsideError
        If MLflow fails.
    """
    contract = risk_model.contract
    evaluation, provenance = contract["evaluation"], contract["provenance"]
    card = model_card(contract)
    figures = _figures(risk_model, told, moved)
    run.log_dataset(contract["name"], provenance["training_fingerprint"], context="training")
    run.log_dataset(contract["name"], evaluation["cohort_fingerprint"], context="evaluation")
    run.log(
        params={
            **contract["run"],
            "outcome": contract["outcome"],
            "horizons_days": contract["default_horizons_days"],
            "linear_weight": contract["training"]["linear_weight"],
            "trees": contract["training"]["trees"],
        },
        metrics={
            **_flat(evaluation["metrics"]),
            **{f"fit/{part}_seconds": taken for part, taken in seconds.items()},
        },
        tags={
            "osteon.population": contract["population"],
            "osteon.simulated": str(contract["simulated"]).lower(),
            "osteon.data_fingerprint": provenance["data_fingerprint"],
            "mlflow.source.git.commit": provenance["git_revision"] or "unknown",
            # MLflow's page shows it, up to 8,000 characters; the whole card is an artifact.
            "mlflow.note.content": as_markdown(contract["name"], card[:3]),
        },
        files={
            "metrics.json": json.dumps(evaluation["metrics"], indent=2),
            "evaluation.json": json.dumps(
                judgement.as_json() | {"sample_size": [one.as_json() for one in needed]}, indent=2
            ),
            "contract.json": json.dumps(contract, indent=2, ensure_ascii=False),
            "importance.json": json.dumps([one.as_json() for one in moved], indent=2),
            "model_card.md": as_markdown(contract["name"], card),
            REPORT: report_page(contract["name"], card, figures),
            **{f"plots/{name}.png": png for name, png in figures.items()},
        },
    )


def _figures(risk_model: RiskModel, told: Answers, moved: Sequence[Importance]) -> dict[str, bytes]:
    """Draw the evaluation, where there is one at a horizon, and the explanations."""
    contract = risk_model.contract
    judged = [
        days
        for days in told.horizons_days
        if any(
            metric["horizon_days"] == days and metric["estimate"] is not None
            for metric in contract["evaluation"]["metrics"]
        )
    ]
    drawn = [
        *evaluation_figures(
            told,
            judged,
            event_label=contract["event_label"],
            population=contract["population"],
            n_bootstrap=contract["run"]["bootstrap_resamples"],
            random_state=contract["run"]["seed"],
        ),
        *explanation_figures(risk_model, moved),
    ]
    return {name: as_png(figure) for name, figure in drawn}


def _flat(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return metrics under MLflow's names, grouped by horizon: `28d/auroc`, `28d/auroc_low`."""
    flat = {}
    for metric in metrics:
        days = metric["horizon_days"]
        group = "follow_up" if days is None else f"{days:g}d"
        for end, suffix in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            if metric[end] is not None:
                flat[f"{group}/{metric['metric']}{suffix}"] = metric[end]
    return flat
