"""Predict, explain and refuse from a bundle of UBJSON and JSON.

Evaluation, the service and the MLflow model all run this file with the other modules of its folder;
every bundle carries them all in its `model.py`. They therefore import only the standard library,
numpy, pandas and xgboost.

What is predicted is the cumulative incidence F(h) of one event by horizon h (days from time zero):
`logit F(h) = running maximum over horizons up to h of a(h) + b * (w * linear + (1 - w) * boosted)`.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import ArrayLike

from models.inference.columns import NOT_DONE
from models.inference.completeness import completeness_grade
from models.inference.contract import Contract
from models.inference.contributions import contributions
from models.inference.curves import (
    IntervalWidth,
    PredictedCurves,
    SiteLevel,
    competing_risk,
    grid_days,
    log_odds_with_interval,
)
from models.inference.ensemble import Ensemble
from models.inference.guard import GuardRules, guard, refuse_insufficient
from models.inference.matrices import (
    ColumnGroups,
    Table,
    expit,
    level_columns,
    linear_column_features,
    linear_matrix,
    raw_matrix,
    standard_log,
)
from models.inference.missing import (
    Inferred,
    MissingTerms,
    columns_of_groups,
    direction_limits,
    infer,
    settling_variance,
    unsettled_variance,
)
from models.inference.parameters import ModelParameters, Unsettled
from models.inference.part import FittedPart
from models.inference.prediction import Curve, Prediction, points_per_log_odds
from models.inference.records import json_of, record_of
from models.inference.request import LARGEST_NUMBER, InferenceError, checked_table, requested_days
from models.inference.trees import TreeContributions, booster_files, load_booster

__all__ = ["Curve", "InferenceError", "Prediction", "RiskModel", "Table"]

_REFIT_NUMBERS, _REFIT_TREES = "without_panel.json", "without_panel.ubj"
_STATES = ("__below", NOT_DONE)


class RiskModel:
    """A fitted model ready to predict: its parts, and the contract that describes it.

    Immutable once built, so that requests can share it.

    Parameters
    ----------
    contract : Contract
        What the model is, what it reads and what it refuses.
    parameters : ModelParameters
    boosters : sequence of bytes
        UBJSON of the booster of each of `parameters.parts`, in that order.
    threads : int
        Threads to predict with; the numbers do not depend on it.

    Notes
    -----
    A model whose panel of markers was shown to add something may hold a second fit to the same
    patients without the panel (`with_panel_refit`). It enters no risk of the model.

    Attributes
    ----------
    features : tuple of str
        Columns that a frame must have.
    variables : tuple of str
        Those that have contributions; the features of a variable share one.
    pathways : tuple of str
        Pathway of each variable.
    """

    def __init__(
        self,
        contract: Contract,
        parameters: ModelParameters,
        boosters: Sequence[bytes],
        *,
        threads: int = 1,
    ) -> None:
        self._threads = threads
        self._without_panel: RiskModel | None = None
        self._boosters = [bytes(b) for b in boosters]
        self._set_parts(parameters, [load_booster(b, threads) for b in self._boosters])
        self._set_contract(contract)

    def _set_parts(self, parameters: ModelParameters, boosters: Sequence[xgb.Booster]) -> None:
        """Set what depends on the fitted parts alone."""
        self._parameters = parameters
        self._encoding = parameters.encoding
        parts = [
            FittedPart(
                own,
                booster,
                parameters.factors,
                self._threads,
                place=2 if own is parameters.competing else 1,
            )
            for own, booster in zip(parameters.parts, boosters, strict=True)
        ]
        self._main, self._alone = parts[0], Ensemble(parts[:1])
        self._fold_parts = parts[1 : 1 + len(parameters.folds)]
        self._competing = None if parameters.competing is None else parts[-1]
        of_parts = parts[:1] if parameters.competing is None else (parts[0], parts[-1])
        unsettled = _of_unsettled(parameters.unsettled)
        own = (unsettled, *(part.linear_predictor for part in of_parts))
        self._missing_terms = tuple(map(self._terms_of, own))
        self._together = Ensemble(parts[: 1 + len(parameters.folds)])
        self._competing_part = None if parameters.competing is None else Ensemble(parts[-1:])

    def _set_contract(self, contract: Contract) -> None:
        """Set what depends on the contract, too."""
        self.contract = contract
        parameters = self._parameters
        self.features: tuple[str, ...] = tuple(f.name for f in contract.features)
        variable_of = {f.name: f.variable for f in contract.features}
        pathway_of = {f.variable: f.pathway for f in contract.features}
        self.variables: tuple[str, ...] = tuple(dict.fromkeys(variable_of.values()))
        self.pathways: tuple[str, ...] = tuple(pathway_of[v] for v in self.variables)
        self._guard_rules = GuardRules.of(contract, self.variables)
        self._variable_of = variable_of
        of_columns = [variable_of[f] for f in linear_column_features(self._encoding)]
        self._groups = ColumnGroups.of(of_columns, self.variables)
        self._group_columns = columns_of_groups(self._groups, len(of_columns))
        self._raw_features = [
            *self._encoding.numbers,
            *(f for f, _ in level_columns(self._encoding)),
        ]
        self._booster_groups = ColumnGroups.of(
            [variable_of[f] for f in self._raw_features], self.variables
        )
        if self._without_panel is not None:
            reduced = _contract_without_panel(contract)
            refit = self._without_panel
            self._without_panel = None if reduced is None else refit.with_contract(reduced)
        direction_of = {feature.name: feature.direction for feature in contract.features}
        ends = np.log([contract.min_horizon_days, contract.max_horizon_days])
        self._limits = direction_limits(
            tuple(direction_of[name] for name in self._encoding.numbers),
            parameters.main.coef,
            parameters.main.coef_log_h,
            standard_log(ends, parameters.main.horizon),
            parameters.scaling,
            parameters.factors,
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, threads: int = 1) -> "RiskModel":
        """Build from the content of the files that `files` returned; other files are ignored.

        Raises
        ------
        KeyError
            If a file is missing.
        InferenceError
            If the files are of another format.
        """
        try:
            contract = Contract.from_json(json.loads(files["contract.json"]))
        except ValueError as error:
            raise InferenceError(str(error)) from None
        parameters = record_of(ModelParameters, json.loads(files["model.json"]))
        boosters = [files[name] for name in _booster_files(parameters)]
        model = cls(contract, parameters, boosters, threads=threads)
        reduced = _contract_without_panel(contract)
        if reduced is None or _REFIT_NUMBERS not in files:
            return model
        numbers = record_of(ModelParameters, json.loads(files[_REFIT_NUMBERS]))
        model._without_panel = cls(reduced, numbers, [files[_REFIT_TREES]], threads=threads)
        return model

    @classmethod
    def from_directory(cls, directory: str | Path, *, threads: int = 1) -> "RiskModel":
        """Build from a bundle's directory; otherwise as `from_files`."""
        wanted = [p for p in Path(directory).iterdir() if p.suffix in {".json", ".ubj"}]
        return cls.from_files({p.name: p.read_bytes() for p in wanted}, threads=threads)

    def files(self) -> dict[str, bytes]:
        """Return the bundle's files by name: JSON and UBJSON only, no pickle and no patient.

        Raises
        ------
        InferenceError
            If the model was fitted for its risks only: without guard and completeness it would
            answer every patient.
        """
        if not np.isfinite(self.contract.log_odds_variance).all():
            raise InferenceError(
                "a model that was fitted with risk_only has no guard, and makes no bundle. Fit it "
                "without risk_only."
            )
        records = {"contract.json": self.contract, "model.json": self._parameters}
        out = {name: _canonical(json_of(record)) for name, record in records.items()}
        refit = self._without_panel
        if refit is not None:
            out[_REFIT_NUMBERS] = _canonical(json_of(refit._parameters))
            out[_REFIT_TREES] = refit._boosters[0]
        return out | dict(zip(_booster_files(self._parameters), self._boosters, strict=True))

    def with_panel_refit(self, refit: "RiskModel") -> "RiskModel":
        """Return the same model with a fit to the same patients without the panel beside it.

        Raises
        ------
        InferenceError
            If the contract names no panel, or the fit reads other columns than all but the panel's.
        """
        reduced = _contract_without_panel(self.contract)
        if reduced is None:
            raise InferenceError("contract must name the panel that the refit leaves out.")
        read = tuple(feature.name for feature in reduced.features)
        if refit.features != read:
            raise InferenceError(
                f"the refit must read the {len(read)} columns outside the panel; it reads "
                f"{len(refit.features)}."
            )
        model = copy(self)
        model._without_panel = refit.with_contract(reduced)
        return model

    def with_contract(self, contract: Contract) -> "RiskModel":
        """Return the same model under another contract; both share their boosters."""
        model = copy(self)
        model._set_contract(contract)
        return model

    @property
    def parameters(self) -> ModelParameters:
        """The numbers of its fitted parts."""
        return self._parameters

    def with_parameters(self, parameters: ModelParameters) -> "RiskModel":
        """Return a model of the same trees with other numbers; both share their boosters."""
        model = copy(self)
        model._without_panel = None  # it has the numbers from before
        parts = [self._main, *self._fold_parts]
        if self._competing is not None:
            parts.append(self._competing)
        model._set_parts(parameters, [part.booster for part in parts])
        model._set_contract(self.contract)
        return model

    def with_unsettled(self, unsettled: Unsettled) -> "RiskModel":
        """Return the same model with another measure of what missing values could move."""
        model = copy(self)
        model._parameters = replace(self._parameters, unsettled=unsettled)
        own = self._terms_of(_of_unsettled(unsettled))
        model._missing_terms = (own, *self._missing_terms[1:])
        return model

    def with_tree_contributions(self, explain: TreeContributions) -> "RiskModel":
        """Return the same model with its trees explained by another function of equal results."""
        model = copy(self)
        model._main = self._main.with_tree_contributions(explain)
        return model

    def part(self, linear_weight: float) -> "RiskModel":
        """Return the model with only its linear (1) or boosted (0) part, without an interval."""
        main = replace(self._parameters.main, linear_weight=linear_weight)
        model = copy(self)
        model._without_panel = None
        model._boosters = self._boosters[:1]
        alone = replace(self._parameters, main=main, folds=(), competing=None)
        model._set_parts(alone, [self._main.booster])
        return model

    def prepare(self) -> None:
        """Do now what the first request would do: join the boosters, resolve the horizons.

        Answers do not depend on it. A service calls it before it is ready.
        """
        self._together.prepare()
        self._main.prepare([math.log(day) for day in self.horizons(None)])

    def horizons(self, horizons_days: ArrayLike | None) -> np.ndarray:
        """Return the requested horizons, in that order, or the default ones.

        Raises
        ------
        InferenceError
            If there is none, or one lies outside the model's range.
        """
        return requested_days(self.contract, horizons_days)

    def predict(
        self,
        frame: pd.DataFrame | Table,
        horizons_days: ArrayLike | None = None,
        *,
        explain: bool = False,
        interval: bool = True,
    ) -> Prediction:
        """Return risks, intervals, refusals and, on request, contributions.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...), or Table
            The model's feature columns in canonical units, NaN or None where not measured; further
            columns are read only to guard (`age`, `pregnant`, ...) or to identify (`patient_id`).
        horizons_days : array-like of float, shape (n_horizons,), optional
            Days from time zero; the model's default horizons if not given.
        explain : bool
            Whether to compute contributions.
        interval : bool
            Whether to compute the interval.

        Returns
        -------
        Prediction
            Refused patients hold NaN.

        Raises
        ------
        InferenceError
            If a feature column is missing, a number is infinite, or a horizon lies outside the
            model's range.
        """
        days, table = self.horizons(horizons_days), checked_table(self.contract, frame)
        raw = self._raw(table)
        inferred = self._inferred(raw)
        curves = self._curves(raw, inferred, days, interval, self._site_level(table))
        return self._prediction(table, raw, inferred, curves, explain)

    def predict_with_curve(
        self,
        frame: pd.DataFrame | Table,
        horizons_days: ArrayLike | None = None,
        *,
        explain: bool = False,
        interval: bool = True,
    ) -> tuple[Prediction, Curve]:
        """Return what `predict` returns, and the risk over the model's whole grid of days.

        Parameters and errors are those of `predict`; both together take hardly longer.
        """
        days, table = self.horizons(horizons_days), checked_table(self.contract, frame)
        raw, grid = self._raw(table), np.asarray(self.contract.grid_days, dtype=float)
        inferred = self._inferred(raw)
        at = np.concatenate([days, grid])
        curves = self._curves(raw, inferred, at, interval, self._site_level(table))
        requested, on_grid = curves.at(slice(len(days))), curves.at(slice(len(days), None))
        return self._prediction(table, raw, inferred, requested, explain), on_grid.curve()

    def _site_level(self, table: Table) -> SiteLevel | None:
        """Return the level of each patient's site; None unless the model was updated by site."""
        sites = self._parameters.sites
        return None if sites is None else SiteLevel(*sites.of(table.texts[sites.feature]))

    def _curves(
        self,
        raw: np.ndarray,
        inferred: Inferred,
        days: np.ndarray,
        interval: bool,
        site: SiteLevel | None,
    ) -> PredictedCurves:
        """Return what is predicted for every patient at the days."""
        with_folds = self._together if interval else None
        at = grid_days(self.contract.grid_days, days)
        width = IntervalWidth.of(self.contract, days)
        eta, adjustment, low, high = log_odds_with_interval(
            self._alone, with_folds, raw, inferred, at, width
        )
        if site is not None:
            eta, low, high = site.applied(eta, low, high, width.t)
        part = self._competing_part
        competing = None if part is None else competing_risk(part, raw, inferred, at, eta)
        return PredictedCurves(days, eta, adjustment, low, high, self.cohort_risk(days), competing)

    def _prediction(
        self,
        table: Table,
        raw: np.ndarray,
        inferred: Inferred,
        curves: PredictedCurves,
        explain: bool,
    ) -> Prediction:
        days, eta, adjustment, low, high, cohort_risk, competing = curves
        measured, site = self._measured(raw), self._site_level(table)
        verdicts = guard(self._guard_rules, table, raw, measured)
        least = self.contract.guard.least_settled
        completeness = [completeness_grade(s, least) for s in self._settled_share(inferred)]
        refuse_insufficient(verdicts, completeness)
        base = np.array([self._main.base_log_odds(math.log(h)) for h in days])
        gain = points_per_log_odds(eta, base)
        adjustment_points, log_odds, points = adjustment * gain, None, None
        if explain:
            total, groups = eta - adjustment - base, (self._groups, self._booster_groups)
            if site is not None:
                total = total - site.shift[:, None]
            log_odds = contributions(self._main, raw, inferred, days, total, *groups)
            if site is not None:
                log_odds[..., self._site_place] += site.shift[:, None]
            points = log_odds * gain[..., None]
        if site is not None:
            measured[:, self._site_place] = site.known
        refused = np.array([status != "ok" for status in verdicts.status], dtype=bool)
        for values in (eta, adjustment, low, high, competing, log_odds, points, adjustment_points):
            if values is not None:
                values[refused] = np.nan
        return Prediction(
            horizons_days=days,
            risk=expit(eta),
            risk_low=expit(low),
            risk_high=expit(high),
            baseline_risk=expit(base),
            cohort_risk=cohort_risk,
            competing_risk=competing,
            base_log_odds=base,
            monotone_adjustment=adjustment,
            outcome=self.contract.outcome,
            variables=self.variables,
            pathways=self.pathways,
            measured=measured,
            log_odds=log_odds,
            points=points,
            adjustment_points=adjustment_points,
            unsettled=self._unsettled(inferred, days),
            completeness=completeness,
            status=verdicts.status,
            refusals=verdicts.refusals,
            warnings=verdicts.warnings,
        )

    def risk(
        self, frame: pd.DataFrame | Table, horizons_days: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the risk alone, of every patient, refused or not: for evaluation.

        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons)
            In [0, 1], higher is riskier.
        """
        return expit(self._curves_alone(frame, horizons_days).log_odds)

    def risk_given(
        self,
        frame: pd.DataFrame | Table,
        variables: Collection[str],
        horizons_days: ArrayLike | None = None,
    ) -> np.ndarray:
        """Return the risk of patients with only some of their variables known.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...), or Table
            As for `predict`.
        variables : collection of str
            Base names of those whose values are read; all others count as not entered, but for the
            site of a model that was updated by site.
        horizons_days : array-like of float, shape (n_horizons,), optional

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons)
            As `risk`.
        """
        table = checked_table(self.contract, frame)
        hidden = {name for name, variable in self._variable_of.items() if variable not in variables}
        sites = self._parameters.sites
        hidden -= set() if sites is None else {sites.feature}
        nothing = {
            name: np.full(table.rows, 0.0 if name.endswith(_STATES) else np.nan)
            for name in hidden & table.numbers.keys()
        }
        no_text = np.full(table.rows, None, dtype=object)
        texts = dict.fromkeys(hidden & table.texts.keys(), no_text)
        known = Table(table.rows, {**table.numbers, **nothing}, {**table.texts, **texts})
        return self.risk(known, horizons_days)

    def risk_without_panel(
        self, frame: pd.DataFrame | Table, horizons_days: ArrayLike | None = None
    ) -> np.ndarray | None:
        """Return the risk by the fit without the panel; None where the model holds none.

        Parameters, errors and shape are those of `risk`.
        """
        refit = self._without_panel
        return None if refit is None else refit.risk(frame, horizons_days)

    def competing_risk(
        self, frame: pd.DataFrame, horizons_days: ArrayLike | None = None
    ) -> np.ndarray | None:
        """Return the risk that the competing event comes first, of every patient, refused or not.

        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons), or None
            In [0, 1], at most one minus the risk, which it never alters; None where nothing
            competes or too few patients had the competing event to learn from.
        """
        return self._curves_alone(frame, horizons_days).competing_risk

    @property
    def _site_place(self) -> int:
        """The place of the site among the variables, where the model was updated by site."""
        sites = self._parameters.sites
        assert sites is not None  # asked for only then
        return self.variables.index(sites.feature)

    def _curves_alone(
        self, frame: pd.DataFrame | Table, horizons_days: ArrayLike | None
    ) -> PredictedCurves:
        """Return what is predicted without an interval."""
        table = checked_table(self.contract, frame)
        raw, site = self._raw(table), self._site_level(table)
        return self._curves(raw, self._inferred(raw), self.horizons(horizons_days), False, site)

    def unsettled(
        self, frame: pd.DataFrame | Table, horizons_days: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the variance that the missing values could still add to the log-odds.

        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons)
            Log-odds squared, of every patient, refused or not.
        """
        raw = self._raw(checked_table(self.contract, frame))
        return self._unsettled(self._inferred(raw), self.horizons(horizons_days))

    def settled_by(self, frame: pd.DataFrame | Table, horizon_days: float) -> np.ndarray:
        """Return which share of that variance a value of each missing variable would settle.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...), or Table
            As for `predict`.
        horizon_days : float

        Returns
        -------
        ndarray of float, shape (n_patients, n_variables)
            In [0, 1], in the order of `variables`; 0 for a variable that is measured.
        """
        raw = self._raw(checked_table(self.contract, frame))
        at = self._standard_log(self.horizons([horizon_days]))[0]
        own = self._parameters
        inferred = self._inferred(raw)
        return settling_variance(inferred, own.factors, own.unsettled, at, self._group_columns)

    def _unsettled(self, inferred: Inferred, days: np.ndarray) -> np.ndarray:
        """Return the variance that the missing values could still add, (n, h)."""
        own = self._parameters
        at = self._standard_log(days)
        return unsettled_variance(inferred.missing, inferred.open_variance[0], own.unsettled, at)

    def settled_share(self, frame: pd.DataFrame | Table) -> np.ndarray:
        """Return the share that `completeness_grade` grades, of every patient, refused or not.

        Parameters and errors are those of `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients,)
            At most 1, at the default horizon where most is unsettled; about 0, or below, where
            nothing is entered.
        """
        return self._settled_share(self._inferred(self._raw(checked_table(self.contract, frame))))

    def settled_share_left(self, unsettled: np.ndarray) -> np.ndarray:
        """Return `settled_share` of patients from what `unsettled` returned of them, (n,).

        It must be that of the default horizons, shape (n, n_horizons).
        """
        days = self.horizons(None)
        grid = np.log(np.asarray(self.contract.grid_days, dtype=float))
        variance = np.interp(np.log(days), grid, self.contract.log_odds_variance)
        left = unsettled / np.maximum(variance, 1e-12)
        return np.asarray(1 - left.max(1))

    def _settled_share(self, inferred: Inferred) -> np.ndarray:
        """Return the least settled share over the default horizons, (n,)."""
        return self.settled_share_left(self._unsettled(inferred, self.horizons(None)))

    def _terms_of(self, predictor: np.ndarray) -> MissingTerms:
        """Return coefficients, (2, n_linear_columns), as `missing.infer` takes them."""
        own = self._parameters
        return MissingTerms.of(own.factors, predictor, len(own.scaling.log))

    def _standard_log(self, days: np.ndarray) -> np.ndarray:
        """Return the standardised log of horizons, as the main part has it."""
        return standard_log(np.log(days), self._parameters.main.horizon)

    def _inferred(self, raw: np.ndarray) -> Inferred:
        """Return the linear part's columns without gaps."""
        own = self._parameters
        columns, n_numbers = linear_matrix(raw, own.scaling), len(own.scaling.log)
        return infer(columns, own.factors, self._limits, self._missing_terms, n_numbers)

    def cohort_risk(self, horizons_days: ArrayLike | None = None) -> np.ndarray:
        """Return the training cohort's mean risk at each horizon, interpolated in log days."""
        grid = np.log(np.asarray(self.contract.grid_days, dtype=float))
        days = np.log(self.horizons(horizons_days))
        return np.asarray(np.interp(days, grid, self.contract.cohort_risk))

    def _raw(self, table: Table) -> np.ndarray:
        """Return the matrix that both parts read."""
        raw = raw_matrix(table, self._encoding)
        if (np.abs(raw) > LARGEST_NUMBER).any():
            raise InferenceError(
                f"numbers must be finite, and lie between -{LARGEST_NUMBER:.2g} and "
                f"{LARGEST_NUMBER:.2g}; make values that were not measured NaN."
            )
        return raw

    def _measured(self, raw: np.ndarray) -> np.ndarray:
        """Return whether each variable has a value, (n, v); a flag is not a value."""
        counts = np.array([not name.endswith(_STATES) for name in self._raw_features], dtype=float)
        present = ~np.isnan(raw) * counts
        return np.asarray(self._booster_groups.sums(present) > 0)


def _contract_without_panel(contract: Contract) -> Contract | None:
    """Return what the fit without the panel reads and answers; None without a panel."""
    if contract.panel is None:
        return None
    panel = frozenset(contract.panel.variables)
    others = tuple(feature for feature in contract.features if feature.variable not in panel)
    return replace(contract, features=others, panel=None)


def _of_unsettled(unsettled: Unsettled) -> np.ndarray:
    """Return the coefficients of the linear approximation of the whole model."""
    return np.stack([unsettled.coef, unsettled.coef_log_h])


def _booster_files(parameters: ModelParameters) -> list[str]:
    """Return the file of each part's booster."""
    return booster_files(len(parameters.folds), competing=parameters.competing is not None)


def _canonical(value: object) -> bytes:
    """Return JSON that is the same for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
