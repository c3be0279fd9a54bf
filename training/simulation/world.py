"""A simulated world: people, hidden states, their courses, and measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from data_schema.biomarkers import VARIABLES
from training.simulation.hazards import BENDS, FGF23_ON_FRACTURE_IN_CKD, HAZARDS, Courses
from training.simulation.markers import MarkerTable, marker_table
from training.simulation.person import FACTS
from training.simulation.posterior import Evidence, condition
from training.simulation.scenarios import Scenario
from training.simulation.sites import (
    CENSORED,
    ONCE,
    PANELS,
    ROUTINE,
    SITES,
    WITHIN_PANEL,
    assay_offsets,
    available,
    lower_limits,
)
from training.simulation.states import STATES, correlation, effects_matrix

__all__ = [
    "DAYS_PER_YEAR",
    "FIRST_DAY",
    "PANEL_PATHWAYS",
    "STREAMS",
    "YEARS",
    "Block",
    "Measured",
    "World",
    "generator",
]

FIRST_DAY, YEARS, DAYS_PER_YEAR = np.datetime64("2012-01-01", "s"), 10, 365.25
LASTING_NOISE = 0.5
"""Share of a marker's own variance that stays with the patient from one sample to the next."""

RECORDED_PATHWAYS = frozenset({"severity", "person"})
"""Pathways that the panel may depend on in the scenario without added value."""

PANEL_PATHWAYS = frozenset(
    {
        "resorption",
        "formation",
        "opg_rankl",
        "wnt",
        "estrogen_endocrine",
        "fgf23_mineral",
        "osteopontin_immune",
    }
)
"""Pathways without information of their own in the scenario without added value."""

STREAMS = {
    "people": 0,
    "states": 1,
    "courses": 2,
    "sampling": 3,
    "panels": 4,
    "follow_up": 5,
    "decoys": 6,
    "extras": 7,
    "blanks": 8,
}
"""Purpose of a random stream -> its number."""

_FIRST_SAMPLE = 100

_USUAL_SEVERITY = 0.9
"""Mean of hidden severity, so that as many tests are ordered whether or not it drives them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Every marker of every patient on one day, ordered or not.

    Parameters
    ----------
    value : ndarray of float, shape (n_patients, n_markers)
        As a laboratory prints it; the detection limit if it lies below.
    below : ndarray of bool, shape (n_patients, n_markers)
    residual : ndarray of float, shape (n_patients, n_markers)
        The printed value less everything that does not depend on states, in units of spread.
    loads : ndarray of float, shape (n_markers, n_states)
        On that day.
    """

    value: NDArray[np.float64]
    below: NDArray[np.bool_]
    residual: NDArray[np.float64]
    loads: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """The place of a world among the blocks of a cohort too large to draw at once.

    Parameters
    ----------
    number : int
        From 0. Each block has random streams of its own.
    first : int
        Patients in the blocks before it.
    of : int
        Patients of the whole cohort.
    """

    number: int
    first: int
    of: int


def generator(seed: int, stream: int, block: int) -> np.random.Generator:
    """Return the generator of one stream in one block; that of the first block has no number."""
    return np.random.default_rng([seed, stream, block] if block else [seed, stream])


