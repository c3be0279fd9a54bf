"""The subgroups of patients in which a model is evaluated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.social import is_social
from data_schema.variables import BELOW, base_name

__all__ = ["MARKER_PATHWAYS", "MOST_SITES", "groups_of_part", "patient_groups"]

MARKER_PATHWAYS = (
    "resorption",
    "formation",
    "opg_rankl",
    "wnt",
    "estrogen_endocrine",
    "fgf23_mineral",
    "osteopontin_immune",
)
"""Pathways whose variables count as markers."""

_UNKNOWN = "unknown"
_NO_MENOPAUSE = "not_applicable"
_AGES = ((50, "18 to 49"), (65, "50 to 64"), (75, "65 to 74"), (np.inf, "75 and over"))
_MARKERS = ((0, "0"), (4, "1 to 4"), (9, "5 to 9"), (np.inf, "10 or more"))
_EDUCATION = ((12, "under 12 years"), (13, "12 years"), (np.inf, "over 12 years"))
MOST_SITES = 30
"""Most sites that are judged apart."""


_Levels = NDArray[np.object_]


def groups_of_part(cohort: Cohort) -> dict[str, _Levels]:
    """Return the groups of some of the stays of a cohort, also where they have one level only.

    A grouping whose bounds are those of the whole cohort, as thirds of income, is left out.
    """
    return _groupings(cohort, _social_groups(cohort, with_thirds=False), most_sites=None)


def patient_groups(cohort: Cohort) -> dict[str, _Levels]:
    """Return the group of every stay by sex, age, race, limitation of treatment and the like.

    Groupings with at least two groups, each of shape (n_stays,). A value that is not recorded is
    `unknown`; a stay to which a grouping does not apply, as men by menopause, is None.
    """
    groupings = _groupings(cohort, _social_groups(cohort, with_thirds=True), most_sites=MOST_SITES)
    return {name: levels for name, levels in groupings.items() if len({*levels} - {None}) > 1}


def _groupings(
    cohort: Cohort, social: dict[str, _Levels], *, most_sites: int | None
) -> dict[str, _Levels]:
    """Return the groups by every grouping that the cohort has columns for."""
    features = cohort.features
    groupings: dict[str, _Levels] = {}
    if "sex" in features:
        groupings["sex"] = _texts(features["sex"])
    if "menopausal_status" in features:
        status = _texts(features["menopausal_status"])
        status[status == _NO_MENOPAUSE] = None
        groupings["menopause"] = status
    if "age" in features:
        groupings["age"] = _banded(features["age"], _AGES, below=True)
    if "egfr" in features:
        low = np.where(features["egfr"] < 60, "under 60", "60 and over").astype(object)
        groupings["egfr"] = np.where(features["egfr"].isna(), _UNKNOWN, low)
    if "sepsis" in features:
        groupings["sepsis"] = (
            features["sepsis"].map({1.0: "yes", 0.0: "no"}).fillna(_UNKNOWN).to_numpy(object)
        )
    groupings |= social
    if cohort.site is not None and (most_sites is None or len({*cohort.site}) <= most_sites):
        groupings["site"] = _texts(pd.Series(cohort.site))
    if cohort.treatment_limits is not None:
        limited = pd.Series(cohort.treatment_limits.limited)
        groupings["limitation of treatment"] = (
            limited.map({0.0: "none recorded", 1.0: "recorded"}).fillna(_UNKNOWN).to_numpy(object)
        )
    markers = _markers_measured(cohort)
    if markers is not None:
        groupings["markers measured"] = _banded(markers, _MARKERS, below=False)
    return groupings


def _social_groups(cohort: Cohort, *, with_thirds: bool) -> dict[str, _Levels]:
    """Return the groups by race, income and education, whether or not the model reads them."""
    read = cohort.features
    recorded = read if cohort.social is None else pd.concat([read, cohort.social], axis=1)
    groupings = {}
    for name in map(str, recorded.columns):
        if not is_social(name) or base_name(name) != name:
            continue
        values = recorded[name]
        if name == "education_years":
            levels = _banded(values, _EDUCATION, below=True)
        elif pd.api.types.is_numeric_dtype(values):
            if not with_thirds:
                continue
            levels = _thirds(values)
        else:
            levels = _texts(values)
        groupings[name.replace("_", " ")] = levels
    return groupings


def _thirds(values: pd.Series[float]) -> _Levels:
    """Return the third of each value among those recorded."""
    lower, upper = values.quantile([1 / 3, 2 / 3])
    thirds = ((lower, "lowest third"), (upper, "middle third"), (np.inf, "highest third"))
    return _banded(values, thirds, below=True)


def _markers_measured(cohort: Cohort) -> pd.Series[float] | None:
    """Return the number of markers measured in each stay; None where the cohort has none."""
    columns = [
        str(name)
        for name in cohort.features.columns
        # A column that the model reads and no stay has a value of belongs to no variable here.
        if (variable := cohort.variables.get(base_name(str(name)))) is not None
        and variable.pathway in MARKER_PATHWAYS
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
    """Return the first band whose end a value lies below, or with `below` false does not exceed."""
    level = np.full(len(values), _UNKNOWN, dtype=object)
    for end, name in reversed(bands):
        level[(values < end if below else values <= end).to_numpy()] = name
    return level
