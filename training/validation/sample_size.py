"""Whether a cohort is large enough for the number of columns of a model."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import Finding
from models.censoring import CensoringDistribution
from models.fitting.encoding import fit_encoding
from models.metrics.known_outcome import known_outcome, why_not_evaluable
from models.metrics.sample_size import SampleSize, sample_size

__all__ = ["patients_needed", "too_few_patients"]


def patients_needed(cohort: Cohort, horizons_days: Sequence[float]) -> tuple[SampleSize, ...]:
    """Return the sample size that a model of all columns needs, at each horizon with outcomes.

    Returns
    -------
    tuple of SampleSize
        Parameters are columns of numbers and flags, and levels of categories beyond the first; the
        flags of what was not measured are not counted.
    """
    outcome = outcome_of(cohort)
    encoding = fit_encoding(cohort.features, cohort.patient_id)
    parameters = len(encoding.numbers) + sum(
        max(len(levels) - 1, 1) for _, levels in encoding.levels
    )
    censoring = CensoringDistribution.fit(outcome.time_days, outcome.event)
    sizes = []
    for days in horizons_days:
        if why_not_evaluable(
            outcome.time_days, outcome.event, days, censoring, groups=cohort.patient_id
        ):
            continue
        rate = known_outcome(outcome.time_days, outcome.event, days).event_rate
        sizes.append(sample_size(horizon_days=days, parameters=parameters, event_rate=float(rate)))
    return tuple(sizes)


def too_few_patients(n_patients: int, needed: Sequence[SampleSize]) -> tuple[Finding, ...]:
    """Return a warning if there are fewer training patients than any horizon needs."""
    short = [size for size in needed if n_patients < size.needed]
    if not short:
        return ()
    worst = max(short, key=lambda size: size.needed)
    return (
        Finding(
            "sample_size",
            "patients",
            n_patients,
            f"there should be at least {worst.needed:,} training patients for "
            f"{worst.parameters} candidate parameters and the risk at {worst.horizon_days:g} days "
            f"(Riley et al. 2019); got {n_patients:,}. Leave out columns, or expect risks that are "
            "too extreme.",
        ),
    )
