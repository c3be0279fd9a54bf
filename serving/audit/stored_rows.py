"""Rows that are stored with records: risks, outcomes, cards and feedback; and how they are checked.

A record holds a keyed digest of the rows that its transaction stored, so that a row which was
changed, removed or added afterwards contradicts the trail. Records of older versions have no
digest; they allow as many rows as there are records.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Table, select

from serving.audit.record import Action, AuditKeys, RecordBody
from serving.store.tables import CARD_FEEDBACK, CARDS, CHECKPOINT, OUTCOMES, RECORDS, RISKS

__all__ = ["StoredRule", "check_on_record", "check_stored", "digest", "is_without_digest", "parsed"]

StoredRule = Literal["risks", "outcome", "card", "feedback"]

_AT_ONCE = 1_000
_DIGESTED: Mapping[Table, Sequence[str]] = {
    RISKS: ("outcome", "model", "version", "risks", "absent"),
    OUTCOMES: ("outcome", "event", "days", "at"),
    CARDS: ("card", "service", "viewer", "day", "said"),
    CARD_FEEDBACK: (
        "card",
        "outcome",
        "reason_system",
        "reason_code",
        "comment",
        "happened_at",
        "at",
    ),
}

_SHAPE: Mapping[str, object] = {
    **dict.fromkeys(("action", "at", "status", "prediction_id", "digest"), ""),
    "detail": {},
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of row: the records that vouch for it, its table, and how it is called."""

    action: Action
    rule: StoredRule
    table: Table
    noun: str


_RISKS = _Kind("predict", "risks", RISKS, "The risks")
_SINGLE = (
    _Kind("outcome", "outcome", OUTCOMES, "The outcome"),
    _Kind("card", "card", CARDS, "The card"),
    _Kind("feedback", "feedback", CARD_FEEDBACK, "The feedback"),
)

Report = Callable[[StoredRule, int, str], None]
"""Takes the rule, the number of the record (0 for a row without one) and a message."""


def digest(keys: AuditKeys, table: Table, rows: Iterable[Mapping[str, object]]) -> str:
    """Return the digest of rows of one table, from the columns that never change."""
    columns = _DIGESTED[table]
    return keys.stored(table.name, [{name: row[name] for name in columns} for row in rows])


def check_stored(
    connection: Connection,
    keys: AuditKeys,
    records: Sequence[tuple[int, RecordBody]],
    report: Report,
) -> None:
    """Report each record with a digest whose rows were changed or removed.

    Rows of a pruned prediction are gone, although records of its outcome and cards may remain.
    """
    digested = [(seq, body) for seq, body in records if "digest" in body]
    predictions = sorted({body["prediction_id"] for _, body in digested if "prediction_id" in body})
    risks = _by_prediction(connection, RISKS, predictions)
    for seq, body in digested:
        if body["action"] != _RISKS.action:
            continue
        rows = [row._asdict() for row in risks.get(body["prediction_id"], ())]
        if digest(keys, RISKS, rows) != body["digest"]:
            report("risks", seq, _changed(_RISKS))
    is_pruned = connection.execute(select(CHECKPOINT.c.seq)).first() is not None
    for kind in _SINGLE:
        ours = [(seq, body) for seq, body in digested if body["action"] == kind.action]
        stored = _stored_digests(connection, keys, kind, [body for _, body in ours])
        for seq, body in ours:
            was_pruned = is_pruned and body["prediction_id"] not in risks
            if body["digest"] not in stored and not was_pruned:
                report(kind.rule, seq, _changed(kind))


def is_without_digest(record: RecordBody) -> bool:
    """Return whether a record is of a version without digests, so that its rows are unchecked."""
    stores = record["action"] in {kind.action for kind in (_RISKS, *_SINGLE)}
    is_silent = record["action"] == "card" and record["status"] != "shown"
    return stores and not is_silent and "digest" not in record


def check_on_record(connection: Connection, keys: AuditKeys, report: Report) -> None:
    """Report each row that no record vouches for, and rows in another order than their records."""
    for ids in _groups(connection, RISKS.c.prediction_id):
        recorded = _recorded(connection, _RISKS.action, ids)
        for prediction_id in ids:
            if prediction_id not in recorded:
                report("risks", 0, f"Risks of prediction {prediction_id} are of no record.")
    for kind in _SINGLE:
        column = _group_column(kind.table)
        for names in _groups(connection, column):
            rows = defaultdict(list)
            stored = select(kind.table).where(column.in_(names)).order_by(kind.table.c.id)
            for row in connection.execute(stored):
                rows[row._mapping[column.name]].append(row)
            predictions = _predictions_of(connection, kind, names)
            recorded = _recorded(connection, kind.action, sorted(set(predictions.values())))
            for name in names:
                records = recorded.get(predictions.get(name, ""), ())
                if kind.table is CARD_FEEDBACK:
                    records = [one for one in records if one.get("detail", {}).get("card") == name]
                _check_group(keys, kind, rows[name], records, report)


