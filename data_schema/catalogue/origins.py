"""Origins of a number that several entries share."""

from __future__ import annotations

from data_schema.variables import Origin

__all__ = [
    "BEDSIDE",
    "BONE_IMMUNOASSAY",
    "BONE_LABORATORY",
    "BONE_SCAN",
    "DERIVED",
    "LABORATORY",
    "RECORDED",
    "RETAINED_IMMUNOASSAY",
    "SCORED",
    "SPECIAL_LABORATORY",
]

LABORATORY = Origin("sample", of_bone=False, routine=True, caveats=())
SPECIAL_LABORATORY = Origin("sample", of_bone=False, routine=False, caveats=())
BONE_LABORATORY = Origin("sample", of_bone=True, routine=False, caveats=())
BONE_IMMUNOASSAY = Origin("sample", of_bone=True, routine=False, caveats=("biotin",))
RETAINED_IMMUNOASSAY = Origin(
    "sample", of_bone=True, routine=False, caveats=("renal_retention", "biotin")
)
BONE_SCAN = Origin("scan", of_bone=True, routine=False, caveats=())
BEDSIDE = Origin("bedside", of_bone=False, routine=True, caveats=())
DERIVED = Origin("derived", of_bone=False, routine=True, caveats=())
SCORED = Origin("score", of_bone=False, routine=True, caveats=())
RECORDED = Origin("record", of_bone=False, routine=True, caveats=())
