"""Blood samples of days 1, 3, 7, 14 and 28 of the stay, as long observations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.variables import LOINC, Variable
from training.simulation.sites import ONCE
from training.simulation.states import DAYS
from training.simulation.world import World

__all__ = ["observation_code", "observation_table"]


def observation_code(variable: Variable) -> str:
    """Return the code of a variable in observations: its LOINC code, or Osteon's own.

    Examples
    --------
    >>> observation_code(VARIABLES["ctx_s"]), observation_code(VARIABLES["opg"])
    ('LOINC//41171-0', 'OSTEON//opg')
    """
    first = variable.codes[0]
    return f"LOINC//{first.code}" if first.system == LOINC else f"OSTEON//{variable.name}"


def observation_table(world: World) -> pd.DataFrame:
    """Return every sample of every patient who was alive and in hospital on its day.

    The first is drawn in the six hours before time zero (24 h after ICU admission); the later ones
    follow it by whole days. A panel ordered for a patient is ordered each time.

    Returns
    -------
    DataFrame
        `subject_id, time, code, numeric_value, unit, comparator`, one row per value, by patient and
        time; `comparator` is `<` where the value is a detection limit, else missing.
    """
    hours = world.rng("extras", 1).uniform(0, 6, len(world))
    once = np.array([marker.panel in ONCE for marker in world.table.markers])
    variables = [VARIABLES[name] for name in world.table.names]
    blocks = []
    for day in DAYS:
        measured = world.measured(day)
        sampled = world.charted & world.courses.in_hospital(day)[:, None]
        patient, marker = np.nonzero(sampled if day == DAYS[0] else sampled & ~once)
        time = world.time_zero + ((day - 1) * 86_400 - hours * 3600).astype("timedelta64[s]")
        blocks.append(
            pd.DataFrame(
                {
                    "subject_id": world.patient_id[patient],
                    "time": pd.to_datetime(time[patient], utc=True),
                    "code": np.array([observation_code(variable) for variable in variables])[
                        marker
                    ],
                    "numeric_value": measured.value[patient, marker],
                    "unit": np.array([variable.unit for variable in variables])[marker],
                    "comparator": np.array([None, "<"])[
                        measured.below[patient, marker].astype(int)
                    ],
                }
            )
        )
    samples = pd.concat(blocks, ignore_index=True)
    return samples.sort_values(["subject_id", "time"], kind="stable", ignore_index=True)
