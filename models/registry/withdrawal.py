"""The end of an approval: a version that was marked unfit, with the reason.

The mark is a tag of the version, and counts for every version of the model that holds the same
bundle. A user of the registry can delete a tag; `osteon withdraw` therefore writes the audit trail
too, which the service reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from data_schema.errors import GateError, UsageError
from models.registry.tracking import connect, outside_errors
from models.registry.versions import Version, find_version

__all__ = [
    "VersionWithdrawn",
    "Withdrawal",
    "check_reason",
    "check_standing",
    "reason_of",
    "withdraw",
    "withdrawal_of",
]

_TAG = "osteon.withdrawn"
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Why a version is unfit, by which user it was withdrawn, and when (RFC 3339)."""

    why: str
    by: str
    at: str


class VersionWithdrawn(GateError):
    """A version was withdrawn; `sha256` is the hash of its bundle."""

    def __init__(self, name: str, version: str, sha256: str, why: str) -> None:
        self.sha256 = sha256
        super().__init__(
            f"{name} version {version} was withdrawn: {why} It is never served again. Promote "
            "another version, or run `osteon rollback`."
        )


def withdraw(name: str, version: str, *, why: str, by: str) -> Version:
    """Mark a version as unfit and take the alias champion from it; return it as it was before.

    Raises
    ------
    UsageError
        If there is no such version, or the reason is not one printable line.
    OutsideError
        If the registry fails.
    """
    check_reason(why)
    withdrawn = find_version(name, version=version)
    if not withdrawn.sha256:
        raise UsageError(f"{name} version {version} must be a version that Osteon registered.")
    mark = Withdrawal(why, by, datetime.now(UTC).isoformat(timespec="seconds"))
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no version {version} of {name}."):
        client.set_model_version_tag(name, version, _TAG, json.dumps(asdict(mark), sort_keys=True))
        # So that other MLflow clients do not use it either.
        if "champion" in withdrawn.aliases:
            client.delete_registered_model_alias(name, "champion")
    return withdrawn


def check_reason(why: str) -> None:
    """Raise UsageError unless a reason is one printable line."""
    if not why.strip() or not why.isprintable() or len(why) > _LONGEST_REASON:
        raise UsageError(
            f"--why must be one line of 1 to {_LONGEST_REASON} printable characters. It is stored "
            "in registry and audit trail: name no patient."
        )


def check_standing(version: Version, versions: Iterable[Version]) -> None:
    """Raise unless neither a version nor another with the same bundle was withdrawn.

    Parameters
    ----------
    versions : iterable of Version
        All versions of the model.

    Raises
    ------
    VersionWithdrawn
        With the reason.
    """
    for one in (version, *versions):
        mark = one.tags.get(_TAG)
        is_same = one.version == version.version or one.sha256 == version.sha256
        if mark is not None and is_same:
            raise VersionWithdrawn(version.name, version.version, version.sha256, _reason(mark))


def reason_of(version: Version) -> str | None:
    """Return why a version was withdrawn, or None if it was not."""
    mark = version.tags.get(_TAG)
    return None if mark is None else _reason(mark)


def withdrawal_of(version: Version) -> Withdrawal | None:
    """Return why, by which user and when a version was withdrawn.

    None if it was not, or if the mark cannot be read, where `reason_of` still states a reason.
    """
    try:
        return Withdrawal(**json.loads(version.tags[_TAG]))
    except (KeyError, ValueError, TypeError):
        return None


def _reason(mark: str) -> str:
    """Return the reason that a tag states, as a sentence."""
    try:
        why = str(Withdrawal(**json.loads(mark)).why)
    except (ValueError, TypeError):
        why = "the mark cannot be read"
    return why if why.endswith(".") else f"{why}."
