"""Patients: person, circumstances of admission, drivers and care, which are always known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from training.simulation.parameter import Basis, assumed

__all__ = ["FACTS", "FLAGS", "Flag", "draw_people", "facts_matrix"]

AGE_MEAN, AGE_SD, AGE_LOW, AGE_HIGH = 61.7, 17.6, 18.0, 99.0
"""Parameters of a truncated normal distribution with mean 61 and SD 16 (19: Age, seen)."""

FACTS: Mapping[str, str] = {
    "age10": "age",
    "female": "sex",
    "postmenopausal": "age",
    "premenopausal": "age",
    "medical": "admission_type",
    "emergency": "admission_type",
    "comorbidity": "comorbidity_index",
    "ckd": "ckd",
    "diabetes": "diabetes",
    "cvd": "cardiovascular_disease",
    "cancer": "cancer",
    "metastatic": "cancer",
    "dementia": "dementia",
    "rheumatoid": "rheumatoid_arthritis",
    "smoking": "smoking",
    "alcohol": "alcohol",
    "falls": "falls",
    "parental": "parental_hip_fracture",
    "bmi5": "bmi",
    "sepsis": "sepsis",
    "shock": "shock",
    "aki1": "aki_stage",
    "aki2": "aki_stage",
    "aki3": "aki_stage",
    "rrt": "rrt",
    "neuro": "gcs",
    "ventilated": "mechanical_ventilation",
    "catecholamines": "catecholamines",
    "steroid": "corticosteroid",
    "loop_diuretic": "loop_diuretic",
    "ppi": "ppi",
    "opioid": "opioid",
    "malnutrition": "malnutrition",
    "vitamin_d_supplement": "vitamin_d_supplement",
    "bisphosphonate": "bisphosphonate",
    "denosumab": "denosumab",
    "teriparatide": "teriparatide",
    "prior_fracture": "prior_fracture",
    "osteoporosis": "osteoporosis",
    "season": "vitd25",
}
"""What is always recorded and moves states or hazards -> the variable that records it. `season` is
read from time zero, not from a column; it counts with 25-OH vitamin D, the only marker it moves."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A fact that is present or absent: share among average patients, and effects on log-odds."""

    share: float
    effects: Mapping[str, float]
    basis: Basis


FLAGS: Mapping[str, Flag] = {
    "diabetes": Flag(0.25, {"age10": 0.15}, assumed()),
    "ckd": Flag(
        0.17, {"age10": 0.45, "diabetes": 0.7}, assumed("7: eGFR < 60 at discharge 14.8 %")
    ),
    "cvd": Flag(0.32, {"age10": 0.40, "diabetes": 0.5}, assumed()),
    "dementia": Flag(0.03, {"age10": 0.90}, assumed()),
    "rheumatoid": Flag(0.02, {"female": 0.7}, assumed()),
    "smoking": Flag(0.24, {"age10": -0.15, "female": -0.3}, assumed()),
    "alcohol": Flag(0.12, {"age10": -0.10, "female": -0.8}, assumed()),
    "parental": Flag(0.07, {}, assumed()),
    "prior_fracture": Flag(0.12, {"age10": 0.30, "female": 0.3}, assumed()),
    "osteoporosis": Flag(
        0.06, {"age10": 0.45, "female": 1.3}, Basis("11: women 13-18 %, men 3-6 % from 50", "seen")
    ),
    "sepsis": Flag(0.25, {"age10": 0.05, "medical": 0.5}, Basis("10: sepsis in 29.5 %", "seen")),
    "infection": Flag(0.20, {}, assumed()),
    "shock": Flag(0.16, {"sepsis": 1.2, "age10": 0.05}, assumed("13: vasopressors 30-50 %")),
    "rrt": Flag(0.004, {"aki2": 0.8, "aki3": 4.0, "ckd": 0.6}, assumed()),
    "ventilated": Flag(0.42, {"shock": 0.9, "neuro": 0.9}, assumed()),
    "catecholamines": Flag(0.20, {"shock": 3.0, "ventilated": 0.5}, Basis("13", "background")),
    "steroid": Flag(0.15, {"shock": 1.1, "rheumatoid": 1.2}, Basis("13: 15-30 %", "background")),
    "loop_diuretic": Flag(0.42, {"cvd": 0.6, "ckd": 0.3}, Basis("13: 40-50 %", "background")),
    "ppi": Flag(0.66, {"ventilated": 0.4}, Basis("13: 60-75 %", "background")),
    "opioid": Flag(0.40, {"ventilated": 1.5}, Basis("13: 70-85 % of ventilated", "background")),
    "malnutrition": Flag(
        0.42, {"age10": 0.10, "comorbidity": 0.15, "bmi5": -0.5}, Basis("13: 45 %", "seen")
    ),
    "vitamin_d_supplement": Flag(0.18, {"age10": 0.1}, assumed()),
    "bisphosphonate": Flag(0.005, {"osteoporosis": 4.0}, Basis("14: 245 of 7,830 users", "seen")),
    "denosumab": Flag(0.002, {"osteoporosis": 3.0}, assumed()),
    "teriparatide": Flag(0.0005, {"osteoporosis": 3.0}, assumed()),
}
"""Drawn in this order; the share is that of an average patient without the facts in `effects`."""

AKI_CUTS = (0.00, 0.55, 0.90)
AKI_EFFECTS = {"age10": 0.08, "ckd": 0.35, "sepsis": 0.40, "shock": 0.60, "diabetes": 0.10}
AKI_BASIS = Basis("7: 57.3 % in week 1, AKI-EPI", "seen")


