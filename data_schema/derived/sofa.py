"""SOFA, the sequential organ failure assessment, from the worst values of 24 hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_schema.derived.columns import Columns
from data_schema.derived.points import Bands, PointRange, above, most_of
from data_schema.derived.score import Component, Score

__all__ = ["SOFA"]

Numbers = NDArray[np.float64]

_SUPPORTED = Bands((100.0, 200.0, 300.0, 400.0), (4, 3, 2, 1, 0))
# Without respiratory support the worst that a ratio can count is 2.
_UNSUPPORTED = Bands((300.0, 400.0), (2, 1, 0))
_PLATELETS = Bands((20.0, 50.0, 100.0, 150.0), (4, 3, 2, 1, 0))
_BILIRUBIN = Bands((1.2, 2.0, 6.0, 12.0), (0, 1, 2, 3, 4))
_MAP = Bands((70.0,), (1, 0))
_DOPAMINE = Bands((above(0.0), above(5.0), above(15.0)), (0, 2, 3, 4))
_DOBUTAMINE = Bands((above(0.0),), (0, 2))
_EPINEPHRINE = Bands((above(0.0), above(0.1)), (0, 3, 4))
LAST_DIGIT = 3
"""Digits after the point of a dose in ug/kg/min: finer than a pump is set."""

_GCS = Bands((6.0, 10.0, 13.0, 15.0), (4, 3, 2, 1, 0))
_CREATININE = Bands((1.2, 2.0, 3.5, 5.0), (0, 1, 2, 3, 4))
_URINE = Bands((200.0, 500.0), (4, 3, 0))

_DRUGS = (
    ("dopamine_dose", _DOPAMINE),
    ("dobutamine_dose", _DOBUTAMINE),
    ("epinephrine_dose", _EPINEPHRINE),
    ("norepinephrine_dose", _EPINEPHRINE),
)


def _respiration(columns: Columns) -> PointRange:
    names = ("pf_ratio", "pf_ratio_supported", "pf_ratio_unsupported")
    of_unknown, supported, unsupported = (columns.lowest(name) for name in names)
    known_support = _SUPPORTED.range_of(supported)
    lowest = np.fmin.reduce([of_unknown, supported, unsupported])
    # A ratio on support is known: what was measured without support can still be worse than it.
    with_support = most_of([known_support, _UNSUPPORTED.range_of(lowest)])
    without = _UNSUPPORTED.range_of(unsupported)
    # Only a ratio is known: whether 3 and 4 can be reached depends on ventilation.
    by_ventilation = _SUPPORTED.range_of(of_unknown).either(
        columns.highest("mechanical_ventilation"), _UNSUPPORTED.range_of(of_unknown)
    )
    both = most_of([without, by_ventilation]).where(~np.isnan(unsupported), by_ventilation)
    no_support = both.where(~np.isnan(of_unknown), without)
    return with_support.where(
        ~np.isnan(supported), no_support.where(~np.isnan(lowest), by_ventilation)
    )


def _circulation(columns: Columns) -> PointRange:
    given = columns.highest("catecholamines")
    pressure = _MAP.range_of(columns.lowest("map"))
    drugs = [_drug(columns.highest(name), bands, given) for name, bands in _DRUGS]
    points = most_of([pressure, *drugs])
    # Something was given, but not which: the least that it counts is 2.
    at_least = np.where(given == 1.0, 2.0, 0.0)
    return PointRange(np.maximum(points.fewest, np.minimum(at_least, points.most)), points.most)


def _drug(dose: Numbers, bands: Bands, given: Numbers) -> PointRange:
    """Return the points of a dose; without a dose, none where no catecholamine was given."""
    # A pump set to 0.1 may record 0.10002, which is not above it.
    recorded = np.where(dose > 0.0, np.maximum(dose.round(LAST_DIGIT), 10.0**-LAST_DIGIT), dose)
    return bands.range_of(np.where(np.isnan(dose) & (given == 0.0), 0.0, recorded))


def _kidney(columns: Columns) -> PointRange:
    return most_of(
        [
            _CREATININE.range_of(columns.highest("creatinine")),
            _URINE.range_of(columns.lowest("urine_output")),
        ]
    )


SOFA = Score(
    name="sofa",
    components=(
        Component(
            "respiration",
            "Respiration: PaO2/FiO2",
            ("pf_ratio", "pf_ratio_supported", "pf_ratio_unsupported", "mechanical_ventilation"),
            4,
            _respiration,
        ),
        Component(
            "coagulation",
            "Coagulation: platelets",
            ("platelets",),
            4,
            lambda columns: _PLATELETS.range_of(columns.lowest("platelets")),
        ),
        Component(
            "liver",
            "Liver: bilirubin",
            ("bilirubin",),
            4,
            lambda columns: _BILIRUBIN.range_of(columns.highest("bilirubin")),
        ),
        Component(
            "circulation",
            "Circulation: mean pressure, catecholamines",
            ("map", "catecholamines", *(name for name, _ in _DRUGS)),
            4,
            _circulation,
        ),
        Component(
            "consciousness",
            "Central nervous system: Glasgow coma score",
            ("gcs",),
            4,
            lambda columns: _GCS.range_of(columns.lowest("gcs")),
        ),
        Component(
            "kidney",
            "Kidney: creatinine, urine output",
            ("creatinine", "urine_output"),
            4,
            _kidney,
        ),
    ),
    source="Vincent et al. Intensive Care Med 22 (1996) 707-710. doi:10.1007/BF01709751",
)
"""SOFA, 0 to 24 points, higher is worse.

`pf_ratio` is in mmHg per fraction, and `pf_ratio_supported` the same under ventilation or CPAP,
without which (`pf_ratio_unsupported`) respiration counts 2 at most. Doses are in ug/kg/min of the
base, given for at least an hour. `catecholamines` 0 states that none was given. `gcs` is the score
for severity, and `urine_output` in mL in 24 hours. The paper prints bilirubin "> 12.0" and
creatinine "> 5.0" beside "6.0-11.9" and "3.5-4.9": 12.0 and 5.0 count 4.
Renal replacement lowers creatinine and urine; the paper gives no points for it.
"""
