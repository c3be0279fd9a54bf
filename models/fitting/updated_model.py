"""A fitted model with an update applied: the same parts, recalibrated, under an updated contract.

The update enters the recalibration of every part, so that risks, intervals, curves and
contributions follow it wherever the model is asked, and the bundle keeps its format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.fitting.recalibration import AffineUpdate, SiteLevels
from models.inference.contract import Contract, Feature, IntervalFacts
from models.inference.parameters import Calibration, ModelParameters, SiteShifts, Unsettled
from models.inference.risk_model import RiskModel

__all__ = ["SITE", "updated_model"]

SITE = "site"
"""The feature that a model updated by site reads: the name of the hospital or unit."""


def updated_model(
    risk_model: RiskModel,
    update: AffineUpdate,
    *,
    sites: SiteLevels | None = None,
    competing: AffineUpdate | None = None,
) -> RiskModel:
    """Return a model whose log-odds are updated.

    Parameters
    ----------
    risk_model : RiskModel
        Unchanged.
    update : AffineUpdate
        Of the outcome's log-odds.
    sites : SiteLevels, optional
        Levels by site beside it; the model then reads the feature `SITE`, which may be left empty.
    competing : AffineUpdate, optional
        Of the competing event's log-odds (default: unchanged).

    Notes
    -----
    Contributions and the variance that missing values leave open are multiplied by the slope, or
    its square. The interval gets the sampling variance of the update beside that of the model:
    the variance of level and slope at a patient is bounded by B/2 (1 + d^2/s^2), the form in which
    the contract holds its allowance for bias.
    """
    parameters = risk_model.with_parameters(
        _updated_parameters(risk_model.parameters, update, sites, competing)
    )
    return parameters.with_contract(_updated_contract(risk_model.contract, update, sites))


def _updated_parameters(
    own: ModelParameters,
    update: AffineUpdate,
    sites: SiteLevels | None,
    competing: AffineUpdate | None,
) -> ModelParameters:
    """Return the parameters of every part with its recalibration updated."""
    main, *folds = (
        replace(part, calibration=_composed(part.calibration, update))
        for part in (own.main, *own.folds)
    )
    second = own.competing
    if second is not None and competing is not None:
        second = replace(second, calibration=_composed(second.calibration, competing))
    before, names = own.sites, () if sites is None else tuple(sites.shift)
    if before is not None:
        # An earlier update by site stays in force; its levels are on the scale before this update.
        before = replace(
            before,
            shift=tuple(update.slope * shift for shift in before.shift),
            variance=tuple(update.slope**2 * variance for variance in before.variance),
            between=update.slope**2 * before.between,
        )
    if sites is not None:
        before = SiteShifts(
            SITE,
            names,
            tuple(sites.shift[name] for name in names),
            tuple(sites.variance[name] for name in names),
            sites.between,
        )
    return replace(
        own,
        main=main,
        folds=tuple(folds),
        competing=second,
        unsettled=_scaled(own.unsettled, update.slope),
        sites=before,
    )


def _composed(calibration: Calibration, update: AffineUpdate) -> Calibration:
    """Return a recalibration followed by an update.

    With eta' = a(h) + b eta and eta = s(h) + c(h) u + d x, it is eta' = (a + b s)(h) + b c(h) u +
    b d x. Both shifts are lines between knots, so that their sum is one between all knots of both;
    the outer knots stay, because the gap c(h) is a line between them.
    """
    first, last = calibration.log_h[0], calibration.log_h[-1]
    knots = np.array(sorted({*calibration.log_h, *(h for h in update.log_h if first < h < last)}))
    shift = np.interp(knots, update.log_h, update.shift) + update.slope * calibration.shift_at(
        knots
    )
    return Calibration(
        tuple(knots.tolist()),
        tuple(shift.tolist()),
        update.slope * calibration.slope,
        (update.slope * calibration.gap[0], update.slope * calibration.gap[1]),
    )


def _scaled(unsettled: Unsettled, slope: float) -> Unsettled:
    """Return what missing values leave open, of log-odds that are multiplied by a slope."""
    return replace(unsettled, factor=slope**2 * unsettled.factor, own=slope**2 * unsettled.own)


def _updated_contract(
    contract: Contract, update: AffineUpdate, sites: SiteLevels | None
) -> Contract:
    """Return the contract with the interval's width, and the feature of sites, updated."""
    features, example = contract.features, contract.example
    if sites is not None:
        example = {**example, SITE: None}
        features = (*(f for f in features if f.name != SITE), _site_feature(tuple(sites.shift)))
    return replace(
        contract,
        features=features,
        example=example,
        interval=_interval(contract.interval, update, contract.grid_days),
        log_odds_variance=tuple(update.slope**2 * v for v in contract.log_odds_variance),
    )


def _interval(
    interval: IntervalFacts, update: AffineUpdate, grid_days: Sequence[float]
) -> IntervalFacts:
    """Return the width of the interval after an update."""
    # The variance of a + b (eta - c') at a patient, with c' the local mean, is v_a + v_b (eta -
    # c')^2 <= v_a + 2 v_b (c - c')^2 + 2 v_b (eta - c)^2, with c the contract's `center`. Half of
    # B (1 + (eta - c)^2 / s^2) is at least that for B = 2 max(v_a + 2 v_b (c - c')^2, 2 v_b s^2).
    center, spread = np.asarray(interval.center), np.asarray(interval.spread)
    apart = update.variance_of_level + 2 * update.variance_of_slope * (center - update.center) ** 2
    added = 2 * np.maximum(apart, 2 * update.variance_of_slope * spread)
    slope, shift = update.slope, update.shift_at(grid_days)
    return replace(
        interval,
        squared_bias=_floats(slope**2 * np.asarray(interval.squared_bias) + added),
        center=_floats(shift + slope * center),
        spread=_floats(slope**2 * spread),
    )


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _site_feature(names: tuple[str, ...]) -> Feature:
    """Return the feature by which a model knows the patient's hospital or unit."""
    return Feature(
        name=SITE,
        variable=SITE,
        label="Hospital or unit",
        pathway="care",
        kind="category",
        unit="",
        low=None,
        high=None,
        categories=names,
        direction=0,
    )
