"""Categories: enumeration of all values, and logits that leave only one of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

import minigen as mg
from minigen.distributions import Bernoulli, Categorical
from minigen.random import Generator

logits = arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(-20.0, 20.0))


@given(logits=logits)
def test_closed_forms(logits):
    categorical = Categorical(logits=logits)
    q = special.softmax(logits, axis=-1)
    every_value = np.arange(logits.shape[1])[:, None]  # (K, 1) against a batch of (N,)
    log_q = categorical.log_prob(every_value)
    np.testing.assert_allclose(log_q.T, special.log_softmax(logits, axis=-1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(categorical.probabilities, q, rtol=1e-12)
    np.testing.assert_allclose(categorical.entropy(), stats.entropy(q, axis=-1), rtol=1e-10, atol=1e-12)


@given(logits=logits, shift=st.floats(-100.0, 100.0))
def test_a_common_constant_changes_nothing(logits, shift):
    one, other = Categorical(logits=logits), Categorical(logits=logits + shift)
    x = np.zeros(len(logits), int)
    np.testing.assert_allclose(one.log_prob(x), other.log_prob(x), atol=1e-12)
    np.testing.assert_allclose(one.entropy(), other.entropy(), atol=1e-12)


@given(logits=logits, data=st.data())
def test_the_gradient_is_one_hot_minus_softmax(logits, data):
    n, k = logits.shape
    x = data.draw(arrays(np.int64, n, elements=st.integers(0, k - 1)))
    leaf = mg.tensor(logits, requires_grad=True)
    gradient = mg.grad(mg.sum(Categorical(logits=leaf).log_prob(x)), leaf)
    np.testing.assert_allclose(gradient.data, np.eye(k)[x] - special.softmax(logits, axis=-1), atol=1e-12)


@given(logit=st.floats(-30.0, 30.0))
def test_two_categories_are_a_bit(logit):
    pair, bit = Categorical(logits=np.array([0.0, logit])), Bernoulli(logits=logit)
    for x in (0, 1):
        assert pair.log_prob(np.array(x)) == pytest.approx(bit.log_prob(x), rel=1e-12, abs=1e-13)
    assert pair.entropy() == pytest.approx(bit.entropy(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lowest", [-1e4, -np.inf])
def test_extreme_logits(dtype, lowest):
    extreme = mg.tensor(np.array([1e4, lowest, 0.0], dtype), requires_grad=True)
    categorical = Categorical(logits=extreme)
    log_q = categorical.log_prob(np.array([0, 1, 2]))
    assert log_q.data.tolist() == [0.0, lowest - 1e4, -1e4]
    assert mg.grad(log_q[0], extreme, retain_graph=True).data.tolist() == [0.0, 0.0, 0.0]
    assert mg.grad(log_q[2], extreme).data.tolist() == [-1.0, 0.0, 1.0]
    entropy = categorical.entropy()
    assert entropy.item() == 0.0
    assert mg.grad(entropy, extreme).data.tolist() == [0.0, 0.0, 0.0]
    assert (categorical.sample(100, rng=Generator(0)) == 0).all()


def test_draws_have_the_distribution():
    logits = np.array([[0.0, 1.0, -1.0, 0.5], [2.0, -np.inf, 0.0, 0.0]])
    categorical = Categorical(logits=logits)
    draws = categorical.sample(4000, rng=Generator(0))
    assert draws.dtype == np.int64
    for column, q in zip(draws.T, categorical.probabilities, strict=True):
        counts, possible = np.bincount(column, minlength=4), q > 0
        assert counts[~possible].sum() == 0
        assert stats.chisquare(counts[possible], 4000 * q[possible]).pvalue > 0.001


def test_integers_of_every_kind_and_tensors_are_indices():
    categorical = Categorical(logits=np.array([[0.0, 1.0], [2.0, 3.0]]))
    expected = categorical.log_prob(np.array([1, 0]))
    for dtype in ("uint8", "int32"):
        np.testing.assert_array_equal(categorical.log_prob(np.array([1, 0], dtype)), expected)
    np.testing.assert_array_equal(categorical.log_prob(mg.tensor([1, 0])).data, expected)
    with pytest.raises(IndexError):
        categorical.log_prob(np.array([0, 2]))
