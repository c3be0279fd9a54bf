"""Predictions on record with their reported outcomes, for monitoring: risks, never a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import Select, Table, and_, func, select

from models.monitoring.arrivals import Arrivals, ObservedOutcomes
from serving.store.database import Database
from serving.store.tables import OUTCOMES, RECORDS, RISKS

__all__ = ["PredictedRow", "arrivals_of", "predicted_rows"]


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
    risks_in: Table = RISKS,
) -> list[PredictedRow]:
    """Return the last prediction of each patient by one version of a model, oldest first.

    A record is read whatever the model's version answered it; preliminary answers, made while
    values were still being entered, do not count.

    Parameters
    ----------
    database : Database
    name, version : str
        Of the model.
    since : date, optional
        First day (UTC).
    risks_in : Table
        Of the champion's risks, or those of a challenger in the shadow.

    Raises
    ------
    OutsideError
        If the database fails.
    """
    rows: dict[str, PredictedRow] = {}
    with database.reading() as connection:
        for row in connection.execute(_selection(risks_in, name, version)):
            prediction_id, body, risks, event, days = row
            record = json.loads(body)
            if record.get("action") != "predict" or record.get("stage") == "interim":
                continue
            at = datetime.fromisoformat(record["at"])
            if since is not None and at.date() < since:
                continue
            patient = record.get("patient", prediction_id)
            stated = {float(horizon): float(risk) for horizon, risk in json.loads(risks)}
            rows.pop(patient, None)
            rows[patient] = PredictedRow(prediction_id, at, patient, stated, event, days)
    return list(rows.values())


def _selection(
    risks: Table, name: str, version: str | None
) -> Select[str, str, str, int | None, float | None]:
    """Return predictions in the order of the trail, each with its newest reported outcome."""
    newest = (
        select(func.max(OUTCOMES.c.id).label("id"))
        .group_by(OUTCOMES.c.prediction_id, OUTCOMES.c.outcome)
        .subquery()
    )
    reported = select(OUTCOMES).join(newest, OUTCOMES.c.id == newest.c.id).subquery()
    return (
        select(
            risks.c.prediction_id, RECORDS.c.body, risks.c.risks, reported.c.event, reported.c.days
        )
        .join(RECORDS, RECORDS.c.prediction_id == risks.c.prediction_id)
        .outerjoin(
            reported,
            and_(
                reported.c.prediction_id == risks.c.prediction_id,
                reported.c.outcome == risks.c.outcome,
            ),
        )
        .where(risks.c.model == name, risks.c.version == version)
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
