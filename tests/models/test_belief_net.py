"""The belief net: a distribution, in its order, equal to logistic regressions; samples by either stepper; the optimum of pairs."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.backend import to_device
from minigen.models import BeliefNet
from minigen.optim import Adam
from minigen.random import Generator

from .enumeration import all_examples, before, conditionals_of_the_stepper, support, with_random_weights


def log_prob_by_hand(x, weight, bias):
    """One bit after the other, from the equation."""
    total = 0.0
    for i in range(len(x)):
        activation = bias[i] + sum(weight[j, i] * x[j] for j in range(i))
        q = 1 / (1 + np.exp(-activation))
        total += np.log(q if x[i] else 1 - q)
    return total


@given(height=st.integers(1, 3), width=st.integers(1, 3), seed=st.integers(0, 99))
def test_each_pixel_listens_to_all_pixels_before_it_and_to_no_other(height, width, seed):
    net = with_random_weights(BeliefNet((height, width, 1)), seed)
    np.testing.assert_array_equal(support(net, np.ones((1, height, width, 1))), before(net.order))


def test_probabilities_of_all_images_sum_to_one():
    net = with_random_weights(BeliefNet((2, 2, 1)), 0, scale=2.0)
    assert abs(np.exp(net.log_prob(all_examples((2, 2, 1), 2)).detach().numpy()).sum() - 1) < 1e-10


def test_log_prob_is_a_sum_of_logistic_regressions(device):
    net = with_random_weights(BeliefNet((2, 3, 1)).to(device), 1)
    x = all_examples((2, 3, 1), 2)
    expected = [log_prob_by_hand(bits.ravel(), on_host(net.weight), on_host(net.bias)) for bits in x]
    np.testing.assert_allclose(on_host(net.log_prob(to_device(x, device))), expected, rtol=1e-12)


def test_log_prob_is_the_sum_of_the_steppers_conditionals():
    net = with_random_weights(BeliefNet((3, 2, 1)), 2)
    x = all_examples((3, 2, 1), 2)
    np.testing.assert_allclose(conditionals_of_the_stepper(net, x), net.log_prob(x).detach().numpy(), rtol=1e-12)


@given(n=st.integers(0, 5), height=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_plain_and_cached_samples_are_the_same(n, height, seed, device):
    net = with_random_weights(BeliefNet((height, 3, 1)).to(device), seed)
    plain, cached = (net.sample(n, rng=Generator(seed, device=device), cached=cached) for cached in (False, True))
    np.testing.assert_array_equal(on_host(plain), on_host(cached))


def test_a_completion_is_a_draw_from_the_conditional_distribution():
    net = with_random_weights(BeliefNet((4,)), 3)
    n = 20_000
    given_bits = np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1))
    drawn = net.complete(given_bits, np.array([True, True, False, False]), rng=Generator(0))
    assert (drawn[:, :2] == given_bits[:, :2]).all()
    x = all_examples((4,), 2)
    p = np.exp(net.log_prob(x).detach().numpy())
    p = p * (x[:, :2] == [1, 0]).all(axis=1)
    p /= p.sum()
    share = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16) / n
    assert np.abs(share - p).max() < 5 * 0.5 / np.sqrt(n)


def test_training_finds_the_pairs_of_a_chain():
    # x_1 is a fair coin, and each further bit repeats the one before with probability 0.9: the weights are known.
    rng = np.random.default_rng(0)
    x = np.empty((4000, 3), np.float32)
    x[:, 0] = rng.random(4000) < 0.5
    for i in (1, 2):
        x[:, i] = np.where(rng.random(4000) < 0.9, x[:, i - 1], 1 - x[:, i - 1])
    net = BeliefNet((3,))
    optimizer = Adam(net, learning_rate=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss, terms = net.loss(x)
        loss.backward()
        optimizer.step()
    log_odds = np.log(0.9 / 0.1)
    expected = np.array([[0, 2 * log_odds, 0], [0, 0, 2 * log_odds], [0, 0, 0]])
    np.testing.assert_allclose(net.weight.data * net.before.data, expected, atol=0.35)
    np.testing.assert_allclose(net.bias.data, [0, -log_odds, -log_odds], atol=0.2)
    assert terms["negative_log_likelihood"].item() == pytest.approx(loss.item())


def test_a_condition_is_refused():
    net = BeliefNet((2,))
    for call in (net.predict, net.log_prob):
        with pytest.raises(ValueError, match="BeliefNet: there is a condition, but this model"):
            call(np.zeros((1, 2), np.float32), np.zeros(1, int))
    with pytest.raises(ValueError, match="there is a condition"):
        net.sample(1, rng=Generator(0), condition=np.zeros(1, int))


def test_gradients_have_no_say_where_the_weight_looks_ahead():
    net = BeliefNet((3,))
    net.loss(np.ones((2, 3), np.float32))[0].backward()
    g = net.weight.grad.numpy()
    assert (g[np.tril_indices(3)] == 0).all()
    assert (g[np.triu_indices(3, 1)] != 0).all()