def draw_people(
    n: int, rng: np.random.Generator, *, older: NDArray[np.float64] | float = 0.0
) -> pd.DataFrame:
    """Draw people with their circumstances, one row each.

    Parameters
    ----------
    older : float or ndarray of float, shape (n,)
        Years added to the mean age.

    Returns
    -------
    DataFrame
        `age`, `sex`, `gcs`, `comorbidity_index`, `falls`, `bmi` and so on, and one 0/1 column for
        each of `FLAGS` and of `aki1`, `aki2`, `aki3`.
    """
    mean = AGE_MEAN + older
    # Truncated normal by inverse transform: with U uniform on (Phi(a), Phi(b)), a and b the
    # standardised limits, mean + SD Phi^-1(U) has the normal distribution cut off at both.
    lowest, highest = ndtr((AGE_LOW - mean) / AGE_SD), ndtr((AGE_HIGH - mean) / AGE_SD)
    age = mean + AGE_SD * ndtri(lowest + (highest - lowest) * rng.random(n))
    people: dict[str, NDArray[np.float64]] = {
        "age": np.round(age, 1),
        "female": (rng.random(n) < 0.41).astype(float),
    }
    people["age10"] = (people["age"] - 61.0) / 10
    past = expit((people["age"] - 51.0) / 2.0)
    people["postmenopausal"] = people["female"] * past
    people["premenopausal"] = people["female"] * (1 - past)
    kind = rng.choice(3, n, p=(0.58, 0.24, 0.18))
    people["medical"] = (kind == 0).astype(float)
    people["emergency"] = (kind == 2).astype(float)
    people["bmi"] = np.round(np.exp(3.29 + 0.19 * rng.standard_normal(n)).clip(14, 60), 1)
    people["bmi5"] = (people["bmi"] - 27.3) / 5
    tumour = rng.choice(3, n, p=(0.84, 0.11, 0.05))
    people["cancer"], people["metastatic"] = (tumour > 0).astype(float), (tumour == 2).astype(float)
    for name in ("diabetes", "ckd", "cvd", "dementia", "rheumatoid"):
        people[name] = _draw_flag(name, people, rng)
    people |= _burden(people, rng)
    for name in ("smoking", "alcohol", "parental", "prior_fracture", "osteoporosis"):
        people[name] = _draw_flag(name, people, rng)
    people["falls"] = (
        rng.poisson(0.35 * np.exp(0.25 * people["age10"] + 0.7 * people["dementia"]))
        .clip(0, 12)
        .astype(float)
    )
    people |= _illness(people, rng)
    for name in list(FLAGS)[list(FLAGS).index("rrt") :]:
        people[name] = _draw_flag(name, people, rng)
    return pd.DataFrame(people)


def facts_matrix(people: pd.DataFrame, season: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the facts that states and hazards depend on.

    Parameters
    ----------
    people : DataFrame
        From `draw_people`.
    season : ndarray of float, shape (n_patients,)
        From -1 (late winter) to 1 (late summer).

    Returns
    -------
    ndarray of float, shape (n_patients, n_facts)
        In the order of `FACTS`.
    """
    columns = {name: people[name].to_numpy(dtype=np.float64) for name in FACTS if name in people}
    columns |= {"season": season, "falls": np.minimum(columns["falls"], 3.0)}
    return np.column_stack([columns[name] for name in FACTS])


def _burden(
    people: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Return the Charlson index, the plain count, and the index about its mean."""
    disease = [people[name] for name in ("diabetes", "ckd", "cvd", "dementia", "cancer")]
    points = disease[0] + 2 * disease[1] + disease[2] + disease[3] + 2 * disease[4]
    index = points + 4 * people["metastatic"] + rng.poisson(0.6, len(points))
    return {
        "comorbidity_index": index.clip(0, 20),
        "comorbidities": np.sum(disease, axis=0) + rng.poisson(0.5, len(points)),
        "comorbidity": (index.clip(0, 10) - 2.0) / 2,
    }


def _illness(
    people: dict[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Return sepsis, shock, coma and kidney injury at time zero."""
    n = len(people["age"])
    known = dict(people)
    for name in ("sepsis", "shock"):
        known[name] = _draw_flag(name, known, rng)
    other = _draw_flag("infection", known, rng)
    depth = rng.gamma(0.55, 2.6, n) + 0.8 * known["shock"]
    gcs = 15 - np.floor(depth).clip(0, 12)
    # Ordered probit: latent injury = effects of facts - 0.14 + N(0, 1), and the stage is the number
    # of `AKI_CUTS` below it.
    injury = rng.standard_normal(n) - 0.14
    for name, effect in AKI_EFFECTS.items():
        injury += effect * known[name]
    stage = np.searchsorted(AKI_CUTS, injury).astype(float)
    return {
        "sepsis": known["sepsis"],
        "infection": np.maximum(known["sepsis"], other),
        "shock": known["shock"],
        "gcs": gcs,
        "neuro": (15 - gcs) / 4,
        "aki_stage": stage,
        **{f"aki{k}": (stage == k).astype(float) for k in (1, 2, 3)},
    }


def _draw_flag(
    name: str, people: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw one flag for everyone."""
    flag = FLAGS[name]
    # logit P(flag) = logit(share) + sum of effects times facts.
    log_odds = np.log(flag.share / (1 - flag.share))
    for fact, effect in flag.effects.items():
        log_odds = log_odds + effect * people[fact]
    return np.asarray(rng.random(len(people["age"])) < expit(log_odds), dtype=np.float64)
