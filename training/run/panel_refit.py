"""The fit without the panel of markers that a bundle carries where the panel adds something."""

from __future__ import annotations

from data_schema.cohort import Cohort
from models.fitting.training_cohort import Progress
from models.inference.risk_model import RiskModel
from training.config import RunConfig
from training.fit import refit, with_columns

__all__ = ["with_panel_refit"]


def with_panel_refit(
    risk_model: RiskModel,
    learned_from: Cohort,
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> RiskModel:
    """Return the model with a fit to the same patients without its panel, if the panel adds.

    Only then is what the panel changes shown beside a risk, so that other bundles stay as they
    are. No risk of the model depends on it.

    Parameters
    ----------
    risk_model : RiskModel
        With the contract of the run, which holds the verdict on the panel.
    learned_from : Cohort
        The patients that the model learned from, with the columns that it reads.
    """
    contract = risk_model.contract
    if contract.panel is None or contract.panel.verdict != "adds":
        return risk_model
    panel = set(contract.panel.variables)
    others = [feature.name for feature in contract.features if feature.variable not in panel]
    without = with_columns(learned_from, others)
    fitted = refit(
        without, contract.default_horizons_days, config, risk_only=True, progress=progress
    )
    return risk_model.with_panel_refit(fitted.risk_model_)
