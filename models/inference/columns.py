"""Which columns a model reads from a frame, and the kind of each.

Part of every bundle's `model.py`: it imports only the standard library.
"""

from models.inference.contract import Contract

__all__ = ["columns_read", "guard_columns"]


def guard_columns(contract: Contract) -> tuple[str, ...]:
    """Return the columns that refusals and warnings depend on: numbers, none of them required."""
    special = [column for rule in contract.guard.special for column, *_ in rule.when]
    return tuple(dict.fromkeys(("age", "pregnant", *special)))


def columns_read(contract: Contract) -> dict[str, str]:
    """Return what a model reads of a frame: column -> "numbers", "text" or "identifiers".

    Identifiers, then the guard's columns, then the features; only the features are required.
    """
    identifiers = dict.fromkeys(("patient_id", "stay_id", "time_zero"), "identifiers")
    guard = dict.fromkeys(guard_columns(contract), "numbers")
    features = {
        feature.name: "text" if feature.kind == "category" else "numbers"
        for feature in contract.features
    }
    return identifiers | guard | features
