"""The true risks agree with drawing from the model by brute force, and with what happens."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit, ndtr

from data_schema.variables import PATHWAYS
from training.simulation.cohort import SimulatedCohort, simulate, simulated_blocks
from training.simulation.drawing import draw_world
from training.simulation.hazards import (
    ACUTE_DAYS,
    BENDS,
    chronic_by,
    draw_courses,
    fracture_incidence,
    mortality_in_icu,
    mortality_risk,
)
from training.simulation.scenarios import SCENARIOS
from training.simulation.sites import CENSORED
from training.simulation.states import STATES, correlation
from training.simulation.truth import (
    full_risk,
    horizons,
    recorded_risk,
    truth_table,
    truth_within,
)
from training.simulation.world import PANEL_PATHWAYS

N = 6000
WORLDS = ["published", "no-added-value", "shifted-site", "drift", "informative-testing"]


@pytest.fixture(scope="module")
def simulated() -> SimulatedCohort:
    return simulate(N, seed=21)


def test_incidences_agree_with_the_fates_that_are_drawn() -> None:
    n = 200_000
    log = (np.full(n, -0.5), np.full(n, np.log(0.3)), np.full(n, np.log(0.2)))
    courses = draw_courses(*log, np.random.default_rng(3))
    left = ~np.isnan(courses.icu_discharge)
    for days in (28.0, 365.0, 1826.0):
        dead = (courses.death <= days).mean()
        expected = mortality_risk(log[0][:1], log[1][:1], days)[0]
        assert dead == pytest.approx(expected, abs=4 * np.sqrt(dead * (1 - dead) / n))
        leaves, breaks = fracture_incidence(log[0][:1], log[1][:1], log[2][:1], days)
        broke = (courses.fracture < courses.death) & (
            courses.fracture - courses.icu_discharge <= days
        )
        found = broke[left].mean()
        # 0.001 for the days in the ICU, which the formula leaves out, at this high a hazard.
        margin = 4 * np.sqrt(found * (1 - found) / left.sum()) + 0.001
        assert found == pytest.approx(breaks[0] / leaves[0], abs=margin)
    assert left.mean() == pytest.approx(leaves[0], abs=0.01)


def test_risk_in_the_icu_agrees_with_the_fates_that_are_drawn() -> None:
    n = 200_000
    log = (np.full(n, 0.3), np.full(n, np.log(0.8)), np.full(n, np.log(0.2)))
    courses = draw_courses(*log, np.random.default_rng(4))
    left = np.where(np.isnan(courses.icu_discharge), np.inf, courses.icu_discharge)
    there = np.minimum(left, courses.death) > 2
    for days in (28.0, 365.0):
        present, dies = mortality_in_icu(log[0][:1], log[1][:1], days, landmark_days=2.0)
        dead = (courses.death[there] <= 2 + days).mean()
        margin = 4 * np.sqrt(dead * (1 - dead) / there.sum())
        assert dies[0] / present[0] == pytest.approx(dead, abs=margin)
    assert present[0] == pytest.approx(there.mean(), abs=0.005)


def test_mortality_is_the_integral_of_its_hazards() -> None:
    days = np.linspace(0, 400, 400_001)
    acute = np.exp(-0.7) * np.exp(-days / ACUTE_DAYS) / ACUTE_DAYS
    cumulative = np.trapezoid(acute, days) + np.exp(-1.2) * chronic_by(400.0)
    found = mortality_risk(np.array([-0.7]), np.array([-1.2]), 400.0)[0]
    assert found == pytest.approx(1 - np.exp(-cumulative), abs=1e-6)


@pytest.mark.parametrize("blank_share", [0.0, 0.5])
def test_the_recorded_risk_is_that_of_brute_force(blank_share: float) -> None:
    """States drawn from their prior, each weighted by how likely it makes the whole record."""
    world = simulate(30, seed=8, blank_share=blank_share).world
    found = recorded_risk(world, draws=4096)["mortality"]
    measured, table = world.measured(), world.table
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((150_000, len(STATES))) @ np.linalg.cholesky(correlation()).T
    agreed = 0
    for i in range(len(world)):
        recorded = np.flatnonzero(world.recorded[i])
        states = world.prior_mean()[i] + noise
        log_weight = np.zeros(len(states))
        for j in recorded:
            away = (measured.residual[i, j] - states @ measured.loads[j]) / table.noise[j]
            below = table.names[j] in CENSORED and measured.below[i, j]
            log_weight += np.log(ndtr(away) + 1e-300) if below else -(away**2) / 2
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        effective = 1 / (weight**2).sum()
        if effective < 100:
            # Drawing from the prior cannot reach so well recorded a patient.
            continue
        agreed += 1
        acute = world.fixed("acute")[i] + states @ world.direction("acute")[i]
        for state, (curvature, lowest, _) in BENDS.items():
            acute += curvature * (states[:, STATES.index(state)] - lowest) ** 2
        chronic = world.fixed("chronic")[i] + states @ world.direction("chronic")[i]
        for k, days in enumerate(horizons("mortality")):
            risk = mortality_risk(acute, chronic, days)
            mean = weight @ risk
            error = np.sqrt((weight**2) @ (risk - mean) ** 2)
            assert found[i, k] == pytest.approx(mean, abs=4.5 * error + 0.002)
    assert agreed >= 5


def test_blanks_leave_patients_and_outcomes_as_they_were_and_cost_knowledge() -> None:
    at_shares = {share: simulate(1500, seed=9, blank_share=share) for share in (0.0, 0.2, 0.6)}
    whole = at_shares[0.0]
    full = full_risk(whole.world, "mortality")[:, 0]
    missed, blank = [], np.zeros(whole.world.recorded.shape, dtype=bool)
    for share, drawn in at_shares.items():
        outcome = ["patient_id", "age", "mortality_days", "mortality_event"]
        pd.testing.assert_frame_equal(drawn.cohort[outcome], whole.cohort[outcome])
        hidden = whole.world.recorded & ~drawn.world.recorded
        # 5 standard errors of a share among 100,000 measured values.
        assert hidden.sum() / whole.world.recorded.sum() == pytest.approx(share, abs=0.008)
        assert (blank <= hidden).all()
        blank = hidden
        missed.append(((full - recorded_risk(drawn.world)["mortality"][:, 0]) ** 2).mean())
        measured = drawn.cohort[list(whole.world.table.names)].notna().to_numpy()
        assert (measured == drawn.world.recorded).all()
    assert missed == sorted(missed)
    pd.testing.assert_frame_equal(at_shares[0.6].observations, whole.observations)


def test_few_draws_are_as_good_as_many() -> None:
    world = draw_world(1000, 3, SCENARIOS["published"])
    few, many = recorded_risk(world), recorded_risk(world, draws=4096)
    for outcome, risk in few.items():
        off = np.abs(risk - many[outcome])
        assert off.mean() < 0.002
        # Where detection limits leave few draws, more are made: 0.24 without.
        assert off.max() < 0.12


@pytest.mark.parametrize(
    ("name", "blank_share"),
    [
        *((name, 0.0) for name in WORLDS),
        *((name, 0.4) for name in ("published", "no-added-value", "informative-testing")),
        ("informative-testing", 0.9),
    ],
)
def test_the_recorded_risk_is_the_mean_of_the_full_risk_given_the_record(
    name: str, blank_share: float
) -> None:
    world = simulate(N, seed=5, scenario=name, blank_share=blank_share).world
    for outcome, risk in recorded_risk(world).items():
        full = full_risk(world, outcome)
        kept = np.ones(N, dtype=bool)
        if outcome == "fracture":
            kept = ~np.isnan(world.courses.icu_discharge)
        for k in range(risk.shape[1]):
            off, at = (full - risk)[kept, k], risk[kept, k]
            tenth = np.digitize(at, np.quantile(at, np.linspace(0.1, 0.9, 9)))
            for group in range(10):
                here = off[tenth == group]
                # 5 standard errors: about 150 comparisons in all.
                assert abs(here.mean()) < 5 * here.std() / np.sqrt(len(here))


def test_the_risk_at_72_h_is_the_mean_given_the_record_of_day_3_among_those_in_the_icu() -> None:
    drawn = simulate(12_000, seed=5, landmark="72h")
    world, truth = drawn.world, drawn.truth
    there = world.at_risk("mortality")
    assert set(truth["outcome"]) == {"mortality"}
    assert len(truth) == 3 * there.sum() == 3 * len(drawn.cohort)
    for days, rows in truth.groupby("horizon_days"):
        off = (rows["risk_full"] - rows["risk_recorded"]).to_numpy()
        tenth = pd.qcut(rows["risk_recorded"], 10, labels=False).to_numpy()
        for group in range(10):
            here = off[tenth == group]
            assert abs(here.mean()) < 4 * here.std() / np.sqrt(len(here))
        dead = (world.courses.death[there] <= 2 + days).sum()
        risk = rows["risk_recorded"]
        assert abs(dead - risk.sum()) < 4 * np.sqrt((risk * (1 - risk)).sum())


def test_what_happens_follows_the_recorded_risk(simulated: SimulatedCohort) -> None:
    truth, courses = simulated.truth, simulated.world.courses
    dead = truth[truth["outcome"] == "mortality"].groupby("horizon_days")["risk_recorded"]
    for days, risk in dead:
        happened = courses.death <= days
        error = np.sqrt((risk * (1 - risk)).sum())
        assert abs(happened.sum() - risk.sum()) < 4 * error


@pytest.mark.parametrize(
    ("name", "tells"), [("published", True), ("no-added-value", False)], ids=["tells", "does not"]
)
def test_the_panel_tells_more_than_severity_unless_the_scenario_says_not(
    name: str, tells: bool
) -> None:
    drawn = simulate(20_000, seed=6, scenario=name)
    world = drawn.world
    left_open = (
        full_risk(world, "mortality") - recorded_risk(world, without=PANEL_PATHWAYS)["mortality"]
    )
    strongest = 0.0
    measured = world.measured()
    for j in np.flatnonzero(world.in_pathways(PANEL_PATHWAYS)):
        seen = world.recorded[:, j]
        if seen.sum() > 500:
            related = np.corrcoef(measured.residual[seen, j], left_open[seen, 0])[0, 1]
            strongest = max(strongest, abs(related) * np.sqrt(seen.sum()))
    # Some 40 markers: the largest of as many standard normals exceeds 4 once in 400 times.
    assert strongest > 10 if tells else strongest < 4


def test_without_added_value_the_panel_still_follows_severity() -> None:
    published, severed = (
        simulate(8000, seed=6, scenario=name).cohort for name in ("published", "no-added-value")
    )
    for marker in ("fgf23_c", "crp", "osteocalcin"):
        related = [
            np.corrcoef(np.log(both[marker]), both["apache2"])[0, 1]
            for both in (c[[marker, "apache2"]].dropna() for c in (published, severed))
        ]
        assert related[1] == pytest.approx(related[0], abs=0.06)


def test_contributions_explain_the_recorded_risk(simulated: SimulatedCohort) -> None:
    truth = simulated.truth
    names = [f"contribution__{pathway}" for pathway in PATHWAYS]
    for (outcome, _), rows in truth.groupby(["outcome", "horizon_days"]):
        log_odds = logit(rows["risk_recorded"].clip(1e-12, 1 - 1e-12))
        explained = rows["base_log_odds"] + rows[names].sum(axis=1)
        # What is left is the pattern of what was measured, and the curvature of a mean of risks.
        assert np.corrcoef(log_odds, explained)[0, 1] > 0.99, outcome


def test_a_pathway_without_a_measured_marker_moves_nothing(simulated: SimulatedCohort) -> None:
    world = simulated.world
    wnt = world.recorded & world.in_pathways(frozenset({"wnt"}))
    truth = simulated.truth.query("outcome == 'mortality' and horizon_days == 28")
    assert (truth["contribution__wnt"].to_numpy()[~wnt.any(axis=1)] == 0).all()
    assert (truth["contribution__wnt"].to_numpy()[wnt.any(axis=1)] != 0).all()


def test_contributions_of_every_block_are_relative_to_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.simulation.cohort.BLOCK_PATIENTS", 200)
    first, second = (block.world for block in simulated_blocks(400, seed=8))
    alone, reference = truth_within(first, None)
    pd.testing.assert_frame_equal(alone, truth_table(first))
    shared, unchanged = truth_within(second, reference)
    own = truth_table(second)
    assert unchanged == reference
    columns = ["patient_id", "outcome", "horizon_days", "risk_full", "risk_recorded"]
    pd.testing.assert_frame_equal(shared[columns], own[columns])
    for outcome, days in reference.base_log_odds:
        base = {
            float(
                of["base_log_odds"][(of["outcome"] == outcome) & (of["horizon_days"] == days)].iloc[
                    0
                ]
            )
            for of in (alone, shared)
        }
        assert base == {reference.base_log_odds[outcome, days]}
    # Another reference moves every patient's contributions alike, but for their own weights.
    moved = [f"contribution__{pathway}" for pathway in PATHWAYS]
    assert not np.allclose(shared[moved], own[moved])
    assert np.corrcoef(shared[moved].sum(axis=1), own[moved].sum(axis=1))[0, 1] > 0.99
