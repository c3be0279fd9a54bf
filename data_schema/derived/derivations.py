"""Which variables of the catalogue follow from others, and the rule that keeps both apart.

An entered value always stands. A derived one is offered only where nothing is entered, and bears
what it was derived from; where both are known and differ by more than rounding, that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns
from data_schema.derived.kidney import creatinine_is_stable, egfr_ckd_epi_2021
from data_schema.derived.oxygenation import pf_ratio
from data_schema.derived.ratios import (
    body_mass_index,
    multiple_of_reference,
    rankl_opg_ratio,
    uncoupling_index,
)
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.score import Score
from data_schema.derived.sofa import SOFA

__all__ = ["DERIVATIONS", "Derivation", "derived_value", "differs", "upper_limit"]

Numbers = NDArray[np.float64]

RESORPTION_MARKER = "ctx_s"
FORMATION_MARKER = "p1np"


@dataclass(frozen=True, slots=True)
class Derivation:
    """How one variable of the catalogue follows from others.

    Parameters
    ----------
    name : str
        The variable that is derived.
    reads : tuple of str
        The variables that it is derived from.
    values : callable
        From columns in canonical units to the values of each patient; NaN where it cannot be
        derived.
    tolerance : float
        How far an entered value may lie from the derived one, as a share of the larger, and still
        be the same value rounded.
    source : str
        The formula's paper.
    """

    name: str
    reads: tuple[str, ...]
    values: Callable[[Columns], Numbers]
    tolerance: float
    source: str


def _bmi(columns: Columns) -> Numbers:
    return body_mass_index(columns.number("weight"), columns.number("height"))


def _pf_ratio(columns: Columns) -> Numbers:
    return pf_ratio(columns.number("pao2"), columns.number("fio2"))


def _egfr(columns: Columns) -> Numbers:
    creatinine = columns.number("creatinine")
    stable = creatinine_is_stable(
        lowest=columns.number("creatinine__min"),
        highest=columns.number("creatinine__max"),
        count=columns.number("creatinine__count"),
        aki_stage=columns.number("aki_stage"),
        rrt=columns.number("rrt"),
    )
    rate = egfr_ckd_epi_2021(creatinine, columns.number("age"), columns.is_word("sex", "female"))
    return np.where(stable & ~_at_limit(columns, "creatinine"), rate, np.nan)


def _rankl_opg_ratio(columns: Columns) -> Numbers:
    names = ("rankl_free", "opg")
    at_limit = np.logical_or.reduce([_at_limit(columns, name) for name in names])
    ratio = rankl_opg_ratio(*(columns.number(name) for name in names))
    return np.where(at_limit, np.nan, ratio)


def _uncoupling_index(columns: Columns) -> Numbers:
    names = (RESORPTION_MARKER, FORMATION_MARKER)
    at_limit = np.logical_or.reduce([_at_limit(columns, name) for name in names])
    multiples = [
        multiple_of_reference(columns.number(name), upper_limit(name, columns)) for name in names
    ]
    return np.where(at_limit, np.nan, uncoupling_index(*multiples))


def upper_limit(name: str, columns: Columns) -> Numbers:
    """Return each patient's upper reference limit of a variable; NaN where none applies.

    A person whose sex or menopausal status is not known gets no limit of one sex.
    """
    sexes, menopause = columns.word("sex"), columns.word("menopausal_status")
    ages = columns.number("age")
    limits: dict[tuple[object, object, float | None], float] = {}
    result = np.full(columns.n_rows, np.nan)
    for row in range(columns.n_rows):
        age = None if np.isnan(ages[row]) else float(ages[row])
        person = (sexes[row], menopause[row], age)
        if person not in limits:
            limits[person] = _upper_limit(name, *person)
        result[row] = limits[person]
    return result


def _upper_limit(name: str, sex: object, menopause: object, age: float | None) -> float:
    of_one_sex: Literal["female", "male"] | None = None
    if sex == "female":
        of_one_sex = "female"
    elif sex == "male":
        of_one_sex = "male"
    reference = reference_interval(
        VARIABLES[name],
        sex=of_one_sex,
        menopause=menopause if isinstance(menopause, str) else None,
        age=age,
    )
    return np.nan if reference is None or reference.high is None else reference.high


def _at_limit(columns: Columns, name: str) -> NDArray[np.bool_]:
    """Return where a value is a detection limit, from which no ratio follows."""
    return np.asarray(columns.number(f"{name}__below") == 1.0, dtype=np.bool_)


def _score(score: Score) -> Derivation:
    """Return the derivation of a score; only where every component is settled."""
    return Derivation(
        name=score.name,
        reads=score.reads,
        values=lambda columns: score.of(columns, missing="missing").total,
        tolerance=0.0,
        source=score.source,
    )


DERIVATIONS: Mapping[str, Derivation] = MappingProxyType(
    {
        one.name: one
        for one in (
            Derivation(
                "bmi",
                ("weight", "height"),
                _bmi,
                0.02,
                "Keys et al. J Chronic Dis 25 (1972) 329-343. doi:10.1016/0021-9681(72)90027-6",
            ),
            Derivation(
                "pf_ratio",
                ("pao2", "fio2"),
                _pf_ratio,
                0.05,
                "Vincent et al. Intensive Care Med 22 (1996) 707-710. doi:10.1007/BF01709751",
            ),
            Derivation(
                "egfr",
                ("creatinine", "age", "sex", "aki_stage", "rrt"),
                _egfr,
                0.05,
                "Inker et al. N Engl J Med 385 (2021) 1737-1749. doi:10.1056/NEJMoa2102953",
            ),
            Derivation(
                "rankl_opg_ratio",
                ("rankl_free", "opg"),
                _rankl_opg_ratio,
                0.02,
                "Hofbauer & Schoppet. JAMA 292 (2004) 490-495. doi:10.1001/jama.292.4.490",
            ),
            Derivation(
                "uncoupling_index",
                (RESORPTION_MARKER, FORMATION_MARKER, "sex", "menopausal_status", "age"),
                _uncoupling_index,
                0.05,
                "Eastell et al. Osteoporos Int 3 (1993) 255-260. doi:10.1007/BF01623829",
            ),
            _score(SOFA),
            _score(APACHE2),
            _score(SAPS2),
        )
    }
)
"""Every variable that can be derived, by name."""


def derived_value(name: str, columns: Columns) -> Numbers:
    """Return the values of a variable derived from others; NaN where they cannot be.

    A value outside the plausible range of its variable is none: a component of it is wrong.

    >>> columns = Columns(1, {"weight": np.array([81.0]), "height": np.array([180.0])})
    >>> derived_value("bmi", columns)
    array([25.])
    """
    values = DERIVATIONS[name].values(columns)
    variable = VARIABLES[name]
    low = -np.inf if variable.low is None else variable.low
    high = np.inf if variable.high is None else variable.high
    return np.where((values >= low) & (values <= high), values, np.nan)


def differs(name: str, entered: Numbers, derived: Numbers) -> NDArray[np.bool_]:
    """Return where an entered value and the derived one are both known and differ beyond rounding.

    >>> differs("bmi", np.array([25.1, 31.0, np.nan]), np.array([25.0, 25.0, 25.0]))
    array([False,  True, False])
    """
    allowed = DERIVATIONS[name].tolerance * np.maximum(np.abs(entered), np.abs(derived))
    return np.asarray(np.abs(entered - derived) > allowed + 1e-9, dtype=np.bool_)
