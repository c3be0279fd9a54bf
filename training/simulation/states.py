"""The hidden states of a patient: effects of facts, correlations, and course over time.

A state is in standard deviations given person and circumstances. States are jointly Gaussian given
the facts that are always known of a patient, which makes the best attainable risk computable.
Positive is more of what the state is named after. No joint distribution of the markers in critical
illness has been published (evidence sheet, section 21): every correlation here is assumed, and this
file is the one table to edit for a sensitivity analysis.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.simulation.parameter import Basis, assumed

__all__ = ["COURSE", "DAYS", "EFFECTS", "STATES", "correlation", "effects_matrix", "state_course"]

STATES = (
    "severity",
    "inflammation",
    "kidney",
    "organs",
    "resorption",
    "formation",
    "estrogen",
    "anabolic",
    "fgf23",
    "calcium",
    "phosphate",
    "vitamin_d",
    "osteopontin",
    "osteoclast",
    "wnt",
    "bone_mass",
    "frailty",
    "setback",
)
"""`organs` is liver and coagulation; `osteoclast` the OPG/RANKL signal; `setback` is whether organ
failure will not resolve, which hardly any marker of the first day shows."""

DAYS = (1, 3, 7, 14, 28)
"""Days of the stay on which blood is drawn."""

CORRELATIONS: Mapping[tuple[str, str], tuple[float, Basis]] = {
    ("severity", "inflammation"): (0.40, assumed()),
    ("severity", "kidney"): (0.30, assumed()),
    ("severity", "organs"): (0.45, assumed()),
    ("severity", "fgf23"): (0.40, assumed("1: cFGF23 with SAPS II r = 0.461")),
    ("severity", "estrogen"): (0.40, assumed("3: AUROC of estradiol 0.64-0.74")),
    ("severity", "osteopontin"): (0.20, assumed("2: higher if APACHE II > 10")),
    ("severity", "calcium"): (-0.20, assumed()),
    ("severity", "phosphate"): (0.20, assumed()),
    ("severity", "vitamin_d"): (-0.15, assumed("7: 25-OH D with APACHE II r = -0.2")),
    ("severity", "anabolic"): (-0.25, assumed()),
    ("severity", "wnt"): (0.25, assumed("6: sclerostin tracks severity")),
    ("severity", "osteoclast"): (0.15, assumed()),
    ("severity", "frailty"): (0.10, assumed()),
    ("inflammation", "organs"): (0.25, assumed()),
    ("inflammation", "fgf23"): (0.25, assumed()),
    ("inflammation", "estrogen"): (0.20, assumed()),
    ("inflammation", "osteopontin"): (0.25, assumed("2: OPN with CRP rho = 0.17")),
    ("inflammation", "resorption"): (0.15, assumed()),
    ("inflammation", "osteoclast"): (0.30, assumed("6: OPG higher in sepsis")),
    ("kidney", "organs"): (0.20, assumed()),
    ("kidney", "fgf23"): (0.40, assumed()),
    ("kidney", "estrogen"): (0.15, assumed("3: estradiol tracks AKI")),
    ("kidney", "osteopontin"): (0.40, assumed("2: OPN with creatinine r = 0.401")),
    ("kidney", "phosphate"): (0.40, assumed()),
    ("kidney", "wnt"): (0.30, assumed("6: sclerostin tracks renal failure")),
    ("kidney", "resorption"): (0.10, assumed()),
    ("resorption", "formation"): (0.35, assumed()),
    ("resorption", "wnt"): (0.15, assumed("6: sclerostin tracks resorption markers")),
    ("resorption", "bone_mass"): (-0.15, assumed()),
    ("formation", "anabolic"): (0.20, assumed()),
    ("fgf23", "phosphate"): (0.25, assumed("1: cFGF23 with phosphate +0.32")),
    ("fgf23", "vitamin_d"): (-0.25, assumed("1: cFGF23 with 25-OH D -0.43")),
    ("calcium", "vitamin_d"): (0.25, assumed("7: ionised calcium with 25-OH D r = 0.46")),
    ("vitamin_d", "frailty"): (-0.20, assumed()),
    ("anabolic", "frailty"): (-0.30, assumed()),
    ("anabolic", "bone_mass"): (0.10, assumed()),
    ("bone_mass", "frailty"): (-0.20, assumed()),
}
"""Partial correlations given what is always known; pairs not named are independent."""

EFFECTS: Mapping[str, tuple[Mapping[str, float], Basis]] = {
    "severity": (
        {
            "sepsis": 0.65,
            "shock": 0.60,
            "aki1": 0.10,
            "aki2": 0.30,
            "aki3": 0.60,
            "rrt": 0.15,
            "neuro": 0.35,
            "ventilated": 0.20,
            "catecholamines": 0.20,
            "medical": 0.15,
            "emergency": 0.20,
            "comorbidity": 0.10,
        },
        assumed("7: AKI stages 1.68, 2.95, 6.88 on death; 10: sepsis 35.3 %"),
    ),
    "inflammation": (
        {"sepsis": 1.00, "shock": 0.30, "steroid": -0.20},
        assumed("8: CRP and IL-6 in sepsis"),
    ),
    "kidney": (
        {"aki1": 0.60, "aki2": 1.20, "aki3": 2.00, "rrt": 0.30, "ckd": 0.80, "age10": 0.05},
        assumed("7: KDIGO stages"),
    ),
    "organs": ({"sepsis": 0.20, "shock": 0.40, "alcohol": 0.20}, assumed()),
    "resorption": (
        {
            "aki1": 0.05,
            "aki2": 0.15,
            "aki3": 0.25,
            "ckd": 0.20,
            "steroid": 0.15,
            "postmenopausal": 0.20,
            "bisphosphonate": -0.60,
            "denosumab": -0.80,
            "teriparatide": 0.40,
        },
        assumed("4, 14"),
    ),
    "formation": (
        {
            "steroid": -0.30,
            "postmenopausal": 0.20,
            "bisphosphonate": -0.50,
            "denosumab": -0.60,
            "teriparatide": 0.80,
        },
        assumed("5, 14"),
    ),
    "estrogen": (
        {"sepsis": 0.20, "shock": 0.25, "aki3": 0.25, "premenopausal": 0.50, "bmi5": 0.10},
        assumed("3: bioavailable estradiol in sepsis, and with AKI"),
    ),
    "anabolic": (
        {"female": -0.30, "age10": -0.20, "malnutrition": -0.30, "sepsis": -0.20},
        assumed(),
    ),
    "fgf23": (
        {"aki1": 0.45, "aki2": 0.80, "aki3": 1.25, "rrt": 0.15, "ckd": 0.45},
        assumed("1: 1471 against 263 RU/mL"),
    ),
    "calcium": ({"sepsis": -0.20, "shock": -0.15, "aki3": -0.15}, assumed("7: ionised calcium")),
    "phosphate": (
        {
            "aki1": 0.15,
            "aki2": 0.40,
            "aki3": 0.90,
            "rrt": -0.20,
            "ckd": 0.25,
            "malnutrition": -0.35,
        },
        assumed("7: hyperphosphataemia 30 %"),
    ),
    "vitamin_d": (
        {"season": 0.75, "malnutrition": -0.30, "bmi5": -0.10, "vitamin_d_supplement": 0.40},
        assumed("7: August 27.1, March 12.5"),
    ),
    "osteopontin": (
        {"aki1": 0.15, "aki2": 0.35, "aki3": 0.70, "diabetes": -0.30},
        assumed("2: lower in T2DM, no effect of sepsis"),
    ),
    "osteoclast": ({"sepsis": 0.30}, assumed("6: OPG higher in sepsis")),
    "wnt": ({"aki3": 0.40, "ckd": 0.30, "age10": 0.05}, assumed("6: sclerostin in renal failure")),
    "bone_mass": (
        {
            "steroid": -0.10,
            "bmi5": 0.30,
            "rheumatoid": -0.30,
            "prior_fracture": -0.45,
            "osteoporosis": -1.10,
            "alcohol": -0.15,
            "smoking": -0.15,
        },
        assumed("11"),
    ),
    "frailty": (
        {
            "malnutrition": 0.55,
            "comorbidity": 0.30,
            "dementia": 0.40,
            "cancer": 0.25,
            "metastatic": 0.60,
            "falls": 0.20,
            "age10": 0.08,
        },
        assumed("13: malnutrition"),
    ),
    "setback": ({}, assumed()),
}
"""State -> effects of facts on its mean."""

COURSE: Mapping[str, tuple[tuple[float, ...], Mapping[str, tuple[float, float]], Basis]] = {
    "severity": ((0.0, -0.25, -0.55, -0.80, -1.00), {"setback": (0.0, 0.70)}, assumed("9")),
    "inflammation": (
        (0.0, -0.20, -0.60, -0.90, -1.20),
        {"setback": (0.0, 0.55)},
        assumed("8: AUROC of CRP 0.57 at admission, 0.72 on day 3"),
    ),
    "kidney": ((0.0, -0.10, -0.30, -0.50, -0.60), {"setback": (0.0, 0.40)}, assumed()),
    "organs": ((0.0, -0.05, -0.20, -0.40, -0.60), {"setback": (0.0, 0.45)}, assumed()),
    "osteopontin": (
        (0.0, -0.60, -0.70, -0.80, -0.90),
        {"setback": (-0.30, 1.60), "severity": (-0.10, 0.90)},
        assumed("2: admission no difference, day 3 AUROC 0.72-0.79; falls to day 3"),
    ),
    "resorption": (
        (0.0, 0.35, 0.65, 0.90, 0.70),
        {"setback": (0.0, 0.10)},
        assumed("4: day 0, 3, 7: 0.57, 0.76, 0.81; peak in week 2"),
    ),
    "formation": ((0.0, 0.0, 0.0, 0.10, 0.60), {}, assumed("4, 5: P1NP rises after week 4")),
    "wnt": (
        (0.0, 0.10, 0.25, 0.25, 0.20),
        {"setback": (0.0, 0.10)},
        assumed("6: sclerostin rises in week 1"),
    ),
    "calcium": ((0.0, 0.30, 0.60, 0.70, 0.70), {}, assumed("7: normalises within 4 days")),
    "estrogen": ((0.0, -0.10, -0.30, -0.40, -0.50), {"setback": (0.0, 0.20)}, assumed("3")),
    "fgf23": ((0.0, 0.10, 0.0, -0.20, -0.40), {"setback": (0.0, 0.15)}, assumed("1")),
}
"""State -> change of its mean on each of `DAYS`, and what one unit of another state adds to it
on the first day and from day 3 on. Other states do not change."""


def correlation() -> NDArray[np.float64]:
    """Return the correlation of the states given the facts, (n_states, n_states)."""
    matrix = np.eye(len(STATES))
    for (first, second), (value, _) in CORRELATIONS.items():
        i, j = STATES.index(first), STATES.index(second)
        matrix[i, j] = matrix[j, i] = value
    return matrix


def effects_matrix(known: tuple[str, ...], *, left_out: frozenset[str]) -> NDArray[np.float64]:
    """Return the effect of each known fact on the mean of each state, (n_states, n_known).

    Facts in `left_out` count as having no effect.
    """
    return np.array(
        [
            [0.0 if fact in left_out else EFFECTS[state][0].get(fact, 0.0) for fact in known]
            for state in STATES
        ]
    )


def state_course(day: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the change of the mean of each state on a day (one of `DAYS`), and its dependence.

    Returns
    -------
    tuple of ndarray of float, shapes (n_states,) and (n_states, n_states)
        Change of the mean; and the effect of one unit of a column's state on a row's state.
    """
    place = DAYS.index(day)
    trend, spill = np.zeros(len(STATES)), np.zeros((len(STATES), len(STATES)))
    for state, (change, others, _) in COURSE.items():
        trend[STATES.index(state)] = change[place]
        for other, (first_day, later) in others.items():
            added = later if place else first_day
            spill[STATES.index(state), STATES.index(other)] = added
    return trend, spill
