"""Estrogen and the other hormones that act on bone, and what must be known to read them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import SPECIAL_LABORATORY
from data_schema.catalogue.unit_tables import NG_PER_ML, PG_PER_ML
from data_schema.variables import Code, Origin, Reference, Variable
from data_schema.windows import Window

__all__ = ["ENTRIES"]

_MASS = ("pg/mL", "ng/L", "ng/dL")
_MOLAR = ("pmol/L", "nmol/L")
_LC_MS = "LC-MS/MS, Verdonk, Clin Chim Acta 2019"

_laboratory_test = partial(Variable, pathway="estrogen_endocrine", origin=SPECIAL_LABORATORY)

ENTRIES: tuple[Variable, ...] = (
    Variable(
        name="estradiol",
        hint="Below the limit of the immunoassay, enter the limit as printed, such as <9.99.",
        label="Estradiol (E2)",
        pathway="estrogen_endocrine",
        origin=Origin(
            "sample", of_bone=True, routine=False, caveats=("exogenous_hormones", "biotin")
        ),
        unit="pg/mL",
        # Molecular weight 272.382: 1 pg/mL is 3.6713 pmol/L.
        units={
            **PG_PER_ML,
            "ng/dL": 10.0,
            "ng/mL": 1000.0,
            "pmol/L": 0.272382,
            "nmol/L": 272.382,
        },
        codes=(
            Code(
                "2243-4",
                "Estradiol (E2) [Mass/volume] in Serum or Plasma",
                units=(*_MASS, "ng/mL"),
            ),
            Code("14715-7", "Estradiol (E2) [Moles/volume] in Serum or Plasma", units=_MOLAR),
            Code(
                "35384-7",
                "Estradiol (E2) [Mass/volume] in Serum or Plasma by High sensitivity method",
                units=_MASS,
            ),
            Code(
                "72873-3",
                "Estradiol (E2) [Moles/volume] in Serum or Plasma by High sensitivity method",
                units=_MOLAR,
            ),
            Code(
                "83096-8",
                "Estradiol (E2) [Mass/volume] in Serum or Plasma by Immunoassay",
                units=_MASS,
            ),
            Code(
                "83097-6",
                "Estradiol (E2) [Moles/volume] in Serum or Plasma by Immunoassay",
                units=_MOLAR,
            ),
        ),
        low=0.1,
        high=20000.0,
        references=(
            Reference(3.27, 37.0, f"12-136 pmol/L, 64 men, {_LC_MS}", sex="male"),
            Reference(
                None,
                7.08,
                f"below 26 pmol/L, 33 women, {_LC_MS}",
                sex="female",
                menopause="post",
            ),
            Reference(
                8.44,
                780.1,
                f"31-2864 pmol/L, early follicular phase to LH peak, 30 women, {_LC_MS}",
                sex="female",
                menopause="pre",
            ),
        ),
        detection_limit=9.99,
        synonyms=("e2", "oestradiol", "17-beta-estradiol", "estradiol 17b"),
        caution="For estradiol, higher values accompany death in acute illness, lower values "
        "accompany bone loss over years.",
        note="Higher values accompany death in acute illness, lower values accompany bone loss "
        "over years: never constrained. At least a quarter of critically ill patients lie at the "
        "immunoassay's floor of 9.99 pg/mL; LC-MS/MS quantifies from 8 pmol/L (2.2 pg/mL).",
    ),
    Variable(
        name="exogenous_hormones",
        label="Exogenous sex hormones (therapy or contraception)",
        pathway="estrogen_endocrine",
        kind="flag",
        treatment=True,
        window=Window("in the 3 months before time zero", timedelta(days=93)),
        # Contraceptives, androgens, estrogens, progestogens, and combinations of them.
        atc=("G03A", "G03B", "G03C", "G03D", "G03E", "G03F", "G03HB"),
        note="Estradiol, testosterone and SHBG do not mean the same under them: warned about.",
    ),
    Variable(
        name="testosterone",
        label="Testosterone, total",
        pathway="estrogen_endocrine",
        origin=Origin(
            "sample", of_bone=False, routine=False, caveats=("exogenous_hormones", "biotin")
        ),
        unit="ng/dL",
        # Molecular weight 288.431.
        units={"ng/dL": 1.0, "ng/mL": 100.0, "ug/L": 100.0, "nmol/L": 28.8431},
        codes=(
            Code(
                "2986-8",
                "Testosterone [Mass/volume] in Serum or Plasma",
                units=("ng/dL", "ng/mL", "ug/L"),
            ),
            Code(
                "14913-8",
                "Testosterone [Moles/volume] in Serum or Plasma",
                units=("nmol/L",),
            ),
        ),
        low=0.5,
        high=10000.0,
        synonyms=("testosterone", "total testosterone"),
    ),
    Variable(
        name="shbg",
        label="SHBG (sex hormone binding globulin)",
        pathway="estrogen_endocrine",
        origin=Origin(
            "sample", of_bone=False, routine=False, caveats=("exogenous_hormones", "biotin")
        ),
        unit="nmol/L",
        units={"nmol/L": 1.0},
        codes=(Code("13967-5", "Sex hormone binding globulin [Moles/volume] in Serum or Plasma"),),
        low=0.5,
        high=1000.0,
    ),
    _laboratory_test(
        name="igf1",
        hint="Falls with age.",
        label="IGF-1",
        unit="ng/mL",
        units=NG_PER_ML,
        codes=(Code("2484-4", "Insulin-like growth factor-I [Mass/volume] in Serum or Plasma"),),
        low=1.0,
        high=3000.0,
        synonyms=("igf-i", "insulin-like growth factor 1"),
        note="Falls with age: compare within age.",
    ),
    _laboratory_test(
        name="tgf_beta1",
        hint="Serum exceeds plasma many times, since platelets release it on clotting.",
        label="TGF-beta 1",
        unit="ng/mL",
        units={**NG_PER_ML, "pg/mL": 0.001},
        low=0.01,
        high=1000.0,
        synonyms=("tgf-beta", "tgfb", "tgfb1", "tgf-b1"),
        note="Platelets release it on clotting: serum exceeds platelet-poor plasma many times; "
        "state the specimen.",
    ),
    _laboratory_test(
        name="cortisol",
        hint="Hydrocortisone and prednisolone cross-react in immunoassays.",
        label="Cortisol, total",
        unit="ug/dL",
        # Molecular weight 362.46.
        units={"ug/dL": 1.0, "ng/mL": 0.1, "ug/L": 0.1, "nmol/L": 0.036246},
        codes=(
            Code(
                "2143-6",
                "Cortisol [Mass/volume] in Serum or Plasma",
                units=("ug/dL", "ng/mL", "ug/L"),
            ),
            Code("14675-3", "Cortisol [Moles/volume] in Serum or Plasma", units=("nmol/L",)),
        ),
        low=0.1,
        high=500.0,
        synonyms=("cortisol", "total cortisol"),
        note="Hydrocortisone and prednisolone cross-react in immunoassays.",
    ),
)
