"""The command lines of a planned study: its analysis, and a rehearsal on simulated patients."""

from __future__ import annotations

import shlex
from pathlib import Path

from training.protocol.design import StudyDesign

__all__ = ["analysis_commands", "rehearsal_commands"]

_COHORT, _MAPPING = "cohort.csv", "mapping.toml"
_SIMULATED = "simulated.parquet"
_SIMULATED_ENDPOINTS = ("mortality", "fracture")


def analysis_commands(design: StudyDesign, settings: Path) -> tuple[str, ...]:
    """Return the commands of the analysis, in their order, as they are typed."""
    described = (_COHORT, "--mapping", _MAPPING)
    estimand = _estimand(design)
    config = ("--config", settings.name)
    return (
        _line("map", _COHORT, "--out", _MAPPING),
        _line("check", *described, "--outcome", design.outcome.endpoint),
        _line("diagnose", *described, *estimand),
        _line("train", *described, *estimand, *config),
        _line(
            "evaluate",
            *(*described, *estimand, *config),
            *("--internal-external", "site", "--out", "by-site"),
        ),
    )


def rehearsal_commands(design: StudyDesign, settings: Path) -> tuple[str, ...]:
    """Return the commands that run the same analysis on simulated patients of the planned size.

    Empty for an endpoint that `osteon simulate` does not draw.
    """
    if design.outcome.endpoint not in _SIMULATED_ENDPOINTS:
        return ()
    # Patients who leave the ICU alive are fewer than those simulated, and so are those of 72 h.
    at = () if design.landmark.hours is None else ("--landmark", design.landmark.words)
    return (
        _line("simulate", "--patients", f"{design.needed}", *at, "--out", _SIMULATED),
        _line("train", _SIMULATED, *_estimand(design), "--config", settings.name),
    )


def _estimand(design: StudyDesign) -> tuple[str, ...]:
    return ("--outcome", design.outcome.endpoint, "--landmark", design.landmark.words)


def _line(*words: str) -> str:
    return shlex.join(("osteon", *words))
