"""Drivers of bone loss in the ICU: immobility, ventilation, drugs and malnutrition.

RxNorm codes of ingredients are those that public lists agree on: CPIC's drugs with their ATC codes,
RxClass (H02AB), lists by ATC of the Institute for Systems Biology, clinosim's from RxNav. SNOMED CT
codes of procedures are those of the MIMIC team's map of procedure events.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import RECORDED
from data_schema.catalogue.unit_tables import DAYS, MG_PER_DAY
from data_schema.variables import Code, Variable
from data_schema.windows import AT_TIME_ZERO, Since, Window

__all__ = ["ENTRIES"]

_STAY = Window("from ICU admission to time zero", Since.ADMISSION)
_UNKNOWN = "An absent entry is unknown, not no."

_treatment = partial(
    Variable, pathway="drivers", kind="flag", treatment=True, note=_UNKNOWN, window=_STAY
)
_days = partial(
    Variable,
    pathway="drivers",
    origin=RECORDED,
    unit="d",
    units=DAYS,
    low=0.0,
    window=_STAY,
    high=2000.0,
)

ENTRIES: tuple[Variable, ...] = (
    _days(name="immobilisation_days", label="Immobilisation"),
    _days(name="restraint_days", label="Physical restraint", treatment=True),
    _days(
        name="vent_days",
        label="Mechanical ventilation, days",
        # The code counts each partial day as one calendar day, which hours over 24 does not.
        codes=(Code("74201-5", "Days on ventilator", units=("d",)),),
        synonyms=("ventilation days", "days ventilated"),
        treatment=True,
        note="LOINC 74201-5 counts calendar days; hours are accepted for the variable only.",
    ),
    _treatment(
        name="mechanical_ventilation",
        hint="Leave it open if it is not known.",
        label="Mechanical ventilation",
        # Artificial ventilation; invasive ventilation (of the edition of the United Kingdom).
        procedures=("40617009", "226471000000101"),
        synonyms=("ventilated", "mv", "mech vent"),
        window=AT_TIME_ZERO,
    ),
    _treatment(
        name="corticosteroid",
        label="Corticosteroid",
        atc=("H02AB", "H02BX"),
        rxnorm={
            "1514": "betamethasone",
            "2878": "cortisone",
            "22396": "deflazacort",
            "3264": "dexamethasone",
            "4463": "fluocortolone",
            "5492": "hydrocortisone",
            "29523": "meprednisone",
            "6902": "methylprednisolone",
            "8638": "prednisolone",
            "8640": "prednisone",
            "10759": "triamcinolone",
        },
        synonyms=("steroid", "steroids", "corticosteroids", "prednisone"),
    ),
    Variable(
        name="corticosteroid_dose",
        hint=(
            "Prednisolone equivalents: hydrocortisone over 4, methylprednisolone times 1.25, "
            "dexamethasone times 6.7."
        ),
        label="Corticosteroid dose (prednisolone equivalent)",
        pathway="drivers",
        origin=RECORDED,
        unit="mg/d",
        units=MG_PER_DAY,
        low=0.0,
        high=5000.0,
        treatment=True,
        window=Window("mean from ICU admission to time zero", Since.ADMISSION),
        note="Prednisolone equivalents: hydrocortisone over 4, methylprednisolone times 1.25, "
        "dexamethasone times 6.7.",
    ),
    _days(
        name="corticosteroid_days",
        label="Corticosteroid, days",
        high=20000.0,
        treatment=True,
        window=Window("before time zero, the current course"),
    ),
    _treatment(
        name="catecholamines",
        label="Catecholamines",
        atc=("C01CA",),
        rxnorm={
            "3616": "dobutamine",
            "3628": "dopamine",
            "23638": "dopexamine",
            "3992": "epinephrine",
            "4169": "etilefrine",
            "6054": "isoproterenol",
            "6805": "metaraminol",
            "7512": "norepinephrine",
            "8163": "phenylephrine",
        },
        synonyms=("vasopressor", "vasopressors"),
        window=Window("in the 24 h before time zero", timedelta(hours=24)),
    ),
    _treatment(
        name="loop_diuretic",
        label="Loop diuretic",
        atc=("C03C", "C03EB"),
        rxnorm={"1808": "bumetanide", "4603": "furosemide", "38413": "torsemide"},
    ),
    _treatment(
        name="ppi",
        label="Proton pump inhibitor",
        atc=("A02BC",),
        rxnorm={
            "816346": "dexlansoprazole",
            "283742": "esomeprazole",
            "17128": "lansoprazole",
            "7646": "omeprazole",
            "40790": "pantoprazole",
            "114979": "rabeprazole",
        },
    ),
    _treatment(
        name="opioid",
        label="Opioid",
        # N01AH: fentanyl, sufentanil and remifentanil, as they are given in intensive care.
        atc=("N02A", "N01AH", "N07BC01", "N07BC02", "N07BC05"),
        rxnorm={
            "480": "alfentanil",
            "2670": "codeine",
            "4337": "fentanyl",
            "3423": "hydromorphone",
            "6813": "methadone",
            "7052": "morphine",
            "7804": "oxycodone",
            "10689": "tramadol",
        },
    ),
    _treatment(
        name="antibiotic",
        label="Antibiotic",
        atc=("J01",),
        rxnorm={
            "723": "amoxicillin",
            "733": "ampicillin",
            "18631": "azithromycin",
            "1272": "aztreonam",
            "2180": "cefazolin",
            "20481": "cefepime",
            "2186": "cefotaxime",
            "2193": "ceftriaxone",
            "2348": "chloramphenicol",
            "2551": "ciprofloxacin",
            "4053": "erythromycin",
            "1596450": "gentamicin",
            "82122": "levofloxacin",
            "29561": "meropenem",
            "139462": "moxifloxacin",
            "7454": "nitrofurantoin",
            "7517": "norfloxacin",
            "11124": "vancomycin",
            # Products of two ingredients.
            "19711": "amoxicillin / clavulanate",
            "74169": "piperacillin / tazobactam",
            "10831": "sulfamethoxazole / trimethoprim",
        },
    ),
    Variable(
        name="malnutrition",
        label="Malnutrition",
        pathway="drivers",
        kind="flag",
        window=Window("at ICU admission"),
        note="State the definition (GLIM, SGA or another) in the model card.",
    ),
)
