"""SAPS II, the simplified acute physiology score, from the worst values of the first 24 hours."""

from __future__ import annotations

import numpy as np

from data_schema.derived.columns import Columns
from data_schema.derived.points import Bands, PointRange, exactly, most_of
from data_schema.derived.score import Component, Score

__all__ = ["SAPS2"]

_AGE = Bands((40.0, 60.0, 70.0, 75.0, 80.0), (0, 7, 12, 15, 16, 18))
_HEART_RATE = Bands((40.0, 70.0, 120.0, 160.0), (11, 2, 0, 4, 7))
_SYSTOLIC = Bands((70.0, 100.0, 200.0), (13, 5, 0, 2))
_TEMPERATURE = Bands((39.0,), (0, 3))
_SUPPORTED_RATIO = Bands((100.0, 200.0), (11, 9, 6))
_URINE = Bands((500.0, 1000.0), (11, 4, 0))
_UREA_NITROGEN = Bands((28.0, 84.0), (0, 6, 10))
_WHITE_CELLS = Bands((1.0, 20.0), (12, 0, 3))
_POTASSIUM = Bands((3.0, 5.0), (3, 0, 3))
_SODIUM = Bands((125.0, 145.0), (5, 0, 1))
_BICARBONATE = Bands((15.0, 20.0), (6, 3, 0))
_BILIRUBIN = Bands((4.0, 6.0), (0, 4, 9))
_GCS = Bands((6.0, 9.0, 11.0, 14.0), (26, 13, 7, 5, 0))


def _worst(name: str, label: str, bands: Bands) -> Component:
    """Return a component of one variable, scored by the worse of its lowest and highest value."""
    return Component(
        name,
        label,
        (name,),
        bands.most,
        lambda columns: bands.range_of(columns.lowest(name), columns.highest(name)),
    )


def _respiration(columns: Columns) -> PointRange:
    ratio = columns.lowest("pf_ratio_supported")
    ventilated = columns.highest("mechanical_ventilation")
    # The ratio of a patient on support throughout; otherwise it may have been drawn without.
    ratio = np.where(np.isnan(ratio) & (ventilated == 1.0), columns.lowest("pf_ratio"), ratio)
    supported = np.where(np.isnan(ratio), ventilated, 1.0)
    none = exactly(0.0, columns.n_rows)
    return _SUPPORTED_RATIO.range_of(ratio).either(supported, none)


def _chronic_disease(columns: Columns) -> PointRange:
    none = exactly(0.0, columns.n_rows)
    diseases = (
        (columns.highest("aids"), 17.0),
        (columns.highest("hematologic_malignancy"), 10.0),
        (columns.is_word("cancer", "metastatic"), 9.0),
    )
    # One disease counts, the worst: with their sum the maximum of the paper, 163, is exceeded.
    return most_of(
        [exactly(points, columns.n_rows).either(flag, none) for flag, points in diseases]
    )


def _admission(columns: Columns) -> PointRange:
    medical = columns.is_word("admission_type", "medical")
    emergency = columns.is_word("admission_type", "emergency_surgery")
    scheduled = exactly(0.0, columns.n_rows)
    surgical = exactly(8.0, columns.n_rows).either(emergency, scheduled)
    return exactly(6.0, columns.n_rows).either(medical, surgical)


SAPS2 = Score(
    name="saps2",
    components=(
        Component(
            "age", "Age", ("age",), _AGE.most, lambda columns: _AGE.range_of(columns.number("age"))
        ),
        _worst("heart_rate", "Heart rate", _HEART_RATE),
        _worst("systolic_pressure", "Systolic blood pressure", _SYSTOLIC),
        Component(
            "temperature",
            "Temperature",
            ("temperature",),
            _TEMPERATURE.most,
            lambda columns: _TEMPERATURE.range_of(columns.highest("temperature")),
        ),
        Component(
            "respiration",
            "PaO2/FiO2 under ventilation or CPAP",
            ("pf_ratio_supported", "mechanical_ventilation"),
            _SUPPORTED_RATIO.most,
            _respiration,
        ),
        Component(
            "urine_output",
            "Urine output",
            ("urine_output",),
            _URINE.most,
            lambda columns: _URINE.range_of(columns.lowest("urine_output")),
        ),
        Component(
            "urea_nitrogen",
            "Urea nitrogen",
            ("urea_nitrogen",),
            _UREA_NITROGEN.most,
            lambda columns: _UREA_NITROGEN.range_of(columns.highest("urea_nitrogen")),
        ),
        _worst("white_cells", "White cells", _WHITE_CELLS),
        _worst("potassium", "Potassium", _POTASSIUM),
        _worst("sodium", "Sodium", _SODIUM),
        Component(
            "bicarbonate",
            "Bicarbonate",
            ("bicarbonate",),
            _BICARBONATE.most,
            lambda columns: _BICARBONATE.range_of(columns.lowest("bicarbonate")),
        ),
        Component(
            "bilirubin",
            "Bilirubin",
            ("bilirubin",),
            _BILIRUBIN.most,
            lambda columns: _BILIRUBIN.range_of(columns.highest("bilirubin")),
        ),
        Component(
            "consciousness",
            "Glasgow coma score",
            ("gcs",),
            _GCS.most,
            lambda columns: _GCS.range_of(columns.lowest("gcs")),
        ),
        Component(
            "chronic_disease",
            "AIDS, hematologic malignancy, metastatic cancer",
            ("aids", "hematologic_malignancy", "cancer"),
            17,
            _chronic_disease,
        ),
        Component(
            "admission",
            "Type of admission",
            ("admission_type",),
            8,
            _admission,
        ),
    ),
    source="Le Gall et al. JAMA 270 (1993) 2957-2963. doi:10.1001/jama.1993.03510240069035",
)
"""SAPS II, 0 to 163 points, higher is worse.

`urea_nitrogen` is in mg/dL of nitrogen, `urine_output` in mL in 24 hours, and `pf_ratio_supported`
in mmHg per fraction under ventilation or CPAP; `mechanical_ventilation` 0 states that there was
neither. `gcs` is the score before sedation where the patient is sedated.
"""
