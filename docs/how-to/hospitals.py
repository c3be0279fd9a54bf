"""Write the files of the how-to pages, from a simulated cohort of 2,400 patients.

    python hospitals.py simulated.parquet

The first half are the patients of three sites (`cohort.csv`), the second half other patients:

- `ours.csv`: those of another hospital, in the catalogue's units, with outcomes;
- `north.csv`, `south.csv`, `west.csv`: the same, as if they were of three hospitals;
- `changed.csv`: `ours.csv` after the laboratory began to report lactate in mg/dL;
- `wards.csv`: `ours.csv` with length of stay and death in hospital instead of follow-up;
- `small.csv`: 200 of them;
- `marker.csv`: with a biomarker that the catalogue does not hold;
- `their_risks.csv`: what another group's model predicts for them.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

_COLUMNS = (
    *("patient_id", "site", "simulated", "age", "sex", "sofa", "lactate", "albumin", "creatinine"),
    *("fgf23_c", "ctx_s", "mortality_days", "mortality_event"),
)
_SITES = np.array(["north", "south", "west"])
_MG_DL_PER_MMOL_L = 9.008  # lactate
_SMALL = 200


def main(path: str) -> None:
    """Read a simulated cohort and write the files."""
    patients = pd.read_parquet(path)[[*_COLUMNS]]
    rng = np.random.default_rng(1)
    patients["site"] = rng.choice(_SITES, len(patients))
    half = len(patients) // 2
    cohort, others = patients[:half], patients[half:]
    cohort.to_csv("cohort.csv", index=False)
    for site, its_patients in others.groupby("site"):
        its_patients.to_csv(f"{site}.csv", index=False)
    ours = others.assign(site="ours")
    ours.to_csv("ours.csv", index=False)
    ours.assign(lactate=(ours["lactate"] * _MG_DL_PER_MMOL_L).round(1)).to_csv(
        "changed.csv", index=False
    )
    ours[:_SMALL].to_csv("small.csv", index=False)
    marker = rng.lognormal(3, 0.5, len(ours)) * (1 + 0.05 * ours["sofa"])
    ours.assign(cathepsin_k=marker.round(1)).to_csv("marker.csv", index=False)
    _in_hospital(ours, rng).to_csv("wards.csv", index=False)
    _risks_of_others(ours).to_csv("their_risks.csv", index=False)


def _in_hospital(ours: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return what a hospital knows that does not follow its patients after discharge."""
    home = rng.lognormal(2.6, 0.6, len(ours)) + 0.5
    died = (ours["mortality_event"] == 1) & (ours["mortality_days"] <= home)
    stay = np.where(died, ours["mortality_days"], home).round(2)
    wards = ours.drop(columns=["mortality_days", "mortality_event"])
    return wards.assign(length_of_stay=stay, died_in_hospital=died.astype(int))


def _risks_of_others(ours: pd.DataFrame) -> pd.DataFrame:
    """Return the risks of a model of age and SOFA that another group published."""
    sofa = ours["sofa"].fillna(ours["sofa"].median())
    log_odds = -3.4 + 0.02 * (ours["age"] - 62) + 0.22 * sofa
    risks = {"risk_28": log_odds, "risk_90": log_odds + 0.3}
    columns = {name: (1 / (1 + np.exp(-at))).round(4) for name, at in risks.items()}
    return pd.DataFrame({"patient_id": ours["patient_id"], **columns})


if __name__ == "__main__":
    main(sys.argv[1])
