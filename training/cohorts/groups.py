"""Which groups of patients a model is judged in, told apart by what is recorded of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.variables import BELOW, base_name

__all__ = ["MARKER_PATHWAYS", "patient_groups"]

MARKER_PATHWAYS = (
    "resorption",
    "formation",
    "opg_rankl",
    "wnt",
    "estrogen_endocrine",
    "fgf23_mineral",
    "osteopontin_immune",
)
"""Pathways whose variables count as markers measured."""

_UNKNOWN = "unknown"
_NO_MENOPAUSE = "not_applicable"
_AGES = ((50, "18 to 49"), (65, "50 to 64"), (75, "65 to 74"), (np.inf, "75 and over"))
_MARKERS = ((0, "0"), (4, "1 to 4"), (9, "5 to 9"), (np.inf, "10 or more"))
_MOST_SITES = 30

_Levels = NDArray[np.object_]


def patient_groups(cohort: Cohort) -> dict[str, _Levels]:
    """Return the level of every stay by sex, menopause, age, kidney, sepsis, site and markers.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    dict of str to ndarray of object, shape (n_stays,)
        Groupings that tell at least two groups apart; what is not recorded is `unknown`, and who
        has no place in a grouping, as men by menopause, is None.
    """
    features = cohort.features
    found: dict[str, _Levels] = {}
    if "sex" in features:
        found["sex"] = _texts(features["sex"])
    if "menopausal_status" in features:
        status = _texts(features["menopausal_status"])
        status[status == _NO_MENOPAUSE] = None
        found["menopause"] = status
    if "age" in features:
        found["age"] = _banded(features["age"], _AGES, below=True)
    if "egfr" in features:
        low = np.where(features["egfr"] < 60, "under 60", "60 and over").astype(object)
        found["egfr"] = np.where(features["egfr"].isna(), _UNKNOWN, low)
    if "sepsis" in features:
        found["sepsis"] = (
            features["sepsis"].map({1.0: "yes", 0.0: "no"}).fillna(_UNKNOWN).to_numpy(object)
        )
    if cohort.site is not None and len(set(cohort.site)) <= _MOST_SITES:
        found["site"] = _texts(pd.Series(cohort.site))
    markers = markers_measured(cohort)
    if markers is not None:
        found["markers measured"] = _banded(markers, _MARKERS, below=False)
    return {name: levels for name, levels in found.items() if len({*levels} - {None}) > 1}


def markers_measured(cohort: Cohort) -> pd.Series[float] | None:
    """Return how many markers of bone and immunity each stay has; None where there is no column."""
    columns = [
        str(name)
        for name in cohort.features.columns
        if cohort.variables[base_name(str(name))].pathway in MARKER_PATHWAYS
        and not str(name).endswith(f"__{BELOW}")
    ]
    if not columns:
        return None
    measured = cohort.features[columns].notna()
    by_variable = measured.T.groupby([base_name(name) for name in columns]).any()
    return by_variable.sum().astype(float)


def _texts(values: pd.Series[str]) -> _Levels:
    return values.fillna(_UNKNOWN).astype(str).to_numpy(dtype=object)


def _banded(
    values: pd.Series[float], bands: tuple[tuple[float, str], ...], *, below: bool
) -> _Levels:
    """Return the first band whose end a value lies below, or does not exceed."""
    level = np.full(len(values), _UNKNOWN, dtype=object)
    for end, name in reversed(bands):
        level[(values < end if below else values <= end).to_numpy()] = name
    return level
