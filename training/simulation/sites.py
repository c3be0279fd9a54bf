"""The simulated hospitals: their kits and specimens, panels and detection limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_schema.biomarkers import VARIABLES
from training.simulation.marker import Marker
from training.simulation.markers import marker_table
from training.simulation.parameter import Basis, assumed

__all__ = [
    "CENSORED",
    "ONCE",
    "PANELS",
    "ROUTINE",
    "SITES",
    "WITHIN_PANEL",
    "Site",
    "assay_offsets",
    "available",
    "lower_limits",
]


@dataclass(frozen=True, slots=True)
class Site:
    """One hospital.

    Parameters
    ----------
    share : float
        Share of all patients.
    not_measured : frozenset of str
        Markers that its kits do not measure.
    limits : mapping of str to float
        Detection limits that differ from the catalogue's.
    older : float
        Years by which its patients are older.
    """

    name: str
    share: float
    not_measured: frozenset[str]
    limits: Mapping[str, float] = field(default_factory=dict)
    older: float = 0.0


_MOLAR = frozenset({"opg", "rankl_free", "rankl_total", "sclerostin", "dkk1", "bsap_act"})
_MASS = frozenset(
    {"opg_mass", "rankl_free_mass", "rankl_total_mass", "sclerostin_mass", "dkk1_mass", "bsap_mass"}
)
_PLASMA, _SERUM = frozenset({"osteopontin"}), frozenset({"osteopontin_serum"})
_INTACT = frozenset({"fgf23_i", "fgf23_i_units"})
_LC_MS: Mapping[str, float] = {"estradiol": 2.18}

SITES: tuple[Site, ...] = (
    Site("aachen", 0.24, _MASS | _PLASMA | _INTACT),
    Site("boston", 0.20, _MASS | _SERUM | {"fgf23_i_units", "troponin_i"}),
    Site("geelong", 0.16, _MOLAR | _SERUM | {"fgf23_i_units"}, older=2.0),
    Site("graz", 0.16, _MASS | _PLASMA | {"fgf23_i_units", "troponin_t"}, _LC_MS, older=3.0),
    Site("leuven", 0.14, _MASS | _SERUM | {"fgf23_c", "fgf23_i_units"}, _LC_MS),
    Site("nashville", 0.10, _MOLAR | _PLASMA | {"fgf23_i"}, older=-4.0),
)
"""Invented hospitals; their names make no claim about any real hospital."""

PANELS: Mapping[str, float] = {
    "scores": 0.92,
    "saps2": 0.50,
    "old_scores": 0.08,
    "vitals": 0.99,
    "gas": 0.85,
    "lactate": 0.85,
    "chemistry": 0.985,
    "liver": 0.80,
    "albumin": 0.80,
    "urine_output": 0.95,
    "mineral": 0.85,
    "calcium_ion": 0.80,
    "crp": 0.80,
    "troponin_i": 0.25,
    "troponin_t": 0.25,
    "lipids": 0.15,
    "turnover": 0.45,
    "turnover_more": 0.10,
    "turnover_rare": 0.03,
    "urine_collagen": 0.08,
    "urine_collagen_raw": 0.03,
    "fgf23": 0.50,
    "fgf23_rare": 0.05,
    "vitd25": 0.50,
    "vitd125": 0.10,
    "pth": 0.30,
    "osteopontin": 0.30,
    "il6": 0.35,
    "cytokines": 0.15,
    "cytokines_rare": 0.04,
    "angiotensin": 0.05,
    "wnt": 0.18,
    "wnt_rare": 0.03,
    "rankl_opg": 0.20,
    "rankl_rare": 0.04,
    "estradiol": 0.40,
    "gonadal": 0.15,
    "igf": 0.10,
    "cortisol": 0.20,
    "dxa": 0.10,
    "ct_l1": 0.35,
}
"""Panel -> share of the patients for whom it is ordered. All assumed: most patients lack most
markers, and almost all have routine laboratory values."""

PANELS_BASIS = assumed("21: exposure prevalences were not seen")

ONCE = frozenset({"dxa", "ct_l1"})
"""Panels that are not repeated during a stay."""

WITHIN_PANEL = 0.96
"""Share of an ordered panel's markers that the laboratory returns."""

ASSAY_SPREAD, ASSAY_BASIS = 0.10, Basis("1, 6: assays are not standardised", "seen")
ROUTINE = frozenset(
    {
        "scores",
        "saps2",
        "old_scores",
        "vitals",
        "gas",
        "lactate",
        "chemistry",
        "liver",
        "albumin",
        "urine_output",
        "mineral",
        "calcium_ion",
        "crp",
    }
)


def assay_offsets() -> NDArray[np.float64]:
    """Return the offset of each site's kits in units of a marker's spread, (n_sites, n_markers).

    It is the same in every cohort, and 0 for routine chemistry and scores.
    """
    rng = np.random.default_rng(2022)
    markers = marker_table().markers
    offsets = ASSAY_SPREAD * rng.standard_normal((len(SITES), len(markers)))
    offsets[:, [marker.panel in ROUTINE for marker in markers]] = 0.0
    return offsets


def available() -> NDArray[np.bool_]:
    """Return whether a site measures a marker at all, (n_sites, n_markers)."""
    names = marker_table().names
    return np.array([[name not in site.not_measured for name in names] for site in SITES])


def lower_limits() -> NDArray[np.float64]:
    """Return each detection limit in the catalogue's unit (default: -inf), (n_sites, n_markers)."""
    return np.array(
        [[site.limits.get(name, _usual(name)) for name in marker_table().names] for site in SITES]
    )


def _usual(name: str) -> float:
    limit = VARIABLES[name].detection_limit
    return -np.inf if limit is None else limit


def _reaches_its_limit(marker: Marker) -> bool:
    """Whether more than about 1 patient in 1,000 lies below the limit at some site."""
    lowest = marker.printed(np.array([marker.location - 3.0 * marker.spread]))[0]
    highest = max(site.limits.get(marker.name, _usual(marker.name)) for site in SITES)
    return bool(lowest < highest)


CENSORED: tuple[str, ...] = tuple(
    marker.name for marker in marker_table().markers if _reaches_its_limit(marker)
)
"""Markers with a `__below` column."""
