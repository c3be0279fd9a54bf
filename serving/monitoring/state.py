"""What was predicted lately and what became of it, read from the audit trail now and then."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import OsteonError
from models.monitoring.earlier import compare_periods
from models.monitoring.watch import Watched, watch, with_changes
from serving.audit.predicted import arrivals_of, predicted_rows
from serving.prediction.served import ServedModel
from serving.store.database import Database

__all__ = ["LAST_DAYS", "MonitoringState", "WatchedModel"]

_LOG = logging.getLogger(__name__)

_SECONDS = 1_800.0
_MOST_STAYS = 5_000
LAST_DAYS = 30
"""The last days, which are compared with the days before them of the same period."""


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """What is watched of one served model, and until when.

    `known_outcomes` is the number of stays with a reported outcome.
    """

    model: ServedModel
    watched: Watched
    known_outcomes: int
    at: datetime


class MonitoringState:
    """The figures of the served models over the last days; each is computed anew at most twice an
    hour, by the request that asks for it, while others get the earlier one.

    Parameters
    ----------
    database : Database
    days : int
        The period.
    """

    def __init__(self, database: Database, *, days: int) -> None:
        self._database = database
        self._days = days
        self._computing = threading.Lock()
        self._known: dict[tuple[str, str | None], tuple[float, WatchedModel | None]] = {}

    @property
    def days(self) -> int:
        """Days of the period."""
        return self._days

    def of(self, model: ServedModel) -> WatchedModel | None:
        """Return what is watched of a model; None before its first prediction, or if reading fails.

        A demo or a bundle without a version is watched as the trail names it.
        """
        key = model.loaded.name, model.loaded.version
        at, known = self._known.get(key, (-_SECONDS, None))
        if monotonic() - at < _SECONDS or not self._computing.acquire(blocking=known is None):
            return known
        try:
            at, known = self._known.get(key, (-_SECONDS, None))
            if monotonic() - at < _SECONDS:
                return known  # another request has computed it meanwhile
            found = self._computed(model)
            self._known[key] = monotonic(), found
            return found
        except OsteonError as error:
            _LOG.warning("monitoring cannot read the audit trail. %s", error)
            return known
        finally:
            self._computing.release()

    def _computed(self, model: ServedModel) -> WatchedModel | None:
        now = datetime.now(UTC)
        since = (now - timedelta(days=self._days)).date()
        name, version = model.loaded.name, model.loaded.version
        rows = predicted_rows(self._database, name=name, version=version, since=since)
        if not rows:
            return None
        rows = rows[-_MOST_STAYS:]
        horizons = model.contract.default_horizons_days
        title = f"{name} version {version}" if version else name
        watched = watch(arrivals_of(rows, horizons), model.contract, model=title)
        month = (now - timedelta(days=LAST_DAYS)).date()
        last, before = (
            [row for row in rows if (row.at.date() >= month) is is_last]
            for is_last in (True, False)
        )
        if min(len(last), len(before)) >= SMALLEST_CELL:
            changes = compare_periods(arrivals_of(last, horizons), arrivals_of(before, horizons))
            watched = with_changes(watched, changes, earlier_stays=len(before))
        return WatchedModel(model, watched, sum(row.event is not None for row in rows), now)
