"""CiiM Breda: plasma proteins in COVID-19, intensive care against ward; for checks only."""

from __future__ import annotations

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from training.datasets.columns import NOMINAL_HORIZON_DAYS, Column, adapt_table, known_at
from training.datasets.dataset import Dataset, Raw, read_folder
from training.datasets.site_variables import site_number

__all__ = ["DATASET"]

_PANEL = "INF|"
_NOT_PROTEINS = ("INF|Plate ID", "INF|QC Warning")
_PATHWAYS = {
    "FGF-23": "fgf23_mineral",
    "OPG": "opg_rankl",
    "TRANCE": "opg_rankl",
    "TRAIL": "opg_rankl",
    "CSF-1": "opg_rankl",
}

_PERSON = (
    Column("age", VARIABLES["age"], unit="a"),
    Column("gender", VARIABLES["sex"], codes={"female": "female", "male": "male"}),
)

_DROPPED = {
    "time": "only the first sample of a patient is used",
    "cohort": "the same in every row",
    "INF|Plate ID": "the batch of the assay",
    "INF|QC Warning": "quality control of the assay",
}


def _protein(source: str) -> Column:
    protein = source.removeprefix(_PANEL)
    name = "npx_" + "".join(c if c.isalnum() else "_" for c in protein.lower())
    pathway = _PATHWAYS.get(protein, "osteopontin_immune")
    return Column(source, site_number(name, f"{protein} (Olink NPX)", pathway, "{NPX}", -20, 40))


def adapt(raw: Raw) -> Cohort:
    """Return the first sample of every patient with a known ward.

    Olink values are relative and logarithmic, so each protein is a variable of its own and never
    the concentration of the catalogue.
    """
    first = raw[raw["time"].eq("T1") & raw["icu"].notna()]
    first = first.drop_duplicates("patient_id").reset_index(drop=True)
    proteins = [c for c in raw.columns if c.startswith(_PANEL) and c not in _NOT_PROTEINS]
    return adapt_table(
        first,
        (*_PERSON, *map(_protein, proteins)),
        identifiers=("patient_id", "icu"),
        dropped=_DROPPED,
        patient_id=first["patient_id"],
        outcome=known_at("intensive_care", first["icu"], NOMINAL_HORIZON_DAYS),
        name="ciim_breda",
        population="Adults admitted with COVID-19 to a hospital in Breda, Netherlands",
    )


DATASET = Dataset(
    name="ciim_breda",
    read=lambda folder: read_folder(folder, "ciim_breda/breda_inflammation.csv"),
    adapt=adapt,
    outcome="intensive_care",
    time_zero="first sample, perhaps already in intensive care",
    source="CiiM Postcovid-targeted-proteomics, Olink Target 96 Inflammation",
    purpose="checks only",
    needs_folder=True,
    notes=("Intensive care against ward, not death; samples may follow the transfer.",),
)
