"""Warnings about some values of a patient, and the variables concerned."""

from __future__ import annotations

from data_schema.biomarkers import VARIABLES
from data_schema.variables import Caveat
from models.inference.contract import SpecialCase

__all__ = ["SPECIAL_CASES"]


def _concerned(code: Caveat) -> tuple[str, ...]:
    """Return the variables of the catalogue that a warning concerns."""
    return tuple(
        name for name, v in VARIABLES.items() if v.origin is not None and code in v.origin.caveats
    )


SPECIAL_CASES = (
    SpecialCase(
        "renal_replacement",
        "Renal replacement or acute kidney injury: the model may fit such a patient less well.",
        (("rrt", 1, 1), ("aki_stage", 1, 3)),
    ),
    SpecialCase(
        "renal_retention",
        "The kidney retains these markers: high values may mean kidney failure, not bone turnover.",
        (("rrt", 1, 1), ("aki_stage", 1, 3)),
        _concerned("renal_retention"),
    ),
    SpecialCase(
        "exogenous_hormones",
        "Hormone treatment changes these values.",
        (("exogenous_hormones", 1, 1),),
        _concerned("exogenous_hormones"),
    ),
    SpecialCase(
        "biotin",
        "Biotin disturbs many immunoassays of these markers.",
        (("biotin", 1, 1),),
        _concerned("biotin"),
    ),
    SpecialCase(
        "ctx_not_fasting_morning",
        "CTX was not sampled fasting in the morning: it reads lower.",
        (("fasting", 0, 0), ("sampling_hour", 12, 24)),
        _concerned("ctx_not_fasting_morning"),
    ),
)
