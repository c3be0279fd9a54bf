"""The data sets in which the added value of a severity score is measured.

Columns known after time zero only, or missing in patients who did badly, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, outcome_of
from training.datasets import glow, rhc, support2
from training.datasets.columns import NOMINAL_HORIZON_DAYS, Column, add_columns, known_at
from training.datasets.dataset import read_folder
from training.datasets.site_variables import site_number

__all__ = ["SCORE_QUESTIONS", "ScoreQuestion"]

RHC_HORIZON_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """A cohort with an outcome known at one horizon, and which of its columns are scores.

    Parameters
    ----------
    scores : tuple of str
        Features that are scores.
    words : str
        Outcome, patients and scores, in words.
    """

    cohort: Cohort
    scores: tuple[str, ...]
    words: str


def support2_question(folder: Path | None) -> ScoreQuestion:
    """Return death in hospital in SUPPORT2, with the three scores of study day 3.

    The day of the hospital stay on which the study began is known at time zero, and is a predictor
    of the SUPPORT model [1]_. It is not the length of the stay.

    References
    ----------
    .. [1] Knaus et al. Ann Intern Med 122 (1995) 191-203.
       doi:10.7326/0003-4819-122-3-199502010-00007
    """
    full = read_folder(folder, "support2/support2.csv")
    beside = support2.support2_comparators(folder)
    raw = support2.DATASET.read(None)
    entered = site_number("hospital_day", "Day in hospital at study entry", "person", "d", 1, 200)
    cohort = add_columns(support2.adapt(raw), raw, Column("num_hday", entered))
    cohort = add_columns(cohort, beside, Column("aps", VARIABLES["apache3_aps"]))
    outcome = known_at("in_hospital_death", full["hospdead"].eq(1), NOMINAL_HORIZON_DAYS)
    return ScoreQuestion(
        replace(cohort, outcome=outcome),
        ("apache3_aps", "support_sps", "coma_score"),
        "Death in hospital of 9,105 patients of SUPPORT2; the scores are the APACHE III physiology "
        "score, the SUPPORT physiology score and the coma score of study day 3. Known at entry and "
        "among the other variables: the day of the hospital stay. Left out: the two interviews "
        "about daily living.",
    )


def rhc_question(_: Path | None) -> ScoreQuestion:
    """Return death within 30 days in RHC, with the physiology score of study day 1."""
    cohort = rhc.adapt(rhc.DATASET.read(None))
    outcome = outcome_of(cohort)
    lost = (outcome.event == 0) & (outcome.time_days < RHC_HORIZON_DAYS)
    died = (outcome.event == 1) & (outcome.time_days <= RHC_HORIZON_DAYS)
    known = replace(
        outcome,
        time_days=np.full(len(cohort), RHC_HORIZON_DAYS),
        event=died.astype(np.int64),
        horizon_days=RHC_HORIZON_DAYS,
    )
    return ScoreQuestion(
        replace(cohort, outcome=known).take(np.flatnonzero(~lost)),
        ("apache3_aps",),
        f"Death within 30 days of {len(cohort) - lost.sum():,} patients of RHC ({lost.sum()} lost "
        "before that are left out); the score is the APACHE III physiology score of study day 1.",
    )


def glow_question(folder: Path | None) -> ScoreQuestion:
    """Return fracture within a year in GLOW, with the fracture score computed from its columns."""
    raw = glow.DATASET.read(folder)
    score = site_number("fracture_score", "Fracture score", "bone_mass", "{score}", 0, 20)
    return ScoreQuestion(
        add_columns(glow.adapt(raw), raw, Column("fracscore", score)),
        ("fracture_score",),
        f"Fracture within a year of {len(raw)} women of GLOW; the score is made of the other "
        "columns.",
    )


SCORE_QUESTIONS: Mapping[str, Callable[[Path | None], ScoreQuestion]] = {
    "support2-score": support2_question,
    "rhc-score": rhc_question,
    "glow-score": glow_question,
}
"""Name of the benchmark -> its cohort."""
