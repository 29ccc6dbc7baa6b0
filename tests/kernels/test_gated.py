"""Gated activation units: compiled kernels in float32 against the reference in float64, whose oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.kernels import threads
from minigen.kernels.gated import cpu, reference


@settings(max_examples=30)
@given(
    leading=st.lists(st.integers(0, 4), max_size=3),
    half=st.integers(0, 70),
    scale=st.sampled_from([0.1, 3.0, 1e4]),
    is_reversed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_forward_and_back(leading, half, scale, is_reversed, seed):
    rng = np.random.default_rng(seed)
    x = (scale * rng.standard_normal((*leading, 2 * half))).astype(np.float32)
    g = rng.standard_normal((*leading, half)).astype(np.float32)
    if is_reversed:
        x, g = x[..., ::-1], g[..., ::-1]
    found, expected = cpu.gated_tanh(x), reference.gated_tanh(x.astype(float))
    assert (found.dtype, found.shape) == (np.float32, (*leading, half))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-37)
    found = cpu.gated_tanh_backward(g, x)
    assert (found.dtype, found.shape) == (np.float32, x.shape)
    np.testing.assert_allclose(found, reference.gated_tanh_backward(g.astype(float), x.astype(float)), atol=1e-6)


def test_what_is_no_number_stays_where_it_is():
    x = np.zeros((3, 80), np.float32)
    x[0, 5] = x[1, 45] = np.nan
    np.testing.assert_array_equal(np.isnan(cpu.gated_tanh(x)), np.isnan(x[:, :40]) | np.isnan(x[:, 40:]))


@pytest.mark.parametrize("rows", [1, 5000])
def test_the_number_of_threads_makes_no_difference(rows):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((rows, width)).astype(np.float32) for width in (64, 32))
    before, found = threads.get_threads(), []
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            found.append(np.concatenate([cpu.gated_tanh(x), cpu.gated_tanh_backward(g, x)], axis=1))
    finally:
        threads.set_threads(before)
    for each in found:
        np.testing.assert_array_equal(each, found[0])
