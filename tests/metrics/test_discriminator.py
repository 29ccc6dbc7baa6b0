"""The optimal discriminator between known densities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from minigen.data import Gaussian
from minigen.metrics import discriminator_gap, jensen_shannon, optimal_discriminator

GRID = np.linspace(-15.0, 15.0, 3001)
DX = 0.01
densities = st.just(0.0) | st.floats(1e-6, 10.0)


@given(p=densities, q=densities, d=st.floats(0.001, 0.999))
def test_no_other_value_is_better(p, q, d):
    best = float(optimal_discriminator(p, q))
    value = lambda d: float(special.xlogy(p, d) + special.xlogy(q, 1 - d))
    assert value(best) >= value(d) - 1e-12


def test_between_gaussians_the_optimum_is_logistic():
    # log(p / q) of N(1, 1) against N(0, 1) is x - 1/2.
    p, q = Gaussian(mean=1.0, scale=1.0).pdf(GRID), Gaussian(mean=0.0, scale=1.0).pdf(GRID)
    np.testing.assert_allclose(optimal_discriminator(p, q), special.expit(GRID - 0.5), rtol=1e-10)


def test_its_value_gives_the_jensen_shannon_divergence():
    p, q = Gaussian(mean=1.0, scale=1.0).pdf(GRID), Gaussian(mean=0.0, scale=2.0).pdf(GRID)
    best = optimal_discriminator(p, q)
    value = np.trapezoid(special.xlogy(p, best) + special.xlogy(q, 1 - best), dx=DX)
    assert value == pytest.approx(2 * jensen_shannon(p, q, DX) - math.log(4), abs=1e-10)


def test_where_neither_density_reaches_the_answer_is_a_half():
    np.testing.assert_array_equal(optimal_discriminator([0.0, 2.0], [0.0, 0.0]), [0.5, 1.0])


def test_gap():
    p, q = Gaussian(mean=1.0, scale=1.0).pdf(GRID), Gaussian(mean=0.0, scale=1.0).pdf(GRID)
    best = optimal_discriminator(p, q)
    assert discriminator_gap(best, p, q, DX) == 0.0
    # D = 1/2 everywhere is off by |p - q| / (2 (p + q)), whose mean is half the total variation.
    gap = discriminator_gap(np.full_like(p, 0.5), p, q, DX)
    assert gap == pytest.approx(0.5 * (special.ndtr(0.5) - special.ndtr(-0.5)), abs=DX**2)
    # Errors where nobody looks do not count.
    assert discriminator_gap(np.where(GRID < -12, 1.0, best), p, q, DX) < 1e-30


@pytest.mark.parametrize(
    ("d", "message"),
    [
        ([0.5, 0.5], r"d has shape \(2,\), expected \(3,\)"),
        ([0.5, 3.0, 0.5], r"d\[1\] is 3.0, expected probabilities"),
        ([0.5, 0.5, np.nan], r"d\[2\] is nan"),
    ],
)
def test_bad_discriminators_are_refused_with_words(d, message):
    with pytest.raises(ValueError, match=message):
        discriminator_gap(d, [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], 1.0)


def test_densities_must_match():
    with pytest.raises(ValueError, match=r"p has shape \(2,\) and q \(3,\)"):
        optimal_discriminator([0.0, 1.0], [0.0, 1.0, 2.0])
