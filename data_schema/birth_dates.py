"""A date of birth of which the day, or the month and the day, may be unknown."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date

__all__ = ["BirthDate", "age_in_years"]

_STATED = re.compile(r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2}))?)?")


@dataclass(frozen=True, slots=True)
class BirthDate:
    """The first and the last day on which a patient may have been born, both included.

    >>> BirthDate.of("1958-03").middle, BirthDate.of("1958-03").last
    (datetime.date(1958, 3, 16), datetime.date(1958, 3, 31))
    """

    first: date
    last: date

    @classmethod
    def of(cls, stated: str) -> BirthDate | None:
        """Return the date that `1958`, `1958-03` or `1958-03-02` states; None for other text."""
        match = _STATED.fullmatch(stated)
        if match is None:
            return None
        try:
            year = int(match["year"])
            first, last = int(match["month"] or 1), int(match["month"] or 12)
            last_day = int(match["day"] or calendar.monthrange(year, last)[1])
            return cls(date(year, first, int(match["day"] or 1)), date(year, last, last_day))
        except ValueError:  # year 0, month 13, the 30th of February
            return None

    @property
    def is_exact(self) -> bool:
        """Whether the day is known."""
        return self.first == self.last

    @property
    def middle(self) -> date:
        """The day in the middle, from which the age is computed."""
        return self.first + (self.last - self.first + self.first.resolution) // 2

    def __str__(self) -> str:
        """Return the date as ISO 8601 writes it, as far as it is known."""
        if self.is_exact:
            return self.first.isoformat()
        words = self.first.isoformat()
        return words[:7] if self.first.month == self.last.month else words[:4]


def age_in_years(birth: date, day: date) -> float:
    """Return the age in years with its fraction, a whole number on a birthday.

    Before the birth it is negative.

    >>> age_in_years(date(1958, 3, 2), date(2026, 3, 2))
    68.0
    """
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    year_of_birthday = birth.year + years
    try:
        birthday = birth.replace(year=year_of_birthday)
    except ValueError:  # born on 29 February
        birthday = date(year_of_birthday, 3, 1)
    return years + (day - birthday).days / 366
