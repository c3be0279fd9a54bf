"""Write the spreadsheets of the tutorial: made-up patients as a laboratory would send them.

    python laboratory.py simulated.parquet

The patients are those of `osteon simulate`. Names, units and signs are a laboratory's: albumin in
g/L, lactate in mg/dL, C-terminal FGF23 with "<" below the detection limit, sex as a letter. Times
in `laboratory.xlsx` are rounded, so that some are 0; `laboratory-2.xlsx` gives minutes.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

_MG_DL_PER_MMOL_L = 9.008  # lactate


def main(path: str) -> None:
    """Read a simulated cohort and write the spreadsheet."""
    cohort = pd.read_parquet(path)
    rng = np.random.default_rng(1)
    fgf23 = cohort["fgf23_c"].round(0)
    low = fgf23 < 60
    sheet = pd.DataFrame(
        {
            "Pat. No.": [f"L-{number:05d}" for number in rng.permutation(len(cohort))],
            "Age (years)": cohort["age"].round(0),
            "Sex": cohort["sex"].map({"female": "f", "male": "m"}),
            "SOFA score": cohort["sofa"],
            "Lactate [mg/dL]": (cohort["lactate"] * _MG_DL_PER_MMOL_L).round(0),
            "Albumin [g/L]": (cohort["albumin"] * 10).round(0),
            "Creatinine [mg/dL]": cohort["creatinine"].round(1),
            "FGF23 [RU/mL]": fgf23.astype(object).where(~low, "<60"),
            "CTX [pg/mL]": cohort["ctx_s"].round(0),
            "Days to death or last contact": cohort["mortality_days"].round(1),
            "Died": cohort["mortality_event"].astype(int),
        }
    )
    sheet.to_excel("laboratory.xlsx", index=False)
    sheet["Days to death or last contact"] = cohort["mortality_days"].round(3)
    sheet.to_excel("laboratory-2.xlsx", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
