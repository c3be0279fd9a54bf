"""Care and drugs: nutrition, mobilisation and what acts on bone. They mark the patient only."""

from __future__ import annotations

from datetime import timedelta

from data_schema.catalogue.origins import RECORDED
from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Variable
from data_schema.windows import Since, Window

__all__ = ["ENTRIES"]

_STAY = Window("from ICU admission to time zero", Since.ADMISSION)
_MEAN = Window("mean from ICU admission to time zero", Since.ADMISSION)
_YEAR = Window("in the year before time zero", timedelta(days=366))
_UNKNOWN = "An absent entry is unknown, not no. It marks the patient; it is not the drug's effect."


def _care(name: str, label: str, window: Window = _STAY, *, atc: tuple[str, ...] = ()) -> Variable:
    """One treatment that was given or not."""
    return Variable(
        name=name,
        label=label,
        pathway="care",
        kind="flag",
        atc=atc,
        treatment=True,
        window=window,
        note=_UNKNOWN,
    )


ENTRIES: tuple[Variable, ...] = (
    _care("enteral_feeding", "Enteral feeding"),
    _care("parenteral_feeding", "Parenteral feeding"),
    Variable(
        name="protein_intake",
        label="Protein intake",
        pathway="care",
        origin=RECORDED,
        unit="g/(kg.d)",
        units={"g/(kg.d)": 1.0, "g/kg/d": 1.0},
        low=0.0,
        high=10.0,
        treatment=True,
        window=_MEAN,
    ),
    _care("calcium_supplement", "Calcium supplement", atc=("A12A",)),
    Variable(
        name="calcium_dose",
        label="Calcium supplement, elemental dose",
        pathway="care",
        origin=RECORDED,
        unit="mg/d",
        units=MG_PER_DAY,
        low=0.0,
        high=20000.0,
        treatment=True,
        window=_MEAN,
    ),
    _care("selenium_supplement", "Selenium supplement", atc=("A12CE",)),
    Variable(
        name="selenium_dose",
        label="Selenium supplement, dose",
        pathway="care",
        origin=RECORDED,
        unit="ug/d",
        units={"ug/d": 1.0, "mg/d": 1000.0},
        low=0.0,
        high=10000.0,
        treatment=True,
        window=_MEAN,
    ),
    _care("vitamin_d_supplement", "Vitamin D supplement", atc=("A11CC",)),
    Variable(
        name="vitamin_d_dose",
        label="Vitamin D supplement, dose",
        pathway="care",
        origin=RECORDED,
        unit="[iU]/d",
        # 1 ug of cholecalciferol or ergocalciferol is 40 international units by definition.
        units={"[iU]/d": 1.0, "[IU]/d": 1.0, "ug/d": 40.0},
        low=0.0,
        high=1000000.0,
        treatment=True,
        window=_MEAN,
        note="Cholecalciferol or ergocalciferol; calcitriol and calcifediol are not counted here.",
    ),
    _care("probiotic", "Probiotic"),
    _care("prebiotic", "Prebiotic"),
    _care("early_mobilisation", "Early mobilisation"),
    _care("whole_body_vibration", "Whole-body vibration"),
    _care("rehabilitation", "Rehabilitation"),
    _care("oxandrolone", "Oxandrolone", atc=("A14AA08",)),
    _care("teriparatide", "Teriparatide", _YEAR, atc=("H05AA02",)),
    _care("bisphosphonate", "Bisphosphonate", _YEAR, atc=("M05BA", "M05BB")),
    _care("denosumab", "Denosumab", _YEAR, atc=("M05BX04",)),
    Variable(
        name="denosumab_days_since",
        label="Days since the last denosumab dose",
        pathway="care",
        origin=RECORDED,
        unit="d",
        units=DAYS,
        low=0.0,
        high=10000.0,
        treatment=True,
        window=Window("last dose before time zero"),
        note="Computed from the date of the last dose; bone is lost fast when a dose is missed. "
        "Never given: leave empty and set `denosumab` to 0.",
    ),
    _care(
        "sclerostin_antibody", "Romosozumab or another sclerostin antibody", _YEAR, atc=("M05BX06",)
    ),
    Variable(
        name="biotin",
        label="Biotin in high dose",
        pathway="care",
        kind="flag",
        treatment=True,
        window=Window("in the 3 days before the sample"),
        note="Disturbs streptavidin-biotin immunoassays in either direction: warned about.",
    ),
)
