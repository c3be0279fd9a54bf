"""APACHE II from the worst values of the first 24 hours in intensive care."""

from __future__ import annotations

import numpy as np

from data_schema.derived.columns import Columns
from data_schema.derived.oxygenation import HIGH_FIO2, alveolar_arterial_difference
from data_schema.derived.points import Bands, PointRange, above, exactly
from data_schema.derived.score import Component, Score

__all__ = ["APACHE2"]

_TEMPERATURE = Bands((30.0, 32.0, 34.0, 36.0, 38.5, 39.0, 41.0), (4, 3, 2, 1, 0, 1, 3, 4))
_MAP = Bands((50.0, 70.0, 110.0, 130.0, 160.0), (4, 2, 0, 2, 3, 4))
_HEART_RATE = Bands((40.0, 55.0, 70.0, 110.0, 140.0, 180.0), (4, 3, 2, 0, 2, 3, 4))
_RESPIRATORY_RATE = Bands((6.0, 10.0, 12.0, 25.0, 35.0, 50.0), (4, 2, 1, 0, 1, 3, 4))
_AADO2 = Bands((200.0, 350.0, 500.0), (0, 2, 3, 4))
_PAO2 = Bands((55.0, above(60.0), above(70.0)), (4, 3, 1, 0))
_PH = Bands((7.15, 7.25, 7.33, 7.5, 7.6, 7.7), (4, 3, 2, 0, 1, 3, 4))
_BICARBONATE = Bands((15.0, 18.0, 22.0, 32.0, 41.0, 52.0), (4, 3, 2, 0, 1, 3, 4))
_SODIUM = Bands((111.0, 120.0, 130.0, 150.0, 155.0, 160.0, 180.0), (4, 3, 2, 0, 1, 2, 3, 4))
_POTASSIUM = Bands((2.5, 3.0, 3.5, 5.5, 6.0, 7.0), (4, 2, 1, 0, 1, 3, 4))
_CREATININE = Bands((0.6, 1.5, 2.0, 3.5), (2, 0, 2, 3, 4))
_HEMATOCRIT = Bands((20.0, 30.0, 46.0, 50.0, 60.0), (4, 2, 0, 1, 2, 4))
_WHITE_CELLS = Bands((1.0, 3.0, 15.0, 20.0, 40.0), (4, 2, 0, 1, 2, 4))
# 15 less the score; a score between whole numbers does not exist.
_GCS = Bands(tuple(float(score) for score in range(4, 16)), tuple(range(12, -1, -1)))
_AGE = Bands((45.0, 55.0, 65.0, 75.0), (0, 2, 3, 5, 6))


def _worst(name: str, bands: Bands) -> Component:
    """Return a component of one variable, scored by the worse of its lowest and highest value."""
    return Component(
        name,
        _LABELS[name],
        (name,),
        bands.most,
        lambda columns: bands.range_of(columns.lowest(name), columns.highest(name)),
    )


_LABELS = {
    "temperature": "Temperature",
    "map": "Mean arterial pressure",
    "heart_rate": "Heart rate",
    "respiratory_rate": "Respiratory rate",
    "sodium": "Sodium",
    "potassium": "Potassium",
    "hematocrit": "Hematocrit",
    "white_cells": "White cells",
}


def _oxygenation(columns: Columns) -> PointRange:
    # Blood gases at both kinds of FiO2: the worse counts. At one kind only: no other was drawn.
    worst = np.fmax(
        _AADO2.of(columns.highest("aado2_high_fio2")), _PAO2.of(columns.lowest("pao2_low_fio2"))
    )
    recorded = exactly(worst, columns.n_rows)
    return recorded.where(~np.isnan(worst), _of_one_blood_gas(columns))


def _of_one_blood_gas(columns: Columns) -> PointRange:
    """Return the points of a single pair of PaO2 and the FiO2 in force; PaCO2 where needed."""
    pao2, fio2, paco2 = (columns.number(name) for name in ("pao2", "fio2", "paco2"))
    high = np.where(np.isnan(fio2), np.nan, (fio2 >= HIGH_FIO2).astype(np.float64))
    gradient = _AADO2.range_of(alveolar_arterial_difference(pao2, fio2, paco2))
    return gradient.either(high, _PAO2.range_of(pao2))


def _acidity(columns: Columns) -> PointRange:
    lowest, highest = columns.lowest("ph"), columns.highest("ph")
    of_ph = _PH.range_of(lowest, highest)
    of_bicarbonate = _BICARBONATE.range_of(
        columns.lowest("bicarbonate"), columns.highest("bicarbonate")
    )
    return of_ph.where(~(np.isnan(lowest) & np.isnan(highest)), of_bicarbonate)


def _creatinine(columns: Columns) -> PointRange:
    single = _CREATININE.range_of(columns.lowest("creatinine"), columns.highest("creatinine"))
    double = PointRange(2 * single.fewest, 2 * single.most)
    return double.either(columns.highest("acute_renal_failure"), single)


def _chronic_health(columns: Columns) -> PointRange:
    elective = columns.is_word("admission_type", "elective_surgery")
    two, five = exactly(2.0, columns.n_rows), exactly(5.0, columns.n_rows)
    none = exactly(0.0, columns.n_rows)
    return two.either(elective, five).either(columns.highest("chronic_organ_insufficiency"), none)


APACHE2 = Score(
    name="apache2",
    components=(
        _worst("temperature", _TEMPERATURE),
        _worst("map", _MAP),
        _worst("heart_rate", _HEART_RATE),
        _worst("respiratory_rate", _RESPIRATORY_RATE),
        Component(
            "oxygenation",
            "Oxygenation: A-aDO2 at FiO2 0.5 or more, otherwise PaO2",
            ("aado2_high_fio2", "pao2_low_fio2", "pao2", "fio2", "paco2"),
            4,
            _oxygenation,
        ),
        Component(
            "acidity", "Arterial pH, or bicarbonate", ("ph", "bicarbonate"), _PH.most, _acidity
        ),
        _worst("sodium", _SODIUM),
        _worst("potassium", _POTASSIUM),
        Component(
            "creatinine",
            "Creatinine, double in acute renal failure",
            ("creatinine", "acute_renal_failure"),
            2 * _CREATININE.most,
            _creatinine,
        ),
        _worst("hematocrit", _HEMATOCRIT),
        _worst("white_cells", _WHITE_CELLS),
        Component(
            "consciousness",
            "15 less the Glasgow coma score",
            ("gcs",),
            _GCS.most,
            lambda columns: _GCS.range_of(columns.lowest("gcs")),
        ),
        Component(
            "age",
            "Age",
            ("age",),
            _AGE.most,
            lambda columns: _AGE.range_of(columns.number("age")),
        ),
        Component(
            "chronic_health",
            "Severe chronic organ insufficiency or immunocompromise",
            ("chronic_organ_insufficiency", "admission_type"),
            5,
            _chronic_health,
        ),
    ),
    source="Knaus et al. Crit Care Med 13 (1985) 818-829. doi:10.1097/00003246-198510000-00009",
)
"""APACHE II, 0 to 71 points, higher is worse.

`aado2_high_fio2` is the alveolar-arterial difference of oxygen in mmHg of blood gases at an FiO2 of
50 % or more, and `pao2_low_fio2` the PaO2 of the others; where neither is recorded, a single
`pao2` with its `fio2` (and `paco2`) stands for them. Bicarbonate counts only without a pH.
`acute_renal_failure` and `chronic_organ_insufficiency` are flags as the paper defines them:
cirrhosis with portal hypertension, NYHA IV, severe respiratory disease, chronic dialysis,
immunocompromise.
"""
