"""Variables of several public data sets that the catalogue omits on purpose."""

from __future__ import annotations

from data_schema.variables import Variable

__all__ = ["EVER_SMOKED", "INCOME", "MOTHER_HIP_FRACTURE", "RACE", "site_number"]

RACE = Variable("race", "Race as recorded", "person", "category")
INCOME = Variable("income", "Household income", "person", "category")
EVER_SMOKED = Variable("ever_smoked", "Ever smoked", "person", "flag")
MOTHER_HIP_FRACTURE = Variable("mother_hip_fracture", "Mother broke a hip", "person", "flag")


def site_number(
    name: str, label: str, pathway: str, unit: str, low: float, high: float, *, specimen: str = ""
) -> Variable:
    """Return a number of a data set's own, accepted in one unit only."""
    return Variable(
        name=name,
        label=label,
        pathway=pathway,
        unit=unit,
        units={unit: 1.0},
        low=low,
        high=high,
        specimen=specimen,
    )
