"""Changes between models, their intervals, and what is concluded."""

import numpy as np
import pytest
from scipy.special import expit

from models.metrics.comparison.decision_curves import decision_comparison
from models.metrics.comparison.likelihood_ratio import likelihood_ratio
from models.metrics.comparison.net_benefit import net_benefit, trade_off
from models.metrics.comparison.paired_changes import OutOfFold, paired_changes, verdict
from models.metrics.intervals import bootstrap_interval
from models.metrics.known_outcome import known_outcome
from training.report.added_value import share_without_panel

N = 600
PAIR = [("without", "with")]


def simulated(seed: int, gain: float) -> tuple[np.ndarray, np.ndarray, OutOfFold]:
    """Times, events and risks of two models, of which one knows a marker."""
    rng = np.random.default_rng(seed)
    severity, marker = rng.normal(size=(2, N))
    died = rng.random(N) < expit(severity + gain * marker - 1)
    time = np.where(died, rng.uniform(1, 28, N), 60.0)
    lost = rng.uniform(10, 200, N)
    event = np.where(lost < time, 0, died.astype(int))
    risks = {"without": expit(severity - 1), "with": expit(severity + gain * marker - 1)}
    columns = {name: risk[:, None] for name, risk in risks.items()}
    return np.minimum(time, lost), event, OutOfFold(columns, np.arange(N) % 5, (28.0,))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0101, 0.02, "adds"),
        (0.01, 0.02, "adds some, size uncertain"),
        (0.001, 0.02, "adds some, size uncertain"),
        (0.001, 0.009, "adds no more than 0.01"),
        (-0.02, 0.01, "adds no more than 0.01"),
        (-0.001, 0.02, "inconclusive"),
        (0.0, 0.02, "inconclusive"),
        (np.nan, np.nan, "inconclusive"),
    ],
)
def test_the_verdict_follows_the_interval(low: float, high: float, said: str) -> None:
    assert verdict(low, high) == said


def test_changes_are_with_minus_without_at_every_horizon_and_threshold() -> None:
    time, event, risks = simulated(0, 1.0)

    changes = paired_changes(time, event, risks, PAIR, thresholds=[0.2, 0.4], n_bootstrap=50)[0]

    assert [(c.metric, c.threshold, c.secondary) for c in changes] == [
        ("auroc", None, False),
        ("ipa", None, False),
        ("brier", None, False),
        ("net_benefit", 0.2, False),
        ("net_benefit", 0.4, False),
        ("idi", None, True),
        ("nri_continuous", None, True),
    ]
    for change in changes:
        assert change.low < change.change < change.high
        if not change.secondary:
            assert change.change == pytest.approx(change.with_panel - change.without, abs=1e-12)
    outcome = known_outcome(time, event, 28.0)
    benefit = net_benefit(outcome, risks.risk["with"][:, 0], 0.2)[0]
    assert changes[3].with_panel == pytest.approx(benefit, abs=1e-12)
    assert changes[0].low > 0 > changes[2].high


def test_pairing_makes_the_interval_of_a_change_narrower_than_those_of_the_models() -> None:
    time, event, risks = simulated(1, 0.3)
    change = paired_changes(time, event, risks, PAIR, thresholds=[0.2], n_bootstrap=200)[0][2]

    brier = bootstrap_interval(
        lambda counts: (
            (((time <= 28) & (event == 1)) - risks.risk["with"][:, 0]) ** 2
            @ (np.ones(N) if counts is None else counts)
            / N
        ),
        N,
        n_resamples=200,
        random_state=0,
    )

    assert change.high - change.low < 0.7 * float(brier.high - brier.low)


def test_a_model_adds_nothing_to_itself() -> None:
    time, event, risks = simulated(2, 1.0)
    same = OutOfFold(
        {"without": risks.risk["with"], "with": risks.risk["with"]}, risks.fold, (28.0,)
    )

    changes = paired_changes(time, event, same, PAIR, thresholds=[0.2], n_bootstrap=20)[0]

    assert all((c.change, c.low, c.high) == (0, 0, 0) for c in changes)


def test_folds_widen_the_interval_of_models_that_learned_from_the_patients() -> None:
    time, event, risks = simulated(3, 1.0)
    apart = OutOfFold(risks.risk, np.zeros(N, dtype=int), (28.0,))

    def brier(given: OutOfFold) -> tuple[float, float]:
        found = paired_changes(time, event, given, PAIR, thresholds=[0.2], n_bootstrap=50)[0][2]
        return found.change - found.low, found.high - found.change

    factor = np.sqrt(1 + 5 / 4)
    assert brier(risks) == pytest.approx([factor * side for side in brier(apart)], rel=1e-9)


