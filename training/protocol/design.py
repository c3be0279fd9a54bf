"""The design of a prospective study of what a panel of markers adds, checked and with its size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_schema.biomarkers import VARIABLES, did_you_mean
from data_schema.errors import UsageError
from data_schema.outcomes import Landmark, Outcome, outcome
from data_schema.social import is_social
from data_schema.variables import PATHWAYS, Variable
from models.metrics.comparison.paired_changes import MARGIN
from models.metrics.gain_size import GainSize, gain_size
from models.metrics.sample_size import SampleSize, sample_size
from training.cohorts.panel import USUAL_CARE, Panel, panel_among
from training.config import RunConfig
from training.fit import FOLDS
from training.report.checklists.probast import FEW_EVENTS

__all__ = ["POWERS", "PowerRow", "StudyDesign", "design_of"]

POWERS = (0.8, 0.9)
"""Probabilities of a verdict "adds" for which sizes are given; the last counts."""

BASE_AUROCS = (0.70, 0.75, 0.80, 0.85)
"""Areas of the base that are tried where none is stated: the largest size counts."""

_FEWEST_SITES = 2


@dataclass(frozen=True, slots=True)
class PowerRow:
    """Patients needed at one expected area of the base, for each of `POWERS`."""

    base_auroc: float
    sizes: tuple[GainSize, ...]


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """What a study fixes beforehand.

    Parameters
    ----------
    outcome : Outcome
    landmark : Landmark
        When patients are sampled, and days begin to count.
    horizon_days : float
        The primary horizon.
    panel : Panel
        Variables of the catalogue: those of each part of the panel, and those of the base.
    settings : RunConfig
        Settings of the analysis, as the file that `osteon train --config` reads states them.
    event_rate, expected_gain : float
        Risk by the primary horizon, and gain in the AUC that is expected.
    base_aurocs : tuple of float
        Areas of the base for which the size is calculated.
    sites : int
    gains : tuple of PowerRow
        One for each area of the base.
    development : SampleSize
        Patients that a model of base and panel needs to learn from.
    """

    outcome: Outcome
    landmark: Landmark
    horizon_days: float
    panel: Panel
    settings: RunConfig
    event_rate: float
    expected_gain: float
    base_aurocs: tuple[float, ...]
    sites: int
    gains: tuple[PowerRow, ...]
    development: SampleSize

    @property
    def for_gain(self) -> int:
        """Patients that show the gain with the highest power, at the least favourable base."""
        return max(row.sizes[-1].for_power for row in self.gains)

    @property
    def for_sites(self) -> int:
        """Patients with which equal sites have enough with, and enough without, the event each."""
        rarer = min(self.event_rate, 1 - self.event_rate)
        return self.sites * math.ceil(FEW_EVENTS / rarer)

    @property
    def needed(self) -> int:
        """Patients with a known outcome at the primary horizon that meet every criterion."""
        return max(self.for_gain, self.development.needed, self.for_sites)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The panel's variables, in its order."""
        return tuple(VARIABLES[name] for name in self.panel.columns)

    def as_json(self) -> dict[str, object]:
        """Return the design as a mapping."""
        return {
            "outcome": self.outcome.name,
            "time_zero": self.outcome.time_zero,
            "landmark": self.landmark.words,
            "competing_event": self.outcome.competing_label,
            "horizons_days": list(self.settings.horizons_days),
            "primary_horizon_days": self.horizon_days,
            "panel": {name: list(members) for name, members in self.panel.added.items()},
            "base": list(self.panel.over),
            "margin": MARGIN,
            "event_rate": self.event_rate,
            "expected_gain": self.expected_gain,
            "sites": self.sites,
            "sample_size": {
                "needed": self.needed,
                "for_gain": self.for_gain,
                "for_development": self.development.needed,
                "for_sites": self.for_sites,
                "gain": [size.as_json() for row in self.gains for size in row.sizes],
                "development": self.development.as_json(),
            },
        }


