"""Mixtures of normals against SciPy, quadrature and their own draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from integration import integral
from scipy import special, stats

import minigen as mg
from minigen.distributions import Normal, NormalMixture
from minigen.random import Generator

three = lambda low, high: arrays(np.float64, 3, elements=st.floats(low, high))
LOGITS, MEANS, SCALES = np.array([0.0, 1.0, -0.5]), np.array([-2.0, 0.5, 3.0]), np.array([0.4, 1.0, 0.7])


@given(logits=three(-5.0, 5.0), means=three(-3.0, 3.0), scales=three(0.1, 3.0), x=st.floats(-6.0, 6.0))
def test_closed_forms(logits, means, scales, x):
    w = special.softmax(logits)
    mixture = NormalMixture(logits=logits, means=means, scales=scales)
    exact = special.logsumexp(stats.norm(means, scales).logpdf(x), b=w)
    for point in (x, np.array(x), mg.tensor(np.array(x))):
        assert mg.sum(mixture.log_prob(point)).item() == pytest.approx(exact, rel=1e-12, abs=1e-12)
    mean = w @ means
    assert mixture.mean == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert mixture.variance == pytest.approx(w @ (scales**2 + means**2) - mean**2, rel=1e-9)


def test_integrals():
    mixture = NormalMixture(logits=LOGITS, means=MEANS, scales=SCALES)
    density = lambda x: math.exp(mixture.log_prob(x))
    assert integral(density, *MEANS) == pytest.approx(1.0, abs=1e-9)
    assert integral(lambda x: x * density(x), *MEANS) == pytest.approx(float(mixture.mean), abs=1e-8)
    second = integral(lambda x: (x - float(mixture.mean)) ** 2 * density(x), *MEANS)
    assert second == pytest.approx(float(mixture.variance), abs=1e-8)


@given(mean=st.floats(-3.0, 3.0), scale=st.floats(0.1, 3.0), logits=three(-5.0, 5.0), x=st.floats(-6.0, 6.0))
def test_equal_components_are_one_normal(mean, scale, logits, x):
    mixture = NormalMixture(logits=logits, means=mean, scales=scale)
    normal = Normal(mean, scale=scale)
    assert mixture.log_prob(x) == pytest.approx(normal.log_prob(x), rel=1e-12, abs=1e-12)
    assert mixture.mean == pytest.approx(mean, abs=1e-12)
    assert mixture.variance == pytest.approx(normal.variance, rel=1e-12)
    assert mixture.sample(3, rng=Generator(0)).shape == (3,)


def test_draws_have_the_distribution():
    means = np.stack([MEANS, MEANS + 5.0, -MEANS])  # a batch of three that shares logits and scales
    draws = NormalMixture(logits=LOGITS, means=means, scales=SCALES).sample(3000, rng=Generator(0))
    w = special.softmax(LOGITS)
    for column, m in zip(draws.T, means, strict=True):
        cdf = lambda x, m=m: stats.norm(m, SCALES).cdf(x[:, None]) @ w
        assert stats.kstest(column, cdf).pvalue > 0.001


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_leave_one_component(dtype):
    logits = mg.tensor(np.array([-1e4, 1e4, 0.0], dtype), requires_grad=True)
    means, scales = MEANS.astype(dtype), SCALES.astype(dtype)
    mixture = NormalMixture(logits=logits, means=means, scales=scales)
    x = np.linspace(-3, 3, 7, dtype=dtype)
    np.testing.assert_array_equal(mixture.log_prob(x).data, Normal(means[1], scale=scales[1]).log_prob(x))
    assert mg.grad(mg.sum(mixture.log_prob(x)), logits).data.tolist() == [0.0, 0.0, 0.0]
    assert mixture.mean.item() == means[1]
    assert mixture.variance.item() == pytest.approx(scales[1] ** 2)


def test_far_from_every_component_the_nearest_one_pulls():
    means = mg.tensor(MEANS, requires_grad=True)
    log_p = NormalMixture(logits=LOGITS, means=means, scales=1.0).log_prob(1e3)
    assert np.isfinite(log_p.item())
    np.testing.assert_allclose(mg.grad(log_p, means).data, [0.0, 0.0, 1e3 - 3.0], rtol=1e-12)
