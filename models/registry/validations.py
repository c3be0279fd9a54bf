"""External validations of a version, listed with it in the registry.

A validation is of one bundle: it says nothing of another version. The record is a tag of the
version, so that any user of the registry could change it; it grants nothing, and the gate does not
read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from data_schema.errors import UsageError
from models.metrics.metric import Metric, metrics_from_json
from models.registry.tracking import connect, outside_errors
from models.registry.versions import Version

__all__ = [
    "Validation",
    "add_validation",
    "check_site",
    "not_of_version",
    "validations_of",
]

_PREFIX = "osteon.validation."
_LONGEST_SITE = 80
_LISTED = ("auroc", "oe_ratio", "calibration_slope")


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation of a version.

    Parameters
    ----------
    site : str
        Who validated it, as stated; empty if it was not.
    patients, events : int or None
        Of the cohort; None where the count would describe few patients.
    cohort_fingerprint : str
        Of the cohort.
    metrics : tuple of Metric
        Discrimination and calibration at the primary horizon.
    simulated : bool
        Whether the cohort was simulated.
    by, at : str
        User and RFC 3339 time.
    """

    site: str
    patients: int | None
    events: int | None
    cohort_fingerprint: str
    metrics: tuple[Metric, ...]
    simulated: bool
    by: str
    at: str

    def as_json(self) -> dict[str, object]:
        """Return the validation as the command line prints it."""
        return {
            "site": self.site,
            "patients": self.patients,
            "events": self.events,
            "cohort_fingerprint": self.cohort_fingerprint,
            "metrics": [metric.as_json() for metric in self.metrics],
            "simulated": self.simulated,
            "by": self.by,
            "at": self.at,
        }

    @property
    def sentence(self) -> str:
        """Where, on how many patients, and with which figures."""
        where = self.site or "an unnamed site"
        size = "few patients" if self.patients is None else f"{self.patients:,} patients"
        figures = "; ".join(
            f"{metric.metric} {metric.estimate:.3f} ({metric.low:.3f} to {metric.high:.3f})"
            for metric in self.metrics
            if metric.is_defined
        )
        simulated = " simulated" if self.simulated else ""
        at = f" at {self.metrics[0].horizon_days:g} days" if self.metrics else ""
        return f"{where}, {self.at[:10]}:{simulated} {size}{at}: {figures or 'no figures'}"


def check_site(site: str) -> None:
    """Raise UsageError unless the name of a site is a short printable line."""
    if len(site) > _LONGEST_SITE or (site and not site.isprintable()):
        raise UsageError(
            f"--site must be one line of at most {_LONGEST_SITE} printable characters. It is "
            "stored in the registry: name no patient."
        )


def add_validation(
    version: Version,
    *,
    site: str,
    patients: int | None,
    events: int | None,
    cohort_fingerprint: str,
    metrics: Sequence[Metric],
    horizon_days: float,
    simulated: bool,
    by: str,
) -> Validation:
    """List a validation with a version, in the place of an earlier one of the same cohort.

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    listed = tuple(
        replace(metric, note="")
        for name in _LISTED
        for metric in metrics
        if metric.metric == name and metric.horizon_days == horizon_days
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    validation = Validation(site, patients, events, cohort_fingerprint, listed, simulated, by, at)
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no version {version.version}."):
        client.set_model_version_tag(
            version.name,
            version.version,
            f"{_PREFIX}{cohort_fingerprint[:16]}",
            json.dumps(validation.as_json(), sort_keys=True),
        )
    return validation


def validations_of(version: Version) -> tuple[Validation, ...]:
    """Return the validations listed with a version, the earliest first; unreadable ones not."""
    found = []
    for tag, text in version.tags.items():
        if not tag.startswith(_PREFIX):
            continue
        try:
            content = json.loads(text)
            metrics = metrics_from_json(content["metrics"])
            found.append(Validation(**content | {"metrics": metrics}))
        except (ValueError, TypeError, KeyError):
            continue
    return tuple(sorted(found, key=lambda validation: validation.at))


def not_of_version(version: Version, versions: Sequence[Version]) -> tuple[str, ...]:
    """Return which validations of other versions do not hold for this one, as sentences.

    A version with the same bundle is no other.
    """
    return tuple(
        f"version {other.version} was validated at {validation.sentence}"
        for other in sorted(versions, key=lambda other: int(other.version))
        if other.sha256 != version.sha256
        for validation in validations_of(other)
    )
