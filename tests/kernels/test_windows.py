"""Windows: the compiled kernels against the reference, whose own oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.kernels import cpu, reference
from minigen.kernels.memory import kept_memory


@st.composite
def windows(draw):
    size, stride = draw(
        st.just((2, 2)) | st.tuples(st.integers(1, 5), st.integers(1, 4))
    )  # halving has a loop of its own
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
    expected, wanted = reference.window_max(x, **settings, count=count)
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
    x = np.random.default_rng(0).standard_normal((1, 300, 2)).astype(np.float32)
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
