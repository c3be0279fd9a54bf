"""How long patients stayed under observation, and the weight that gives a known outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import DataError

__all__ = ["MIN_PATIENTS_PER_SITE", "CensoringDistribution", "ipcw_weights", "is_known"]

MIN_PATIENTS_PER_SITE = 100
"""Patients that a site needs for its own curve; smaller sites share the pooled curve.

Any patients count, censored or not: a site that lost none has G = 1."""

_Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class CensoringDistribution:
    r"""Kaplan-Meier estimate of the probability G(t) of still being under observation.

    Only censoring (`event == 0`) counts as its event. Among ties events come before censoring: a
    patient with an event at t is not at risk of being censored at t (R: `prodlim(reverse = TRUE)`).

    Parameters
    ----------
    pooled : tuple of ndarray
        Times at which a patient left, ascending, shape (n_times,), and G just after each of them,
        shape (n_times,), or (n_times, n_resamples) when fitted with the counts of resamples.
    by_site : mapping of str to tuple of ndarray
        The same for each site with at least `MIN_PATIENTS_PER_SITE` patients.

    Notes
    -----
    :math:`G(t) = \prod_{u \le t} 1 - c(u) / (Y(u) - d(u))` with c censored and d events at u, and
    Y at risk just before u [1]_.

    References
    ----------
    .. [1] Gerds & Schumacher. Biom J 48 (2006) 1029-1040. doi:10.1002/bimj.200610301

    Examples
    --------
    >>> censoring = CensoringDistribution.fit([1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1])
    >>> censoring.survival_before([1.0, 2.0, 3.0]).round(3)
    array([1.   , 0.75 , 0.375])
    """

    pooled: _Curve
    by_site: Mapping[str, _Curve] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        time_days: ArrayLike,
        event: ArrayLike,
        *,
        sites: ArrayLike | None = None,
        counts: ArrayLike | None = None,
    ) -> CensoringDistribution:
        """Estimate G from observed times.

        Parameters
        ----------
        time_days : array-like of float, shape (n_patients,)
            Time to the first event or to censoring.
        event : array-like of int, shape (n_patients,)
            0 censored; anything else is an event.
        sites : array-like of str, shape (n_patients,), optional
            Site of each patient (default: one curve for all).
        counts : array-like of float, shape (n_patients,) or (n_patients, n_resamples), optional
            How often each patient occurs, per bootstrap resample (default: once).

        Returns
        -------
        CensoringDistribution
            The pooled curve and those of the sites that are large enough.
        """
        time = np.asarray(time_days, dtype=np.float64)
        censored = np.asarray(event) == 0
        count = np.ones(len(time)) if counts is None else np.asarray(counts, dtype=np.float64)
        by_site: dict[str, _Curve] = {}
        if sites is not None:
            site_of = np.asarray(sites).astype(str)
            for site in np.unique(site_of):
                here = site_of == site
                if here.sum() >= MIN_PATIENTS_PER_SITE:
                    by_site[str(site)] = _kaplan_meier(time[here], censored[here], count[here])
        return cls(_kaplan_meier(time, censored, count), by_site)

    def survival_before(
        self, time_days: ArrayLike, *, sites: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return G(t-), the probability of still being observed just before each time.

        Parameters
        ----------
        time_days : array-like of float, shape (n,) or (n, h)
            Days from time zero.
        sites : array-like of str, shape (n,), optional
            Site of each row; a site without its own curve uses the pooled curve.

        Returns
        -------
        ndarray of float, shape of `time_days`, or (n, n_resamples)
            Falling with time; 1 before the first censoring.
        """
        time = np.asarray(time_days, dtype=np.float64)
        survival = _before(self.pooled, time)
        if sites is not None:
            site_of = np.asarray(sites).astype(str)
            for site, curve in self.by_site.items():
                here = site_of == site
                survival[here] = _before(curve, time[here])
        return survival

    def lowest_before(self, horizon_days: float) -> float:
        """Return the lowest G(h-) over its curves; its inverse is the largest weight by then."""
        curves = (self.pooled, *self.by_site.values())
        return min(float(_before(curve, np.array([horizon_days])).min()) for curve in curves)


def is_known(time_days: ArrayLike, event: ArrayLike, horizon_days: ArrayLike) -> NDArray[np.bool_]:
    """Return whether it is known if an event had happened by the horizon.

    It is after an event of any kind by then, or with T >= h: a survivor censored exactly at the
    horizon is known (requiring T > h would give risk 1 wherever follow-up ends at the horizon).

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored; anything else is an event.
    horizon_days : float or array-like of float, shape (n_patients,)
        One horizon for all, or one for each patient.

    Returns
    -------
    ndarray of bool, shape (n_patients,)
        False only for patients censored before the horizon.

    Examples
    --------
    >>> is_known([5.0, 5.0, 9.0, 10.0], [1, 0, 2, 0], 10.0)
    array([ True, False,  True,  True])
    """
    time = np.asarray(time_days, dtype=np.float64)
    horizon = np.asarray(horizon_days, dtype=np.float64)
    # Known: an event by h, or T >= h. Only a patient censored before h is unknown.
    known: NDArray[np.bool_] = ((np.asarray(event) != 0) & (time <= horizon)) | (time >= horizon)
    return known


