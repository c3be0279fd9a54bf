"""Compare simulated with published figures, as listed in section 19 of the evidence sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from training.simulation.complete import YEAR, Complete
from training.simulation.drawing import draw_world
from training.simulation.parameter import Mark
from training.simulation.scenarios import SCENARIOS
from training.simulation.sites import SITES
from training.simulation.states import DAYS
from training.simulation.statistics import auroc_of, hazard_ratio, odds_ratio, top_to_bottom_quarter

__all__ = ["Compared", "compare_with_published"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, simulated and published.

    Parameters
    ----------
    published : str
        As worded in the evidence sheet.
    low, high : float
        Accepted range: the published interval, or a tolerance if there is none.
    tolerance : bool
        Whether low and high were chosen here rather than published.
    row, mark : str
        Section and mark of the evidence sheet.
    """

    item: str
    simulated: float
    published: str
    low: float
    high: float
    tolerance: bool
    row: str
    mark: Mark

    @property
    def passed(self) -> bool:
        """Whether the simulated figure is accepted."""
        return bool(self.low <= self.simulated <= self.high)

    def as_json(self) -> dict[str, object]:
        """Return the figure as `osteon simulate --check --json` prints it."""
        return {**asdict(self), "passed": self.passed}


def compare_with_published(patients: int, *, seed: int) -> list[Compared]:
    """Return every figure of section 19, simulated and published.

    Figures of rare groups (women over 90, stage 3 AKI) need 20,000 patients to be precise.
    """
    data = Complete(draw_world(patients, seed, SCENARIOS["published"]))
    parts: tuple[Callable[[Complete], Iterator[Compared]], ...] = (
        _patients,
        _mortality,
        _fgf23,
        _osteopontin,
        _estradiol,
        _turnover,
        _mineral,
        _bone,
        _fracture,
    )
    return [compared for part in parts for compared in part(data)]


def _seen_figure(
    item: str, value: float, published: str, low: float, high: float, row: str, mark: Mark = "seen"
) -> Compared:
    return Compared(item, float(value), published, low, high, False, row, mark)


def _tolerated(
    item: str, value: float, published: str, low: float, high: float, row: str, mark: Mark = "seen"
) -> Compared:
    return Compared(item, float(value), published, low, high, True, row, mark)


def _patients(data: Complete) -> Iterator[Compared]:
    apache = data.of("apache2")
    yield _tolerated("age, mean (years)", data.age.mean(), "61", 60, 62, "19")
    yield _tolerated("age, SD", data.age.std(), "16", 15, 17, "19")
    yield _seen_figure("APACHE II, mean", apache.mean(), "15-19", 15, 19, "19")
    yield _seen_figure("APACHE II, SD", apache.std(), "7-8", 7, 8, "19")
    yield _seen_figure(
        "APACHE II, AUROC of hospital death",
        auroc_of(apache, data.dies_in_hospital),
        "0.75-0.85",
        0.75,
        0.85,
        "17",
    )
    yield _tolerated("AKI, share", (data.stage > 0).mean(), "0.573", 0.54, 0.60, "7")


def _mortality(data: Complete) -> Iterator[Compared]:
    dies, septic = data.dies_in_hospital, data.people["sepsis"].to_numpy() == 1
    yield _seen_figure("hospital mortality", dies.mean(), "0.16-0.22", 0.16, 0.22, "19")
    yield _tolerated("hospital mortality, sepsis", dies[septic].mean(), "0.353", 0.30, 0.40, "10")
    after = data.courses.death - data.courses.hospital_discharge
    for years, published in ((1, 0.111), (3, 0.212), (5, 0.290)):
        dead = (after[~dies] <= years * YEAR).mean()
        yield _tolerated(
            f"death by {years} y after hospital",
            dead,
            f"{published}",
            published - 0.02,
            published + 0.02,
            "10",
        )
    for label, low, high, published in (("45-54", 45, 55, 0.150), ("75-84", 75, 85, 0.475)):
        group = ~dies & (data.age >= low) & (data.age < high)
        yield _tolerated(
            f"death by 5 y after hospital, age {label}",
            (after[group] <= 5 * YEAR).mean(),
            f"{published}",
            published - 0.05,
            published + 0.05,
            "10",
        )


