"""Osteon on small cohorts that no published comparison uses: for choices about the estimator.

    python tests/benchmark/small_cohorts.py
    python tests/benchmark/small_cohorts.py --sets zinc,colon --repeats 1
    python tests/benchmark/small_cohorts.py --beside FOLDER/osteon-FINGERPRINT.jsonl

The cohorts are those of the SurvSet package with 80 to 1,000 patients, at least 25 events and at
most 200 columns that are neither among the 34 data sets of the neutral comparison of Burk et al.
(`osteon benchmark --dataset burk2024`), nor of the same patients as one of them, nor judged by
another benchmark of this repository: a choice made on those would spoil their verdict. Every model
is fitted on the same folds of patients and judged by the two scores of the neutral comparison. The
peers' folds are fitted once; a changed estimator fits its own folds anew, and `--beside` compares
it with an earlier version, fold by fold. A run that was stopped continues.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV

from data_schema.cohort import Cohort, OutcomeData, outcome_of
from data_schema.errors import DataError, UsageError
from models.estimator import CumulativeIncidenceModel
from training.benchmark.curves import evaluation_grid
from training.benchmark.neutral.fold import osteon_curves
from training.benchmark.neutral.ranks import set_ranks
from training.benchmark.neutral.scores import (
    SurvivalTimes,
    isbs,
    judged_times,
    kaplan_meier_isbs,
    ordered_c,
)
from training.benchmark.peer_columns import as_measured, filled_full_rank
from training.benchmark.peers import (
    PEERS,
    Predict,
    fit_proportional_hazards,
    read_steps,
    scikit_survival,
    structured,
)
from training.benchmark.repeated_differences import corrected_difference
from training.benchmark.stored_results import (
    ESTIMATOR_CODE,
    ResultFile,
    code_fingerprint,
    results_folder,
)
from training.cohorts.splits import Split, repeated_folds
from training.datasets.dataset import read_survset

OSTEON, KAPLAN_MEIER = "osteon", "Kaplan-Meier"
FOLDS = 5
ISBS, C = "isbs", "harrell_c"
SEED = 0

_CODE = (
    "models/metrics/discrimination/concordance.py",
    "tests/benchmark/small_cohorts.py",
    "training/benchmark/neutral/fold.py",
    "training/benchmark/neutral/scores.py",
    "training/cohorts/splits.py",
)
_PEER_CODE = ("training/benchmark/peers.py", "training/benchmark/peer_columns.py")


@dataclass(frozen=True, slots=True)
class SmallCohort:
    """One SurvSet cohort.

    Parameters
    ----------
    dropped : mapping of str to str
        Columns that are no predictors -> reason.
    """

    dropped: Mapping[str, str]


_SAME = "the same variable in another coding is among the columns"
_CALENDAR = "the date of entry sets the length of follow-up"

COHORTS: Mapping[str, SmallCohort] = {
    "Bergamaschi": SmallCohort({}),
    "breast": SmallCohort({}),
    "burn": SmallCohort({}),
    "cgd": SmallCohort({"fac_hos_cat": _SAME}),
    "colon": SmallCohort({}),
    "d.oropha.rec": SmallCohort(dict.fromkeys(("fac_cond", "fac_tstage", "fac_nstage"), _SAME)),
    "dataOvarian1": SmallCohort({}),
    "follic": SmallCohort({"fac_rt": "the same in every patient"}),
    "hepatoCellular": SmallCohort({}),
    "Melanoma": SmallCohort({"num_year": _CALENDAR}),
    "micro.censure": SmallCohort({}),
    "nki70": SmallCohort({}),
    "Pbc3": SmallCohort({}),
    "pharmacoSmoking": SmallCohort({"fac_ageGroup2": _SAME, "fac_ageGroup4": _SAME}),
    "phpl04K8a": SmallCohort({}),
    "prostate": SmallCohort({"num_sdate": _CALENDAR}),
    # Both eyes of a patient stay on one side of a fold.
    "retinopathy": SmallCohort({"fac_risk": _SAME}),
    "stagec": SmallCohort({"fac_gleason": _SAME}),
    "Unemployment": SmallCohort({}),
    "wpbc": SmallCohort({}),
    "zinc": SmallCohort(
        {
            "fac_zincset": "zinc was measured in patients chosen by their outcome",
            "fac_agestr": _SAME,
            "num_stdagepill": _SAME,
        }
    ),
}

LEFT_OUT: Mapping[str, str] = {
    "e1684, mgus, rdata, grace, nwtco, uis, veteran, cost, cancer, ova, Aids2, hdfail, flchain": (
        "among the 34 data sets of the neutral comparison, cancer as lung"
    ),
    "GBSG2, rott2": "the patients of gbsg",
    "whas500": "the study of whas",
    "aids, csl": "the patients of aids.id and liver, with times that start late",
    "support2, rhc, Framingham, pbc": "judged by another benchmark of this repository",
    "diabetes": "the patients of retinopathy",
    "vlbw": "complications and treatments after birth are among the columns",
    "Z243": "the time is the length of a stay, and its cost is among the columns",
    "ovarian, glioma": "fewer than 25 events",
    "epileptic, heart, heartvalve, oldmort, Rossi, FRTCS": "values that change over time",
}
"""Cohorts of SurvSet that are left out, and why; the others are too large or too wide."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Both scores of a model on one fold."""

    model: str
    dataset: str
    fold: int
    isbs: float
    harrell_c: float
    fit_seconds: float
    failure: str = ""


