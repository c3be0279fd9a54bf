"""Routine tests of an intensive care unit: blood counts, clotting, liver, heart and inflammation.

The simulated cohort does not hold these variables (`training/simulation/cohort.py`): its columns
stay as they are, so that its results remain comparable. Each LOINC code and its name was looked up
in public copies of the LOINC table or of a hospital's map to it (LOINC 2.82 in part, MIMIC's
`d_labitems_to_loinc`); example units are NLM's.
"""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import LABORATORY, SPECIAL_LABORATORY
from data_schema.catalogue.unit_tables import (
    ENZYME,
    KILO_PER_UL,
    NG_PER_ML,
    PERCENT,
    PG_PER_ML,
)
from data_schema.variables import Code, Variable

__all__ = ["ENTRIES"]

_test = partial(Variable, pathway="severity", origin=LABORATORY)
_enzyme = partial(_test, unit="U/L", units=ENZYME, low=0.0, high=100000.0)
_count = partial(_test, unit="10*3/uL", units=KILO_PER_UL, low=0.0, high=1000.0)
_share = partial(_test, unit="%", units=PERCENT, low=0.0, high=100.0)
_cytokine = partial(
    Variable,
    pathway="osteopontin_immune",
    origin=SPECIAL_LABORATORY,
    unit="pg/mL",
    units=PG_PER_ML,
    low=0.0,
    high=100000.0,
)

_SECONDS = {"s": 1.0}


def _count_or_share(cells: str) -> str:
    """Return what must be known of a column that only names the cells."""
    return f"{cells} as a count per volume or as a percentage of the white cells: which?"


