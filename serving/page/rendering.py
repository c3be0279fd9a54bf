"""The page and the model facts as HTML; everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from data_schema.variables import PATHWAYS
from models.patient_explanation import NOT_MEASURED, NOT_MEASURED_LABEL
from models.wording import NOTICE
from serving.page import assets, facts
from serving.page.door import door
from serving.page.examples import examples
from serving.page.form import groups, places
from serving.page.source_attributes import source_attributes
from serving.prediction.served import Served, ServedModel

__all__ = ["door_page", "facts_page", "front_page"]


def front_page(served: Served, *, signed_in: bool = False) -> str:
    """Return the page for the models that are served now, with or without a way to sign out."""
    return _front_page(served.models, bool(served.menu), signed_in)


@lru_cache(maxsize=4)
def _front_page(models: Sequence[ServedModel], menu: bool, signed_in: bool) -> str:
    # Nothing on it depends on who asks, only on whether anybody has signed in.
    served = Served(models)
    return _template("page.html").render(
        notice=NOTICE,
        version=assets.version(),
        signed_in=signed_in,
        places=places(served),
        groups=groups(served),
        models=served.models,
        data={**_data(served.models), "menu": menu},
    )


def door_page(why: str) -> str:
    """Return the page that says why nobody is signed in; see `door`."""
    return _template("door.html").render(
        notice=NOTICE, version=assets.version(), signed_in=False, door=door(why)
    )


def facts_page(model: ServedModel, *, signed_in: bool = False) -> str:
    """Return what there is to know of one model."""
    return _template("facts.html").render(
        notice=NOTICE,
        version=assets.version(),
        signed_in=signed_in,
        model=model,
        contract=model.contract,
        cohort=facts.cohort_rows(model.contract),
        figures=facts.figures(model.contract),
        limits=facts.limits(model),
        attributes=source_attributes(model.contract),
    )


@lru_cache(maxsize=2)  # the examples take a prediction each
def _data(models: Sequence[ServedModel]) -> dict[str, object]:
    """Return what the script needs beside the form."""
    return {
        "pathways": {**PATHWAYS, NOT_MEASURED: NOT_MEASURED_LABEL},
        "models": {
            model.requested_as: {
                "examples": [
                    {"title": one.title, "values": dict(one.values)} for one in examples(model)
                ],
                "events": model.contract.event_label,
                "seen": {
                    feature.name: feature.seen
                    for feature in model.contract.features
                    if feature.seen is not None
                },
            }
            for model in models
        },
    }


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("serving.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Template:
    return _environment().get_template(name)
