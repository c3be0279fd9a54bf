"""Write what the commit that wrote the bundle answers for `patients.csv`."""

import sys

import pandas as pd

from models.inference import RiskModel

patients = pd.read_csv("patients.csv", keep_default_na=True)
patients["sex"] = patients["sex"].astype(object).where(patients["sex"].notna(), None)
prediction = RiskModel.from_directory("bundle").predict(patients, [30.0, 365.0, 1000.5], explain=True)
prediction.to_frame(patients).to_csv("predictions.csv", index=False)
