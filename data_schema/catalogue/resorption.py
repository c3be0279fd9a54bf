"""Bone resorption: collagen fragments, hydroxyproline, TRAP, and how the sample was taken."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import BONE_IMMUNOASSAY, RECORDED, RETAINED_IMMUNOASSAY
from data_schema.catalogue.unit_tables import (
    ENZYME,
    NMOL_PER_L,
    NMOL_PER_MMOL_CREATININE,
    RATIO,
)
from data_schema.variables import Code, Origin, Reference, Variable
from data_schema.windows import Since, Window

__all__ = ["ENTRIES"]

_BACKGROUND = "background, unverified"
_BONE_2012 = "women 35-39 y, Bone 2012, PMID 22348982"
_CAMARGO = "1,080 Spanish women, Camargo cohort, Clin Chim Acta 2009, PMID 19737549"
_SHIP = "SHIP, Bone 2013, PMID 24076251 (IDS-iSYS)"
_CHUBB = "298 healthy men 70-89 y, Chubb, JCEM 2015, PMID 25322270"

_immunoassay = partial(Variable, pathway="resorption", origin=BONE_IMMUNOASSAY)

ENTRIES: tuple[Variable, ...] = (
    Variable(
        name="ctx_s",
        hint=(
            "Check the unit: laboratories print ng/mL or pg/mL, a factor of 1,000 apart. Sample "
            "fasting, in the morning."
        ),
        label="CTX-I (beta-CrossLaps), serum",
        pathway="resorption",
        origin=Origin(
            "sample",
            of_bone=True,
            routine=False,
            caveats=("renal_retention", "biotin", "ctx_not_fasting_morning"),
        ),
        unit="pg/mL",
        units={"pg/mL": 1.0, "ng/L": 1.0, "ng/mL": 1000.0, "ug/L": 1000.0},
        codes=(
            Code("41171-0", "Collagen crosslinked C-telopeptide [Mass/volume] in Serum or Plasma"),
        ),
        low=5.0,
        high=20000.0,
        typical_median=(60.0, 6000.0),
        references=(
            Reference(111.0, 791.0, f"Elecsys, {_BONE_2012}", sex="female", menopause="pre"),
            Reference(112.0, 1018.0, f"Elecsys, {_CAMARGO}", sex="female", menopause="post"),
            Reference(117.0, 740.0, _CHUBB, sex="male", age_from=70, age_to=89),
            Reference(120.0, 830.0, f"men 25-29 y, {_SHIP}", sex="male", age_to=69),
        ),
        detection_limit=10.0,
        synonyms=("ctx", "ctx-i", "s-ctx", "beta-ctx", "b-ctx", "crosslaps", "beta-crosslaps"),
        note="Laboratories print ng/mL or pg/mL, a factor of 1,000 apart. Food and the hour of day "
        "change it: sample in the morning, fasting. The review states 4 to 8 times the reference "
        "within 24 h of ICU admission; later series saw about 6 times in prolonged critical "
        "illness but only about 2 times the upper limit in vitamin-D-deficient patients.",
    ),
    Variable(
        name="ntx_s",
        label="NTX-I, serum",
        pathway="resorption",
        origin=RETAINED_IMMUNOASSAY,
        unit="nmol/L",
        units=NMOL_PER_L,
        aliases={"nmol BCE/L": "nmol/L", "nM BCE": "nmol/L"},
        codes=(Code("21215-9", "Collagen crosslinked N-telopeptide [Moles/volume] in Serum"),),
        low=0.5,
        high=2000.0,
        detection_limit=3.0,
        specimen="serum",
        synonyms=("ntx", "ntx-i"),
        note="Bone collagen equivalents (nmol BCE/L); no conversion to mass exists.",
    ),
    _immunoassay(
        name="ntx_u_cr",
        label="NTX-I/creatinine, urine",
        unit="nmol/mmol{creat}",
        units=NMOL_PER_MMOL_CREATININE,
        aliases={
            "nmol BCE/mmol creatinine": "nmol/mmol{creat}",
            "nM BCE/mM creatinine": "nmol/mmol{creat}",
        },
        codes=(
            Code("14115-0", "Collagen crosslinked N-telopeptide/Creatinine [Molar ratio] in Urine"),
            Code(
                "44712-8",
                "Collagen crosslinked N-telopeptide/Creatinine [Molar ratio] in Urine by "
                "Immunoassay",
            ),
        ),
        low=0.5,
        high=5000.0,
        references=(Reference(12.3, 59.7, _BONE_2012, sex="female", menopause="pre"),),
        specimen="urine",
        synonyms=("ntx", "ntx-i", "urinary ntx", "u-ntx", "ntx/cr", "ntx/creatinine", "ntx/crea"),
        note="Bone collagen equivalents per creatinine; no conversion to mass exists.",
    ),
    _immunoassay(
        name="ntx_u",
        hint="Depends on urine volume; prefer the value per creatinine.",
        label="NTX-I, urine, uncorrected",
        unit="nmol/L",
        units={**NMOL_PER_L, "nmol/mL": 1000.0},
        aliases={"nmol BCE/L": "nmol/L", "nM BCE": "nmol/L"},
        codes=(Code("27939-8", "Collagen crosslinked N-telopeptide [Moles/volume] in Urine"),),
        low=1.0,
        high=50000.0,
        specimen="urine",
        synonyms=("ntx", "ntx-i", "urinary ntx", "u-ntx"),
        note="Depends on urine volume; prefer the creatinine-corrected value.",
    ),
    _immunoassay(
        name="pyd_u_cr",
        label="Pyridinoline/creatinine, urine",
        unit="nmol/mmol{creat}",
        units=NMOL_PER_MMOL_CREATININE,
        codes=(
            Code("25129-8", "Pyridinoline/Creatinine [Molar ratio] in Urine"),
            Code(
                "48987-2",
                "Pyridinoline free/Creatinine [Molar ratio] in Urine",
                units=("nmol/mmol{creat}", "umol/mol{creat}"),
                assay_required=True,
            ),
        ),
        low=0.5,
        high=5000.0,
        references=(Reference(16.0, 37.0, f"women, {_BACKGROUND}", sex="female"),),
        specimen="urine",
        synonyms=("pyd", "pyridinoline"),
        note="The free fraction (LOINC 48987-2) is another quantity than the total; it is taken "
        "only when the assay is stated, and never converted.",
    ),
    _immunoassay(
        name="pyd_u",
        hint="Depends on urine volume; prefer the value per creatinine.",
        label="Pyridinoline, urine, uncorrected",
        unit="nmol/L",
        units=NMOL_PER_L,
        codes=(Code("34367-3", "Pyridinoline [Moles/volume] in Urine"),),
        low=1.0,
        high=50000.0,
        specimen="urine",
        synonyms=("pyd", "pyridinoline"),
        note="Depends on urine volume; prefer the creatinine-corrected value.",
    ),
    _immunoassay(
        name="dpd_u_cr",
        label="Deoxypyridinoline/creatinine, urine",
        unit="nmol/mmol{creat}",
        units=NMOL_PER_MMOL_CREATININE,
        codes=(
            Code("25095-1", "Deoxypyridinoline/Creatinine [Molar ratio] in Urine"),
            Code(
                "13881-8",
                "Deoxypyridinoline free/Creatinine [Molar ratio] in Urine",
                units=("nmol/mmol{creat}", "umol/mol{creat}"),
                assay_required=True,
            ),
        ),
        low=0.1,
        high=1000.0,
        references=(
            Reference(3.0, 7.4, f"women, {_BACKGROUND}", sex="female"),
            Reference(2.3, 5.4, f"men, {_BACKGROUND}", sex="male"),
        ),
        specimen="urine",
        synonyms=("dpd", "deoxypyridinoline"),
        note="The free fraction (LOINC 13881-8) is another quantity than the total; it is taken "
        "only when the assay is stated, and never converted.",
    ),
    _immunoassay(
        name="dpd_u",
        hint="Depends on urine volume; prefer the value per creatinine.",
        label="Deoxypyridinoline, urine, uncorrected",
        unit="nmol/L",
        units=NMOL_PER_L,
        codes=(Code("27424-1", "Deoxypyridinoline [Moles/volume] in Urine"),),
        low=0.5,
        high=20000.0,
        detection_limit=1.0,
        specimen="urine",
        synonyms=("dpd", "deoxypyridinoline"),
        note="Depends on urine volume; prefer the creatinine-corrected value.",
    ),
    _immunoassay(
        name="hyp_u_cr",
        hint="Not specific to bone: diet and other collagen contribute.",
        label="Hydroxyproline/creatinine, urine",
        unit="mmol/mol{creat}",
        # mg/g: molecular weight of creatinine over that of hydroxyproline, 113.1179 / 131.1299.
        units={"mmol/mol{creat}": 1.0, "umol/mmol{creat}": 1.0, "mg/g{creat}": 0.862641},
        codes=(
            Code(
                "25110-8",
                "Hydroxyproline/Creatinine [Molar ratio] in Urine",
                units=("mmol/mol{creat}", "umol/mmol{creat}"),
            ),
            Code(
                "13763-8",
                "Hydroxyproline/Creatinine [Mass Ratio] in Urine",
                units=("mg/g{creat}",),
            ),
        ),
        low=0.1,
        high=2000.0,
        specimen="urine",
        synonyms=("hydroxyproline", "hyp"),
        note="Not specific to bone: diet and other collagen contribute.",
    ),
    _immunoassay(
        name="hyp_u",
        hint="Depends on urine volume; prefer the value per creatinine.",
        label="Hydroxyproline, urine, uncorrected",
        unit="umol/L",
        # Molecular weight 131.1299.
        units={"umol/L": 1.0, "mg/L": 7.62603, "mg/dL": 76.2603},
        codes=(Code("26740-1", "Hydroxyproline [Moles/volume] in Urine"),),
        low=0.1,
        high=20000.0,
        specimen="urine",
        synonyms=("hydroxyproline", "hyp"),
        note="Depends on urine volume; prefer the creatinine-corrected value.",
    ),
    _immunoassay(
        name="hyp_u_24h",
        label="Hydroxyproline, 24 h urine",
        unit="mg/(24.h)",
        units={"mg/(24.h)": 1.0},
        codes=(Code("2447-1", "Hydroxyproline [Mass/time] in 24 hour Urine"),),
        low=0.5,
        high=2000.0,
        references=(Reference(10.0, 40.0, _BACKGROUND),),
        specimen="urine",
        synonyms=("hydroxyproline", "hyp"),
        note="Written mg/(24.h): without the brackets UCUM reads mg times hours over 24.",
    ),
    _immunoassay(
        name="trap5b",
        hint="Isoform 5b of bone; total TRAP has its own field.",
        label="TRAP 5b, serum",
        unit="U/L",
        units=ENZYME,
        low=0.05,
        high=200.0,
        references=(Reference(1.0, 4.0, f"depends on the method, {_BACKGROUND}"),),
        detection_limit=0.5,
        synonyms=("trap5b", "trap-5b", "tracp5b", "tracp-5b", "trap", "tracp"),
        note="The osteoclast's isoform; less dependent on the kidney than CTX. Total TRAP "
        "(`trap_total`) is not equivalent.",
    ),
    Variable(
        name="trap_total",
        hint="Isoforms 5a and 5b together.",
        label="TRAP, total, serum",
        pathway="resorption",
        origin=Origin("sample", of_bone=False, routine=False, caveats=("biotin",)),
        unit="U/L",
        units=ENZYME,
        codes=(
            Code(
                "17837-6",
                "Acid phosphatase tartrate resistant [Enzymatic activity/volume] in Serum",
            ),
        ),
        low=0.05,
        high=500.0,
        synonyms=("trap", "tracp"),
        note="Isoforms 5a and 5b together: not TRAP 5b.",
    ),
    Variable(
        name="uncoupling_index",
        hint=(
            "A resorption marker over a formation marker, each as a multiple of its upper limit; "
            "derived from CTX and P1NP."
        ),
        label="Uncoupling index (resorption over formation)",
        pathway="resorption",
        origin=Origin("derived", of_bone=True, routine=False, caveats=("biotin",)),
        unit="1",
        units=RATIO,
        low=0.0,
        high=1000.0,
        window=Window("derived from values at time zero", Since.STAY),
        note="A resorption marker over a formation marker, each as a multiple of its upper "
        "reference limit. The review states that formation is disproportionately inhibited; at ICU "
        "admission collagen propeptides were high, BSAP normal and osteocalcin low, so the index "
        "depends on the markers it is made of.",
    ),
    Variable(
        name="fasting",
        hint="CTX falls after food.",
        label="Bone markers sampled fasting",
        pathway="resorption",
        kind="flag",
        window=Window("at the bone-marker sample"),
        absence="bone markers not sampled fasting",
        note="CTX falls after food: a sample that is not fasting is warned about.",
    ),
    Variable(
        name="sampling_hour",
        hint="Local time, 0 to 24. CTX is lower in the afternoon.",
        label="Clock hour of the bone-marker sample",
        pathway="resorption",
        origin=RECORDED,
        unit="h",
        units={"h": 1.0},
        low=0.0,
        high=24.0,
        window=Window("at the bone-marker sample"),
        note="Local time, 0 to 24. CTX is lower in the afternoon: such a sample is warned about.",
    ),
)
