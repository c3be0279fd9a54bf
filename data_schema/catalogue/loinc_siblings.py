"""LOINC codes that laboratories and records send for what the catalogue has under another code.

A sibling names the same quantity by another method, in whole blood rather than serum, or at another
site of measurement. It stands for the catalogue's code beside it, with the same units; an assay, a
specimen or a unit that contradicts the variable is still refused. What differs more is not listed:
a partial pressure in "blood" that may be venous, an axillary temperature, a value as stated by the
patient.

The codes that Synthea and clinosim send were looked up in their data; the others are here by their
LOINC names, and were not each checked against a release of LOINC.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LOINC_SIBLINGS", "siblings_of"]

_BY_CODE: Mapping[str, tuple[str, ...]] = {
    # Blood count: methodless, manual, in venous or arterial blood.
    "6690-2": ("26464-8", "804-5"),
    "4544-3": ("20570-8", "4545-0", "31100-1"),
    "718-7": ("30313-1", "30350-3", "55782-7"),
    "777-3": ("778-1",),
    "789-8": ("26453-1",),
    "787-2": ("30428-7",),
    "785-6": ("28539-5",),
    "786-4": ("28540-3",),
    "788-0": ("30385-9",),
    "21000-5": ("30384-2",),
    "32623-1": ("28542-9",),
    # Chemistry in blood, and by method.
    "2160-0": ("38483-4",),
    "14682-9": ("59826-8",),
    "3094-0": ("6299-2",),
    "17861-6": ("49765-1",),
    "2345-7": ("2339-0", "2340-8", "41653-7", "74774-1"),
    "14749-6": ("14743-9", "15074-8"),
    "2951-2": ("2947-0",),
    "2823-3": ("6298-4",),
    "2075-0": ("2069-3",),
    "1963-8": ("1959-6", "1960-4", "2026-3", "2028-9", "20565-8"),
    "14118-4": ("59032-3",),
    "1751-7": ("61151-7", "61152-5"),
    "1742-6": ("1743-4", "1744-2"),
    "1920-8": ("30239-8", "88112-8"),
    "1975-2": ("42719-5",),
    "10839-9": ("89579-7",),
    "6598-7": ("67151-1",),
    "33959-8": ("75241-0",),
    "10834-0": ("2336-6",),
    "30341-2": ("4537-7",),
    # Clotting in blood.
    "6301-6": ("34714-6", "46418-0"),
    "5902-2": ("5964-2",),
    "14979-9": ("3173-2",),
    # Bedside: by way and site of measurement.
    "8480-6": ("76215-3", "76534-7"),
    "8462-4": ("76213-8", "76535-4"),
    "8478-0": ("76214-6",),
    "8310-5": ("8329-5", "8331-1", "8332-5", "8333-0"),
    "19994-3": ("3150-6",),
    "29463-7": ("3141-9",),
    "8302-2": ("3137-7",),
}

LOINC_SIBLINGS: Mapping[str, str] = {
    sibling: code for code, siblings in _BY_CODE.items() for sibling in siblings
}
"""Sibling -> the catalogue's code."""


def siblings_of(code: str) -> tuple[str, ...]:
    """Return the siblings of one of the catalogue's codes.

    >>> siblings_of("2160-0")
    ('38483-4',)
    """
    return _BY_CODE.get(code, ())