@dataclass(frozen=True)
class World:
    """People with their hidden states and courses.

    Parameters
    ----------
    block : Block
        Which patients of the cohort these are.
    people : DataFrame
        From `person.draw_people`, with facts of the samples: `contrast`, `fasting`, ...
    site : ndarray of int, shape (n_patients,)
        Position in `SITES`.
    time_zero : ndarray of datetime64, shape (n_patients,)
    facts : ndarray of float, shape (n_patients, n_facts)
    states : ndarray of float, shape (n_patients, n_states)
    last_seen : ndarray of float, shape (n_patients,)
        Days from time zero to the end of observation.
    day : int
        Day of the stay on which the cohort is seen. Time zero and all days of the world are those
        of the first day's end, 24 h after ICU admission.
    blank : ndarray of bool, shape (n_patients, n_markers), or None
        Markers that are not entered, whether or not they were measured; None if there are none.
        Facts (`person.FACTS`) are always entered.
    """

    scenario: Scenario
    seed: int
    block: Block
    people: pd.DataFrame
    site: NDArray[np.int64]
    time_zero: NDArray[np.datetime64]
    facts: NDArray[np.float64]
    states: NDArray[np.float64]
    courses: Courses
    last_seen: NDArray[np.float64]
    day: int = 1
    blank: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.people)

    def rng(self, stream: str, day: int = 0) -> np.random.Generator:
        """Return the generator of one purpose: draws for one never shift those for another."""
        number = STREAMS[stream] if not day else _FIRST_SAMPLE + day
        return generator(self.seed, number, self.block.number)

    def at_risk(self, outcome: str) -> NDArray[np.bool_]:
        """Return which patients are at risk: of fracture after the ICU, of death if still in it."""
        courses = self.courses
        if outcome == "fracture":
            return ~np.isnan(courses.icu_discharge)
        if self.day == 1:
            return np.ones(len(self), dtype=bool)
        left = np.where(np.isnan(courses.icu_discharge), np.inf, courses.icu_discharge)
        return np.asarray(np.minimum(left, courses.death) > self.day - 1)

    @cached_property
    def table(self) -> MarkerTable:
        """Every marker."""
        return marker_table()

    @cached_property
    def patient_id(self) -> NDArray[np.object_]:
        """Identifiers, which say that the patients are simulated."""
        width, first = len(str(self.block.of)), self.block.first
        rows = range(first, first + len(self))
        return np.array([f"simulated-{self.seed}-{i:0{width}d}" for i in rows], object)

    def in_pathways(self, names: frozenset[str]) -> NDArray[np.bool_]:
        """Return whether each marker is named, or belongs to a pathway named, (n_markers,)."""
        return np.array(
            [name in names or VARIABLES[name].pathway in names for name in self.table.names]
        )

    def usual_values(self, among: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean recorded value of each marker less location and kit, (n_markers,).

        It is in units of spread, and 0 for a marker that no patient has.
        """
        # `residual` is the value less facts, kit and day; adding the effects of facts leaves only
        # kit and day out.
        value = self.measured().residual + self.facts @ self.table.effects(list(FACTS)).T
        recorded = self.recorded[among]
        count = np.maximum(recorded.sum(axis=0), 1)
        return np.asarray((value[among] * recorded).sum(axis=0) / count)

    @cached_property
    def ordered(self) -> NDArray[np.bool_]:
        """Whether the panel of each marker was ordered on the first day, (n_patients, n_panels)."""
        # logit P(panel ordered) = logit(share of the panel) + g (severity - 0.9) for costly panels,
        # with g = `testing_by_severity` of the scenario, 0 where tests are missing by chance.
        log_odds = self.panel_log_odds() + self.ordering()
        return np.asarray(self.rng("panels").random(log_odds.shape) < expit(log_odds))

    def panel_log_odds(self) -> NDArray[np.float64]:
        """Return the log-odds of ordering each panel at usual severity, (n_panels,)."""
        return np.asarray(logit(list(PANELS.values())))

    def ordering(self, severity: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the effect of hidden severity on the log-odds of ordering each panel.

        Parameters
        ----------
        severity : ndarray of float, optional
            Default: the true severity.

        Returns
        -------
        ndarray of float, shape (*severity.shape, n_panels)
            0 for routine panels, and for all where tests are ordered by chance.
        """
        given = self.states[:, STATES.index("severity")] if severity is None else severity
        costly = np.array([float(panel not in ROUTINE) for panel in PANELS])
        return np.asarray(
            self.scenario.testing_by_severity * (given[..., None] - _USUAL_SEVERITY) * costly
        )

    def with_blanks(self, blank: NDArray[np.bool_]) -> World:
        """Return the same patients with some markers not entered, (n_patients, n_markers)."""
        shape = (len(self), len(self.table.names))
        if blank.shape != shape:
            raise ValueError(
                f"blank must have shape {shape}; got {blank.shape}. Give one row per patient and "
                "one column per marker."
            )
        return replace(self, blank=blank)

    def random_blanks(self, share: float) -> NDArray[np.bool_]:
        """Return blanks at random; those of a smaller share are among those of a larger one."""
        shape = (len(self), len(self.table.names))
        return np.asarray(self.rng("blanks").random(shape) < share)

    @cached_property
    def recorded(self) -> NDArray[np.bool_]:
        """Whether each marker is measured and entered, (n_patients, n_markers)."""
        return self.charted if self.blank is None else self.charted & ~self.blank

    @cached_property
    def order_known(self) -> NDArray[np.bool_]:
        """Whether it is known if a panel was ordered, (n_patients, n_panels).

        It is where a marker of the panel is not blank: it has a value, or is recorded as not done.
        """
        panel = np.array([marker.panel for marker in self.table.markers])
        entered = np.ones((len(self), len(panel)), dtype=np.bool_)
        if self.blank is not None:
            entered = ~self.blank
        return np.column_stack([entered[:, panel == name].any(axis=1) for name in PANELS])

    @cached_property
    def charted(self) -> NDArray[np.bool_]:
        """Whether each marker was measured on the day, entered or not, (n_patients, n_markers)."""
        if self.scenario.complete:
            return np.ones((len(self), len(self.table.names)), dtype=np.bool_)
        panels = list(PANELS)
        of_marker = [panels.index(marker.panel) for marker in self.table.markers]
        returned = self.rng("extras").random((len(self), len(of_marker))) < WITHIN_PANEL
        return np.asarray(self.ordered[:, of_marker] & available()[self.site] & returned)

    @cached_property
    def offsets(self) -> NDArray[np.float64]:
        """Known effects of kits and samples, in units of spread, (n_patients, n_markers)."""
        offsets = assay_offsets()[self.site]
        names = self.table.names
        spread = dict(zip(names, self.table.spread, strict=True))
        offsets[:, names.index("l1_hu")] += 7.5 / spread["l1_hu"] * self.people["contrast"]
        offsets[:, names.index("ctx_s")] -= 0.20 / spread["ctx_s"] * (1 - self.people["fasting"])
        hormones = self.people["exogenous_hormones"] * 0.8 / spread["estradiol"]
        offsets[:, names.index("estradiol")] += hormones
        costly = np.array([marker.panel not in ROUTINE for marker in self.table.markers])
        if self.scenario.shifted_site:
            offsets[np.ix_(self.site == len(SITES) - 1, costly)] += 0.5
        if self.scenario.drift:
            offsets[self.years >= 6, names.index("ctx_s")] += 0.8
        return offsets

    @cached_property
    def years(self) -> NDArray[np.float64]:
        """Whole years from the first to time zero."""
        return _years(self.time_zero)

    @cached_property
    def informing(self) -> NDArray[np.bool_]:
        """Whether each marker depends on the states that drive the outcome, (n_markers,)."""
        pathways = [VARIABLES[name].pathway for name in self.table.names]
        return np.array(
            [self.scenario.panel_informs or pathway not in PANEL_PATHWAYS for pathway in pathways]
        )

    def prior_mean(self, left_out: frozenset[str] = frozenset()) -> NDArray[np.float64]:
        """Return the mean of the states given the facts, (n_patients, n_states)."""
        return np.asarray(self.facts @ effects_matrix(tuple(FACTS), left_out=left_out).T)

    def log_hazard(
        self, name: str, states: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return a log-hazard of every patient, level included (default: of the true states)."""
        given = self.states if states is None else states
        # eta = log(level) + facts'b + site and year + s'd, s = `given`, d = `direction`; and for
        # the acute hazard, for each state of `BENDS`, kappa (s - lowest)^2.
        linear = np.einsum("ik,ik->i", self.direction(name), given)
        log_hazard = self.fixed(name) + linear
        if name == "acute":
            for state, (curvature, lowest, _) in BENDS.items():
                bend = curvature * (given[:, STATES.index(state)] - lowest) ** 2
                log_hazard = log_hazard + bend
        return np.asarray(log_hazard)

    def direction(self, name: str) -> NDArray[np.float64]:
        """Return the effect of one SD of each state on a log-hazard, (n_patients, n_states)."""
        slopes = np.tile(HAZARDS[name].of_states(), (len(self), 1))
        if name == "fracture":
            ckd = self.facts[:, list(FACTS).index("ckd")]
            slopes[:, STATES.index("fgf23")] += FGF23_ON_FRACTURE_IN_CKD * ckd
        return slopes

    def fixed(self, name: str) -> NDArray[np.float64]:
        """Return the part of a log-hazard that is known: level, facts, site and year, (n,)."""
        log_hazard = np.log(HAZARDS[name].level) + self.facts @ HAZARDS[name].of_facts()
        if name == "acute" and self.scenario.shifted_site:
            log_hazard = log_hazard + 0.5 * (self.site == len(SITES) - 1)
        if name == "acute" and self.scenario.drift:
            log_hazard = log_hazard - 0.06 * (self.years - (YEARS - 1) / 2)
        return np.asarray(log_hazard)

    @cached_property
    def seen_states(self) -> NDArray[np.float64]:
        """The states that panel markers show: the patient's own, or those of a decoy.

        A decoy shares only the recorded severity and person of the patient. Its markers have the
        published joint distribution with them, and no further association with the outcome.
        """
        if self.scenario.panel_informs:
            return self.states
        left_out = _left_out_of_decoys()
        pathways = np.array([VARIABLES[name].pathway for name in self.table.names])
        known = np.isin(pathways, list(RECORDED_PATHWAYS)) & self.charted
        first = self._measure(self.day, self.states, left_out)
        evidence = Evidence(np.where(known, first.residual, np.nan), first.loads, self.table.noise)
        # A decoy's states are one draw from N(m, V), the states given the recorded markers of
        # severity and person alone (and the facts of these two pathways): m + V^(1/2) e with the
        # Cholesky root of V.
        posterior = condition(self.prior_mean(left_out), correlation(), evidence)
        root = np.linalg.cholesky(posterior.covariance)
        noise = self.rng("decoys").standard_normal(self.states.shape)
        return np.asarray(posterior.mean + np.einsum("ikl,il->ik", root, noise))

    def measured(self, day: int | None = None) -> Measured:
        """Return every marker on one of `states.DAYS` (default: the day of the cohort)."""
        day = day or self.day
        own = self._measure(day, self.states, frozenset())
        if self.scenario.panel_informs:
            return own
        decoy = self._measure(day, self.seen_states, _left_out_of_decoys())
        return Measured(
            np.where(self.informing, own.value, decoy.value),
            np.where(self.informing, own.below, decoy.below),
            np.where(self.informing, own.residual, decoy.residual),
            own.loads,
        )

    def _measure(self, day: int, states: NDArray[np.float64], left_out: frozenset[str]) -> Measured:
        table, shape = self.table, (len(self), len(self.table.names))
        shift, loads = table.on_day(day)
        lasting = self.rng("sampling").standard_normal(shape)
        fresh = self.rng("sampling", day).standard_normal(shape)
        once = [marker.panel in ONCE for marker in table.markers]
        fresh[:, once] = self.rng("sampling", 1).standard_normal(shape)[:, once]
        # A marker on its own scale, for patient i and marker j, with the variances of noise summing
        # to 1:
        #   y_ij = location_j + spread_j (known_ij + s_i'l_j + n_j e_ij)
        #   known_ij = effects of facts + kit and sample (`offsets`) + change by the day (`shift`)
        #   e_ij = sqrt(q) lasting_ij + sqrt(1 - q) fresh_ij,   q = `LASTING_NOISE`
        # s = `states`, l = `loads`, n = `table.noise`. Samples of two days share lasting, so that
        # their noise has correlation q. What is known is subtracted after printing, so that
        # `residual` is s'l + n e but for rounding, the catalogue's range and detection limits.
        noise = np.sqrt(LASTING_NOISE) * lasting + np.sqrt(1 - LASTING_NOISE) * fresh
        effects = table.effects(list(FACTS)) * [float(fact not in left_out) for fact in FACTS]
        known = self.facts @ effects.T + self.offsets + shift
        scaled = table.location + table.spread * (known + states @ loads.T + table.noise * noise)
        limits = lower_limits()[self.site]
        value, below = np.empty(shape), np.zeros(shape, dtype=bool)
        for j, marker in enumerate(table.markers):
            value[:, j] = marker.printed(scaled[:, j])
            if marker.name in CENSORED:
                below[:, j] = value[:, j] < limits[:, j]
                value[below[:, j], j] = limits[below[:, j], j]
        printed = np.column_stack(
            [marker.scaled(value[:, j]) for j, marker in enumerate(table.markers)]
        )
        return Measured(value, below, (printed - table.location) / table.spread - known, loads)


def _years(time_zero: NDArray[np.datetime64]) -> NDArray[np.float64]:
    days = (time_zero - FIRST_DAY) / np.timedelta64(86_400, "s")
    return np.asarray(np.floor(days / DAYS_PER_YEAR))


def _left_out_of_decoys() -> frozenset[str]:
    """Return the facts that are neither severity nor person."""
    return frozenset(
        fact for fact, name in FACTS.items() if VARIABLES[name].pathway not in RECORDED_PATHWAYS
    )
