"""Whether a model learned from some of the patients that it is to be judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.cohort import Cohort
from models.registry.lifecycle import LoadedModel
from models.registry.patient_fingerprints import (
    PatientFingerprints,
    patient_key,
    stored_fingerprints,
)

__all__ = ["Overlap", "overlap_with_training"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many of a cohort's patients a model learned from.

    Parameters
    ----------
    shared : int or None
        None if it is not known.
    patients : int
        Patients of the cohort; 0 if their fingerprints cannot be made.
    not_known : str
        Why it is not known; "" if it is.
    """

    shared: int | None
    patients: int = 0
    not_known: str = ""

    @property
    def sentence(self) -> str:
        """What a reader must know before any metric; "" if the model learned from none of them."""
        if self.shared is None:
            return (
                "It is not known whether the model learned from some of these patients: "
                f"{self.not_known}."
            )
        if not self.shared:
            return ""
        return (
            f"The model learned from {self.shared:,} of these {self.patients:,} patients: the "
            "metrics are too good. Leave them out."
        )

    def as_json(self) -> dict[str, object]:
        """Return the counts as a mapping; `shared` is null where it is not known."""
        return {"shared": self.shared, "not_known": self.not_known}


def overlap_with_training(loaded: LoadedModel, cohort: Cohort) -> Overlap:
    """Count the patients of a cohort that a model learned from, by their keyed fingerprints.

    A cohort that the model, or an update of it, learned from is recognised without a key, too.

    Raises
    ------
    UsageError
        If the key is too short.
    OutsideError
        If MLflow fails.
    """
    if cohort.fingerprint() in loaded.risk_model.contract.learned_from:
        patients = len(np.unique(cohort.patient_id.astype(str)))
        return Overlap(patients, patients)
    key = patient_key()
    if key is None:
        return Overlap(None, not_known="neither OSTEON_PATIENT_KEY nor OSTEON_GATE_KEY is set")
    if loaded.run_id is None:
        return Overlap(None, not_known="the model was not loaded from its run or version")
    learned_from = stored_fingerprints(loaded.run_id)
    if learned_from is None:
        return Overlap(None, not_known="its run stored no fingerprints of patients")
    given = PatientFingerprints.of(cohort.patient_id, key)
    if given is None:
        return Overlap(None, not_known="the cohort has no identifiers of patients")
    if given.key != learned_from.key:
        return Overlap(None, not_known="its run made the fingerprints with another key")
    return Overlap(len(given.patients & learned_from.patients), len(given.patients))
