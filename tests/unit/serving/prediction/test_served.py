from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from contracts import restated
from data_schema.errors import UsageError
from serving.prediction.question import NoModel, QuestionBroken
from serving.prediction.served import Served

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def named(model: ServedModel, name: str, **contract: Any) -> ServedModel:
    """Return the model under another name."""
    risk_model = restated(model.loaded.risk_model, **contract) if contract else None
    loaded = replace(model.loaded, name=name, risk_model=risk_model or model.loaded.risk_model)
    return replace(model, loaded=loaded)


def rules(served: Served, *outcomes: str) -> list[tuple[str, str]]:
    with pytest.raises(QuestionBroken) as raised:
        served.find(outcomes)
    return [(str(one.place), one.rule) for one in raised.value.broken]


def test_an_outcome_means_its_only_model(mortality: ServedModel) -> None:
    assert Served([mortality]).find(["mortality"]) == (mortality,)


def test_an_outcome_means_the_model_of_the_reserved_name_before_any_other(
    mortality: ServedModel,
) -> None:
    reserved = named(mortality, "osteon-mortality")
    assert Served([mortality, reserved]).find(["mortality"]) == (reserved,)


def test_a_models_own_word_always_means_it(mortality: ServedModel) -> None:
    other = named(mortality, "osteon-mortality-support2")
    served = Served([mortality, other])
    assert served.find(["mortality-support2", "mortality-simulated"]) == (other, mortality)


def test_several_models_of_one_outcome_must_be_told_apart(mortality: ServedModel) -> None:
    served = Served([mortality, named(mortality, "osteon-mortality-support2")])
    assert rules(served, "mortality") == [("outcomes[0]", "several_models")]


def test_one_model_is_not_asked_twice(mortality: ServedModel) -> None:
    served = Served([mortality])
    assert rules(served, "mortality", "mortality-simulated") == [("outcomes", "repeated")]


def test_an_unknown_outcome_is_broken_and_a_known_one_without_model_has_no_champion(
    mortality: ServedModel,
) -> None:
    served = Served([mortality])
    assert rules(served, "mortality", "delirium") == [("outcomes[1]", "unknown_outcome")]
    with pytest.raises(NoModel, match=r"outcomes\[0\]"):
        served.find(["fracture"])


def test_two_models_of_one_name_are_refused(mortality: ServedModel) -> None:
    with pytest.raises(UsageError, match="different names"):
        Served([mortality, mortality])


def test_a_model_in_other_units_than_the_catalogues_is_refused(mortality: ServedModel) -> None:
    features = tuple(
        replace(feature, unit="mg/dL") if feature.name == "lactate" else feature
        for feature in mortality.contract.features
    )
    with pytest.raises(UsageError, match="catalogue's units; lactate do not"):
        named(mortality, "osteon-mortality-old", features=features)


def test_a_model_without_intervals_is_refused(mortality: ServedModel) -> None:
    interval = replace(mortality.contract.interval, available=False)
    with pytest.raises(UsageError, match="must give intervals"):
        named(mortality, "osteon-mortality-bare", interval=interval)


def test_a_model_that_does_not_say_what_it_is_is_refused(mortality: ServedModel) -> None:
    with pytest.raises(UsageError, match="has no population"):
        named(mortality, "osteon-mortality-nameless", population="")


def test_only_a_promoted_model_has_an_alias(mortality: ServedModel) -> None:
    assert mortality.identity.alias == "champion"
    assert replace(mortality, promoted=False).identity.alias is None