def main() -> None:
    """Fit what is missing, then print every model on every cohort."""
    stated = _arguments()
    names = _known(stated.sets)
    folder = results_folder(stated.results) / "small"
    settings = {"folds": FOLDS, "seed": SEED}
    ours = CumulativeIncidenceModel().get_params() | settings
    osteon = ResultFile(
        folder / f"osteon-{code_fingerprint((*_CODE, *ESTIMATOR_CODE), ours)}.jsonl"
    )
    peers = ResultFile(folder / f"peers-{code_fingerprint((*_CODE, *_PEER_CODE), settings)}.jsonl")
    print(f"Results: {osteon.path} and {peers.path.name}")
    folds = stated.repeats * FOLDS
    results = [
        *_completed(osteon, (OSTEON,), names, folds, stated.jobs),
        *_completed(peers, (KAPLAN_MEIER, *LEARNERS), names, folds, stated.jobs),
    ]
    frame = pd.DataFrame([asdict(result) for result in results])
    _show(frame, names)
    if stated.beside is not None:
        _show_beside(frame[frame["model"] == OSTEON], ResultFile(stated.beside))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="", help="cohorts, comma-separated (default: all)")
    parser.add_argument("--repeats", type=int, default=2, help="partitions into 5 folds")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="fits at a time")
    parser.add_argument("--results", type=Path, help="folder of finished folds")
    parser.add_argument("--beside", type=Path, help="Osteon's results of an earlier version")
    return parser.parse_args()


def _known(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip()) or tuple(COHORTS)
    unknown = sorted(set(names) - set(COHORTS))
    if unknown:
        raise UsageError(f"sets must be of {', '.join(COHORTS)}; got {', '.join(unknown)}.")
    return names


def read_cohort(name: str) -> Cohort:
    """Return a SurvSet cohort, without the columns that are no predictors.

    A time of 0 becomes half of the shortest time: the event came before the first unit was over.
    """
    raw = read_survset(name)
    table = raw.drop(columns=["pid", "event", "time", *COHORTS[name].dropped])
    numbers = [column for column in table if column.startswith("num_")]
    texts = table.drop(columns=numbers).astype(object)
    texts = texts.where(texts.notna() & (texts != "missing"), None)
    texts = texts.map(lambda value: None if value is None else str(value))
    features = pd.concat([table[numbers].astype(np.float64), texts], axis=1).reset_index(drop=True)
    time_days = raw["time"].to_numpy(dtype=np.float64)
    time_days = np.where(time_days > 0, time_days, time_days[time_days > 0].min() / 2)
    patients = raw["pid"].astype(str).to_numpy(dtype=object)
    return Cohort(
        features=features,
        variables={},
        patient_id=patients,
        stay_id=np.arange(len(raw)).astype(str).astype(object),
        outcome=OutcomeData("event", time_days, raw["event"].to_numpy(dtype=np.int64)),
        name=name,
    )


