"""Organ function: kidney, liver, blood, metabolism and heart, as laboratories measure it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import BEDSIDE, DERIVED, LABORATORY, SCORED
from data_schema.catalogue.unit_tables import ENZYME, KILO_PER_UL, MMOL_PER_L
from data_schema.variables import Code, Reference, Variable
from data_schema.windows import Window

__all__ = ["ENTRIES"]

_BACKGROUND = "background, unverified"
_SALT = {"mmol/L": 1.0, "meq/L": 1.0}

_salt = partial(Variable, pathway="severity", origin=LABORATORY, unit="mmol/L", units=_SALT)
_laboratory_test = partial(Variable, pathway="severity", origin=LABORATORY)

ENTRIES: tuple[Variable, ...] = (
    _laboratory_test(
        name="lactate",
        label="Lactate",
        unit="mmol/L",
        # Lactic acid, 90.08 g/mol, is what mg/dL means; not the anion's 89.07.
        units={**MMOL_PER_L, "mg/dL": 0.111012},
        codes=(
            Code("2524-7", "Lactate [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
            Code("2518-9", "Lactate [Moles/volume] in Arterial blood", units=("mmol/L",)),
            Code("32693-4", "Lactate [Moles/volume] in Blood", units=("mmol/L",)),
            Code("14118-4", "Lactate [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
        ),
        low=0.05,
        high=60.0,
        typical_median=(0.5, 8.0),
        direction={"mortality": 1},
        synonyms=("lac", "lactic acid", "laktat"),
    ),
    _laboratory_test(
        name="creatinine",
        label="Creatinine",
        unit="mg/dL",
        # Molecular weight 113.118.
        units={"mg/dL": 1.0, "mg/L": 0.1, "umol/L": 0.01131179},
        codes=(
            Code(
                "2160-0",
                "Creatinine [Mass/volume] in Serum or Plasma",
                units=("mg/dL", "mg/L"),
            ),
            Code("14682-9", "Creatinine [Moles/volume] in Serum or Plasma", units=("umol/L",)),
        ),
        low=0.05,
        high=50.0,
        typical_median=(0.4, 6.0),
        references=(
            Reference(0.509, 0.950, f"45-84 umol/L, women, {_BACKGROUND}", sex="female"),
            Reference(0.667, 1.176, f"59-104 umol/L, men, {_BACKGROUND}", sex="male"),
        ),
        synonyms=("crea", "creat", "scr", "kreatinin"),
    ),
    Variable(
        name="egfr",
        hint="Derived from creatinine, age and sex, unless the kidney is acutely injured.",
        label="eGFR",
        pathway="severity",
        origin=DERIVED,
        unit="mL/min/{1.73_m2}",
        units={"mL/min/{1.73_m2}": 1.0},
        codes=(
            Code(
                "98979-8",
                "Glomerular filtration rate [Volume Rate/Area] in Serum, Plasma or Blood by "
                "Creatinine-based formula (CKD-EPI 2021)/1.73 sq M",
            ),
            Code(
                "62238-1",
                "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum or "
                "Plasma by Creatinine-based formula (CKD-EPI)",
            ),
            Code(
                "33914-3",
                "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum or "
                "Plasma by Creatinine-based formula (MDRD)",
            ),
        ),
        low=0.0,
        high=250.0,
        synonyms=("gfr",),
        window=Window("before the acute illness, or from creatinine that is stable at time zero"),
        note="Never from unstable creatinine. The equation (CKD-EPI 2021, 2009, MDRD) is part of "
        "the code.",
    ),
    Variable(
        name="aki_stage",
        hint="0 none, 1 to 3 by KDIGO.",
        label="Acute kidney injury, KDIGO stage",
        pathway="severity",
        origin=SCORED,
        unit="{stage}",
        units={"{stage}": 1.0, "1": 1.0},
        low=0.0,
        high=3.0,
        synonyms=("aki", "kdigo", "kdigo stage"),
        window=Window("highest in the 7 days before time zero", timedelta(days=7)),
        note="0 none, 1 to 3 by KDIGO. From stage 1 on, markers that the kidney clears are warned "
        "about.",
    ),
    Variable(
        name="rrt",
        hint="Markers that the kidney clears then say less.",
        label="Renal replacement therapy",
        pathway="severity",
        kind="flag",
        synonyms=(
            "haemodialysis",
            "hemodialysis",
            "haemofiltration",
            "hemofiltration",
            "crrt",
            "dialysis",
            "renal replacement",
        ),
        # Hemodialysis, continuous renal replacement, peritoneal dialysis.
        procedures=("302497006", "714749008", "71192002"),
        treatment=True,
        window=Window("in the 24 h before time zero", timedelta(hours=24)),
        note="Markers that the kidney clears are warned about.",
    ),
    Variable(
        name="urine_output",
        label="Urine output, 24 h",
        pathway="severity",
        origin=BEDSIDE,
        unit="mL/d",
        units={"mL/d": 1.0, "mL/(24.h)": 1.0, "L/d": 1000.0},
        codes=(Code("9192-6", "Urine output 24 hour"),),
        low=0.0,
        high=30000.0,
        synonyms=("uop", "urine", "diuresis", "urine output"),
        typical_median=(100.0, 6000.0),
        window=Window("the 24 h before time zero", timedelta(hours=24)),
    ),
    _laboratory_test(
        name="urea_nitrogen",
        hint="Urea in mmol/L is entered as it is; urea in mg/dL is 2.14 times urea nitrogen.",
        label="Urea nitrogen (BUN)",
        unit="mg/dL",
        # mg/dL is mg of nitrogen: 28.0134 g of N per mol of urea.
        units={"mg/dL": 1.0, "mmol/L": 2.80134},
        codes=(
            Code("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("22664-7", "Urea [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=0.0,
        high=500.0,
        synonyms=("bun", "blood urea nitrogen"),
        near_synonyms=("urea", "harnstoff"),
        ambiguity="urea in mg/dL is 2.14 times urea nitrogen (BUN); in mmol/L they are one: which?",
        typical_median=(9.0, 90.0),
        note="mg/dL of urea nitrogen, not of urea (which is 2.14 times higher); mmol/L is urea.",
    ),
    _laboratory_test(
        name="bilirubin",
        label="Bilirubin, total",
        unit="mg/dL",
        # Molecular weight 584.66.
        units={"mg/dL": 1.0, "mg/L": 0.1, "umol/L": 0.05846621},
        codes=(
            Code(
                "1975-2",
                "Bilirubin.total [Mass/volume] in Serum or Plasma",
                units=("mg/dL", "mg/L"),
            ),
            Code(
                "14631-6",
                "Bilirubin.total [Moles/volume] in Serum or Plasma",
                units=("umol/L",),
            ),
        ),
        low=0.01,
        high=120.0,
        synonyms=("t bili", "bili", "tbil", "total bilirubin"),
        typical_median=(0.2, 9.0),
    ),
    _laboratory_test(
        name="alt",
        label="ALT",
        unit="U/L",
        units=ENZYME,
        codes=(
            Code(
                "1742-6",
                "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
            ),
        ),
        low=0.0,
        high=50000.0,
        synonyms=(
            *("alat", "sgpt", "gpt", "alanine aminotransferase", "alanine transaminase"),
            "glutamic-pyruvic transaminase",
        ),
    ),
    _laboratory_test(
        name="ast",
        label="AST",
        unit="U/L",
        units=ENZYME,
        codes=(
            Code(
                "1920-8",
                "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
            ),
        ),
        low=0.0,
        high=100000.0,
        synonyms=(
            *("asat", "sgot", "got", "aspartate aminotransferase", "aspartate transaminase"),
            "glutamic-oxaloacetic transaminase",
        ),
    ),
    _laboratory_test(
        name="albumin",
        label="Albumin",
        unit="g/dL",
        units={"g/dL": 1.0, "g/L": 0.1},
        codes=(Code("1751-7", "Albumin [Mass/volume] in Serum or Plasma"),),
        low=0.2,
        high=12.0,
        typical_median=(1.2, 5.2),
        references=(Reference(3.5, 5.0, f"35-50 g/L, {_BACKGROUND}"),),
        direction={"mortality": -1},
        synonyms=("alb", "albumine"),
        note="The limit of 12 is there to catch g/L entered as g/dL.",
    ),
    _laboratory_test(
        name="platelets",
        label="Platelets",
        unit="10*3/uL",
        units=KILO_PER_UL,
        codes=(
            Code("777-3", "Platelets [#/volume] in Blood by Automated count"),
            Code("26515-7", "Platelets [#/volume] in Blood"),
        ),
        low=0.0,
        high=5000.0,
        synonyms=("plts", "plt", "thrombocytes", "platelet count", "thrombozyten"),
        typical_median=(40.0, 600.0),
    ),
    _laboratory_test(
        name="white_cells",
        label="White blood cells",
        unit="10*3/uL",
        units=KILO_PER_UL,
        codes=(Code("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),),
        low=0.0,
        high=1000.0,
        synonyms=(
            *("wbc", "wblc", "leukocytes", "leucocytes", "leukozyten", "white blood cell count"),
            *("white cell count", "leukocyte count", "leucocyte count", "white blood count"),
            "wbc count",
        ),
        typical_median=(2.5, 40.0),
    ),
    _laboratory_test(
        name="hemoglobin",
        label="Hemoglobin",
        unit="g/dL",
        # Molar counts of the monomer, 16,114 g/mol, as European laboratories print it.
        units={"g/dL": 1.0, "g/L": 0.1, "mmol/L": 1.6114},
        codes=(Code("718-7", "Hemoglobin [Mass/volume] in Blood", units=("g/dL", "g/L")),),
        low=1.0,
        high=30.0,
        synonyms=("hb", "hgb", "haemoglobin", "hemoglobine"),
        typical_median=(6.0, 17.0),
    ),
    _laboratory_test(
        name="hematocrit",
        label="Hematocrit",
        unit="%",
        units={"%": 1.0, "1": 100.0, "L/L": 100.0},
        codes=(Code("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"),),
        low=1.5,
        high=85.0,
        synonyms=("hct", "haematocrit"),
        typical_median=(18.0, 52.0),
    ),
    _laboratory_test(
        name="glucose",
        label="Glucose",
        unit="mg/dL",
        # Molecular weight 180.156.
        units={"mg/dL": 1.0, "mmol/L": 18.0156},
        codes=(
            Code("2345-7", "Glucose [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("14749-6", "Glucose [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=0.0,
        high=2500.0,
        synonyms=("blood glucose", "glu", "glukose"),
        typical_median=(65.0, 350.0),
    ),
    _salt(
        name="sodium",
        label="Sodium",
        codes=(Code("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),),
        low=80.0,
        high=220.0,
        synonyms=("na", "sod", "natrium"),
    ),
    _salt(
        name="potassium",
        label="Potassium",
        codes=(Code("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),),
        low=0.5,
        high=16.0,
        synonyms=("k", "pot", "kalium"),
    ),
    _salt(
        name="chloride",
        label="Chloride",
        codes=(Code("2075-0", "Chloride [Moles/volume] in Serum or Plasma"),),
        low=40.0,
        high=180.0,
    ),
    _salt(
        name="bicarbonate",
        label="Bicarbonate",
        codes=(Code("1963-8", "Bicarbonate [Moles/volume] in Serum or Plasma"),),
        low=0.5,
        high=80.0,
        synonyms=("hco3", "bicarb"),
    ),
    _laboratory_test(
        name="cholesterol",
        label="Cholesterol, total",
        unit="mg/dL",
        # Molecular weight 386.65.
        units={"mg/dL": 1.0, "mmol/L": 38.665},
        codes=(
            Code("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("14647-2", "Cholesterol [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=5.0,
        high=2000.0,
        synonyms=("chol", "total cholesterol"),
        typical_median=(60.0, 280.0),
    ),
    _laboratory_test(
        name="troponin_i",
        hint="Not interchangeable with troponin T.",
        label="Troponin I",
        unit="ng/mL",
        units={"ng/mL": 1.0, "ug/L": 1.0, "ng/L": 0.001, "pg/mL": 0.001},
        codes=(Code("10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma"),),
        low=0.0,
        high=2000.0,
        synonyms=(
            "trop i",
            *("tni", "hs-tni", "cardiac troponin i", "hs troponin i", "hypersensitive troponin i"),
            *("high-sensitivity troponin i", "hypersensitive cardiac troponin i"),
            "high-sensitivity cardiac troponin i",
        ),
        note="Assays are not interchangeable, nor with troponin T.",
    ),
    _laboratory_test(
        name="troponin_t",
        hint="Not interchangeable with troponin I.",
        label="Troponin T",
        unit="ng/mL",
        units={"ng/mL": 1.0, "ug/L": 1.0, "ng/L": 0.001, "pg/mL": 0.001},
        codes=(Code("6598-7", "Troponin T.cardiac [Mass/volume] in Serum or Plasma"),),
        low=0.0,
        high=1000.0,
        synonyms=(
            "trop t",
            *("tnt", "hs-tnt", "cardiac troponin t", "hs troponin t"),
            *("high-sensitivity troponin t", "high-sensitivity cardiac troponin t"),
        ),
        note="Not interchangeable with troponin I.",
    ),
)
