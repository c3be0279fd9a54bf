"""Aggregates of a validation that a site may give away, and their pooling by the model's owner.

A shared folder holds one file, `validation.json`: metrics with their intervals, and counts of
patients by tenth of risk, of which none under `SMALLEST_CELL` can be read or computed. No row, no
identifier and no value of a patient is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from data_schema.disclosure import SMALLEST_CELL, hidden_cells
from data_schema.errors import DataError, UsageError
from models.censoring import is_known
from models.metrics.catalogue import Place, shown_in
from models.metrics.metric import Metric, MetricJson, metrics_from_json
from models.metrics.pooling import Pooled, pool_metric
from training.files import whole_folder
from training.validation.external import ExternalValidation
from training.validation.predictions import Predictions

__all__ = [
    "SHARED_FILE",
    "PooledValidation",
    "SharedUpdate",
    "SharedValidation",
    "Tenth",
    "pool_sites",
    "read_shared",
    "shared_validation",
    "tenths_of_risk",
    "write_shared",
]

SHARED_FILE = "validation.json"
_FORMAT = 1
_FEWEST_SITES = 3
_TENTHS = 10


class Tenth(TypedDict):
    """Patients of one tenth of the predicted risks; null where the count must stay hidden."""

    mean_risk: float | None
    stays: int | None
    with_event: int | None
    without_event: int | None
    not_known: int | None


class SharedUpdate(TypedDict):
    """An update of the model and its metrics."""

    method: str
    metrics: list[MetricJson]


@dataclass(frozen=True, slots=True)
class SharedValidation:
    """What a site gives away of its validation.

    Parameters
    ----------
    model_name, model_version, model_sha256 : str
        The version that was validated; its hash decides what may be pooled.
    stays, patients, events : int or None
        None where the count must stay hidden.
    metrics : tuple of Metric
        Of all patients.
    tenths : mapping of str to list of Tenth
        By horizon in days.
    membership_auroc : float or None
    """

    model_name: str
    model_version: str
    model_sha256: str
    outcome: str
    site: str
    simulated: bool
    stays: int | None
    patients: int | None
    events: int | None
    cohort_fingerprint: str
    metrics: tuple[Metric, ...]
    updates: tuple[SharedUpdate, ...]
    tenths: Mapping[str, list[Tenth]]
    membership_auroc: float | None

    def as_json(self) -> dict[str, object]:
        """Return the content of `SHARED_FILE`."""
        return {
            "format": _FORMAT,
            "model": {
                "name": self.model_name,
                "version": self.model_version,
                "sha256": self.model_sha256,
            },
            "outcome": self.outcome,
            "site": self.site,
            "simulated": self.simulated,
            "stays": self.stays,
            "patients": self.patients,
            "events": self.events,
            "cohort_fingerprint": self.cohort_fingerprint,
            "metrics": [metric.as_json() for metric in self.metrics],
            "updates": list(self.updates),
            "tenths": dict(self.tenths),
            "membership_auroc": self.membership_auroc,
        }


def shared_validation(validation: ExternalValidation) -> SharedValidation:
    """Return the aggregates of a validation, with cells under `SMALLEST_CELL` withheld.

    Raises
    ------
    DataError
        If fewer than `SMALLEST_CELL` patients were judged, or had the event, or did not.
    """
    evaluation = validation.evaluation
    predictions, loaded = evaluation.predictions, evaluation.loaded
    if min(predictions.events, predictions.stays - predictions.events) < SMALLEST_CELL:
        raise DataError(
            f"a shared validation needs {SMALLEST_CELL} patients with and {SMALLEST_CELL} without "
            "the event; one or both are fewer. Share nothing, or validate on more patients."
        )
    return SharedValidation(
        loaded.name,
        loaded.version or "",
        loaded.sha256,
        loaded.risk_model.contract.outcome,
        validation.site,
        evaluation.cohort.simulated,
        predictions.stays,
        predictions.patients,
        predictions.events,
        predictions.cohort_fingerprint,
        evaluation.judgement.metrics,
        tuple(
            SharedUpdate(
                method=update.method, metrics=[metric.as_json() for metric in update.metrics]
            )
            for update in validation.updates.updates
        ),
        {
            f"{days:g}": tenths_of_risk(predictions, place)
            for place, days in enumerate(predictions.horizons_days)
        },
        validation.membership_auroc,
    )


def tenths_of_risk(predictions: Predictions, place: int) -> list[Tenth]:
    """Return counts by tenth of risk at one horizon, none under `SMALLEST_CELL` to be computed.

    Parameters
    ----------
    place : int
        Of the horizon among `predictions.horizons_days`.
    """
    days, risk = predictions.horizons_days[place], predictions.risk[:, place]
    tenth = np.argsort(np.argsort(risk, kind="stable"), kind="stable") * _TENTHS // len(risk)
    known = is_known(predictions.time_days, predictions.event, days)
    happened = (predictions.event == 1) & (predictions.time_days <= days)
    columns = (np.ones(len(risk), dtype=bool), happened, known & ~happened, ~known)
    table = np.array(
        [[int((column & (tenth == k)).sum()) for column in columns] for k in range(_TENTHS)]
    )
    hidden = hidden_cells(table)

    def shown(k: int, column: int) -> int | None:
        return None if hidden[k, column] else int(table[k, column])

    return [
        Tenth(
            mean_risk=None if hidden[k, 0] else round(float(risk[tenth == k].mean()), 4),
            stays=shown(k, 0),
            with_event=shown(k, 1),
            without_event=shown(k, 2),
            not_known=shown(k, 3),
        )
        for k in range(_TENTHS)
    ]


def write_shared(shared: SharedValidation, folder: Path) -> None:
    """Write a new folder that a site may give away.

    Raises
    ------
    UsageError
        If the folder exists.
    OutsideError
        If it cannot be written.
    """
    with whole_folder(folder) as draft:
        text = json.dumps(shared.as_json(), indent=2, ensure_ascii=False, allow_nan=False)
        Path(draft, SHARED_FILE).write_text(text + "\n", encoding="utf-8")


def read_shared(folder: Path) -> SharedValidation:
    """Return what `write_shared` wrote.

    Raises
    ------
    UsageError
        If the folder holds no shared validation of this format.
    """
    path = folder / SHARED_FILE if folder.is_dir() else folder
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError
        model = content["model"]
        return SharedValidation(
            str(model["name"]),
            str(model["version"]),
            str(model["sha256"]),
            str(content["outcome"]),
            str(content["site"]),
            bool(content["simulated"]),
            content["stays"],
            content["patients"],
            content["events"],
            str(content["cohort_fingerprint"]),
            metrics_from_json(content["metrics"]),
            tuple(content["updates"]),
            content["tenths"],
            content["membership_auroc"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{folder} must hold {SHARED_FILE} of `osteon validate --share`. Ask the "
            "site for the whole folder."
        ) from None


@dataclass(frozen=True, slots=True)
class PooledValidation:
    """Validations of one version at several sites, pooled.

    Parameters
    ----------
    sites : tuple of SharedValidation
        In the order given, each with a name.
    pooled : tuple of Pooled
        Discrimination and calibration at each horizon with at least three sites.
    """

    sites: tuple[SharedValidation, ...]
    pooled: tuple[Pooled, ...]

    def as_json(self) -> dict[str, object]:
        """Return what `osteon pool --json` prints, except for the folder."""
        first = self.sites[0]
        return {
            "model": {
                "name": first.model_name,
                "version": first.model_version,
                "sha256": first.model_sha256,
            },
            "outcome": first.outcome,
            "simulated": any(site.simulated for site in self.sites),
            "sites": [
                {
                    "site": site.site,
                    "patients": site.patients,
                    "events": site.events,
                    "metrics": [metric.as_json() for metric in _poolable(site.metrics)],
                }
                for site in self.sites
            ],
            "pooled": [pooled.as_json() for pooled in self.pooled],
        }

    def at_sites(self, metric: str, horizon_days: float) -> list[tuple[str, Metric]]:
        """Return a metric of every site that has one, with the site's name."""
        return [
            (site.site, found)
            for site in self.sites
            for found in site.metrics
            if (found.metric, found.horizon_days) == (metric, horizon_days) and found.has_interval
        ]


