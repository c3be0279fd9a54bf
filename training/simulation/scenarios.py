"""The simulated populations, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from data_schema.errors import UsageError

__all__ = ["SCENARIOS", "Scenario", "scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A simulated population, by its differences from `published`.

    Parameters
    ----------
    summary : str
        One sentence.
    patients : int or None
        The only size it allows; None for any.
    panel_informs : bool
        Whether blood and urine markers of bone and immunity carry information on the outcome beyond
        recorded severity and person.
    shifted_site : bool
        Whether the last site has other patients, kits and risks.
    drift : bool
        Whether patients, kits and risks change over the years.
    testing_by_severity : float
        Log odds ratio of ordering a costly panel per standard deviation of hidden severity.
    censoring_by_facts : bool
        Whether older and sicker patients are lost to follow-up sooner.
    complete : bool
        Whether every marker is measured in every patient.
    """

    name: str
    summary: str
    patients: int | None = None
    panel_informs: bool = True
    shifted_site: bool = False
    drift: bool = False
    testing_by_severity: float = 0.0
    censoring_by_facts: bool = False
    complete: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    entry.name: entry
    for entry in (
        Scenario("published", "Calibrated to the published figures; tests are ordered by chance."),
        Scenario(
            "no-added-value",
            "Bone, mineral, hormone and immune markers are independent of the outcome given "
            "recorded severity and person.",
            panel_informs=False,
        ),
        Scenario(
            "shifted-site",
            "The last site has older patients, other kits and a higher risk of death.",
            shifted_site=True,
        ),
        Scenario(
            "drift",
            "Over the years patients grow older, fewer die, and a kit is replaced.",
            drift=True,
        ),
        Scenario("small", "As published, with 300 patients.", patients=300),
        Scenario(
            "informative-testing",
            "Sicker patients get more tests, so that ordering a test is itself informative.",
            testing_by_severity=0.6,
        ),
        Scenario(
            "covariate-censoring",
            "Older and sicker patients are lost to follow-up sooner.",
            censoring_by_facts=True,
        ),
        Scenario(
            "complete",
            "Every marker is measured in every patient, as no hospital does.",
            complete=True,
        ),
    )
}


def scenario(name: str) -> Scenario:
    """Return the scenario of the given name.

    Examples
    --------
    >>> scenario("small").patients
    300
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    close = difflib.get_close_matches(name, SCENARIOS, n=1)
    raise UsageError(
        f"scenario must be one of {', '.join(SCENARIOS)}; got {name!r}."
        + (f" Did you mean {close[0]}?" if close else "")
    )
