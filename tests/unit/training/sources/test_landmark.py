"""A small long table with everything that can go wrong, and MIMIC-IV's demo."""

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import DataError, UsageError
from data_schema.table.check import check_cohort
from places import SHARED
from training.sources.code_map import mimic_iv_map, parse_code_map
from training.sources.landmark import landmark
from training.sources.long import Long
from training.sources.meds import Meds
from training.sources.observations import connection

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"
CODES = parse_code_map(
    '[codes."CREA"]\nvariable = "creatinine"\nunit = "mg/dL"\n'
    '[codes."NA"]\nvariable = "sodium"\nunit = "mmol/L"\n'
    '[codes."DNR"]\nvariable = "treatment_limited"\nvalue = 1\n'
    '[codes."TOTAL"]\nvariable = "gcs"\nunit = "{score}"\n'
    '[codes."PROPOFOL"]\nvariable = "sedation"\nvalue = 1\n'
    '[codes."VENT"]\nvariable = "mechanical_ventilation"\nvalue = 1\n'
    '[codes."NOR"]\nvariable = "norepinephrine_dose"\nunit = "ug/kg/min"\n'
    '[codes."PAO2"]\nvariable = "pao2"\nunit = "mm[Hg]"\nspecimen = "arterial blood"\n'
    '[codes."FIO2"]\nvariable = "fio2"\nunit = "%"\n'
)
ZERO = pd.Timestamp("2026-01-02 00:00")


def hours(number):
    return ZERO + pd.Timedelta(hours=number)


def observation(at, code, value, **others):
    subject = others.pop("subject", "p1")
    return {
        "subject_id": subject,
        "time": hours(at),
        "code": code,
        "numeric_value": value,
        **others,
    }


def stay(number, subject, **others):
    return {
        "subject_id": subject,
        "stay_id": f"s{number}",
        "site": "a",
        "hospital_admission": hours(-30),
        "hospital_discharge": hours(100),
        "icu_admission": hours(-24),
        "icu_discharge": hours(50),
        "died_in_hospital": False,
        **others,
    }


def person(subject, **others):
    return {
        "subject_id": subject,
        "sex": "female",
        "birth_date": pd.Timestamp("1956-01-02").date(),
        "death_time": None,
        "observed_until": hours(240),
        **others,
    }


def result(folder, observations, stays, persons, time_zero="icu_admission+24h", codes=CODES):
    pd.DataFrame(observations).to_parquet(folder / "observations.parquet")
    pd.DataFrame(stays).to_parquet(folder / "stays.parquet")
    pd.DataFrame(persons).to_parquet(folder / "persons.parquet")
    with connection(memory="500MB", threads=1) as db:
        return landmark(db, Long(folder), codes, time_zero=time_zero)


def test_features_follow_from_what_was_known_in_the_window(tmp_path):
    rows = [
        observation(-60, "CREA", 9.0),  # before the window of the stay
        observation(-20, "CREA", 1.0),
        observation(-8, "CREA", 176.8, unit="umol/L"),
        observation(-2, "CREA", 4.0, available_time=hours(1)),  # drawn before, known after
        observation(1, "CREA", 8.0),
        observation(-3, "CREA", 5000.0),  # an artefact
        observation(-3, "SITE//9", 1.0),
    ]
    found = result(tmp_path, rows, [stay(1, "p1")], [person("p1")])
    row = found.cohort.iloc[0]
    assert row["creatinine"] == pytest.approx(2.0, abs=1e-3)
    assert row["creatinine__first"] == row["creatinine__min"] == 1.0
    assert row["creatinine__mean"] == pytest.approx(1.5, abs=1e-3)
    assert row["creatinine__slope"] == pytest.approx(2.0, abs=1e-2)  # 1 mg/dL in half a day
    assert row["creatinine__count"] == 2
    assert row["creatinine__hours_since"] == pytest.approx(8)
    assert row["age"] == pytest.approx(70, abs=0.01)
    assert found.codes.unmapped_codes == 1
    assert found.codes.left_out() == {
        "artefacts": {"creatinine": 1},
        "not_in_window": {"creatinine": 3},
    }


def test_a_record_that_the_source_holds_twice_counts_once(tmp_path):
    codes = parse_code_map('[codes."URINE"]\nvariable = "urine_volume"\nunit = "mL"\n')
    rows = [observation(-hour, "URINE", 50.0) for hour in range(1, 13)]
    found = result(tmp_path, [*rows, *rows], [stay(1, "p1")], [person("p1")], codes=codes)
    assert found.cohort["urine_output"].iloc[0] == 600
    assert found.codes.left_out() == {"repeated": {"urine_volume": 12}}


