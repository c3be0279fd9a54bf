"""Boosters as documents: what is written is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.inference.ubjson import decode_ubjson, encode_ubjson

WHOLE_NUMBERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.none() | st.booleans() | WHOLE_NUMBERS | st.text() | st.floats(allow_nan=False)
NUMBERS = st.sampled_from(["u1", "i1", ">i2", ">i4", ">i8", ">f4", ">f8"]).flatmap(
    lambda dtype: arrays(dtype, st.integers(0, 4))
)
DOCUMENTS = st.recursive(
    PLAIN | NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(DOCUMENTS)
def test_what_was_written_is_read(document) -> None:
    np.testing.assert_equal(decode_ubjson(encode_ubjson(document)), document)


@given(arrays("<f4", st.integers(0, 4)))
def test_an_array_of_either_byte_order_is_written(array) -> None:
    read = decode_ubjson(encode_ubjson(array))

    np.testing.assert_array_equal(read, array)
    assert read.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
