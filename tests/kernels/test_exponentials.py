"""Sums of exponentials: compiled kernels in float32 against the reference in float64, whose oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.kernels import threads
from minigen.kernels.exponentials import cpu, reference

KERNELS = ("softmax", "log_softmax")


def both(name, *arrays, axis):
    wide = [a.astype(np.float64) for a in arrays]
    return getattr(cpu, name)(*arrays, axis=axis), getattr(reference, name)(*wide, axis=axis)


@pytest.mark.parametrize("name", KERNELS)
@given(
    leading=st.lists(st.integers(0, 4), max_size=2),
    length=st.integers(1, 200),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    is_last=st.booleans(),
    is_reversed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_forward_and_back(name, leading, length, scale, is_last, is_reversed, seed):
    rng = np.random.default_rng(seed)
    shape = (*leading, length) if is_last else (length, *leading)
    x, g = (scale * rng.standard_normal(shape)).astype(np.float32), rng.standard_normal(shape).astype(np.float32)
    if is_reversed:
        x, g = x[..., ::-1], g[..., ::-1]
    axis = -1 if is_last else 0
    y, expected = both(name, x, axis=axis)
    assert y.dtype == np.float32
    assert y.shape == shape
    np.testing.assert_allclose(y, expected, rtol=1e-6 * (1 + scale), atol=1e-6 if name == "log_softmax" else 1e-37)
    back, expected = both(f"{name}_backward", g, expected.astype(np.float32), axis=axis)
    np.testing.assert_allclose(back, expected, atol=1e-5 * np.sqrt(length))


@settings(max_examples=20)
@given(
    leading=st.lists(st.integers(0, 4), max_size=2),
    length=st.integers(1, 100),
    scale=st.sampled_from([0.1, 30.0, 1e30]),
    is_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_logarithm_of_the_sum(leading, length, scale, is_last, seed):
    rng = np.random.default_rng(seed)
    x = (scale * rng.standard_normal((*leading, length))).astype(np.float32)[..., ::-1]
    x[rng.random(x.shape) < 0.2] = -np.inf
    axes = (x.ndim - 1,) if is_last else tuple(range(x.ndim))
    if x.size == 0 and not is_last:
        return
    y = cpu.logsumexp(x, axes=axes)
    expected = reference.logsumexp(x.astype(np.float64), axes=axes)
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_the_logarithm_of_a_sum_of_extremes():
    x = np.array([[-np.inf] * 3, [0.0, np.inf, -np.inf], [0.0, np.nan, 1.0], [-np.nan] * 3], np.float32)
    np.testing.assert_array_equal(cpu.logsumexp(x, axes=(1,))[:, 0], [-np.inf, np.inf, np.nan, np.nan])


@pytest.mark.parametrize("length", [1, 3, 70])
def test_a_masked_entry_gets_nothing(length):
    x = np.random.default_rng(0).standard_normal((4, 2 * length)).astype(np.float32)
    x[:, ::2] = -np.inf
    open_entries = reference.softmax(x[:, 1::2], axis=1)
    y = cpu.softmax(x, axis=1)
    np.testing.assert_array_equal(y[:, ::2], 0.0)
    np.testing.assert_allclose(y[:, 1::2], open_entries, rtol=1e-6)
    logs = cpu.log_softmax(x, axis=1)
    np.testing.assert_array_equal(logs[:, ::2], -np.inf)
    np.testing.assert_allclose(logs[:, 1::2], np.log(open_entries), rtol=1e-5, atol=1e-6)
    g = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    np.testing.assert_array_equal(cpu.softmax_backward(g, y, axis=1)[:, ::2], 0.0)
    np.testing.assert_array_equal(cpu.log_softmax_backward(g, logs, axis=1)[:, ::2], g[:, ::2])


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5, 69])
def test_what_is_no_number_takes_its_row_along_and_no_other(name, value, place):
    x = np.zeros((3, 70), np.float32)
    x[1, place] = value
    y = getattr(cpu, name)(x, axis=1)
    np.testing.assert_array_equal(np.isnan(y), [[False] * 70, [True] * 70, [False] * 70])


@pytest.mark.parametrize("name", KERNELS)
def test_a_row_of_nothing_but_minus_infinity_is_nan(name):
    x = np.full((2, 9), -np.inf, np.float32)
    assert np.isnan(getattr(cpu, name)(x, axis=-1)).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(getattr(reference, name)(x, axis=-1)).all()


@pytest.mark.parametrize("top", [-3e38, -1e4, 1e4, 3e38])
def test_a_common_shift_makes_no_difference(top):
    x = np.array([[0.0, 1.0, -3.0]], np.float32) * max(1.0, abs(top) * 2.0**-10)
    np.testing.assert_allclose(
        cpu.softmax(x + np.float32(top), axis=1), reference.softmax((x + np.float32(top)).astype(float), axis=1)
    )


def test_the_number_of_threads_makes_no_difference():
    x = np.random.default_rng(0).standard_normal((3001, 132)).astype(np.float32)
    before = threads.get_threads()
    try:
        found = []
        for count in (1, 2, 3):
            threads.set_threads(count)
            found.append(cpu.softmax(x, axis=1))
    finally:
        threads.set_threads(before)
    for each in found:
        np.testing.assert_array_equal(each, found[0])
