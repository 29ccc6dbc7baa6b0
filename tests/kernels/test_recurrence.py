"""The walk through time: the compiled kernels against the reference, whose own oracles are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import threads
from minigen.kernels.recurrence import cpu, reference

BOUND = 1e-5
"""On the error, relative to the largest magnitude or 1: some 150 roundings, in at most 6 steps."""


def double(arrays):
    return [None if a is None else a.astype(np.float64) for a in arrays]


def backwards_in_memory(array):
    return array[::-1].copy()[::-1]


class Draw:
    """Float32 arrays of a network of N sequences, T steps, H features and G gates."""

    def __init__(self, seed, n, steps, features, gates, masked):
        rng = np.random.default_rng(seed)

        def normal(*shape, scale=1.0):
            return backwards_in_memory((scale * rng.standard_normal(shape)).astype(np.float32))

        self.projected = normal(
            n, steps, gates * features
        ).copy()  # a kernel overwrites it, and so is given one of its own
        self.weight = normal(features, gates * features, scale=features**-0.5)
        self.bias, self.bias_n = normal(gates * features), normal(features)
        self.hidden, self.cell = normal(n, features), normal(n, features)
        self.mask = backwards_in_memory((rng.random((n, steps)) < 0.6).astype(np.float32)) if masked else None
        self.g = normal(n, steps + 1, features)


def rnn(library, draw, cast, reverse):
    weight, bias, hidden, mask, g = cast([draw.weight, draw.bias, draw.hidden, draw.mask, draw.g[:, 1:]])
    states = library.rnn_forward(*cast([draw.projected.copy()]), weight, bias, hidden, mask, reverse=reverse)
    return (states.copy(), *library.rnn_backward(g, states, weight, mask, reverse=reverse))


def gru(library, draw, cast, reverse):
    weight, bias, bias_n = cast([draw.weight, draw.bias, draw.bias_n])
    hidden, mask, g = cast([draw.hidden, draw.mask, draw.g[:, 1:]])
    (projected,) = cast([draw.projected.copy()])
    states, gates, q = library.gru_forward(projected, weight, bias, bias_n, hidden, mask, reverse=reverse)
    return states, *library.gru_backward(g, states, gates, q, weight, hidden, mask, reverse=reverse)


def lstm(library, draw, cast, reverse):
    weight, bias, hidden, cell, mask, g = cast([draw.weight, draw.bias, draw.hidden, draw.cell, draw.mask, draw.g])
    (projected,) = cast([draw.projected.copy()])
    states, gates, cells = library.lstm_forward(projected, weight, bias, hidden, cell, mask, reverse=reverse)
    return states, cells, *library.lstm_backward(g, gates, cells, weight, cell, mask, reverse=reverse)


NETWORKS = pytest.mark.parametrize(("network", "gates"), [(rnn, 1), (gru, 3), (lstm, 4)], ids=["rnn", "gru", "lstm"])


def assert_as_reference(network, draw, reverse):
    obtained = network(cpu, draw, list, reverse)
    expected = network(reference, draw, double, reverse)
    for a, b in zip(obtained, expected, strict=True):
        assert a.dtype == np.float32
        assert a.shape == b.shape
        assert np.max(np.abs(a - b), initial=0.0) <= BOUND * np.max(np.abs(b), initial=1.0)


@NETWORKS
@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 15),
    steps=st.integers(1, 6),
    features=st.one_of(st.integers(1, 20), st.sampled_from([32, 48, 80])),
    masked=st.booleans(),
    reverse=st.booleans(),
)
@settings(max_examples=25)
def test_compiled_walks_are_those_of_the_reference(network, gates, seed, n, steps, features, masked, reverse):
    assert_as_reference(network, Draw(seed, n, steps, features, gates, masked), reverse)


@NETWORKS
def test_threads_share_out_the_sequences(network, gates, monkeypatch):
    monkeypatch.setattr(cpu, "_ENOUGH_PRODUCTS", 1)
    draw, before = Draw(0, 7, 4, 5, gates, True), threads.get_threads()
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            assert_as_reference(network, draw, False)
    finally:
        threads.set_threads(before)


@NETWORKS
def test_what_a_hidden_step_holds_makes_no_difference(network, gates):
    draw = Draw(0, 4, 5, 3, gates, True)
    first = network(kernels, draw, list, False)
    draw.projected[draw.mask == 0] = np.nan
    for a, b in zip(network(kernels, draw, list, False), first, strict=True):
        np.testing.assert_array_equal(a, b)


@NETWORKS
def test_large_sums_saturate(network, gates):
    draw = Draw(0, 3, 3, 4, gates, False)
    draw.projected *= 1e4
    with np.errstate(all="raise", under="ignore"):
        assert all(np.isfinite(a).all() for a in network(cpu, draw, list, False))
