"""What the catalogue holds beyond markers and facts: derived values, care, habits, details."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.simulation.parameter import assumed
from training.simulation.person import FACTS
from training.simulation.world import World

__all__ = ["extra_columns", "known_columns"]

BASIS = assumed("No row: none of these moves a state or a hazard, and none informs a risk.")

_CARE_SHARES: Mapping[str, float] = {
    "enteral_feeding": 0.55,
    "parenteral_feeding": 0.12,
    "calcium_supplement": 0.20,
    "selenium_supplement": 0.08,
    "probiotic": 0.06,
    "prebiotic": 0.04,
    "early_mobilisation": 0.30,
    "whole_body_vibration": 0.004,
    "rehabilitation": 0.15,
    "oxandrolone": 0.004,
    "sclerostin_antibody": 0.002,
    "biotin": 0.01,
}
"""Share of patients who receive it, among those with an entry."""

_RECORDED_SHARE = 0.7
"""Share of patients with an entry for care that affects no outcome; no entry means unknown."""

_YOUNG_ADULTS: Mapping[str, tuple[str, float, float]] = {
    "t_fn": ("bmd_fn", 0.858, 0.120),
    "t_hip": ("bmd_hip", 0.942, 0.122),
    "t_ls": ("bmd_ls", 1.047, 0.110),
}
"""T-score -> density, mean and SD of young women (evidence sheet, 11: background)."""

_NAMES = {
    "cvd": "cardiovascular_disease",
    "rheumatoid": "rheumatoid_arthritis",
    "parental": "parental_hip_fracture",
    "ventilated": "mechanical_ventilation",
    "steroid": "corticosteroid",
}


def known_columns(world: World) -> dict[str, NDArray[np.generic]]:
    """Return the columns of person and circumstances under the catalogue's names."""
    people = world.people
    renamed = {_NAMES.get(str(name), str(name)): people[name].to_numpy() for name in people}
    from_category = {"sex", "admission_type", "cancer", "aki_stage", "gcs", "bmi", "age", "vitd25"}
    wanted = set(FACTS.values()) - from_category
    columns = {name: renamed[name] for name in renamed if name in wanted}
    columns |= {name: people[name].to_numpy() for name in ("age", "gcs", "aki_stage", "bmi")}
    columns["infection"] = people["infection"].to_numpy()
    columns["exogenous_hormones"] = people["exogenous_hormones"].to_numpy()
    columns["sex"] = _words(people["female"] == 1, "female", "male")
    columns["cancer"] = np.where(
        people["metastatic"] == 1, "metastatic", _words(people["cancer"] == 1, "yes", "no")
    )
    surgery = _words(people["emergency"] == 1, "emergency_surgery", "elective_surgery")
    columns["admission_type"] = np.where(people["medical"] == 1, "medical", surgery)
    columns["comorbidities"] = people["comorbidities"].to_numpy()
    return {name: np.asarray(column) for name, column in columns.items()}


def extra_columns(
    world: World, measured: Mapping[str, NDArray[np.float64]], days: float
) -> dict[str, NDArray[np.generic]]:
    """Return the remaining columns; given the others, none carries information on the outcome.

    Parameters
    ----------
    measured : mapping of str to ndarray of float, shape (n_patients,)
        Marker -> value, or its detection limit; NaN if it is not recorded.
    days : float
        Days from ICU admission to time zero.
    """
    rng = world.rng("extras", 0)
    n = len(world)
    return {
        **_derived(measured),
        **_at_the_sample(world, measured, rng),
        **_of_the_stay(world, rng, days),
        **_care(world, rng),
        **_of_the_person(world, rng, n),
    }