def _fgf23(data: Complete) -> Iterator[Compared]:
    c_terminal, intact = np.log(data.of("fgf23_c")), np.log(data.of("fgf23_i"))
    injured = data.stage > 0
    for label, group, mean, sd in (("no AKI", ~injured, 5.57, 1.33), ("AKI", injured, 7.29, 1.80)):
        # 30 patients a group: 95 % intervals of mean and SD.
        margin = 1.96 * sd / np.sqrt(30)
        yield _seen_figure(
            f"cFGF23, ln-mean, {label}",
            c_terminal[group].mean(),
            f"{mean}",
            mean - margin,
            mean + margin,
            "1",
            "derived",
        )
        yield _seen_figure(
            f"cFGF23, ln-SD, {label}",
            c_terminal[group].std(),
            f"{sd}",
            0.80 * sd,
            1.34 * sd,
            "1",
            "derived",
        )
    severe = data.stage == 3
    adjusted = [value[severe] for value in data.by_severity]
    quarters = top_to_bottom_quarter(c_terminal[severe], data.dead_by(60)[severe], *adjusted)
    yield _seen_figure(
        "cFGF23, Q4:Q1 adjusted OR, 60 d, AKI stage 3",
        quarters,
        "3.84 (2.31-6.41)",
        2.31,
        6.41,
        "1",
    )
    dead = data.dead_by(90)[severe]
    yield _tolerated(
        "cFGF23, AUROC of 90-d death, AKI stage 3",
        auroc_of(c_terminal[severe], dead),
        "0.69, use 0.62-0.75",
        0.62,
        0.75,
        "19",
    )
    yield _seen_figure(
        "iFGF23, AUROC of 90-d death, AKI stage 3",
        auroc_of(intact[severe], dead),
        "0.50-0.60",
        0.50,
        0.60,
        "19",
    )


def _osteopontin(data: Complete) -> Iterator[Compared]:
    yield _tolerated(
        "OPN at admission, AUROC of ICU death",
        auroc_of(data.of("osteopontin_serum"), data.dies_in_icu),
        "no difference",
        0.45,
        0.55,
        "2",
    )
    left = np.where(data.dies_in_icu, np.inf, data.courses.icu_discharge)
    there = np.minimum(left, data.courses.death) > 2
    yield _seen_figure(
        "OPN on day 3, AUROC of ICU death",
        auroc_of(data.of("osteopontin_serum", 3)[there], data.dies_in_icu[there]),
        "0.72-0.79",
        0.72,
        0.79,
        "2",
    )
    creatinine = np.log(data.of("creatinine"))
    related = np.corrcoef(np.log(data.of("osteopontin_serum")), creatinine)[0, 1]
    yield _tolerated("OPN, r with creatinine", related, "0.401", 0.25, 0.50, "2")


def _estradiol(data: Complete) -> Iterator[Compared]:
    value, dead = data.of("estradiol"), data.dead_by(28)
    immunoassay = np.array([not site.limits for site in SITES])[data.world.site]
    yield _seen_figure(
        "estradiol, median of survivors (pg/mL)", np.median(value[~dead]), "16-67", 16, 67, "3"
    )
    yield _seen_figure(
        "estradiol, median of non-survivors (pg/mL)", np.median(value[dead]), "35-116", 35, 116, "3"
    )
    yield _tolerated(
        "estradiol, share at the immunoassay's floor",
        (value[immunoassay] <= 9.99).mean(),
        ">= 0.25",
        0.25,
        0.45,
        "3",
        "derived",
    )
    yield _seen_figure(
        "estradiol, AUROC of 28-d death", auroc_of(value, dead), "0.64-0.74", 0.64, 0.74, "3"
    )


def _turnover(data: Complete) -> Iterator[Compared]:
    medians = {
        name: {
            day: float(np.median(data.of(name, day)[data.courses.in_hospital(day)])) for day in DAYS
        }
        for name in ("ctx_s", "p1np")
    }
    ctx, p1np = medians["ctx_s"], medians["p1np"]
    yield _seen_figure("CTX at admission, times the healthy median", ctx[1] / 322, "2-6", 2, 6, "4")
    yield _tolerated("CTX, day 7 over day 1", ctx[7] / ctx[1], "1.42", 1.25, 1.60, "4")
    yield _tolerated(
        "CTX, week 2 over the higher of days 7 and 28",
        ctx[14] / max(ctx[7], ctx[28]),
        "peak in week 2",
        1.0,
        1.6,
        "4",
    )
    yield _seen_figure(
        "osteocalcin, median (ng/mL)", np.median(data.of("osteocalcin")), "14-18", 14, 18, "5"
    )
    yield _tolerated(
        "P1NP, median (ng/mL)", p1np[1], "high-normal: upper half to 83-102", 50, 100, "5"
    )
    yield _tolerated(
        "P1NP, day 28 over day 14", p1np[28] / p1np[14], "rises after week 4", 1.1, 2.0, "4"
    )


