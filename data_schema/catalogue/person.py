"""The person: age, sex, build, chronic disease, habits and the circumstances of admission."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import DERIVED, RECORDED, SCORED
from data_schema.catalogue.unit_tables import COUNT, SCORE
from data_schema.variables import Code, Variable
from data_schema.windows import AT_TIME_ZERO, Window

__all__ = ["ENTRIES"]

_HISTORY = Window("known before the acute illness")

_history_flag = partial(Variable, pathway="person", kind="flag", window=_HISTORY)
_category = partial(Variable, pathway="person", kind="category", window=_HISTORY)
_recorded = partial(Variable, pathway="person", origin=RECORDED)

ENTRIES: tuple[Variable, ...] = (
    _recorded(
        name="age",
        hint="Or the date of birth, such as 1958-03-02 or 2 Mar 1958. No model answers under 18.",
        label="Age",
        unit="a",
        units={"a": 1.0, "mo": 1 / 12},
        codes=(Code("30525-0", "Age"),),
        low=0.0,
        high=120.0,
        typical_median=(18.0, 100.0),
        direction={"mortality": 1, "in_hospital_mortality": 1, "fracture": 1},
        synonyms=("age years", "age at admission", "alter"),
        window=AT_TIME_ZERO,
        note="Computed from the date of birth where that is known. Under 18 is refused by every "
        "model.",
    ),
    _category(
        name="sex",
        hint="For other or unknown, no reference of one sex is used.",
        label="Sex",
        categories=("female", "male"),
        codes=(Code("46098-0", "Sex"),),
        synonyms=("gender", "geschlecht"),
        window=AT_TIME_ZERO,
        note="Other or unknown is missing, and then no sex-specific reference is used.",
    ),
    _category(
        name="menopausal_status",
        hint="It is not inferred from age.",
        label="Menopausal status",
        categories=("pre", "peri", "post", "unknown", "not_applicable"),
        synonyms=("menopause", "menopausal"),
        window=Window("before the acute illness"),
        note="Never inferred from age.",
    ),
    _history_flag(
        name="pregnant",
        hint="No model answers in pregnancy.",
        label="Pregnant",
        absence="not pregnant",
        icd_10=("O", "Z33", "Z34"),
        snomed=("77386006",),
        passes=True,
        synonyms=("pregnancy",),
        window=AT_TIME_ZERO,
        note="Refused by every model.",
    ),
    Variable(
        name="bmi",
        label="Body mass index",
        pathway="person",
        origin=DERIVED,
        unit="kg/m2",
        units={"kg/m2": 1.0},
        codes=(Code("39156-5", "Body mass index (BMI) [Ratio]"),),
        low=5.0,
        high=150.0,
        synonyms=("body mass index",),
    ),
    _recorded(
        name="weight",
        label="Body weight",
        unit="kg",
        units={"kg": 1.0, "g": 0.001, "[lb_av]": 0.45359237},
        codes=(Code("29463-7", "Body weight"),),
        low=15.0,
        high=600.0,
        synonyms=("body weight", "wt", "gewicht"),
        typical_median=(35.0, 125.0),
    ),
    _recorded(
        name="height",
        label="Body height",
        unit="cm",
        units={"cm": 1.0, "m": 100.0, "[in_i]": 2.54},
        codes=(Code("8302-2", "Body height"),),
        low=50.0,
        high=275.0,
        synonyms=("body height", "ht", "stature"),
        typical_median=(140.0, 200.0),
    ),
    _history_flag(
        name="ckd",
        label="Chronic kidney disease",
        icd_10=("N18",),
        snomed=("709044004",),
        synonyms=("chronic kidney disease",),
    ),
    _history_flag(name="cardiovascular_disease", label="Cardiovascular disease"),
    _history_flag(
        name="diabetes",
        label="Diabetes",
        icd_10=("E08", "E09", "E10", "E11", "E13", "E14"),
        snomed=("73211009", "44054006"),
        synonyms=("dm", "diabetes mellitus"),
    ),
    _history_flag(
        name="rheumatoid_arthritis",
        label="Rheumatoid arthritis",
        icd_10=("M05", "M06"),
        snomed=("69896004",),
    ),
    _history_flag(
        name="dementia",
        label="Dementia",
        icd_10=("F00", "F01", "F02", "F03", "G30"),
        snomed=("52448006",),
    ),
    _category(name="cancer", label="Cancer", categories=("no", "yes", "metastatic")),
    _history_flag(
        name="smoking",
        label="Current smoking",
        synonyms=("smoker", "smoke", "current smoker"),
    ),
    _history_flag(name="alcohol", label="Alcohol, 3 or more units a day"),
    _recorded(
        name="falls",
        label="Falls in the past year",
        unit="1",
        units=COUNT,
        low=0.0,
        high=1000.0,
        window=Window("the year before the acute illness"),
    ),
    _history_flag(
        name="parental_hip_fracture",
        label="Hip fracture of a parent",
        synonyms=("momfrac", "mother hip fracture", "parental fracture"),
    ),
    Variable(
        name="comorbidity_index",
        label="Charlson comorbidity index",
        pathway="person",
        origin=SCORED,
        unit="{score}",
        units=SCORE,
        low=0.0,
        high=40.0,
        synonyms=("charlson", "cci"),
        window=_HISTORY,
    ),
    _recorded(
        name="comorbidities",
        hint="A plain count, not the Charlson index.",
        label="Number of comorbidities",
        unit="1",
        units=COUNT,
        low=0.0,
        high=50.0,
        window=_HISTORY,
        note="A plain count, not the Charlson index.",
    ),
    _recorded(
        name="education_years",
        label="Years of education",
        unit="a",
        units={"a": 1.0},
        low=0.0,
        high=40.0,
        window=_HISTORY,
    ),
    _category(
        name="admission_type",
        label="Type of admission",
        categories=("medical", "elective_surgery", "emergency_surgery"),
        window=Window("at ICU admission"),
    ),
)
