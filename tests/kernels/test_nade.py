"""NADE's walk over the sites: the compiled kernels against the reference, whose own oracle is a case of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import threads
from minigen.kernels.nade import cpu, reference

BOUND = 1e-5
"""On the error, relative to the largest magnitude or 1: some 150 roundings."""


def draw(seed, n, sites, units, share_of_zeros=0.5):
    """Float32 arrays g, x, W, c, V and b, the weights backwards in memory."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)[::-1].copy()[::-1]

    x = normal(n, sites) * (rng.random((n, sites)) >= share_of_zeros)
    return normal(n, sites), x, normal(sites, units), normal(units), normal(sites, units), normal(sites)


def assert_as_reference(arrays):
    g, x, weight, hidden_bias, out_weight, bias = arrays
    exact = [array.astype(np.float64) for array in arrays]
    obtained = [cpu.nade_forward(x, weight, hidden_bias, out_weight, bias)]
    obtained += cpu.nade_backward(g, x, weight, hidden_bias, out_weight)
    expected = [reference.nade_forward(*exact[1:]), *reference.nade_backward(*exact[:5])]
    for a, b in zip(obtained, expected, strict=True):
        assert a.dtype == np.float32
        assert a.shape == b.shape
        assert np.max(np.abs(a - b), initial=0.0) <= BOUND * np.max(np.abs(b), initial=1.0)


@given(seed=st.integers(0, 1000), n=st.integers(0, 40), sites=st.integers(1, 12), units=st.integers(1, 40))
@settings(max_examples=25)
def test_compiled_as_reference(seed, n, sites, units):
    assert_as_reference(draw(seed, n, sites, units))


def test_several_threads_add_up_to_one_total(monkeypatch):
    monkeypatch.setattr(cpu, "_ENOUGH_UNITS", 1)
    before = threads.get_threads()
    threads.set_threads(3)
    try:
        arrays = draw(0, 50, 7, 9)
        assert_as_reference(arrays)
        g, x, weight, hidden_bias, out_weight, _ = arrays
        first = kernels.nade_backward(g, x, weight, hidden_bias, out_weight)
        for a, b in zip(kernels.nade_backward(g, x, weight, hidden_bias, out_weight), first, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        threads.set_threads(before)


@pytest.mark.parametrize("large", [200.0, -200.0])
def test_saturated_units_give_no_nan(large):
    g, x, weight, hidden_bias, out_weight, bias = draw(1, 3, 4, 5)
    assert_as_reference((g, x, weight, np.full_like(hidden_bias, large), out_weight, bias))


@pytest.mark.parametrize("dtype", [bool, "uint8", "int64", "float32"])
@pytest.mark.parametrize("exact", ["float32", "float64"])
def test_bits_of_any_dtype_are_those_numbers(dtype, exact):
    g, x, *parameters = (array.astype(exact) for array in draw(3, 4, 5, 6))
    bits = x > 0
    obtained = [kernels.nade_forward(bits.astype(dtype), *parameters)]
    obtained += kernels.nade_backward(g, bits.astype(dtype), *parameters[:3])
    expected = [reference.nade_forward(bits.astype(exact), *parameters)]
    expected += reference.nade_backward(g, bits.astype(exact), *parameters[:3])
    for a, b in zip(obtained, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 if exact == "float32" else 1e-14)
        assert a.dtype == exact


def test_the_arguments_are_left_as_they_are():
    arrays = draw(2, 20, 5, 6)
    copies = [array.copy() for array in arrays]
    assert_as_reference(arrays)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
