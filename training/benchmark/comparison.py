"""Results of a benchmark: rows of figures, and Osteon's differences from the other models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["Comparison", "Figure", "JudgedFigure", "ModelDifference", "ModelRow", "PathwayShare"]

Figure = float | None | Mapping[str, float]
"""A number, or numbers by day; None if a model has none."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """Figures of one model.

    Parameters
    ----------
    figures : mapping of str to Figure
        In the order in which they are printed.
    outcome : str
        The outcome, if the comparison has several.
    source : str
        `published` or `run here`, if the comparison includes published figures.
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
    """Osteon minus another model in one metric; a single split gives no interval.

    Parameters
    ----------
    outcome : str
        The outcome, if the comparison has several.
    """

    model: str
    metric: str
    estimate: float
    low: float | None
    high: float | None
    verdict: str = ""
    outcome: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the difference as a mapping, with verdict and outcome if it has them."""
        optional = ("verdict", "outcome")
        return {key: value for key, value in asdict(self).items() if key not in optional or value}


@dataclass(frozen=True, slots=True)
class JudgedFigure:
    """One figure of a comparison with the truth, and its accepted range."""

    outcome: str
    figure: str
    horizon_days: float
    value: float
    low: float | None
    high: float
    passed: bool


@dataclass(frozen=True, slots=True)
class PathwayShare:
    """Mean absolute points of risk of a pathway at a horizon, in the truth and in the model."""

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
        The protocol in words.
    rows : tuple of ModelRow
        Osteon's first, except in a comparison with the truth.
    figures : tuple of JudgedFigure
        Of a comparison with the truth, as the `shares`.
    """

    protocol: str
    rows: tuple[ModelRow, ...]
    differences: tuple[ModelDifference, ...] = ()
    figures: tuple[JudgedFigure, ...] = ()
    shares: tuple[PathwayShare, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping; figures and shares only if there is a truth."""
        beside_truth = {
            "figures": [asdict(figure) for figure in self.figures],
            "shares": [asdict(share) for share in self.shares],
        }
        return {
            "rows": [row.as_json() for row in self.rows],
            "differences": [difference.as_json() for difference in self.differences],
            **{name: entries for name, entries in beside_truth.items() if entries},
        }
