"""Predictions on record with their reported outcomes, for monitoring: risks, never a value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import Select, and_, func, select

from data_schema.errors import DataError
from models.monitoring.arrivals import Arrivals, ObservedOutcomes
from models.monitoring.comparison import ShadowedPatients
from serving.store.database import Database
from serving.store.tables import OUTCOMES, RECORDS, RISKS, SHADOW

__all__ = ["PredictedRow", "Shadowed", "arrivals_of", "predicted_rows", "shadowed"]


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """One prediction of one model, and what was reported of the patient.

    Parameters
    ----------
    at : datetime
        When it was made.
    patient : str
        Keyed hash of the patient.
    risks : mapping of float to float
        Horizon in days -> risk; empty if it was refused.
    event : int or None
        As reported last; None if nothing was.
    """

    prediction_id: str
    at: datetime
    patient: str
    risks: Mapping[float, float]
    event: int | None
    days: float | None


def predicted_rows(
    database: Database,
    *,
    name: str,
    version: str | None,
    since: date | None = None,
) -> list[PredictedRow]:
    """Return the last prediction of each patient by one version of a model, oldest first.

    Interim answers, made while values were still being entered, store no risks and do not count.

    Parameters
    ----------
    database : Database
    name, version : str
        Of the model.
    since : date, optional
        First day (UTC).

    Raises
    ------
    OutsideError
        If the database fails.
    """
    rows: dict[str, PredictedRow] = {}
    with database.reading() as connection:
        for row in connection.execute(_selection(name, version)):
            prediction_id, body, risks, event, days = row
            record = json.loads(body)
            if record.get("action") != "predict":
                continue
            at = datetime.fromisoformat(record["at"])
            if since is not None and at.date() < since:
                continue
            patient = record.get("patient", prediction_id)
            stated = {float(horizon): float(risk) for horizon, risk in json.loads(risks)}
            rows.pop(patient, None)
            rows[patient] = PredictedRow(prediction_id, at, patient, stated, event, days)
    return list(rows.values())


def _selection(name: str, version: str | None) -> Select[str, str, str, int | None, float | None]:
    """Return predictions in the order of the trail, each with its newest reported outcome."""
    newest = (
        select(func.max(OUTCOMES.c.id).label("id"))
        .group_by(OUTCOMES.c.prediction_id, OUTCOMES.c.outcome)
        .subquery()
    )
    reported = select(OUTCOMES).join(newest, OUTCOMES.c.id == newest.c.id).subquery()
    return (
        select(
            RISKS.c.prediction_id, RECORDS.c.body, RISKS.c.risks, reported.c.event, reported.c.days
        )
        .join(RECORDS, RECORDS.c.prediction_id == RISKS.c.prediction_id)
        .outerjoin(
            reported,
            and_(
                reported.c.prediction_id == RISKS.c.prediction_id,
                reported.c.outcome == RISKS.c.outcome,
            ),
        )
        .where(RISKS.c.model == name, RISKS.c.version == version)
        .order_by(RECORDS.c.seq)
    )


def arrivals_of(rows: Sequence[PredictedRow], horizons_days: Sequence[float]) -> Arrivals:
    """Return predictions as monitoring reads them; the audit trail holds no values.

    Parameters
    ----------
    rows : sequence of PredictedRow
    horizons_days : sequence of float
        At other horizons that were asked for, risks are not compared.
    """
    risk = np.array(
        [[row.risks.get(float(days), np.nan) for days in horizons_days] for row in rows]
    ).reshape(len(rows), len(horizons_days))
    reported = any(row.event is not None for row in rows)
    outcomes = None
    if reported:
        outcomes = ObservedOutcomes(
            np.array([np.nan if row.days is None else row.days for row in rows]),
            np.array([0 if row.event is None else row.event for row in rows], dtype=np.int64),
        )
    return Arrivals(
        stays=len(rows),
        numbers={},
        texts={},
        horizons_days=tuple(map(float, horizons_days)),
        risk=risk,
        refused=np.array([not row.risks for row in rows], dtype=bool),
        patient=np.array([row.patient for row in rows], dtype=object),
        outcomes=outcomes,
    )


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What a champion and the model in its shadow predicted for the same patients."""

    champion: str | None
    challenger: str | None
    patients: ShadowedPatients


def shadowed(database: Database, *, name: str, since: date | None = None) -> Shadowed:
    """Return the predictions of the newest pair of versions, one for each patient.

    Raises
    ------
    DataError
        If nothing has scored in the shadow of the model.
    OutsideError
        If the database fails.
    """
    beside = RISKS.alias("beside")
    pairs = (
        select(RISKS.c.version, beside.c.version)
        .join(beside, beside.c.prediction_id == RISKS.c.prediction_id)
        .join(RECORDS, RECORDS.c.prediction_id == RISKS.c.prediction_id)
        .where(RISKS.c.model == name, beside.c.model == f"{name}{SHADOW}")
        .order_by(RECORDS.c.seq.desc())
        .limit(1)
    )
    with database.reading() as connection:
        newest = connection.execute(pairs).first()
    if newest is None:
        raise DataError(
            f"the audit trail must hold predictions in the shadow of {name}; it holds none. Run "
            f"`osteon serve --shadow {name}@challenger`."
        )
    champion, challenger = newest
    shown = predicted_rows(database, name=name, version=champion, since=since)
    hidden = predicted_rows(database, name=f"{name}{SHADOW}", version=challenger, since=since)
    of_challenger = {row.prediction_id: row for row in hidden}
    both = [
        (row, of_challenger[row.prediction_id])
        for row in shown
        if row.prediction_id in of_challenger
    ]
    counts = Counter(days for pair in both for row in pair for days in row.risks)
    answered = sum(bool(row.risks) for pair in both for row in pair)
    # Horizons that nearly every answer has; others were asked for now and then.
    horizons = tuple(sorted(days for days in counts if counts[days] >= 0.9 * answered))
    if not horizons:
        raise DataError(
            f"predictions in the shadow of {name} must share a horizon; they share none, or all "
            "were refused."
        )
    risks = [
        np.array([[row.risks.get(days, np.nan) for days in horizons] for row in rows])
        for rows in zip(*both, strict=True)
    ]
    rows = [row for row, _ in both]
    return Shadowed(
        champion,
        challenger,
        ShadowedPatients(
            time_days=np.array([np.nan if row.days is None else row.days for row in rows]),
            event=np.array([row.event or 0 for row in rows], dtype=np.int64),
            champion=risks[0],
            challenger=risks[1],
            horizons_days=horizons,
        ),
    )
