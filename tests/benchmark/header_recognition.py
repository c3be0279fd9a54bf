"""How many headers `osteon map --site-variables` recognises or drafts, and whether it errs.

    python tests/benchmark/header_recognition.py

Reads the headers of every table under ../shared/data and of a COVID intensive care table
(../shared/cases/covid_icu_headers.csv). Prints, by table: recognised as an identifier, an outcome
or a variable of the catalogue; left open between several variables; drafted as the site's own;
commented out with a reason. Wrong variables are counted against `EXPECTED`, read by hand.
Exits with 1 below 90 % or with any wrong variable or unit. Takes under a minute.
"""

from __future__ import annotations

import csv
import gzip
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.draft import draft_mapping
from data_schema.table.files import read_table
from data_schema.units import canonical_unit_spelling
from data_schema.variables import base_name

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
COVID = SHARED / "cases" / "covid_icu_headers.csv"
SHARE = 0.9

# Column -> variable, by hand from each table's documentation; a blank is right where several fit.
EXPECTED = {
    "Hypersensitive cardiac troponinI": "troponin_i",
    "hemoglobin": "hemoglobin",
    "Serum chloride": "chloride",
    "Prothrombin time": "prothrombin_time",
    "procalcitonin": "procalcitonin",
    "eosinophils(%)": "eosinophils_share",
    "Alkaline phosphatase": "alkaline_phosphatase",
    "albumin": "albumin",
    "basophil(%)": "basophils_share",
    "Interleukin 10": "il10",
    "Total bilirubin": "bilirubin",
    "Platelet count": "platelets",
    "monocytes(%)": "monocytes_share",
    "antithrombin": "antithrombin",
    "Interleukin 8": "il8",
    "indirect bilirubin": "bilirubin_indirect",
    "Red blood cell distribution width": "rdw",
    "neutrophils(%)": "neutrophils_share",
    "total protein": "total_protein",
    "Prothrombin activity": "prothrombin_activity",
    "mean corpuscular volume": "mcv",
    "hematocrit": "hematocrit",
    "White blood cell count": "white_cells",
    "Tumor necrosis factorα": "tnfa",
    "mean corpuscular hemoglobin concentration": "mchc",
    "fibrinogen": "fibrinogen",
    "Interleukin 1β": "il1b",
    "Urea": "",
    "lymphocyte count": "lymphocytes",
    "PH value": "ph",
    "Red blood cell count": "red_cells",
    "Eosinophil count": "eosinophils",
    "Serum potassium": "potassium",
    "glucose": "glucose",
    "neutrophils count": "neutrophils",
    "Direct bilirubin": "bilirubin_direct",
    "Mean platelet volume": "platelet_volume",
    "ferritin": "ferritin",
    "RBC distribution width SD": "rdw_sd",
    "Thrombin time": "thrombin_time",
    "(%)lymphocyte": "lymphocytes_share",
    "D-D dimer": "d_dimer",
    "Total cholesterol": "cholesterol",
    "aspartate aminotransferase": "ast",
    "Uric acid": "uric_acid",
    "HCO3-": "bicarbonate",
    "calcium": "calcium",
    "Amino-terminal brain natriuretic peptide precursor(NT-proBNP)": "nt_probnp",
    "Lactate dehydrogenase": "lactate_dehydrogenase",
    "Interleukin 6": "il6",
    "monocytes count": "monocytes",
    "globulin": "globulin",
    "γ-glutamyl transpeptidase": "gamma_glutamyl_transferase",
    "International standard ratio": "inr",
    "basophil count(#)": "basophils",
    "mean corpuscular hemoglobin": "mch",
    "Activation of partial thromboplastin time": "aptt",
    "High sensitivity C-reactive protein": "crp",
    "serum sodium": "sodium",
    "ESR": "esr",
    "glutamic-pyruvic transaminase": "alt",
    "eGFR": "egfr",
    "creatinine": "creatinine",
}


def tables() -> dict[str, pd.DataFrame]:
    """Return each table by its name; that of the COVID cohort has headers only."""
    files = sorted((SHARED / "data").glob("*/*.csv"))
    found = {path.stem: read_table(path) for path in files}
    with COVID.open(encoding="utf-8") as lines:
        found["covid_icu_headers"] = pd.DataFrame(columns=next(csv.reader(lines)), dtype=object)
    physionet = SHARED / "data" / "physionet2012" / "set_a.csv.gz"
    with gzip.open(physionet, "rt", encoding="utf-8") as lines:
        found["physionet2012"] = pd.read_csv(lines)
    return found


def main() -> int:
    """Print the figures and return the exit status."""
    total, recognised, wrong = 0, 0, 0
    for name, table in tables().items():
        text = draft_mapping(table, site_variables=True)
        mapping = tomllib.loads(text)
        stated = {str(value) for value in mapping.get("ids", {}).values()}
        stated |= {
            str(value) for end in mapping.get("outcome", {}).values() for value in end.values()
        }
        kinds: Counter[str] = Counter()
        missed = []
        for column in map(str, table.columns):
            draft = mapping.get("columns", {}).get(column)
            if column in stated:
                kinds["identifier or outcome"] += 1
            elif draft is None:
                is_commented = f'"{column}"' in text or f"columns.{column}]" in text
                kinds["commented out" if is_commented else "missed"] += 1
                if not is_commented:
                    missed.append(column)
            elif draft["variable"] == "":
                kinds["left open"] += 1
            elif base_name(draft["variable"]) in VARIABLES:
                kinds["catalogue"] += 1
            else:
                kinds["the site's own"] += 1
            wrong += _errs(name, column, draft)
        n = len(table.columns)
        total, recognised = total + n, recognised + n - kinds["missed"]
        print(f"{name}: {n - kinds['missed']} of {n}; {dict(kinds)}", *missed)
    print(f"all: {recognised} of {total} = {recognised / total:.1%}; {wrong} wrong")
    return int(recognised / total < SHARE or wrong > 0)


def _errs(table: str, column: str, draft: dict[str, object] | None) -> int:
    """Return 1 and print why if a variable or a unit is wrong."""
    if draft is None:
        return 0
    variable, unit = str(draft["variable"]), str(draft.get("unit", ""))
    if table == "covid_icu_headers" and EXPECTED.get(column, variable) != variable:
        print(f"  wrong variable: {column} is {variable}")
        return 1
    known = VARIABLES.get(base_name(variable))
    if known is not None and unit and canonical_unit_spelling(known, unit) is None:
        print(f"  wrong unit: {column} in {unit}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
