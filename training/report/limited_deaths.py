"""The share of deaths that followed a limitation of treatment, in a sentence."""

from __future__ import annotations

from data_schema.disclosure import shown_count
from training.validation.limited_deaths import LimitedDeaths

__all__ = ["limited_deaths_sentence"]


def limited_deaths_sentence(found: LimitedDeaths | None) -> str:
    """Return how many deaths followed a limitation of treatment, or that it is unknown.

    Examples
    --------
    >>> limited_deaths_sentence(LimitedDeaths(200, 120, 0, is_recorded=True))
    'Deaths after a recorded limitation of treatment: 120 of 200 (60 %).'
    """
    if found is None:
        return "Deaths after a limitation of treatment: not applicable; no event is a death."
    if not found.is_recorded:
        return (
            "Deaths after a limitation of treatment: unknown; the cohort does not record it "
            "(columns treatment_limited and treatment_limited_days)."
        )
    known = found.deaths - found.unknown
    if found.share is None:
        counts = f"withheld, since the numbers are small (of {shown_count(known)} deaths)"
    else:
        counts = f"{shown_count(found.after)} of {shown_count(known)} ({100 * found.share:.0f} %)"
    unknown = f"; unknown in {shown_count(found.unknown)} more" if found.unknown else ""
    scope = f" Recorded: {found.recorded}." if found.recorded else ""
    return f"Deaths after a recorded limitation of treatment: {counts}{unknown}.{scope}"
