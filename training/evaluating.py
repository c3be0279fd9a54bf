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
from models.registry import LoadedModel
from models.wording import NOTICE
from training.answers import Answers, answers
from training.figures import as_png, evaluation_figures
from training.judging import Judgement, judge
from training.model_card import Section, performance_table
from training.output_files import whole_folder
from training.report import report_page

__all__ = ["Evaluation", "evaluate_on"]

RESAMPLES = 1000
"""Bootstrap resamples of the patients."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model reached on a cohort."""

    loaded: LoadedModel
    told: Answers
    judgement: Judgement

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
        """Make a folder with the metrics, the plots and a report of both, whole or not at all.

        Raises
        ------
        UsageError
            If the folder exists.
        OutsideError
            If the file system will not take it.
        """
        figures = self._figures()
        told = self.as_json()
        with whole_folder(folder) as draft:
            Path(draft, "metrics.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
            Path(draft, "metrics.csv").write_text(_csv(told["metrics"]), encoding="utf-8")
            Path(draft, "report.html").write_text(self._report(figures), encoding="utf-8")
            Path(draft, "plots").mkdir()
            for name, png in figures.items():
                Path(draft, "plots", f"{name}.png").write_bytes(png)

    def _figures(self) -> dict[str, bytes]:
        judged = {m.horizon_days for m in self.judgement.metrics if not np.isnan(m.estimate)}
        drawn = evaluation_figures(
            self.told,
            [days for days in self.told.horizons_days if days in judged],
            event_label=self.loaded.risk_model.contract["event_label"],
            population="The cohort that was given to be evaluated on.",
            n_bootstrap=RESAMPLES,
            random_state=0,
        )
        return {name: as_png(figure) for name, figure in drawn}

    def _report(self, figures: dict[str, bytes]) -> str:
        told = self.as_json()
        patients = (
            f"{told['patients']} patients with {told['events']} events; {told['refused']} of "
            f"{told['stays']} stays were refused by the model and are left out. "
            f"Fingerprint: {told['cohort_fingerprint']}."
        )
        sections = (
            Section("Patients", (patients, NOTICE)),
            performance_table("Performance", told["metrics"], resamples=RESAMPLES),
        )
        title = f"{self.loaded.name} on a cohort of {told['patients']} patients"
        return report_page(title, sections, figures)


def evaluate_on(loaded: LoadedModel, cohort: Cohort) -> Evaluation:
    """Judge a model on patients whose outcome is known.

    Parameters
    ----------
    loaded : LoadedModel
    cohort : Cohort
        From `training.scoring.cohort_for_model`, with the model's outcome.

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
    return Evaluation(loaded, told, judgement)


def _csv(metrics: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = ("metric", "horizon_days", "estimate", "low", "high", "note")
    rows = csv.DictWriter(text, names, lineterminator="\n")
    rows.writeheader()
    rows.writerows(metrics)
    return text.getvalue()
