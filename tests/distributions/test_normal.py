"""The normal distribution against SciPy, quadrature and its own draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration import integral
from scipy import special, stats

from minigen.distributions import Normal
from minigen.distributions.normal import standard_normal_log_density
from minigen.engine import Tensor, grad
from minigen.random import Generator
from minigen.testing import gradcheck

means, scales = st.floats(-5.0, 5.0), st.floats(1e-3, 1e3)


@given(mean=means, scale=scales, x=st.floats(-10.0, 10.0))
def test_closed_forms(mean, scale, x):
    exact = stats.norm(mean, scale)
    for normal in (Normal(mean, scale=scale), Normal(mean, log_variance=2 * math.log(scale))):
        assert normal.log_prob(x) == pytest.approx(exact.logpdf(x), rel=1e-12, abs=1e-12)
        assert normal.entropy() == pytest.approx(exact.entropy(), rel=1e-12, abs=1e-12)
        assert (normal.mean, normal.variance) == (mean, pytest.approx(scale**2, rel=1e-12))
        assert (normal.scale, normal.log_scale) == (pytest.approx(scale), pytest.approx(math.log(scale), abs=1e-12))
        assert normal.log_variance == pytest.approx(2 * math.log(scale), abs=1e-12)


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (-3.0, 0.1), (2.0, 7.0)])
def test_integrals(mean, scale):
    normal = Normal(mean, scale=scale)
    density = lambda x: math.exp(normal.log_prob(x))
    assert integral(density, mean) == pytest.approx(1.0, abs=1e-9)
    assert integral(lambda x: x * density(x), mean) == pytest.approx(normal.mean, abs=1e-8)
    assert integral(lambda x: (x - mean) ** 2 * density(x), mean) == pytest.approx(normal.variance, rel=1e-8)
    assert integral(lambda x: -density(x) * normal.log_prob(x), mean) == pytest.approx(normal.entropy(), abs=1e-8)


def test_draws_have_the_distribution():
    mean, scale = np.array([-1.0, 4.0], "float32"), np.array([[0.5], [3.0]], "float32")
    draws = Normal(mean, scale=scale).sample(2000, rng=Generator(0))
    for i, j in np.ndindex(2, 2):
        assert stats.kstest(draws[:, i, j], stats.norm(mean[j], scale[i, 0]).cdf).pvalue > 0.001
    standard = ((draws - mean) / scale).reshape(2000, 4)
    assert np.abs(np.corrcoef(standard.T) - np.eye(4)).max() < 5 / math.sqrt(2000)  # elements are independent


@given(mean=means, scale=scales)
def test_draws_move_and_stretch_with_the_parameters(mean, scale):
    noise = Normal(0.0, scale=1.0).rsample(8, rng=Generator(1))
    np.testing.assert_allclose(
        Normal(mean, scale=scale).rsample(8, rng=Generator(1)).data, mean + scale * noise.data, rtol=1e-5
    )


def test_the_standard_density_of_vectors_is_the_product_over_their_elements():
    z = np.random.default_rng(0).normal(size=(4, 2, 3))
    each = Normal(0.0, scale=1.0).log_prob(z)
    np.testing.assert_allclose(standard_normal_log_density(z), each.sum(axis=-1), rtol=1e-14)
    np.testing.assert_allclose(standard_normal_log_density(z), stats.norm.logpdf(z).sum(axis=-1), rtol=1e-14)
    assert standard_normal_log_density(z.astype("float32")).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("log_variance", [-80.0, 80.0])
def test_extreme_log_variances(dtype, log_variance):
    normal = Normal(np.zeros(1, dtype), log_variance=np.full(1, log_variance, dtype))
    half = 0.5 * log_variance
    assert normal.log_prob(np.zeros(1, dtype)) == pytest.approx(-half - 0.5 * math.log(2 * math.pi), rel=1e-6)
    assert normal.log_prob(normal.scale) == pytest.approx(-half - 0.5 * math.log(2 * math.pi * math.e), rel=1e-6)
    assert normal.entropy() == pytest.approx(half + 0.5 * math.log(2 * math.pi * math.e), rel=1e-6)


@given(mean=means, scale=scales, z=st.floats(-300.0, 8.0))
def test_distribution_functions_and_quantiles(mean, scale, z):
    normal, exact = Normal(mean, scale=scale), stats.norm()
    x = mean + scale * z
    z = (x - mean) / scale  # after rounding
    assert normal.log_cdf(x) == pytest.approx(exact.logcdf(z), rel=1e-12)
    assert normal.cdf(x) == pytest.approx(exact.cdf(z), rel=1e-11)
    if abs(z) < 6:
        assert normal.icdf(normal.cdf(x)) == pytest.approx(x, abs=1e-6 * scale)


def test_quantiles_at_the_ends_and_beyond():
    np.testing.assert_array_equal(
        Normal(1.0, scale=2.0).icdf(np.array([0.0, 0.5, 1.0, -0.1])), [-np.inf, 1.0, np.inf, np.nan]
    )


@pytest.mark.parametrize("name", ["log_cdf", "cdf", "icdf"])
def test_gradients_of_distribution_functions_and_quantiles_to_order_two(name, device):
    x = np.array([0.1, 0.5, 0.9]) if name == "icdf" else np.array([-8.0, 0.3, 2.0])

    def function(x, mean, log_variance):
        normal = Normal(mean.to(device), log_variance=log_variance.to(device))
        return getattr(normal, name)(x.to(device)).to("cpu")

    gradcheck(function, [x, np.array([0.2, -0.4, 0.0]), np.array([[0.3], [-0.5]])], name=name)


@pytest.mark.parametrize("z", [-1e4, -40.0, -5.0, 5.0])
def test_the_tails_in_float32(z):
    x = Tensor(np.float32(z).reshape(1), requires_grad=True)
    log = Normal(0.0, scale=1.0).log_cdf(x)
    slope = grad(log, x, create_graph=True)
    exact = special.log_ndtr(z)
    ratio = math.sqrt(2 / math.pi) / special.erfcx(-z / math.sqrt(2))
    assert log.dtype == np.float32
    assert log.item() == pytest.approx(exact, rel=3e-7)
    assert slope.item() == pytest.approx(ratio, rel=3e-7)
    if z > -100:  # below, this difference has no digits left; the slope's slope is -1 + 1 / z^2
        assert grad(slope, x).item() == pytest.approx(-ratio * (z + ratio), rel=1e-6)
    else:
        assert grad(slope, x).item() == pytest.approx(-1 + z**-2, rel=1e-6)
