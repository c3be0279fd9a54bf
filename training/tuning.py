"""Search for settings of the boosted part on out-of-fold loss, and go on where a search stopped.

Only the patients given are read: folds, loss and choice are among them. Every trial is drawn from a
seed and from the trials before it, so that a search which was killed and one that was not end with
the same settings. The trial of the default settings comes first, and the defaults stay unless other
settings lower the out-of-fold loss of the whole model.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from data_schema.cohort import Cohort
from data_schema.errors import OutsideError, UsageError
from models.fitting.out_of_fold import WatchedFold, lowest_loss, watched_folds
from models.fitting.steps import choose
from models.fitting.training_cohort import Progress, TrainingCohort
from training.config import Boosting, RunConfig, Tuning
from training.fit import prepared, unfitted

if TYPE_CHECKING:
    import optuna

__all__ = ["Trial", "Tuned", "tune"]

_LOG = logging.getLogger(__name__)

_FINALISTS = 3
_STARTUP_TRIALS = 10

_SPACE_VERSION = 1
"""Changes with the space of `_suggested`, so that a search of another space is not continued."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was tried.

    Parameters
    ----------
    number : int
        From 0, the defaults, in the order in which they ended.
    boosting : Boosting
    max_trees : int
        Largest number of trees: with smaller steps more of them.
    loss : float or None
        Held-out log-loss of the boosted part, per pair; lower is better. None where it was pruned.
    """

    number: int
    boosting: Boosting
    max_trees: int
    loss: float | None


@dataclass(frozen=True, slots=True)
class Tuned:
    """The settings chosen.

    Parameters
    ----------
    boosting : Boosting
    max_trees : int
    trials : tuple of Trial
    loss, default_loss : float
        Out-of-fold log-loss of the whole model, per pair, under these and the default settings.
    """

    boosting: Boosting
    max_trees: int
    trials: tuple[Trial, ...]
    loss: float
    default_loss: float


def tune(
    cohort: Cohort,
    horizons_days: Sequence[float],
    config: RunConfig,
    tuning: Tuning,
    *,
    on_trial: Callable[[Trial], None] | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Return the settings of the boosted part with the lowest out-of-fold loss.

    Parameters
    ----------
    cohort : Cohort
        With an outcome; nothing of other patients is read.
    horizons_days : sequence of float
        As for `training.fit.fit_osteon`.
    config : RunConfig
        Its seed, largest number of trees and threads.
    tuning : Tuning
    on_trial : callable, optional
        Called with every trial, those of an earlier run first.
    progress : callable, optional
        Called with a task, its steps done and its steps.

    Raises
    ------
    UsageError
        If the extra `tuning` is not installed.
    OutsideError
        If the storage cannot be opened.

    Notes
    -----
    Trials are drawn by a tree-structured Parzen estimator [1]_ and compared by the held-out loss of
    the boosted part alone, which is cheaper than a whole fit; a trial that is worse than the median
    of the others after a fold is pruned. The defaults and the best three are then compared by the
    out-of-fold loss of the whole model, with linear part, weight and recalibration.

    References
    ----------
    .. [1] Bergstra et al. Algorithms for Hyper-Parameter Optimization. NeurIPS 24 (2011) 2546-2554.
    """
    study = _study(cohort, horizons_days, config, tuning)
    with threadpool_limits(limits=1):
        prepared = _prepared(cohort, horizons_days, config)
        finished = _finished(study, config)
        if finished:
            _LOG.info("%d of %d trials were ended by an earlier run", len(finished), tuning.trials)
        for number, trial in enumerate(finished):
            _report(trial, number, tuning, on_trial, progress)
        while len(finished) < tuning.trials:
            _try(study, prepared, len(finished), config)
            finished = _finished(study, config)
            _report(finished[-1], len(finished) - 1, tuning, on_trial, progress)
        chosen, loss, default_loss = _best(study, prepared, finished, progress)
    _LOG.info(
        "tuned in %d trials: out-of-fold loss %.5f, %.5f with the default settings",
        len(finished),
        loss,
        default_loss,
    )
    return Tuned(chosen.boosting, chosen.max_trees, tuple(finished), loss, default_loss)


def _study(
    cohort: Cohort, horizons_days: Sequence[float], config: RunConfig, tuning: Tuning
) -> optuna.Study:
    """Open the search of these patients and settings, or start it."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise UsageError(
            "[tuning] needs optuna, which is not installed. Install osteon[tuning]."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    same = {
        "patients": cohort.fingerprint(),
        "columns": list(map(str, cohort.features.columns)),
        "horizons_days": list(map(float, horizons_days)),
        "seed": config.seed,
        "max_trees": config.max_trees,
        "space": _SPACE_VERSION,
    }
    name = "osteon-" + hashlib.sha256(json.dumps(same).encode()).hexdigest()[:24]
    try:
        storage = optuna.storages.RDBStorage(tuning.storage)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        )
    except Exception as error:  # noqa: BLE001 - SQLAlchemy and its drivers raise their own
        raise OutsideError(
            f"tuning.storage could not be opened ({type(error).__name__}). Check the address."
        ) from None
    _end_stopped_trials(study)
    if not _finished(study, config):
        study.enqueue_trial(_parameters(Boosting()))
    return study


def _end_stopped_trials(study: optuna.Study) -> None:
    """Mark trials that a killed run left open as failed; they are drawn again."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
        study.tell(trial.number, state=TrialState.FAIL)


