"""How often one caller may ask, in one worker: a bucket that fills evenly."""

from __future__ import annotations

import time
from collections import OrderedDict

__all__ = ["RateLimit"]

_CALLERS = 10_000


class RateLimit:
    """A limit that each caller has for itself.

    Parameters
    ----------
    per_minute : int
        Requests in a minute, and as many at once.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, who: str) -> bool:
        """Count one request, and say whether it is within the limit."""
        moment = time.monotonic()
        left, at = self._buckets.pop(who, (float(self._per_minute), moment))
        left = min(float(self._per_minute), left + (moment - at) * self._per_minute / 60)
        self._buckets[who] = (max(left - 1, 0.0) if left >= 1 else left, moment)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return left >= 1
