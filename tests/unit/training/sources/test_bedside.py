"""Sedation, tubes, vessels, units and long infusions, in a long table of one patient."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from training.sources.code_map import parse_code_map
from training.sources.landmark import landmark
from training.sources.long import Long
from training.sources.observations import connection

ZERO = pd.Timestamp("2026-01-02 00:00")
CODES = """
[codes."EYE"]
variable = "gcs_eye"
[codes."VERBAL"]
variable = "gcs_verbal"
[codes."MOTOR"]
variable = "gcs_motor"
[codes."TOTAL"]
variable = "gcs"
unit = "{score}"
[codes."PROPOFOL"]
variable = "sedation"
value = 1
[codes."VENT"]
variable = "mechanical_ventilation"
value = 1
[codes."CPAP"]
variable = "noninvasive_ventilation"
value = 1
[codes."PAO2"]
variable = "pao2"
unit = "mm[Hg]"
specimen = "arterial blood"
[codes."GAS"]
variable = "pao2"
unit = "mm[Hg]"
[codes."FIO2"]
variable = "fio2"
unit = "%"
[codes."WEIGHT"]
variable = "weight"
unit = "kg"
[[codes."NOR"]]
variable = "norepinephrine_dose"
[[codes."NOR"]]
variable = "catecholamines"
value = 1
[complete]
variables = ["catecholamines", "mechanical_ventilation", "noninvasive_ventilation", SEDATION]
"""


def at(hours):
    return ZERO + pd.Timedelta(hours=hours)


def row(hours, code, value=None, *, until=None, **others):
    ends = {} if until is None else {"end_time": at(until)}
    return {"time": at(hours), "code": code, "numeric_value": value, **ends, **others}


def glasgow(hours, eye, verbal, motor, **of_verbal):
    parts = (("EYE", eye, {}), ("VERBAL", verbal, of_verbal), ("MOTOR", motor, {}))
    return [row(hours, code, value, **others) for code, value, others in parts]


STAY = {
    "hospital_admission": at(-200),
    "hospital_discharge": at(300),
    "icu_admission": at(-96),
    "icu_discharge": at(100),
}
BORN = pd.Timestamp("1956-01-02").date()


def made(folder, patients, *, sedation_is_recorded=True):
    """Return the landmark of patients, each with a stay of their own and age 70."""
    rows = [
        {"subject_id": name, **one}
        for name, records in patients.items()
        for one in (*records, row(-23, "SITE//1", 1.0))
    ]
    stays = [{"subject_id": name, "stay_id": name, **STAY} for name in patients]
    persons = [{"subject_id": name, "birth_date": BORN} for name in patients]
    for name, table in (("observations", rows), ("stays", stays), ("persons", persons)):
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet")
    codes = CODES.replace("SEDATION", '"sedation"' if sedation_is_recorded else "")
    with connection(memory="300MB", threads=1) as db:
        return landmark(db, Long(folder), parse_code_map(codes), time_zero="icu_admission+96h")


COMA = (1, 1, 1)
PROPOFOL = row(-48, "PROPOFOL", until=-1)
VENTILATED = row(-90, "VENT", until=50)
FIO2_HALF, FIO2_FULL = row(-11, "FIO2", 0.5), row(-11, "FIO2", 100.0)


def gas(code="PAO2", **others):
    return [row(-11, "FIO2", 50.0), VENTILATED, row(-10, code, 40.0, unit="mm[Hg]", **others)]


def infusion(rate, unit, *, begun=-12, until=-2, **others):
    return row(begun, "NOR", rate, until=until, unit=unit, **others)


# What is recorded -> the Glasgow score, where it comes from, and SOFA with it.
GLASGOW = {
    # 14 before sedation: out of the 24 hours, within the stay.
    "before": ([*glasgow(-50, 4, 4, 6), PROPOFOL, *glasgow(-10, *COMA)], 14, "before_sedation", 1),
    "sedated": ([row(-90, "PROPOFOL", until=-1), *glasgow(-10, *COMA)], None, "sedated", 0),
    "not yet over": (
        [row(-30, "PROPOFOL", until=-10), *glasgow(-9.5, *COMA)],
        *(None, "sedated", 0),
    ),
    "over": ([row(-30, "PROPOFOL", until=-10), *glasgow(-8.9, *COMA)], 3, "charted", 4),
    "awake under sedation": ([PROPOFOL, *glasgow(-20, 4, 5, 6)], 15, "charted", 0),
    "ventilated": ([VENTILATED, *glasgow(-10, 4, 1, 6)], 15, "verbal_estimated", 0),
    "ETT": (glasgow(-10, 4, 1, 6, text_value="No Response-ETT"), 15, "verbal_estimated", 0),
    "1T": (glasgow(-10, 4, 1, 6, text_value="1T"), 15, "verbal_estimated", 0),
    # Without a number: verbal 3.75, so 4.
    "no number": (glasgow(-10, 3, None, 5, text_value="ETT"), 12, "verbal_estimated", 2),
    "spoke": ([VENTILATED, *glasgow(-10, 3, 4, 5)], 12, "charted", 2),
    "in coma": ([VENTILATED, *glasgow(-10, *COMA)], 3, "verbal_estimated", 4),
    "by mask": ([row(-90, "CPAP", until=50), *glasgow(-10, 4, 1, 6)], 11, "charted", 2),
    "total, tube": ([VENTILATED, row(-10, "TOTAL", 6.0)], None, "verbal_unknown", 0),
    "total": ([row(-10, "TOTAL", 6.0)], 6, "charted", 3),
    "no verbal": (glasgow(-10, 1, None, 1), None, "not_recorded", 0),
    "known later": (
        [row(-12, "PROPOFOL", until=-8, available_time=at(3)), *glasgow(-10, 2, 2, 4)],
        *(8, "charted", 3),
    ),
    # Whether it goes on after time zero moves nothing.
    "ends at 90 h": (
        [*glasgow(-50, 4, 4, 6), row(-20, "PROPOFOL", until=90), *glasgow(-5, *COMA)],
        *(14, "before_sedation", 1),
    ),
    "goes on": (
        [*glasgow(-50, 4, 4, 6), row(-20, "PROPOFOL", is_ongoing=True), *glasgow(-5, *COMA)],
        *(14, "before_sedation", 1),
    ),
}


@pytest.fixture(scope="module")
def glasgow_scores(tmp_path_factory):
    patients = {name: rows for name, (rows, *_) in GLASGOW.items()}
    return made(tmp_path_factory.mktemp("glasgow"), patients)


@pytest.mark.parametrize("name", GLASGOW)
def test_a_score_under_sedation_or_with_a_tube_is_no_coma(glasgow_scores, name):
    stay = glasgow_scores.cohort.set_index("stay_id").loc[name]
    _, score, _, sofa = GLASGOW[name]
    assert stay["sofa"] == sofa
    assert (None if np.isnan(stay["gcs"]) else stay["gcs"]) == score


def test_stays_are_counted_by_where_their_score_comes_from(glasgow_scores):
    assert glasgow_scores.severity.chartings["incomplete"] == 1
    assert glasgow_scores.severity.glasgow == Counter(
        source for _, _, source, _ in GLASGOW.values()
    )


def test_where_sedation_is_not_recorded_a_ventilated_patient_counts_as_sedated(tmp_path):
    patients = {"p": [VENTILATED, *glasgow(-10, *COMA)], "q": glasgow(-10, *COMA)}
    result = made(tmp_path, patients, sedation_is_recorded=False)
    assert result.severity.glasgow == {"sedated": 1, "charted": 1}


# What is recorded -> SOFA: of norepinephrine, PaO2/FiO2 or both.
CIRCULATION = {
    "spanning": ([infusion(0.3, "mcg/kg/min", begun=-80, until=60)], 4),
    "ended before": ([infusion(0.3, "ug/kg/min", begun=-90, until=-30)], 0),
    "goes on": ([row(-80, "NOR", 0.3, unit="ug/kg/min", is_ongoing=True)], 4),
    "from the ward on": ([row(-140, "NOR", 0.3, unit="ug/kg/min", is_ongoing=True)], 4),
    "per kg": ([infusion(0.05, "µg/kg/min")], 3),
    "mg/h": ([infusion(0.48, "mg/h"), row(-20, "WEIGHT", 80.0)], 3),  # 0.1 ug/kg/min
    "ug/min": ([infusion(16.0, "ug/min"), row(-20, "WEIGHT", 80.0)], 4),  # 0.2
    # That something was given is known: 2 at least.
    "mL/h": ([infusion(0.5, "mL/h")], 2),
    "units/min": ([infusion(0.5, "units/min")], 2),
    "no unit": ([infusion(0.5, "")], 2),
    "a dose": ([infusion(4.0, "mg")], 2),
    "no weight": ([infusion(8.0, "ug/min")], 2),
    "half an hour": ([infusion(0.5, "ug/kg/min", until=-11.5)], 0),
    "long ventilated": ([row(-90, "VENT", until=70), FIO2_HALF, row(-10, "PAO2", 80.0)], 3),
    "ventilated after": ([FIO2_FULL, row(-10, "PAO2", 90.0), row(-9, "VENT", until=-2)], 2),
    "CPAP": ([FIO2_FULL, row(-12, "CPAP", until=-2), row(-10, "PAO2", 90.0)], 4),
}


@pytest.fixture(scope="module")
def doses(tmp_path_factory):
    return made(
        tmp_path_factory.mktemp("doses"), {name: rows for name, (rows, _) in CIRCULATION.items()}
    )


@pytest.mark.parametrize("name", CIRCULATION)
def test_an_infusion_counts_by_its_unit_its_weight_and_how_long_it_runs(doses, name):
    assert doses.cohort.set_index("stay_id").loc[name, "sofa"] == CIRCULATION[name][1]


def test_what_lasts_longer_than_the_window_is_a_feature_of_it(doses):
    cohort = doses.cohort.set_index("stay_id")
    assert cohort.loc["spanning", "catecholamines"] == 1.0
    assert cohort.loc["ended before", "catecholamines"] == 0.0
    assert cohort.loc["long ventilated", "mechanical_ventilation"] == 1.0


def test_rates_that_cannot_be_read_are_counted(doses):
    assert doses.codes.left_out()["unit"] == {"norepinephrine_dose": 4}
    assert doses.severity.doses_without_weight == 1
    assert doses.severity.doses_under_an_hour == 1


def test_what_had_not_ended_ends_with_its_stay(tmp_path):
    stays = [("earlier", at(-150), at(-100)), ("later", at(-96), at(100))]
    pd.DataFrame(
        [
            {"subject_id": "p", "stay_id": name, "icu_admission": begun, "icu_discharge": ended}
            for name, begun, ended in stays
        ]
    ).to_parquet(tmp_path / "stays.parquet")
    nor = row(-140, "NOR", 0.3, unit="ug/kg/min", is_ongoing=True)
    pd.DataFrame([{"subject_id": "p", **nor}]).to_parquet(tmp_path / "observations.parquet")
    codes = parse_code_map(CODES.replace("SEDATION", '"sedation"'))
    with connection(memory="300MB", threads=1) as db:
        result = landmark(db, Long(tmp_path), codes, time_zero="icu_admission+48h")
    scores = result.cohort.set_index("stay_id")["sofa"]
    assert (scores["earlier"], scores["later"]) == (4.0, 0.0)


GASES = {
    "chart": (gas(), True),
    "chart, venous": (gas(specimen="VEN."), False),
    "chart, mixed": (gas(specimen="Mixed venous blood"), False),
    "laboratory": (gas("GAS"), False),
    "laboratory, arterial": (gas("GAS", specimen="ART."), True),
    "LOINC": (gas("LOINC//2703-7"), True),
    "LOINC, capillary": (gas("LOINC//2703-7", specimen="Capillary blood"), False),
}


def test_only_arterial_blood_has_a_pao2(tmp_path):
    patients = {name: rows for name, (rows, _) in GASES.items()}
    result = made(tmp_path, patients | {"no FiO2": [row(-10, "PAO2", 60.0)]})
    cohort = result.cohort.set_index("stay_id")
    for name, (_, used) in GASES.items():
        stay = cohort.loc[name]
        assert (stay["sofa"], stay["pf_ratio"] == 80.0) == (4.0 if used else 0.0, used), name
        # Age 70 counts 5; an A-aDO2 needs PaCO2, and nothing stands for it.
        assert stay["apache2"] == 5.0, name
    assert result.codes.left_out()["specimen"] == {
        "pao2": sum(not used for _, used in GASES.values())
    }
    assert result.severity.gases_without_fio2 == 1


def test_a_setting_that_pao2_rules_out_is_not_that_of_the_gas(tmp_path):
    patients = {
        # 713 mmHg times 0.4: blood cannot hold more than 285.2 of it.
        "more": [row(-10, "FIO2", 40.0), row(-9, "PAO2", 455.0)],
        "most": [row(-10, "FIO2", 40.0), row(-9, "PAO2", 285.0)],
        "worse later": [
            *(row(-10, "FIO2", 40.0), row(-9, "PAO2", 455.0)),
            *(row(-8, "VENT", until=-2), row(-6, "PAO2", 60.0)),
        ],
    }
    result = made(tmp_path, patients)
    cohort = result.cohort.set_index("stay_id")
    assert pd.isna(cohort.loc["more", "pf_ratio"])
    assert cohort.loc["more", "pao2"] == 455.0
    assert cohort.loc["most", "pf_ratio"] == 712.5
    assert (cohort.loc["worse later", "pf_ratio"], cohort.loc["worse later", "sofa"]) == (
        150.0,
        3.0,
    )
    assert result.severity.gases_ruling_out_fio2 == 2
    assert result.severity.gases_without_fio2 == 0
