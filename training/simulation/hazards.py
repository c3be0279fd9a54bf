r"""When patients die, leave the ICU and break a bone, given states and facts.

Death has two sources. The acute illness kills in hospital or not at all: from time zero its
cumulative hazard is :math:`a\,e^{\eta_a}(1 - e^{-t/\tau})`. What a patient had before
admission kills at any time: :math:`c(t)\,e^{\eta_c}`. Fracture has a constant hazard from ICU
discharge, :math:`f\,e^{\eta_f}`. All three are log-linear in states and facts, with two
exceptions: the acute one is U-shaped in calcium and phosphate, and FGF23 raises the hazard of
fracture only in chronic kidney disease. The two hazards of death add up, so that hazards are not
proportional and the risk at one horizon is not a function of the risk at another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from training.simulation.parameter import Basis, assumed
from training.simulation.person import FACTS
from training.simulation.states import STATES

__all__ = [
    "BENDS",
    "CHRONIC_FROM_DAYS",
    "HAZARDS",
    "Courses",
    "Hazard",
    "chronic_by",
    "draw_courses",
    "fracture_incidence",
    "mortality_in_icu",
    "mortality_risk",
]

YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Hazard:
    """One log-hazard: its level, and what states and facts add to it.

    Parameters
    ----------
    level : float
        Of a patient with every state and fact at 0: cumulative for `acute`, per year for the
        others.
    states, facts : mapping of str to float
        Log hazard ratio per standard deviation of a state, or per unit of a fact.
    """

    level: float
    states: Mapping[str, float]
    facts: Mapping[str, float]
    basis: Basis

    def of_states(self) -> NDArray[np.float64]:
        """Return the log hazard ratios of the states, (n_states,)."""
        return np.array([self.states.get(state, 0.0) for state in STATES])

    def of_facts(self, left_out: frozenset[str] = frozenset()) -> NDArray[np.float64]:
        """Return the log hazard ratios of the facts, (n_facts,)."""
        return np.array([0.0 if fact in left_out else self.facts.get(fact, 0.0) for fact in FACTS])


HAZARDS: Mapping[str, Hazard] = {
    "acute": Hazard(
        0.0068,
        {
            "severity": 0.80,
            "inflammation": 0.10,
            "organs": 0.15,
            "fgf23": 0.68,
            "estrogen": 0.50,
            "frailty": 0.15,
            "vitamin_d": -0.05,
            "setback": 1.00,
        },
        {"age10": 0.22, "metastatic": 0.40, "emergency": 0.10, "sepsis": 0.40},
        assumed("19: hospital mortality, cFGF23, estradiol, OPN on day 3"),
    ),
    "chronic": Hazard(
        0.0185,
        {
            "frailty": 0.50,
            "severity": 0.10,
            "kidney": 0.10,
            "fgf23": 0.12,
            "bone_mass": -0.10,
            "anabolic": -0.10,
        },
        {
            "age10": 0.37,
            "cancer": 0.40,
            "metastatic": 1.00,
            "dementia": 0.35,
            "cvd": 0.15,
            "ckd": 0.15,
            "medical": 0.30,
            "female": -0.05,
        },
        assumed("10: 11.1, 21.2, 29.0 % at 1, 3, 5 years, by age"),
    ),
    "fracture": Hazard(
        0.0123,
        {
            "bone_mass": -0.30,
            "resorption": 0.15,
            "formation": 0.24,
            "anabolic": -0.10,
            "frailty": 0.10,
            "vitamin_d": -0.05,
        },
        {
            "age10": 0.22,
            "female": 0.38,
            "prior_fracture": 0.45,
            "falls": 0.18,
            "parental": 0.25,
            "steroid": 0.29,
            "ppi": 0.10,
            "opioid": 0.12,
            "loop_diuretic": 0.08,
            "rheumatoid": 0.20,
            "dementia": 0.20,
            "smoking": 0.12,
            "alcohol": 0.15,
            "teriparatide": -0.60,
            "bisphosphonate": -0.30,
            "denosumab": -0.40,
        },
        assumed("12, 13, 19: per 100 person-years by sex; hazard per SD of BMD, CTX, P1NP"),
    ),
}

FGF23_ON_FRACTURE_IN_CKD, FGF23_BASIS = 0.25, Basis("1: only eGFR < 60, RH 2.02 (Lane)", "seen")

BENDS: Mapping[str, tuple[float, float, Basis]] = {
    "calcium": (0.15, 0.2, assumed("7: < 0.8 or > 1.4 mmol/L linked to death")),
    "phosphate": (0.22, 0.0, assumed("7: hypo- OR 1.5, hyperphosphataemia OR 2.85")),
}
"""State -> curvature of the acute log-hazard (per squared SD), where it is lowest, and why."""

ACUTE_DAYS = 9.0
"""Mean time to an acute death if there were no other cause."""

CHRONIC_FROM_DAYS = (0.0, 182.0, 365.0, 1096.0)
CHRONIC_TIMES = (1.90, 1.25, 1.00, 1.10)
CHRONIC_BASIS = assumed("10: 30 d 2.2, 6 months 7.2, 1 year 11.1 %")

ICU_DEATH_SHARE, ICU_DEATH_BASIS = 0.72, Basis("10: ICU 16.2 of hospital 22.4 %", "seen")
ICU_STAY_DAYS, ICU_STAY_LN_SD = 2.6, 1.0
WARD_STAY_DAYS, WARD_STAY_LN_SD = 6.0, 0.8
LEFT_BEFORE_WARD_DEATH = (0.3, 0.9)
"""Patients who die on the ward left the ICU at a share of the way to death, uniform on this."""

STAY_BASIS = Basis("10: ICU median 3 d, hospital 10-12 d", "background")


@dataclass(frozen=True, slots=True)
class Courses:
    """Events of each patient, in days from time zero; infinite if they never happen.

    Parameters
    ----------
    death : ndarray of float, shape (n_patients,)
    icu_discharge : ndarray of float
        NaN for patients who die in the ICU.
    hospital_discharge : ndarray of float
        NaN for patients who die in hospital.
    fracture : ndarray of float
        Also if death comes first; NaN for patients who die in the ICU.
    """

    death: NDArray[np.float64]
    icu_discharge: NDArray[np.float64]
    hospital_discharge: NDArray[np.float64]
    fracture: NDArray[np.float64]

    def in_hospital(self, day: int) -> NDArray[np.bool_]:
        """Return which patients are alive and in hospital on a day of the stay."""
        # A patient who dies in hospital never leaves it.
        home = np.where(np.isnan(self.hospital_discharge), np.inf, self.hospital_discharge)
        return np.asarray(np.minimum(home, self.death) > day - 1)


def draw_courses(
    log_acute: NDArray[np.float64],
    log_chronic: NDArray[np.float64],
    log_fracture: NDArray[np.float64],
    rng: np.random.Generator,
) -> Courses:
    """Draw the courses from the full log-hazards, each of shape (n_patients,), levels included."""
    n = len(log_acute)
    # Inverse transform: with E exponential of mean 1, the time at which a cumulative hazard first
    # reaches E has that hazard. With B = exp(log_acute), tau = `ACUTE_DAYS` and E / B = `share`,
    #   B (1 - e^(-t/tau)) = E   <=>   t = -tau log(1 - E / B)   if E < B, and never otherwise,
    # so that a patient survives the acute illness with probability e^-B. The chronic hazard is a
    # broken line, inverted piece by piece.
    share = np.minimum(rng.exponential(size=n) / np.exp(log_acute), 1.0)
    acute = np.where(share < 1, -ACUTE_DAYS * np.log1p(-np.where(share < 1, share, 0.0)), np.inf)
    chronic = _inverse_chronic(rng.exponential(size=n) / np.exp(log_chronic))
    # Log-normal with these medians. Of the patients who die acutely on the ward, each left the ICU
    # a uniform share of the way to death; the other patients leave it after `stay`.
    stay = np.exp(np.log(ICU_STAY_DAYS) + ICU_STAY_LN_SD * rng.standard_normal(n))
    ward = np.exp(np.log(WARD_STAY_DAYS) + WARD_STAY_LN_SD * rng.standard_normal(n))
    acutely = acute < np.inf
    in_icu = acutely & (rng.random(n) < ICU_DEATH_SHARE)
    before = acute * rng.uniform(*LEFT_BEFORE_WARD_DEATH, n)
    left = np.where(acutely, np.where(acutely, before, 0.0), stay)
    death = np.minimum(acute, chronic)
    icu_discharge = np.where(in_icu | (left >= death), np.nan, left)
    home = icu_discharge + ward
    fracture = icu_discharge + rng.exponential(size=n) / np.exp(log_fracture) * YEAR
    return Courses(
        death=death,
        icu_discharge=icu_discharge,
        hospital_discharge=np.where(acutely | (home >= death), np.nan, home),
        fracture=fracture,
    )


def chronic_by(days: float) -> float:
    """Return the cumulative chronic hazard by a day, in units of its yearly level.

    Examples
    --------
    >>> round(chronic_by(182.0), 3)
    0.947
    """
    ends = (*CHRONIC_FROM_DAYS[1:], np.inf)
    return float(
        sum(
            # C(t) = sum_j k_j (min(t, e_j) - s_j)+ / 365.25: factor k_j = `times` from day s_j to
            # e_j.
            times * max(min(days, end) - start, 0.0) / YEAR
            for start, end, times in zip(CHRONIC_FROM_DAYS, ends, CHRONIC_TIMES, strict=True)
        )
    )


def mortality_risk(
    log_acute: NDArray[np.float64], log_chronic: NDArray[np.float64], days: float
) -> NDArray[np.float64]:
    """Return the risk of death by a day from time zero, given everything.

    Parameters
    ----------
    log_acute, log_chronic : ndarray of float
        Of one shape, levels included.
    """
    # F(t) = 1 - exp(-B (1 - e^(-t/tau)) - c C(t)), with B = exp(log_acute) and c =
    # exp(log_chronic).
    cumulative = np.exp(log_acute) * -np.expm1(-days / ACUTE_DAYS)
    cumulative += np.exp(log_chronic) * chronic_by(days)
    return np.asarray(-np.expm1(-cumulative))


def mortality_in_icu(
    log_acute: NDArray[np.float64],
    log_chronic: NDArray[np.float64],
    days: float,
    *,
    landmark_days: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of being alive in the ICU at a landmark, and of dying by a day after.

    Parameters
    ----------
    log_acute, log_chronic : ndarray of float
        Of one shape, levels included.
    days : float
        From the landmark.
    landmark_days : float
        From the first time zero, more than 0.

    Returns
    -------
    tuple of ndarray of float
        Their ratio is the risk among those in the ICU at the landmark.
    """
    burden, end = np.exp(log_acute), landmark_days + days
    # Let L = `landmark_days` and A the time of acute death, P(t < A < inf) = exp(-B (1 -
    # e^(-t/tau))) - e^-B. A patient who has not died acutely by day t >= L is in the ICU at L in
    # one of three ways:
    #   A never comes, and the log-normal stay exceeds L:  e^-B Phi((log m - log L) / s)
    #   A > t, in the ICU until death:                     pi P(t < A < inf)
    #   A > t, and left the ICU at u A > L, u uniform:     (1 - pi) E_u P(max(t, L / u) < A < inf)
    # with m, s of `ICU_STAY_DAYS`, `ICU_STAY_LN_SD`, and pi = `ICU_DEATH_SHARE`. `alive_at` is
    # their sum; the mean over u is Gauss-Legendre with 5 nodes, whose weights sum to 2, hence share
    # / 2. The chronic hazard is independent of all this and multiplies by e^(-c C(t)).
    stays = ndtr((np.log(ICU_STAY_DAYS) - np.log(landmark_days)) / ICU_STAY_LN_SD)
    nodes, shares = np.polynomial.legendre.leggauss(5)
    low, high = LEFT_BEFORE_WARD_DEATH
    parts = (low + high) / 2 + (high - low) / 2 * nodes

    def alive_at(day: float) -> NDArray[np.float64]:
        """Probability of no acute death by a day and of being in the ICU at the landmark."""
        doomed = ICU_DEATH_SHARE * _dies_acutely_after(burden, day)
        for part, share in zip(parts, shares, strict=True):
            after = max(day, landmark_days / part)
            doomed += (1 - ICU_DEATH_SHARE) * share / 2 * _dies_acutely_after(burden, after)
        return np.asarray(np.exp(-burden) * stays + doomed)

    chronic = np.exp(log_chronic)
    present = alive_at(landmark_days) * np.exp(-chronic * chronic_by(landmark_days))
    return present, present - alive_at(end) * np.exp(-chronic * chronic_by(end))


