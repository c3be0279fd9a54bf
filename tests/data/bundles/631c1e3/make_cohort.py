"""Draw the made-up cohort that the bundle learned from: nobody in it ever lived."""

import numpy as np
import pandas as pd

N = 600
rng = np.random.default_rng(631)
age = rng.normal(66, 13, N).clip(18.5, 98).round(1)
sex = rng.choice(np.array(["female", "male"], dtype=object), N)
lactate = np.exp(rng.normal(0.6, 0.6, N)).clip(0.3, 20).round(1)
ctx_s = np.exp(rng.normal(6.2, 0.6, N)).clip(50, 5_000).round(0)
diabetes = rng.integers(0, 2, N)
# Not linear, so that the trees have a say beside the linear part.
signs = np.sign(age - 66) * np.sign(ctx_s - 500)
fracture = rng.exponential(900 * np.exp(-1.6 * signs))
death = rng.exponential(1_500 * np.exp(-0.5 * (lactate - 2)))
censored = rng.uniform(400, 2_500, N)
days = np.minimum.reduce([fracture, death, censored]).clip(1).round(0)
event = np.where(censored <= np.minimum(fracture, death), 0, np.where(fracture <= death, 1, 2))
frame = pd.DataFrame(
    {
        "patient_id": [f"made-up-{i}" for i in range(N)],
        "stay_id": [f"stay-{i}" for i in range(N)],
        "age": age,
        "sex": sex,
        "lactate": np.where(rng.random(N) < 0.15, np.nan, lactate),
        "ctx_s": np.where(rng.random(N) < 0.15, np.nan, ctx_s),
        "diabetes": diabetes,
        "fracture_days": days,
        "fracture_event": event,
    }
)
frame.to_csv("cohort.csv", index=False)
