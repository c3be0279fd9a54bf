"""FGF23 and what it governs: phosphate, calcium, PTH and vitamin D."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import (
    BONE_IMMUNOASSAY,
    BONE_LABORATORY,
    LABORATORY,
    RETAINED_IMMUNOASSAY,
)
from data_schema.catalogue.unit_tables import MG_PER_DL, PG_PER_ML
from data_schema.variables import AssayWords, Code, Reference, Variable

__all__ = ["ENTRIES"]

_BACKGROUND = "background, unverified"
_LIAISON = "LIAISON XL, Cho Y, Front Endocrinol 2026, 386 Korean adults"
_WHICH_FRAGMENT = "C-terminal and intact FGF23 are two variables: which fragment?"
_WHICH_CALCIUM = "total and ionised calcium are two variables: which?"
_FGF23 = ("fgf23", "fibroblast growth factor 23")
_INTACT_FGF23 = ("ifgf23", "intact fgf23", "fgf23 intact")
_VITAMIN_D = ("vitamin d", "vit d", "vitd")

_fgf23 = partial(
    Variable, pathway="fgf23_mineral", origin=RETAINED_IMMUNOASSAY, ambiguity=_WHICH_FRAGMENT
)
_mineral = partial(Variable, pathway="fgf23_mineral", origin=LABORATORY)

ENTRIES: tuple[Variable, ...] = (
    _fgf23(
        name="fgf23_c",
        hint="C-terminal assay, in RU/mL; intact FGF23 has its own field.",
        label="FGF23, C-terminal",
        unit="[arb'U]/mL",
        units={"[arb'U]/mL": 1.0, "{RU}/mL": 1.0},
        aliases={"RU/mL": "[arb'U]/mL"},
        codes=(
            Code("47855-2", "Fibroblast growth factor 23.C-terminal [Units/volume] in Plasma"),
            Code(
                "46699-5",
                "Fibroblast growth factor 23 [Units/volume] in Plasma",
                assay_required=True,
            ),
        ),
        low=1.0,
        high=1000000.0,
        references=(Reference(None, 180.0, f"C-terminal ELISA, adults, {_BACKGROUND}"),),
        detection_limit=1.5,
        direction={"mortality": 1},
        specimen="plasma",
        assay_words=AssayWords(own="c.?term", other="intact"),
        synonyms=(
            *_FGF23,
            "cfgf23",
            "fgf23 c-term",
            "fgf23 c-terminal",
            "c-terminal fgf23",
            "fgf23 c",
        ),
        note="Relative units (RU/mL) of the C-terminal assay, which measures intact hormone and "
        "fragments. Never converted to pg/mL and never pooled with intact FGF23; kits in pmol/L "
        "are not accepted.",
    ),
    _fgf23(
        name="fgf23_i",
        hint="Intact hormone, in pg/mL; the C-terminal assay has its own field.",
        label="FGF23, intact",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        codes=(
            Code(
                "54390-0",
                "Fibroblast growth factor 23.intact [Mass/volume] in Serum or Plasma",
            ),
        ),
        low=0.5,
        high=200000.0,
        typical_median=(10.0, 20000.0),
        references=(
            Reference(25.7, 78.8, f"20-29 y, {_LIAISON}", age_from=20, age_to=29),
            Reference(32.0, 107.0, f"30 y and older, {_LIAISON}", age_from=30),
            Reference(28.0, 100.3, _LIAISON),
        ),
        detection_limit=3.0,
        assay_words=AssayWords(own="intact", other="c.?term"),
        synonyms=(*_FGF23, *_INTACT_FGF23),
        note="A weaker predictor of death than C-terminal FGF23 and never pooled with it.",
    ),
    _fgf23(
        name="fgf23_i_units",
        label="FGF23, intact, arbitrary units",
        unit="[arb'U]/mL",
        units={"[arb'U]/mL": 1.0},
        codes=(Code("47854-5", "Fibroblast growth factor 23.intact [Units/volume] in Plasma"),),
        low=0.1,
        high=1000000.0,
        specimen="plasma",
        synonyms=(*_FGF23, *_INTACT_FGF23),
        note="Neither `fgf23_i` (mass) nor `fgf23_c` (relative units of another assay).",
    ),
    _mineral(
        name="phosphate",
        hint="Both low and high values accompany death.",
        label="Phosphate",
        unit="mg/dL",
        # Milligrams of elemental phosphorus, 30.9738 g/mol; as PO4 the factor would be 3 times off.
        units={"mg/dL": 1.0, "mmol/L": 3.09738},
        codes=(
            Code("2777-1", "Phosphate [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("14879-1", "Phosphate [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=0.1,
        high=30.0,
        typical_median=(1.8, 9.0),
        references=(
            Reference(2.5, 4.5, f"0.80-1.45 mmol/L, as a MIMIC-IV study states it, {_BACKGROUND}"),
        ),
        synonyms=("phos", "po4", "inorganic phosphate", "phosphorus", "phosphat"),
        note="Given as phosphorus (P). Both low and high values accompany death: never "
        "constrained.",
    ),
    _mineral(
        name="calcium",
        hint="Depends on albumin; ionised calcium is preferred in critical illness.",
        label="Calcium, total",
        unit="mg/dL",
        # 40.078 g/mol; two equivalents per mole.
        units={**MG_PER_DL, "mmol/L": 4.0078, "meq/L": 2.0039},
        codes=(
            Code(
                "17861-6",
                "Calcium [Mass/volume] in Serum or Plasma",
                units=("mg/dL", "mg/L"),
            ),
            Code("2000-8", "Calcium [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=3.2,
        high=30.0,
        typical_median=(6.0, 12.0),
        references=(Reference(8.62, 10.22, f"2.15-2.55 mmol/L, {_BACKGROUND}"),),
        synonyms=("ca total", "total calcium", "serum calcium", "kalzium", "ca"),
        ambiguity=_WHICH_CALCIUM,
        note="1 meq/L is half a mmol/L. Depends on albumin; prefer ionised calcium in critical "
        "illness. Never constrained.",
    ),
    _mineral(
        name="calcium_ion",
        label="Calcium, ionised",
        unit="mmol/L",
        units={"mmol/L": 1.0, "mg/dL": 0.249513, "meq/L": 0.5},
        codes=(
            Code(
                "1995-0",
                "Calcium.ionized [Moles/volume] in Serum or Plasma",
                units=("mmol/L", "mg/dL"),
            ),
            Code(
                "1994-3",
                "Calcium.ionized [Moles/volume] in Blood",
                units=("mmol/L", "mg/dL"),
            ),
        ),
        low=0.2,
        high=3.5,
        typical_median=(0.8, 1.5),
        references=(Reference(1.15, 1.30, _BACKGROUND),),
        synonyms=(
            "ionized",
            "ionised",
            "ica",
            "ionized calcium",
            "ionised calcium",
            "ca ionized",
            "free calcium",
            "ca",
        ),
        ambiguity=_WHICH_CALCIUM,
        note="Death is more frequent below 0.8 and above 1.4 mmol/L (Egi, Crit Care Med 2011, "
        "PMID 21099425): never constrained.",
    ),
    _mineral(
        name="magnesium",
        label="Magnesium",
        unit="mg/dL",
        # 24.305 g/mol; two equivalents per mole.
        units={"mg/dL": 1.0, "mmol/L": 2.4305, "meq/L": 1.21525},
        codes=(
            Code("19123-9", "Magnesium [Mass/volume] in Serum or Plasma", units=("mg/dL",)),
            Code("2601-3", "Magnesium [Moles/volume] in Serum or Plasma", units=("mmol/L",)),
        ),
        low=0.1,
        high=25.0,
        typical_median=(1.3, 3.2),
        synonyms=("mg", "magnesium"),
    ),
    Variable(
        name="pth",
        hint="Assays of different generations differ.",
        label="PTH, intact",
        pathway="fgf23_mineral",
        origin=BONE_IMMUNOASSAY,
        unit="pg/mL",
        # Molecular weight 9425.
        units={**PG_PER_ML, "pmol/L": 9.425},
        codes=(
            Code(
                "2731-8",
                "Parathyrin.intact [Mass/volume] in Serum or Plasma",
                units=("pg/mL", "ng/L"),
            ),
            Code(
                "14866-8",
                "Parathyrin.intact [Moles/volume] in Serum or Plasma",
                units=("pmol/L",),
            ),
        ),
        low=0.5,
        high=10000.0,
        typical_median=(12.0, 600.0),
        references=(Reference(15.0, 65.0, _BACKGROUND),),
        detection_limit=1.0,
        synonyms=("ipth", "intact pth", "parathyroid hormone"),
        note="Second- and third-generation assays differ: state the assay.",
    ),
    Variable(
        name="vitd25",
        label="25-OH vitamin D, total (D2 + D3)",
        pathway="fgf23_mineral",
        origin=BONE_LABORATORY,
        unit="ng/mL",
        # Molecular weight of D3, 400.64, by convention.
        units={"ng/mL": 1.0, "ug/L": 1.0, "nmol/L": 0.40064},
        codes=(
            Code(
                "62292-8",
                "25-Hydroxyvitamin D2+25-Hydroxyvitamin D3 [Mass/volume] in Serum or Plasma",
                units=("ng/mL", "ug/L"),
            ),
            Code(
                "68438-1",
                "25-Hydroxyvitamin D2+25-Hydroxyvitamin D3 [Moles/volume] in Serum or Plasma",
                units=("nmol/L",),
            ),
            Code(
                "1989-3",
                "25-hydroxyvitamin D3 [Mass/volume] in Serum or Plasma",
                units=("ng/mL", "ug/L"),
                assay_required=True,
            ),
            Code(
                "14635-7",
                "25-hydroxyvitamin D3 [Moles/volume] in Serum or Plasma",
                units=("nmol/L",),
                assay_required=True,
            ),
        ),
        low=0.5,
        high=500.0,
        references=(
            Reference(
                20.0, None, "threshold of deficiency, Crit Care 2010, doi:10.1186/cc8821, 404 ICU"
            ),
        ),
        detection_limit=3.0,
        synonyms=(
            "25-oh d",
            "25ohd",
            "25-oh vitamin d",
            "25-hydroxyvitamin d",
            "calcidiol",
            *_VITAMIN_D,
        ),
        near_synonyms=("25-oh-d3", "25ohd3", "25-hydroxyvitamin d3", "25-oh vitamin d3"),
        ambiguity="D3 alone is not total 25-OH vitamin D, which is D2 and D3: which?",
        note="Codes of D3 alone (1989-3, 14635-7) are taken only when the assay is stated. "
        "The review puts deficiency at 40-70 % of critically ill patients; series saw 44-82 %.",
    ),
    Variable(
        name="vitd125",
        label="1,25-(OH)2 vitamin D",
        pathway="fgf23_mineral",
        origin=BONE_LABORATORY,
        unit="pg/mL",
        # Molecular weight 416.64: 1 pg/mL is 2.400 pmol/L; the 2.6 found in print is wrong.
        units={**PG_PER_ML, "pmol/L": 0.41664},
        codes=(
            Code(
                "62290-2",
                "1,25-Dihydroxyvitamin D [Mass/volume] in Serum or Plasma",
                units=("pg/mL", "ng/L"),
            ),
            Code(
                "14566-4",
                "1,25-dihydroxyvitamin D3 [Moles/volume] in Serum or Plasma",
                units=("pmol/L",),
            ),
        ),
        low=0.5,
        high=1000.0,
        references=(Reference(18.0, 72.0, _BACKGROUND),),
        detection_limit=5.0,
        synonyms=("1,25-oh2 d", "1,25(oh)2d", "calcitriol", "1,25-dihydroxyvitamin d", *_VITAMIN_D),
    ),
)
