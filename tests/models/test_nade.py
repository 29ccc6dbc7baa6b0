"""NADE: a distribution, in its order, equal to a slow loop written from the paper; samples by either stepper; its bounded memory."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen.backend import to_device
from minigen.models import NADE
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck

from .enumeration import all_examples, before, conditionals_of_the_stepper, support, with_random_weights


def tiny(size=(2, 2, 1), hidden=3, seed=0, scale=1.0):
    return with_random_weights(NADE(size, hidden=hidden, rng=Generator(0)), seed, scale)


def log_prob_from_the_paper(nade, v):
    """Larochelle & Murray 2011, algorithm 1, an example at a time."""
    w, c, out, b = (on_host(p) for p in (nade.weight, nade.hidden_bias, nade.out_weight, nade.bias))
    a, log_p = c.copy(), 0.0
    for i in range(len(v)):
        h = np.array([1 / (1 + np.exp(-unit)) for unit in a])
        q = 1 / (1 + np.exp(-(b[i] + sum(out[i, k] * h[k] for k in range(len(h))))))
        log_p += v[i] * np.log(q) + (1 - v[i]) * np.log(1 - q)
        a = a + w[i] * v[i]
    return log_p


@given(height=st.integers(1, 3), width=st.integers(1, 3), hidden=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_each_pixel_sees_all_pixels_before_it_and_no_other(height, width, hidden, seed):
    nade = tiny((height, width, 1), hidden, seed)
    np.testing.assert_array_equal(support(nade, np.ones((1, height, width, 1))), before(nade.order))


def test_probabilities_of_all_images_sum_to_one():
    nade = tiny(scale=3.0)
    assert abs(np.exp(nade.log_prob(all_examples((2, 2, 1), 2)).detach().numpy()).sum() - 1) < 1e-10


def test_log_prob_is_that_of_the_papers_loop(device):
    nade, x = tiny((3, 2, 1), 4).to(device), all_examples((3, 2, 1), 2)
    expected = [log_prob_from_the_paper(nade, bits.ravel()) for bits in x]
    np.testing.assert_allclose(on_host(nade.log_prob(to_device(x, device))), expected, rtol=1e-12)


def test_log_prob_is_the_sum_of_the_steppers_conditionals():
    nade, x = tiny((3, 2, 1), 4), all_examples((3, 2, 1), 2)
    np.testing.assert_allclose(conditionals_of_the_stepper(nade, x), nade.log_prob(x).detach().numpy(), rtol=1e-12)


@given(n=st.integers(0, 5), height=st.integers(1, 4), hidden=st.integers(1, 20), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_plain_and_cached_samples_are_the_same(n, height, hidden, seed, device):
    nade = NADE((height, 3, 1), hidden=hidden, rng=Generator(seed, device=device))
    plain, cached = (nade.sample(n, rng=Generator(seed, device=device), cached=cached) for cached in (False, True))
    np.testing.assert_array_equal(on_host(plain), on_host(cached))


def test_samples_are_of_the_distribution():
    nade, n = tiny((4,), 3, scale=2.0), 20_000
    p = np.exp(nade.log_prob(all_examples((4,), 2)).detach().numpy())
    drawn = nade.sample(n, rng=Generator(0))
    count = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
    likely = p * n >= 5
    assert ((count - p * n) ** 2 / (p * n))[likely].sum() < likely.sum() + 5 * np.sqrt(2 * likely.sum())


def test_gradients_of_both_orders():
    nade = tiny((4,), 3)
    x = np.random.default_rng(0).uniform(size=(3, 4))  # grey values: NADE's logits are smooth in them

    def log_prob(x, *parameters):
        nade.weight, nade.hidden_bias, nade.out_weight, nade.bias = parameters
        return mg.sum(nade.conditional.log_prob(nade.predict(x), np.round(x.data)))

    gradcheck(log_prob, [x, *(p.data.copy() for p in nade.parameters())])


def test_it_learns_what_pairs_of_bits_cannot_tell():
    # The third bit is 1 where the first two differ: a logistic regression on them is as good as a coin.
    x = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], np.float32)
    nade = NADE((3,), hidden=8, rng=Generator(0))
    optimizer = Adam(nade, learning_rate=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        nade.loss(x)[0].backward()
        optimizer.step()
    assert np.abs(nade.log_prob(x).detach().numpy() + 2 * np.log(2)).max() < 0.05


def test_there_must_be_a_hidden_unit_and_no_condition():
    with pytest.raises(ValueError, match="hidden = 0 must be at least 1"):
        NADE((2,), hidden=0, rng=Generator(0))
    with pytest.raises(ValueError, match="NADE: there is a condition"):
        tiny((2,)).predict(np.zeros((1, 2)), np.zeros(1, int))
