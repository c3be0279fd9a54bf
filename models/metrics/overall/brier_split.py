"""The Brier score in two parts: what recalibration would gain, and what would remain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.calibration.calibration import Recalibration, log_odds, recalibration
from models.metrics.calibration.logistic import expit
from models.metrics.known_outcome import KnownOutcome
from models.metrics.overall.brier import brier

__all__ = ["BrierSplit", "brier_split"]


@dataclass(frozen=True, slots=True)
class BrierSplit:
    """`calibration`, what recalibration would gain, and `refinement`, the score after it."""

    calibration: NDArray[np.float64]
    refinement: NDArray[np.float64]


def brier_split(
    outcome: KnownOutcome, risk: ArrayLike, *, recalibrated: Recalibration | None = None
) -> BrierSplit:
    r"""Return what recalibration would take off the Brier score, and what would remain.

    The two add up to the Brier score. `calibration` is best at 0; below 0, a recalibration learned
    from as many patients would add more noise than it removes error. `refinement` is better when
    lower: the score that these risks allow once they are calibrated, and so a measure of what they
    know about the outcome.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].
    recalibrated : Recalibration, optional
        Of the same outcome and risks (default: fitted here).

    Returns
    -------
    BrierSplit
        Each a float, or an ndarray of shape (n_resamples,). NaN where risk separates those with
        the event from the others, or is the same for all.

    Notes
    -----
    For a proper score the expected loss of risks r is the least that any function g of them can
    reach (refinement) plus the rest (calibration) [1]_ [2]_:
    :math:`\mathrm{E}(y - r)^2 = \min_g \mathrm{E}(y - g(r))^2 + \text{calibration}`.
    Here g is a logistic recalibration, :math:`\mathrm{logit}\,g(r) = a + b\,\mathrm{logit}(r)`,
    weighted for censoring. A patient's own outcome takes no part in that patient's recalibrated
    risk, so that fitting noise is not counted as miscalibration: the patient is left out by the
    Newton step from the fit to all, whose error is of the order of the squared leverage [3]_.
    Miscalibration that is no straight line in log-odds stays in `refinement`; the distances to the
    calibration curve (ICI) show it.

    References
    ----------
    .. [1] Broecker. Q J R Meteorol Soc 135 (2009) 1512-1519. doi:10.1002/qj.456
    .. [2] Berta, Holzmueller, Jordan & Bach. Rethinking early stopping: refine, then calibrate
       (2025). arXiv:2501.19195
    .. [3] Pregibon. Ann Stat 9 (1981) 705-724. doi:10.1214/aos/1176345513

    Examples
    --------
    >>> from models.metrics.known_outcome import KnownOutcome
    >>> risk = np.tile(np.linspace(0.05, 0.6, 2000), 2)
    >>> happened = np.arange(4000) < 2000
    >>> share = np.where(happened, risk, 1 - risk)  # of each risk, as many events as it says
    >>> outcome = KnownOutcome(happened, share, share)
    >>> abs(brier_split(outcome, risk).calibration).round(3)
    np.float64(0.0)
    >>> brier_split(outcome, risk / 2).calibration.round(2)  # half the risk: the mean of (r / 2)^2
    np.float64(0.03)
    """
    odds = log_odds(risk)
    best = recalibrated or recalibration(outcome, risk)
    # One column for each resample. With weights w, fitted risks p and v = p (1 - p), the curvature
    # is H = X' diag(w v) X, and leaving patient i out moves that patient's own log-odds by
    #   -w (y - p) q / (1 - w v q)   with   q = x' H^-1 x.
    weight = outcome.weight.reshape(len(odds), -1)
    margin = np.column_stack([np.ones(len(odds)), odds]) @ best.coefficients.reshape(2, -1)
    fitted = expit(margin)
    variance = fitted * (1 - fitted)
    spread = weight * variance
    h00, h01, h11 = np.stack([np.ones(len(odds)), odds, odds**2]) @ spread
    with np.errstate(invalid="ignore", divide="ignore"):
        determinant = h00 * h11 - h01**2
        # q is a parabola of the log-odds: a product of its powers with one column per resample.
        powers = np.column_stack([np.ones(len(odds)), odds, odds**2])
        quadratic = powers @ (np.stack([h11, -2 * h01, h00]) / determinant)
        own = weight if outcome.own_weight is None else outcome.own_weight
        quadratic *= own
        residual = (outcome.happened - fitted.T).T
        leave_out = residual * quadratic / (1 - variance * quadratic)
    recalibrated_risk = expit(margin - leave_out)
    squared = ((outcome.happened - recalibrated_risk.T).T) ** 2
    after = (weight * squared).sum(axis=0) / outcome.count.reshape(len(odds), -1).sum(axis=0)
    refinement = np.where(best.settled, after.reshape(outcome.weight.shape[1:]), np.nan)[()]
    return BrierSplit(brier(outcome, risk) - refinement, refinement)
