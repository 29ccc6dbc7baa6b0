"""Normalization: the compiled kernels in float32 against the reference in float64, whose own oracles are the cases of the operations."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.backend import to_device
from minigen.engine import sum_to
from minigen.kernels import threads
from minigen.kernels.normalization import cpu, reference

EPSILON = 0.1


@st.composite
def problems(draw):
    """A shape, the axes to normalize over, and the shape of the factors."""
    n, p, g, b = (draw(st.integers(1, most)) for most in (4, 9, 5, 6))
    return draw(
        st.sampled_from(
            [
                ((n * p, g), (0,), (g,)),  # batch norm, of vectors
                ((n, p, 2, g), (0, 1, 2), (g,)),  # of images
                ((n, p, g), (0, 1), (n, 1, g)),  # conditional
                ((n, p, g), (1,), (g,)),  # instance norm
                ((n, p, g, b), (1, 3), (g, b)),  # group norm
                ((n, p, g, b), (1, 3), (n, 1, g, b)),  # adaptive
                ((n * p, b), (1,), (b,)),  # layer norm
                ((n, p, g, b), (2, 3), (g, b)),
                ((n, p, g), (0, 2), (p, 1)),  # two orders that no loop knows
                ((n, p, g), (1,), (p, 1)),
            ]
        )
    )


def drawn(seed, shape, offset=0.0):
    return (offset + np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def spread_in_memory(x):
    larger = np.full(tuple(2 * n for n in x.shape), np.nan, np.float32)
    view = larger[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def widened(*arrays):
    return [None if a is None else a.astype(np.float64) for a in arrays]


def assert_near(obtained, expected, bound):
    """Within a bound relative to the largest magnitude."""
    np.testing.assert_allclose(obtained, expected, rtol=0, atol=bound * max(1.0, abs(expected).max(initial=0.0)))


GROUPS_OF_ONE_PIXEL = ((3, 1, 2, 3), (1, 3), (3, 1, 2, 3))
NO_EXAMPLES = ((0, 4, 2, 2), (1, 3), (2, 2))


@given(
    problem=problems(),
    seed=st.integers(0, 1000),
    has_weight=st.booleans(),
    has_bias=st.booleans(),
    is_spread=st.booleans(),
)
@example(GROUPS_OF_ONE_PIXEL, 0, True, True, False)
@example(NO_EXAMPLES, 0, True, True, False)
def test_normalizing_and_back(problem, seed, has_weight, has_bias, is_spread):
    shape, axes, table = problem
    x, g = drawn(seed, shape, 2.0), drawn(seed + 1, shape)
    if is_spread:
        x, g = spread_in_memory(x), spread_in_memory(g)
    weight = drawn(seed + 2, table) if has_weight else None
    bias = drawn(seed + 3, table) if has_bias else None
    x64, g64, weight64, bias64 = widened(x, g, weight, bias)
    y, mean, scale = cpu.normalize(x, weight, bias, axes=axes, epsilon=EPSILON)
    expected = reference.normalize(x64, weight64, bias64, axes=axes, epsilon=EPSILON)
    for obtained, wanted in zip((y, mean, scale), expected, strict=True):
        assert obtained.dtype == np.float32
        assert obtained.shape == wanted.shape
        assert_near(obtained, wanted, 2e-5)
    moments = reference.mean_and_deviation(x64, axes=axes)
    for obtained, wanted in zip(cpu.mean_and_deviation(x, axes=axes), moments, strict=True):
        assert_near(obtained, wanted, 1e-6)

    mean, scale = expected[1].astype(np.float32), expected[2].astype(np.float32)
    mean64, scale64 = widened(mean, scale)
    y = cpu.normalize_by(x, weight, bias, mean, scale, axes=axes)
    assert_near(y, reference.normalize_by(x64, weight64, bias64, mean64, scale64, axes=axes), 1e-6)
    bias_shape = table if has_bias else ()
    obtained = cpu.normalize_backward(g, x, weight, mean, scale, axes=axes, bias_shape=bias_shape)
    wanted = reference.normalize_backward(g64, x64, weight64, mean64, scale64, axes=axes, bias_shape=bias_shape)
    assert (obtained[1] is None) == (wanted[1] is None) == (not has_weight)
    assert_near(obtained[0], wanted[0], 3e-6)
    for i, is_there in ((1, has_weight), (2, has_bias)):
        if is_there:
            assert obtained[i].dtype == np.float32
            assert_near(sum_to(obtained[i], shape=table), sum_to(wanted[i], shape=table), 3e-6)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2), (1, 3), (3,), (1, 2, 3)])
def test_every_usual_normalization_has_a_loop(axes, monkeypatch):
    """Else the reference would serve, and nobody would know but by the time it takes."""
    for name in ("mean_and_deviation", "normalize", "normalize_by", "normalize_backward"):
        monkeypatch.setattr(reference, name, None)
    x = drawn(0, (2, 3, 4, 5))
    kept = {(1, 3): (4, 5), (1, 2, 3): (3, 4, 5)}.get(axes, (5,))
    for table in (kept, (2, 1, *kept)) if len(kept) == 2 else (kept,):
        weight = np.ones(table, np.float32)
        _, mean, scale = cpu.normalize(x, weight, weight, axes=axes, epsilon=EPSILON)
        cpu.normalize_by(x, weight, None, mean, scale, axes=axes)
        cpu.normalize_backward(x, x, weight, mean, scale, axes=axes, bias_shape=table)


@pytest.mark.parametrize("shape", [(5000, 3), (1, 3000, 2, 3)])
@pytest.mark.parametrize("offset", [0.0, 10.0, -1e4])
@pytest.mark.parametrize("order", ["as drawn", "sorted", "an outlier first"])
def test_mean_and_deviation_far_from_zero_and_in_an_unlucky_order(shape, offset, order):
    """The mean of what came before is a good shift; the first value need not be."""
    axes = (0,) if len(shape) == 2 else (1, 3)
    x = drawn(1, shape, offset)
    if order == "sorted":
        x = np.sort(x, axis=axes[0])
    if order == "an outlier first":
        x[0, ...] = np.where(np.arange(x[0].size).reshape(x[0].shape) < 3, offset + 1e3, x[0])
    exact = x.astype(np.float64)
    for layout in (x, np.ascontiguousarray(np.moveaxis(x, axes[0], -1))):  # by columns, and by rows
        over = axes if layout is x else tuple(axis - 1 if axis > axes[0] else layout.ndim - 1 for axis in axes)
        mean, deviation = cpu.mean_and_deviation(layout, axes=tuple(sorted(over)))
        assert abs(mean.ravel() - exact.mean(axis=axes).ravel()).max() < 1e-6 * np.sqrt(exact.var() + offset**2)
        np.testing.assert_allclose(deviation.ravel(), exact.std(axis=axes).ravel(), rtol=5e-6)


def test_a_constant_has_deviation_0_and_what_is_no_number_comes_through():
    x = np.full((300, 4), 0.1, np.float32)
    x[7, 1], x[9, 2] = np.nan, np.inf
    for axes, layout in (((0,), x), ((1,), x.T)):
        with np.errstate(invalid="ignore"):
            _, deviation = cpu.mean_and_deviation(layout, axes=axes)
        np.testing.assert_array_equal(np.isnan(deviation.ravel()), [False, True, True, False])
        assert abs(deviation.ravel()[[0, 3]]).max() < 1e-8


@settings(max_examples=3)
@given(count=st.integers(1, 3), seed=st.integers(0, 100))
@pytest.mark.parametrize(
    ("shape", "axes", "table"),
    [((140_000, 3), (0,), (3,)), ((3, 22_000, 2, 3), (1, 3), (2, 3)), ((5700, 70), (1,), (70,)), ((3, 140_000), (1,), (140_000,))],
)  # fmt: skip
def test_the_number_of_threads_makes_no_difference(shape, axes, table, count, seed):
    x, g, weight = drawn(seed, shape, 5.0), drawn(seed + 1, shape), drawn(seed + 2, table)
    before = threads.get_threads()
    try:
        threads.set_threads(count)
        y, mean, scale = cpu.normalize(x, weight, None, axes=axes, epsilon=EPSILON)
        found = cpu.normalize_backward(g, x, weight, mean, scale, axes=axes, bias_shape=table)
    finally:
        threads.set_threads(before)
    x64, g64, weight64, mean64, scale64 = widened(x, g, weight, mean, scale)
    assert_near(y, reference.normalize(x64, weight64, None, axes=axes, epsilon=EPSILON)[0], 1e-5)
    wanted = reference.normalize_backward(g64, x64, weight64, mean64, scale64, axes=axes, bias_shape=table)
    assert_near(found[0], wanted[0], 1e-5)
    for obtained, whole in zip(found[1:], wanted[1:], strict=True):
        assert_near(sum_to(obtained, shape=table), sum_to(whole, shape=table), 1e-5)


def test_other_dtypes_take_the_reference():
    x = np.random.default_rng(0).standard_normal((6, 4))
    for obtained, expected in zip(
        kernels.mean_and_deviation(x, axes=(0,)), reference.mean_and_deviation(x, axes=(0,)), strict=True
    ):
        np.testing.assert_array_equal(obtained, expected)


@pytest.mark.parametrize("axes", [(0,), (0, 1), (1,), (-1,)])
def test_half_precision_has_a_mean_where_its_sum_would_overflow(axes, device):
    rng = np.random.default_rng(0)
    exact = 300.0 + rng.normal(size=(800, 500, 1) if 1 in axes else (800, 1, 500)).astype("float16").astype("float64")
    x = to_device(exact.astype("float16"), device)
    mean, deviation = kernels.mean_and_deviation(x, axes=axes)
    np.testing.assert_allclose(on_host(mean), exact.mean(axis=axes, keepdims=True), rtol=1e-3)
    out, *_ = kernels.normalize_backward(x, x, None, mean, 1 / deviation, axes=axes, bias_shape=())
    assert np.isfinite(on_host(out)).all()


def test_moments_on_the_gpu_are_those_of_the_cpu(device):
    x = np.random.default_rng(1).normal(3.0, 2.0, (4, 5, 6, 2))
    for axes in ((0, 1, 2), (0,), (1, 2), (1, 3), (3,), (1, 2, 3), (0, 2), (-1, 0)):
        found = kernels.mean_and_deviation(to_device(x, device), axes=axes)
        for one, expected in zip(
            found, (x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True)), strict=True
        ):
            np.testing.assert_allclose(on_host(one), expected, rtol=1e-12)