ENTRIES: tuple[Variable, ...] = (
    _count(
        name="neutrophils",
        label="Neutrophils",
        codes=(
            Code("751-8", "Neutrophils [#/volume] in Blood by Automated count"),
            Code("26499-4", "Neutrophils [#/volume] in Blood"),
        ),
        typical_median=(1.0, 30.0),
        synonyms=(
            *("neutrophil count", "neutrophils count", "absolute neutrophil count", "anc"),
            *("neutrophils abs", "neutrophil", "neutrophils #"),
        ),
        ambiguity=_count_or_share("neutrophils"),
    ),
    _share(
        name="neutrophils_share",
        label="Neutrophils per 100 white cells",
        codes=(
            Code("770-8", "Neutrophils/Leukocytes in Blood by Automated count"),
            Code("26511-6", "Neutrophils/Leukocytes in Blood"),
        ),
        typical_median=(30.0, 98.0),
        synonyms=("neutrophils", "neutrophil", "neutrophils pct", "neutrophils percent"),
        ambiguity=_count_or_share("neutrophils"),
    ),
    _count(
        name="lymphocytes",
        label="Lymphocytes",
        codes=(
            Code("731-0", "Lymphocytes [#/volume] in Blood by Automated count"),
            Code("26474-7", "Lymphocytes [#/volume] in Blood"),
        ),
        typical_median=(0.1, 5.0),
        synonyms=(
            *("lymphocyte count", "lymphocytes count", "absolute lymphocyte count", "lymphs"),
            *("lymphocyte", "lymphocytes #"),
        ),
        ambiguity=_count_or_share("lymphocytes"),
    ),
    _share(
        name="lymphocytes_share",
        label="Lymphocytes per 100 white cells",
        codes=(
            Code("736-9", "Lymphocytes/Leukocytes in Blood by Automated count"),
            Code("26478-8", "Lymphocytes/Leukocytes in Blood"),
        ),
        typical_median=(1.0, 60.0),
        synonyms=("lymphocytes", "lymphocyte", "lymphocytes pct", "lymphocytes percent"),
        ambiguity=_count_or_share("lymphocytes"),
    ),
    _count(
        name="monocytes",
        label="Monocytes",
        high=200.0,
        codes=(
            Code("742-7", "Monocytes [#/volume] in Blood by Automated count"),
            Code("26484-6", "Monocytes [#/volume] in Blood"),
        ),
        synonyms=("monocyte count", "monocytes count", "monocyte", "absolute monocyte count"),
        ambiguity=_count_or_share("monocytes"),
    ),
    _share(
        name="monocytes_share",
        label="Monocytes per 100 white cells",
        codes=(Code("5905-5", "Monocytes/Leukocytes in Blood by Automated count"),),
        synonyms=("monocytes", "monocyte"),
        ambiguity=_count_or_share("monocytes"),
    ),
    _count(
        name="eosinophils",
        label="Eosinophils",
        high=200.0,
        codes=(
            Code("711-2", "Eosinophils [#/volume] in Blood by Automated count"),
            Code("26449-9", "Eosinophils [#/volume] in Blood"),
        ),
        synonyms=(
            *("eosinophil count", "eosinophils count", "eosinophil", "absolute eosinophil count"),
        ),
        ambiguity=_count_or_share("eosinophils"),
    ),
    _share(
        name="eosinophils_share",
        label="Eosinophils per 100 white cells",
        codes=(Code("713-8", "Eosinophils/Leukocytes in Blood by Automated count"),),
        synonyms=("eosinophils", "eosinophil"),
        ambiguity=_count_or_share("eosinophils"),
    ),
    _count(
        name="basophils",
        label="Basophils",
        high=50.0,
        codes=(
            Code("704-7", "Basophils [#/volume] in Blood by Automated count"),
            Code("26444-0", "Basophils [#/volume] in Blood"),
        ),
        synonyms=("basophil count", "basophils count", "basophil", "absolute basophil count"),
        ambiguity=_count_or_share("basophils"),
    ),
    _share(
        name="basophils_share",
        label="Basophils per 100 white cells",
        codes=(Code("706-2", "Basophils/Leukocytes in Blood by Automated count"),),
        synonyms=("basophils", "basophil"),
        ambiguity=_count_or_share("basophils"),
    ),
    _test(
        name="red_cells",
        label="Red blood cells",
        unit="10*6/uL",
        units={"10*6/uL": 1.0, "10*12/L": 1.0},
        codes=(Code("789-8", "Erythrocytes [#/volume] in Blood by Automated count"),),
        low=0.3,
        high=12.0,
        synonyms=("rbc", "red blood cell count", "red cell count", "erythrocytes"),
    ),
    _test(
        name="rdw",
        label="Red cell distribution width",
        unit="%",
        units=PERCENT,
        codes=(Code("788-0", "Erythrocyte distribution width [Ratio] by Automated count"),),
        low=5.0,
        high=60.0,
        synonyms=(
            *("rdw cv", "rdw-cv", "red blood cell distribution width", "rbc distribution width"),
        ),
        typical_median=(10.0, 25.0),
        note="The coefficient of variation; the standard deviation in fL is `rdw_sd`.",
    ),
    _test(
        name="rdw_sd",
        label="Red cell distribution width, SD",
        unit="fL",
        units={"fL": 1.0},
        codes=(
            Code("21000-5", "Erythrocyte distribution width [Entitic volume] by Automated count"),
        ),
        low=15.0,
        high=200.0,
        synonyms=("rdw sd", "rbc distribution width sd"),
    ),
    _test(
        name="mcv",
        label="Mean corpuscular volume",
        unit="fL",
        units={"fL": 1.0, "um3": 1.0},
        codes=(Code("787-2", "MCV [Entitic volume] by Automated count"),),
        low=30.0,
        high=200.0,
        synonyms=("mean cell volume",),
    ),
    _test(
        name="mch",
        label="Mean corpuscular hemoglobin",
        unit="pg",
        # Of the monomer, 16,114 g/mol.
        units={"pg": 1.0, "fmol": 16.114},
        codes=(Code("785-6", "MCH [Entitic mass] by Automated count", units=("pg",)),),
        low=5.0,
        high=80.0,
        synonyms=("mean corpuscular haemoglobin", "mean cell hemoglobin"),
        typical_median=(20.0, 45.0),
    ),
    _test(
        name="mchc",
        label="Mean corpuscular hemoglobin concentration",
        unit="g/dL",
        units={"g/dL": 1.0, "g/L": 0.1, "mmol/L": 1.6114},
        codes=(Code("786-4", "MCHC [Mass/volume] by Automated count", units=("g/dL", "g/L")),),
        low=15.0,
        high=60.0,
        synonyms=("mean corpuscular haemoglobin concentration",),
        typical_median=(25.0, 40.0),
    ),
    _test(
        name="platelet_volume",
        label="Mean platelet volume",
        unit="fL",
        units={"fL": 1.0, "um3": 1.0},
        codes=(Code("32623-1", "Platelet [Entitic mean volume] in Blood by Automated count"),),
        low=3.0,
        high=25.0,
        synonyms=("mpv",),
    ),
    _test(
        name="inr",
        label="INR",
        unit="1",
        units={"1": 1.0, "{INR}": 1.0, "{ratio}": 1.0},
        codes=(Code("6301-6", "INR in Platelet poor plasma by Coagulation assay"),),
        low=0.3,
        high=30.0,
        synonyms=(
            *("international normalized ratio", "international normalised ratio"),
            *("international standard ratio", "pt inr", "inr pt"),
        ),
    ),
    _test(
        name="prothrombin_time",
        label="Prothrombin time",
        unit="s",
        units=_SECONDS,
        codes=(Code("5902-2", "Prothrombin time (PT)"),),
        low=5.0,
        high=300.0,
        synonyms=("pt", "pt seconds"),
        note="In seconds; the ratio is `inr`, the activity in percent `prothrombin_activity`.",
    ),
    _test(
        name="prothrombin_activity",
        label="Prothrombin activity (Quick)",
        unit="%",
        units=PERCENT,
        codes=(Code("5894-1", "Prothrombin time (PT) actual/Normal in Platelet poor plasma"),),
        low=1.0,
        high=250.0,
        synonyms=("quick", "quick value", "prothrombin activity", "pta"),
        typical_median=(10.0, 150.0),
    ),
    _test(
        name="aptt",
        label="Activated partial thromboplastin time",
        unit="s",
        units=_SECONDS,
        codes=(Code("14979-9", "aPTT in Platelet poor plasma by Coagulation assay"),),
        low=10.0,
        high=400.0,
        synonyms=(
            "ptt",
            "partial thromboplastin time",
            "activation of partial thromboplastin time",
        ),
    ),
    _test(
        name="thrombin_time",
        label="Thrombin time",
        unit="s",
        units=_SECONDS,
        codes=(Code("3243-3", "Thrombin time"),),
        low=5.0,
        high=400.0,
        synonyms=("thrombin clotting time",),
    ),
    _test(
        name="fibrinogen",
        label="Fibrinogen",
        unit="mg/dL",
        units={"mg/dL": 1.0, "g/L": 100.0, "g/dL": 1000.0},
        codes=(
            Code(
                "3255-7",
                "Fibrinogen [Mass/volume] in Platelet poor plasma by Coagulation assay",
            ),
        ),
        low=5.0,
        high=2500.0,
        synonyms=("fib", "fibrinogen clauss", "functional fibrinogen", "fibrinogen functional"),
        typical_median=(80.0, 1000.0),
    ),
    _test(
        name="d_dimer",
        hint="In FEU, which are twice the D-dimer units (DDU) of other kits.",
        label="D-dimer",
        unit="ug/mL{FEU}",
        units={"ug/mL{FEU}": 1.0, "mg/L{FEU}": 1.0, "ng/mL{FEU}": 0.001, "ug/L{FEU}": 0.001},
        codes=(Code("48065-7", "Fibrin D-dimer FEU [Mass/volume] in Platelet poor plasma"),),
        low=0.0,
        high=1000.0,
        synonyms=("d dimer", "ddimer", "d-d dimer", "d dimers"),
        typical_median=(0.1, 60.0),
        note="Fibrinogen-equivalent units (FEU), twice the D-dimer units (DDU) of other kits; a "
        "unit without FEU leaves this open and is refused.",
    ),
    _test(
        name="antithrombin",
        label="Antithrombin activity",
        unit="%",
        units=PERCENT,
        codes=(
            Code(
                "27811-9",
                "Antithrombin actual/normal in Platelet poor plasma by Chromogenic method",
            ),
        ),
        low=1.0,
        high=250.0,
        synonyms=("antithrombin iii", "at iii", "antithrombin"),
        typical_median=(15.0, 140.0),
    ),
    _enzyme(
        name="lactate_dehydrogenase",
        label="Lactate dehydrogenase",
        codes=(
            Code("2532-0", "Lactate dehydrogenase [Enzymatic activity/volume] in Serum or Plasma"),
            Code(
                "14804-9",
                "Lactate dehydrogenase [Enzymatic activity/volume] in Serum or Plasma by Lactate "
                "to pyruvate reaction",
            ),
        ),
        synonyms=("ldh", "ld", "lactic dehydrogenase"),
    ),
    _enzyme(
        name="gamma_glutamyl_transferase",
        label="Gamma-glutamyl transferase",
        codes=(
            Code(
                "2324-2",
                "Gamma glutamyl transferase [Enzymatic activity/volume] in Serum or Plasma",
            ),
        ),
        synonyms=(
            *(
                "ggt",
                "gamma gt",
                "gamma-glutamyl transpeptidase",
                "gamma glutamyltransferase",
                "g-gt",
            ),
        ),
    ),
    _enzyme(
        name="creatine_kinase",
        label="Creatine kinase",
        high=1000000.0,
        codes=(Code("2157-6", "Creatine kinase [Enzymatic activity/volume] in Serum or Plasma"),),
        synonyms=("ck", "cpk", "creatine phosphokinase"),
    ),
    _enzyme(
        name="amylase",
        label="Amylase",
        codes=(Code("1798-8", "Amylase [Enzymatic activity/volume] in Serum or Plasma"),),
    ),
    _enzyme(
        name="lipase",
        label="Lipase",
        codes=(Code("3040-3", "Lipase [Enzymatic activity/volume] in Serum or Plasma"),),
    ),
    _test(
        name="bilirubin_direct",
        label="Bilirubin, direct",
        unit="mg/dL",
        # Molecular weight 584.66.
        units={"mg/dL": 1.0, "umol/L": 0.05846621},
        codes=(
            Code("1968-7", "Bilirubin.direct [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code(
                "14629-0", "Bilirubin.direct [Moles/volume] in Serum or Plasma", units=("umol/L",)
            ),
        ),
        low=0.0,
        high=100.0,
        synonyms=("direct bilirubin", "conjugated bilirubin", "dbil"),
        typical_median=(0.05, 8.0),
    ),
    _test(
        name="bilirubin_indirect",
        label="Bilirubin, indirect",
        unit="mg/dL",
        units={"mg/dL": 1.0, "umol/L": 0.05846621},
        codes=(
            Code("1971-1", "Bilirubin.indirect [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code(
                "14630-8",
                "Bilirubin.indirect [Moles/volume] in Serum or Plasma",
                units=("umol/L",),
            ),
        ),
        low=0.0,
        high=100.0,
        synonyms=("indirect bilirubin", "unconjugated bilirubin", "ibil"),
        typical_median=(0.05, 8.0),
    ),
    _test(
        name="total_protein",
        label="Protein, total",
        unit="g/dL",
        units={"g/dL": 1.0, "g/L": 0.1},
        codes=(Code("2885-2", "Protein [Mass/volume] in Serum or Plasma"),),
        low=1.0,
        high=20.0,
        synonyms=("serum protein",),
        typical_median=(3.0, 9.0),
    ),
    _test(
        name="globulin",
        label="Globulin",
        unit="g/dL",
        units={"g/dL": 1.0, "g/L": 0.1},
        codes=(Code("10834-0", "Globulin [Mass/volume] in Serum by calculation"),),
        low=0.2,
        high=15.0,
        typical_median=(1.2, 6.0),
    ),
    _test(
        name="uric_acid",
        label="Uric acid",
        unit="mg/dL",
        # Molecular weight 168.11.
        units={"mg/dL": 1.0, "umol/L": 0.016811},
        codes=(
            Code("3084-1", "Urate [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("14933-6", "Urate [Moles/volume] in Serum or Plasma", units=("umol/L",)),
        ),
        low=0.1,
        high=50.0,
        synonyms=("urate", "harnsaeure"),
        typical_median=(1.5, 12.0),
    ),
    _test(
        name="esr",
        label="Erythrocyte sedimentation rate",
        unit="mm/h",
        units={"mm/h": 1.0},
        codes=(Code("30341-2", "Erythrocyte [Sedimentation Rate] in Blood"),),
        low=0.0,
        high=200.0,
        synonyms=("sedimentation rate",),
    ),
    _test(
        name="procalcitonin",
        label="Procalcitonin",
        unit="ng/mL",
        units=NG_PER_ML,
        codes=(Code("33959-8", "Procalcitonin [Mass/volume] in Serum or Plasma"),),
        low=0.0,
        high=5000.0,
        synonyms=("pct", "prokalzitonin"),
    ),
    _test(
        name="ferritin",
        label="Ferritin",
        unit="ng/mL",
        units={**NG_PER_ML, "mg/L": 1000.0},
        codes=(Code("2276-4", "Ferritin [Mass/volume] in Serum or Plasma"),),
        low=0.5,
        high=500000.0,
        typical_median=(5.0, 20000.0),
    ),
    _test(
        name="nt_probnp",
        hint="Not BNP.",
        label="NT-proBNP",
        unit="pg/mL",
        # Amino acids 1-76, 8,457 g/mol.
        units={**PG_PER_ML, "pmol/L": 8.457},
        codes=(
            Code(
                "33762-6",
                "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma",
                units=("pg/mL", "ng/L"),
            ),
            Code(
                "33763-4",
                "Natriuretic peptide.B prohormone N-Terminal [Moles/volume] in Serum or Plasma",
                units=("pmol/L",),
            ),
        ),
        low=0.0,
        high=500000.0,
        typical_median=(10.0, 50000.0),
        synonyms=(
            *("ntprobnp", "nt pro bnp", "pro-bnp", "n-terminal pro-bnp"),
            "amino-terminal brain natriuretic peptide precursor",
            "amino-terminal brain natriuretic peptide precursor nt-probnp",
        ),
        note="Not BNP: the two are no multiples of each other.",
    ),
    _test(
        name="bnp",
        hint="Not NT-proBNP.",
        label="BNP",
        unit="pg/mL",
        units=PG_PER_ML,
        codes=(Code("30934-4", "Natriuretic peptide B [Mass/volume] in Serum or Plasma"),),
        low=0.0,
        high=100000.0,
        synonyms=("brain natriuretic peptide", "b-type natriuretic peptide"),
        note="Not NT-proBNP: the two are no multiples of each other.",
    ),
    _test(
        name="triglyceride",
        label="Triglycerides",
        unit="mg/dL",
        # 885.45 g/mol of triolein, by which laboratories convert.
        units={"mg/dL": 1.0, "mmol/L": 88.545},
        codes=(
            Code("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("14927-8", "Triglyceride [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=5.0,
        high=20000.0,
        synonyms=("tg", "trig", "triglycerides"),
        typical_median=(40.0, 800.0),
    ),
    _cytokine(
        name="il10",
        label="Interleukin-10",
        codes=(Code("26848-2", "Interleukin 10 [Mass/volume] in Serum or Plasma"),),
        synonyms=("il-10", "interleukin 10"),
    ),
    _cytokine(
        name="il8",
        label="Interleukin-8",
        codes=(Code("33211-4", "Interleukin 8 [Mass/volume] in Serum or Plasma"),),
        synonyms=("il-8", "interleukin 8", "cxcl8"),
    ),
)