def _completed(
    file: ResultFile, models: Sequence[str], names: Sequence[str], folds: int, jobs: int
) -> list[Judged]:
    """Return the results of some models on the first folds of each cohort; fit what is missing."""
    done = {
        (result.model, result.dataset, result.fold): result
        for result in (Judged(**line) for line in file.read())  # type: ignore[arg-type]
    }
    wanted = [
        (model, name, fold) for name in names for fold in range(1, folds + 1) for model in models
    ]
    missing = [key for key in wanted if key not in done]
    started = time.monotonic()
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        results = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
            joblib.delayed(judge)(model, name, fold) for model, name, fold in missing
        )
        for number, result in enumerate(results, start=1):
            file.append(asdict(result))
            done[result.model, result.dataset, result.fold] = result
            left = (time.monotonic() - started) * (len(missing) / number - 1)
            print(
                f"{number} of {len(missing)}, about {left / 60:.1f} min left: {result.model}, "
                f"{result.dataset} fold {result.fold} {result.failure}",
                flush=True,
            )
    return [done[key] for key in wanted]


def judge(model: str, name: str, fold: int) -> Judged:
    """Fit one model on one fold and judge it; a failed fit is scored as Kaplan-Meier."""
    # Convergence and ill-conditioning are part of what a peer does on a small cohort.
    warnings.simplefilter("ignore")
    cohort = read_cohort(name)
    split = split_of(cohort, fold)
    train, test = cohort.take(split.train), cohort.take(split.test)
    learned, judged = (_times(part) for part in (train, test))
    baseline = kaplan_meier_isbs(learned, judged)
    started = time.process_time()
    if model == KAPLAN_MEIER:
        return Judged(model, name, fold, baseline, 0.5, 0.0)
    try:
        predict = _fit_osteon(train) if model == OSTEON else LEARNERS[model](train)
        seconds = time.process_time() - started
        times = judged_times(judged.time)
        days = evaluation_grid(outcome_of(train)).days
        score = isbs(learned, judged, predict(test, times), times)
        c = ordered_c(judged, predict(test, days).mean(axis=1))
    except (DataError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return Judged(model, name, fold, baseline, 0.5, 0.0, f"failed: {type(error).__name__}")
    return Judged(model, name, fold, score, c, round(seconds, 3))


def split_of(cohort: Cohort, fold: int) -> Split:
    """Return a fold, counted from 1 over the partitions."""
    repeats = (fold - 1) // FOLDS + 1
    folds = repeated_folds(cohort, repeats=repeats, folds=FOLDS, random_state=SEED)
    return list(folds)[fold - 1]


def _times(cohort: Cohort) -> SurvivalTimes:
    outcome = outcome_of(cohort)
    return SurvivalTimes(outcome.time_days, outcome.event)


def _fit_osteon(train: Cohort) -> Predict:
    """Fit Osteon's defaults, as the neutral comparison does."""
    curves = osteon_curves(train.features, _times(train), SEED, groups=train.patient_id)
    return lambda cohort, days: curves.risk(cohort.features, np.asarray(days, dtype=np.float64))


def _fit_cox(train: Cohort) -> Predict:
    """Fit a Cox model whose ridge only keeps it from diverging."""
    table = filled_full_rank(train.features)
    cox = scikit_survival("linear_model").CoxPHSurvivalAnalysis(alpha=0.1, ties="efron")
    return fit_proportional_hazards(cox, lambda cohort: table.transform(cohort.features), train)


def _fit_coxnet(train: Cohort) -> Predict:
    """Fit an elastic net of the Cox model; 5-fold cross-validated C chooses the penalty."""
    table = filled_full_rank(train.features)
    net = scikit_survival("linear_model").CoxnetSurvivalAnalysis
    x, y = table.transform(train.features), structured(outcome_of(train))
    path = net(l1_ratio=0.5, alpha_min_ratio=0.02, n_alphas=20).fit(x, y)
    search = GridSearchCV(
        net(l1_ratio=0.5), {"alphas": [[alpha] for alpha in path.alphas_]}, cv=5, error_score=0.5
    ).fit(x, y)
    chosen = net(l1_ratio=0.5, **search.best_params_)
    return fit_proportional_hazards(chosen, lambda cohort: table.transform(cohort.features), train)


def _fit_forest(train: Cohort) -> Predict:
    """Fit a random survival forest of 300 trees with leaves of 5."""
    table = as_measured(train.features)
    forest = scikit_survival("ensemble").RandomSurvivalForest(
        n_estimators=300, min_samples_leaf=5, max_features="sqrt", n_jobs=1, random_state=SEED
    )
    forest.fit(table.transform(train.features), structured(outcome_of(train)))

    def predict(cohort: Cohort, days: object, /) -> NDArray[np.float64]:
        survival = forest.predict_survival_function(
            table.transform(cohort.features), return_array=True
        )
        return 1 - read_steps(forest.unique_times_, survival, np.asarray(days), before=1.0)

    return predict


LEARNERS: Mapping[str, Callable[[Cohort], Predict]] = {
    "Cox": _fit_cox,
    "Coxnet": _fit_coxnet,
    "RSF": _fit_forest,
    "GBSA": PEERS["gradient boosting survival"],
}


def _show(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Print both scores by cohort, mean ranks, and the mean ratio to Kaplan-Meier's score."""
    models = [OSTEON, *LEARNERS, KAPLAN_MEIER]
    for measure, lower in ((ISBS, True), (C, False)):
        means = frame.groupby(["dataset", "model"])[measure].mean().unstack()[models].loc[[*names]]
        ranks = set_ranks(means, lower_is_better=lower)
        print(f"\n{measure}, means over the folds ({'lower' if lower else 'higher'} is better)")
        print(means.assign(rank=ranks[OSTEON]).join(_sizes(names)).round(4).to_string())
        print("mean rank:", _line(ranks.mean(), 2))
        if lower:
            print("mean of isbs / Kaplan-Meier's:", _line(_relative(means), 4))
    seconds = frame.groupby("model")["fit_seconds"].mean()
    print("\nCPU seconds per fit:", _line(seconds[models], 2))
    failed = frame[frame["failure"] != ""].groupby(["model", "dataset"]).size()
    print("failed fits, scored as Kaplan-Meier:", dict(failed) or "none")


def _relative(means: pd.DataFrame) -> pd.Series:
    return means.div(means[KAPLAN_MEIER], axis=0).mean()


def _sizes(names: Sequence[str]) -> pd.DataFrame:
    """Return patients, events and columns of each cohort."""
    rows = []
    for name in names:
        cohort = read_cohort(name)
        events = int((outcome_of(cohort).event == 1).sum())
        rows.append((len(set(cohort.patient_id)), events, cohort.features.shape[1]))
    return pd.DataFrame(rows, index=pd.Index(names), columns=["patients", "events", "columns"])


def _line(values: pd.Series, digits: int) -> str:
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())


def _show_beside(now: pd.DataFrame, earlier: ResultFile) -> None:
    """Print this version minus an earlier one on the folds that both have, by cohort."""
    before = pd.DataFrame(earlier.read())
    if before.empty:
        raise UsageError("beside must be a file of Osteon's results; it holds none.")
    both = now.merge(before, on=["dataset", "fold"], suffixes=("", "_before"))
    print(f"\nThis version minus {earlier.path.name}, corrected 95 % intervals over the folds:")
    for row in _differences(both):
        print(row)


def _differences(both: pd.DataFrame) -> Iterator[str]:
    """Yield the differences by cohort, then their means over the cohorts."""
    means = []
    for name, folds in both.groupby("dataset"):
        cells = []
        for measure in (ISBS, C):
            gap = corrected_difference(
                folds[measure] - folds[f"{measure}_before"], test_to_train=1 / (FOLDS - 1)
            )
            ends = "" if gap.low is None else f" ({gap.low:+.4f} to {gap.high:+.4f})"
            cells.append(f"{measure} {gap.estimate:+.4f}{ends}")
        means.append([folds[m].mean() - folds[f"{m}_before"].mean() for m in (ISBS, C)])
        yield f"{name}: {', '.join(cells)}"
    for measure, gaps in zip((ISBS, C), np.transpose(means), strict=True):
        error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
        yield f"mean over {len(gaps)} cohorts: {measure} {gaps.mean():+.5f} (SE {error:.5f})"


if __name__ == "__main__":
    main()