def design_of(
    *,
    outcome_name: str,
    added: Sequence[str],
    over: Sequence[str] = (),
    landmark: str = "",
    horizon_days: float | None = None,
    event_rate: float,
    expected_gain: float,
    base_auroc: float | None = None,
    sites: int = _FEWEST_SITES,
) -> StudyDesign:
    """Return the design of a study, after every check.

    Parameters
    ----------
    outcome_name, landmark : str
        As `osteon train --outcome` and `--landmark` take them; hours may lack their `h`.
    added, over : sequence of str
        Pathways or variables of the catalogue, as in `panel_among`.
    horizon_days : float, optional
        Default: the middle horizon of the outcome.
    event_rate : float
        Risk by that horizon, strictly between 0 and 1; with a competing event, the cumulative
        incidence.
    expected_gain : float
        Gain in the AUC, above the margin.
    base_auroc : float, optional
        Expected AUC of the base (default: each of `BASE_AUROCS`).
    sites : int
        2 or more.

    Raises
    ------
    UsageError
        If a name is unknown, or a number out of range.
    """
    known = outcome(outcome_name, f"{landmark}h" if landmark.strip().isdigit() else landmark)
    if known.landmark is None:
        raise UsageError(f"outcome must have a time zero in intensive care; {known.name} has none.")
    if not added:
        raise UsageError(
            "panel must name at least one pathway or variable of the catalogue; got none."
        )
    days = (
        float(known.horizons_days[len(known.horizons_days) // 2])
        if horizon_days is None
        else horizon_days
    )
    if not 0 < days < math.inf:
        raise UsageError(f"horizon must be a number of days above 0; got {days:g}.")
    _require_numbers(event_rate, expected_gain, base_auroc, sites)
    columns = {name: one for name, one in VARIABLES.items() if not is_social(name)}
    _require_known([*added, *over], columns)
    panel = panel_among(tuple(columns), columns, added, over)
    bases = BASE_AUROCS if base_auroc is None else (base_auroc,)
    possible = tuple(base for base in bases if base + expected_gain < 1)
    if not possible:
        raise UsageError(
            "base-auroc and expected-gain must add up to less than 1; "
            f"got {bases[0]:g} and {expected_gain:g}."
        )
    used = [*panel.columns, *panel.over]
    return StudyDesign(
        outcome=known,
        landmark=known.landmark,
        horizon_days=days,
        panel=panel,
        settings=RunConfig(
            horizons_days=tuple(sorted({*map(float, known.horizons_days), days})),
            primary_horizon_days=days,
            added_value=tuple(added),
            over=tuple(over) or (USUAL_CARE,),
        ),
        event_rate=event_rate,
        expected_gain=expected_gain,
        base_aurocs=possible,
        sites=sites,
        gains=tuple(
            PowerRow(
                base,
                tuple(
                    gain_size(
                        base_auroc=base,
                        gain=expected_gain,
                        event_rate=event_rate,
                        power=power,
                        folds=FOLDS,
                    )
                    for power in POWERS
                ),
            )
            for base in possible
        ),
        development=sample_size(
            horizon_days=days, parameters=_parameters(used, columns), event_rate=event_rate
        ),
    )


def _require_known(joined: Sequence[str], variables: Mapping[str, Variable]) -> None:
    """Refuse a name that is neither a pathway nor a variable of the catalogue."""
    listed = list(dict.fromkeys(name for text in joined for name in text.split("+")))
    unknown = [name for name in listed if name not in (*PATHWAYS, USUAL_CARE, *variables)]
    if unknown:
        raise UsageError(
            "panel and over must name pathways or variables of the catalogue; "
            f"got {', '.join(unknown)}.{did_you_mean(unknown[0])} "
            f"Pathways: {', '.join(PATHWAYS)}."
        )


def _require_numbers(
    event_rate: float, expected_gain: float, base_auroc: float | None, sites: int
) -> None:
    """Refuse numbers with which no study can be planned."""
    if not 0 < event_rate < 1:
        raise UsageError(
            "event-rate must lie strictly between 0 and 1, such as 0.25 for 25 %; "
            f"got {event_rate:g}."
        )
    if not MARGIN < expected_gain < 0.5:
        raise UsageError(
            f"expected-gain must lie above the margin of {MARGIN:g} and below 0.5; got "
            f"{expected_gain:g}. A gain up to the margin counts as none, whatever the study's size."
        )
    if base_auroc is not None and not 0.5 <= base_auroc < 1:
        raise UsageError(f"base-auroc must be at least 0.5 and below 1; got {base_auroc:g}.")
    if sites < _FEWEST_SITES:
        raise UsageError(
            f"sites must be {_FEWEST_SITES} or more; got {sites}. One site cannot show that a "
            "result holds elsewhere."
        )


def _parameters(names: Sequence[str], variables: Mapping[str, Variable]) -> int:
    """Count candidate parameters: a number or flag is one, a category one less than its levels."""
    return sum(max(len(variables[name].categories) - 1, 1) for name in names)
