"""Osteopontin and the cytokines that act on bone."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import BONE_LABORATORY, LABORATORY, SPECIAL_LABORATORY
from data_schema.catalogue.unit_tables import PG_PER_ML
from data_schema.variables import Code, Reference, Variable

__all__ = ["ENTRIES"]

_BACKGROUND = "background, unverified"
_OPN_UNITS = {"ng/mL": 1.0, "ug/L": 1.0, "pg/mL": 0.001, "mg/L": 1000.0}
_WHICH_SPECIMEN = "plasma and serum osteopontin are two variables: which specimen?"

_osteopontin = partial(
    Variable,
    pathway="osteopontin_immune",
    origin=BONE_LABORATORY,
    unit="ng/mL",
    units=_OPN_UNITS,
    low=0.5,
    typical_median=(5.0, 3000.0),
    detection_limit=0.01,
    synonyms=("opn", "osteopontin", "spp1"),
    ambiguity=_WHICH_SPECIMEN,
)
_cytokine = partial(
    Variable,
    pathway="osteopontin_immune",
    origin=SPECIAL_LABORATORY,
    unit="pg/mL",
    low=0.0,
    units=PG_PER_ML,
    high=100000.0,
)

ENTRIES: tuple[Variable, ...] = (
    _osteopontin(
        name="osteopontin",
        hint="In plasma; serum has its own field and differs more than tenfold.",
        label="Osteopontin, plasma",
        high=50000.0,
        references=(
            Reference(
                None,
                76.0,
                "95th percentile, EDTA plasma, 300 blood donors, Scand J Clin Lab Invest "
                "2007;67:821, doi:10.1080/00365510701432509",
            ),
        ),
        specimen="plasma",
        note="Never serum osteopontin (`osteopontin_serum`): matrix and assay differ by more than "
        "a factor of ten. The review says it reflects severity and mortality; at ICU admission it "
        "did not separate survivors, on day 3 it did (Roderburg, Crit Care 2015).",
    ),
    _osteopontin(
        name="osteopontin_serum",
        hint="In serum; plasma has its own field and differs more than tenfold.",
        label="Osteopontin, serum",
        high=100000.0,
        specimen="serum",
        note="Never plasma osteopontin (`osteopontin`). At ICU admission it did not separate "
        "survivors; on day 3 it did, with a cut-off of 2,148 ng/mL (Roderburg, Crit Care 2015).",
    ),
    Variable(
        name="crp",
        label="C-reactive protein",
        pathway="osteopontin_immune",
        origin=LABORATORY,
        unit="mg/L",
        units={"mg/L": 1.0, "mg/dL": 10.0, "ug/mL": 1.0},
        codes=(
            Code("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma"),
            Code(
                "30522-7",
                "C reactive protein [Mass/volume] in Serum or Plasma by High sensitivity method",
                units=("mg/L", "mg/dL"),
            ),
        ),
        low=0.0,
        high=1500.0,
        typical_median=(0.3, 350.0),
        references=(Reference(None, 10.0, f"5-10 by laboratory, {_BACKGROUND}"),),
        detection_limit=0.3,
        synonyms=(
            *("c-reactive protein", "hs-crp", "hscrp", "high sensitivity c-reactive protein"),
            "high sensitivity crp",
        ),
    ),
    _cytokine(
        name="il1b",
        label="Interleukin-1 beta",
        codes=(Code("13629-1", "Interleukin 1 beta [Mass/volume] in Serum or Plasma"),),
        references=(Reference(None, 5.0, _BACKGROUND),),
        detection_limit=0.5,
        synonyms=("il-1b", "il-1 beta", "interleukin 1b"),
        note="The review calls it pro-resorptive; it was low at ICU admission.",
    ),
    _cytokine(name="il4", label="Interleukin-4"),
    _cytokine(
        name="il6",
        label="Interleukin-6",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        codes=(Code("26881-3", "Interleukin 6 [Mass/volume] in Serum or Plasma"),),
        high=5000000.0,
        references=(Reference(None, 7.0, _BACKGROUND),),
        detection_limit=1.5,
        synonyms=("il-6", "interleukin 6"),
    ),
    _cytokine(
        name="il7",
        label="Interleukin-7",
        codes=(Code("70086-4", "Interleukin 7 [Mass/volume] in Serum or Plasma"),),
        high=10000.0,
        references=(Reference(1.0, 20.0, f"depends on the kit, {_BACKGROUND}"),),
        detection_limit=0.1,
    ),
    _cytokine(name="il13", label="Interleukin-13"),
    _cytokine(
        name="ifn_gamma",
        label="Interferon gamma",
        codes=(Code("27415-9", "Interferon gamma [Mass/volume] in Serum or Plasma"),),
        synonyms=("interferon", "ifn", "ifn-g", "ifng"),
        note="Kits in [IU]/mL are not accepted: their conversion is the kit's own.",
    ),
    _cytokine(
        name="ifn_type1",
        label="Interferon alpha (type I)",
        synonyms=("interferon", "ifn"),
        note="The review names type I interferon as inhibiting osteoclasts. Kits in [IU]/mL are "
        "not accepted: their conversion is the kit's own.",
    ),
    _cytokine(
        name="tnfa",
        label="TNF-alpha",
        codes=(Code("3074-2", "Tumor necrosis factor.alpha [Mass/volume] in Serum or Plasma"),),
        references=(Reference(None, 8.0, _BACKGROUND),),
        detection_limit=1.0,
        synonyms=(
            *("tnf", "tnf-a", "tumor necrosis factor", "tumour necrosis factor"),
            *("tumor necrosis factor alpha", "tumour necrosis factor alpha"),
        ),
    ),
    _cytokine(
        name="angiotensin2",
        label="Angiotensin II",
        # Molecular weight 1046.18.
        units={**PG_PER_ML, "pmol/L": 1.04618},
        synonyms=("ang ii", "ang2", "angiotensin 2"),
    ),
)
