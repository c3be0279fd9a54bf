"""Severity scores of ten stays of MIMIC-IV's demo, 24 hours after admission, worked out apart.

The worst values of the 24 hours were read from the raw events, and turned into points by a separate
script that shares no code with Osteon; each component is written out below. The points are those of
the papers: SOFA by Vincent et al. (1996, doi:10.1007/BF01709751), APACHE II by Knaus et al. (1985,
doi:10.1097/00003246-198510000-00009), SAPS II by Le Gall et al. (1993,
doi:10.1001/jama.1993.03510240069035). PaO2/FiO2 is in mmHg, with the last FiO2 of the four hours
before the blood gas, on the ventilator or off it at that moment. A Glasgow score counts where no
sedative ran or had ended within the hour; charted under one, the last score before it counts. A
verbal score of 1 on the ventilator is estimated from eye and motor score: -0.3756 + 0.5713 motor +
0.4233 eye, rounded. What is not recorded counts 0.
"""

import pytest

from places import SHARED
from training.sources.code_map import mimic_iv_map
from training.sources.landmark import landmark
from training.sources.meds import Meds
from training.sources.observations import connection

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"

# stay: respiration, coagulation, liver, circulation, nervous system, kidney
SOFA_APART = {
    # No blood gas; platelets 94; bilirubin 2.7; pressure 56; GCS 14; urine 175 mL.
    "10000032-1": (0, 2, 2, 1, 1, 4),
    # P/F 222.5 on the ventilator, 95 before it, which counts 2; 175; 0.1; norepinephrine 0.12. GCS
    # E2 V1 M1 at 19:30, no ventilator or sedative yet: 4. Creatinine 0.5, urine 1630.
    "10002428-2": (2, 0, 0, 4, 4, 0),
    # P/F 320; 349; no bilirubin; norepinephrine 0.25. GCS E1 V1 M4 on the ventilator, no sedative:
    # verbal -0.38 + 2.29 + 0.42 = 2.3, so 2, and 7 in all. 0.4, 2255.
    "10002428-4": (1, 0, 0, 4, 3, 0),
    # No blood gas; 215; none; pressure 59; GCS 14; urine 427.
    "10002930-1": (0, 0, 0, 1, 1, 3),
    # P/F 105 without ventilation, so at most 2; 243; none; pressure 14; GCS 15; 0.9, 1079.
    "10003046-1": (2, 0, 0, 1, 0, 0),
    # P/F 98 on the ventilator, which ran from before admission to after the window; 12; 6.5;
    # norepinephrine 2.4. GCS E2 V1 M1 at 17:56, no sedative: verbal 1.0, so 4. Creatinine 7.9.
    "10004235-1": (4, 4, 3, 4, 4, 4),
    # P/F 128, ventilated; 481; 0.4; norepinephrine 0.16. GCS 3 to 5 throughout on midazolam,
    # fentanyl or propofol, and none before: not recorded. 0.3, 740.
    "10004720-1": (3, 0, 0, 4, 0, 0),
    # P/F 172, ventilated; 42; 3.2; norepinephrine 0.52. GCS E1 V1 M1 at 0:00, twenty minutes after
    # admission, no ventilator or sedative yet: 3. Creatinine 2.0, urine 1045.
    "10006053-1": (3, 3, 2, 4, 4, 2),
    # P/F 118, ventilated; 50; 3.4; norepinephrine 0.50. GCS E3 V4 M5 at 13:00, then 3 on propofol:
    # the 12 before it. Creatinine 4.5, urine 110.
    "10007818-1": (3, 2, 2, 4, 2, 4),
    # No blood gas; 141; 0.4; norepinephrine 0.25; GCS 15; creatinine 7.2, urine 30.
    "10010471-1": (0, 1, 0, 4, 0, 4),
}

# temperature, pressure, heart rate, breathing, oxygen, pH, bicarbonate (without pH), sodium,
# potassium, creatinine, hematocrit, white cells, Glasgow score, age. No chronic disease is
# recorded by then.
APACHE2_APART = {
    "10000032-1": (0, 2, 0, 0, 0, 0, 2, 0, 0, 2, 0, 0, 1, 2),
    "10002428-2": (0, 4, 2, 1, 4, 2, 0, 0, 0, 2, 0, 0, 11, 6),
    "10002428-4": (1, 2, 2, 1, 0, 2, 0, 0, 1, 2, 2, 0, 8, 6),
    "10002930-1": (0, 2, 0, 1, 0, 0, 2, 0, 1, 0, 2, 2, 1, 2),
    "10003046-1": (0, 4, 2, 2, 4, 2, 0, 0, 0, 0, 0, 0, 0, 3),
    "10004235-1": (0, 2, 3, 4, 4, 3, 0, 0, 1, 4, 0, 2, 11, 2),
    "10004720-1": (1, 2, 2, 1, 2, 0, 0, 0, 0, 2, 0, 1, 0, 3),
    "10006053-1": (1, 4, 2, 1, 2, 4, 0, 1, 3, 3, 2, 0, 12, 2),
    "10007818-1": (3, 4, 2, 1, 3, 4, 0, 0, 0, 4, 4, 2, 3, 5),
    "10010471-1": (0, 2, 0, 2, 0, 0, 0, 0, 3, 4, 0, 0, 0, 6),
}

# age, heart rate, pressure, temperature, oxygen (ventilated), urine, urea nitrogen, white cells,
# potassium, sodium, bicarbonate, bilirubin, Glasgow score. Admission and disease are not recorded.
SAPS2_APART = {
    "10000032-1": (7, 0, 5, 0, 0, 11, 6, 0, 3, 0, 0, 0, 0),
    "10002428-2": (18, 4, 13, 0, 6, 0, 6, 0, 0, 0, 0, 0, 26),
    "10002428-4": (18, 2, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 13),
    "10002930-1": (7, 0, 5, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0),
    "10003046-1": (12, 4, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "10004235-1": (7, 4, 5, 0, 11, 0, 10, 3, 0, 0, 6, 9, 26),
    "10004720-1": (12, 2, 5, 0, 9, 4, 0, 0, 0, 0, 0, 0, 0),
    "10006053-1": (7, 4, 0, 0, 9, 0, 0, 0, 3, 1, 6, 0, 26),
    "10007818-1": (12, 4, 13, 0, 9, 11, 10, 3, 3, 0, 6, 0, 5),
    "10010471-1": (18, 0, 5, 0, 0, 11, 6, 0, 3, 0, 0, 0, 0),
}


@pytest.fixture(scope="module")
def cohort():
    if not MIMIC.is_file():
        pytest.skip("needs ../shared/data/mimic_iv_demo_meds")
    with connection(memory="1GB", threads=1) as db:
        source = Meds(MIMIC, mimic_iv=True)
        found = landmark(db, source, mimic_iv_map(), time_zero="icu_admission+24h").cohort
    return found.set_index("stay_id")


@pytest.mark.parametrize(
    ("score", "apart"),
    [("sofa", SOFA_APART), ("apache2", APACHE2_APART), ("saps2", SAPS2_APART)],
)
def test_a_score_is_that_worked_out_apart(cohort, score, apart):
    totals = cohort[score]
    assert {stay: totals[stay] for stay in apart} == {
        stay: sum(points) for stay, points in apart.items()
    }
