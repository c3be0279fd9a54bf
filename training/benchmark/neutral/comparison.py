"""Osteon's untuned defaults among the tuned learners of the neutral comparison."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from data_schema.errors import UsageError
from models.estimator import CumulativeIncidenceModel
from training.benchmark.neutral.data import (
    COX,
    KAPLAN_MEIER,
    MEASURES,
    Measure,
    NeutralData,
    NeutralSet,
)
from training.benchmark.neutral.fold import FoldResult, judge_fold
from training.benchmark.neutral.ranks import (
    FriedmanTest,
    SignedRanks,
    bonferroni_dunn_difference,
    friedman,
    nemenyi_difference,
    set_ranks,
    signed_ranks,
)
from training.benchmark.stored_results import (
    ESTIMATOR_CODE,
    ResultFile,
    code_fingerprint,
    results_folder,
)

__all__ = [
    "NEUTRAL",
    "LearnerRank",
    "MeasureComparison",
    "NeutralComparison",
    "NeutralRun",
    "SetResult",
    "compare_neutral",
    "compare_with_published",
]

NEUTRAL = "burk2024"
"""Name of the benchmark."""

OSTEON = "osteon"

PROTOCOL = (
    "The neutral comparison of Burk et al. (arXiv 2406.04098v2): {sets} of its 34 data sets, "
    "{folds} outer folds, the authors' folds and scores. Osteon has its default settings on every "
    "set; the other learners were tuned there, for up to 144 h each. isbs: the authors' integrated "
    "survival Brier score, lower is better, beside rows tuned for it or not tuned; harrell_c: "
    "Harrell's C of the mean risk over the event times, without pairs of the same time, higher is "
    "better, beside rows tuned for it or not tuned. Ranks are within each set, of the means over "
    "its folds. Where a fit failed, the authors scored Kaplan-Meier in its place; a failed fit of "
    "Osteon is treated the same and is listed. fit seconds: CPU seconds of one fit in one thread, "
    "choices of settings included."
)

_CODE = (
    *ESTIMATOR_CODE,
    "models/metrics/discrimination/concordance.py",
    "training/benchmark/neutral/fold.py",
    "training/benchmark/neutral/scores.py",
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NeutralRun:
    """How much of the comparison to run, and where.

    Parameters
    ----------
    folds : int, optional
        The first folds of each set (default: all).
    sets : tuple of str
        Data sets (default: all).
    jobs : int, optional
        Folds fitted at the same time, each in one thread (default: one per core).
    results : Path, optional
        Folder of the results so far (default: `benchmark` in OSTEON_STATE_DIR).
    """

    folds: int | None = None
    sets: tuple[str, ...] = ()
    jobs: int | None = None
    results: Path | None = None


@dataclass(frozen=True, slots=True)
class LearnerRank:
    """A learner's mean rank over the data sets, and Osteon beside it on each.

    Parameters
    ----------
    mean_rank : float
        1 is the best.
    osteon_beside : SignedRanks or None
        Osteon minus this learner; None in Osteon's own row.
    """

    learner: str
    mean_rank: float
    osteon_beside: SignedRanks | None


@dataclass(frozen=True, slots=True)
class SetResult:
    """One data set: Osteon's mean score beside those of Cox and of the best learner.

    Parameters
    ----------
    gap : float
        Osteon minus the best other learner.
    rank : float
        Osteon's, among all learners.
    """

    dataset: str
    patients: int
    events: int
    features: int
    folds: int
    osteon: float
    cox: float
    best_learner: str
    best: float
    gap: float
    rank: float
    fit_seconds: float


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """All learners by one measure.

    Parameters
    ----------
    ranks : tuple of LearnerRank
        The best mean rank first.
    friedman : FriedmanTest or None
        None for fewer than two sets.
    nemenyi_difference : float
        Critical difference of the mean ranks of any two learners, at the 5 % level.
    cox_difference : float
        Mean rank of Cox minus Osteon's; positive: Osteon ranks better.
    cox_critical_difference : float
        Its critical value with Cox as the only baseline (Bonferroni-Dunn), at the 5 % level.
    """

    measure: Measure
    lower_is_better: bool
    ranks: tuple[LearnerRank, ...]
    friedman: FriedmanTest | None
    nemenyi_difference: float
    cox_difference: float
    cox_critical_difference: float
    sets: tuple[SetResult, ...]


@dataclass(frozen=True, slots=True)
class NeutralComparison:
    """The comparison by both measures.

    Parameters
    ----------
    fingerprint : str
        Of the code, settings and packages behind Osteon's scores.
    failures : tuple of FoldResult
        Folds that Osteon could not fit.
    kaplan_meier_equal : int
        Folds whose published Kaplan-Meier score comes out again in all six decimals.
    folds : int
        Folds judged.
    cpu_seconds : float
        Of all fits.
    full_cpu_seconds : float
        The same for all folds of these sets, at the measured seconds of each set.
    """

    protocol: str
    fingerprint: str
    measures: tuple[MeasureComparison, ...]
    failures: tuple[FoldResult, ...]
    kaplan_meier_equal: int
    folds: int
    cpu_seconds: float
    full_cpu_seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        return {
            "fingerprint": self.fingerprint,
            "folds": self.folds,
            "kaplan_meier_equal": self.kaplan_meier_equal,
            "cpu_seconds": self.cpu_seconds,
            "full_cpu_seconds": self.full_cpu_seconds,
            "failures": [failure.as_json() for failure in self.failures],
            "measures": [asdict(measure) for measure in self.measures],
        }


def compare_neutral(
    data_dir: Path | None,
    run: NeutralRun,
    *,
    random_state: int,
    progress: Progress,
) -> NeutralComparison:
    """Judge Osteon on the folds that have no result yet, and compare all with the learners.

    Parameters
    ----------
    data_dir : Path, optional
        Folder that holds `burk2024`.
    run : NeutralRun
    random_state : int
        Seed of Osteon; the folds are the authors'.

    Raises
    ------
    OutsideError
        If the data are not there.
    UsageError
        If a set is unknown, or folds or jobs are less than 1.
    """
    for name, number in (("folds", run.folds), ("jobs", run.jobs)):
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1; got {number}.")
    data = NeutralData.read(data_dir)
    names = data.sets(run.sets)
    fingerprint = code_fingerprint(
        _CODE, CumulativeIncidenceModel().get_params() | {"random_state": random_state}
    )
    file = ResultFile(results_folder(run.results) / NEUTRAL / f"{fingerprint}.jsonl")
    wanted = {(name, fold) for name in names for fold in sorted(data.rows[name])[: run.folds]}
    done = {
        (result.dataset, result.fold): result
        for result in (FoldResult(**line) for line in file.read())  # type: ignore[arg-type]
        if (result.dataset, result.fold) in wanted
    }
    progress(f"{NEUTRAL}: {len(done)} of {len(wanted)} folds are in {file.path}")
    loaded = {name: data.load(name) for name in names}
    missing = sorted(wanted - set(done), key=lambda at: (len(loaded[at[0]].features), at[0], at[1]))
    for result in _judged(loaded, missing, run.jobs, random_state, progress):
        file.append(result.as_json())
        done[result.dataset, result.fold] = result
    return compare_with_published(data, loaded, list(done.values()), fingerprint=fingerprint)


def _judged(
    loaded: dict[str, NeutralSet],
    folds: Sequence[tuple[str, int]],
    jobs: int | None,
    random_state: int,
    progress: Progress,
) -> Iterator[FoldResult]:
    """Yield the results of folds as they come, and report the time that is left."""
    started = time.monotonic()
    judge = joblib.delayed(judge_fold)
    # A fold holds one thread; loky passes each table to a worker without copying large ones.
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        results = joblib.Parallel(
            n_jobs=jobs or joblib.cpu_count(),
            return_as="generator_unordered",
            pre_dispatch="n_jobs",
        )(
            judge(
                name,
                fold,
                loaded[name].features,
                loaded[name].outcome,
                loaded[name].test_rows[fold],
                random_state,
            )
            for name, fold in folds
        )
        for number, result in enumerate(results, start=1):
            minutes = (time.monotonic() - started) / 60
            progress(f"{number} of {len(folds)} ({minutes:.1f} min): {_line(result)}")
            yield result


def _line(result: FoldResult) -> str:
    at = f"{result.dataset} fold {result.fold}"
    if result.failure:
        return f"{at}: could not be fitted: {result.failure}"
    return (
        f"{at}: isbs {result.isbs:.4f}, harrell_c {result.harrell_c:.4f}, "
        f"{result.fit_seconds:.1f} CPU s"
    )


def compare_with_published(
    data: NeutralData,
    loaded: dict[str, NeutralSet],
    results: Sequence[FoldResult],
    *,
    fingerprint: str,
) -> NeutralComparison:
    """Set Osteon's folds beside the published scores of the same folds.

    Parameters
    ----------
    loaded : dict of str to NeutralSet
        The data sets that have results.
    results : sequence of FoldResult
        At least one.
    """
    ours = pd.DataFrame([result.as_json() for result in results])
    ours = ours.set_index(["dataset", "fold"]).sort_index()
    published = {measure: data.published_by_fold(measure).loc[ours.index] for measure in MEASURES}
    baseline = published["isbs"][KAPLAN_MEIER]
    equal = np.isclose(ours["kaplan_meier_isbs"].round(6), baseline, rtol=0, atol=1e-9)
    seconds = ours["fit_seconds"].groupby(level=0)
    folds = pd.Series({name: len(data.rows[name]) for name in loaded})
    return NeutralComparison(
        protocol=PROTOCOL.format(sets=len(loaded), folds=len(results)),
        fingerprint=fingerprint,
        measures=tuple(_measure(measure, ours, published[measure], loaded) for measure in MEASURES),
        failures=tuple(result for result in results if result.failure),
        kaplan_meier_equal=int(equal.sum()),
        folds=len(results),
        cpu_seconds=float(ours["fit_seconds"].sum()),
        full_cpu_seconds=float((seconds.mean() * folds).sum()),
    )


def _measure(
    measure: Measure,
    ours: pd.DataFrame,
    published: pd.DataFrame,
    loaded: dict[str, NeutralSet],
) -> MeasureComparison:
    """Rank all learners by one measure."""
    lower = measure == "isbs"
    by_fold = published.assign(
        **{OSTEON: ours[measure].astype(np.float64).fillna(published[KAPLAN_MEIER])}
    )
    scores = by_fold.groupby(level=0).mean()
    ranks = set_ranks(scores, lower_is_better=lower)
    mean = ranks.mean().sort_values()
    n_learners, n_sets = scores.shape[1], len(scores)
    return MeasureComparison(
        measure=measure,
        lower_is_better=lower,
        ranks=tuple(
            LearnerRank(
                str(learner),
                float(rank),
                None
                if learner == OSTEON
                else signed_ranks(scores[OSTEON], scores[learner], lower_is_better=lower),
            )
            for learner, rank in mean.items()
        ),
        friedman=friedman(scores),
        nemenyi_difference=nemenyi_difference(n_learners, n_sets),
        cox_difference=float(mean[COX] - mean[OSTEON]),
        cox_critical_difference=bonferroni_dunn_difference(n_learners, n_sets),
        sets=tuple(
            _set(
                loaded[str(name)], scores.loc[name], ranks.loc[name, OSTEON], ours.loc[name], lower
            )
            for name in scores.index
        ),
    )


def _set(
    data: NeutralSet, scores: pd.Series, rank: float, folds: pd.DataFrame, lower: bool
) -> SetResult:
    """Return Osteon on one data set beside the best of the others."""
    others = scores.drop(OSTEON)
    best = str(others.idxmin() if lower else others.idxmax())
    return SetResult(
        dataset=data.name,
        patients=len(data.features),
        events=int((data.outcome.event == 1).sum()),
        features=data.features.shape[1],
        folds=len(folds),
        osteon=float(scores[OSTEON]),
        cox=float(scores[COX]),
        best_learner=best,
        best=float(others[best]),
        gap=float(scores[OSTEON] - others[best]),
        rank=float(rank),
        fit_seconds=float(folds["fit_seconds"].mean()),
    )
