"""Frames: the pandera schema that the features of a cohort keep, derived from their variables.

pandera's own messages quote cells. Nothing of them leaves this module: what is broken comes out as
findings with a rule and a count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data_schema.errors import Finding
from data_schema.units import in_range, range_text
from data_schema.variables import BELOW, Variable, base_name

if TYPE_CHECKING:
    from pandera.errors import SchemaError
    from pandera.pandas import Check, Column, DataFrameSchema

__all__ = ["broken_rules", "feature_schema"]

# A change per day and a number of samples are not the variable's own quantity.
_OTHER_QUANTITIES = ("__slope", "__count")


def feature_schema(columns: Collection[str], variables: Mapping[str, Variable]) -> DataFrameSchema:
    """Return the schema of a frame of features in canonical units.

    Numbers are float64 within the plausible range of their variable, or a detection limit under it;
    flags are 0 or 1; categories are among the variable's own. Every cell may be missing.

    Parameters
    ----------
    columns : collection of str
        Features: names of variables, with or without a suffix.
    variables : mapping of str to Variable
        Record of each base variable.

    Returns
    -------
    pandera.DataFrameSchema
    """
    # pandera takes half a second to import, which `osteon --help` must not wait for.
    from pandera.pandas import DataFrameSchema

    flagged = {name for name in columns if f"{name}__{BELOW}" in columns}
    return DataFrameSchema(
        {name: _column(name, variables[base_name(name)], flagged) for name in columns},
        checks=[_range_beside_limits(name, variables[name]) for name in columns if name in flagged],
        strict=True,
    )


def broken_rules(features: pd.DataFrame, variables: Mapping[str, Variable]) -> list[Finding]:
    """Return the rules of the schema that features break.

    Parameters
    ----------
    features : DataFrame
        In canonical units.
    variables : mapping of str to Variable
        Record of each base variable.

    Returns
    -------
    list of Finding
        Rules `range`, `flag`, `category` and `type`, each with its count of rows.
    """
    from pandera.errors import SchemaErrors

    schema = feature_schema(list(features.columns), variables)
    try:
        schema.validate(features, lazy=True)
    except SchemaErrors as broken:
        return [_finding(error, variables, len(features)) for error in broken.schema_errors]
    return []


def _column(name: str, variable: Variable, flagged: Collection[str]) -> Column:
    from pandera.pandas import Check, Column

    if variable.kind == "flag" or name.endswith(f"__{BELOW}"):
        return Column(float, Check.isin([0.0, 1.0], name=f"flag {name}"), nullable=True)
    if variable.kind == "category":
        listed = [Check.isin(variable.categories, name=f"category {name}")]
        return Column(object, listed if variable.categories else [], nullable=True)
    if name in flagged or name.endswith(_OTHER_QUANTITIES):
        return Column(float, nullable=True)

    def plausible(values: pd.Series[Any]) -> pd.Series[Any]:
        return pd.Series(in_range(variable, values), index=values.index)

    return Column(float, Check(plausible, name=f"range {name}"), nullable=True)


def _range_beside_limits(name: str, variable: Variable) -> Check:
    """Return the check of a column whose flag tells a low limit from a value that is too low."""
    from pandera.pandas import Check

    def plausible(features: pd.DataFrame) -> pd.Series[Any]:
        below = features[f"{name}__{BELOW}"] == 1.0
        return pd.Series(in_range(variable, features[name], below=below), index=features.index)

    return Check(plausible, name=f"range {name}")


def _finding(error: SchemaError, variables: Mapping[str, Variable], n_rows: int) -> Finding:
    """Return what pandera found without what it quotes."""
    check = error.check
    rule, _, name = getattr(check, "name", "").partition(" ")
    if rule not in ("range", "flag", "category"):
        name = str(getattr(error.schema, "name", "") or "features")
        what = "be float64, or text where it is a category"
        return Finding(
            "type", name, 1, f"{name} must {what}; it is not. This is a defect of Osteon."
        )
    variable = variables[base_name(name)]
    what = {
        "range": range_text(variable),
        "flag": "0 or 1",
        "category": f"one of {', '.join(variable.categories)}",
    }[rule]
    output = error.check_output
    count = 1 if output is None else int((~np.asarray(output, dtype=np.bool_)).sum())
    message = f"{name} must be {what}; {count} of {n_rows} rows are not. Check values and unit."
    return Finding(rule, name, count, message)
