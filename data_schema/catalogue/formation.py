"""Bone formation: alkaline phosphatase, osteocalcin and the propeptides of collagen I."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import BONE_IMMUNOASSAY, RETAINED_IMMUNOASSAY
from data_schema.catalogue.unit_tables import ENZYME, NG_PER_ML, UG_PER_L
from data_schema.variables import Code, Origin, Reference, Variable

__all__ = ["ENTRIES"]

_BACKGROUND = "background, unverified"
_BONE_2012 = "Elecsys, women 35-39 y, Bone 2012, PMID 22348982"
_CAMARGO = "Elecsys, 1,080 Spanish women, Camargo cohort, Clin Chim Acta 2009, PMID 19737549"
_SHIP = "SHIP, Bone 2013, PMID 24076251 (IDS-iSYS)"
_HEALTH2006 = "2,308 Danish adults, Health2006 (IDS-iSYS)"
_CHUBB = "men 70-89 y, Chubb, JCEM 2015, PMID 25322270"
_WHICH_UNIT = "bone ALP by mass (ug/L) and by activity (U/L) are two variables: which unit?"
_BSAP = ("bsap", "balp", "bap", "bone alp", "bone alkaline phosphatase", "bone-specific alp")

_immunoassay = partial(Variable, pathway="formation", origin=BONE_IMMUNOASSAY)

ENTRIES: tuple[Variable, ...] = (
    _immunoassay(
        name="bsap_mass",
        hint="In µg/L; an activity in U/L has its own field.",
        label="Bone alkaline phosphatase (mass)",
        unit="ug/L",
        units=UG_PER_L,
        codes=(Code("17838-4", "Alkaline phosphatase.bone [Mass/volume] in Serum or Plasma"),),
        low=0.2,
        high=1000.0,
        references=(
            Reference(6.0, 22.7, _SHIP, sex="female", menopause="pre"),
            Reference(8.1, 31.6, _SHIP, sex="female", menopause="post"),
            Reference(7.6, 24.4, f"men 75-79 y, {_SHIP}", sex="male", age_from=70),
            Reference(7.4, 27.7, f"men 25-29 y, {_SHIP}", sex="male", age_to=69),
        ),
        detection_limit=0.1,
        synonyms=_BSAP,
        ambiguity=_WHICH_UNIT,
        note="Never converted to U/L (`bsap_act`): mass and activity are different properties.",
    ),
    _immunoassay(
        name="bsap_act",
        hint="In U/L; a mass in µg/L has its own field.",
        label="Bone alkaline phosphatase (activity)",
        unit="U/L",
        units=ENZYME,
        codes=(
            Code(
                "1777-2",
                "Alkaline phosphatase.bone [Enzymatic activity/volume] in Serum or Plasma",
            ),
        ),
        low=0.5,
        high=3000.0,
        synonyms=_BSAP,
        ambiguity=_WHICH_UNIT,
        note="Never converted to ug/L (`bsap_mass`): mass and activity are different properties.",
    ),
    Variable(
        name="alkaline_phosphatase",
        hint="Of bone and liver together.",
        label="Alkaline phosphatase, total",
        pathway="formation",
        origin=Origin("sample", of_bone=False, routine=True, caveats=("biotin",)),
        unit="U/L",
        units=ENZYME,
        codes=(
            Code("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma"),
        ),
        low=1.0,
        high=10000.0,
        synonyms=("alp", "alkaline phosphatase", "alk phos", "ap gesamt"),
        note="Bone and liver together: not bone alkaline phosphatase.",
    ),
    Variable(
        name="osteocalcin",
        label="Osteocalcin",
        pathway="formation",
        origin=RETAINED_IMMUNOASSAY,
        unit="ng/mL",
        # Molar: molecular weight 5845, intact 1-49 only, hence approximate.
        units={**NG_PER_ML, "pmol/L": 0.005845, "nmol/L": 5.845},
        codes=(
            Code(
                "2697-1",
                "Osteocalcin [Mass/volume] in Serum or Plasma",
                units=("ng/mL", "ug/L"),
            ),
            Code(
                "15084-7",
                "Osteocalcin [Moles/volume] in Serum or Plasma",
                units=("pmol/L", "nmol/L"),
            ),
        ),
        low=0.1,
        high=1000.0,
        typical_median=(1.0, 100.0),
        references=(
            Reference(8.1, 42.9, f"women, {_HEALTH2006}", sex="female"),
            Reference(10.2, 41.0, _CHUBB, sex="male", age_from=70, age_to=89),
            Reference(7.5, 34.4, f"men, {_HEALTH2006}", sex="male"),
        ),
        detection_limit=0.5,
        synonyms=("oc", "bgp", "n-mid osteocalcin"),
        note="Intact and N-MID assays differ. Molar values assume the intact molecule (5,845 "
        "g/mol) and are approximate. Low at ICU admission.",
    ),
    _immunoassay(
        name="p1np",
        label="P1NP",
        unit="ng/mL",
        units=NG_PER_ML,
        codes=(
            Code("47255-5", "Procollagen type I.N-terminal propeptide [Mass/volume] in Serum"),
            Code(
                "77370-5",
                "Procollagen type I.N-terminal propeptide [Mass/volume] in Serum or Plasma by "
                "Immunoassay",
            ),
        ),
        low=1.0,
        high=5000.0,
        references=(
            Reference(17.3, 83.4, _BONE_2012, sex="female", menopause="pre"),
            Reference(19.0, 100.0, _CAMARGO, sex="female", menopause="post"),
            Reference(15.7, 68.1, f"men 75-79 y, {_SHIP}", sex="male", age_from=70),
            Reference(31.1, 95.9, f"men 25-29 y, {_SHIP}", sex="male", age_to=69),
        ),
        detection_limit=5.0,
        synonyms=("pinp", "procollagen i n-propeptide"),
        note="LOINC does not separate intact (trimer) from total (with monomer); the total is "
        "retained when the kidney fails, the intact is not: state the assay. The review says "
        "formation is inhibited; propeptides were high at ICU admission.",
    ),
    _immunoassay(
        name="p1cp",
        label="PICP (procollagen I C-propeptide)",
        unit="ng/mL",
        units=NG_PER_ML,
        low=1.0,
        high=10000.0,
        references=(
            Reference(50.0, 170.0, f"women, RIA, {_BACKGROUND}", sex="female"),
            Reference(38.0, 202.0, f"men, RIA, {_BACKGROUND}", sex="male"),
        ),
        synonyms=("picp", "procollagen i c-propeptide"),
        note="High at ICU admission, against the review's inhibited formation.",
    ),
    _immunoassay(
        name="procollagen1",
        label="Procollagen type I, propeptide not specified",
        unit="ug/L",
        units=UG_PER_L,
        codes=(Code("10337-4", "Procollagen type I [Mass/volume] in Serum"),),
        low=1.0,
        high=10000.0,
        note="LOINC does not say which propeptide: neither P1NP nor PICP.",
    ),
)
