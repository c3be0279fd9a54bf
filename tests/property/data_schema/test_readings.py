"""A value means the same in a table, by HTTP and in FHIR, or breaks the same rule."""

from __future__ import annotations

import random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stated_values import (
    FEATURES,
    OFTEN_MISTAKEN,
    as_fhir,
    as_http,
    draw,
    single_verdict,
    table_verdicts,
)

SOME_FEATURES = st.sampled_from(FEATURES) | st.sampled_from(OFTEN_MISTAKEN)


# A failure names its value, so that there is nothing to shrink.
@settings(max_examples=50, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    rng=st.randoms(use_true_random=False),
    features=st.lists(SOME_FEATURES, min_size=5, max_size=30, unique=True),
)
def test_every_reader_gives_the_same_verdict(rng: random.Random, features: list[str]) -> None:
    stated = [draw(rng, feature) for feature in features]
    verdicts = table_verdicts(stated)
    for one in stated:
        for sent in (as_http(one), as_fhir(one)):
            if sent is not None:
                assert single_verdict(sent) == verdicts[one.feature], one
