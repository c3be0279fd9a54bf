"""The window within which a measurement counts, relative to the stay in intensive care."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

__all__ = ["AT_TIME_ZERO", "LAST_VALUE", "Since", "Window"]

# A sample taken on the ward or in the emergency department gives a patient's value at admission.
_BEFORE_ICU = timedelta(hours=24)


class Since(Enum):
    """A moment of the stay at which a window begins."""

    STAY = "24 hours before admission to intensive care"
    ADMISSION = "admission to intensive care"


@dataclass(frozen=True, slots=True)
class Window:
    """When a variable is measured, relative to time zero, in a reader's words.

    `begins` is how long before time zero the window begins, or at which moment of the stay. It is
    None where no earliest moment is known, as for what preceded the acute illness.
    """

    words: str
    begins: timedelta | Since | None = None

    @property
    def length(self) -> timedelta | None:
        """How long before time zero the window begins, where that is fixed."""
        return self.begins if isinstance(self.begins, timedelta) else None

    def start(self, *, icu_start: datetime, time_zero: datetime) -> datetime | None:
        """Return the earliest moment at which the variable may have been measured; None if unknown.

        The last value before time zero is one of this stay: it counts from 24 hours before
        admission to intensive care, so that a laboratory value of months ago is never taken for
        the present one.

        >>> days = {"icu_start": datetime(2026, 11, 1), "time_zero": datetime(2026, 11, 2)}
        >>> str(LAST_VALUE.start(**days))
        '2026-10-31 00:00:00'
        >>> Window("before the acute illness").start(**days) is None
        True
        """
        if isinstance(self.begins, timedelta):
            return time_zero - self.begins
        if self.begins is Since.ADMISSION:
            return icu_start
        return icu_start - _BEFORE_ICU if self.begins is Since.STAY else None


LAST_VALUE = Window("last value at or before time zero", Since.STAY)
AT_TIME_ZERO = Window("at time zero", Since.STAY)
