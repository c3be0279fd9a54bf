"""Whether markers add any information to other variables: a test of nested models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr
from scipy.special import expit
from scipy.stats import chi2

from models.folds import patient_codes

__all__ = ["LikelihoodRatio", "cox_log_likelihood", "likelihood_ratio", "logistic_log_likelihood"]

EVENTS_PER_PARAMETER = 10
"""With fewer events the statistic does not follow the distribution that the p-value assumes."""

_MAX_STEPS = 50
_TOLERANCE = 1e-10
_LARGEST = 30.0
_DEPENDENT = 1e-8

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """Twice the gain in log-likelihood, its degrees of freedom, p-value and share of the whole.

    `adequacy` is the share of the larger model's likelihood ratio that the smaller model reaches by
    itself: 1 means that the markers add nothing; NaN where the larger model explains nothing. All
    are NaN, with a `note`, where the test is not valid.
    """

    model: str
    statistic: float
    degrees_of_freedom: int
    p_value: float
    adequacy: float
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the test as a mapping; null stands for NaN."""
        return {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in asdict(self).items()
        }


def likelihood_ratio(
    time_days: ArrayLike,
    event: ArrayLike,
    without: _Floats,
    added: _Floats,
    *,
    fixed_horizon: bool = False,
    groups: ArrayLike | None = None,
) -> LikelihoodRatio:
    r"""Return the likelihood-ratio test of columns added to others.

    The most powerful test of added value, and the weakest claim: some linear effect of the markers
    exists in an unpenalised model fitted to all patients, not that predictions improve. A
    difference in AUROC between nested models fitted to the same patients has no valid test of its
    own [2]_.

    Parameters
    ----------
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event, which ends the observation: the hazard is
        the outcome's own.
    without, added : ndarray of float, shape (n_stays, n_columns)
        Without gaps, standardised; columns that depend on those before them are left out.
    fixed_horizon : bool
        Whether every outcome is known at one horizon: binomial likelihood, else Cox's.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay (default: each stay is a patient).

    Returns
    -------
    LikelihoodRatio
        Undefined where a patient has several stays: the likelihood takes them for independent, and
        noise would be significant too often.

    Notes
    -----
    :math:`2(\ell_1 - \ell_0) \sim \chi^2` with as many degrees of freedom as independent columns
    were added; Cox's partial likelihood with Efron's ties [1]_.

    References
    ----------
    .. [1] Efron. J Am Stat Assoc 72 (1977) 557-565. doi:10.1080/01621459.1977.10480613
    .. [2] Vickers, Cronin & Begg. BMC Med Res Methodol 11 (2011) 13. doi:10.1186/1471-2288-11-13

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> marker = rng.normal(size=(400, 1))
    >>> time = rng.exponential(np.exp(-marker[:, 0]))
    >>> test = likelihood_ratio(time, np.ones(400, int), rng.normal(size=(400, 1)), marker)
    >>> test.degrees_of_freedom, test.p_value < 0.001
    (1, True)
    """
    time, happened = np.asarray(time_days, dtype=np.float64), np.asarray(event) == 1
    smaller = _independent(without)
    whole = _independent(np.hstack([smaller, added]))
    model = "logistic" if fixed_horizon else "Cox, hazard of the outcome"
    added_terms = whole.shape[1] - smaller.shape[1]

    def undefined(note: str) -> LikelihoodRatio:
        return LikelihoodRatio(model, np.nan, added_terms, np.nan, np.nan, note)

    if len(np.unique(patient_codes(groups, len(time)))) < len(time):
        return undefined("some patients have several stays, which are not independent")
    if added_terms == 0:
        return undefined("the added columns depend on the others")
    outcomes = min(happened.sum(), (~happened).sum()) if fixed_horizon else happened.sum()
    if outcomes < EVENTS_PER_PARAMETER * whole.shape[1]:
        return undefined(f"needs {EVENTS_PER_PARAMETER} events for each parameter")

    def log_likelihood(columns: _Floats) -> float:
        if fixed_horizon:
            return logistic_log_likelihood(happened, columns)
        return cox_log_likelihood(time, happened, columns)

    null, low, high = (log_likelihood(x) for x in (whole[:, :0], smaller, whole))
    statistic = 2 * (high - low)
    return LikelihoodRatio(
        model,
        statistic,
        added_terms,
        float(chi2.sf(statistic, added_terms)),
        (low - null) / (high - null) if high > null else np.nan,
    )


