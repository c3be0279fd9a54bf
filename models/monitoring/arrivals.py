"""Patients who arrived in one period, as the checks of `models.monitoring` read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrivals", "ObservedOutcomes"]


@dataclass(frozen=True, slots=True, eq=False)
class ObservedOutcomes:
    """What happened to the patients of a period, as far as it is known.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_stays,)
        Time to the first event or to censoring; 0 censored, 1 the outcome, 2 the competing event.
        The time is NaN where nothing has been reported yet: such stays are left out, as if what is
        reported first did not depend on what happened.
    """

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """The stays of one period.

    Parameters
    ----------
    stays : int
    numbers : mapping of str to ndarray of float, shape (n_stays,)
        By feature, in the canonical unit *as stated*: a value outside its plausible range is still
        there, since a wrong unit shows in it. NaN where nothing is recorded. Empty where the source
        holds no values.
    texts : mapping of str to ndarray of object, shape (n_stays,)
        Categories; None where nothing is recorded.
    stated_units : mapping of str to (float, float)
        Feature -> factor and offset to the canonical unit that the source stated, where it is not
        the canonical unit itself.
    new_categories : mapping of str to int
        Feature -> stays with a category that the catalogue does not know.
    horizons_days : tuple of float
    risk : ndarray of float, shape (n_stays, n_horizons)
        Refused stays hold NaN.
    refused : ndarray of bool, shape (n_stays,)
    patient, site : ndarray of object, shape (n_stays,), or None
    groups : mapping of str to ndarray of object, shape (n_stays,)
        What patients are grouped by -> level of each stay.
    outcomes : ObservedOutcomes or None
    """

    stays: int
    numbers: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, NDArray[np.object_]]
    horizons_days: tuple[float, ...]
    risk: NDArray[np.float64]
    refused: NDArray[np.bool_]
    stated_units: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    new_categories: Mapping[str, int] = field(default_factory=dict)
    patient: NDArray[np.object_] | None = None
    site: NDArray[np.object_] | None = None
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    outcomes: ObservedOutcomes | None = None

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Arrivals:
        """Return some of the stays; unknown categories are not counted by stay, and left out."""
        outcomes = self.outcomes
        return replace(
            self,
            stays=len(self.refused[rows]),
            numbers={name: values[rows] for name, values in self.numbers.items()},
            texts={name: values[rows] for name, values in self.texts.items()},
            risk=self.risk[rows],
            refused=self.refused[rows],
            new_categories={},
            patient=None if self.patient is None else self.patient[rows],
            site=None if self.site is None else self.site[rows],
            groups={name: levels[rows] for name, levels in self.groups.items()},
            outcomes=None
            if outcomes is None
            else ObservedOutcomes(outcomes.time_days[rows], outcomes.event[rows]),
        )

    def sites(self) -> list[str]:
        """Return the names of the sites, if there are several."""
        if self.site is None:
            return []
        names = sorted({str(name) for name in self.site if name is not None})
        return names if len(names) > 1 else []

    def of_site(self, name: str) -> NDArray[np.bool_]:
        """Return which stays are of a site."""
        assert self.site is not None
        return np.array([str(one) == name if one is not None else False for one in self.site])
