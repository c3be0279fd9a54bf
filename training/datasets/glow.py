"""GLOW: fracture within one year in women of 55 and over (aplore3 teaching subset)."""

from __future__ import annotations

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.variables import Variable
from training.datasets.columns import Column, adapt_table, known_at
from training.datasets.dataset import Dataset, Raw, read_folder
from training.datasets.site_variables import EVER_SMOKED, MOTHER_HIP_FRACTURE
from training.datasets.studies import GLOW

__all__ = ["DATASET"]

HORIZON_DAYS = 365.0

_YES_NO = {"Yes": 1.0, "No": 0.0}

_COLUMNS = (
    Column("age", VARIABLES["age"], unit="a"),
    Column("weight", VARIABLES["weight"], unit="kg"),
    Column("height", VARIABLES["height"], unit="cm"),
    Column("bmi", VARIABLES["bmi"], unit="kg/m2"),
    Column("priorfrac", VARIABLES["prior_fracture"], codes=_YES_NO),
    Column(
        "premeno",
        Variable("early_menopause", "Menopause before 45", "estrogen_endocrine", "flag"),
        codes=_YES_NO,
    ),
    Column("momfrac", MOTHER_HIP_FRACTURE, codes=_YES_NO),
    Column(
        "armassist",
        Variable("rises_with_arms", "Needs the arms to rise from a chair", "person", "flag"),
        codes=_YES_NO,
    ),
    Column("smoke", EVER_SMOKED, codes=_YES_NO),
    Column(
        "bonemed",
        Variable("bone_medication", "Bone medication", "care", "flag", treatment=True),
        codes=_YES_NO,
    ),
    Column(
        "raterisk",
        Variable(
            "self_rated_fracture_risk",
            "Own view of the risk of fracture against women of the same age",
            "person",
            "category",
            categories=("Less", "Same", "Greater"),
        ),
    ),
)

_DROPPED = {
    "bonemed_fu": "bone medication at follow-up: known only after time zero",
    "bonetreat": "bone medication at both visits: known only after time zero",
    "fracscore": "a score of the other columns; a comparator",
    "phy_id": "298 physicians of 500 women: an identifier, not a property of the patient",
}


def adapt(raw: Raw) -> Cohort:
    """Return GLOW as a cohort with one fixed horizon of 365 days."""
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("sub_id", "site_id", "fracture"),
        dropped=_DROPPED,
        patient_id=raw["sub_id"],
        outcome=known_at("fracture", raw["fracture"].eq("Yes"), HORIZON_DAYS),
        name="glow",
        population=(
            "Women of 55 and over in general practice; fractures over-sampled to one in four, so "
            "risks are not population risks"
        ),
        site=raw["site_id"].astype(str).to_numpy(dtype=object),
    )


DATASET = Dataset(
    name="glow",
    read=lambda folder: read_folder(folder, "glow/glow_bonemed.csv"),
    adapt=adapt,
    outcome="fracture",
    time_zero="enrolment",
    source="aplore3 glow_bonemed, Hosmer et al., Applied Logistic Regression (2013)",
    needs_folder=True,
    scores=("fracscore",),
    notes=(
        "Fractures are over-sampled (125 of 500): rank patients by it, never quote its risks.",
        "Death before a fracture is not recorded.",
    ),
    study=GLOW,
)
