"""Orders to limit treatment: read from their columns, never a predictor."""

from __future__ import annotations

import numpy as np
import pytest

from checked_cohorts import N, check, clean, only, put
from data_schema.errors import UsageError
from data_schema.mapping.file import parse_mapping

MAPPED = '[treatment_limits]\nlimited = "dnr"\nlimited_map = {none = 0, order = 1}\n'


def table(limited: str = "1"):
    found = clean().assign(treatment_limited="0", treatment_limited_days=None)
    found.loc[:9, "treatment_limited"] = limited
    return found


def test_columns_of_that_name_are_read_and_are_no_predictor() -> None:
    cohort = check(put("treatment_limited_days", "0.5")(table("yes"))).cohort

    assert cohort is not None
    assert cohort.treatment_limits is not None
    assert cohort.treatment_limits.limited.tolist() == [1.0] * 10 + [0.0] * (N - 10)
    assert cohort.treatment_limits.days is not None
    assert cohort.treatment_limits.days[0] == 0.5
    assert np.isnan(cohort.treatment_limits.days[1:]).all()
    assert not [name for name in cohort.features if str(name).startswith("treatment_limited")]


def test_a_cohort_without_them_records_no_limits() -> None:
    cohort = check(clean()).cohort

    assert cohort is not None
    assert cohort.treatment_limits is None


def test_a_mapping_names_the_site_s_columns_and_words() -> None:
    mapped = clean().assign(dnr=["order"] * 5 + ["none"] * (N - 10) + [""] * 5)

    cohort = check(mapped, MAPPED).cohort

    assert cohort is not None
    assert cohort.treatment_limits is not None
    limited = cohort.treatment_limits.limited
    assert (limited == 1).sum() == 5
    assert np.isnan(limited).sum() == 5


def test_with_days_alone_an_empty_day_is_no_limitation() -> None:
    cohort = check(put("treatment_limited_days", "0.5")(table().drop(columns="treatment_limited")))

    assert cohort.cohort is not None
    assert cohort.cohort.treatment_limits is not None
    assert cohort.cohort.treatment_limits.limited.tolist() == [1.0] + [0.0] * (N - 1)


@pytest.mark.parametrize(
    ("column", "cells", "count", "message"),
    [
        ("treatment_limited", ("perhaps", "2"), 2, "must be 1 or 0, or yes or no"),
        ("treatment_limited_days", ("soon",), 1, "must be days from time zero"),
        ("treatment_limited_days", ("90000",), 1, "must not come after the end of follow-up"),
    ],
)
def test_cells_that_cannot_be_are_fatal(
    column: str, cells: tuple[str, ...], count: int, message: str
) -> None:
    found = only(check(put(column, *cells)(table())))

    assert (found.rule, found.count) == ("treatment_limits", count)
    assert message in found.message
    assert cells[0] not in found.message


def test_a_day_without_a_limitation_contradicts_itself() -> None:
    found = only(check(put("treatment_limited_days", "0.5", start=20)(table())))

    assert "must be empty where treatment was not limited; 1 of" in found.message


def test_a_mapped_limitation_cannot_be_a_predictor_too() -> None:
    mapped = clean().assign(dnr=["order"] * 30 + ["none"] * (N - 30))
    mapping = MAPPED + '[columns.dnr]\nvariable = "early_order"\nkind = "category"\n'

    found = only(check(mapped, mapping + 'pathway = "care"\n'))

    assert (found.rule, found.variable) == ("leak_name", "early_order")
    assert "must not be a predictor" in found.message


def test_a_site_s_own_variable_cannot_take_the_reserved_name() -> None:
    mapped = clean().assign(order=["1"] * 30 + ["0"] * (N - 30))
    mapping = '[columns.order]\nvariable = "treatment_limited"\nkind = "flag"\npathway = "care"\n'

    assert check(mapped, mapping).cohort is None


def test_a_column_that_the_mapping_names_must_exist() -> None:
    assert only(check(clean(), MAPPED)).rule == "missing_column"


def test_a_code_that_is_neither_0_nor_1_is_refused() -> None:
    with pytest.raises(UsageError, match="limited_map must be an inline table of 0 and 1"):
        parse_mapping('[treatment_limits]\nlimited = "dnr"\nlimited_map = {order = 2}\n')
