"""What a model's run found a panel of markers to add, read from its contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from data_schema.variables import PATHWAYS
from models.inference.contract import Contract

__all__ = ["PanelVerdict", "part_label"]

_JOIN = "+"


def part_label(name: str) -> str:
    """Return the label of a part of a panel: a pathway or variable, or several joined by `+`.

    Examples
    --------
    >>> part_label("resorption+p1np")
    'Bone resorption + p1np'
    """
    return " + ".join(PATHWAYS.get(part, part) for part in name.split(_JOIN))


@dataclass(frozen=True, slots=True)
class PanelVerdict:
    """The verdict on a panel, with the change in the area under the ROC curve that it rests on.

    Parameters
    ----------
    parts : tuple of str
        Labels of the parts of the panel.
    columns, over : int
        Columns of the panel, and of the base that it is added to.
    verdict : str
    horizon_days : float
    without, with_panel, change, low, high : float
        Area without and with the panel, and their difference with its 95 % interval; NaN where
        there is none.
    true_change : float or None
        What the panel adds to the best attainable risks, where the patients are simulated.
    """

    parts: tuple[str, ...]
    columns: int
    over: int
    verdict: str
    horizon_days: float
    without: float
    with_panel: float
    change: float
    low: float
    high: float
    true_change: float | None = None

    @classmethod
    def of(cls, contract: Contract) -> PanelVerdict | None:
        """Return the verdict that a contract holds, or None."""
        if contract.added_value is None:
            return None
        content = cast("dict[str, Any]", contract.added_value)
        primary, added = content["primary"], content["added"]
        low, high = (np.nan if primary[end] is None else primary[end] for end in ("low", "high"))
        return cls(
            parts=tuple(map(part_label, added)),
            columns=sum(map(len, added.values())),
            over=len(content["over"]),
            verdict=content["verdict"],
            horizon_days=content["primary_horizon_days"],
            without=primary["without"],
            with_panel=primary["with_panel"],
            change=primary["change"],
            low=low,
            high=high,
            true_change=content.get("true_change"),
        )

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the change and its interval."""
        return (
            f"Added value of {', '.join(self.parts)} ({self.columns} "
            f"column{'' if self.columns == 1 else 's'}) over {self.over} other columns at "
            f"{self.horizon_days:g} days: {self.verdict}. Change in the area under the ROC curve, "
            f"with 95 % interval: {self._interval}, from {self.without:.3f} to "
            f"{self.with_panel:.3f}."
        )

    @property
    def truth_sentence(self) -> str:
        """What the panel truly adds on simulated patients; "" where that is not known."""
        if self.true_change is None:
            return ""
        inside = self.low <= self.true_change <= self.high
        return (
            "These patients are simulated, so that the truth is known: to the best attainable "
            f"risks the panel adds {_signed(self.true_change)}, "
            f"{'inside' if inside else 'outside'} the interval."
        )

    @property
    def _interval(self) -> str:
        if np.isnan(self.low):
            return f"{_signed(self.change)} (no interval)"
        return f"{_signed(self.change)} ({_signed(self.low)} to {_signed(self.high)})"


def _signed(value: float) -> str:
    return f"{value:+z.4f}".replace("-", "\N{MINUS SIGN}")
