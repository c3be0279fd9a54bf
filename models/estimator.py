"""The estimator: one monotone cumulative incidence curve per patient, two parts on one scale."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Self

import joblib
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from data_schema.delayed_entry import WHAT_TO_DO, is_entry_by_name
from data_schema.errors import DataError
from data_schema.variables import Variable
from models.fitting.assembly import complete_model, draft_model
from models.fitting.competing import fit_competing
from models.fitting.out_of_fold import TunedFold
from models.fitting.steps import choose, fit_columns, fit_interval_parts, fit_main_part
from models.fitting.training_cohort import FitRunner, FitSettings, Progress, TrainingCohort
from models.targets import survival_target

__all__ = ["CumulativeIncidenceModel"]


class CumulativeIncidenceModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    r"""Cumulative incidence of one event by any horizon, with death or another event competing.

    Estimates :math:`F(h \mid x) = P(T \le h, \text{event} = 1 \mid x)` by direct binomial
    regression [1]_ on patient-horizon pairs: a penalised logistic regression and a gradient-boosted
    one, both in the log-odds of F, mixed by a weight chosen out of fold, recalibrated, and held
    non-decreasing in h by a running maximum. Higher is riskier.

    Parameters
    ----------
    horizons_days : sequence of float
        Default horizons; every patient is paired with one of them.
    outcome : str
        Name of the event in the contract, and the key into `Variable.direction`.
    variables : mapping of str to Variable, optional
        The record of each base variable: label, pathway, plausible range, settled direction.
    fixed_horizon : bool
        The outcome is only known at the one horizon given.
    learning_rate : float
        Shrinkage of each tree of the boosted part.
    max_depth : int
        Depth of a tree.
    max_trees : int
        Most trees of the boosted part; their number is chosen out of fold.
    min_patients : float
        Patients of middling risk that a leaf must hold.
    column_share : float
        Share of the columns that a tree may use.
    row_share : float
        Share of the pairs that a tree learns from.
    boosting_penalty : float
        L2 penalty of the leaves.
    horizons_per_patient : int, optional
        Pairs per patient (at most 3 million in all). By default 24 for under 2,000 rows, where the
        random draw of horizons is felt, and 12 for more. Of these, trees learn from every second
        in cohorts of more than 100 columns or 200,000 pairs.
    tuning_folds : int, optional
        Folds, by patient, for what is chosen out of fold; by default 10 for under 2,000 rows, where
        that is affordable and steadier, and 4 for more.
    interval_folds : int
        Fold models, each fitted on a random half of the patients; 0 gives no interval.
    risk_only : bool
        Fit only what `predict_risk` reads: `risk_model_` then has no interval, no curve of the
        competing event, no measure of what missing values could move and no guard, and is not for
        patients. The risks are the same.
    random_state : int
        Same seed, same model, whatever the number of threads.
    n_jobs : int, optional
        Threads; by default as many as this process may use, within a container's quota too.
    runner : FitRunner, optional
        Where the fits run (default: in this process); the model does not depend on it.
    progress : callable, optional
        Called after every step of the fit with its kind, the steps done and the steps in all.

    Attributes
    ----------
    risk_model_ : RiskModel
        What predicts and explains; the same code as in the bundle.
    linear_weight_ : float
        Share of the linear part, 0 to 1.
    n_trees_ : int
        Trees of the boosted part.
    out_of_fold_loss_ : LogLosses
        Weighted log-loss per pair of `linear`, `boosted`, `mixture` and `recalibrated`; lower is
        better.
    out_of_fold_auroc_ : tuple of float
        Area under the curve at each default horizon of the predictions on which the fit made its
        choices, among patients held out together: a first figure, a little too high.
    core_fit_seconds_ : float
        What choosing, the main fit and its summaries took.
    fold_fit_seconds_ : float
        What the fold models of the interval took.
    n_features_in_ : int
        Columns of `X` in `fit`.
    feature_names_in_ : ndarray of str
        Their names, if it was a frame.

    References
    ----------
    .. [1] Scheike, Zhang & Gerds. Biometrika 95 (2008) 205-220. doi:10.1093/biomet/asm096
    """

    def __init__(
        self,
        *,
        horizons_days: Sequence[float] = (28.0, 90.0, 365.0),
        outcome: str = "mortality",
        variables: Mapping[str, Variable] | None = None,
        fixed_horizon: bool = False,
        learning_rate: float = 0.05,
        max_depth: int = 5,
        max_trees: int = 500,
        min_patients: float = 12.0,
        column_share: float = 0.5,
        row_share: float = 0.7,
        boosting_penalty: float = 5.0,
        horizons_per_patient: int | None = None,
        tuning_folds: int | None = None,
        interval_folds: int = 10,
        risk_only: bool = False,
        random_state: int = 0,
        n_jobs: int | None = None,
        runner: FitRunner | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.horizons_days = horizons_days
        self.outcome = outcome
        self.variables = variables
        self.fixed_horizon = fixed_horizon
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.max_trees = max_trees
        self.min_patients = min_patients
        self.column_share = column_share
        self.row_share = row_share
        self.boosting_penalty = boosting_penalty
        self.horizons_per_patient = horizons_per_patient
        self.tuning_folds = tuning_folds
        self.interval_folds = interval_folds
        self.risk_only = risk_only
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.runner = runner
        self.progress = progress

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: NDArray[np.void],
        groups: ArrayLike | None = None,
        sites: ArrayLike | None = None,
    ) -> Self:
        """Fit on patients known at time zero.

        Parameters
        ----------
        X : DataFrame or array-like, shape (n_patients, n_features)
            Numbers as numeric columns (NaN: not measured), categories as text. The columns of an
            array, which holds only numbers, are called x0, x1, ...
        y : structured ndarray, shape (n_patients,)
            From `targets.survival_target`.
        groups : array-like, shape (n_patients,), optional
            Patient of each row, never on both sides of a fold (default: each row is a patient).
        sites : array-like, shape (n_patients,), optional
            Site of each row: censoring is estimated by site where there are enough.

        Returns
        -------
        CumulativeIncidenceModel
            The model itself.

        Raises
        ------
        DataError
            If a number is infinite, a row of `groups` is missing, fewer than 5 % would have been
            observed up to a default horizon, there are too few events to fit, or a parameter is out
            of range.
        ValueError
            If `X` is not such a table, `y` is not a survival target or has another field, such as
            the day of a delayed entry, or lengths differ.
        """
        started = time.perf_counter()
        cohort = self.prepare(X, y, groups, sites)
        preparation_seconds = time.perf_counter() - started
        self.fit_prepared(cohort)
        self.core_fit_seconds_ += preparation_seconds
        return self

    def fit_prepared(
        self,
        cohort: TrainingCohort,
        folds: Sequence[TunedFold] | None = None,
        competing_folds: Sequence[TunedFold] | None = None,
    ) -> Self:
        """Fit on the patients that `prepare` of this model returned.

        It serves fits that share the folds in which they choose (`training.fold_fits`).

        Parameters
        ----------
        cohort : TrainingCohort
        folds, competing_folds : sequence of TunedFold, optional
            Out-of-fold predictions to choose by, of the outcome and of the competing event: every
            patient is held out once (default: this fit makes its own).
        """
        started = time.perf_counter()
        choices = choose(cohort, folds)
        columns = fit_columns(cohort)
        main = fit_main_part(cohort, choices, columns)
        competing, halves, self.fold_fit_seconds_ = None, [], 0.0
        if not self.risk_only:
            competing = fit_competing(cohort, columns, competing_folds)
            folds_started = time.perf_counter()
            halves = fit_interval_parts(cohort, choices, columns)
            self.fold_fit_seconds_ = time.perf_counter() - folds_started
        self.linear_weight_ = choices.linear_weight
        self.n_trees_ = choices.trees
        self.out_of_fold_loss_ = choices.losses
        self.out_of_fold_auroc_ = choices.auroc
        draft = draft_model(cohort, choices, columns, main, halves, competing)
        self.risk_model_ = (
            draft if self.risk_only else complete_model(draft, cohort, choices, columns, main)
        )
        self.core_fit_seconds_ = time.perf_counter() - started - self.fold_fit_seconds_
        return self

    def prepare(
        self,
        X: pd.DataFrame | ArrayLike,
        y: NDArray[np.void],
        groups: ArrayLike | None = None,
        sites: ArrayLike | None = None,
    ) -> TrainingCohort:
        """Return the patients as `fit` learns from them; parameters and errors are those of `fit`.

        It serves to judge parameters without a whole fit (`models.fitting.out_of_fold`).
        """
        frame = _table(X)
        validate_data(self, X, y, skip_check_array=True)
        target = _target(y)
        check_consistent_length(frame, target, groups, sites)
        return TrainingCohort.prepare(
            frame, target, groups=groups, sites=sites, settings=self._settings()
        )

    def _settings(self) -> FitSettings:
        """Return the parameters as the frozen record that fitting reads."""
        parameters = self.get_params(deep=False)
        parameters["horizons_days"] = days = tuple(map(float, self.horizons_days))
        broken = sum(not 0 < day < math.inf for day in days)
        if broken or not days:
            raise DataError(
                f"horizons_days must be one or more positive numbers; {broken} of {len(days)} are "
                "not."
            )
        for name, least in (("max_trees", 1), ("horizons_per_patient", 1), ("tuning_folds", 2)):
            value = parameters[name]
            if value is not None and value < least:
                raise DataError(f"{name} must be at least {least}; got {value}.")
        if self.interval_folds < 0 or self.interval_folds == 1:
            raise DataError("interval_folds must be 0 or at least 2; one fit has no variance.")
        parameters["variables"] = dict(self.variables or {})
        parameters["n_jobs"] = self.n_jobs or joblib.cpu_count()
        return FitSettings(**parameters)

    def predict_risk(
        self, X: pd.DataFrame | ArrayLike, horizons_days: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the cumulative incidence at each horizon, for patients that are refused too.

        Parameters
        ----------
        X : DataFrame or array-like, shape (n_patients, n_features)
            The columns of `fit`, in the same order; NaN where not measured.
        horizons_days : array-like of float, shape (n_horizons,), optional
            Days from time zero (default: the default horizons).

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons)
            In [0, 1], higher is riskier; non-decreasing along ascending horizons.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        InferenceError
            If a number is infinite or a horizon lies outside the model's range.
        ValueError
            If the columns are not those of `fit`.
        """
        check_is_fitted(self)
        frame = _table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        named = frame.set_axis(list(self.risk_model_.features), axis=1)
        return self.risk_model_.risk(named, horizons_days)

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy that shares the catalogue, which cannot be copied."""
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Tags:
        """Declare to scikit-learn that NaN means "not measured" and that `y` is needed."""
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags


def _table(X: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    """Return a frame with text for column names."""
    if not isinstance(X, pd.DataFrame):
        numbers = check_array(X, ensure_all_finite=False)
        return pd.DataFrame(numbers, columns=[f"x{j}" for j in range(numbers.shape[1])])
    if X.empty:
        raise ValueError("X must have rows and columns; got an empty frame.")
    if not X.columns.is_unique:
        raise ValueError("X must name every column once. Rename the duplicates.")
    return X.set_axis(X.columns.astype(str), axis=1)


def _target(y: NDArray[np.void]) -> NDArray[np.void]:
    """Return `y` as a checked survival target."""
    fields = getattr(getattr(y, "dtype", None), "names", None) or ()
    if not {"time_days", "event"} <= set(fields):
        raise ValueError(
            "y must have the fields time_days and event. Make it with targets.survival_target."
        )
    others = sorted(set(fields) - {"time_days", "event"})
    if others:
        entry = any(map(is_entry_by_name, others))
        raise ValueError(
            f"y must have the fields time_days and event only; it has {', '.join(others)} as well. "
            + (f"{WHAT_TO_DO}." if entry else "Leave them out.")
        )
    return survival_target(y["time_days"], y["event"])