def _check_group(
    keys: AuditKeys,
    kind: _Kind,
    rows: Sequence[Row[Any]],
    records: Sequence[RecordBody],
    report: Report,
) -> None:
    """Match the rows of one prediction or card with its records, both the oldest first."""
    expected = [record["digest"] for record in records if "digest" in record]
    older = sum("digest" not in record for record in records)
    left, matched = Counter(expected), []
    for row in rows:
        its_digest = digest(keys, kind.table, [row._asdict()])
        if left[its_digest] > 0:
            left[its_digest] -= 1
            matched.append(its_digest)
        elif older > 0:
            older -= 1
        else:
            report(kind.rule, 0, f"Row {row.id} of {kind.table.name} is of no record.")
    # The newest row counts, so that a changed order changes what counts.
    if matched != [one for one in expected if one in set(matched)]:
        ids = ", ".join(str(row.id) for row in rows)
        report(kind.rule, 0, f"Rows {ids} of {kind.table.name} are in another order than recorded.")


def _changed(kind: _Kind) -> str:
    return f"{kind.noun} stored with the record ({kind.table.name}) were changed or removed."


def _stored_digests(
    connection: Connection, keys: AuditKeys, kind: _Kind, bodies: Sequence[RecordBody]
) -> set[str]:
    """Return the digest of each row that belongs to the predictions or cards of these records."""
    if not bodies:
        return set()
    if kind.table is CARD_FEEDBACK:
        cards = sorted({body["detail"]["card"] for body in bodies})
        where: ColumnElement[bool] = CARD_FEEDBACK.c.card.in_(cards)
    else:
        ids = sorted({body["prediction_id"] for body in bodies})
        where = kind.table.c.prediction_id.in_(ids)
    rows = connection.execute(select(kind.table).where(where))
    return {digest(keys, kind.table, [row._asdict()]) for row in rows}


def _by_prediction(
    connection: Connection, table: Table, predictions: Sequence[str]
) -> dict[str, list[Row[Any]]]:
    rows = defaultdict(list)
    if predictions:
        found = select(table).where(table.c.prediction_id.in_(predictions))
        for row in connection.execute(found):
            rows[row.prediction_id].append(row)
    return rows


def _group_column(table: Table) -> ColumnElement[str]:
    """Return the column that rows of one prediction, or feedback on one card, share."""
    return table.c.card if table is CARD_FEEDBACK else table.c.prediction_id


def _predictions_of(connection: Connection, kind: _Kind, names: Sequence[str]) -> Mapping[str, str]:
    """Return the prediction of each group of rows; a card names its prediction."""
    if kind.table is not CARD_FEEDBACK:
        return {name: name for name in names}
    shown = select(CARDS.c.card, CARDS.c.prediction_id).where(CARDS.c.card.in_(names))
    return {row.card: row.prediction_id for row in connection.execute(shown)}


def _recorded(
    connection: Connection, action: Action, predictions: Sequence[str]
) -> dict[str, list[RecordBody]]:
    """Return the records of one action by prediction."""
    found: dict[str, list[RecordBody]] = defaultdict(list)
    rows = connection.execute(
        select(RECORDS.c.prediction_id, RECORDS.c.body)
        .where(RECORDS.c.prediction_id.in_(predictions))
        .order_by(RECORDS.c.seq)
    )
    for prediction_id, text in rows:
        body = parsed(text)
        if body is None or body.get("action") != action:
            continue
        if action == "card" and body["status"] != "shown":
            continue
        found[prediction_id].append(body)
    return found


def parsed(text: str) -> RecordBody | None:
    """Return the record that a text holds, or None if it holds none."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    is_record = isinstance(body, dict) and all(
        isinstance(body.get(name, default), type(default)) for name, default in _SHAPE.items()
    )
    return body if is_record and {"action", "at", "status"} <= set(body) else None


def _groups(connection: Connection, column: ColumnElement[str]) -> Iterator[Sequence[str]]:
    """Yield the distinct values of an indexed column, some at a time."""
    after = ""
    while True:
        statement = select(column).where(column > after).distinct().order_by(column).limit(_AT_ONCE)
        names = connection.execute(statement).scalars().all()
        if not names:
            return
        yield names
        after = names[-1]
