"""Bone mass: DXA, CT attenuation, prior fracture and known osteoporosis."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import BONE_SCAN
from data_schema.catalogue.unit_tables import T_SCORE
from data_schema.variables import Code, Reference, Variable
from data_schema.windows import Window

__all__ = ["ENTRIES"]

_AREA_DENSITY = {"g/cm2": 1.0, "mg/cm2": 0.001, "kg/m2": 0.1}
_FALLS_WITH_DENSITY = {"fracture": -1}
_WHO = "WHO: normal above -1, osteoporosis at or below -2.5; background, unverified"
_DEVICE = "Hologic and Lunar devices differ by several per cent: state the device."
_SCAN = Window("last scan in the 2 years before time zero", timedelta(days=732))
_WHICH_SITE = "BMD is one variable per site: femoral neck, total hip or lumbar spine?"
_WHICH_T_SCORE = "a T-score is one variable per site: femoral neck, hip or lumbar spine?"
_BMD = ("bmd", "bone mineral density", "femur bmd")
_T_WORDS = ("t-score", "tscore")

_density = partial(
    Variable,
    pathway="bone_mass",
    origin=BONE_SCAN,
    unit="g/cm2",
    units=_AREA_DENSITY,
    low=0.1,
    high=3.0,
    direction=_FALLS_WITH_DENSITY,
    ambiguity=_WHICH_SITE,
    window=_SCAN,
)
_t_score = partial(
    Variable,
    pathway="bone_mass",
    origin=BONE_SCAN,
    unit="{T-score}",
    units=T_SCORE,
    low=-10.0,
    high=10.0,
    references=(Reference(-1.0, None, _WHO),),
    direction=_FALLS_WITH_DENSITY,
    ambiguity=_WHICH_T_SCORE,
    window=_SCAN,
)
_flag = partial(Variable, pathway="bone_mass", kind="flag")

ENTRIES: tuple[Variable, ...] = (
    _density(
        name="bmd_fn",
        hint="Devices of different makers differ by several per cent.",
        label="BMD, femoral neck (DXA)",
        codes=(Code("24701-5", "DXA Femur [Mass/Area] Bone density", body_site="neck"),),
        typical_median=(0.4, 1.4),
        synonyms=(*_BMD, "bmd femur neck", "bmd neck", "femoral neck bmd", "fn bmd"),
        note=f"{_DEVICE} LOINC says femur: the body site must be the femoral neck.",
    ),
    _t_score(
        name="t_fn",
        label="T-score, femoral neck (DXA)",
        codes=(Code("38263-0", "DXA Femur [T-score] Bone density", body_site="neck"),),
        synonyms=(
            *_T_WORDS,
            "t-score neck",
            "t-score femoral neck",
            "femoral neck t-score",
            "t score nk",
        ),
        note="LOINC says femur: the body site must be the femoral neck. Code 38265-5, which some "
        "sources call a DXA T-score, is of the radius and ulna.",
    ),
    _density(
        name="bmd_hip",
        hint="Devices of different makers differ by several per cent.",
        label="BMD, total hip (DXA)",
        codes=(Code("38261-4", "DXA Hip [Mass/Area] Bone density", units=("g/cm2",)),),
        typical_median=(0.4, 1.4),
        synonyms=(*_BMD, "bmd femur total", "total hip bmd", "hip bmd", "bmd total hip"),
        note=_DEVICE,
    ),
    _t_score(
        name="t_hip",
        label="T-score, total hip (DXA)",
        codes=(Code("38264-8", "DXA Hip [T-score] Bone density"),),
        synonyms=(*_T_WORDS, "t-score hip", "t-score total hip", "hip t-score"),
    ),
    _density(
        name="bmd_ls",
        hint="Devices of different makers differ by several per cent.",
        label="BMD, lumbar spine (DXA)",
        codes=(Code("24966-4", "DXA Lumbar spine [Mass/Area] Bone density"),),
        typical_median=(0.4, 1.6),
        synonyms=(*_BMD, "bmd spine", "bmd spine total", "lumbar spine bmd", "spine bmd"),
        note=_DEVICE,
    ),
    _t_score(
        name="t_ls",
        label="T-score, lumbar spine (DXA)",
        codes=(Code("38267-1", "DXA Lumbar spine [T-score] Bone density"),),
        synonyms=(*_T_WORDS, "t-score spine", "t-score lumbar spine", "spine t-score"),
    ),
    Variable(
        name="l1_hu",
        hint="Contrast adds about 7.5 HU.",
        label="CT attenuation of L1",
        pathway="bone_mass",
        origin=BONE_SCAN,
        unit="[hnsf'U]",
        units={"[hnsf'U]": 1.0},
        low=-200.0,
        high=800.0,
        references=(Reference(135.0, None, "below 135: risk of osteoporosis, Anderson, review"),),
        direction=_FALLS_WITH_DENSITY,
        synonyms=("l1 hu", "hu l1", "l1 attenuation"),
        window=Window("last CT in the 90 days before time zero", timedelta(days=90)),
        note="About 226 at 25 years and 89 at 92 (Jang, Radiology 2019); contrast adds about 7.5.",
    ),
    _flag(
        name="l1_hu_contrast",
        label="CT of L1 with contrast",
        absence="CT of L1 without contrast",
        window=Window("at the CT of L1"),
    ),
    _flag(
        name="prior_fracture",
        label="Prior fracture",
        direction={"fracture": 1},
        icd_10=("M80", "Z87.31", "Z87.81"),
        snomed=("443165006",),
        synonyms=("priorfrac", "previous fracture", "fracture history", "prior fx"),
        window=Window("before time zero"),
    ),
    _flag(
        name="osteoporosis",
        label="Known osteoporosis",
        icd_10=("M80", "M81"),
        snomed=("64859006",),
        window=Window("diagnosed before time zero"),
        note="The review says bone loss was larger in patients without osteoporosis; one CT series "
        "supports it (n = 52), another does not (n = 38).",
    ),
)
