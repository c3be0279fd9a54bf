"""Which columns a model reads from a frame, and the kind of each.

Part of every bundle's `model.py`: it imports only the standard library.
"""

from models.inference.contract import Contract

__all__ = ["NOT_DONE", "POLICY_COLUMNS", "columns_read", "guard_columns", "not_done_columns"]

NOT_DONE = "__not_done"
"""How the column ends that flags a variable as recorded as not done."""

POLICY_COLUMNS = (
    "dead_at_time_zero",
    "comfort_care_at_time_zero",
    "asked_after_days",
    "lowest_age",
    "record_incomplete",
)
"""Columns about the request rather than the patient's values, by which patients are refused.

Numbers, none of them required: whether the patient may have been dead at time zero, and whether the
goal of care was comfort then (1 or 0); the days from time zero to the request, negative where time
zero is in the future; the lowest age that a date of birth without its day allows; and whether a
part of the record is known to be missing (1 or 0).
"""


def guard_columns(contract: Contract) -> tuple[str, ...]:
    """Return the columns that refusals and warnings depend on: numbers, none of them required."""
    special = [column for rule in contract.guard.special for column, *_ in rule.when]
    return tuple(dict.fromkeys(("age", "pregnant", *special)))


def not_done_columns(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Return the flag of "recorded as not done" of each variable that a model reads.

    Each comes with the feature columns of its variable, which must have no value where it is 1.
    None of these flags is required, whether or not the model learned from it: without one, what
    has no value is not entered.
    """
    columns: dict[str, tuple[str, ...]] = {}
    for feature in contract.features:
        flag = f"{feature.variable}{NOT_DONE}"
        values = columns.get(flag, ())
        columns[flag] = values if feature.name == flag else (*values, feature.name)
    return columns


def columns_read(contract: Contract) -> dict[str, str]:
    """Return what a model reads of a frame: column -> "numbers", "text" or "identifiers".

    Identifiers, then the columns of the policy and of the guard, the flags of "recorded as not
    done" and the features; only the features are required, and of these not the flags.
    """
    identifiers = dict.fromkeys(("patient_id", "stay_id", "time_zero"), "identifiers")
    guard = dict.fromkeys((*POLICY_COLUMNS, *guard_columns(contract)), "numbers")
    features = {
        feature.name: "text" if feature.kind == "category" else "numbers"
        for feature in contract.features
    }
    states = dict.fromkeys(not_done_columns(contract), "numbers")
    return identifiers | guard | states | features
