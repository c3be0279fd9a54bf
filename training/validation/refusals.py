"""How many of the stays judged the model refuses: to be read before any metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from data_schema.disclosure import SMALLEST_CELL, shown_count
from models.inference.prediction import Remark

__all__ = ["MANY", "Refusals"]

MANY = 0.05
"""Where a larger share is refused, a report says so before any metric."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Stays judged, and those that get no risk.

    Parameters
    ----------
    stays, refused : int
    by_rule : mapping of str to int
        Refused stays by code of the rule; a stay may break several rules.
    """

    stays: int
    refused: int
    by_rule: Mapping[str, int]

    @classmethod
    def of(cls, refusals: Sequence[Sequence[Remark]]) -> Refusals:
        """Count the refusals of each stay, as `Prediction.refusals` holds them."""
        return cls(
            stays=len(refusals),
            refused=sum(bool(of_stay) for of_stay in refusals),
            by_rule=Counter(
                code
                for of_stay in refusals
                for code in dict.fromkeys(refusal.code for refusal in of_stay)
            ),
        )

    @classmethod
    def joined(cls, parts: Iterable[Refusals]) -> Refusals:
        """Return the counts of all parts of a cohort."""
        stays = refused = 0
        by_rule: Counter[str] = Counter()
        for part in parts:
            stays, refused = stays + part.stays, refused + part.refused
            by_rule.update(part.by_rule)
        return cls(stays, refused, by_rule)

    @property
    def notice(self) -> str | None:
        """What a reader must know before any metric; None where at most `MANY` are refused.

        It shows no count of fewer than `SMALLEST_CELL` stays.
        """
        if self.refused <= MANY * self.stays:
            return None
        rules = ", ".join(
            f"{code.replace('_', ' ')}: {shown_count(count)}"
            for code, count in sorted(self.by_rule.items(), key=lambda rule: -rule[1])
        )
        share = (
            f"more than {100 * MANY:g}"
            if self.refused < SMALLEST_CELL
            else f"{100 * self.refused / self.stays:.0f}"
        )
        return (
            f"The model refuses {share} % of the {shown_count(self.stays)} stays judged ({rules}). "
            "Metrics are of all stays judged, with the risk that the model computes for a refused "
            "stay but does not give; metrics of the stays that it does not refuse follow them."
        )

    def as_json(self) -> dict[str, object]:
        """Return the counts as a mapping."""
        return {"stays": self.stays, "refused": self.refused, "by_rule": dict(self.by_rule)}
