"""The models that one process serves: never changed, only swapped whole; found by the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from data_schema.outcomes import OUTCOMES
from data_schema.variables import BELOW, Variable, base_name
from models.inference.columns import guard_columns
from models.inference.contract import Contract
from models.registry.lifecycle import LoadedModel
from serving.prediction.answer import ModelName
from serving.prediction.question import BrokenRule, NoModel, Place, QuestionBroken
from serving.problems.details import FieldProblem, NoChampion
from serving.processes.messages import DegradedReason

__all__ = ["Served", "ServedModel"]

_PREFIX = "osteon-"
_DESCRIPTION = ("outcome_label", "event_label", "event_singular", "time_zero", "population")
_NO_CHAMPION = "must have a promoted model on this service; it has none"


@dataclass(frozen=True)
class ServedModel:
    """One loaded model and what is known of it.

    Parameters
    ----------
    loaded : LoadedModel
    promoted : bool
        Whether it was loaded as a champion with a valid gate record.
    model_card : str or None
        Markdown.
    """

    loaded: LoadedModel
    promoted: bool
    model_card: str | None = None

    def __post_init__(self) -> None:
        """Refuse a model that this service would read wrongly, or could not describe."""
        untold = [name for name in _DESCRIPTION if not getattr(self.contract, name)]
        if untold:
            raise UsageError(
                f"{self.loaded.name} must say what it is; its contract has no {', '.join(untold)}. "
                "Train it again with this version."
            )
        if not self.contract.interval.available:
            raise UsageError(
                f"{self.loaded.name} must give intervals; it has none, and a bare number is never "
                "shown. Train it with interval folds."
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
        """What the model says of itself."""
        return self.loaded.risk_model.contract

    @property
    def requested_as(self) -> str:
        """The word in `outcomes` that always means this model, as `mortality-support2`."""
        return self.loaded.name.removeprefix(_PREFIX)

    @property
    def identity(self) -> ModelName:
        """Name, version and alias as every answer shows them; only the promoted have an alias."""
        return ModelName(
            name=self.loaded.name,
            version=self.loaded.version,
            alias=self.loaded.alias if self.promoted else None,
        )

    @cached_property
    def guard_columns(self) -> frozenset[str]:
        """Columns read only to decide whether to answer, and what to warn of."""
        return frozenset(guard_columns(self.contract))

    @cached_property
    def own_variables(self) -> Mapping[str, Variable]:
        """What the model takes and the catalogue does not hold, by base name."""
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
            if base_name(feature.name) not in VARIABLES and not feature.name.endswith(f"__{BELOW}")
        }


class Served:
    """All models of one process.

    Parameters
    ----------
    models : iterable of ServedModel
    degraded : sequence of DegradedReason
        Why that may be less, or older, than it should be.
    menu : sequence of str
        Tests that the site can order, by catalogue name: what "what to measure next" speaks of.

    Raises
    ------
    UsageError
        If two have the same name.
    """

    def __init__(
        self,
        models: Iterable[ServedModel],
        *,
        degraded: Sequence[DegradedReason] = (),
        menu: Sequence[str] = (),
    ) -> None:
        self.models = tuple(models)
        self.degraded = tuple(degraded)
        self.menu = tuple(menu)
        self._by_word = {model.requested_as: model for model in self.models}
        if len(self._by_word) < len(self.models):
            raise UsageError("Models must have different names; two have the same. Serve only one.")

    @property
    def answerable(self) -> list[str]:
        """What can be asked for in `outcomes`, and is then answered by one model."""
        words = sorted({*OUTCOMES, *self._by_word})
        return [word for word in words if len(self._candidates(word)) == 1]

    def require_any(self) -> None:
        """Raise NoChampion if no model is served."""
        if not self.models:
            message = f"models {_NO_CHAMPION}."
            problem = FieldProblem(field="models", rule="no_champion", message=message)
            raise NoChampion([problem])

    def find(self, outcomes: Sequence[str]) -> tuple[ServedModel, ...]:
        """Return the model of each outcome asked for.

        `mortality` means `osteon-mortality`, or else the only model of that outcome;
        `mortality-support2` means `osteon-mortality-support2`.

        Raises
        ------
        QuestionBroken
            If an outcome is unknown or asked twice, or several models answer it.
        NoModel
            If no model of a known outcome is served.
        """
        candidates = [self._candidates(word) for word in outcomes]
        broken, absent = [], []
        for number, (word, found) in enumerate(zip(outcomes, candidates, strict=True)):
            place = Place("outcomes", number)
            if len(found) > 1:
                words = ", ".join(sorted(model.requested_as for model in found))
                broken.append(_broken(place, "several_models", f"must be one of {words}"))
            elif not found and word in OUTCOMES:
                absent.append(_broken(place, "no_champion", _NO_CHAMPION))
            elif not found:
                words = ", ".join(sorted({*OUTCOMES, *self._by_word}))
                broken.append(_broken(place, "unknown_outcome", f"must be one of {words}"))
        models = tuple(found[0] for found in candidates if found)
        if not broken and len(set(models)) < len(models):
            broken.append(_broken(Place("outcomes"), "repeated", "must not ask one model twice"))
        if broken:
            raise QuestionBroken(broken)
        if absent:
            raise NoModel(absent)
        return models

    def _candidates(self, word: str) -> tuple[ServedModel, ...]:
        if word in self._by_word:
            return (self._by_word[word],)
        return tuple(model for model in self.models if model.contract.outcome == word)


def _broken(place: Place, rule: str, rest: str) -> BrokenRule:
    return BrokenRule(place, rule, f"{place} {rest}.")
