"""What a benchmark finds: rows of figures, and how far Osteon is from each other model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["Comparison", "Figure", "JudgedFigure", "ModelDifference", "ModelRow", "PathwayShare"]

Figure = float | None | Mapping[str, float]
"""A number, or numbers by day; None where a model has none."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What one model reached.

    Parameters
    ----------
    figures : mapping of str to Figure
        In the order in which they are printed.
    outcome : str
        Where several outcomes are compared, which of them.
    source : str
        Where published figures stand beside others, which of the two these are.
    """

    model: str
    figures: Mapping[str, Figure]
    outcome: str = ""
    source: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the row as a mapping, with the figures beside the model's name."""
        return {
            **({"outcome": self.outcome} if self.outcome else {}),
            "model": self.model,
            **({"source": self.source} if self.source else {}),
            **self.figures,
        }


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """Osteon minus another model in one metric; no interval from a single split."""

    model: str
    metric: str
    estimate: float
    low: float | None
    high: float | None
    verdict: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the difference as a mapping; a verdict is in it where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "verdict" or value}


@dataclass(frozen=True, slots=True)
class JudgedFigure:
    """One figure of a comparison with the truth, and what it must lie within."""

    outcome: str
    figure: str
    horizon_days: float
    value: float
    low: float | None
    high: float
    passed: bool


@dataclass(frozen=True, slots=True)
class PathwayShare:
    """Mean points of risk that a pathway moves at a horizon, in the truth and in the model."""

    outcome: str
    horizon_days: float
    pathway: str
    true: float
    found: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Osteon beside other models on the same patients.

    Parameters
    ----------
    protocol : str
        What was done, in words.
    rows : tuple of ModelRow
        The first is Osteon's, but in a comparison with the truth.
    figures : tuple of JudgedFigure
        Of a comparison with the truth, as the `shares`.
    """

    protocol: str
    rows: tuple[ModelRow, ...]
    differences: tuple[ModelDifference, ...] = ()
    figures: tuple[JudgedFigure, ...] = ()
    shares: tuple[PathwayShare, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping; without a truth, without figures and shares."""
        beside_truth = {
            "figures": [asdict(one) for one in self.figures],
            "shares": [asdict(one) for one in self.shares],
        }
        return {
            "rows": [row.as_json() for row in self.rows],
            "differences": [one.as_json() for one in self.differences],
            **{name: entries for name, entries in beside_truth.items() if entries},
        }