def test_what_is_recorded_as_not_done_differs_from_what_was_not_entered(tmp_path):
    codes = parse_code_map('[codes."NOT SENT"]\nvariable = "ctx_s__not_done"\nvalue = 1')
    creatinine = "OSTEON//creatinine__not_done"
    made = result(
        tmp_path,
        [
            observation(-5, "NOT SENT", None, subject="p1"),
            observation(-9, creatinine, 1, subject="p1"),
            observation(-9, creatinine, 1, subject="p2"),
            observation(-5, "LOINC//2160-0", 1.2, subject="p2", unit="mg/dL"),
            observation(-40, "OSTEON//mechanical_ventilation__not_done", 1, subject="p2"),
            observation(5, "OSTEON//lactate__not_done", 1, subject="p3"),
        ],
        [stay(number, f"p{number}") for number in (1, 2, 3)],
        [person(f"p{number}") for number in (1, 2, 3)],
        codes=codes,
    )
    cohort = made.cohort.set_index("patient_id")
    assert cohort["ctx_s__not_done"].to_dict() == {"p1": 1, "p2": 0, "p3": 0}
    # A value of the window outweighs a record that none was taken.
    assert cohort["creatinine__not_done"].to_dict() == {"p1": 1, "p2": 0, "p3": 0}
    assert cohort["creatinine"].isna().to_dict() == {"p1": True, "p2": False, "p3": True}
    # After time zero, and nothing is known of others: blank, and no flag of it.
    assert not {"lactate", "lactate__not_done", "ctx_s"} & set(cohort)
    assert made.codes.unmapped_codes == 0
    checked = check_cohort(made.cohort, outcome=None)
    assert checked.cohort is not None, checked.report.fatal
    assert checked.cohort.not_done is not None
    assert checked.cohort.not_done["ctx_s__not_done"].sum() == 1


def test_results_above_a_limit_are_counted(tmp_path):
    rows = [observation(-2, "CREA", 20.0, comparator=">"), observation(-1, "CREA", 2.0)]
    found = result(tmp_path, rows, [stay(1, "p1")], [person("p1")])
    assert found.cohort["creatinine__max"].iloc[0] == 20.0
    assert dict(found.codes.above) == {"creatinine": 1}


def test_the_flow_counts_each_stay_once_and_no_time_is_immortal(tmp_path):
    stays = [
        stay(1, "p1"),
        stay(2, "p2"),
        stay(3, "p3", hospital_discharge=hours(-1)),
        stay(4, "p4"),
        stay(5, "p5", icu_admission=None),
        stay(6, "p6"),
    ]
    persons = [
        person("p1"),
        person("p2", death_time=hours(-1)),
        *(person("p3"), person("p4", observed_until=hours(-1)), person("p5")),
    ]
    found = result(tmp_path, [observation(-1, "NA", 140.0)], stays, persons)
    assert dict(found.excluded) == {
        "died_before_time_zero": 1,
        "left_hospital_before_time_zero": 1,
        "no_person": 1,
        "no_time_zero": 1,
        "not_observed_at_time_zero": 1,
    }
    assert found.stays + sum(found.excluded.values()) == found.stays_in_source == 6


def test_outcomes_end_with_observation_and_limits_of_treatment_are_read(tmp_path):
    stays = [stay(1, "p1"), stay(2, "p2", died_in_hospital=True, hospital_discharge=hours(48))]
    persons = [person("p1"), person("p2", death_time=hours(48))]
    rows = [
        observation(-1, "NA", 140.0),
        observation(12, "DNR", None, subject="p2"),
        observation(120, "ICD10CM//S72.001A", None),
        observation(48, "ICD10CM//S72.001A", None, subject="p2"),  # what the stay was for
    ]
    first, second = result(tmp_path, rows, stays, persons).cohort.to_dict("records")
    assert (first["mortality_event"], first["mortality_days"]) == (0, 10)
    assert (second["mortality_event"], second["mortality_days"]) == (1, 2)
    assert (first["fracture_event"], first["fracture_days"]) == (1, 5)
    assert (second["fracture_event"], second["fracture_days"]) == (2, 2)
    assert (first["in_hospital_mortality_event"], second["in_hospital_mortality_event"]) == (2, 1)
    assert (first["treatment_limited"], second["treatment_limited"]) == (0, 1)
    assert second["treatment_limited_days"] == 0.5


@pytest.mark.parametrize("time_zero", ["icu_discharg", "icu_discharge+2d", "icu_discharge; x"])
def test_a_time_zero_that_is_no_column_is_refused(tmp_path, time_zero):
    with pytest.raises(UsageError, match="time zero must be a column of times"):
        result(tmp_path, [observation(-1, "NA", 1.0)], [stay(1, "p1")], [person("p1")], time_zero)