def _dies_acutely_after(burden: NDArray[np.float64], day: float) -> NDArray[np.float64]:
    """Return the probability of an acute death later than a day."""
    return np.asarray(np.exp(burden * np.expm1(-day / ACUTE_DAYS)) - np.exp(-burden))


def fracture_incidence(
    log_acute: NDArray[np.float64],
    log_chronic: NDArray[np.float64],
    log_fracture: NDArray[np.float64],
    days: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of leaving the ICU alive, and of that and a fracture by a day after.

    The chronic hazard is counted from ICU discharge, which is off by the days in the ICU, and
    deaths in hospital after the ICU are taken as exponential. Neither error is visible in the
    courses of 60,000 simulated patients.

    Parameters
    ----------
    log_acute, log_chronic, log_fracture : ndarray of float
        Of one shape, levels included.
    days : float
        From ICU discharge.

    Returns
    -------
    tuple of ndarray of float
        Their ratio is the cumulative incidence among those at risk.
    """
    # Two groups leave the ICU alive. Survivors of the acute illness, e^-B, are at risk of fracture
    # at the constant rate f and of chronic death at the piecewise constant rate k_j c. Over a piece
    # of length D, entered free of both with probability S,
    #   incidence += S f / (f + k_j c) (1 - e^(-(f + k_j c) D)),   S *= e^(-(f + k_j c) D)
    # with f = `breaks`, k_j c = `times * dies`, S = `surviving`.
    escapes = np.exp(-np.exp(log_acute))
    dies_on_ward = (1 - escapes) * (1 - ICU_DEATH_SHARE)
    breaks, dies = np.exp(log_fracture) / YEAR, np.exp(log_chronic) / YEAR
    incidence, surviving = np.zeros_like(breaks), np.ones_like(breaks)
    ends = (*CHRONIC_FROM_DAYS[1:], np.inf)
    for start, end, times in zip(CHRONIC_FROM_DAYS, ends, CHRONIC_TIMES, strict=True):
        span = min(days, end) - start
        if span <= 0:
            break
        both = breaks + times * dies
        ended = -np.expm1(-both * span)
        incidence += surviving * breaks / both * ended
        surviving = surviving * (1 - ended)
    # The others die acutely on the ward, (1 - e^-B)(1 - pi). On average they left the ICU after 0.6
    # of the way to death, which leaves 0.4 tau: death at rate mu = 1 / (0.4 tau), and by day h a
    # fracture with probability f / (f + mu) (1 - e^(-(f + mu) h)).
    rate = breaks + 1 / (0.4 * ACUTE_DAYS)
    on_ward = breaks / rate * -np.expm1(-rate * days)
    return escapes + dies_on_ward, escapes * incidence + dies_on_ward * on_ward


def _inverse_chronic(cumulative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the day on which the cumulative chronic hazard per yearly level reaches a value."""
    # C is linear with slope k_j / 365.25 from s_j on, so that within the piece where C(s_j) <= x,
    #   C^-1(x) = s_j + (x - C(s_j)) 365.25 / k_j.
    starts = np.array([chronic_by(day) for day in CHRONIC_FROM_DAYS])
    piece = np.searchsorted(starts, cumulative, side="right") - 1
    beyond = cumulative - starts[piece]
    return np.asarray(
        np.array(CHRONIC_FROM_DAYS)[piece] + beyond / np.array(CHRONIC_TIMES)[piece] * YEAR
    )
