"""Phrases of a protocol that several of its sections share."""

from __future__ import annotations

from collections.abc import Mapping

from training.protocol.design import StudyDesign

__all__ = ["ADJUDICATED", "OPEN", "sampling", "sampling_place"]

OPEN = "TO BE STATED BY THE GROUP"
"""Marks what only the group that does the study can state."""

ADJUDICATED: Mapping[bool, str] = {
    True: "It needs no interpretation; its source is the same at every site.",
    False: "Two readers without access to the panel adjudicate each event from its records.",
}
"""Whether the event is death -> how it is ascertained."""


def sampling(design: StudyDesign) -> str:
    """Return when the sample is taken, as `24 h after admission to intensive care`."""
    if design.landmark.hours is None:
        return "at discharge from intensive care"
    return f"{design.landmark.hours} h after admission to intensive care"


def sampling_place(design: StudyDesign) -> str:
    """Return who is sampled, as `alive 24 h after admission to intensive care`."""
    return f"alive and under observation {sampling(design)}"
