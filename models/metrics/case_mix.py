"""What the patients' mix says of a figure: how far ranking could go among them at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["expected_auroc"]


def expected_auroc(risk: ArrayLike) -> float:
    r"""Return the area under the curve that risks promise, if they are right.

    Higher where patients differ more. Compared with the area that was seen, it tells whether a
    model ranks worse elsewhere because the patients there are more alike, or because it is wrong.

    Parameters
    ----------
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the outcome, in [0, 1].

    Returns
    -------
    float
        NaN for fewer than two patients, or if no outcome or no other is possible.

    Notes
    -----
    Model-based concordance [1]_: over all pairs,
    :math:`\sum p_i (1 - p_j) I(p_i > p_j) / \sum p_i (1 - p_j)`, ties counting one half.

    References
    ----------
    .. [1] van Klaveren, Gönen, Steyerberg & Vergouwe. Stat Med 35 (2016) 4136-4152.
       doi:10.1002/sim.6997

    Examples
    --------
    >>> round(expected_auroc([0.1, 0.3, 0.5, 0.7, 0.9]), 3)
    0.87
    >>> round(expected_auroc([0.2, 0.2, 0.2]), 3)
    0.5
    """
    p: NDArray[np.float64] = np.sort(np.asarray(risk, dtype=np.float64))
    n = len(p)
    # For pairs i != j: sum over i of p_i times sum over j below of (1 - p_j), ties half. With the
    # values sorted, those below start where a value first occurs, those tied lie up to its last.
    first, last = np.searchsorted(p, p, side="left"), np.searchsorted(p, p, side="right")
    without = np.concatenate([[0.0], np.cumsum(1 - p)])
    below, tied = without[first], without[last] - without[first] - (1 - p)
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    if n < 2 or pairs <= 0:
        return float("nan")
    return float((p * (below + tied / 2)).sum() / pairs)
