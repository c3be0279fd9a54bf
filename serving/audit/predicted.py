"""Predictions on record with their reported outcomes, for monitoring: risks, never a value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import Select, and_, func, select

from data_schema.errors import DataError
from models.monitoring.arrivals import Arrivals, ObservedOutcomes
from models.monitoring.comparison import ShadowedPatients
from serving.audit.record import RecordBody
from serving.store.database import Database
from serving.store.tables import OUTCOMES, RECORDS, RISKS, SHADOW

__all__ = [
    "PredictedRow",
    "Shadowed",
    "arrivals_of",
    "counted_answers",
    "predicted_rows",
    "shadowed",
]


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """One prediction of one model, and what was reported of the patient.

    Parameters
    ----------
    at : datetime
        When it was made.
    patient : str
        Keyed hash of the patient.
    stay : str
        Keyed hash of the stay; that of the patient where the request stated no stay.
    moment : str
        Keyed hash of time zero; "" in records of older versions.
    risks : mapping of float to float
        Horizon in days -> risk; empty if it was refused.
    report : int
        Number of the newest report of the outcome; 0 if there is none. Later ones are larger.
    reported_at : datetime or None
        When the outcome was reported for the first time.
    event : int or None
        As reported last; None if nothing was.
    """

    prediction_id: str
    at: datetime
    patient: str
    stay: str
    moment: str
    risks: Mapping[float, float]
    report: int
    reported_at: datetime | None
    event: int | None
    days: float | None


def predicted_rows(
    database: Database,
    *,
    name: str,
    version: str | None,
    since: date | None = None,
) -> list[PredictedRow]:
    """Return the answer that counts of each stay by one version of a model, oldest first.

    Interim answers, made while values were still being entered, store no risks and do not count.
    Of the final ones, `counted_answers` chooses.

    Parameters
    ----------
    database : Database
    name, version : str
        Of the model.
    since : date, optional
        First day (UTC) of the answers that count. An earlier answer of the same stay places the
        stay in the earlier period.

    Raises
    ------
    OutsideError
        If the database fails.
    """
    rows = counted_answers(_all_rows(database, name=name, version=version))
    return [row for row in rows if since is None or row.at.date() >= since]


def counted_answers(rows: Sequence[PredictedRow]) -> list[PredictedRow]:
    """Return one answer for each stay, with what was reported of any answer at its time zero.

    A model predicts from one moment of a stay, its time zero, and a stay holds one outcome. So of
    the answers of a stay those at the time zero that was asked about first count, and of these the
    last that was made before an outcome was reported: it holds what was entered by then. To count
    every answer, or the last of the whole stay, would give weight to patients who lived to be asked
    about again.

    Parameters
    ----------
    rows : sequence of PredictedRow
        Final answers in the order of the trail.

    Returns
    -------
    list of PredictedRow
        In the order of the trail.
    """
    stays: dict[str, list[PredictedRow]] = {}
    for row in rows:
        at_first = stays.setdefault(row.stay, [])
        if not at_first or at_first[0].moment == row.moment:
            at_first.append(row)
    counted = []
    for answers in stays.values():
        reports = [one.reported_at for one in answers if one.reported_at is not None]
        known_from = min(reports, default=None)
        before = [one for one in answers if known_from is None or one.at <= known_from]
        newest = max(answers, key=lambda one: one.report)
        counted.append(
            replace(
                before[-1] if before else answers[0],
                report=newest.report,
                reported_at=known_from,
                event=newest.event,
                days=newest.days,
            )
        )
    return sorted(counted, key=lambda one: (one.at, one.prediction_id))


def _all_rows(database: Database, *, name: str, version: str | None) -> list[PredictedRow]:
    """Return every final answer of a version, in the order of the trail."""
    rows = []
    with database.reading() as connection:
        for row in connection.execute(_selection(name, version)):
            record: RecordBody = json.loads(row.body)
            if record["action"] != "predict":
                continue
            patient = record.get("patient", row.prediction_id)
            rows.append(
                PredictedRow(
                    prediction_id=row.prediction_id,
                    at=datetime.fromisoformat(record["at"]),
                    patient=patient,
                    stay=record.get("stay", patient),
                    moment=record.get("moment", ""),
                    risks={float(days): float(risk) for days, risk in json.loads(row.risks)},
                    report=row.report or 0,
                    reported_at=None if row.first is None else datetime.fromisoformat(row.first),
                    event=row.event,
                    days=row.days,
                )
            )
    return rows


def _selection(name: str, version: str | None) -> Select[Any]:
    """Return predictions in the order of the trail, each with its newest reported outcome."""
    newest = (
        select(func.max(OUTCOMES.c.id).label("id"), func.min(OUTCOMES.c.at).label("first"))
        .group_by(OUTCOMES.c.prediction_id, OUTCOMES.c.outcome)
        .subquery()
    )
    reported = (
        select(OUTCOMES, newest.c.first).join(newest, OUTCOMES.c.id == newest.c.id).subquery()
    )
    return (
        select(
            RISKS.c.prediction_id,
            RECORDS.c.body,
            RISKS.c.risks,
            reported.c.id.label("report"),
            reported.c.first,
            reported.c.event,
            reported.c.days,
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
    """Return the predictions of the newest pair of versions, one for each stay.

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
    shown = _all_rows(database, name=name, version=champion)
    hidden = _all_rows(database, name=f"{name}{SHADOW}", version=challenger)
    of_challenger = {row.prediction_id: row for row in hidden}
    beside_shadow = [row for row in shown if row.prediction_id in of_challenger]
    both = [
        (row, of_challenger[row.prediction_id])
        for row in counted_answers(beside_shadow)
        if since is None or row.at.date() >= since
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
