"""The OPG/RANK/RANKL system: what makes and what holds back the osteoclast."""

from __future__ import annotations

from data_schema.catalogue.unit_tables import PG_PER_ML, PMOL_PER_L, RATIO
from data_schema.variables import Reference, Variable

__all__ = ["ENTRIES"]

_DONORS = "300 blood donors, Scand J Clin Lab Invest 2007;67:821, doi:10.1080/00365510701432509"

ENTRIES: tuple[Variable, ...] = (
    Variable(
        name="rankl_free",
        label="RANKL, free (soluble), molar",
        pathway="opg_rankl",
        unit="pmol/L",
        units={**PMOL_PER_L, "fmol/mL": 1.0},
        low=0.0,
        high=500.0,
        detection_limit=0.01,
        note="Never total RANKL, which is about 1,000 times higher. The review implies activation "
        "in critical illness; measured free RANKL was undetectable or low there.",
    ),
    Variable(
        name="rankl_free_mass",
        label="RANKL, free (soluble), mass",
        pathway="opg_rankl",
        unit="pg/mL",
        units=PG_PER_ML,
        low=0.0,
        high=10000.0,
        note="Mass and molar kits use different calibrators: never converted to `rankl_free`.",
    ),
    Variable(
        name="rankl_total",
        label="RANKL, total (free and bound to OPG), molar",
        pathway="opg_rankl",
        unit="pmol/L",
        units={**PMOL_PER_L, "nmol/L": 1000.0},
        low=0.1,
        high=1000000.0,
        references=(Reference(None, 40200.0, f"95th percentile, {_DONORS}"),),
        note="Never free RANKL. Extremely skewed: median 660 pmol/L in blood donors.",
    ),
    Variable(
        name="rankl_total_mass",
        label="RANKL, total (free and bound to OPG), mass",
        pathway="opg_rankl",
        unit="pg/mL",
        units=PG_PER_ML,
        low=0.1,
        high=10000000.0,
        note="Mass and molar kits use different calibrators: never converted to `rankl_total`.",
    ),
    Variable(
        name="opg",
        label="Osteoprotegerin, molar",
        pathway="opg_rankl",
        unit="pmol/L",
        units=PMOL_PER_L,
        low=0.05,
        high=500.0,
        references=(Reference(None, 4.2, f"95th percentile, {_DONORS}"),),
        detection_limit=0.1,
        note="About 3 times the reference at ICU admission. Kits in pg/mL differ by calibrator "
        "(monomer or dimer): use `opg_mass`, never converted.",
    ),
    Variable(
        name="opg_mass",
        label="Osteoprotegerin, mass",
        pathway="opg_rankl",
        unit="pg/mL",
        units=PG_PER_ML,
        low=1.0,
        high=50000.0,
        note="Kits differ by calibrator (monomer or dimer): never converted to `opg`.",
    ),
    Variable(
        name="rankl_opg_ratio",
        label="RANKL/OPG ratio",
        pathway="opg_rankl",
        unit="1",
        units=RATIO,
        low=0.0,
        high=10000.0,
        window="derived from values at time zero",
        note="Free RANKL over OPG, both molar. Its direction in critical illness is not settled: "
        "one small septic-shock study found it raised, larger ones found low RANKL and high OPG.",
    ),
    Variable(
        name="mcsf",
        label="M-CSF (CSF-1)",
        pathway="opg_rankl",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=0.0,
        high=1000000.0,
    ),
    Variable(
        name="trail",
        label="TRAIL, soluble",
        pathway="opg_rankl",
        unit="pg/mL",
        units={**PG_PER_ML, "ng/mL": 1000.0},
        low=0.0,
        high=100000.0,
    ),
)