def ipcw_weights(
    time_days: ArrayLike,
    event: ArrayLike,
    horizon_days: ArrayLike,
    censoring: CensoringDistribution,
    *,
    sites: ArrayLike | None = None,
) -> NDArray[np.float64]:
    r"""Return the inverse-probability-of-censoring weight of each patient's outcome at the horizon.

    Unknown outcomes weigh 0. When `censoring` was fitted on the same patients, the weights of each
    resample sum to its number of patients, and the weighted share of events is the Aalen-Johansen
    estimate (Kaplan-Meier without competing events).

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    horizon_days : float or array-like of float, shape (n_patients,)
        One horizon for all, or one for each patient.
    censoring : CensoringDistribution
        Fitted on the training patients (model) or on the patients evaluated (metrics).
    sites : array-like of str, shape (n_patients,), optional
        Site of each patient.

    Returns
    -------
    ndarray of float, shape (n_patients,) or (n_patients, n_resamples)
        0 where unknown, else at least 1.

    Raises
    ------
    DataError
        If a known outcome lies where no patient was under observation any more, so that G is 0, or
        an outcome is unknown and no patient observed up to the horizon can represent it.

    Notes
    -----
    :math:`w_i = 1\{\text{known at } h\} / G(\min(T_i, h)-)` [1]_.

    References
    ----------
    .. [1] Graf et al. Stat Med 18 (1999) 2529-2545.
       doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5

    Examples
    --------
    >>> time, event = [1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1]
    >>> ipcw_weights(time, event, 2.0, CensoringDistribution.fit(time, event)).round(3)
    array([0.   , 1.333, 1.333, 1.333])
    """
    time = np.asarray(time_days, dtype=np.float64)
    known = is_known(time, event, horizon_days)
    # Given the time T of the event, a patient is known at h with probability G(min(T, h)-), so that
    # E[1{known} / G(min(T, h)-)] = 1 and each known patient also represents similar patients who
    # were lost.
    at = np.minimum(time, np.asarray(horizon_days, dtype=np.float64))
    survival = censoring.survival_before(at, sites=sites)
    # A resample may leave no patient at risk at the time of a patient it did not draw. That
    # patient has count 0, and an infinite weight must not become 0 * inf. This is no error.
    usable = (known & (survival > 0).T).T
    if survival.ndim == 1:
        _require_observed(usable, known, horizon_days, censoring, sites)
    return np.divide(1.0, survival, out=np.zeros_like(survival), where=usable)


def _require_observed(
    usable: NDArray[np.bool_],
    known: NDArray[np.bool_],
    horizon_days: ArrayLike,
    censoring: CensoringDistribution,
    sites: ArrayLike | None,
) -> None:
    """Raise `DataError` if an outcome is known, or needs representation, beyond follow-up."""
    horizon = np.broadcast_to(np.asarray(horizon_days, dtype=np.float64), known.shape)
    # Patients who stayed to the horizon represent those lost; without any, weight is missing.
    unmatched = ~known & (censoring.survival_before(horizon, sites=sites) == 0)
    beyond = int(((usable != known) | unmatched).sum())
    if beyond:
        raise DataError(
            "horizon_days must lie where patients were still under observation; "
            f"{beyond} of {len(known)} rows do not. Choose a shorter horizon."
        )


def _kaplan_meier(
    time: NDArray[np.float64], censored: NDArray[np.bool_], count: NDArray[np.float64]
) -> _Curve:
    """Return the observed times and G just after each of them."""
    # At each distinct time u, with counts per resample in the second axis: `leaving` = c(u) + d(u),
    # `leaving_censored` = c(u). A sum from the last time backwards gives Y(u), at risk just before
    # u; less d(u), as events come before censoring, it is the denominator, and
    #   G(u) = product over v <= u of (1 - c(v) / (Y(v) - d(v))).
    order = np.argsort(time, kind="stable")
    times, start = np.unique(time[order], return_index=True)
    leaving = np.add.reduceat(count[order], start, axis=0)
    leaving_censored = np.add.reduceat((count[order].T * censored[order]).T, start, axis=0)
    at_risk = np.cumsum(leaving[::-1], axis=0)[::-1] - (leaving - leaving_censored)
    hazard = np.divide(leaving_censored, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    return times, np.cumprod(1.0 - hazard, axis=0)


def _before(curve: _Curve, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the left limit of a step function that starts at 1."""
    times, survival = curve
    # side="left" counts the times < t: steps[count] is the value just before t, G(t-).
    steps = np.concatenate([np.ones((1, *survival.shape[1:])), survival])
    before: NDArray[np.float64] = steps[np.searchsorted(times, time, side="left")]
    return before
