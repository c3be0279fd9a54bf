"""Which of a patient's measurements count: one value for each feature column.

The latest at or before time zero counts, if it lies in the window of its variable and its result
was available by then. A corrected result replaces another of the same time. Values of one time that
differ contradict each other: none of them is used, nor an older one in their place, and the order
in which they were sent never matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from data_schema.biomarkers import VARIABLES
from data_schema.measurements import CanonicalMeasurement
from data_schema.variables import Variable, base_name
from data_schema.windows import LAST_VALUE
from serving.prediction.answer import IgnoredReason

__all__ = ["Moment", "ReadMeasurement", "Selection", "select", "values_of"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# Rounding in two units makes values of one sample differ by less.
_SAME_VALUE = 0.005


@dataclass(frozen=True, slots=True)
class Moment:
    """Time zero, and the start of the stay in intensive care, from which windows count."""

    time_zero: datetime
    icu_start: datetime

    def reason_not_counted(
        self, column: str, time: datetime | None, issued: datetime | None = None
    ) -> IgnoredReason | None:
        """Return why a measurement of a column does not count by its times; None if it does.

        One without a time is taken as of time zero.
        """
        if time is not None and time > self.time_zero:
            return "after_time_zero"
        if issued is not None and issued > self.time_zero:
            return "issued_after_time_zero"
        known = VARIABLES.get(base_name(column))
        window = LAST_VALUE if known is None else known.window
        first = window.start(icu_start=self.icu_start, time_zero=self.time_zero)
        is_old = time is not None and first is not None and time < first
        return "too_old" if is_old else None


@dataclass(frozen=True, slots=True)
class ReadMeasurement:
    """A valid measurement, its number in the question, its times and whether it is corrected."""

    number: int
    time: datetime | None
    measurement: CanonicalMeasurement
    issued: datetime | None = None
    is_corrected: bool = False

    @property
    def _moment(self) -> datetime:
        """Its time; one without a time is earlier than any other."""
        return self.time or _LONG_AGO

    @property
    def _size(self) -> float:
        """Its value where it is a number, so that of two equal ones the order sent is no matter."""
        value = self.measurement.value
        return value if isinstance(value, float) else 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The measurement of each column that counts, the others, and the contradicting columns.

    `unused` holds the number, column and reason of each of the others.
    """

    chosen: Mapping[str, ReadMeasurement]
    unused: Sequence[tuple[int, str, IgnoredReason]]
    contradicting: Mapping[str, Variable]


def select(
    read: Sequence[ReadMeasurement], moment: Moment, *, stated_elsewhere: frozenset[str]
) -> Selection:
    """Return the measurements that count.

    Columns in `stated_elsewhere` are stated by the question itself.
    """
    unused: list[tuple[int, str, IgnoredReason]] = []
    columns: dict[str, list[ReadMeasurement]] = {}
    for one in read:
        column = one.measurement.column
        reason = moment.reason_not_counted(column, one.time, one.issued)
        if reason is None and column in stated_elsewhere:
            reason = "stated_elsewhere"
        if reason is None and one.measurement.value is None:
            reason = "not_measured"  # an earlier one still counts
        if reason is None:
            columns.setdefault(column, []).append(one)
        else:
            unused.append((one.number, column, reason))
    chosen: dict[str, ReadMeasurement] = {}
    contradicting: dict[str, Variable] = {}
    for column, candidates in columns.items():
        newest = _newest(candidates)
        agree = _agree(newest)
        if agree:
            chosen[column] = max(newest, key=lambda one: (one._size, -one.number))
        else:
            contradicting[column] = newest[0].measurement.variable
        reason = "duplicate" if agree else "contradiction"
        unused += [
            (one.number, column, reason) for one in candidates if one is not chosen.get(column)
        ]
    return Selection(chosen, sorted(unused), contradicting)


def _newest(candidates: Sequence[ReadMeasurement]) -> list[ReadMeasurement]:
    """Return the measurements of the latest time, only corrected ones where there are any."""
    latest = max(one._moment for one in candidates)
    newest = [one for one in candidates if one._moment == latest]
    corrected = [one for one in newest if one.is_corrected]
    # Of corrections of one time, the last to be issued is the one in force.
    issued = [one.issued for one in corrected if one.issued is not None]
    if len(issued) == len(corrected) and issued:
        corrected = [one for one in corrected if one.issued == max(issued)]
    return corrected or newest


def _agree(measurements: Sequence[ReadMeasurement]) -> bool:
    first = measurements[0].measurement
    return all(_is_same(one.measurement, first) for one in measurements)


def _is_same(one: CanonicalMeasurement, other: CanonicalMeasurement) -> bool:
    if (one.below, one.above) != (other.below, other.above):
        return False
    if isinstance(one.value, float) and isinstance(other.value, float):
        return math.isclose(one.value, other.value, rel_tol=_SAME_VALUE)
    return one.value == other.value


def values_of(name: str, chosen: Mapping[str, ReadMeasurement]) -> Iterator[ReadMeasurement]:
    """Yield the values of a variable and of its other features; no sample is no value."""
    for column, one in chosen.items():
        is_none = column.endswith("__count") and one.measurement.value == 0
        if base_name(column) == name and not is_none:
            yield one
