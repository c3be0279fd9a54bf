"""Compare what callers were answered with what is on record."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from sqlalchemy import bindparam, func, select

from serving.audit.opening import database_of
from serving.settings import Settings
from serving.store.tables import RECORDS

__all__ = ["count_missing"]

_RECORDED = select(func.count()).where(RECORDS.c.prediction_id == bindparam("prediction"))


def count_missing(settings: Settings, acknowledged: Iterable[str]) -> tuple[int, int]:
    """Return how many predictions were acknowledged, and how many of them have no record.

    Parameters
    ----------
    acknowledged : iterable of str
        Ids of predictions that callers were answered with; blank ones are ignored.
    """
    ids = {text.strip() for text in acknowledged} - {""}
    with closing(database_of(settings)) as database, database.reading() as connection:
        missing = sum(
            connection.execute(_RECORDED, {"prediction": one}).scalar_one() == 0 for one in ids
        )
    return len(ids), missing