def _derived(measured: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    derived = {
        score: np.round((measured[density] - mean) / sd, 1)
        for score, (density, mean, sd) in _YOUNG_ADULTS.items()
    }
    derived["uncoupling_index"] = np.round((measured["ctx_s"] / 800) / (measured["p1np"] / 85), 2)
    derived["rankl_opg_ratio"] = np.round(measured["rankl_free"] / measured["opg"], 4)
    return derived


def _at_the_sample(
    world: World, measured: Mapping[str, NDArray[np.float64]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    people, n = world.people, len(world)
    sampled = ~np.isnan(measured["ctx_s"]) | ~np.isnan(measured["p1np"])
    morning = people["fasting"] == 1
    hour = np.where(morning, rng.uniform(5, 9, n), rng.uniform(10, 20, n))
    fraction = np.where(people["ventilated"] == 1, rng.uniform(30, 80, n), rng.uniform(21, 45, n))
    gas = ~np.isnan(measured["pf_ratio"])
    fraction = np.where(gas, np.round(fraction), np.nan)
    return {
        "fasting": np.where(sampled, people["fasting"], np.nan),
        "sampling_hour": np.where(sampled, np.round(hour, 1), np.nan),
        "l1_hu_contrast": np.where(np.isnan(measured["l1_hu"]), np.nan, people["contrast"]),
        "fio2": fraction,
        "pao2": np.round((measured["pf_ratio"] * fraction / 100).clip(20, 700)),
        "coma_score": np.round((15 - people["gcs"].to_numpy()) / 12 * 100),
    }


def _of_the_stay(
    world: World, rng: np.random.Generator, days: float
) -> dict[str, NDArray[np.float64]]:
    people, n = world.people, len(world)
    ventilated, steroid = people["ventilated"] == 1, people["steroid"] == 1
    dose = np.round(np.exp(rng.normal(3.8, 0.5, n)))
    return {
        "immobilisation_days": np.round(days * rng.beta(6, 2, n), 1),
        "restraint_days": np.where(ventilated, np.round(days * rng.beta(1, 4, n), 1), 0.0),
        "vent_days": np.where(ventilated, np.round(days * rng.beta(4, 2, n), 1), 0.0),
        "corticosteroid_dose": np.where(steroid, dose, 0.0),
        "corticosteroid_days": np.where(steroid, np.round(days * rng.beta(4, 2, n), 1), 0.0),
        "antibiotic": (rng.random(n) < np.where(people["infection"] == 1, 0.97, 0.40)) * 1.0,
    }


def _care(world: World, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    n = len(world)

    def recorded(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(rng.random(n) < _RECORDED_SHARE, values, np.nan)

    given = {
        name: recorded((rng.random(n) < share).astype(float))
        for name, share in _CARE_SHARES.items()
    }
    given["protein_intake"] = recorded(np.round(rng.gamma(4, 0.15, n), 2))
    for dose, flag, usual in (
        ("calcium_dose", given["calcium_supplement"], 800.0),
        ("selenium_dose", given["selenium_supplement"], 500.0),
        ("vitamin_d_dose", world.people["vitamin_d_supplement"].to_numpy(), 2000.0),
    ):
        given[dose] = np.where(flag == 1, np.round(usual * rng.uniform(0.5, 1.5, n), -2), flag)
    on_denosumab = world.people["denosumab"] == 1
    given["denosumab_days_since"] = np.where(on_denosumab, np.round(rng.uniform(5, 250, n)), np.nan)
    return given


def _of_the_person(
    world: World, rng: np.random.Generator, n: int
) -> dict[str, NDArray[np.generic]]:
    people = world.people
    female = people["female"].to_numpy() == 1
    height = np.round(rng.normal(np.where(female, 163.0, 176.0), 7.0).clip(140, 205))
    filtration = np.where(
        people["ckd"] == 1, rng.normal(44, 9, n).clip(15, 59), rng.normal(86, 14, n).clip(60, 130)
    )
    nearly = np.abs(people["age"].to_numpy() - 50.0) < 3.0
    status = np.where(rng.random(n) < people["postmenopausal"], "post", "pre")
    status = np.where(nearly & (rng.random(n) < 0.4), "peri", status)
    status = np.where(rng.random(n) < 0.15, "unknown", status)
    young = female & (people["age"].to_numpy() < 50)
    return {
        "menopausal_status": np.where(female, status, "not_applicable"),
        "pregnant": np.where(young, 0.0, np.nan),
        "height": height,
        "weight": np.round(people["bmi"].to_numpy() * (height / 100) ** 2, 1),
        "egfr": np.where(rng.random(n) < 0.85, np.round(filtration), np.nan),
        "education_years": np.where(rng.random(n) < 0.6, np.round(rng.gamma(16, 0.75, n)), np.nan),
    }


def _words(chosen: pd.Series, yes: str, no: str) -> NDArray[np.str_]:
    return np.where(chosen, yes, no)
