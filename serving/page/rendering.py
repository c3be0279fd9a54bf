"""The page and the model facts as HTML; all foreign text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from data_schema.biomarkers import VARIABLES
from data_schema.derived.derivations import DERIVATIONS
from data_schema.variables import PATHWAYS, Variable
from models.monitoring.page import chart_sections
from models.patient_explanation import NOT_MEASURED, NOT_MEASURED_LABEL
from models.registry.life_events import Event
from models.wording import LIMITATION_NOT_RECORDED, NOTICE
from serving.monitoring.state import LAST_DAYS, WatchedModel
from serving.page import assets, facts
from serving.page.examples import examples
from serving.page.first_screen import GROUPS, first_screen
from serving.page.form import groups, places
from serving.page.search_words import search_words
from serving.page.signed_out import signed_out_message
from serving.page.source_attributes import source_attributes
from serving.page.timeline import timeline_entries
from serving.prediction.served import Served, ServedModel

__all__ = ["facts_page", "front_page", "monitoring_page", "signed_out_page", "timeline_page"]


def front_page(served: Served, *, base: str = "", signed_in: bool = False) -> str:
    """Return the page for the served models, with or without a way to sign out.

    `base` is the path under which a proxy offers the service, as `Settings.public_path`.
    """
    return _front_page(served.models, bool(served.menu), base, signed_in)


@lru_cache(maxsize=4)
def _front_page(models: Sequence[ServedModel], menu: bool, base: str, signed_in: bool) -> str:
    # The page does not depend on the user, only on whether there is one.
    served = Served(models)
    return _rendered(
        "page.html",
        base=base,
        signed_in=signed_in,
        places=places(served),
        groups=groups(served),
        ward_groups=GROUPS,
        models=served.models,
        data={**_data(served.models), "menu": menu},
    )


def signed_out_page(why: str, *, base: str = "") -> str:
    """Return the page that explains why the browser is not signed in."""
    message = signed_out_message(why)
    return _rendered("signed_out.html", base=base, signed_in=False, message=message)


def facts_page(model: ServedModel, *, base: str = "", signed_in: bool = False) -> str:
    """Return the facts about one model."""
    return _rendered(
        "facts.html",
        base=base,
        signed_in=signed_in,
        model=model,
        contract=model.contract,
        summary=facts.summary(model.contract),
        cohort=facts.cohort_rows(model.contract),
        figures=facts.figures(model.contract),
        basis=facts.basis(model.contract),
        validations=facts.validations(model),
        updates=facts.updates(model.contract),
        limits=facts.limits(model),
        attributes=source_attributes(model.contract, model.loaded.validations),
    )


def monitoring_page(
    model: ServedModel,
    watched: WatchedModel | None,
    *,
    days: int,
    base: str = "",
    signed_in: bool = False,
) -> str:
    """Return what is watched of one model over some days; `watched` is None before any answer."""
    return _rendered(
        "monitoring.html",
        base=base,
        signed_in=signed_in,
        model=model,
        days=days,
        last_days=LAST_DAYS,
        at=None if watched is None else watched.at.strftime("%Y-%m-%d %H:%M UTC"),
        watched=None if watched is None else watched.watched,
        sections=() if watched is None else chart_sections(watched.watched),
    )


def timeline_page(
    model: ServedModel,
    events: Sequence[Event] | None,
    *,
    base: str = "",
    signed_in: bool = False,
) -> str:
    """Return what happened to the versions of one model; `events` is None without a registry."""
    return _rendered(
        "timeline.html",
        base=base,
        signed_in=signed_in,
        model=model,
        entries=None if events is None else timeline_entries(events),
    )


@lru_cache(maxsize=2)  # each example takes a prediction
def _data(models: Sequence[ServedModel]) -> dict[str, object]:
    """Return the data of the script."""
    return {
        "known": {
            name: {"label": variable.label, "words": search_words(variable)}
            for name, variable in _known(models).items()
        },
        "pathways": {**PATHWAYS, NOT_MEASURED: NOT_MEASURED_LABEL},
        "models": {
            model.requested_as: {
                "examples": [
                    {"title": one.title, "values": dict(one.values)} for one in examples(model)
                ],
                "events": model.contract.event_label,
                "competing": model.contract.competing,
                "competingVerb": model.contract.competing_verb,
                "first": {one.key: one.columns for one in first_screen(model)},
                "hours": model.hours_after_admission,
                "derived": {
                    name: derivation.reads
                    for name, derivation in DERIVATIONS.items()
                    if name in {feature.variable for feature in model.contract.features}
                },
                "seen": {
                    feature.name: feature.seen
                    for feature in model.contract.features
                    if feature.seen is not None
                },
            }
            for model in models
        },
    }


def _known(models: Sequence[ServedModel]) -> Mapping[str, Variable]:
    """Return every variable that search knows: the catalogue and the models' own."""
    known = dict(VARIABLES)
    for model in models:
        known |= {k: v for k, v in model.own_variables.items() if k not in known}
    return known


@cache
def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("serving.page"), PackageLoader("models.monitoring")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(template: str, **values: object) -> str:
    page = _environment().get_template(template)
    return page.render(
        notice=NOTICE,
        limitation_not_recorded=LIMITATION_NOT_RECORDED,
        version=assets.version(),
        **values,
    )
