"""Plausible ranges hold what was measured in thousands of patients, and catch units mixed up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from SurvSet.data import SurvLoader

from data_schema.biomarkers import variable
from data_schema.units import in_range, to_canonical
from places import SHARED

NHANES = SHARED / "data" / "nhanes_bone_marker_reference" / "age_sex_percentiles.csv"

# Column of SurvSet, without its `num_` -> variable; RHC appends a 1 to the names it shares.
SUPPORT2 = {
    "age": "age",
    "meanbp": "map",
    "wblc": "white_cells",
    "hrt": "heart_rate",
    "resp": "respiratory_rate",
    "temp": "temperature",
    "pafi": "pf_ratio",
    "alb": "albumin",
    "bili": "bilirubin",
    "crea": "creatinine",
    "sod": "sodium",
    "ph": "ph",
    "glucose": "glucose",
    "bun": "urea_nitrogen",
    "urine": "urine_output",
    "scoma": "coma_score",
    "sps": "support_sps",
    "edu": "education_years",
    "num_co": "comorbidities",
}
RHC = {
    "age": "age",
    "edu": "education_years",
    "aps1": "apache3_aps",
    "scoma1": "coma_score",
    "meanbp1": "map",
    "wblc1": "white_cells",
    "hrt1": "heart_rate",
    "resp1": "respiratory_rate",
    "temp1": "temperature",
    "pafi1": "pf_ratio",
    "alb1": "albumin",
    "hema1": "hematocrit",
    "bili1": "bilirubin",
    "crea1": "creatinine",
    "sod1": "sodium",
    "pot1": "potassium",
    "paco21": "paco2",
    "ph1": "ph",
    "wtkilo1": "weight",
    "urin1": "urine_output",
}
# What those files hold that no patient can: albumin 29 g/dL (one each), 0 kg where the weight was
# not taken.
IMPOSSIBLE = {("support2", "alb"): 1, ("rhc", "alb1"): 1, ("rhc", "wtkilo1"): 515}

NHANES_MARKERS = {
    "25-hydroxyvitamin D2 + D3": ("vitd25", "nmol/L"),
    "Albumin (g/L)": ("albumin", "g/L"),
    "Alkaline phosphatase (U/L)": ("alkaline_phosphatase", "U/L"),
    "Bone alkaline phosphotase (ug/L)": ("bsap_mass", "ug/L"),
    "Creatinine (mg/dL)": ("creatinine", "mg/dL"),
    "Estradiol (pg/mL)": ("estradiol", "pg/mL"),
    "Parathyroid Hormone(Elecys method) pg/mL": ("pth", "pg/mL"),
    "Phosphorus (mg/dL)": ("phosphate", "mg/dL"),
    "Sex Hormone Binding Globulin (SHBG, nmol/L)": ("shbg", "nmol/L"),
    "Testosterone, total (ng/dL)": ("testosterone", "ng/dL"),
    "Total calcium (mg/dL)": ("calcium", "mg/dL"),
}


# The package's tables are pickled by NumPy 1, whose module names have moved since.
@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize(("dataset", "columns"), [("support2", SUPPORT2), ("rhc", RHC)])
def test_ranges_hold_every_value_of_real_patients_but_the_impossible_ones(
    dataset: str, columns: dict[str, str]
) -> None:
    table = SurvLoader().load_dataset(dataset)["df"]
    for column, name in columns.items():
        outside = ~in_range(variable(name), table[f"num_{column}"])
        assert outside.sum() == IMPOSSIBLE.get((dataset, column), 0), column


@pytest.mark.skipif(not NHANES.is_file(), reason="shared/data is not beside this checkout")
@pytest.mark.parametrize("marker", NHANES_MARKERS)
def test_ranges_hold_healthy_adults(marker: str) -> None:
    table = pd.read_csv(NHANES)
    name, unit = NHANES_MARKERS[marker]
    healthy = table.loc[table["biomarker"].str.strip(", ") == marker, ["p10", "median", "p90"]]
    assert len(healthy) > 10
    assert in_range(variable(name), to_canonical(variable(name), healthy, unit)).all()


@pytest.mark.parametrize(
    ("name", "wrong_unit", "healthy"),
    [
        ("albumin", "g/L", 40.0),
        ("creatinine", "umol/L", 80.0),
        ("platelets", "/uL", 250_000.0),
        ("white_cells", "/uL", 7_000.0),
        ("ctx_s", "ng/mL", 0.4),
        ("calcium", "mmol/L", 2.3),
        ("bmd_fn", "mg/cm2", 850.0),
        ("fio2", "1", 0.21),
        ("weight", "g", 70_000.0),
        ("height", "m", 1.7),
    ],
)
def test_ranges_refuse_a_healthy_value_in_another_accepted_unit(
    name: str, wrong_unit: str, healthy: float
) -> None:
    entry = variable(name)
    assert in_range(entry, to_canonical(entry, [healthy], wrong_unit)).all()
    assert not in_range(entry, np.array([healthy])).any()
