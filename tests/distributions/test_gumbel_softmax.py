"""The relaxed categorical: its density against closed forms and quadrature, its draws against both of its laws."""

import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import minigen as mg
from minigen.distributions import GumbelSoftmax
from minigen.random import Generator

temperatures = pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])


@given(logits=st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)), t=st.floats(0.2, 3.0), y=st.floats(0.01, 0.99))
def test_with_two_categories_it_is_a_squashed_logistic(logits, t, y):
    # The difference of two Gumbel numbers is logistic, so logit(y) = (difference of logits + logistic) / t.
    difference = logits[0] - logits[1]
    exact = stats.logistic.logpdf(t * special.logit(y) - difference) + math.log(t / (y * (1 - y)))
    relaxed = GumbelSoftmax(logits=np.array(logits), temperature=t)
    assert relaxed.log_prob(np.array([y, 1 - y])) == pytest.approx(exact, rel=1e-10, abs=1e-10)


@temperatures
@pytest.mark.parametrize("categories", [2, 3])
def test_the_density_integrates_to_one(temperature, categories):
    relaxed = GumbelSoftmax(logits=np.array([0.4, -0.7, 0.1][:categories]), temperature=temperature)
    # The density may have poles at the border of the simplex; in u, where y = softmax(u_1, ..., 0), it is smooth.
    u = np.linspace(-40.0, 40.0, 401) / temperature
    grid = np.meshgrid(*[u] * (categories - 1), [0.0], indexing="ij")
    y = special.softmax(np.stack(grid, axis=-1), axis=-1).squeeze(-2)  # (401, [401,] K)
    total = np.exp(relaxed.log_prob(y)) * y.prod(axis=-1)  # the product is the Jacobian dy_1 ... / du_1 ...
    for _ in range(categories - 1):
        total = np.trapezoid(total, u)
    assert total == pytest.approx(1.0, abs=1e-9)


@temperatures
def test_draws_have_the_distribution(temperature):
    logits = np.array([0.4, -0.7])
    y = GumbelSoftmax(logits=logits, temperature=temperature).sample(3000, rng=Generator(0))
    np.testing.assert_allclose(y.sum(axis=-1), 1.0, rtol=1e-12)
    exact = lambda y: special.expit(temperature * special.logit(y) - (logits[0] - logits[1]))
    assert stats.kstest(y[:, 0], exact).pvalue > 0.001


@temperatures
@pytest.mark.parametrize("hard", [False, True])
def test_the_largest_coordinate_is_an_exact_draw(temperature, hard):
    logits = np.array([[0.0, 1.0, -1.0, 0.5], [2.0, -1.0, 0.0, 0.0]])
    y = GumbelSoftmax(logits=logits, temperature=temperature).rsample(3000, rng=Generator(1), hard=hard)
    for row, q in zip(range(2), special.softmax(logits, axis=-1), strict=True):
        counts = np.bincount(y.data[:, row].argmax(axis=-1), minlength=4)
        assert stats.chisquare(counts, 3000 * q).pvalue > 0.001


def test_a_low_temperature_approaches_one_hot_vectors():
    logits = np.array([0.0, 1.0, -1.0])
    highest = lambda t: GumbelSoftmax(logits=logits, temperature=t).sample(200, rng=Generator(0)).max(axis=-1)
    assert (np.diff([highest(t) for t in (5.0, 1.0, 0.2, 0.01)], axis=0) >= 0).all()
    assert np.median(highest(0.01)) == 1.0


@given(t=st.floats(0.1, 3.0), seed=st.integers(0, 1000))
def test_straight_through_is_one_hot_with_the_soft_gradient(t, seed, device):
    logits = mg.tensor([[0.5, -1.0, 0.2], [0.0, 3.0, -2.0]], device=device, requires_grad=True)
    cotangent = Generator(seed, device=device).normal((4, 2, 3))
    relaxed = GumbelSoftmax(logits=logits, temperature=t)
    soft, hard = (relaxed.rsample(4, rng=Generator(seed, device=device), hard=hard) for hard in (False, True))
    by_soft, by_hard = (on_host(mg.grad(y, logits, cotangent)) for y in (soft, hard))
    soft, hard = on_host(soft), on_host(hard)
    assert (np.sort(hard, axis=-1) == [0.0, 0.0, 1.0]).all()
    np.testing.assert_array_equal(hard.argmax(axis=-1), soft.argmax(axis=-1))
    np.testing.assert_array_equal(by_hard, by_soft)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype):
    logits = mg.tensor(np.array([1e4, -1e4, 0.0], dtype), requires_grad=True)
    relaxed = GumbelSoftmax(logits=logits, temperature=0.5)
    y = relaxed.rsample(rng=Generator(0))
    assert y.data.tolist() == [1.0, 0.0, 0.0]
    assert mg.grad(y, logits, np.ones(3)).data.tolist() == [0.0, 0.0, 0.0]
    log_p = relaxed.log_prob(np.full(3, 1 / 3, dtype))
    # All the weight is on the first summand: log_softmax(l - t log y) = (0, -2e4, -1e4).
    assert log_p.item() == pytest.approx(math.log(2) + 2 * math.log(0.5) - 3e4 + 3 * math.log(3), rel=1e-6)
    assert mg.grad(log_p, logits).data.tolist() == [-2.0, 1.0, 1.0]


@given(shift=st.floats(-100.0, 100.0))
def test_a_common_constant_changes_nothing(shift):
    logits, y = np.array([0.5, -1.0, 0.2]), np.array([0.2, 0.5, 0.3])
    one, other = (GumbelSoftmax(logits=logits + constant, temperature=0.7) for constant in (0.0, shift))
    assert one.log_prob(y) == pytest.approx(other.log_prob(y), abs=1e-11)
