"""An alert: what has changed, where, by how much, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from scipy.stats import norm

__all__ = ["FALSE_ALARMS", "Alert", "AlertKind", "control_limit"]

AlertKind = Literal["unit_shift", "drift", "missing", "calibration", "discrimination"]

FALSE_ALARMS = 0.01
"""Share of periods without any change in which a kind of alert may be raised."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that has changed beyond its control limit.

    Parameters
    ----------
    kind : str
        What is watched.
    variable : str
        Variable, or `risk`, `refused`, `oe_ratio` or `auroc`.
    message : str
        One sentence for people; it holds no patient's value.
    statistic, limit : float
        The figure in standard errors, and the control limit that it exceeds.
    what : str
        What of the variable has changed: `location`, `spread`, `levels`, `new_category`,
        `correlation`, `recorded`, `mean` or `share`; "" where the kind says it.
    site : str or None
        None for all patients.
    horizon_days : float or None
    factor : float or None
        Of a unit shift: arrived values are so many times those of the stated unit.
    unit : str or None
        Of a unit shift: the unit that the values fit; None for a shifted decimal point.
    estimate, expected : float or None
        The figure that arrived, and that of the training cohort, the earlier period or the risks.
    compared_with : str
        `earlier period` where a period is compared with an earlier one of the same place.
    """

    kind: AlertKind
    variable: str
    message: str
    statistic: float
    limit: float
    what: str = ""
    site: str | None = None
    horizon_days: float | None = None
    factor: float | None = None
    unit: str | None = None
    estimate: float | None = None
    expected: float | None = None
    compared_with: Literal["training cohort", "earlier period"] = "training cohort"

    def as_json(self) -> Mapping[str, str | float | None]:
        """Return the alert as `osteon monitor --json` prints it."""
        stated: dict[str, str | float | None] = {"kind": self.kind, "variable": self.variable}
        if self.kind == "unit_shift":
            stated |= {"factor": self.factor, "unit": self.unit}
        optional: dict[str, str | float | None] = {
            "what": self.what or None,
            "site": self.site,
            "horizon_days": self.horizon_days,
            "estimate": self.estimate,
            "expected": self.expected,
        }
        if self.compared_with != "training cohort":
            optional["compared_with"] = self.compared_with
        stated |= {name: value for name, value in optional.items() if value is not None}
        rounded = {"statistic": round(self.statistic, 2), "limit": round(self.limit, 2)}
        return {**stated, **rounded, "message": self.message}


def control_limit(tests: int, *, false_alarms: float = FALSE_ALARMS) -> float:
    """Return how many standard errors the largest of so many figures exceeds by chance.

    Bonferroni's bound: the chance that any exceeds it is at most `false_alarms` if none has
    changed, however the figures depend on each other.

    >>> round(control_limit(1), 2), round(control_limit(60), 2)
    (2.58, 3.76)
    """
    return float(norm.isf(false_alarms / 2 / max(tests, 1)))
