"""`osteon evaluate`: a registered model on a cohort that it did not learn from."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_schema.cohort import Cohort
from models.registry.lifecycle import LoadedModel
from training.files import whole_folder
from training.report.content import as_markdown
from training.report.model_report import write_report
from training.validation.judgement import Judgement, judge
from training.validation.predictions import Answers, answers

__all__ = ["Evaluation", "evaluate_on"]

RESAMPLES = 1000
"""Bootstrap resamples of the patients."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model reached on a cohort."""

    loaded: LoadedModel
    told: Answers
    judgement: Judgement
    cohort: Cohort

    def as_json(self) -> dict[str, Any]:
        """Return what `osteon evaluate --json` prints, but for the folder."""
        loaded, told = self.loaded, self.told
        return {
            "model": {"name": loaded.name, "version": loaded.version, "alias": loaded.alias},
            "outcome": loaded.risk_model.contract["outcome"],
            "stays": told.rows,
            "patients": len(np.unique(told.patient_id.astype(str))),
            "events": int((told.event == 1).sum()),
            "refused": told.refused,
            "cohort_fingerprint": told.cohort_fingerprint,
            **self.judgement.as_json(),
        }

    def write(self, folder: Path) -> None:
        """Make a folder with metrics, plots, report and model card, whole or not at all.

        Raises
        ------
        UsageError
            If the folder exists.
        OutsideError
            If the file system will not take it.
        """
        told = self.as_json()
        model = self.loaded.risk_model
        report = write_report(
            model,
            self.told,
            self.cohort,
            title=self.loaded.name,
            evaluated=told,
            resamples=RESAMPLES,
            random_state=0,
        )
        title = f"{self.loaded.name} on a cohort of {told['patients']} patients"
        with whole_folder(folder) as draft:
            Path(draft, "metrics.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
            Path(draft, "metrics.csv").write_text(_csv(told["metrics"]), encoding="utf-8")
            Path(draft, "report.html").write_text(report.written.page, encoding="utf-8")
            card = as_markdown(title, report.written.sections)
            Path(draft, "model_card.md").write_text(card, encoding="utf-8")
            Path(draft, "plots").mkdir()
            for name, png in report.written.plots.items():
                Path(draft, "plots", f"{name}.png").write_bytes(png)


def evaluate_on(loaded: LoadedModel, cohort: Cohort) -> Evaluation:
    """Judge a model on patients whose outcome is known.

    Parameters
    ----------
    loaded : LoadedModel
    cohort : Cohort
        From `training.score.cohort_for_model`, with the model's outcome.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If every stay is refused, or no horizon has enough outcomes.
    """
    told = answers(loaded.risk_model, cohort)
    judgement = judge(told, cohort, n_bootstrap=RESAMPLES, random_state=0)
    return Evaluation(loaded, told, judgement, cohort)


def _csv(metrics: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = ("metric", "horizon_days", "estimate", "low", "high", "note")
    rows = csv.DictWriter(text, names, lineterminator="\n")
    rows.writeheader()
    rows.writerows(metrics)
    return text.getvalue()
