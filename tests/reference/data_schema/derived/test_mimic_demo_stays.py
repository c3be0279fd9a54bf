"""SOFA, APACHE II and SAPS II of ten real ICU stays equal the points worked out by hand.

README.md beside this file says how the values of each stay were read.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import columns_of_frame
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.sofa import SOFA
from places import ROOT

STAYS = Path(__file__).with_name("mimic_demo_stays.csv")

# respiration, coagulation, liver, circulation, consciousness, kidney: total. Comments hold what
# decided; `?` is not recorded and counts as normal.
SOFA_POINTS = [
    ((2, 0, 0, 4, 4, 0), 10),  # 222.5 on, 95 off the ventilator; norepinephrine 0.12; GCS 4
    ((4, 2, 3, 4, 0, 4), 17),  # 58; platelets 60; bilirubin 6.0; 0.401; GCS sedated; urine 185
    ((4, 1, 0, 3, 1, 2), 11),  # 82; platelets 104; 0.05; GCS 13; creatinine 2.0
    ((3, 0, 0, 4, 0, 0), 7),  # 128; 0.16; GCS sedated
    ((2, 0, 0, 1, 1, 1), 5),  # 44 off the ventilator; MAP 64; GCS 14; creatinine 1.7
    ((0, 1, 2, 1, 0, 0), 4),  # ratio ?; platelets 100; bilirubin 4.4; MAP 66
    ((2, 1, 0, 1, 0, 0), 4),  # 120 off the ventilator; platelets 104; MAP 53
    ((2, 0, 0, 0, 0, 0), 2),  # 110 off the ventilator; MAP 72
    ((3, 0, 0, 1, 1, 0), 5),  # 127.5 on the ventilator; MAP 60; GCS 13
    ((0, 0, 0, 1, 0, 0), 1),  # ratio ?; MAP 59
]

# temperature, MAP, heart rate, breathing rate, oxygenation, pH, sodium, potassium, creatinine,
# hematocrit, white cells, 15 - GCS, age, chronic illness: total.
APACHE2_POINTS = [
    ((0, 4, 2, 1, 4, 2, 0, 0, 2, 0, 0, 11, 6, 0), 32),  # MAP 34; HR 120; A-aDO2 530.5; creat. 0.5
    ((1, 4, 2, 1, 2, 4, 0, 0, 0, 2, 0, 0, 6, 0), 22),  # 35.28 C; HR 131; 339; pH 7.06; Hct 21.7
    ((0, 2, 2, 0, 2, 0, 0, 1, 3, 2, 0, 2, 6, 0), 20),  # MAP 56; HR 113; 269; K 3.4; 2.0; 26.4
    ((1, 2, 2, 1, 2, 0, 0, 0, 2, 0, 1, 0, 3, 0), 14),  # 34.8 C; HR 68; RR 10; 246.6; WBC 16.0
    ((0, 2, 0, 1, 3, 0, 0, 0, 2, 0, 0, 1, 5, 0), 14),  # MAP 64; RR 27; 424; creatinine 1.7
    ((0, 2, 3, 2, 0, 0, 0, 1, 2, 2, 0, 0, 3, 0), 15),  # HR 159; RR 8; oxygenation ?; K 3.3; Hct 28
    ((3, 2, 2, 1, 2, 1, 0, 4, 2, 2, 0, 0, 3, 0), 22),  # 39.44 C; HR 110; pH 7.54; K 2.3
    ((0, 0, 2, 1, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0), 7),  # HR 133; RR 27; 314; Hct 29.5; age 26.9
    ((0, 2, 0, 1, 4, 0, 0, 0, 2, 0, 0, 2, 3, 0), 14),  # MAP 60; RR 26; PaO2 51 at 40 %; 0.3
    ((0, 2, 2, 0, 0, 0, 0, 1, 2, 0, 1, 0, 5, 0), 13),  # MAP 59; HR 66; oxygenation ?; K 3.1; 16.5
]

# age, heart rate, systolic pressure, temperature, ratio on support, urine, urea nitrogen, white
# cells, potassium, sodium, bicarbonate, bilirubin, GCS, chronic disease, admission: total.
SAPS2_POINTS = [
    ((18, 4, 13, 0, 6, 0, 6, 0, 0, 0, 0, 0, 26, 0, 6), 79),  # HR 120; 48; 222.5; BUN 35; GCS 4
    ((16, 4, 13, 0, 11, 11, 0, 0, 3, 0, 6, 9, 0, 0, 6), 79),  # 58; 58; 185 mL; K 5.0; 10; 6.0
    ((16, 0, 5, 0, 11, 4, 6, 0, 0, 0, 3, 0, 5, 0, 6), 56),  # 81; 82; 707 mL; BUN 37; 18; GCS 13
    ((12, 2, 5, 0, 9, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0), 32),  # HR 68; 86; 128; 740 mL; admission ?
    ((12, 0, 5, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 6), 32),  # 95; BUN 52; HCO3 17
    ((12, 4, 5, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0), 29),  # HR 159; 84; 846 mL; 4.4; admission ?
    ((7, 0, 5, 3, 0, 0, 0, 0, 3, 0, 6, 0, 0, 0, 6), 30),  # 80; 39.44 C; K 2.3; HCO3 10
    ((0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 4),  # HR 133; admission ?
    ((7, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0), 26),  # 89; 127.5; GCS 13; admission ?
    ((12, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 19),  # HR 66; 87; admission ?
]


def stays():
    absent = dict.fromkeys(
        (
            *("dopamine_dose", "dobutamine_dose", "epinephrine_dose", "acute_renal_failure"),
            *("chronic_organ_insufficiency", "aids", "hematologic_malignancy"),
        ),
        0.0,
    )
    return columns_of_frame(pd.read_csv(STAYS).assign(**absent, cancer="no"))


@pytest.mark.parametrize(
    ("score", "worked"),
    [(SOFA, SOFA_POINTS), (APACHE2, APACHE2_POINTS), (SAPS2, SAPS2_POINTS)],
    ids=["sofa", "apache2", "saps2"],
)
def test_ten_real_stays_get_the_points_worked_out_by_hand(score, worked):
    scored = score.of(stays(), missing="normal")
    np.testing.assert_array_equal(scored.points.to_numpy(), [points for points, _ in worked])
    np.testing.assert_array_equal(scored.total, [total for _, total in worked])
    assert [sum(points) for points, _ in worked] == [total for _, total in worked]


# The items of MIMIC-IV from which the lowest and the highest values of the file were read.
ITEMS = {
    "heart_rate": ({"220045"}, 1, 400),
    "map": ({"220052", "220181", "225312"}, 10, 300),
    "systolic_pressure": ({"220050", "220179", "225309"}, 10, 400),
    "creatinine": ({"50912", "220615"}, 0, 50),
    "platelets": ({"51265", "227457"}, 0, 5000),
    "bilirubin": ({"50885", "225690"}, 0, 120),
    "sodium": ({"50983", "220645"}, 50, 250),
    "urea_nitrogen": ({"51006", "225624"}, 0, 500),
}


def test_the_values_of_the_ten_stays_are_those_of_the_database():
    folder = os.environ.get("OSTEON_DATA_DIR", ROOT.parent / "shared" / "data")
    events = Path(folder) / "mimic_iv_demo_meds" / "events.parquet"
    if not events.exists():
        pytest.skip("the MIMIC-IV demo (mimic_iv_demo_meds) is not in the data folder")
    read = pd.read_csv(STAYS, parse_dates=["icu_admission"])
    of_ten = [("subject_id", "in", [int(one) for one in read["subject_id"].unique()])]
    table = pd.read_parquet(events, filters=of_ten)
    table = table[table["code"].str.startswith("LAB//") & table["value"].notna()]
    items = table["code"].str.split("//").str[1]
    for _, stay in read.iterrows():
        hours = (table["time"] - stay["icu_admission"]) / pd.Timedelta(hours=1)
        day = (table["subject_id"] == stay["subject_id"]) & hours.between(0, 24)
        for name, (codes, low, high) in ITEMS.items():
            values = table.loc[day & items.isin(codes), "value"].astype(float)
            values = values[values.between(low, high)]
            assert values.min() == pytest.approx(stay[f"{name}__min"], abs=0.005), name
            assert values.max() == pytest.approx(stay[f"{name}__max"], abs=0.005), name