def _mineral(data: Complete) -> Iterator[Compared]:
    vitamin_d, dies = data.of("vitd25"), data.dies_in_hospital
    yield _seen_figure("25-OH D, mean (ng/mL)", vitamin_d.mean(), "14-20", 14, 20, "7")
    yield _seen_figure("25-OH D, SD (ng/mL)", vitamin_d.std(), "7-11", 7, 11.2, "7")
    yield _seen_figure(
        "25-OH D, share below 20 ng/mL", (vitamin_d < 20).mean(), "0.58-0.78", 0.58, 0.78, "7"
    )
    month = data.world.time_zero.astype("datetime64[M]").astype(int) % 12 + 1
    swing = vitamin_d[month == 8].mean() - vitamin_d[month == 3].mean()
    yield _tolerated("25-OH D, August less March (ng/mL)", swing, "14.6", 10, 18, "7")
    ionised = data.of("calcium_ion")
    yield _tolerated("ionised calcium, mean (mmol/L)", ionised.mean(), "1.11", 1.09, 1.13, "7")
    yield _tolerated(
        "ionised calcium, share below 1.1", (ionised < 1.1).mean(), "0.552", 0.40, 0.60, "7"
    )
    for label, at_end in (("below 0.9", ionised < 0.9), ("above 1.3", ionised > 1.3)):
        against = at_end | ((ionised >= 1.0) & (ionised <= 1.2))
        ratio = odds_ratio(
            dies[against], at_end[against], *(value[against] for value in data.by_severity)
        )
        yield _tolerated(
            f"ionised calcium {label}, adjusted OR of death",
            ratio,
            "U-shape: above 1",
            1.05,
            4.0,
            "7",
        )
    phosphate = data.of("phosphate")
    high, low = phosphate > 4.5, phosphate < 2.5
    yield _seen_figure(
        "hyperphosphataemia, share", high.mean(), "0.30 (0.056-0.45)", 0.056, 0.45, "7"
    )
    yield _seen_figure(
        "hyperphosphataemia, OR of death",
        odds_ratio(dies[~low], high[~low]),
        "2.85 (2.35-3.38)",
        2.35,
        3.38,
        "7",
    )
    adjusted = [value[~high] for value in data.by_severity]
    yield _seen_figure(
        "hypophosphataemia, adjusted OR of death",
        odds_ratio(dies[~high], low[~high], *adjusted),
        "1.5 (1.1-2.1)",
        1.1,
        2.1,
        "7",
    )


def _bone(data: Complete) -> Iterator[Compared]:
    attenuation = data.of("l1_hu")
    young, old = data.age < 30, data.age >= 90
    yield _tolerated("L1 HU below 30 y", attenuation[young].mean(), "226", 206, 246, "11")
    yield _tolerated("L1 HU, SD below 30 y", attenuation[young].std(), "44", 34, 54, "11")
    yield _tolerated("L1 HU from 90 y", attenuation[old].mean(), "89", 74, 104, "11")
    yield _tolerated("L1 HU, SD from 90 y", attenuation[old].std(), "38", 30, 50, "11")


def _fracture(data: Complete) -> Iterator[Compared]:
    at_risk, years, broke = data.fractures
    for label, sex, rate, rate_ci, incidence, ci in (
        ("women", data.female, "3.84", (2.58, 5.09), "0.145", (0.100, 0.186)),
        ("men", ~data.female, "2.41", (1.73, 3.09), "0.094", (0.068, 0.118)),
    ):
        group = at_risk & sex
        yield _seen_figure(
            f"fracture per 100 person-years, {label}",
            100 * broke[group].sum() / years[group].sum(),
            f"{rate} ({rate_ci[0]}-{rate_ci[1]})",
            *rate_ci,
            "12",
        )
        yield _seen_figure(
            f"fracture by 5 y with death competing, {label}",
            broke[group].mean(),
            f"{incidence} ({ci[0]}-{ci[1]})",
            *ci,
            "12",
            "derived",
        )
    density = data.of("bmd_hip")
    adjusted = (data.age10[at_risk], data.female[at_risk].astype(float))
    course = years[at_risk], broke[at_risk]
    # The reference SD is that of young adults.
    lower = -density[at_risk] / 0.13
    yield _seen_figure(
        "fracture, HR per SD lower BMD",
        hazard_ratio(*course, lower, *adjusted),
        "1.38-1.41 (1.28-1.51)",
        1.28,
        1.51,
        "11",
    )
    for label, name, published, low, high in (
        ("CTX", "ctx_s", "1.20 (1.05-1.37)", 1.05, 1.37),
        ("P1NP", "p1np", "1.28 (1.15-1.42)", 1.15, 1.42),
    ):
        marker = np.log(data.of(name)[at_risk])
        ratio = hazard_ratio(*course, (marker - marker.mean()) / marker.std(), lower, *adjusted)
        yield _seen_figure(
            f"fracture, adjusted HR per SD {label}", ratio, published, low, high, "4"
        )
