"""Update a fitted model to local patients: its level, its spread, or its level by site.

Few numbers are estimated, so that a few hundred local patients suffice, and the closed test chooses
no more of them than the patients support.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import chi2

from data_schema.errors import DataError
from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.folds import patient_codes
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from models.metrics.pooling import between_variance

__all__ = [
    "CHANCE",
    "LEAST_SLOPE",
    "AffineUpdate",
    "ClosedTest",
    "Family",
    "LocalPatients",
    "SiteLevels",
    "UpdateTest",
    "closed_test",
    "fit_site_levels",
    "fit_update",
]

Floats = NDArray[np.float64]
Family = Literal["intercept", "slope"]

CHANCE = 0.05
"""Level of each test of the closed procedure."""

LEAST_SLOPE = 0.05
"""A smaller slope would turn the order of the patients round, or erase it: it is refused."""

_LEVEL_SPREAD = 0.3
_LEVEL_SPREAD_BY_HORIZON = 0.05
_SLOPE_SPREAD = 0.15
_FEWEST_SITES = 2
_MAX_STEPS = 50
_LONGEST_STEP = 2.0
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LocalPatients:
    """Log-odds of a model for local patients, and what happened to them by each usable horizon.

    Parameters
    ----------
    log_odds : ndarray of float, shape (n_stays, n_horizons)
        Of the model that is to be updated.
    happened : ndarray of float, shape (n_stays, n_horizons)
        1 where the event happened by the horizon.
    weight : ndarray of float, shape (n_stays, n_horizons)
        Weight of a known outcome; 0 where it is unknown.
    horizons_days : tuple of float
        Ascending.
    patient : ndarray of int, shape (n_stays,)
        Stays of one patient count as one observation.
    """

    log_odds: Floats
    happened: Floats
    weight: Floats
    horizons_days: tuple[float, ...]
    patient: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        log_odds: Floats,
        time_days: ArrayLike,
        event: ArrayLike,
        horizons_days: Sequence[float],
        *,
        patients: ArrayLike,
    ) -> LocalPatients:
        """Return the patients at every horizon by which enough of their outcomes are known.

        Raises
        ------
        DataError
            If there is no such horizon.
        """
        time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
        codes = patient_codes(patients, len(time))
        censoring = CensoringDistribution.fit(time, kind)
        usable = [
            place
            for place, days in enumerate(horizons_days)
            if not why_not_evaluable(time, kind, days, censoring, groups=codes)
        ]
        if not usable:
            raise DataError(
                "an update needs 10 patients with and 10 without the event at some horizon; "
                f"0 of {len(horizons_days)} horizons have them. Bring more local patients."
            )
        known = [
            known_outcome(time, kind, horizons_days[place], censoring=censoring) for place in usable
        ]
        return cls(
            np.asarray(log_odds, dtype=np.float64)[:, usable],
            np.column_stack([outcome.happened for outcome in known]).astype(np.float64),
            np.column_stack([outcome.weight for outcome in known]),
            tuple(float(horizons_days[place]) for place in usable),
            codes,
        )

    @property
    def has_both_outcomes(self) -> bool:
        """Whether enough patients have the event, and enough do not, by some horizon."""
        known = self.weight > 0
        with_event = [
            len(np.unique(self.patient[(happened > 0) & at]))
            for happened, at in zip(self.happened.T, known.T, strict=True)
        ]
        without = [
            len(np.unique(self.patient[(happened == 0) & at]))
            for happened, at in zip(self.happened.T, known.T, strict=True)
        ]
        return any(min(pair) >= MIN_EVENTS for pair in zip(with_event, without, strict=True))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> LocalPatients:
        """Return some of the stays, with the weights that they have among all."""
        return LocalPatients(
            self.log_odds[rows],
            self.happened[rows],
            self.weight[rows],
            self.horizons_days,
            self.patient[rows],
        )


@dataclass(frozen=True, slots=True)
class AffineUpdate:
    """The updated log-odds: `shift(h) + slope * log-odds`.

    Attributes
    ----------
    log_h : tuple of float
        Logarithms of the horizons, ascending, between which the shift is a line; it is flat beyond.
    shift : tuple of float
        Log-odds added at each of them.
    slope : float
        Positive.
    variance_of_level, variance_of_slope : float
        Sampling variance of the updated log-odds at `center`, the largest over the horizons, and
        that of the slope; 0 where it is held at 1.
    center : float
        Mean of the local patients' log-odds.
    """

    log_h: tuple[float, ...]
    shift: tuple[float, ...]
    slope: float
    variance_of_level: float
    variance_of_slope: float
    center: float

    def shift_at(self, days: ArrayLike) -> Floats:
        """Return the shift at horizons in days."""
        return np.asarray(np.interp(np.log(np.asarray(days, float)), self.log_h, self.shift))

    def log_odds(self, before: Floats, days: ArrayLike) -> Floats:
        """Return updated log-odds, shape (n, h), of log-odds at h horizons in days."""
        return np.asarray(self.shift_at(days) + self.slope * before)


@dataclass(frozen=True, slots=True)
class UpdateTest:
    """One test of the closed procedure: whether an update suffices against the next larger one."""

    suffices: Literal["none", "intercept"]
    statistic: float
    degrees_of_freedom: int
    p: float


@dataclass(frozen=True, slots=True)
class ClosedTest:
    """Which update the local patients support, and the tests that led to it, in their order."""

    chosen: Literal["none", "intercept", "slope"]
    tests: tuple[UpdateTest, ...]


def fit_update(patients: LocalPatients, family: Family) -> AffineUpdate:
    r"""Return the level, or level and slope, of local patients, shrunk towards no update.

    Parameters
    ----------
    patients : LocalPatients
    family : {"intercept", "slope"}
        Whether the slope is held at 1 or fitted.

    Raises
    ------
    DataError
        If the slope is below `LEAST_SLOPE`: the model does not rank these patients.

    Notes
    -----
    Logistic recalibration [1]_ of all horizons together, each with a level of its own, weighted for
    censoring: :math:`\mathrm{logit} F'(h) = a_h + b\,\mathrm{logit} F(h)`. One slope for all
    horizons keeps the updated curve from falling. Variances are those of the sandwich, in which a
    patient's horizons and stays are one observation [2]_.

    The estimate and its variance are combined with a normal prior around no update: levels differ
    between hospitals with a standard deviation of 0.3, those of one hospital's horizons by 0.05
    about their own mean, and slopes with 0.15. These are assumptions. Without them an update that
    the closed test allows is exaggerated in small cohorts, because a test lets the largest
    estimates through (`tests/benchmark/recalibration_study.py`).

    References
    ----------
    .. [1] Cox. Biometrika 45 (1958) 562-565. doi:10.1093/biomet/45.3-4.562
    .. [2] Liang & Zeger. Biometrika 73 (1986) 13-22. doi:10.1093/biomet/73.1.13
    """
    center = float(np.average(patients.log_odds, weights=patients.weight))
    with_slope = family == "slope"
    theta, covariance = _fitted(patients, center, with_slope=with_slope)
    levels = len(patients.horizons_days)
    # theta | data = theta_0 + P (P + V)^-1 (estimate - theta_0), with V the estimate's variance, P
    # the prior's, and theta_0 = (c, ..., c[, 1]) no update; its variance is P - P (P + V)^-1 P.
    no_update = _no_update(levels, center, with_slope=with_slope)
    prior = _prior(levels, with_slope=with_slope)
    gain = np.linalg.solve(prior + covariance, prior).T
    theta = no_update + gain @ (theta - no_update)
    variance = np.diag(prior - gain @ prior)
    slope = float(theta[-1]) if with_slope else 1.0
    if slope < LEAST_SLOPE:
        raise DataError(
            f"the slope of an update must be at least {LEAST_SLOPE}; it is smaller, so the model "
            "hardly ranks these patients, or ranks them the wrong way round. Check outcome and "
            "units, or train a model of these patients."
        )
    # Fitted as a_h + b (eta - c), so that level and slope are nearly independent.
    shift = theta[:levels] - slope * center
    return AffineUpdate(
        log_h=tuple(float(at) for at in np.log(patients.horizons_days)),
        shift=tuple(shift.tolist()),
        slope=slope,
        variance_of_level=float(variance[:levels].max()),
        variance_of_slope=float(variance[levels]) if with_slope else 0.0,
        center=center,
    )


def _no_update(levels: int, center: float, *, with_slope: bool) -> Floats:
    """Return the parameters of no update."""
    return np.append(np.full(levels, center), [1.0] if with_slope else [])


def _prior(levels: int, *, with_slope: bool) -> Floats:
    """Return the prior variance of the parameters."""
    out = np.zeros((levels + with_slope, levels + with_slope))
    out[:levels, :levels] = _LEVEL_SPREAD**2 + _LEVEL_SPREAD_BY_HORIZON**2 * np.eye(levels)
    if with_slope:
        out[-1, -1] = _SLOPE_SPREAD**2
    return out


def closed_test(patients: LocalPatients) -> ClosedTest:
    """Return the smallest of none, intercept, and intercept and slope that suffices.

    Notes
    -----
    The closed procedure of Vergouwe et al. [1]_: against the model with level and slope refitted,
    first the model as it is, then the model with its level refitted; the first that is not rejected
    at `CHANCE` is chosen, so that an adequate model is changed in 5 of 100 cohorts only. Their
    likelihood-ratio tests are replaced by Wald tests with the sandwich variance, because weights
    for censoring and several horizons of a patient have no likelihood.

    References
    ----------
    .. [1] Vergouwe et al. Stat Med 36 (2017) 4529-4539. doi:10.1002/sim.7179
    """
    levels = len(patients.horizons_days)
    center = float(np.average(patients.log_odds, weights=patients.weight))
    theta, covariance = _fitted(patients, center, with_slope=True)
    as_it_is = _no_update(levels, center, with_slope=True)
    tests = [_wald("none", theta - as_it_is, covariance)]
    if tests[0].p >= CHANCE:
        return ClosedTest("none", tuple(tests))
    tests.append(_wald("intercept", theta[-1:] - 1.0, covariance[-1:, -1:]))
    return ClosedTest("slope" if tests[1].p < CHANCE else "intercept", tuple(tests))


def _wald(suffices: Literal["none", "intercept"], apart: Floats, covariance: Floats) -> UpdateTest:
    """Return the Wald test that parameters equal those of a smaller update."""
    statistic = float(apart @ np.linalg.pinv(covariance, hermitian=True) @ apart)
    return UpdateTest(suffices, statistic, len(apart), float(chi2.sf(statistic, len(apart))))


def _fitted(patients: LocalPatients, center: float, *, with_slope: bool) -> tuple[Floats, Floats]:
    """Return (a_1, ..., a_H[, b]) and their covariance, of log-odds less `center`."""
    # Independence estimating equations: U(theta) = sum_i sum_h w_ih x_ih (y_ih - p_ih) = 0, with
    # x_ih = (e_h, eta_ih - c). Newton's step is A^-1 U with A = sum w p (1 - p) x x'; the sandwich
    # is A^-1 (sum over patients of u u') A^-1 with u the sum of a patient's terms.
    n, levels = patients.log_odds.shape
    eta = patients.log_odds - center
    design = np.broadcast_to(np.eye(levels), (n, levels, levels))
    if with_slope:
        design = np.concatenate([design, eta[..., None]], axis=-1)
    offset = np.zeros_like(eta) if with_slope else eta
    theta = np.zeros(design.shape[-1])
    if with_slope:
        theta[-1] = 1.0
    for _ in range(_MAX_STEPS):
        p = expit(offset + design @ theta)
        terms = (patients.weight * (patients.happened - p))[..., None] * design
        curvature = np.einsum("nh,nhk,nhl->kl", patients.weight * p * (1 - p), design, design)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(theta)), terms.sum((0, 1)))
        theta = theta + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        if np.abs(step).max() < _TOLERANCE:
            break
    by_patient = np.zeros((int(patients.patient.max()) + 1, len(theta)))
    np.add.at(by_patient, patients.patient, terms.sum(1))
    present = len(np.unique(patients.patient))
    meat = by_patient.T @ by_patient * present / max(present - 1, 1)
    inverse = np.linalg.inv(curvature + 1e-9 * np.eye(len(theta)))
    return theta, np.asarray(inverse @ meat @ inverse)


@dataclass(frozen=True, slots=True)
class SiteLevels:
    """Each site's own level, shrunk towards the mean of all, in log-odds.

    Attributes
    ----------
    shift : mapping of str to float
        By site; their prior mean is 0.
    variance : mapping of str to float
        What is still unknown of each.
    between : float
        Variance between sites: what is unknown of a site that is not among them.
    """

    shift: Mapping[str, float]
    variance: Mapping[str, float]
    between: float

    def of(self, sites: NDArray[np.object_]) -> Floats:
        """Return the shift of each stay's site, 0 for a site without one, shape (n_stays,)."""
        return np.array([self.shift.get(str(site), 0.0) for site in sites])


