"""The models that one process serves, an immutable set that is replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from data_schema.outcomes import OUTCOMES
from data_schema.variables import Variable, base_name, is_state
from models.inference.columns import guard_columns
from models.inference.contract import Contract
from models.inference.prediction import Remark
from models.registry.life_events import ModelTimeline
from models.registry.lifecycle import LoadedModel
from serving.prediction.answer import ModelName
from serving.prediction.question import BrokenRule, NoModel, Place, QuestionBroken
from serving.problems.details import FieldProblem, NoChampion
from serving.processes.messages import DegradedReason

__all__ = ["Served", "ServedModel"]

_NOT_PROMOTED = Remark(
    code="not_promoted",
    message="This model has no valid gate record here and is not approved.",
    variables=(),
)
_SIMULATED = Remark(
    code="simulated",
    message="This model learned from simulated patients; it says nothing about real patients.",
    variables=(),
)
_PREFIX = "osteon-"
_STRONGEST = 10
_DESCRIPTION = ("outcome_label", "event_label", "event_singular", "time_zero", "population")
_NO_CHAMPION = "must have a promoted model on this service"


@dataclass(frozen=True)
class ServedModel:
    """One loaded model; `promoted` if it is a champion with a valid gate record.

    Its `model_card` is Markdown.
    """

    loaded: LoadedModel
    promoted: bool
    model_card: str | None = None

    def __post_init__(self) -> None:
        """Reject a model that this service would misread or could not describe."""
        blank = [name for name in _DESCRIPTION if not getattr(self.contract, name)]
        if blank:
            raise UsageError(
                f"{self.loaded.name} must describe itself; its contract has no {', '.join(blank)}. "
                "Train it again with this version."
            )
        if not self.contract.interval.available:
            raise UsageError(
                f"{self.loaded.name} must give intervals, since a risk is never shown without one. "
                "Train it with interval folds."
            )
        other = [
            feature.name
            for feature in self.contract.features
            if feature.name in VARIABLES and feature.unit != VARIABLES[feature.name].unit
        ]
        if other:
            raise UsageError(
                f"{self.loaded.name} must use the catalogue's units; {', '.join(other)} do not. "
                "Train it again with this version."
            )

    @property
    def contract(self) -> Contract:
        """The model's description of itself."""
        return self.loaded.risk_model.contract

    @property
    def requested_as(self) -> str:
        """The word for this model in `outcomes`, such as `mortality-support2`."""
        return self.loaded.name.removeprefix(_PREFIX)

    @property
    def identity(self) -> ModelName:
        """Name, version and, if promoted, alias, as in every answer."""
        return ModelName(
            name=self.loaded.name,
            version=self.loaded.version,
            alias=self.loaded.alias if self.promoted else None,
        )

    @cached_property
    def warnings(self) -> tuple[Remark, ...]:
        """The warnings that hold for every patient."""
        promoted = () if self.promoted else (_NOT_PROMOTED,)
        return (*promoted, _SIMULATED) if self.contract.simulated else promoted

    @cached_property
    def strongest_variables(self) -> frozenset[str]:
        """The ten variables that count most in what the model uses."""
        shares = self.contract.guard.information
        return frozenset(sorted(shares, key=lambda name: -shares[name])[:_STRONGEST])

    @cached_property
    def hours_after_admission(self) -> int | None:
        """Hours from admission to intensive care to the model's time zero; None if not fixed."""
        known = OUTCOMES.get(self.contract.outcome)
        if known is None or known.landmark is None or known.time_zero != self.contract.time_zero:
            return None
        return known.landmark.hours

    @cached_property
    def guard_columns(self) -> frozenset[str]:
        """Columns that decide only whether to answer and what to warn of."""
        return frozenset(guard_columns(self.contract))

    @cached_property
    def own_variables(self) -> Mapping[str, Variable]:
        """The model's variables outside the catalogue, by base name."""
        return {
            base_name(feature.name): Variable(
                name=base_name(feature.name),
                label=feature.label,
                pathway=feature.pathway,
                kind=feature.kind,
                unit=feature.unit,
                units={feature.unit: 1.0} if feature.unit else {},
                low=feature.low,
                high=feature.high,
                categories=feature.categories,
            )
            for feature in self.contract.features
            if base_name(feature.name) not in VARIABLES and not is_state(feature.name)
        }


class Served:
    """All models of one process, with different names (otherwise UsageError).

    `shadows` score beside the model of their name, on record and never shown.
    `degraded` holds the reasons why models may be missing or old, and `menu` the tests that the
    site can order, by catalogue name. In a `demo` simulated models give cards, which say so.
    `timelines` are those that the registry held at the last scan.
    """

    def __init__(
        self,
        models: Iterable[ServedModel],
        *,
        shadows: Iterable[ServedModel] = (),
        degraded: Sequence[DegradedReason] = (),
        menu: Sequence[str] = (),
        demo: bool = False,
        timelines: Iterable[ModelTimeline] = (),
    ) -> None:
        self.models = tuple(models)
        self.timelines = {timeline.name: timeline.events for timeline in timelines}
        self.shadows = {model.loaded.name: model for model in shadows}
        self.degraded = tuple(degraded)
        self.menu = tuple(menu)
        self.demo = demo
        self._by_word = {model.requested_as: model for model in self.models}
        if len(self._by_word) < len(self.models):
            raise UsageError("Models must have different names. Serve only one model of each name.")

    @property
    def answerable(self) -> list[str]:
        """The words in `outcomes` that mean exactly one model."""
        words = sorted({*OUTCOMES, *self._by_word})
        return [word for word in words if len(self._candidates(word)) == 1]

    def require_any(self) -> None:
        """Raise NoChampion if no model is served."""
        if not self.models:
            message = f"models {_NO_CHAMPION}."
            problem = FieldProblem(field="models", rule="no_champion", message=message)
            raise NoChampion([problem])

    def find(self, outcomes: Sequence[str]) -> tuple[ServedModel, ...]:
        """Return the model of each requested outcome.

        `mortality` means `osteon-mortality`, or else the only model of that outcome;
        `mortality-support2` means `osteon-mortality-support2`.

        Raises
        ------
        QuestionBroken
            If an outcome is unknown or repeated, or several models answer it.
        NoModel
            If no model of a known outcome is served.
        """
        candidates = [self._candidates(word) for word in outcomes]
        broken, absent = [], []
        for number, (word, models) in enumerate(zip(outcomes, candidates, strict=True)):
            place = Place("outcomes", number)
            if len(models) > 1:
                words = ", ".join(sorted(model.requested_as for model in models))
                broken.append(_broken(place, "several_models", f"must be one of {words}"))
            elif not models and word in OUTCOMES:
                absent.append(_broken(place, "no_champion", _NO_CHAMPION))
            elif not models:
                words = ", ".join(sorted({*OUTCOMES, *self._by_word}))
                broken.append(_broken(place, "unknown_outcome", f"must be one of {words}"))
        chosen = tuple(models[0] for models in candidates if models)
        if not broken and len(set(chosen)) < len(chosen):
            broken.append(_broken(Place("outcomes"), "repeated", "must not name a model twice"))
        if broken:
            raise QuestionBroken(broken)
        if absent:
            raise NoModel(absent)
        return chosen

    def _candidates(self, word: str) -> tuple[ServedModel, ...]:
        if word in self._by_word:
            return (self._by_word[word],)
        return tuple(model for model in self.models if model.contract.outcome == word)


def _broken(place: Place, rule: str, rest: str) -> BrokenRule:
    return BrokenRule(place, rule, f"{place} {rest}.")
