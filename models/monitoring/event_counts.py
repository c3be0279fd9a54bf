"""How many events risks allow: exact to the third order where few are expected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

__all__ = ["EventCount"]

_Floats = NDArray[np.float64]

_RISK_FLOOR = 1e-9
_FAR, _EXACT = 20.0, 1e-6
_END = 0.25
"""Share of the mean weight by which a count of no events, or of nothing else, is moved inside."""


@dataclass(frozen=True, eq=False)
class EventCount:
    r"""The weighted number of events of patients whose risks are right.

    Parameters
    ----------
    risk : ndarray of float, shape (n_patients,)
        In [0, 1].
    weight : ndarray of float, shape (n_patients,)
        Positive: 1, or more for patients who also stand for others who were lost.

    Notes
    -----
    A sum of independent events with different risks is skewed to the right while few are expected:
    a normal limit meant for 1 of 4,200 counts is exceeded by 1 of 500 with 5 expected events.
    Deviates are Barndorff-Nielsen's :math:`r^*` of the saddlepoint approximation [1]_: with the
    cumulant function :math:`K(s) = \sum \log(1 - p + p e^{w s})` and :math:`K'(s) = x`,
    :math:`r = \mathrm{sign}(s) \sqrt{2 (s x - K(s))}` and :math:`r^* = r + \log(s \sqrt{K''} / r)
    / r`. Counts lie on a lattice; without a correction for that, the tail is that of half the
    probability of the count itself (mid-p).

    References
    ----------
    .. [1] Barndorff-Nielsen. Biometrika 73 (1986) 307-322. doi:10.1093/biomet/73.2.307
    """

    risk: _Floats
    weight: _Floats

    @property
    def mean(self) -> float:
        """The expected events."""
        return float(self.weight @ self.risk)

    def with_mean(self, mean: float) -> EventCount:
        """Return the count if all log-odds are moved alike until so many events are expected."""
        odds = self._odds
        move = brentq(lambda by: self.weight @ expit(odds + by) - mean, -_FAR, _FAR, xtol=_EXACT)
        return EventCount(expit(odds + move), self.weight)

    def deviate(self, events: float) -> float:
        """Return how far a count lies from the mean, as a normal deviate of the same probability.

        Parameters
        ----------
        events : float
            Weighted number of events; above the mean the deviate is positive.
        """
        low, high = self._ends
        return self._deviate(self._tilt(min(max(events, low), high)))

    def quantile(self, deviate: float) -> float:
        """Return the count at a normal deviate: the inverse of `deviate`.

        0 where even no event is likelier than that, and all weight where only events are.
        """
        low, high = (self._tilt(end) for end in self._ends)
        if self._deviate(low) >= deviate:
            return 0.0
        if self._deviate(high) <= deviate:
            return float(self.weight.sum())
        tilt = brentq(lambda s: self._deviate(s) - deviate, low, high, xtol=_EXACT)
        return self._tilted(tilt)[0]

    @property
    def _ends(self) -> tuple[float, float]:
        """Return the smallest and the largest count, moved inside."""
        edge = _END * float(self.weight.mean())
        return edge, float(self.weight.sum()) - edge

    def _tilt(self, events: float) -> float:
        """Return the tilt under which so many events are expected."""
        far = 2 * _FAR / float(self.weight.min())
        tilt: float = brentq(lambda s: self._tilted(s)[0] - events, -far, far, xtol=_EXACT)
        return tilt

    @cached_property
    def _odds(self) -> _Floats:
        clipped: _Floats = np.clip(self.risk, _RISK_FLOOR, 1 - _RISK_FLOOR)
        odds: _Floats = logit(clipped)
        return odds

    @cached_property
    def _log_one(self) -> _Floats:
        log_one: _Floats = np.logaddexp(0, self._odds)
        return log_one

    def _tilted(self, s: float) -> tuple[float, float]:
        """Return mean and variance of the count, tilted by s: the derivatives of K."""
        p = expit(self._odds + self.weight * s)
        return float(self.weight @ p), float((self.weight**2) @ (p * (1 - p)))

    def _deviate(self, s: float) -> float:
        x, variance = self._tilted(s)
        # log(1 - p + p e^(ws)), from the log-odds.
        log_mean = (np.logaddexp(0, self._odds + self.weight * s) - self._log_one).sum()
        r = np.sign(s) * np.sqrt(max(2 * (s * x - float(log_mean)), 0.0))
        if abs(r) < 1e-3:
            # The limit at the mean: r* there is a sixth of the skewness.
            q = self.risk * (1 - self.risk)
            third = float((self.weight**3) @ (q * (1 - 2 * self.risk)))
            return float(r + third / max(variance, 1e-300) ** 1.5 / 6)
        return float(r + np.log(s * np.sqrt(variance) / r) / r)
