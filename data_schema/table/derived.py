"""Derived values of a table: added where their variable has no column, compared where it has one.

An entered value always stands, blanks among it too: a column that the table brings is never filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from data_schema.derived.columns import columns_of_frame
from data_schema.derived.derivations import DERIVATIONS, derived_value, differs
from data_schema.errors import Finding
from data_schema.variables import Variable, base_name

__all__ = ["derive_absent", "parts_of"]


def derive_absent(
    features: pd.DataFrame, variables: Mapping[str, Variable]
) -> tuple[pd.DataFrame, dict[str, Variable], list[Finding]]:
    """Return the features with every derived value that the table has no column for.

    Parameters
    ----------
    features : DataFrame
        In canonical units, as a cohort holds them, with flags of what is recorded as not done.
    variables : mapping of str to Variable
        The record of every base variable in `features`.

    Returns
    -------
    (DataFrame, dict of str to Variable, list of Finding)
        `derived_value` names what was added, from which variables and in how many rows;
        `derived_differs` counts the rows whose entered value differs from the derived one by more
        than rounding, but not where a variable was measured more than once: the last values need
        not belong together, and a score is of the worst. Neither ever holds a value.
    """
    features = features.copy()
    variables = dict(variables)
    findings: list[Finding] = []
    brought = {base_name(name) for name in features.columns}
    for name, derivation in DERIVATIONS.items():
        if not brought.intersection(derivation.reads):
            continue
        values = derived_value(name, columns_of_frame(features))
        held = [one for one in derivation.reads if one in brought]
        if name in features.columns:
            differing = differs(name, features[name].to_numpy(np.float64), values)
            count = int((differing & ~_several(features, name)).sum())
            if count:
                findings.append(_differs(name, held, count, len(features)))
        elif name not in brought and np.isfinite(values).any():
            features[name] = values
            variables[name] = VARIABLES[name]
            brought.add(name)
            findings.append(_added(name, held, int(np.isfinite(values).sum()), len(features)))
    return features, variables, findings


def parts_of(names: frozenset[str], columns: frozenset[str]) -> Iterator[str]:
    """Yield the variables from which those of `names` without a column can be derived."""
    for name in names - columns:
        if name in DERIVATIONS:
            for part in DERIVATIONS[name].reads:
                yield part
                # P/F is itself derived where a score needs it.
                yield from parts_of(frozenset({part}), columns)


def _several(features: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return the rows in which a variable that another follows from was measured repeatedly."""
    parts = {*DERIVATIONS[name].reads, *parts_of(frozenset({name}), frozenset())}
    counts = [column for part in parts if (column := f"{part}__count") in features]
    return (features[counts] > 1).any(axis=1).to_numpy(dtype=bool)


def _added(name: str, parts: list[str], count: int, n_rows: int) -> Finding:
    message = (
        f"{name} is derived from {', '.join(parts)} in {count} of {n_rows} rows, since the table "
        f"has no column of it. Add a column {name} to use recorded values."
    )
    return Finding("derived_value", name, count, message)


def _differs(name: str, parts: list[str], count: int, n_rows: int) -> Finding:
    message = (
        f"{name} must agree with {', '.join(parts)}, from which it follows; {count} of {n_rows} "
        "rows differ by more than rounding. The entered values are used. Check units and windows."
    )
    return Finding("derived_differs", name, count, message)
