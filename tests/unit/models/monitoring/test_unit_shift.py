from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from models.inference.novelty_scores import NoveltyScale
from models.monitoring.arrivals import Arrivals
from models.monitoring.reference import NumberReference, Reference
from models.monitoring.unit_shift import unit_shifts

SHARES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def number(name: str, unit: str, values: np.ndarray) -> NumberReference:
    """Return what a bundle would state of a column with these values."""
    normal = norm.ppf(SHARES)
    is_positive = bool((values > 0).all())
    scale = NoveltyScale.of(np.quantile(values, SHARES)[None, :], normal, np.array([is_positive]))
    return NumberReference(
        name=name,
        label=name,
        unit=unit,
        stays=len(values),
        recorded=len(values),
        mean=float(values.mean()),
        deviation=float(values.std()),
        scale=scale,
        column=0,
        inner=float(normal[-1]),
        middle=0.0,
        spread=1.0,
    )


def shifts(reference: NumberReference, values: np.ndarray) -> list[tuple[str, str | None, float]]:
    n = len(values)
    arrivals = Arrivals(
        stays=n,
        numbers={reference.name: values},
        texts={},
        horizons_days=(28.0,),
        risk=np.full((n, 1), 0.2),
        refused=np.zeros(n, dtype=bool),
    )
    whole = Reference({reference.name: reference}, {}, np.eye(1), 1_000)
    return [(one.variable, one.unit, one.factor or 0.0) for one in unit_shifts(arrivals, whole)]


def glucose(n: int, seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(4.9, 0.35, n))


def dose(n: int, seed: int) -> np.ndarray:
    """Return doses of vitamin D in IU a day, which four of five patients do not get."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.2, rng.choice([400.0, 800.0, 2_000.0], n), 0.0)


def test_another_unit_is_named_with_its_factor() -> None:
    reference = number("glucose", "mg/dL", glucose(3_000, 0))
    (found,) = shifts(reference, glucose(200, 1) / 18.0156)
    assert found[:2] == ("glucose", "mmol/L")
    assert found[2] == pytest.approx(1 / 18.0156, rel=1e-3)
    assert shifts(reference, glucose(200, 1)) == []


def test_a_unit_is_likelier_than_a_decimal_point_as_near_to_it() -> None:
    rng = np.random.default_rng(4)
    reference = number("lactate", "mmol/L", np.exp(rng.normal(0.5, 0.6, 3_000)))
    sicker = np.exp(rng.normal(0.62, 0.6, 160))
    (found,) = shifts(reference, sicker * 9.008)
    assert found[:2] == ("lactate", "mg/dL")


def test_a_dose_that_few_patients_get_hides_no_unit() -> None:
    reference = number("vitamin_d_dose", "[IU]/d", dose(3_000, 0))
    (found,) = shifts(reference, dose(500, 1) / 40)
    assert found[:2] == ("vitamin_d_dose", "ug/d")
    assert shifts(reference, dose(500, 1)) == []


def test_sicker_patients_are_no_unit() -> None:
    reference = number("glucose", "mg/dL", glucose(3_000, 0))
    for times in (0.6, 1.5, 2.0, 3.0):
        assert shifts(reference, glucose(500, 2) * times) == [], times


def test_few_values_are_no_evidence() -> None:
    reference = number("glucose", "mg/dL", glucose(3_000, 0))
    assert shifts(reference, glucose(9, 3) / 18.0156) == []
