"""The folders that `osteon evaluate --out` writes: results as JSON and CSV, report and plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.metrics.catalogue import METRICS
from models.metrics.metric import Metric
from training.cohorts.study import outcome_of_model
from training.diagnosis.diagnose import diagnose_evaluated
from training.files import whole_folder
from training.in_parts.evaluate_file import FileEvaluation
from training.report.assembling import ReportPage
from training.report.content import as_markdown
from training.report.model_report import write_report
from training.report.study_report import write_study_report
from training.report.validation_report import pooled_page, validation_page
from training.validation.evaluate_cohort import StudyEvaluation
from training.validation.evaluate_model import RESAMPLES, Evaluation
from training.validation.external import ExternalValidation
from training.validation.judgement import Findings
from training.validation.sharing import PooledValidation

__all__ = [
    "metrics_csv",
    "write_evaluation",
    "write_file_evaluation",
    "write_pooled",
    "write_study_evaluation",
    "write_validation",
]


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write a folder with metrics, plots, report and model card, complete or not at all.

    Raises
    ------
    UsageError
        If the folder exists.
    OutsideError
        If the folder cannot be written.
    """
    with _evaluation_folder(evaluation, folder):
        pass


def write_file_evaluation(evaluation: FileEvaluation, folder: Path) -> None:
    """Write a folder with `metrics.json` and `metrics.csv`; raises as `write_evaluation`."""
    judgement = evaluation.judgement
    with whole_folder(folder) as draft:
        text = json.dumps(evaluation.as_json(), indent=2)
        Path(draft, "metrics.json").write_text(text, encoding="utf-8")
        metrics = metrics_csv((*judgement.metrics, *judgement.blanked))
        Path(draft, "metrics.csv").write_text(metrics, encoding="utf-8")


def write_validation(validation: ExternalValidation, folder: Path) -> None:
    """Write what `write_evaluation` does, with `validation.html` and `validation.json` beside it.

    These hold updates side by side and the case mix; raises as `write_evaluation`.
    """
    page = validation_page(validation)
    with _evaluation_folder(validation.evaluation, folder) as draft:
        Path(draft, "validation.html").write_text(page.html, encoding="utf-8")
        text = json.dumps(validation.as_json(), indent=2)
        Path(draft, "validation.json").write_text(text, encoding="utf-8")
        _write_plots(page, draft)


def write_pooled(pooled: PooledValidation, folder: Path) -> None:
    """Write a folder with `pooled.json`, report and forest plots; raises as `write_evaluation`."""
    with _report_folder(folder, pooled_page(pooled)) as draft:
        text = json.dumps(pooled.as_json(), indent=2)
        Path(draft, "pooled.json").write_text(text, encoding="utf-8")


@contextmanager
def _evaluation_folder(evaluation: Evaluation, folder: Path) -> Iterator[Path]:
    """Yield the folder of an evaluation, to which further files may be added."""
    name = evaluation.loaded.name
    report = write_report(
        evaluation.loaded.risk_model,
        Findings(
            evaluation.predictions,
            evaluation.judgement,
            overlap=evaluation.overlap,
        ),
        evaluation.cohort,
        title=name,
        resamples=RESAMPLES,
        random_state=0,
        diagnosis=diagnose_evaluated(
            evaluation.cohort,
            outcome_of_model(evaluation.loaded.risk_model.contract),
            evaluation.predictions.horizons_days,
            random_state=0,
        ),
    )
    card = as_markdown(
        f"{name} on a cohort of {evaluation.predictions.patients} patients", report.page.sections
    )
    with _report_folder(folder, report.page) as draft:
        text = json.dumps(evaluation.as_json(), indent=2)
        Path(draft, "metrics.json").write_text(text, encoding="utf-8")
        Path(draft, "metrics.csv").write_text(
            metrics_csv(evaluation.judgement.metrics), encoding="utf-8"
        )
        Path(draft, "model_card.md").write_text(card, encoding="utf-8")
        yield draft


def write_study_evaluation(evaluation: StudyEvaluation, folder: Path) -> None:
    """Write a folder with `evaluation.json`, report and plots; raises as `write_evaluation`."""
    with _report_folder(folder, write_study_report(evaluation)) as draft:
        text = json.dumps(evaluation.as_json(), indent=2)
        Path(draft, "evaluation.json").write_text(text, encoding="utf-8")


@contextmanager
def _report_folder(folder: Path, page: ReportPage) -> Iterator[Path]:
    """Yield a folder with a report and its plots, to which the other files are added."""
    with whole_folder(folder) as draft:
        Path(draft, "report.html").write_text(page.html, encoding="utf-8")
        Path(draft, "plots").mkdir()
        _write_plots(page, draft)
        yield draft


def _write_plots(page: ReportPage, folder: Path) -> None:
    for name, svg in page.plots.items():
        Path(folder, "plots", f"{name}.svg").write_bytes(svg)


def metrics_csv(metrics: Sequence[Metric]) -> str:
    """Return metrics as CSV, one per row, with label, interval and how to read it."""
    text = io.StringIO()
    names = (
        *("metric", "label", "horizon_days", "blank_share", "estimate", "low", "high"),
        *("reading", "note"),
    )
    rows = csv.DictWriter(text, names, lineterminator="\n")
    rows.writeheader()
    for metric in metrics:
        spec = METRICS[metric.metric]
        shown = {"label": spec.label, "reading": spec.reading, "blank_share": metric.blank_share}
        rows.writerow({**metric.as_json(), **shown})
    return text.getvalue()
