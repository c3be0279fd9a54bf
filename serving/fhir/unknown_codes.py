"""The codes of a record that were not recognised, for the answer to its sender.

Only the answer names them: a log or a metric would tell what was measured of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.fhir.observations import UnknownCode

__all__ = ["named_codes", "unknown_codes_in_words"]

# Enough to see what a site has to map; a record may hold hundreds.
_MOST = 20


def named_codes(codes: Sequence[UnknownCode]) -> list[UnknownCode]:
    """Return the most frequent codes that can be named."""
    return [one for one in codes if one.code][:_MOST]


def unknown_codes_in_words(codes: Sequence[UnknownCode]) -> str:
    """Return the codes with their numbers of Observations, the most frequent first.

    >>> unknown_codes_in_words([UnknownCode("urn:lab", "K1", 3), UnknownCode("", "", 2)])
    'urn:lab|K1 (3), and 2 Observations with another code or none'
    """
    named = named_codes(codes)
    words = [f"{one.system}|{one.code} ({one.count})" for one in named]
    rest = sum(one.count for one in codes) - sum(one.count for one in named)
    if rest:
        s = "" if rest == 1 else "s"
        words.append(f"and {rest} Observation{s} with another code or none")
    return ", ".join(words)