def _prepared(cohort: Cohort, horizons_days: Sequence[float], config: RunConfig) -> TrainingCohort:
    """Return the patients as a fit learns from them."""
    model = unfitted(
        cohort,
        horizons_days,
        interval_folds=0,
        risk_only=True,
        max_trees=config.max_trees,
        boosting=Boosting(),
        random_state=config.seed,
        threads=config.threads,
    )
    return prepared(model, cohort)


def _with(prepared: TrainingCohort, trial: Trial) -> TrainingCohort:
    """Return the patients with other settings of the boosted part."""
    return replace(
        prepared,
        boosting=replace(prepared.boosting, **asdict(trial.boosting)),
        settings=replace(prepared.settings, max_trees=trial.max_trees),
    )


def _try(study: optuna.Study, prepared: TrainingCohort, number: int, config: RunConfig) -> None:
    """Draw one trial from its own seed and the trials before it, and judge it fold by fold."""
    import optuna

    study.sampler = optuna.samplers.TPESampler(
        seed=config.seed * 100_003 + number, n_startup_trials=_STARTUP_TRIALS, constant_liar=False
    )
    suggested = study.ask()
    tried = _with(prepared, Trial(number, *_suggested(suggested, config), loss=None))
    folds: list[WatchedFold] = []
    for fold in watched_folds(tried, tried.boosting, tried.settings.max_trees):
        folds.append(fold)
        suggested.report(lowest_loss(folds), len(folds))
        if suggested.should_prune():
            study.tell(suggested, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(suggested, lowest_loss(folds))


def _suggested(trial: optuna.Trial, config: RunConfig) -> tuple[Boosting, int]:
    """Draw settings of the boosted part."""
    boosting = Boosting(
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.1, log=True),
        max_depth=trial.suggest_int("max_depth", 3, 7),
        min_patients=trial.suggest_float("min_patients", 4.0, 60.0, log=True),
        column_share=trial.suggest_float("column_share", 0.2, 1.0),
        row_share=trial.suggest_float("row_share", 0.5, 1.0),
        penalty=trial.suggest_float("penalty", 0.5, 50.0, log=True),
    )
    return boosting, _most_trees(boosting, config)


def _parameters(boosting: Boosting) -> dict[str, float]:
    """Return settings under the names of the search."""
    return asdict(boosting)


def _most_trees(boosting: Boosting, config: RunConfig) -> int:
    """Return the largest number of trees: smaller steps need more of them."""
    return round(config.max_trees * max(1.0, Boosting().learning_rate / boosting.learning_rate))


def _finished(study: optuna.Study, config: RunConfig) -> list[Trial]:
    """Return the trials that have ended, in that order."""
    from optuna.trial import TrialState

    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    trials = []
    for number, trial in enumerate(sorted(ended, key=lambda trial: trial.number)):
        boosting = Boosting(**trial.params)
        loss = trial.value if trial.state == TrialState.COMPLETE else None
        trials.append(Trial(number, boosting, _most_trees(boosting, config), loss))
    return trials


def _report(
    trial: Trial,
    number: int,
    tuning: Tuning,
    on_trial: Callable[[Trial], None] | None,
    progress: Progress | None,
) -> None:
    if on_trial is not None:
        on_trial(trial)
    if progress is not None:
        progress("tuning", number + 1, tuning.trials)


def _best(
    study: optuna.Study,
    prepared: TrainingCohort,
    trials: Sequence[Trial],
    progress: Progress | None,
) -> tuple[Trial, float, float]:
    """Return the best of the defaults and the finalists by the whole model, with both losses."""
    ranked = sorted(
        (trial for trial in trials[1:] if trial.loss is not None),
        key=lambda trial: (trial.loss, trial.number),
    )
    finalists = [trials[0], *ranked[:_FINALISTS]]
    losses = []
    for place, trial in enumerate(finalists, start=1):
        key = f"loss of the whole model, trial {trial.number}"
        if key not in study.user_attrs:
            loss = choose(_with(prepared, trial)).losses.recalibrated
            study.set_user_attr(key, loss)
        losses.append(float(study.user_attrs[key]))
        if progress is not None:
            progress("comparing the best trials", place, len(finalists))
    best = losses.index(min(losses))
    return finalists[best], losses[best], losses[0]
