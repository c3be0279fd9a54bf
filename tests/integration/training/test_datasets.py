"""The public data sets as they are: patients, events and what became missing."""

import shutil

import numpy as np
import pandas as pd
import pytest

from data_schema.leakage.linter import find_leaks
from training.datasets.registry import ADAPTERS, data_folder, load_dataset
from training.datasets.support2 import support2_comparators

FOLDER = data_folder()
needs_folder = pytest.mark.skipif(FOLDER is None, reason="no data folder on this machine")

IN_PACKAGE = {
    # name: patients, events, features
    "support2": (9105, 6201, 27),
    "rhc": (5735, 3722, 50),
    "flchain": (7874, 2169, 7),
    "framingham": (4699, 1473, 7),
}
IN_FOLDER = {
    "physionet2012": (4000, 554, 100),
    "glow": (500, 125, 11),
    "nhanes_2017_2020": (4987, 726, 28),
    "hipstudy": (426, 93, 16),
    # 209 first samples have a known ward; two patients gave two of them.
    "ciim_breda": (207, 58, 94),
}

IN_R = {"mgus2": (1384, 115, 5), "pbc": (418, 161, 17)}
"""Of R's survival package."""


def assert_is(name, expected):
    cohort = load_dataset(name)
    assert (len(cohort), (cohort.outcome.event == 1).sum(), cohort.features.shape[1]) == expected
    assert find_leaks(cohort.features, cohort.outcome) == []


@pytest.mark.parametrize("name", IN_PACKAGE)
def test_a_package_s_data_set_is_the_published_one_without_leaks(name):
    assert_is(name, IN_PACKAGE[name])


@needs_folder
@pytest.mark.parametrize("name", IN_FOLDER)
def test_a_folder_s_data_set_is_the_published_one_without_leaks(name):
    assert_is(name, IN_FOLDER[name])


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not on this machine")
@pytest.mark.parametrize("name", IN_R)
def test_a_data_set_of_r_is_the_published_one_without_leaks(name):
    assert_is(name, IN_R[name])


def test_every_data_set_is_checked_here():
    assert set(IN_PACKAGE) | set(IN_FOLDER) | set(IN_R) == set(ADAPTERS)


def test_the_zeros_of_support2_are_as_many_as_its_notes_say():
    raw = ADAPTERS["support2"].read(None)
    zeros = (raw[["num_meanbp", "num_hrt", "num_resp", "num_glucose"]] == 0).sum()
    assert zeros.tolist() == [51, 83, 65, 1]
    assert (raw["time"] == 3).sum() == 138


def test_every_rhc_patient_is_in_support2_whose_clock_is_one_day_ahead():
    """The fact behind `shares_patients_with`, and behind time zero on study day 3."""
    rhc, support2 = (ADAPTERS[name].read(None) for name in ("rhc", "support2"))
    person = [
        pd.DataFrame(
            {
                "age": raw["num_age"].astype(float).round(4),
                "sex": raw["fac_sex"].astype(str).str.lower(),
                "education": raw["num_edu"].astype(float).round(3),
                "days": raw["time"],
                "died": raw["event"],
            }
        )
        for raw in (rhc, support2)
    ]
    assert person[0]["age"].isin(set(person[1]["age"])).all()
    key = ["age", "sex", "education"]
    once = [p.drop_duplicates(key, keep=False) for p in person]
    both = once[0].merge(once[1], on=key)
    dead = both[both["died_x"] == 1]
    assert (len(both), len(dead)) == (4507, 2823)
    assert np.array_equal(dead["days_y"], dead["days_x"] + 1)


@needs_folder
def test_the_comparators_of_support2_cover_the_published_patients():
    beside = support2_comparators(FOLDER)
    assert beside[["surv6m", "prg6m"]].notna().all(axis=1).sum() == 7472
