"""The OPG/RANK/RANKL system: what forms and what inhibits the osteoclast."""

from __future__ import annotations

from functools import partial

from data_schema.catalogue.origins import BONE_LABORATORY, SPECIAL_LABORATORY
from data_schema.catalogue.unit_tables import PG_PER_ML, PMOL_PER_L, RATIO
from data_schema.variables import AssayWords, Origin, Reference, Variable
from data_schema.windows import Since, Window

__all__ = ["ENTRIES"]

_DONORS = "300 blood donors, Scand J Clin Lab Invest 2007;67:821, doi:10.1080/00365510701432509"
_WHICH_RANKL = "free and total RANKL are two variables: which?"
_RANKL = ("rankl", "srankl", "trance")

_laboratory_test = partial(Variable, pathway="opg_rankl", origin=BONE_LABORATORY)

ENTRIES: tuple[Variable, ...] = (
    _laboratory_test(
        name="rankl_free",
        hint="Free RANKL; total RANKL, about 1,000 times higher, has its own field.",
        label="RANKL, free (soluble), molar",
        unit="pmol/L",
        units={**PMOL_PER_L, "fmol/mL": 1.0},
        low=0.0,
        high=500.0,
        detection_limit=0.01,
        assay_words=AssayWords(own="free", other="total"),
        synonyms=(*_RANKL, "free rankl", "rankl free", "free srankl"),
        ambiguity=_WHICH_RANKL,
        note="Never total RANKL, which is about 1,000 times higher. The review implies activation "
        "in critical illness; measured free RANKL was undetectable or low there.",
    ),
    _laboratory_test(
        name="rankl_free_mass",
        hint="From kits that report pg/mL.",
        label="RANKL, free (soluble), mass",
        unit="pg/mL",
        units=PG_PER_ML,
        low=0.0,
        high=10000.0,
        assay_words=AssayWords(own="free", other="total"),
        synonyms=(*_RANKL, "free rankl", "rankl free", "free srankl"),
        ambiguity=_WHICH_RANKL,
        note="Mass and molar kits use different calibrators: never converted to `rankl_free`.",
    ),
    _laboratory_test(
        name="rankl_total",
        hint="Total RANKL; free RANKL has its own field.",
        label="RANKL, total (free and bound to OPG), molar",
        unit="pmol/L",
        units={**PMOL_PER_L, "nmol/L": 1000.0},
        low=0.1,
        high=1000000.0,
        typical_median=(30.0, 30000.0),
        references=(Reference(None, 40200.0, f"95th percentile, {_DONORS}"),),
        assay_words=AssayWords(own="total", other="free"),
        synonyms=(*_RANKL, "total rankl", "rankl total", "total srankl"),
        ambiguity=_WHICH_RANKL,
        note="Never free RANKL. Extremely skewed: median 660 pmol/L in blood donors.",
    ),
    _laboratory_test(
        name="rankl_total_mass",
        hint="From kits that report pg/mL.",
        label="RANKL, total (free and bound to OPG), mass",
        unit="pg/mL",
        units=PG_PER_ML,
        low=0.1,
        high=10000000.0,
        assay_words=AssayWords(own="total", other="free"),
        synonyms=(*_RANKL, "total rankl", "rankl total", "total srankl"),
        ambiguity=_WHICH_RANKL,
        note="Mass and molar kits use different calibrators: never converted to `rankl_total`.",
    ),
    _laboratory_test(
        name="opg",
        hint="From kits that report pmol/L.",
        label="Osteoprotegerin, molar",
        unit="pmol/L",
        units=PMOL_PER_L,
        low=0.05,
        high=500.0,
        references=(Reference(None, 4.2, f"95th percentile, {_DONORS}"),),
        detection_limit=0.1,
        synonyms=("opg", "osteoprotegerin"),
        note="About 3 times the reference at ICU admission. Kits in pg/mL differ by calibrator "
        "(monomer or dimer): use `opg_mass`, never converted.",
    ),
    _laboratory_test(
        name="opg_mass",
        hint="From kits that report pg/mL.",
        label="Osteoprotegerin, mass",
        unit="pg/mL",
        units=PG_PER_ML,
        low=1.0,
        high=50000.0,
        synonyms=("opg", "osteoprotegerin"),
        note="Kits differ by calibrator (monomer or dimer): never converted to `opg`.",
    ),
    Variable(
        name="rankl_opg_ratio",
        hint="Free RANKL over OPG, both molar; derived if both are entered.",
        label="RANKL/OPG ratio",
        pathway="opg_rankl",
        origin=Origin("derived", of_bone=True, routine=False, caveats=()),
        unit="1",
        units=RATIO,
        low=0.0,
        high=10000.0,
        synonyms=("rankl/opg",),
        window=Window("derived from values at time zero", Since.STAY),
        note="Free RANKL over OPG, both molar. Its direction in critical illness is not settled: "
        "one small septic-shock study found it raised, larger ones found low RANKL and high OPG.",
    ),
    _laboratory_test(
        name="mcsf",
        label="M-CSF (CSF-1)",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=0.0,
        high=1000000.0,
        synonyms=("m-csf", "csf-1"),
    ),
    Variable(
        name="trail",
        label="TRAIL, soluble",
        pathway="opg_rankl",
        origin=SPECIAL_LABORATORY,
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=0.0,
        high=100000.0,
    ),
)
