"""What moves with an entry that is moved: a score with its components, a ratio with its parts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from data_schema.biomarkers import VARIABLES
from serving.prediction.derived import moved_together
from serving.prediction.predictor import patient_of
from serving.prediction.question import Question
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served

__all__ = ["Moved", "Together", "values_together"]


class Moved(BaseModel):
    """A request as entered, and with some values moved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entered: PredictRequest
    moved: PredictRequest


class Together(BaseModel):
    """The entered values that move too, by variable, each with its canonical unit."""

    model_config = ConfigDict(frozen=True)

    values: dict[str, float]
    units: dict[str, str]


def values_together(entered: Question, moved: Question, served: Served) -> Together:
    """Return what moves with the entries of the first outcome of a question."""
    (model, *_) = served.find(entered.outcomes)
    patients = [patient_of(model, question) for question in (entered, moved)]
    read = {feature.variable for feature in model.contract.features}
    values = moved_together(patients[0], patients[1], entered, read)
    return Together(values=values, units={name: VARIABLES[name].unit for name in values})
