"""Normalization and windows: the compiled kernels against the reference, whose own oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import cpu, reference, threads
from minigen.kernels.memory import kept_memory


def matrix(seed, n, c, offset=0.0):
    return (offset + np.random.default_rng(seed).standard_normal((n, c))).astype(np.float32)


@given(
    seed=st.integers(0, 1000), n=st.integers(1, 400), c=st.integers(1, 40), offset=st.sampled_from([0.0, 10.0, -1e4])
)
def test_moments_of_columns(seed, n, c, offset):
    x = matrix(seed, n, c, offset)[:, ::-1]
    mean, variance = cpu.moments(x, axes=(0,))
    exact = x.astype(np.float64)
    assert mean.shape == variance.shape == (1, c)
    assert mean.dtype == variance.dtype == np.float32
    np.testing.assert_allclose(mean[0], exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance[0], exact.var(axis=0), rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 1000), n=st.integers(0, 300), c=st.integers(1, 40), with_bias=st.booleans())
def test_normalizing_columns_and_back(seed, n, c, with_bias):
    x, g = matrix(seed, n, c), matrix(seed + 1, n, c)
    mean, scale, bias = (
        matrix(seed + 2, 1, c),
        abs(matrix(seed + 3, 1, c)),
        matrix(seed + 4, 1, c)[0] if with_bias else None,
    )
    wide = [None if a is None else a.astype(np.float64) for a in (x, mean, scale, bias)]
    np.testing.assert_allclose(cpu.normalize(x, mean, scale, bias), reference.normalize(*wide), rtol=1e-5, atol=1e-5)
    if n:
        exact = reference.normalize_backward(g.astype(np.float64), *wide[:3], axes=(0,))
        np.testing.assert_allclose(cpu.normalize_backward(g, x, mean, scale, axes=(0,)), exact, rtol=1e-4, atol=1e-4)


def test_other_axes_take_the_reference():
    x = matrix(0, 6, 4).reshape(2, 3, 4)
    for obtained, expected in zip(kernels.moments(x, axes=(1, 2)), reference.moments(x, axes=(1, 2)), strict=True):
        np.testing.assert_array_equal(obtained, expected)


def test_many_rows_and_threads():
    x, before = matrix(0, 200_000, 3, 5.0), threads.get_threads()
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            mean, variance = cpu.moments(x, axes=(0,))
            np.testing.assert_allclose(mean[0], x.mean(axis=0, dtype=np.float64), rtol=1e-7)
            np.testing.assert_allclose(variance[0], x.var(axis=0, dtype=np.float64), rtol=1e-6)
            out = cpu.normalize(x, mean, 1 / np.sqrt(variance), None)
            np.testing.assert_allclose(out.std(axis=0, dtype=np.float64), 1.0, rtol=1e-6)
    finally:
        threads.set_threads(before)


@st.composite
def windows(draw):
    size, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, size // 2))
    length = draw(st.integers(max(1, size - 2 * padding), 12))
    return {"size": size, "stride": stride, "padding": padding}, length, (length + 2 * padding - size) // stride + 1


@given(found=windows(), a=st.integers(0, 3), b=st.integers(0, 20), seed=st.integers(0, 1000))
def test_windows_ties_and_numbers_that_are_none_included(found, a, b, seed):
    settings, length, count = found
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (a, length, b)).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.05] = -np.inf
    largest, choice = cpu.window_max(x, **settings, count=count)
    expected, _ = reference.window_max(x, **settings, count=count)
    np.testing.assert_array_equal(largest, expected)
    finite = np.nan_to_num(x)
    largest, choice = cpu.window_max(finite, **settings, count=count)
    expected, wanted = reference.window_max(finite, **settings, count=count)
    np.testing.assert_array_equal(largest, expected)
    np.testing.assert_array_equal(choice, wanted)
    y = rng.standard_normal(largest.shape).astype(np.float32)
    np.testing.assert_allclose(
        cpu.window_put(y, choice, **settings, length=length),
        reference.window_put(y, choice, **settings, length=length),
        rtol=1e-6,
        atol=1e-6,
    )


def test_windows_larger_than_a_byte_counts():
    x = matrix(0, 300, 2)[None]
    settings = {"size": 280, "stride": 5, "padding": 3}
    largest, choice = cpu.window_max(x, **settings, count=6)
    np.testing.assert_array_equal(largest, reference.window_max(x, **settings, count=6)[0])
    assert choice.dtype == np.uint16
    put = cpu.window_put(largest, choice, **settings, length=300)
    np.testing.assert_allclose(put.sum(), largest.sum(), rtol=1e-5)


@pytest.mark.parametrize("_", range(2))
def test_memory_is_kept_and_given_back_without_a_word(_):
    with kept_memory(), kept_memory():
        arrays = [np.ones(2**20, np.float32) for _ in range(4)]
        del arrays
    assert np.ones(2**20, np.float32).sum() == 2**20
