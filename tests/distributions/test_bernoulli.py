"""Bits: enumeration of both values, symmetry, and logits so large that the probability is 0 or 1 in floating point."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import minigen as mg
from minigen.distributions import Bernoulli
from minigen.random import Generator

logits = st.floats(-30.0, 30.0)


@given(logit=logits)
def test_closed_forms(logit):
    bit, exact = Bernoulli(logits=logit), stats.bernoulli(special.expit(logit))
    assert bit.mean == pytest.approx(exact.mean(), rel=1e-12)
    assert bit.variance == pytest.approx(exact.var(), rel=1e-3)  # SciPy's 1 - q loses digits where q is near 1
    log_q = [bit.log_prob(0.0), bit.log_prob(1.0)]
    np.testing.assert_allclose(np.exp(log_q).sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(log_q, [special.log_expit(-logit), special.log_expit(logit)], rtol=1e-12, atol=1e-14)
    assert bit.entropy() == pytest.approx(-np.exp(log_q) @ log_q, rel=1e-12, abs=1e-13)


@given(logit=logits)
def test_exchanging_the_values_negates_the_logit(logit):
    bit, mirrored = Bernoulli(logits=logit), Bernoulli(logits=-logit)
    assert bit.log_prob(1.0) == pytest.approx(mirrored.log_prob(0.0), rel=1e-12, abs=1e-14)
    assert bit.entropy() == mirrored.entropy()
    assert bit.variance == mirrored.variance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype):
    extreme = mg.tensor(np.array([-1e4, -1e4, 1e4, 1e4], dtype), requires_grad=True)
    x = np.array([0.0, 1.0, 0.0, 1.0], dtype)
    bits = Bernoulli(logits=extreme)
    log_q = bits.log_prob(x)
    assert log_q.data.tolist() == [0.0, -1e4, -1e4, 0.0]
    assert mg.grad(mg.sum(log_q), extreme).data.tolist() == [0.0, 1.0, -1.0, 0.0]  # x - q
    for certain in (bits.entropy(), bits.variance):
        assert certain.data.tolist() == [0.0] * 4
        assert mg.grad(mg.sum(certain), extreme).data.tolist() == [0.0] * 4


@given(logit=logits, grey=st.floats(0.0, 1.0))
def test_a_grey_value_averages_over_bits(logit, grey):
    bit = Bernoulli(logits=logit)
    expected = grey * bit.log_prob(1.0) + (1 - grey) * bit.log_prob(0.0)
    assert bit.log_prob(grey) == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_data_of_whole_numbers_widens_nothing(dtype):
    bits = Bernoulli(logits=np.array([0.5, -2.0], "float32"))
    whole = np.array([[0, 1], [1, 0]])
    obtained = bits.log_prob(whole.astype(dtype))
    assert obtained.dtype == np.float32
    np.testing.assert_array_equal(obtained, bits.log_prob(whole.astype("float32")))
    assert bits.joint_log_prob(whole.astype(dtype), axes=1).dtype == np.float32
    np.testing.assert_allclose(bits.joint_log_prob(whole.astype(dtype), axes=1), obtained.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_have_the_distribution(dtype):
    bits = Bernoulli(logits=np.array([-1e4, -2.0, 0.0, 1.0, 1e4], dtype))
    draws = bits.sample(4000, rng=Generator(0))
    assert draws.dtype == dtype
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert (draws[:, 0] == 0).all()
    assert (draws[:, 4] == 1).all()
    for column, q in zip(draws[:, 1:4].T, bits.mean[1:4], strict=True):
        assert abs(column.mean() - q) < 4 * math.sqrt(q * (1 - q) / 4000)
