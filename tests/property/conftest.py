"""Settings of every property test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: the first example of a test pays for imports and caches.
settings.register_profile("osteon", deadline=None)
settings.load_profile("osteon")
