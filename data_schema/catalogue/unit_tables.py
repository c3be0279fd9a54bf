"""Tables of accepted units (UCUM unit -> factor to the canonical unit) that several entries share.

A table holds one dimension, so the factors here are powers of ten or exact definitions. A factor
that needs a molecular weight belongs to one analyte and is written in that analyte's entry.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "COUNT",
    "DAYS",
    "ENZYME",
    "KILO_PER_UL",
    "MG_PER_DAY",
    "MG_PER_DL",
    "MMOL_PER_L",
    "NG_PER_ML",
    "NMOL_PER_L",
    "NMOL_PER_MMOL_CREATININE",
    "PERCENT",
    "PG_PER_ML",
    "PMOL_PER_L",
    "PRESSURE",
    "RATIO",
    "SCORE",
    "T_SCORE",
    "UG_PER_L",
]

PG_PER_ML: Mapping[str, float] = {"pg/mL": 1.0, "ng/L": 1.0}
NG_PER_ML: Mapping[str, float] = {"ng/mL": 1.0, "ug/L": 1.0}
UG_PER_L: Mapping[str, float] = {"ug/L": 1.0, "ng/mL": 1.0}
MG_PER_DL: Mapping[str, float] = {"mg/dL": 1.0, "mg/L": 0.1}
PMOL_PER_L: Mapping[str, float] = {"pmol/L": 1.0}
NMOL_PER_L: Mapping[str, float] = {"nmol/L": 1.0, "umol/L": 1000.0}
MMOL_PER_L: Mapping[str, float] = {"mmol/L": 1.0}
NMOL_PER_MMOL_CREATININE: Mapping[str, float] = {
    "nmol/mmol{creat}": 1.0,
    "umol/mol{creat}": 1.0,
    "mmol/mol{creat}": 1000.0,
}
ENZYME: Mapping[str, float] = {"U/L": 1.0}
KILO_PER_UL: Mapping[str, float] = {"10*3/uL": 1.0, "10*9/L": 1.0, "/uL": 0.001}
PRESSURE: Mapping[str, float] = {"mm[Hg]": 1.0, "kPa": 7.500617}
PERCENT: Mapping[str, float] = {"%": 1.0, "1": 100.0}
SCORE: Mapping[str, float] = {"{score}": 1.0, "1": 1.0}
T_SCORE: Mapping[str, float] = {"{T-score}": 1.0, "{Tscore}": 1.0, "1": 1.0}
RATIO: Mapping[str, float] = {"1": 1.0, "{ratio}": 1.0}
COUNT: Mapping[str, float] = {"1": 1.0, "{count}": 1.0}
DAYS: Mapping[str, float] = {"d": 1.0, "h": 1 / 24, "wk": 7.0}
MG_PER_DAY: Mapping[str, float] = {"mg/d": 1.0, "g/d": 1000.0, "ug/d": 0.001}
