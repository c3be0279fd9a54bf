"""The Glasgow coma score that severity is scored with: intubation and sedation are no coma."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SEDATION_WANES",
    "STATE_IN_FORCE",
    "GlasgowCharting",
    "GlasgowOrigin",
    "Intubated",
    "gcs_charted",
    "gcs_for_severity",
    "gcs_total",
    "names_tube",
    "verbal_score_intubated",
]

Numbers = NDArray[np.float64]

SEDATION_WANES = timedelta(hours=1)
"""How long after the end of a sedative or relaxant a Glasgow score still counts as sedated.

A convention: propofol wears off within this time, a benzodiazepine later.
"""

STATE_IN_FORCE = timedelta(hours=4)
"""How long a record of sedation or ventilation without an end counts: nurses chart both every one
to four hours."""

_TUBE = re.compile(r"\b(et|ett|t|trach\w*|endotrach\w*|intub\w*|tube\w*)\b|\d\s*t\b")


def names_tube(text: str) -> bool:
    """Return whether the text of a verbal or total Glasgow score says that a tube prevents speech.

    >>> [names_tube(text) for text in ("No Response-ETT", "1T", "1 ET/Trach", "No response")]
    [True, True, True, False]
    """
    return _TUBE.search(text.casefold()) is not None


Intubated = Literal["estimated", "missing", "normal"]
"""What the verbal score of an intubated patient is: estimated from eye and motor score, not known,
or 5. The 1 that is charted for a tube is never taken for mute."""


def verbal_score_intubated(eye: Numbers, motor: Numbers) -> Numbers:
    """Return the verbal score that eye and motor score predict, rounded to whole points, 1 to 5.

    References
    ----------
    .. [1] Meredith et al. J Trauma 44 (1998) 839-844. doi:10.1097/00005373-199805000-00016

    Examples
    --------
    >>> verbal_score_intubated(np.array([4.0, 1.0]), np.array([6.0, 1.0]))
    array([5., 1.])
    """
    predicted = -0.3756 + 0.5713 * motor + 0.4233 * eye
    return np.clip(np.floor(predicted + 0.5), 1.0, 5.0)


def gcs_total(
    eye: Numbers, verbal: Numbers, motor: Numbers, intubated: Numbers, *, when_intubated: Intubated
) -> Numbers:
    """Return the Glasgow coma score, 3 to 15; lower is worse, NaN where a part is not known.

    Parameters
    ----------
    eye, verbal, motor : ndarray of float, shape (n_patients,)
        1 to 4, 1 to 5 and 1 to 6, charted at one time.
    intubated : ndarray of float, shape (n_patients,)
        1 where a tube prevents speech; NaN, not recorded, counts as 0.
    when_intubated : {"estimated", "missing", "normal"}
        What counts as the verbal score then.
    """
    of_tube = {
        "estimated": verbal_score_intubated(eye, motor),
        "missing": np.full(len(eye), np.nan),
        "normal": np.full(len(eye), 5.0),
    }[when_intubated]
    return eye + motor + np.where(intubated == 1.0, of_tube, verbal)


GlasgowOrigin = Literal["charted", "verbal_estimated", "sedated", "verbal_unknown", "incomplete"]
"""What a charting of the Glasgow score is worth: the score as charted; with the verbal score
estimated, since a tube prevents speech; none, under sedation; none, since only the total is known
of a patient with a tube; none, since a part is missing."""


@dataclass(frozen=True, slots=True)
class GlasgowCharting:
    """Glasgow scores that say something of the brain, each of shape (n_chartings,).

    `score` is NaN where a charting says nothing; `origin` is a `GlasgowOrigin` each.
    """

    score: Numbers
    origin: NDArray[np.object_]


def gcs_charted(
    *, total: Numbers, eye: Numbers, verbal: Numbers, motor: Numbers, intubated: Numbers,
    sedated: Numbers,
) -> GlasgowCharting:  # fmt: skip
    """Return what chartings of the Glasgow coma score say of the brain.

    Under sedation a charting says nothing, but for a full 15. With a tube the verbal score is
    estimated from eye and motor score; a total alone then says nothing. Where a record does not
    hold sedation (`sedated` is NaN), a patient with a tube counts as sedated: most are.

    Parameters
    ----------
    total, eye, verbal, motor : ndarray of float, shape (n_chartings,)
        Each as charted at one time; NaN where it is not. The parts count before the total.
    intubated, sedated : ndarray of float, shape (n_chartings,)
        1 where a tube prevents speech, and where a sedative or relaxant runs or has not worn off.

    Examples
    --------
    >>> one = {name: np.array([v]) for name, v in (("eye", 1.0), ("verbal", 1.0), ("motor", 1.0))}
    >>> none, yes, no = np.array([np.nan]), np.array([1.0]), np.array([0.0])
    >>> gcs_charted(total=none, **one, intubated=yes, sedated=yes).origin
    array(['sedated'], dtype=object)
    >>> gcs_charted(total=none, **one, intubated=yes, sedated=no).score
    array([3.])
    """
    # A word that was charted was spoken: only the 1 that a tube forces is estimated.
    has_tube = (intubated == 1.0) & ~(verbal > 1.0)
    score = gcs_total(eye, verbal, motor, has_tube.astype(float), when_intubated="estimated")
    alone = np.isnan(score) & ~np.isnan(total)
    score = np.where(alone & ~has_tube, total, score)
    origin = np.where(has_tube, "verbal_estimated", "charted").astype(object)
    origin[np.isnan(score)] = "incomplete"
    origin[alone & has_tube] = "verbal_unknown"
    under = (sedated == 1.0) | (np.isnan(sedated) & (intubated == 1.0))
    # Sedation never makes a patient more awake.
    hidden = under & ~(score >= 15.0) & (origin != "incomplete")
    origin[hidden] = "sedated"
    return GlasgowCharting(np.where(hidden, np.nan, score), origin)


def gcs_for_severity(gcs: Numbers, sedated: Numbers, before_sedation: Numbers) -> Numbers:
    """Return the score to be used in SOFA, APACHE II and SAPS II.

    Under sedation it is the one before sedation, as SAPS II states [1]_; where that is not known,
    there is none, and the policy of the score decides. A sedated 3 is never taken for coma.

    References
    ----------
    .. [1] Le Gall et al. JAMA 270 (1993) 2957-2963. doi:10.1001/jama.1993.03510240069035

    Examples
    --------
    >>> scores, sedated = np.array([3.0, 3.0, 14.0]), np.array([1.0, 1.0, 0.0])
    >>> gcs_for_severity(scores, sedated, np.array([15.0, np.nan, np.nan]))
    array([15., nan, 14.])
    """
    return np.where(sedated == 1.0, before_sedation, gcs)
