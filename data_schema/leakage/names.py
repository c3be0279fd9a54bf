"""Column names that suggest something known only after time zero.

Names are one source of evidence; `leakage/evidence.py` reads the data themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["reason_by_name"]

# Reason -> phrases, as regular expressions for whole words. A name meets them as lower-case words
# with single spaces: "num_Hosp.Dead" is "num hosp dead".
_PHRASES: Mapping[str, tuple[str, ...]] = {
    "the length of a stay is known when it ends": (
        "s?los",
        "hday",
        "length of stay",
        "(icu|hosp|hospital) (days|stay|los|duration)",
        "days (in|of) (icu|hospital)",
    ),
    "an order to limit treatment follows, or foretells, the outcome": (
        "dnr1?",
        "dnr ?day",
        "dni",
        "polst",
        "not resuscitate",
        "code status",
        "limitation of (care|therapy|treatment)",
        "comfort care",
        "palliative",
        "hospice",
        "withdraw(al|n|ing)? (of )?(care|treatment|support)",
    ),
    "discharge comes after time zero": ("discharged?", "disposition"),
    "it concerns death or survival": (
        "deaths?",
        "(hosp)?dead",
        "died",
        "deceased",
        "expired?",
        "exitus",
        "alive",
        "surviv(ed|or|al)",
        "dod",
        "deathdate",
        "vital status",
        "mortality",
        "autopsy",
        "last (seen|contact)",
    ),
    "costs are summed when the stay ends": ("charges?", "tot(m)?cst", "costs?", "reimbursement"),
    "it is an average over days after time zero": ("avtisst", "(average|mean) tiss"),
    "it is learned at follow-up": (
        "fup?",
        "follow ?up",
        "sfdm2",
        "bonetreat",
        "post ?discharge",
        "readmi(ssion|tted)",
        "rehospitali[sz](ed|ation)",
    ),
    "it fills in an interview that those who died first never gave": ("adlsc",),
    "it is a forecast of the outcome": (
        r"prg\d+m",
        r"(pred|predicted|estimated|expected) (\w+ )?(risk|probability|mortality|survival)",
        "prob(ability)? of",
    ),
}
_REASONS = tuple(
    (re.compile(rf"\b({'|'.join(phrases)})\b"), reason) for reason, phrases in _PHRASES.items()
)

# Words that turn such a name into a fact about the past or about another person.
_BASELINE = re.compile(
    r"\b(prior|previous|past|history|hx|baseline|before|pre|parental|family|maternal|paternal)\b"
)


def _words(name: str) -> str:
    """Return the lower-case words of a name, split at signs and at camelCase."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[^0-9a-z]+", " ", spaced.lower()).strip()


def reason_by_name(name: str) -> str | None:
    """Return, as half a sentence, why a name looks known only after time zero; None if it does not.

    >>> reason_by_name("num_hday")
    'the length of a stay is known when it ends'
    >>> reason_by_name("hospital_days_before_icu") is None
    True
    """
    words = _words(name)
    if _BASELINE.search(words):
        return None
    return next((reason for pattern, reason in _REASONS if pattern.search(words)), None)
