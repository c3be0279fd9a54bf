"""What a run states of its search for settings of the boosted part, from the model's contract."""

from __future__ import annotations

from collections.abc import Mapping

from models.inference.contract import Contract

__all__ = ["tuned_settings"]


def tuned_settings(contract: Contract) -> str:
    """Return, in one or two sentences, how the settings were searched for and what they are.

    Empty where the run did not search: the settings are then those it states, or the defaults.
    """
    tuning, boosting = contract.run.get("tuning"), contract.run.get("boosting")
    if not isinstance(tuning, Mapping) or not isinstance(boosting, Mapping):
        return ""
    found = {**boosting, "max_trees": contract.run.get("max_trees")}
    settings = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.items()
    )
    return (
        f"The settings of the boosted part were searched for in {tuning['trials']} trials (tree-"
        "structured Parzen estimator), the defaults first, on out-of-fold log-loss among the "
        f"patients not held out. Chosen: {settings}."
    )
