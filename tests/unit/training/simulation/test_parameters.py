"""Every number says what it rests on, and the tables fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from data_schema.biomarkers import VARIABLES
from training.simulation import hazards, person, sites, states
from training.simulation.markers import marker_table
from training.simulation.parameter import Basis
from training.simulation.statistics import auroc_of, hazard_ratio, odds_ratio


def _bases() -> Iterator[tuple[str, Basis]]:
    yield from ((f"correlation {pair}", basis) for pair, (_, basis) in states.CORRELATIONS.items())
    yield from ((f"effects {name}", basis) for name, (_, basis) in states.EFFECTS.items())
    yield from ((f"course {name}", basis) for name, (_, _, basis) in states.COURSE.items())
    yield from ((name, flag.basis) for name, flag in person.FLAGS.items())
    yield from ((marker.name, marker.basis) for marker in marker_table().markers)
    yield from ((name, hazard.basis) for name, hazard in hazards.HAZARDS.items())
    yield from ((name, basis) for name, (_, _, basis) in hazards.BENDS.items())


@pytest.mark.parametrize(("what", "basis"), list(_bases()))
def test_what_is_not_assumed_names_its_row(what: str, basis: Basis) -> None:
    if basis.mark != "assumed":
        assert re.match(r"\d+(, \d+)*(:|$)", basis.row), what


def test_the_states_have_a_joint_distribution() -> None:
    assert np.linalg.eigvalsh(states.correlation()).min() > 0.02


def test_tables_name_states_facts_and_markers_that_exist() -> None:
    known_facts, known_states = set(person.FACTS), set(states.STATES)
    assert set(states.EFFECTS) == known_states
    for effects, _ in states.EFFECTS.values():
        assert set(effects) <= known_facts
    for marker in marker_table().markers:
        assert set(marker.effects) <= known_facts
        assert set(marker.loads) <= known_states
        assert marker.panel in sites.PANELS
    for hazard in hazards.HAZARDS.values():
        assert set(hazard.facts) <= known_facts
        assert set(hazard.states) <= known_states
    assert set(person.FACTS.values()) <= set(VARIABLES)
    names = set(marker_table().names)
    assert all(site.not_measured <= names for site in sites.SITES)


def test_a_printed_value_is_read_back_on_its_own_scale() -> None:
    for marker in marker_table().markers:
        scaled = marker.location + marker.spread * np.array([-1.0, 0.0, 1.0])
        again = marker.scaled(marker.printed(scaled))
        # Three significant figures, or the marker's decimals.
        step = 0.005 if marker.scale == "log" else 0.51 * 10.0**-marker.digits
        assert np.abs(again - scaled).max() < max(step, 0.25 * marker.spread), marker.name


def test_statistics_agree_with_closed_forms() -> None:
    exposed = np.repeat([1.0, 0.0], 100)
    event = np.concatenate([np.arange(100) < 40, np.arange(100) < 20])
    assert odds_ratio(event, exposed) == pytest.approx((40 / 60) / (20 / 80))
    assert auroc_of(exposed, event) == pytest.approx(
        (40 * 80 + 0.5 * (40 * 60 + 20 * 80)) / 60 / 140
    )
    # Cox by hand on three subjects: maximum of b - log(2 + e^b) - log(1 + e^b) at e^b = sqrt 2.
    days, all_events = np.array([1.0, 2.0, 3.0]), np.array([True, True, True])
    found = hazard_ratio(days, all_events, np.array([0.0, 1.0, 0.0]))
    best = np.exp(np.linspace(-3, 3, 60_001))
    likelihood = np.log(best) - np.log(best + 2) - np.log(best + 1)
    assert found == pytest.approx(best[likelihood.argmax()], rel=1e-3)
