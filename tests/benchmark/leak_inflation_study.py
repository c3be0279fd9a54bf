"""Measure what each leak of SUPPORT2, RHC and FLCHAIN would add to a model of the same patients.

The tables are those of SurvSet with the columns that their adapters leave out because they are
known only after time zero. `osteon diagnose` must name each, and measures it: models of at most
3,000 patients with and without it, out of fold, with a paired interval.

    python tests/benchmark/leak_inflation_study.py
    python tests/benchmark/leak_inflation_study.py --datasets flchain --small

Results lie in build/leaks, one file per data set, so that a stopped study goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort
from data_schema.leakage.linter import find_leaks
from data_schema.variables import Variable, base_name
from training.config import RunConfig
from training.datasets.columns import Column, add_columns
from training.datasets.registry import ADAPTERS, data_folder
from training.diagnosis.leaks import measured_leaks, sampled

LEAKS = {
    "support2": (
        "num_adlp",
        "num_adls",
        "fac_sfdm2",
        "fac_dnr",
        "num_surv2m",
        "num_surv6m",
        "num_hday",
    ),
    "rhc": ("num_adld3p", "num_surv2md1", "fac_dnr1"),
    "flchain": ("fac_chapter",),
}
HORIZONS = {"support2": (90.0, 365.0), "rhc": (30.0, 180.0), "flchain": (1826.0, 3652.0)}


def leaking(name: str) -> Cohort:
    """Return a data set with the columns that leak."""
    known = ADAPTERS[name]
    raw = known.read(data_folder())
    cohort = known.adapt(raw)
    return add_columns(cohort, raw, *(_column(raw, column) for column in LEAKS[name]))


def _column(raw: pd.DataFrame, name: str) -> Column:
    is_category = name.startswith("fac_")
    categories = tuple(sorted(map(str, raw[name].dropna().unique()))) if is_category else ()
    variable = Variable(
        name.split("_", 1)[1],
        name,
        "severity",
        kind="category" if is_category else "number",
        categories=categories,
    )
    return Column(name, variable, missing=("missing",))


def main() -> int:
    """Run or resume the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="*", default=list(LEAKS), choices=list(LEAKS))
    parser.add_argument("--small", action="store_true", help="600 patients, for a trial run")
    options = parser.parse_args()
    folder = Path("build/leaks") / ("small" if options.small else "full")
    folder.mkdir(parents=True, exist_ok=True)
    config = replace(RunConfig(), threads=1, bootstrap_resamples=500)
    all_named = True
    for name in options.datasets:
        stored = folder / f"{name}.json"
        if not stored.is_file():
            started = time.perf_counter()
            cohort = leaking(name)
            findings = find_leaks(
                cohort.features, cohort.outcome, known_at_time_zero=list(VARIABLES)
            )
            patients = sampled(cohort, 600, random_state=1) if options.small else cohort
            leaks = measured_leaks(patients, findings, HORIZONS[name], config)
            stored.write_text(json.dumps([leak.as_json() for leak in leaks]))
            print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
        content = json.loads(stored.read_text())
        print(f"\n{name}: area under the curve without and with each suspect, and the inflation")
        for leak in content:
            print(
                f"  {leak['variable']:<10} {', '.join(leak['rules']):<24} at "
                f"{leak['horizon_days']:5g} days  {leak['without']:.3f} -> {leak['with_it']:.3f}  "
                f"{leak['inflation']:+.3f} ({leak['low']:+.3f} to {leak['high']:+.3f})  "
                f"{leak['patients']} patients"
            )
        expected = {base_name(column.split("_", 1)[1]) for column in LEAKS[name]}
        missed = expected - {leak["variable"] for leak in content}
        extra = {leak["variable"] for leak in content} - expected
        print(f"  missed: {sorted(missed) or 'none'}; named besides: {sorted(extra) or 'none'}")
        all_named = all_named and not missed and not extra
    return 0 if all_named else 1


if __name__ == "__main__":
    sys.exit(main())
