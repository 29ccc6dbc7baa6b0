"""The Laplace distribution against SciPy, quadrature and its own draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration import integral
from scipy import stats

import minigen as mg
from minigen.distributions import Laplace
from minigen.random import Generator


@given(location=st.floats(-5.0, 5.0), scale=st.floats(1e-3, 1e3), z=st.floats(-50.0, 50.0))
def test_closed_forms(location, scale, z):
    x = location + scale * z
    exact, laplace = stats.laplace(location, scale), Laplace(location, scale=scale)
    assert laplace.log_prob(x) == pytest.approx(exact.logpdf(x), rel=1e-12, abs=1e-12)
    assert laplace.entropy() == pytest.approx(exact.entropy(), rel=1e-12, abs=1e-12)
    assert (laplace.mean, laplace.variance) == (location, pytest.approx(exact.var(), rel=1e-12))


@pytest.mark.parametrize(("location", "scale"), [(0.0, 1.0), (-3.0, 0.1), (2.0, 7.0)])
def test_integrals(location, scale):
    laplace = Laplace(location, scale=scale)
    density = lambda x: math.exp(laplace.log_prob(x))
    assert integral(density, location) == pytest.approx(1.0, abs=1e-9)
    assert integral(lambda x: abs(x - location) * density(x), location) == pytest.approx(scale, rel=1e-8)
    assert integral(lambda x: (x - location) ** 2 * density(x), location) == pytest.approx(laplace.variance, rel=1e-8)
    assert integral(lambda x: -density(x) * laplace.log_prob(x), location) == pytest.approx(laplace.entropy(), abs=1e-8)


def test_draws_have_the_distribution():
    location, scale = np.array([-1.0, 4.0], "float32"), np.array([[0.5], [3.0]], "float32")
    draws = Laplace(location, scale=scale).sample(2000, rng=Generator(0))
    for i, j in np.ndindex(2, 2):
        assert stats.kstest(draws[:, i, j], stats.laplace(location[j], scale[i, 0]).cdf).pvalue > 0.001


def test_no_gradient_at_the_kink():
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mg.sum(Laplace(2.0, scale=0.5).log_prob(x)).backward()
    assert x.grad.data.tolist() == [2.0, 0.0, -2.0]
