"""Internal-external validation: hold out each site or year in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from models.fitting.training_cohort import Progress
from models.metrics.catalogue import Place, shown_in
from models.metrics.pooling import Pooled, pool_metric
from models.metrics.subgroups import SMALLEST_SUBGROUP, Subgroup, evaluate_subgroups
from training.cohorts.not_done import with_flags
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import fits_side_by_side
from training.missingness import refit_with_choice

__all__ = ["ClusterBy", "InternalExternal", "internal_external"]

ClusterBy = Literal["site", "year"]

_MOST_CLUSTERS = 50


@dataclass(frozen=True, slots=True)
class InternalExternal:
    """Figures of models in clusters that they were not trained on.

    Parameters
    ----------
    clusters : tuple of Subgroup
        Each is judged by a model of all the others; small clusters serve for training only.
    pooled : tuple of Pooled
        Random-effects means of the metrics that the catalogue pools, with prediction intervals for
        a new cluster.
    """

    by: ClusterBy
    clusters: tuple[Subgroup, ...]
    pooled: tuple[Pooled, ...]

    def as_json(self) -> dict[str, object]:
        """Return the validation as a mapping."""
        return {
            "by": self.by,
            "clusters": [cluster.as_json() for cluster in self.clusters],
            "pooled": [pooled.as_json() for pooled in self.pooled],
        }


def internal_external(
    study: Study, config: RunConfig, by: ClusterBy, *, progress: Progress | None = None
) -> InternalExternal:
    """Hold out each site or calendar year in turn, fit on the others, and judge it there.

    Parameters
    ----------
    by : {"site", "year"}
        Year of the time zero.

    Notes
    -----
    Internal-external cross-validation [1]_. A patient with stays in two clusters is left out of
    training while either is held out.

    References
    ----------
    .. [1] Steyerberg & Harrell. J Clin Epidemiol 69 (2016) 245-247.
       doi:10.1016/j.jclinepi.2015.04.005
    """
    cohort = study.cohort
    cluster = _clusters(cohort, by)
    patients = pd.Series(cohort.patient_id).groupby(cluster).nunique()
    large = patients.index[patients >= SMALLEST_SUBGROUP]
    if not 2 <= len(large) <= _MOST_CLUSTERS:
        raise DataError(
            f"there must be 2 to {_MOST_CLUSTERS} {by}s with at least {SMALLEST_SUBGROUP} "
            f"patients; got {len(large)}. Add patients, or merge {by}s."
        )
    outcome = outcome_of(cohort)
    risk = np.full((len(cohort), len(study.horizons_days)), np.nan)

    def fit(own: RunConfig, steps: Progress | None, name: str) -> NDArray[np.float64]:
        held_out = cluster == name
        learned_from = cohort.take(~np.isin(cohort.patient_id, cohort.patient_id[held_out]))
        fitted = refit_with_choice(
            learned_from, study.horizons_days, own, risk_only=True, progress=steps
        )
        features = with_flags(cohort.take(held_out), fitted.flags).features
        return fitted.model.predict_risk(features)

    fits = fits_side_by_side(
        fit,
        [(name,) for name in large],
        config,
        rows=len(cohort),
        what=f"leaving out each {by}",
        progress=progress,
    )
    for name, risk_elsewhere in zip(large, fits, strict=True):
        risk[cluster == name] = risk_elsewhere
    clusters = evaluate_subgroups(
        outcome.time_days,
        outcome.event,
        risk,
        study.horizons_days,
        {by: cluster},
        n_bootstrap=config.bootstrap_resamples,
        random_state=config.seed,
        patients=cohort.patient_id,
    )
    return InternalExternal(by, clusters, _pooled(clusters, study.horizons_days))


def _pooled(clusters: tuple[Subgroup, ...], horizons_days: tuple[float, ...]) -> tuple[Pooled, ...]:
    """Pool each metric at each horizon over the clusters in which it is defined."""
    results = []
    for days in horizons_days:
        for spec in shown_in(Place.POOLED):
            metrics = [
                metric
                for cluster in clusters
                for metric in cluster.metrics
                if (metric.metric, metric.horizon_days) == (spec.name, days)
            ]
            pooled = pool_metric(metrics) if metrics else None
            if pooled is not None:
                results.append(pooled)
    return tuple(results)


def _clusters(cohort: Cohort, by: ClusterBy) -> NDArray[np.object_]:
    """Return the site, or the year of the time zero, of every stay."""
    values = cohort.site if by == "site" else cohort.time_zero
    if values is None or pd.isna(values).any():
        what = "site" if by == "site" else "time zero"
        raise UsageError(f"a validation by {by} needs the {what} of every stay. Add the column.")
    if by == "site":
        return values.astype(str).astype(object)
    years: Any = pd.to_datetime(list(values), utc=True).year.to_numpy()
    return np.asarray(years.astype(str), dtype=object)