def cox_log_likelihood(time_days: ArrayLike, happened: ArrayLike, columns: ArrayLike) -> float:
    r"""Return the highest partial log-likelihood of a proportional hazards model.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the event or to censoring.
    happened : array-like of bool, shape (n_patients,)
        Whether it was the event.
    columns : array-like of float, shape (n_patients, n_columns)
        Independent columns; none gives the likelihood of equal hazards.

    Returns
    -------
    float
        Where a column separates patients, the bound that the likelihood tends to.

    Notes
    -----
    :math:`\ell = \sum_t \sum_{i \in D_t} x_i\beta - \sum_{l=0}^{d_t-1} \log\left(\sum_{R_t}
    e^{x\beta} - \frac{l}{d_t} \sum_{D_t} e^{x\beta}\right)` [1]_, by Newton's method.

    References
    ----------
    .. [1] Efron. J Am Stat Assoc 72 (1977) 557-565. doi:10.1080/01621459.1977.10480613

    Examples
    --------
    >>> import numpy as np
    >>> round(cox_log_likelihood([1, 2, 3], [1, 1, 0], np.empty((3, 0))), 4)  # -log 3 - log 2
    -1.7918
    """
    time, had = np.asarray(time_days, dtype=np.float64), np.asarray(happened, dtype=bool)
    x = np.asarray(columns, dtype=np.float64)
    order = np.argsort(-time, kind="stable")
    time, had, x = time[order], had[order], x[order]
    x = x - x.mean(axis=0)
    # One row per event: `last` is the end of its risk set, `share` what of its ties has left.
    at = np.flatnonzero(had)
    last = np.searchsorted(-time, -time[at], side="right") - 1
    tie = np.unique(last, return_inverse=True)[1]
    ties = np.bincount(tie)
    share = (np.arange(len(at)) - np.concatenate([[0], np.cumsum(ties)[:-1]])[tie]) / ties[tie]

    def terms(beta: _Floats) -> tuple[float, _Floats, _Floats]:
        # Each event e, the l_e-th of the d_e events of its time, has the denominator
        # S0_e = sum_{R} h - (l_e / d_e) sum_{D} h of Efron, and S1_e with x h in place of h. Then
        # gradient  = sum_e x_e - S1_e / S0_e
        # curvature = sum_e [S2_e / S0_e - (S1_e / S0_e)(S1_e / S0_e)'], where the first part is
        # X' diag(h held) X: `held` is what a patient counts over all events, sum of 1 / S0_e over
        # the risk sets that hold the patient, less l_e / (d_e S0_e) of the own tie.
        hazard = np.exp(np.clip(x @ beta, -_LARGEST, _LARGEST))
        weighted = x * hazard[:, None]
        total = np.cumsum(hazard)[last] - share * np.bincount(tie, weights=hazard[at])[tie]
        of_ties = np.zeros((len(ties), x.shape[1]))
        np.add.at(of_ties, tie, weighted[at])
        mean = np.cumsum(weighted, axis=0)[last] - share[:, None] * of_ties[tie]
        mean /= total[:, None]
        # How much of each patient's hazard the risk sets of all events hold.
        begun = np.zeros(len(time) + 1)
        np.add.at(begun, last, 1 / total)
        held = np.cumsum(begun[::-1])[::-1][:-1]
        held[at] -= np.bincount(tie, weights=share / total)[tie]
        curvature = (weighted * held[:, None]).T @ x - mean.T @ mean
        value = float((x[at] @ beta).sum() - np.log(total).sum())
        return value, x[at].sum(axis=0) - mean.sum(axis=0), curvature

    return _maximum(terms, x.shape[1])


def logistic_log_likelihood(happened: ArrayLike, columns: ArrayLike) -> float:
    """Return the highest log-likelihood of a logistic regression with an intercept.

    Parameters
    ----------
    happened : array-like of bool, shape (n_patients,)
        Whether the event happened by the horizon.
    columns : array-like of float, shape (n_patients, n_columns)
        Independent columns; none gives the likelihood of one risk for all.

    Returns
    -------
    float
        Where a column separates patients, the bound that the likelihood tends to.

    Examples
    --------
    >>> import numpy as np
    >>> round(logistic_log_likelihood([1, 0, 0, 1], np.empty((4, 0))), 4)  # 4 log 0.5
    -2.7726
    """
    had = np.asarray(happened, dtype=np.float64)
    x = np.column_stack([np.ones(len(had)), np.asarray(columns, dtype=np.float64)])

    def terms(beta: _Floats) -> tuple[float, _Floats, _Floats]:
        # l = sum y eta - log(1 + e^eta), gradient X'(y - p), curvature X' diag(p (1 - p)) X.
        odds = x @ beta
        mean = expit(odds)
        value = float((had * odds - np.logaddexp(0.0, odds)).sum())
        return value, x.T @ (had - mean), (x.T * (mean * (1 - mean))) @ x

    return _maximum(terms, x.shape[1])


def _maximum(terms: Any, n_terms: int) -> float:
    """Return the maximum of a concave log-likelihood, by Newton's method with halved steps."""
    beta = np.zeros(n_terms)
    value, gradient, curvature = terms(beta)
    for _ in range(_MAX_STEPS if n_terms else 0):
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        trial = terms(beta + step)
        while trial[0] < value - 1e-9:
            step = step / 2
            trial = terms(beta + step)
        beta, gain = beta + step, trial[0] - value
        value, gradient, curvature = trial
        if gain < _TOLERANCE * (1 + abs(value)):
            break
    return float(value)


def _independent(columns: _Floats) -> _Floats:
    """Return the columns that do not depend on those before them, constants left out."""
    x = columns - columns.mean(axis=0)
    x = x[:, x.std(axis=0) > _DEPENDENT]
    chosen: list[int] = []
    basis = np.empty((len(x), 0))
    for j in range(x.shape[1]):
        unit = x[:, j] / np.linalg.norm(x[:, j])
        rest = unit - basis @ (basis.T @ unit)
        if np.linalg.norm(rest) > 1e-6:
            chosen.append(j)
            basis = np.column_stack([basis, qr(np.column_stack([rest]), mode="economic")[0]])
    independent: _Floats = x[:, chosen]
    return independent
