"""Social descriptions of a patient, which a model reads only where a run names them."""

from __future__ import annotations

from data_schema.variables import base_name

__all__ = ["is_social"]

_WORDS = frozenset({"race", "ethnicity", "income", "education"})


def is_social(column: str) -> bool:
    """Return whether a column describes race, income or education, by the words of its name.

    A model that reads them passes on how society treats people, and asks for them at the bedside.
    So a run must name them (`RunConfig.include`); performance by each is reported either way.

    >>> [is_social(name) for name in ("race", "education_years", "household_income__not_done")]
    [True, True, True]
    >>> [is_social(name) for name in ("age", "tracheostomy", "menopausal_status")]
    [False, False, False]
    """
    return not _WORDS.isdisjoint(base_name(column).lower().split("_"))
