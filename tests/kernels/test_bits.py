"""Bits: compiled kernels in float32 against the reference in float64, whose oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.kernels import threads
from minigen.kernels.bits import cpu, reference


@settings(max_examples=30)
@given(
    leading=st.lists(st.integers(0, 4), max_size=3),
    kept=st.integers(0, 3),
    length=st.integers(0, 200),
    scale=st.sampled_from([0.1, 3.0, 1e4]),
    is_grey=st.booleans(),
    is_reversed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_forward_and_back(leading, kept, length, scale, is_grey, is_reversed, seed):
    rng = np.random.default_rng(seed)
    x = rng.random((*leading[len(leading) - min(kept, len(leading)) :], length)).astype(np.float32)
    x = x if is_grey else (x < 0.5).astype(np.float32)
    logits = (scale * rng.standard_normal((*leading, length))).astype(np.float32)
    g = rng.standard_normal(leading).astype(np.float32)
    if is_reversed:
        x, logits = x[..., ::-1], logits[..., ::-1]
    found, expected = cpu.bits_log_prob(x, logits), reference.bits_log_prob(x.astype(float), logits.astype(float))
    assert found.dtype == np.float32
    assert found.shape == tuple(leading)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * length * max(1.0, scale if is_grey else 0.0))
    found = cpu.bits_log_prob_backward(g, x, logits)
    expected = reference.bits_log_prob_backward(g.astype(float), x.astype(float), logits.astype(float))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=5e-7)


@pytest.mark.parametrize("x", [np.ones((3, 1, 70)), np.ones((1, 70)), np.ones((5, 3, 4, 70))], ids=str)
def test_broadcasting_of_another_kind_is_the_references(x):
    x, logits = x.astype(np.float32), np.random.default_rng(0).standard_normal((3, 4, 70)).astype(np.float32)
    np.testing.assert_allclose(cpu.bits_log_prob(x, logits), reference.bits_log_prob(x, logits), rtol=1e-6)


def test_a_likely_bit_keeps_its_small_log_probability():
    logits = np.array([[15.0, -15.0]], np.float32)
    found = cpu.bits_log_prob(np.array([[1.0, 0.0]], np.float32), logits)
    np.testing.assert_allclose(found, -2 * np.log1p(np.exp(-15.0)), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, -np.nan])
def test_what_is_no_number_takes_its_row_along_and_no_other(value):
    logits, x = np.zeros((3, 70), np.float32), np.ones((3, 70), np.float32)
    logits[1, 5] = value
    np.testing.assert_array_equal(np.isnan(cpu.bits_log_prob(x, logits)), [False, True, False])
    back = cpu.bits_log_prob_backward(np.ones(3, np.float32), x, logits)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(logits))


def test_the_number_of_threads_makes_no_difference():
    rng = np.random.default_rng(0)
    logits, x = rng.standard_normal((13, 77, 132)).astype(np.float32), rng.random((77, 132)).astype(np.float32)
    before, found = threads.get_threads(), []
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            found.append(cpu.bits_log_prob(x, logits))
    finally:
        threads.set_threads(before)
    for each in found:
        np.testing.assert_array_equal(each, found[0])