def test_folds_widen_the_decision_curves_as_much() -> None:
    time, event, risks = simulated(3, 1.0)
    both = risks.risk["without"][:, 0], risks.risk["with"][:, 0]

    apart, shared = (
        decision_comparison(time, event, *both, horizon_days=28.0, n_bootstrap=20, folds=folds)
        for folds in (1, 5)
    )

    assert shared.gain.estimate == pytest.approx(apart.gain.estimate)
    width, wider = (one.gain.high - one.gain.low for one in (apart, shared))
    assert wider == pytest.approx(np.sqrt(1 + 5 / 4) * width)


def test_the_trade_off_is_infinite_where_nothing_is_gained() -> None:
    found = trade_off(0.2, -0.001, -0.01, 0.02)

    assert (found.tests, found.low, found.high) == (np.inf, 50.0, np.inf)
    assert found.as_json()["tests"] is None


def test_decision_curves_are_the_net_benefit_of_each_strategy() -> None:
    time, event, risks = simulated(4, 1.0)
    both = risks.risk["without"][:, 0], risks.risk["with"][:, 0]

    found = decision_comparison(time, event, *both, horizon_days=28.0, n_bootstrap=20)

    outcome = known_outcome(time, event, 28.0)
    expected = net_benefit(outcome, both[1], found.thresholds)
    assert found.second.estimate == pytest.approx(expected)
    gain = found.second.estimate - found.first.estimate
    assert found.gain.estimate == pytest.approx(gain)
    assert found.treat_all[0] == pytest.approx(
        float(outcome.event_rate) - 0.01 / 0.99 * (1 - float(outcome.event_rate))
    )


def test_no_likelihood_ratio_where_parameters_are_too_many() -> None:
    rng = np.random.default_rng(0)
    time, died = np.ones(60), np.arange(60) < 30
    noise = rng.normal(size=(60, 1))

    many = likelihood_ratio(time, died, noise, rng.normal(size=(60, 5)), fixed_horizon=True)

    assert many.note == "needs 10 events for each parameter"
    assert many.as_json()["p_value"] is None


def test_a_column_that_separates_outcomes_has_the_largest_likelihood_there_is() -> None:
    died = np.arange(60) < 30
    noise = np.random.default_rng(0).normal(size=(60, 1))

    found = likelihood_ratio(np.ones(60), died, noise, died[:, None] * 2.0, fixed_horizon=True)

    assert found.statistic + found.adequacy * 120 * np.log(2) == pytest.approx(120 * np.log(2))
    assert found.p_value < 1e-10


def test_noise_is_significant_at_the_nominal_rate_of_the_likelihood_ratio() -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(200):
        severity, noise = rng.normal(size=(2, 200, 1))
        time = rng.exponential(np.exp(-severity[:, 0]))
        found = likelihood_ratio(time, rng.random(200) < 0.8, severity, noise)
        p_values.append(found.p_value)

    # 200 draws of a share of 10 % lie within 4-17 % in 99.9 % of the cases.
    assert 0.04 < np.mean(np.array(p_values) < 0.1) < 0.17


def test_no_likelihood_ratio_where_a_patient_has_several_stays() -> None:
    rng = np.random.default_rng(0)
    severity, noise = rng.normal(size=(2, 200, 1))
    table = np.ones(200), np.arange(200) < 100, severity, noise

    once = likelihood_ratio(*table, groups=np.arange(200))
    repeated = likelihood_ratio(*table, groups=np.arange(200) // 4)

    assert once == likelihood_ratio(*table)
    assert repeated.note == "some patients have several stays, which are not independent"
    assert np.isnan([repeated.statistic, repeated.p_value, repeated.adequacy]).all()


def test_where_the_whole_model_gains_nothing_adequacy_is_undefined() -> None:
    died = np.arange(40) < 20
    without, added = (np.tile(signs, 10)[:, None] for signs in ([1.0, 1, -1, -1], [1.0, -1, 1, -1]))

    found = likelihood_ratio(np.ones(40), died, without, added, fixed_horizon=True)

    assert (found.statistic, found.p_value) == (0.0, 1.0)
    assert found.as_json()["adequacy"] is None
    assert share_without_panel(found.adequacy).startswith("neither model")
