"""Wnt signalling: the inhibitors that osteocytes release."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import BONE_LABORATORY
from data_schema.catalogue.unit_tables import PG_PER_ML, PMOL_PER_L
from data_schema.variables import Reference, Variable

__all__ = ["ENTRIES"]

_KITS = (
    "Kits disagree: in the same people medians of 35.5, 21.8 and 7.6 pmol/L with three of them "
    "(Piec, Calcif Tissue Int 2016); state the assay."
)

_laboratory_test = partial(Variable, pathway="wnt", origin=BONE_LABORATORY)

ENTRIES: tuple[Variable, ...] = (
    _laboratory_test(
        name="sclerostin",
        hint="From kits that report pmol/L. Kits disagree severalfold.",
        label="Sclerostin, molar",
        unit="pmol/L",
        units=PMOL_PER_L,
        low=0.5,
        high=5000.0,
        detection_limit=3.0,
        synonyms=("sclerostin", "sost"),
        note=f"{_KITS} Raised in critical illness with severity and renal failure; not a predictor "
        "of death (Koch, J Crit Care 2017). Values in pg/mL are `sclerostin_mass`.",
    ),
    _laboratory_test(
        name="sclerostin_mass",
        hint="From kits that report pg/mL. Kits disagree severalfold.",
        label="Sclerostin, mass",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=1.0,
        high=200000.0,
        synonyms=("sclerostin", "sost"),
        typical_median=(5.0, 5000.0),
        note=f"{_KITS} Never converted to `sclerostin`: the calibrator's mass is the kit's own.",
    ),
    _laboratory_test(
        name="dkk1",
        hint="From kits that report pmol/L.",
        label="DKK1 (Dickkopf-1), molar",
        unit="pmol/L",
        units=PMOL_PER_L,
        low=0.1,
        high=5000.0,
        references=(Reference(20.0, 50.0, "depends on the kit, background, unverified"),),
        detection_limit=1.0,
        synonyms=("dkk1", "dkk-1", "dickkopf-1"),
        note="Values in pg/mL are `dkk1_mass`.",
    ),
    _laboratory_test(
        name="dkk1_mass",
        hint="From kits that report pg/mL.",
        label="DKK1 (Dickkopf-1), mass",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=1.0,
        high=200000.0,
        synonyms=("dkk1", "dkk-1", "dickkopf-1"),
        typical_median=(100.0, 20000.0),
        note="Never converted to `dkk1`: the calibrator's mass is the kit's own.",
    ),
    _laboratory_test(
        name="wif1",
        label="WIF1 (Wnt inhibitory factor 1)",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=0.0,
        high=1000000.0,
    ),
)
