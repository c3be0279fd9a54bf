"""The settings of a planned study: what `osteon train --config` reads, fixed before any outcome."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

from models.inference.contract import StudyFacts
from models.metrics.comparison.paired_changes import MARGIN
from training.config import RunConfig
from training.protocol.design import StudyDesign
from training.protocol.words import ADJUDICATED, OPEN, sampling, sampling_place

__all__ = ["facts_of", "settings_of", "settings_text"]


def settings_of(design: StudyDesign) -> RunConfig:
    """Return the settings of the analysis, with what the design states of the study."""
    return replace(design.settings, study=facts_of(design))


def facts_of(design: StudyDesign) -> StudyFacts:
    """Return the facts that follow from the design; what only the group knows stays empty."""
    outcome = design.outcome
    markers = "; ".join(variable.label for variable in design.variables)
    return StudyFacts(
        context=(
            f"Whether these add to the prediction of {outcome.label.lower()} in critical illness, "
            f"beyond what is known without them, is not settled: {markers}."
        ),
        data_source=(
            f"Prospective cohort of {design.sites} sites, collected for this question by the "
            "registered protocol."
        ),
        eligibility=(
            f"All adults {sampling_place(design)}, consecutively, whatever was ordered for them."
        ),
        treatments="Usual care; the study changes none, and returns no result of the panel to it.",
        outcome_assessment=(
            f"{outcome.label}, in days from time zero, by people without access to the panel. "
            f"{ADJUDICATED[outcome.is_death]}"
        ),
        predictor_assessment=(
            f"Panel from one sample {sampling(design)}, measured by a laboratory blinded to "
            "outcome, site and clinical record. Base from the record, by people without access to "
            "the panel."
        ),
        treatment_limitation=(
            "Recorded for every patient with its day. Never a predictor; the result is given among "
            "patients under full treatment, too."
        ),
        protocol="Registered before the first outcome was read, with these settings.",
    )


def settings_text(design: StudyDesign) -> str:
    """Return the settings as the text of a TOML file, what is open as comments."""
    settings = settings_of(design)
    lines = [
        "# Settings of the analysis. Fixed before any outcome is read, and registered with the",
        "# protocol: osteon train COHORT --config THIS_FILE",
        f"# The margin of a gain in the AUC is {MARGIN:g} in every run of Osteon: no setting "
        "changes it.",
        f"seed = {settings.seed}",
        f"horizons_days = {_list(settings.horizons_days)}",
        f"primary_horizon_days = {design.horizon_days:g}",
        f"added_value = {_texts(settings.added_value)}",
        f"over = {_texts(settings.over)}",
        f'missingness = "{settings.missingness}"',
        f"bootstrap_resamples = {settings.bootstrap_resamples}",
        f"interval_folds = {settings.interval_folds}",
        f'# population = "{OPEN}: the patients in one sentence"',
        "",
        "[study]",
    ]
    stated = asdict(settings.study)
    for field in fields(StudyFacts):
        text = stated[field.name]
        lines.append(
            f"{field.name} = {json.dumps(text, ensure_ascii=False)}"
            if text
            else f'# {field.name} = "{OPEN}"'
        )
    return "\n".join(lines) + "\n"


def _list(numbers: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _texts(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(json.dumps(name) for name in names) + "]"