def test_a_source_without_a_stay_at_risk_is_refused(tmp_path):
    dead = [person("p1", death_time=hours(-1))]
    with pytest.raises(DataError, match="died_before_time_zero 1"):
        result(tmp_path, [observation(-1, "NA", 140.0)], [stay(1, "p1")], dead)


MEASURED = (
    *(("CREA", 0.5, 5.0), ("NA", 120, 160), ("TOTAL", 3, 15)),
    *(("PAO2", 50, 120), ("FIO2", 21, 100)),
)
GIVEN = ("PROPOFOL", "VENT", "NOR")
LATER = ("DNR", "ICD10CM//E11.9", "ICD10CM//S72.001A")


def later(rng):
    return hours(float(rng.uniform(0.01, 99)))


def test_nothing_after_time_zero_moves_a_feature(tmp_path):
    # Each of the 200 stays is a repeat: its own record, changed at random after time zero.
    rng = np.random.default_rng(7)
    subjects = [f"p{number}" for number in range(200)]
    before = [
        observation(-float(at), code, float(value), subject=subject)
        for subject in subjects
        for code, low, high in MEASURED
        for at, value in zip(rng.uniform(0.1, 40, 3), rng.uniform(low, high, 3), strict=True)
    ]
    after = [
        observation(
            float(rng.uniform(0.01, 99)),
            str(rng.choice([*GIVEN, *(code for code, *_ in MEASURED), *LATER])),
            float(rng.uniform(-5, 500)),
            subject=subject,
        )
        for subject in subjects
        for _ in range(6)
    ]
    # What runs at time zero may end at any time after it, or never.
    given = [
        observation(-float(rng.uniform(1, 90)), code, 0.1, subject=subject)
        for subject in subjects
        for code in GIVEN
        if rng.random() < 0.5
    ]
    ends = [
        row | ({"is_ongoing": True} if rng.random() < 0.3 else {"end_time": later(rng)})
        for row in given
    ]
    other_ends = [row | {"end_time": later(rng), "is_ongoing": False} for row in given]
    late = [{**row, "available_time": hours(3)} for row in before[::2]]
    stays = [stay(number, subject) for number, subject in enumerate(subjects)]
    moved = [stay_ | {"icu_discharge": hours(float(rng.uniform(1, 99)))} for stay_ in stays]
    persons = [person(subject) for subject in subjects]
    dead = [person(subject, death_time=hours(float(rng.uniform(1, 99)))) for subject in subjects]
    plain = result(tmp_path, before + ends, stays, persons).cohort
    changed = result(tmp_path, before + other_ends + after + late, moved, dead).cohort
    names = [name for name in plain if not name.endswith(("_days", "_event"))]
    pd.testing.assert_frame_equal(plain[names], changed[names], rtol=1e-12)
    assert not {"treatment_limited", "diabetes"} & set(names)
    assert {"sofa", "gcs", "pf_ratio", "norepinephrine_dose"} <= set(names)
    assert plain["sofa"].nunique() > 3


@pytest.fixture(scope="module")
def mimic():
    if not MIMIC.is_file():
        pytest.skip("needs ../shared/data/mimic_iv_demo_meds")
    with connection(memory="1GB", threads=1) as db:
        return landmark(
            db, Meds(MIMIC, mimic_iv=True), mimic_iv_map(), time_zero="icu_admission+24h"
        )


def test_mimic_accounts_for_all_140_stays(mimic):
    assert mimic.stays_in_source == 140
    assert mimic.stays + sum(mimic.excluded.values()) == 140
    assert mimic.stays == len(mimic.cohort) == mimic.cohort["stay_id"].nunique()


def test_mimic_leaves_pressures_that_no_artery_has_out(mimic):
    assert mimic.codes.left_out()["artefacts"]["map"] > 0
    assert mimic.cohort["map__max"].max() <= 300
    assert mimic.cohort["map__min"].min() >= 0
    # A D-dimer in ng/mL does not say whether of FEU or DDU: four such numbers.
    assert mimic.codes.left_out()["unit"] == {"d_dimer": 4}
    assert not {"unreadable", "specimen", "assay"} & mimic.codes.left_out().keys()


def test_mimic_has_scores_of_every_stay_within_their_range(mimic):
    for name, most in (("sofa", 24), ("apache2", 71), ("saps2", 163)):
        assert mimic.cohort[name].between(0, most).all()


def test_mimic_deaths_are_those_of_the_record(mimic):
    cohort = mimic.cohort
    events = pd.read_parquet(MIMIC, filters=[("code", "==", "MEDS_DEATH")])
    died = set(events["subject_id"].astype(str))
    assert set(cohort.loc[cohort["mortality_event"] == 1, "patient_id"]) == died & set(
        cohort["patient_id"]
    )
