"""The errors Osteon raises on purpose, as one tree.

Exit codes are assigned in `training/cli/main.py` and HTTP status in
`serving/problems/details.py`. A message names the thing, the rule and a count; it never holds a
patient's value. The tree::

    OsteonError
    |-- DataError          broken rule, leak, too few patients               (exit 1, HTTP 422)
    |   `-- RulesBroken    a whole report of broken rules
    |-- GateError          no gate record, or figures below the bar          (exit 1, HTTP 503)
    |-- UsageError         unknown name, file, horizon or option             (exit 2, HTTP 422)
    `-- OutsideError       failure of registry, database or disk             (exit 3, HTTP 503)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "DataError",
    "Finding",
    "GateError",
    "OsteonError",
    "OutsideError",
    "RulesBroken",
    "UsageError",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: which rule, on which variable, in how many rows, and what to do."""

    rule: str
    variable: str
    count: int
    message: str


class OsteonError(Exception):
    """Root of everything Osteon raises on purpose."""


class DataError(OsteonError):
    """The data break a rule."""


class RulesBroken(DataError):
    """The data break the rules listed in `findings`."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"[{f.rule}] {f.message}" for f in self.findings))


class GateError(OsteonError):
    """A model may not be promoted or served."""


class UsageError(OsteonError):
    """The caller asked for something that does not exist or is not allowed."""


class OutsideError(OsteonError):
    """Something Osteon depends on failed: registry, database, file system."""
