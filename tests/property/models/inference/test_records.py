"""Any record survives its way through JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from models.inference.contract import (
    HeldOutMetric,
    JointColumn,
    JointDistribution,
    Novelty,
    NoveltyLimits,
    SpecialCase,
)
from models.inference.records import json_of, record_of

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_rows = st.lists(_numbers, max_size=3).map(tuple)
_columns = st.builds(
    JointColumn,
    feature=st.text(),
    level=st.none() | st.text(),
    scores=_rows,
    values=_rows,
    mean=_numbers,
    spread=_numbers,
    below=st.none() | _numbers,
)
_records = st.one_of(
    st.builds(
        JointDistribution,
        columns=st.lists(_columns, max_size=3).map(tuple),
        correlation=st.lists(_rows, max_size=3).map(tuple),
    ),
    st.builds(
        SpecialCase,
        code=st.text(),
        message=st.text(),
        when=st.lists(st.tuples(st.text(), st.integers() | _numbers, _numbers), max_size=3).map(
            tuple
        ),
        variables=st.lists(st.text(), max_size=3).map(tuple),
    ),
    st.builds(
        Novelty,
        columns=st.lists(st.integers(0, 9), max_size=3).map(tuple),
        normal_scores=_rows,
        quantiles=st.lists(_rows, max_size=3).map(tuple),
        correlation=st.lists(_rows, max_size=3).map(tuple),
        refuse_beyond=st.none()
        | st.builds(NoveltyLimits, single=_numbers, together=st.none() | _numbers),
    ),
    st.builds(
        HeldOutMetric,
        metric=st.text(),
        horizon_days=st.none() | _numbers,
        estimate=st.none() | _numbers,
        low=st.none() | _numbers,
        high=st.none() | _numbers,
        note=st.text(),
        blank_share=_numbers,
    ),
)


@given(_records)
def test_a_record_is_the_same_after_its_way_through_json(record: object) -> None:
    text = json.dumps(json_of(record))

    again = record_of(type(record), json.loads(text))

    assert again == record
    # Every digit and every integer is written as it was read: a bundle's hash depends on it.
    assert json.dumps(json_of(again)) == text


@given(_records, st.dictionaries(st.text().map("unknown ".__add__), st.integers(), max_size=3))
def test_keys_of_a_later_version_are_ignored(record: object, more: dict[str, int]) -> None:
    assert record_of(type(record), json_of(record) | more) == record