def pool_sites(shared: Sequence[SharedValidation]) -> PooledValidation:
    """Pool validations of one version by random-effects meta-analysis.

    Raises
    ------
    UsageError
        If there are fewer than three, they are of different versions or outcomes, or two are of the
        same cohort.

    Notes
    -----
    Areas are pooled as log-odds, observed over expected events as logarithms, by restricted maximum
    likelihood with Hartung and Knapp's interval (`models.metrics.pooling.random_effects`).
    """
    if len(shared) < _FEWEST_SITES:
        raise UsageError(
            f"sites must number at least {_FEWEST_SITES} to be pooled; got {len(shared)}. A "
            "prediction interval for a new site has no meaning for fewer."
        )
    if len({one.model_sha256 for one in shared}) > 1 or len({one.outcome for one in shared}) > 1:
        raise UsageError(
            f"sites must have validated one version to be pooled; the {len(shared)} folders are of "
            f"{len({one.model_sha256 for one in shared})}. A validation holds for its version only."
        )
    cohorts = len({one.cohort_fingerprint for one in shared})
    if cohorts < len(shared):
        raise UsageError(
            f"sites must have validated different cohorts; the {len(shared)} folders are of "
            f"{cohorts}. Leave out what is given twice."
        )
    named = tuple(_named(one, number) for number, one in enumerate(shared, start=1))
    pooled = PooledValidation(named, ())
    horizons = dict.fromkeys(
        metric.horizon_days for one in named for metric in one.metrics if metric.horizon_days
    )
    found = []
    for days in horizons:
        for spec in shown_in(Place.POOLED):
            metrics = [metric for _, metric in pooled.at_sites(spec.name, days)]
            together = pool_metric(metrics) if metrics else None
            if together is not None:
                found.append(together)
    if not found:
        raise DataError(
            "no metric has an interval at three sites, so nothing can be pooled. Validate on more "
            "patients."
        )
    return PooledValidation(named, tuple(found))


def _named(one: SharedValidation, number: int) -> SharedValidation:
    """Return a validation whose site has a name."""
    return one if one.site else replace(one, site=f"site {number}")


def _poolable(metrics: Sequence[Metric]) -> list[Metric]:
    names = {spec.name for spec in shown_in(Place.POOLED)}
    return [metric for metric in metrics if metric.metric in names]
