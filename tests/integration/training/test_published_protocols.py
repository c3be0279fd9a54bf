"""The published protocols give the published figures again, and Osteon's beside them."""

import pytest

from training.benchmark import published_protocols
from training.benchmark.curves import OSTEON, PARTS
from training.benchmark.published_figures import DSM_SUPPORT2, XGBSE_FLCHAIN
from training.benchmark.run_benchmark import run_benchmark

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_slow_peers(monkeypatch):
    """The peers have tests of their own, and take most of the time."""
    monkeypatch.setattr(published_protocols, "PEERS", {})
    monkeypatch.setattr("os.cpu_count", lambda: 1)


def test_the_cox_model_of_the_xgbse_table_comes_out_again_and_osteon_is_not_below_the_best_row():
    found = run_benchmark("flchain-xgbse").as_json()
    rows = {(row["model"], row["source"]): row for row in found["rows"]}
    again = rows["Cox-PH of the table", "run here"]
    # The notebook behind the table prints 0.78838 and 0.09855.
    assert again["c"] == pytest.approx(0.78838, abs=1e-5)
    assert again["ibs"] == pytest.approx(0.09855, abs=1e-5)
    published = [row for (_, source), row in rows.items() if source == "published"]
    assert [row["model"] for row in published] == list(XGBSE_FLCHAIN.rows)
    ours = rows[OSTEON, "run here"]
    assert ours["c"] >= max(row["c"] for row in published)
    assert ours["ibs"] <= min(row["ibs"] for row in published if "ibs" in row)
    assert found["protocol"].startswith("PUBLISHED COLUMNS")


def test_osteon_is_above_deep_survival_machines_in_all_nine_cells():
    found = run_benchmark("support2-dsm").as_json()
    assert [row["model"] for row in found["rows"]] == [OSTEON, *PARTS.values(), *DSM_SUPPORT2.rows]
    gaps = {
        one["metric"]: one["estimate"]
        for one in found["differences"]
        if one["model"] == "Deep Survival Machines (published)"
    }
    assert len(gaps) == 9
    assert all(gap < 0 if name.startswith("brier") else gap > 0 for name, gap in gaps.items())
    assert found["protocol"].startswith("PUBLISHED COLUMNS")
