"""Where the median of a cohort lies, for variables whose unit is easily taken for another one.

The plausible range of a variable admits the sickest patient, so it cannot tell phosphate in mmol/L
from phosphate in mg/dL. The median of a whole cohort can: of hospital patients it lies within the
interval given here, wide enough for healthy volunteers and for the worst intensive care unit. A
unit is called into question only where the stated one puts the median outside and another accepted
one puts it inside. Where two units differ by too little for that (estradiol in pg/mL and pmol/L,
25-OH vitamin D, cortisol), the variable is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["TYPICAL_MEDIANS"]

TYPICAL_MEDIANS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "ctx_s": (60.0, 6000.0),
        "osteocalcin": (1.0, 100.0),
        "phosphate": (1.8, 9.0),
        "calcium": (6.0, 12.0),
        "calcium_ion": (0.8, 1.5),
        "magnesium": (1.3, 3.2),
        "pth": (12.0, 600.0),
        "crp": (0.3, 350.0),
        "fgf23_i": (10.0, 20000.0),
        "sclerostin_mass": (5.0, 5000.0),
        "dkk1_mass": (100.0, 20000.0),
        "osteopontin": (5.0, 3000.0),
        "osteopontin_serum": (5.0, 3000.0),
        "rankl_total": (30.0, 30000.0),
        "bmd_fn": (0.4, 1.4),
        "bmd_hip": (0.4, 1.4),
        "bmd_ls": (0.4, 1.6),
        "lactate": (0.5, 8.0),
        "creatinine": (0.4, 6.0),
        "urea_nitrogen": (9.0, 90.0),
        "bilirubin": (0.2, 9.0),
        "albumin": (1.2, 5.2),
        "platelets": (40.0, 600.0),
        "white_cells": (2.5, 40.0),
        "hemoglobin": (6.0, 17.0),
        "hematocrit": (18.0, 52.0),
        "glucose": (65.0, 350.0),
        "cholesterol": (60.0, 280.0),
        "map": (50.0, 130.0),
        "systolic_pressure": (70.0, 180.0),
        "diastolic_pressure": (35.0, 110.0),
        "pao2": (45.0, 250.0),
        "paco2": (25.0, 70.0),
        "pf_ratio": (80.0, 480.0),
        "fio2": (20.5, 100.0),
        "spo2": (75.0, 100.0),
        "urine_output": (100.0, 6000.0),
        "age": (18.0, 100.0),
        "weight": (35.0, 125.0),
        "height": (140.0, 200.0),
    }
)
"""Variable -> lowest and highest median of a cohort, in the canonical unit."""
