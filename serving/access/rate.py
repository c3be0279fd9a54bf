"""How often one caller may ask: a bucket that fills evenly, the same in every worker."""

from __future__ import annotations

import mmap
import struct
import time
from hashlib import blake2b

__all__ = ["Buckets", "RateLimit"]

# Who, how many requests are left, and when that was so; the clock is the machine's.
_BUCKET = struct.Struct("=16sdd")
_SETS, _BUCKETS_PER_SET = 2_048, 8


class Buckets:
    """The buckets of all callers, in memory that the workers of one service may share.

    There is room for some 16,000; whoever asked longest ago makes room for a new one. Nothing is
    locked, so that no worker waits for another: of requests of one caller that two workers count in
    the same microsecond, one may go uncounted.

    Parameters
    ----------
    file : int, optional
        Descriptor of a file of `Buckets.SIZE` bytes that the workers share; without it the memory
        is this process's own.
    """

    SIZE = _BUCKET.size * _SETS * _BUCKETS_PER_SET

    def __init__(self, file: int = -1) -> None:
        self._memory = mmap.mmap(file, self.SIZE)

    def take(self, who: bytes, per_minute: int) -> bool:
        """Take one request out of a caller's bucket, and say whether there was one in it.

        Parameters
        ----------
        who : bytes
            Sixteen, as good as random.
        per_minute : int
            How fast the bucket fills, and how much it holds.

        Returns
        -------
        bool
        """
        first = int.from_bytes(who[:4], "big") % _SETS * _BUCKETS_PER_SET
        places = range(
            first * _BUCKET.size, (first + _BUCKETS_PER_SET) * _BUCKET.size, _BUCKET.size
        )
        found = [_BUCKET.unpack_from(self._memory, place) for place in places]
        number = next((n for n, (whose, *_) in enumerate(found) if whose == who), None)
        left, moment = float(per_minute), time.monotonic()
        if number is None:
            number = min(range(_BUCKETS_PER_SET), key=lambda n: float(found[n][2]))
        else:
            _, before, at = found[number]
            left = min(left, before + (moment - at) * per_minute / 60)
        is_within: bool = left >= 1
        _BUCKET.pack_into(self._memory, places[number], who, left - is_within, moment)
        return is_within


class RateLimit:
    """A limit that each caller has for itself.

    Parameters
    ----------
    name : str
        Which limit it is; two of one name in the same buckets are one.
    per_minute : int
        Requests in a minute, and as many at once.
    buckets : Buckets
    """

    def __init__(self, name: str, per_minute: int, buckets: Buckets) -> None:
        self._name = name
        self._per_minute = per_minute
        self._buckets = buckets

    def allows(self, who: str) -> bool:
        """Count one request, and say whether it is within the limit."""
        digest = blake2b(f"{self._name} {who}".encode(), digest_size=16).digest()
        return self._buckets.take(digest, self._per_minute)
