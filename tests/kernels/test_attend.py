"""Attention: the compiled kernels against the reference, whose own oracle are the cases of the operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import threads
from minigen.kernels.attention import cpu, reference
from minigen.kernels.memory import release_workspaces

EPSILON = 2.0**-24


def drawn(rng, shape, layout):
    """Numbers of a shape, laid out as they are, with the heads before the places, or every other number of a larger array."""
    if layout == "heads first":
        n, t, h, d = shape
        return rng.standard_normal((n, h, t, d), dtype=np.float32).transpose(0, 2, 1, 3)
    if layout == "spread":
        return rng.standard_normal((*shape[:3], 2 * shape[3]), dtype=np.float32)[..., ::2]
    return rng.standard_normal(shape, dtype=np.float32)


def mask_of(rng, kind, n, queries, keys):
    shapes = {"keys": (n, 1, keys), "pairs": (n, queries, keys), "the same for all": (1, queries, keys)}
    return None if kind == "none" else rng.random(shapes[kind]) < 0.6


def assert_near(obtained, exact, roundings, what):
    assert obtained.dtype == np.float32
    assert obtained.shape == exact.shape
    scale = np.max(np.abs(exact), initial=1.0)
    error = np.max(np.abs(obtained - exact), initial=0.0)
    assert error <= roundings * EPSILON * scale, f"{what}: {error / scale / EPSILON:.0f} roundings"


def compared(seed, n, heads, queries, keys, features, outputs, layout, kind, causal, scale=None):
    """Check outputs and gradients, within 100 roundings of their largest magnitude."""
    rng = np.random.default_rng(seed)
    arrays = [drawn(rng, (n, t, heads, d), layout) for t, d in ((queries, features), (keys, features), (keys, outputs))]
    wishes = {"mask": mask_of(rng, kind, n, queries, keys), "causal": causal, "scale": scale or features**-0.5}
    exact = [array.astype(np.float64) for array in arrays]
    expected, logarithm = reference.attend(*exact, **wishes)
    out, found = cpu.attend(*arrays, **wishes)
    assert_near(out, expected, 100, "output")
    sees = np.isfinite(logarithm)
    np.testing.assert_array_equal(np.isfinite(found), sees)
    assert (found[~sees] == -np.inf).all()
    assert_near(found[sees], logarithm[sees], 100, "logarithm")
    g = drawn(rng, (n, queries, heads, outputs), layout)
    wanted = reference.attend_backward(g.astype(np.float64), *exact, expected, logarithm, **wishes)
    obtained = cpu.attend_backward(g, *arrays, out, found, **wishes)
    for name, a, b in zip(("query", "key", "value"), obtained, wanted, strict=True):
        assert_near(a, b, 100, f"gradient of {name}")


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 2),
    heads=st.integers(1, 3),
    lengths=st.tuples(st.integers(3, 20), st.integers(1, 40)),
    widths=st.tuples(st.integers(1, 35), st.integers(1, 35)),
    layout=st.sampled_from(["plain", "heads first", "spread"]),
    kind=st.sampled_from(["none", "keys", "pairs", "the same for all"]),
    causal=st.booleans(),
)
def test_the_compiled_kernels_equal_the_reference(seed, n, heads, lengths, widths, layout, kind, causal):
    compared(seed, n, heads, *lengths, *widths, layout, kind, causal)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("lengths", "widths"),
    [
        ((1, 1), (1, 1)),
        ((6, 1), (1, 1)),
        ((64, 64), (32, 32)),
        ((9, 200), (70, 70)),
        ((30, 7), (3, 5)),
        ((5, 17), (16, 48)),
    ],
    ids=[
        "a single pair",
        "a single key",
        "whole vectors",
        "tiles of every width",
        "more queries than keys",
        "one more than vectors",
    ],
)
def test_sizes_where_vectors_and_tiles_end(lengths, widths, causal):
    compared(0, 1, 2, *lengths, *widths, "plain", "none", causal)


@pytest.mark.parametrize("causal", [False, True])
def test_several_blocks_of_queries(causal, monkeypatch):
    monkeypatch.setattr(cpu, "_BLOCK", 600)  # of 18 queries
    for queries, keys in ((50, 30), (30, 50), (36, 32)):
        compared(0, 2, 1, queries, keys, 5, 4, "plain", "pairs", causal)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_threads_share_out_examples_and_heads(count, monkeypatch):
    before = threads.get_threads()
    monkeypatch.setattr(cpu, "ENOUGH", 1)
    try:
        threads.set_threads(count)
        compared(0, 3, 3, 10, 12, 5, 4, "plain", "pairs", causal=True)
    finally:
        threads.set_threads(before)
        release_workspaces()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [0, 2])
def test_gradients_in_one_array_are_those_in_three(n, causal):
    rng = np.random.default_rng(0)
    packed = drawn(rng, (n, 9, 3 * 2, 5), "plain").reshape(n, 9, 3, 2, 5)
    parts = [packed[:, :, i] for i in range(3)]
    wishes = {"mask": rng.random((1, 9, 9)) < 0.7, "causal": causal, "scale": 1.0}
    out, logarithm = kernels.attend(*parts, **wishes)
    g = drawn(rng, out.shape, "plain")
    together = kernels.attend_packed_backward(g, packed, out, logarithm, **wishes)
    assert together.flags.c_contiguous
    for i, part in enumerate(kernels.attend_backward(g, *parts, out, logarithm, **wishes)):
        np.testing.assert_array_equal(together[:, :, i], part)
    exact = [array.astype(np.float64) for array in (g, packed, out, logarithm)]
    assert_near(together, reference.attend_packed_backward(*exact, **wishes), 100, "gradient")


def test_large_scores_do_not_overflow():
    rng = np.random.default_rng(0)
    query, key, value = (drawn(rng, (1, 8, 1, 4), "plain") for _ in range(3))
    out, logarithm = cpu.attend(1e18 * query, 1e18 * key, value, mask=None, causal=False, scale=1.0)
    scores = query[0, :, 0] @ key[0, :, 0].T
    np.testing.assert_array_equal(out[0, :, 0], value[0, scores.argmax(axis=1), 0])
    assert np.isfinite(logarithm).all()


@pytest.mark.parametrize("compute", [cpu.attend, reference.attend])
def test_a_number_that_is_none_stays_with_the_query_that_has_it(compute):
    query, key, value = (np.ones((1, 7, 1, 3), np.float32) for _ in range(3))
    query[0, 2, 0, 1] = np.nan
    out, _ = compute(query, key, value, mask=None, causal=False, scale=1.0)
    assert np.isnan(out[0, 2]).all()
    np.testing.assert_allclose(np.delete(out, 2, axis=1), 1.0, rtol=1e-6)
