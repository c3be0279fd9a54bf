"""Care and drugs: nutrition, mobilisation and what acts on bone. They mark the patient only."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import RECORDED
from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Variable
from data_schema.windows import Since, Window

__all__ = ["ENTRIES"]

_STAY = Window("from ICU admission to time zero", Since.ADMISSION)
_MEAN = Window("mean from ICU admission to time zero", Since.ADMISSION)
_YEAR = Window("in the year before time zero", timedelta(days=366))
_UNKNOWN = "An absent entry is unknown, not no. It marks the patient; it is not the drug's effect."

_care = partial(Variable, pathway="care", kind="flag", treatment=True, window=_STAY, note=_UNKNOWN)
_dose = partial(Variable, pathway="care", origin=RECORDED, low=0.0, treatment=True, window=_MEAN)

ENTRIES: tuple[Variable, ...] = (
    _care("enteral_feeding", "Enteral feeding"),
    # Amino acids, fat emulsions and combinations; not glucose, which is given for other reasons.
    _care("parenteral_feeding", "Parenteral feeding", atc=("B05BA01", "B05BA02", "B05BA10")),
    _dose(
        name="protein_intake",
        label="Protein intake",
        unit="g/(kg.d)",
        units={"g/(kg.d)": 1.0, "g/kg/d": 1.0},
        high=10.0,
    ),
    _care("calcium_supplement", "Calcium supplement", atc=("A12A",)),
    _dose(
        name="calcium_dose",
        label="Calcium supplement, elemental dose",
        unit="mg/d",
        units=MG_PER_DAY,
        high=20000.0,
    ),
    _care("selenium_supplement", "Selenium supplement", atc=("A12CE",)),
    _dose(
        name="selenium_dose",
        label="Selenium supplement, dose",
        unit="ug/d",
        units={"ug/d": 1.0, "mg/d": 1000.0},
        high=10000.0,
    ),
    _care("vitamin_d_supplement", "Vitamin D supplement", atc=("A11CC",)),
    _dose(
        name="vitamin_d_dose",
        hint="Cholecalciferol or ergocalciferol; not calcitriol or calcifediol.",
        label="Vitamin D supplement, dose",
        unit="[iU]/d",
        # 1 ug of cholecalciferol or ergocalciferol is 40 international units by definition.
        units={"[iU]/d": 1.0, "[IU]/d": 1.0, "ug/d": 40.0},
        high=1000000.0,
        note="Cholecalciferol or ergocalciferol; calcitriol and calcifediol are not counted here.",
    ),
    _care("probiotic", "Probiotic", atc=("A07FA",)),
    _care("prebiotic", "Prebiotic"),
    _care("early_mobilisation", "Early mobilisation"),
    _care("whole_body_vibration", "Whole-body vibration"),
    _care("rehabilitation", "Rehabilitation"),
    _care("oxandrolone", "Oxandrolone", atc=("A14AA08",)),
    _care("teriparatide", "Teriparatide", window=_YEAR, atc=("H05AA02",)),
    _care(
        "bisphosphonate",
        "Bisphosphonate",
        window=_YEAR,
        atc=("M05BA", "M05BB"),
        rxnorm={"77655": "zoledronic acid"},
    ),
    _care("denosumab", "Denosumab", window=_YEAR, atc=("M05BX04",)),
    _dose(
        name="denosumab_days_since",
        hint="Leave it empty if denosumab was never given.",
        label="Days since the last denosumab dose",
        unit="d",
        units=DAYS,
        high=10000.0,
        window=Window("last dose before time zero"),
        note="Computed from the date of the last dose; bone is lost fast when a dose is missed. "
        "Never given: leave empty and set `denosumab` to 0.",
    ),
    _care(
        "sclerostin_antibody",
        "Romosozumab or another sclerostin antibody",
        window=_YEAR,
        atc=("M05BX06",),
    ),
    _care(
        "biotin",
        "Biotin in high dose",
        window=Window("in the 3 days before the sample"),
        note="Disturbs streptavidin-biotin immunoassays in either direction: warned about.",
    ),
)
