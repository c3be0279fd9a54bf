"""The result of one check of an installation, as `osteon doctor` prints it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result.

    Parameters
    ----------
    check : str
        Name of the check.
    detail : str
        The result in words; never a secret.
    trouble : {"", "gate", "usage", "outside"}
        Kind of error if it is not ok, which decides on the exit code.
    """

    check: str
    ok: bool
    detail: str
    trouble: Literal["", "gate", "usage", "outside"] = ""

    def as_json(self) -> dict[str, object]:
        """Return the check as the command line prints it."""
        return asdict(self)