def fit_site_levels(
    patients: LocalPatients, update: AffineUpdate, sites: NDArray[np.object_]
) -> SiteLevels:
    r"""Return the level of each site beside a common update, shrunk by how little is known of it.

    Parameters
    ----------
    patients : LocalPatients
    update : AffineUpdate
        Fitted to all of them.
    sites : ndarray of object, shape (n_stays,)
        None for a stay whose site is not known.

    Raises
    ------
    DataError
        If fewer than two sites have 10 patients with and 10 without the event.

    Notes
    -----
    Empirical Bayes: with :math:`y_s` the site's own level, :math:`v_s` its variance and
    :math:`\tau^2` the variance between sites by restricted maximum likelihood, the shift is
    :math:`\tau^2 / (\tau^2 + v_s)\,y_s`, and its variance
    :math:`\tau^2 v_s / (\tau^2 + v_s)` [1]_.

    References
    ----------
    .. [1] Morris. JASA 78 (1983) 47-55. doi:10.1080/01621459.1983.10477920
    """
    levels = _own_levels(patients, update, sites)
    if len(levels) < _FEWEST_SITES:
        raise DataError(
            f"an update by site needs at least {_FEWEST_SITES} sites with {MIN_EVENTS} patients "
            f"with and {MIN_EVENTS} without the event; {len(levels)} have them. Add sites, or "
            "update by intercept."
        )
    between = between_variance(
        [level for level, _ in levels.values()], [error for _, error in levels.values()]
    )
    share = {
        site: between / (between + error**2) if between > 0 else 0.0
        for site, (_, error) in levels.items()
    }
    return SiteLevels(
        {site: float(share[site] * level) for site, (level, _) in levels.items()},
        {site: float(share[site] * error**2) for site, (_, error) in levels.items()},
        float(between),
    )


def _own_levels(
    patients: LocalPatients, update: AffineUpdate, sites: NDArray[np.object_]
) -> dict[str, tuple[float, float]]:
    """Return each site's level beside an update, with its standard error."""
    eta = update.log_odds(patients.log_odds, patients.horizons_days)
    levels = {}
    for site in sorted({str(site) for site in sites if site is not None}):
        rows = np.array([site == str(one) for one in sites])
        own = patients.take(rows)
        if not own.has_both_outcomes:
            continue
        level = 0.0
        for _ in range(_MAX_STEPS):
            p = expit(eta[rows] + level)
            curvature = float((own.weight * p * (1 - p)).sum())
            terms = own.weight * (own.happened - p)
            step = float(terms.sum()) / curvature
            level += float(np.clip(step, -_LONGEST_STEP, _LONGEST_STEP))
            if abs(step) < _TOLERANCE:
                break
        by_patient = np.bincount(own.patient, weights=terms.sum(1))
        levels[site] = (level, float((by_patient**2).sum()) ** 0.5 / curvature)
    return levels
