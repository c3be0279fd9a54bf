"""Shared aggregates: what they may hold, and which of them may be pooled."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.errors import UsageError
from models.metrics.metric import Metric
from models.metrics.summary import Repeat
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals
from training.validation.sharing import (
    SHARED_FILE,
    SharedValidation,
    pool_sites,
    read_shared,
    tenths_of_risk,
    write_shared,
)


def shared(site: str, area: float, ratio: float) -> SharedValidation:
    """Return what a site with these figures shares."""
    return SharedValidation(
        "osteon-mortality",
        "3",
        "a" * 64,
        "mortality",
        site,
        False,
        400,
        390,
        80,
        f"cohort of {site}",
        (
            Metric("auroc", 90.0, area, area - 0.04, area + 0.04),
            Metric("oe_ratio", 90.0, ratio, ratio / 1.2, ratio * 1.2),
            Metric("ici", 90.0, 0.02, 0.0, 0.05),
        ),
        (),
        {},
        None,
    )


SITES = [shared("a", 0.80, 0.9), shared("b", 0.84, 1.1), shared("c", 0.78, 1.3)]


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_shared(SITES[0], tmp_path / "a")

    assert read_shared(tmp_path / "a") == SITES[0]
    assert [path.name for path in (tmp_path / "a").iterdir()] == [SHARED_FILE]


def test_pooling_names_mean_and_a_new_site_for_each_metric_that_has_no_floor() -> None:
    pooled = pool_sites(SITES)

    assert [mean.metric for mean in pooled.pooled] == ["auroc", "oe_ratio"]
    area = pooled.pooled[0]
    assert area.next_low < area.low < area.estimate < area.high < area.next_high
    content = pooled.as_json()
    assert content["model"] == {"name": "osteon-mortality", "version": "3", "sha256": "a" * 64}
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "sites must number at least 3"),
        ([replace(SITES[1], model_sha256="b" * 64), SITES[2]], "validated one version"),
        ([SITES[1], replace(SITES[0], site="again")], "validated different cohorts"),
    ],
)
def test_what_does_not_belong_together_is_not_pooled(
    others: list[SharedValidation], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        pool_sites([SITES[0], *others])


def test_sites_without_a_name_are_numbered() -> None:
    pooled = pool_sites([replace(site, site="") for site in SITES])

    assert [site.site for site in pooled.sites] == ["site 1", "site 2", "site 3"]


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"format": 99}'])
def test_another_file_is_no_shared_validation(content: str, tmp_path: Path) -> None:
    (tmp_path / SHARED_FILE).write_text(content)

    with pytest.raises(UsageError, match=r"must hold validation\.json of `osteon val"):
        read_shared(tmp_path)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(60, 900), rate=st.floats(0.02, 0.9))
def test_no_count_under_ten_can_be_read_or_computed(seed: int, n: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    risk = rng.beta(2 * rate + 0.1, 2 * (1 - rate) + 0.1, n)[:, None]
    event = (rng.random(n) < risk[:, 0]).astype(np.int64)
    time = np.where(event == 1, 20.0, rng.choice([30.0, 400.0], n, p=[0.1, 0.9]))
    predictions = Predictions(
        time,
        event,
        np.arange(n).astype(str).astype(object),
        (Repeat(risk, np.zeros(n, dtype=np.int64)),),
        (90.0,),
        None,
        (),
        np.ones(n, dtype=bool),
        Refusals.of([[] for _ in range(n)]),
        "",
    )

    tenths = tenths_of_risk(predictions, 0)

    parts = ("with_event", "without_event", "not_known")
    for tenth in tenths:
        shown = [tenth[part] for part in parts]
        assert not any(count is not None and 0 < count < 10 for count in (*shown, tenth["stays"]))
        if tenth["stays"] is not None and None in shown:
            # What is hidden in a row whose total is shown adds up to at least ten, in two cells.
            left = tenth["stays"] - sum(count for count in shown if count is not None)
            assert shown.count(None) >= 2
            assert left >= 10
