"""Rate limits of callers: a bucket that fills evenly, shared by all workers."""

from __future__ import annotations

import mmap
import struct
import time
from hashlib import blake2b

__all__ = ["Buckets", "RateLimit"]

# Caller, number of requests left, and the moment (of the machine's clock) when that was so.
_BUCKET = struct.Struct("=16sdd")
_SETS, _BUCKETS_PER_SET = 2_048, 8


class Buckets:
    """The buckets of all callers, in memory that the workers of one service may share.

    There is room for some 16,000; the caller whose last request is oldest makes room for a new one.
    Nothing is locked, so that no worker waits for another: of two requests of one caller that two
    workers count in the same microsecond, one may go uncounted.

    Parameters
    ----------
    file : int, optional
        Descriptor of a file of `Buckets.SIZE` bytes that the workers share (default: memory of this
        process alone).
    """

    SIZE = _BUCKET.size * _SETS * _BUCKETS_PER_SET

    def __init__(self, file: int = -1) -> None:
        self._memory = mmap.mmap(file, self.SIZE)

    def take(self, caller: bytes, per_minute: int) -> bool:
        """Take one request from a bucket, and return whether one was left.

        `caller` is a hash of 16 bytes; `per_minute` is the rate at which the bucket fills, and its
        capacity.
        """
        first = int.from_bytes(caller[:4], "big") % _SETS * _BUCKETS_PER_SET
        places = range(
            first * _BUCKET.size, (first + _BUCKETS_PER_SET) * _BUCKET.size, _BUCKET.size
        )
        buckets = [_BUCKET.unpack_from(self._memory, place) for place in places]
        number = next((n for n, (owner, *_) in enumerate(buckets) if owner == caller), None)
        left, moment = float(per_minute), time.monotonic()
        if number is None:
            number = min(range(_BUCKETS_PER_SET), key=lambda n: float(buckets[n][2]))
        else:
            _, before, at = buckets[number]
            left = min(left, before + (moment - at) * per_minute / 60)
        is_within: bool = left >= 1
        _BUCKET.pack_into(self._memory, places[number], caller, left - is_within, moment)
        return is_within


class RateLimit:
    """A limit of requests per minute, and at once, that applies to each caller separately.

    Two limits of one name in the same buckets are one limit.
    """

    def __init__(self, name: str, per_minute: int, buckets: Buckets) -> None:
        self._name = name
        self._per_minute = per_minute
        self._buckets = buckets

    def allows(self, caller: str) -> bool:
        """Count one request, and return whether it is within the limit."""
        digest = blake2b(f"{self._name} {caller}".encode(), digest_size=16).digest()
        return self._buckets.take(digest, self._per_minute)
