"""Scores and eGFR equal worked examples in public sources (`published_examples.json`).

Two sources print answers that break the paper's own table; each is shown to differ by exactly the
errors that its entry names. The worked cases of public calculators are read for their inputs, their
points and their total, each of which was also added up from the paper's table.
"""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import columns_of_frame
from data_schema.derived.kidney import egfr_ckd_epi_2021
from data_schema.derived.oxygenation import alveolar_arterial_difference
from data_schema.derived.ratios import corrected_calcium
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.sofa import SOFA

EXAMPLES = json.loads(Path(__file__).with_name("published_examples.json").read_text())


def scored(score, values):
    return score.of(columns_of_frame(pd.DataFrame([values])), missing="normal")


def mortality_percent(saps2):
    """Return the mortality by Le Gall's equation, in percent."""
    log_odds = -7.7631 + 0.0737 * saps2 + 0.9971 * math.log(saps2 + 1)
    return 100 / (1 + math.exp(-log_odds))


@pytest.mark.parametrize("example", EXAMPLES["saps2"], ids=lambda one: one["source"][-30:])
def test_saps2_equals_the_published_example(example):
    result = scored(SAPS2, example["values"])
    if "component" in example:
        assert result.points[example["component"]][0] == example["points"]
        return
    if "mortality_percent" in example:
        # The paper prints the mortality, from which the score follows: the only whole number.
        assert round(mortality_percent(example["score"]), 1) == example["mortality_percent"]
    assert result.total[0] == example.get("score_by_the_table", example["score"])


@pytest.mark.parametrize("example", EXAMPLES["apache2"], ids=lambda one: one["source"][-30:])
def test_apache2_equals_the_published_example_by_the_table(example):
    result = scored(APACHE2, example["values"])
    assert result.total[0] == example.get("score_by_the_table", example["score"])
    assert result.origin.iloc[0]["chronic_health"] == "recorded"


@pytest.mark.parametrize("example", EXAMPLES["sofa"], ids=lambda one: one["source"][-30:])
def test_sofa_equals_the_published_example(example):
    result = scored(SOFA, example["values"])
    if "component" in example:
        assert result.points[example["component"]][0] == example["points"]
    else:
        assert result.total[0] == example["score"]


@pytest.mark.parametrize("example", EXAMPLES["aado2"], ids=lambda one: f"{one['aado2']} mmHg")
def test_the_alveolar_arterial_difference_equals_the_published_example(example):
    gas = {name: example[name] for name in ("pao2", "fio2", "paco2")}
    arguments = [np.array([float(value)]) for value in gas.values()]
    assert round(alveolar_arterial_difference(*arguments)[0], 1) == example["aado2"]
    assert scored(APACHE2, gas).points["oxygenation"][0] == example["points"]


@pytest.mark.parametrize("example", EXAMPLES["egfr"], ids=lambda one: one["source"][-20:])
def test_egfr_equals_the_published_example(example):
    arguments = [np.array([float(example[name])]) for name in ("creatinine", "age", "female")]
    assert round(egfr_ckd_epi_2021(*arguments)[0], example["digits"]) == example["egfr"]


@pytest.mark.parametrize("example", EXAMPLES["corrected_calcium"], ids=lambda one: "calcium")
def test_corrected_calcium_equals_the_published_example(example):
    result = corrected_calcium(np.array([example["calcium"]]), np.array([example["albumin"]]))
    assert round(result[0], 2) == example["corrected"]
