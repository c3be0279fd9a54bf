"""How many patients a study needs to show by how much a panel of markers raises the AUC."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import multivariate_normal, norm

from models.metrics.comparison.paired_changes import MARGIN
from models.metrics.intervals import widening_of_folds

__all__ = ["GainSize", "gain_size", "gain_variance"]

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class GainSize:
    """Patients needed for the interval of a gain in the AUC to lie above the margin.

    Parameters
    ----------
    base_auroc, gain, event_rate : float
        Expected AUC of the base, gain of the panel, and risk by the horizon.
    margin : float
        Gain that is still of no practical use.
    power : float
        Probability that the lower end of the interval lies above the margin.
    folds : int
        Folds of the cross-validation in which both models are judged.
    unit_variance : float
        Variance of the gain times the patients: the standard error at n patients is its root over
        the root of n.
    for_precision : int
        Patients at which the interval of the expected gain just excludes the margin: half of the
        studies of that size would show it.
    for_power : int
        Patients at which a share `power` of the studies would.
    half_width : float
        Half of the width of the interval at `for_power` patients.
    """

    base_auroc: float
    gain: float
    event_rate: float
    margin: float
    power: float
    folds: int
    unit_variance: float
    for_precision: int
    for_power: int
    half_width: float

    def as_json(self) -> dict[str, object]:
        """Return the calculation as a mapping."""
        return asdict(self)


def gain_variance(base_auroc: float, gain: float, event_rate: float) -> float:
    r"""Return the variance of a paired difference of two AUCs, times the number of patients.

    The outcome of every patient by the horizon is taken to be known.

    Parameters
    ----------
    base_auroc : float
        AUC without the panel, at least 0.5.
    gain : float
        What the panel adds, above 0; the AUC with it must lie below 1.
    event_rate : float
        Risk by the horizon, strictly between 0 and 1.

    Returns
    -------
    float
        :math:`n \operatorname{Var}(\hat A_1 - \hat A_0)`.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    DeLong's variance [1]_ in the binormal model [2]_: the best linear score of the base has a
    distance of :math:`d_0 = \sqrt 2\,\Phi^{-1}(A_0)` standard deviations between patients with and
    without the event, that of base and panel :math:`d_1`. As the first score is the best one of
    part of what the second knows, both correlate by :math:`\rho = d_0 / d_1` among patients of
    the same outcome, however the markers correlate with the base. With :math:`a_k = d_k / \sqrt 2`
    and the bivariate normal distribution function :math:`\Phi_2`,

    .. math::

        n \operatorname{Var} = \left(\frac{1}{\phi} + \frac{1}{1 - \phi}\right)
        \left[\Phi_2(a_1, a_1; \frac{1}{2}) + \Phi_2(a_0, a_0; \frac{1}{2})
        - 2\,\Phi_2(a_0, a_1; \frac{\rho}{2}) - (A_1 - A_0)^2\right].

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson. Biometrics 44 (1988) 837-845. doi:10.2307/2531595
    .. [2] Obuchowski & McClish. Stat Med 16 (1997) 1529-1542.
       doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H

    Examples
    --------
    >>> round(gain_variance(0.75, 0.03, 0.25), 3)
    0.087
    """
    if not 0.5 <= base_auroc < 1 or not 0 < gain < 1 - base_auroc or not 0 < event_rate < 1:
        raise ValueError(
            "base_auroc must be at least 0.5, gain above 0 with a sum below 1, and event_rate "
            f"strictly between 0 and 1; got {base_auroc}, {gain} and {event_rate}."
        )
    areas = np.array([base_auroc, base_auroc + gain])
    quantiles = norm.ppf(areas)
    ratio = float(quantiles[0] / quantiles[1])

    def both_above(first: int, second: int, correlation: float) -> float:
        covariance = [[1.0, correlation], [correlation, 1.0]]
        return float(multivariate_normal.cdf([quantiles[first], quantiles[second]], cov=covariance))

    # Of one patient with the event, the placement in score k is Phi of that score: its mean is the
    # area, and the mean of a product of two is the probability that two patients without the event
    # lie below, one in each score. Placements of the others vary equally, by symmetry.
    of_one = (
        both_above(1, 1, 0.5)
        + both_above(0, 0, 0.5)
        - 2 * both_above(0, 1, ratio / 2)
        - float(areas[1] - areas[0]) ** 2
    )
    return (1 / event_rate + 1 / (1 - event_rate)) * of_one


def gain_size(
    *, base_auroc: float, gain: float, event_rate: float, power: float = 0.9, folds: int = 5
) -> GainSize:
    r"""Return how many patients are needed for the whole interval of a gain to exceed the margin.

    Parameters
    ----------
    base_auroc, gain, event_rate : float
        As in `gain_variance`; the gain must exceed `MARGIN`.
    power : float
        Probability of that result, at least 0.5.
    folds : int
        Folds of the cross-validation, 2 or more.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    :math:`n = w^2\,v\,\left(z_{0.975} + z_{power}\right)^2 / (\Delta - \delta)^2` with the variance
    v of `gain_variance`, the gain :math:`\Delta`, the margin :math:`\delta`, and
    :math:`w^2 = 1 + K / (K - 1)`, the widening for training sets that folds share [1]_. That
    widening stands for what another sample of training patients would change, so it applies to the
    estimate as to its interval.

    References
    ----------
    .. [1] Nadeau & Bengio. Mach Learn 52 (2003) 239-281. doi:10.1023/A:1024068626366

    Examples
    --------
    >>> gain_size(base_auroc=0.75, gain=0.03, event_rate=0.25).for_power
    5117
    """
    if not gain > MARGIN:
        raise ValueError(
            f"gain must exceed the margin of {MARGIN:g}; got {gain:g}. A gain up to the margin "
            "cannot be shown to add, whatever the size of the study."
        )
    if not 0.5 <= power < 1 or folds < 2:
        raise ValueError(
            "power must be at least 0.5 and below 1, and folds 2 or more; "
            f"got {power:g} and {folds}."
        )
    variance = gain_variance(base_auroc, gain, event_rate)
    widened = variance * widening_of_folds(folds) ** 2
    level = float(norm.ppf(0.5 + _LEVEL / 2))

    def patients(distance: float) -> int:
        return int(np.ceil(widened * (distance / (gain - MARGIN)) ** 2))

    for_power = patients(level + float(norm.ppf(power)))
    return GainSize(
        base_auroc=base_auroc,
        gain=gain,
        event_rate=event_rate,
        margin=MARGIN,
        power=power,
        folds=folds,
        unit_variance=variance,
        for_precision=patients(level),
        for_power=for_power,
        half_width=level * float(np.sqrt(widened / for_power)),
    )
