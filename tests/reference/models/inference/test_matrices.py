"""The restricted cubic spline against SciPy's natural cubic spline."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from models.inference.matrices import spline_basis

KNOTS = np.array([-1.6, -0.4, 0.5, 1.7])


def test_its_terms_span_the_natural_cubic_splines_on_the_same_knots() -> None:
    x = np.linspace(KNOTS[0], KNOTS[-1], 101)
    design = np.column_stack([np.ones_like(x), x, spline_basis(x, KNOTS)])

    for values in np.eye(4):
        natural = CubicSpline(KNOTS, values, bc_type="natural")(x)
        coefficients = np.linalg.lstsq(design, natural)[0]
        np.testing.assert_allclose(design @ coefficients, natural, atol=1e-10)


def test_it_is_linear_beyond_the_outer_knots() -> None:
    below, above = np.linspace(-9, KNOTS[0], 50), np.linspace(KNOTS[-1], 9, 50)

    assert (spline_basis(below, KNOTS) == 0).all()
    assert np.abs(np.diff(spline_basis(above, KNOTS), n=2, axis=0)).max() < 1e-10


def test_it_is_harrells_closed_form() -> None:
    k1, k2, k3, k4 = KNOTS
    x = 1.1  # between the third knot and the last

    first, second = spline_basis(np.array([x]), KNOTS)[0]

    span = (k4 - k1) ** 2
    assert first == pytest.approx(((x - k1) ** 3 - (x - k3) ** 3 * (k4 - k1) / (k4 - k3)) / span)
    assert second == pytest.approx(((x - k2) ** 3 - (x - k3) ** 3 * (k4 - k2) / (k4 - k3)) / span)
