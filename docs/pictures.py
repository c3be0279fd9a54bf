"""Draw the pictures of the methods pages, each from a formula or from the output of a command.

    python docs/pictures.py gain-size
    python docs/pictures.py competing
    python docs/pictures.py simulation
    python docs/pictures.py gaps gaps.json     # of bedside_gaps.py --cohort support2 --json
    python docs/pictures.py directions         # fits a model of SUPPORT2 (about a CPU minute)

They are written into docs/methods/pictures/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE.parent), str(_HERE.parent / "tests" / "benchmark")]

from data_schema.biomarkers import VARIABLES  # noqa: E402
from data_schema.printed_units import printed_unit  # noqa: E402
from models.metrics.comparison.paired_changes import MARGIN  # noqa: E402
from models.metrics.gain_size import gain_size  # noqa: E402
from training.plots.style import BLUE, GREEN, GREY, VERMILLION, journal_figure  # noqa: E402

_PICTURES = _HERE / "methods" / "pictures"
_COLOURS = (BLUE, GREEN, VERMILLION)

# Evidence, sections 10 and 12 of docs/methods/simulated-cohort.md: women after intensive care.
FRACTURES_A_YEAR = 0.0385
DEAD_BY_YEAR: Mapping[float, float] = {0: 0.0, 1: 0.111, 3: 0.212, 5: 0.290}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    drawn = parser.add_subparsers(dest="picture", required=True)
    for name in ("gain-size", "competing", "simulation", "directions"):
        drawn.add_parser(name)
    drawn.add_parser("gaps").add_argument("output", type=Path)
    options = parser.parse_args()
    _PICTURES.mkdir(exist_ok=True)
    if options.picture == "gain-size":
        _gain_size()
    elif options.picture == "competing":
        _competing()
    elif options.picture == "simulation":
        _simulation()
    elif options.picture == "directions":
        _directions()
    else:
        _gaps(options.output)


def _save(figure: Figure, name: str) -> None:
    path = _PICTURES / f"{name}.svg"
    # Without a date and with fixed identifiers, the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "osteon"}):
        figure.savefig(path, metadata={"Date": None}, facecolor="white")
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
    print(path)


def _gain_size() -> None:
    gains = np.linspace(0.018, 0.06, 60)
    with journal_figure(
        5.2, 3.2, title="Patients needed to show a gain in the AUC", simulated=False
    ) as figure:
        axes = figure.subplots()
        for base, colour in zip((0.70, 0.80, 0.85), _COLOURS, strict=True):
            sizes = [
                gain_size(base_auroc=base, gain=float(gain), event_rate=0.25).for_power
                for gain in gains
            ]
            axes.plot(gains, sizes, color=colour, label=f"AUC of the base {base:.2f}")
        axes.axvline(MARGIN, color=GREY, linestyle=":", label=f"margin {MARGIN:g}")
        axes.set(
            yscale="log",
            xlim=(0.005, 0.06),
            xlabel="Expected gain in the AUC",
            ylabel="Patients (power 90 %)",
        )
        axes.set_yticks([1000, 3000, 10_000, 30_000], ["1,000", "3,000", "10,000", "30,000"])
        axes.minorticks_off()
        axes.legend(title="Risk by the horizon 25 %", title_fontsize=8)
        _save(figure, "gain_size")


def _competing() -> None:
    years = np.linspace(0, 5, 501)
    alive = 1 - np.interp(years, *map(list, (DEAD_BY_YEAR, DEAD_BY_YEAR.values())))
    alone = 1 - np.exp(-FRACTURES_A_YEAR * years)
    # F(t) is the integral of the hazard times the share alive and without a fracture.
    free = np.exp(-FRACTURES_A_YEAR * years) * alive
    steps = FRACTURES_A_YEAR * (free[1:] + free[:-1]) / 2 * np.diff(years)
    incidence = np.concatenate([[0.0], np.cumsum(steps)])
    print(f"at five years: 1 - Kaplan-Meier {alone[-1]:.3f}, incidence {incidence[-1]:.3f}")
    with journal_figure(
        5.2, 3.2, title="Fracture in women after intensive care", simulated=False
    ) as figure:
        axes = figure.subplots()
        for values, colour, label in (
            (1 - alive, GREY, "death"),
            (alone, VERMILLION, "fracture, one minus Kaplan-Meier"),
            (incidence, BLUE, "fracture, cumulative incidence"),
        ):
            axes.plot(years, 100 * values, color=colour, label=f"{label}: {100 * values[-1]:.1f} %")
        axes.set(xlabel="Years after discharge from intensive care", ylabel="Patients (%)")
        axes.set_ylim(0)
        axes.legend()
        _save(figure, "competing")


def _simulation() -> None:
    from training.simulation.published import compare_with_published

    figures = compare_with_published(30_000, seed=0)
    inside = sum(one.passed for one in figures)
    print(f"{inside} of {len(figures)} figures lie within their accepted range")
    with journal_figure(
        6.4, 0.15 * len(figures) + 0.8, title="Simulated figures in their range", simulated=True
    ) as figure:
        axes = figure.subplots()
        for row, one in enumerate(reversed(figures)):
            place = (one.simulated - one.low) / (one.high - one.low)
            axes.plot([0, 1], [row, row], color="#DDDDDD", linewidth=5, solid_capstyle="butt")
            axes.plot(place, row, "o", color=BLUE if one.passed else VERMILLION, markersize=3)
        axes.set_yticks(range(len(figures)), [one.item for one in reversed(figures)], fontsize=6)
        axes.set_xticks([0, 1], ["lowest accepted", "highest accepted"])
        axes.set(xlim=(-0.15, 1.15), ylim=(-1, len(figures)))
        _save(figure, "simulation")


def _gaps(output: Path) -> None:
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    patterns = list(dict.fromkeys(row["pattern"] for row in rows if row["kind"] != "beside"))
    place = {pattern: len(patterns) - 1 - index for index, pattern in enumerate(patterns)}
    days = sorted({row["horizon_days"] for row in rows})
    with journal_figure(
        7.2, 0.24 * len(patterns) + 1.0, title="Fields left empty, SUPPORT2", simulated=False
    ) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for shift, (day, colour) in enumerate(zip(days, _COLOURS, strict=True)):
            at = [row for row in rows if row["horizon_days"] == day and row["pattern"] in place]
            where = np.array([place[row["pattern"]] for row in at]) + 0.22 * (1 - shift)
            for axes, name in ((left, "oe"), (right, "auc")):
                values = [row[name]["estimate"] for row in at]
                ends = _ends(at, name)
                axes.errorbar(
                    *(values, where),
                    xerr=np.abs(ends - np.array(values)),
                    fmt="o",
                    color=colour,
                    markersize=3,
                    linewidth=0.8,
                    label=f"{day:g} days",
                )
        left.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        left.set_yticks([place[pattern] for pattern in patterns], patterns, fontsize=7)
        left.set(xlabel="Observed over expected deaths", xlim=(0.7, 1.3))
        right.set(xlabel="Area under the curve")
        right.legend(loc="upper left", fontsize=7)
        _save(figure, "gaps")


def _ends(rows: list[dict[str, Mapping[str, float]]], name: str) -> NDArray[np.float64]:
    return np.array([[row[name]["low"] for row in rows], [row[name]["high"] for row in rows]])


def _directions() -> None:
    from bedside_directions import risks_along, swept_values
    from bedside_models import ROOT, FittedModels, division

    divided = division("support2", seed=0, small=False)
    models = FittedModels(ROOT / "build" / "bedside", planned=1, threads=1)
    model = models.model(
        divided.train,
        divided.horizons_days,
        seed=divided.seed,
        label=divided.name,
        max_trees=divided.max_trees,
    )
    patients = divided.held_out.take(np.arange(12))
    labels = {
        name: f"{VARIABLES[name].label} ({printed_unit(VARIABLES[name].unit)})"
        for name in ("age", "albumin")
    }
    features = {one.name: one for one in model.contract.features}
    with journal_figure(
        6.4, 3.0, title="Risk by 28 days along a settled variable, SUPPORT2", simulated=False
    ) as figure:
        for axes, (name, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
            feature = features[name]
            values = swept_values(divided.train.features[name], 24)[:: feature.direction]
            risks = risks_along(model, patients, divided, feature, 24)[..., 0]
            axes.plot(values, risks, color=BLUE, linewidth=0.9)
            axes.set(xlabel=label, ylabel="Risk (%)", ylim=(0, 100))
        _save(figure, "directions")


if __name__ == "__main__":
    main()
