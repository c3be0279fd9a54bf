"""How many patients a model needs to learn from, given its number of parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

__all__ = ["USUAL_NAGELKERKE", "SampleSize", "sample_size"]

USUAL_NAGELKERKE = 0.15
"""Share of the largest possible R2 that Riley et al. advise to assume by default."""

_SHRINKAGE = 0.9
_OPTIMISM = 0.05
_MARGIN = 0.05
_HALF_WIDTH = 1.96


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Patients needed by each criterion of Riley et al., and the largest, `needed`.

    Parameters
    ----------
    parameters : int
        Candidate predictor parameters: columns of a linear model.
    event_rate : float
        Observed risk at the horizon.
    r2 : float
        Cox-Snell R2 that is expected.
    for_shrinkage : int
        Expected shrinkage of at least 0.9.
    for_optimism : int
        At most 0.05 between apparent and adjusted Nagelkerke R2.
    for_overall_risk : int
        Overall risk known to within 0.05.
    """

    horizon_days: float
    parameters: int
    event_rate: float
    r2: float
    for_shrinkage: int
    for_optimism: int
    for_overall_risk: int

    @property
    def needed(self) -> int:
        """Patients that meet every criterion."""
        return max(self.for_shrinkage, self.for_optimism, self.for_overall_risk)

    def as_json(self) -> dict[str, object]:
        """Return the criteria as a mapping."""
        return asdict(self) | {"needed": self.needed}


def sample_size(
    *, horizon_days: float, parameters: int, event_rate: float, r2: float | None = None
) -> SampleSize:
    r"""Return how many patients a prediction model needs, for an outcome by a horizon.

    Derived for regression without a penalty: a penalised or boosted model may need fewer or more.
    Too few patients is a warning; enough patients proves nothing.

    Parameters
    ----------
    parameters : int
        Candidate predictor parameters, at least 1.
    event_rate : float
        Risk at the horizon, strictly between 0 and 1.
    r2 : float, optional
        Expected Cox-Snell R2 (default: 15 % of the largest that the event rate allows).

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    With :math:`R^2_{max} = 1 - (\phi^\phi (1 - \phi)^{1 - \phi})^2` and
    :math:`n(S) = p / ((S - 1) \log(1 - R^2 / S))`: n(0.9);
    n(S) at :math:`S = R^2 / (R^2 + 0.05 R^2_{max})`; and
    :math:`(1.96 / 0.05)^2 \phi (1 - \phi)` [1]_.

    References
    ----------
    .. [1] Riley et al. Stat Med 38 (2019) 1276-1296. doi:10.1002/sim.7992

    Examples
    --------
    >>> sample_size(horizon_days=28, parameters=24, event_rate=0.174, r2=0.288).needed
    662
    """
    if parameters < 1 or not 0 < event_rate < 1:
        raise ValueError(
            "parameters must be at least 1 and event_rate strictly between 0 and 1; "
            f"got {parameters} and {event_rate}."
        )
    highest = 1 - (event_rate**event_rate * (1 - event_rate) ** (1 - event_rate)) ** 2
    expected = USUAL_NAGELKERKE * highest if r2 is None else r2
    if not 0 < expected < highest:
        raise ValueError(f"r2 must lie strictly between 0 and {highest:.3f}; got {expected}.")

    def patients(shrinkage: float) -> int:
        return int(np.ceil(parameters / ((shrinkage - 1) * np.log(1 - expected / shrinkage))))

    return SampleSize(
        float(horizon_days),
        parameters,
        event_rate,
        expected,
        patients(_SHRINKAGE),
        patients(expected / (expected + _OPTIMISM * highest)),
        int(np.ceil((_HALF_WIDTH / _MARGIN) ** 2 * event_rate * (1 - event_rate))),
    )
