"""Squares that overflow or vanish: at 1e22 and at 1e-22, whose squares it cannot hold, float32 gives what float64 gives.

Every case of an operation runs with its arguments scaled. Where the result in float64 lies well within the range of float32, float32 has to
give it too.
"""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.ops.norm import mean_and_deviation
from minigen.random import Generator
from ops.cases import CASES, Case

# In these, products of two arguments enter exponentials or differences, where float32 overflows or loses all digits; and a remainder has no
# digits left if the quotient is 1e22.
OUT_OF_RANGE = {
    "attention", "attend", "attend_biased", "self_attention", "attend_packed", "rnn_sequence", "gru_sequence", "lstm_sequence",
    "nade_logits", "mod",
}  # fmt: skip
SCALES = (1e-22, 1e22)
FIRST = {case.name: case for case in reversed(CASES)}
PARAMETERS = [
    pytest.param(case, id=str(case), marks=[] if case is FIRST[case.name] else pytest.mark.slow)
    for case in CASES
    if case.name not in OUT_OF_RANGE
]


def outcomes(case: Case, floats):
    x = [mg.Tensor(array, requires_grad=True) for array in floats]
    y = case.outputs(x)
    found = [output.data for output in y]
    if case.differentiable:
        rng = np.random.default_rng(0)
        cotangents = [np.asarray(rng.standard_normal(output.shape)).astype(output.dtype) for output in y]
        found += [g.data for g in mg.grad(y, x, cotangents, allow_unused=True) if g is not None]
    return found


@pytest.mark.parametrize("case", PARAMETERS)
def test_float32_is_right_where_squares_are_not_in_its_range(case: Case):
    for scale in SCALES:
        single = [(x * scale).astype("float32") for x in case.floats]
        with np.errstate(all="ignore"):
            found = outcomes(case, single)
            expected = outcomes(case, [x.astype("float64") for x in single])
        for obtained, wanted in zip(found, expected, strict=True):
            size = np.max(np.abs(wanted), initial=0.0) if wanted.dtype.kind == "f" else 0.0
            if 1e-36 < size < 1e36:
                assert np.max(np.abs(obtained - wanted)) <= 1e-4 * size, f"{case} at {scale}"


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("float16", 6e-5, 3e4), ("float32", 2e-38, 1e38), ("float64", 3e-308, 1e308)]
)
@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_norm_and_its_gradient_hold_from_the_smallest_to_the_largest_number(dtype, least, most, axis):
    unit = np.array([[0.6, 0.0], [0.8, 0.0]])
    for scale in (least, most):
        x = mg.Tensor((unit * scale).astype(dtype), requires_grad=True)
        length = mg.norm(x, axis=axis)
        expected = {0: [1.0, 0.0], 1: [0.6, 0.8], None: 1.0}[axis]
        np.testing.assert_allclose(
            length.data / np.array(scale, dtype), expected, rtol=3e-3 if dtype == "float16" else 1e-6
        )
        slope = mg.grad(mg.sum(length), x).data
        expected = np.array([[1.0, 0.0], [1.0, 0.0]]) if axis == 1 else unit
        np.testing.assert_allclose(slope, expected, rtol=3e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize(
    ("dtype", "least", "most"), [("float16", 6e-5, 1e4), ("float32", 1e-35, 1e37), ("float64", 1e-300, 1e307)]
)
def test_other_norms_and_deviations_too(dtype, least, most):
    """At the scale 1 they are what NumPy gives, and they grow with the scale."""
    unit = np.array([0.6, 0.0, -0.8, 0.3])
    bound = 1e-2 if dtype == "float16" else 1e-5
    functions = [lambda x, p=p: mg.norm(x, ord=p) for p in (0.5, 1, 1.5, 3, 40, np.inf)] + [mg.std]
    for function in functions:
        at_one = mg.Tensor(unit, requires_grad=True)
        expected = function(at_one)
        for scale in (least, most):
            x = mg.Tensor((unit * scale).astype(dtype), requires_grad=True)
            y = function(x)
            assert y.data / np.array(scale, dtype) == pytest.approx(expected.item(), rel=bound)
            np.testing.assert_allclose(
                mg.grad(y, x).data, mg.grad(expected, at_one, retain_graph=True).data, rtol=bound, atol=bound
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_a_root_mean_square_has_the_right_derivatives_of_both_orders_at_zero_too(dtype, scale):
    """With an epsilon it is smooth: sqrt(x^2 + e) has the derivatives 0 and 1 / sqrt(e) at 0."""
    x = mg.Tensor(np.zeros(4, dtype), requires_grad=True)
    y = mg.root_mean_square(x, epsilon=scale)
    first = mg.grad(y, x, create_graph=True)
    second = mg.grad(first, x, np.eye(4)[0].astype(dtype))
    np.testing.assert_allclose(y.data, scale**0.5, rtol=1e-6)
    np.testing.assert_array_equal(first.data, 0.0)
    np.testing.assert_allclose(second.data, np.eye(4)[0] / (4 * scale**0.5), rtol=1e-6)


def test_many_numbers_of_float16():
    x = np.full(100_000, 200.0, "float16")
    x[::2] = 100.0
    assert mg.mean(x) == 150.0
    assert mg.var(x) == 2500.0
    assert mg.norm(np.ones(100_000, "float16")) == np.float16(100_000**0.5)
    assert mg.norm(np.ones(50_000, "float16"), ord=1) == 50_000.0
    assert mg.std(x) == 50.0
    mean, deviation = mean_and_deviation(x, axes=(0,))
    assert (mean.item(), deviation.item()) == (150.0, 50.0)
    assert all(y.dtype == np.float16 for y in (mg.mean(x), mg.var(x), mg.std(x), mean, deviation))
    leaf = mg.Tensor(x, requires_grad=True)
    assert mg.grad(mg.mean(leaf), leaf).data[0] == np.float16(1e-5)


# ------------------------------------------------------------------------------------------------------ layers

CHANNELS = 6
LAYERS = {
    "LayerNorm": lambda: nn.LayerNorm(CHANNELS),
    "LayerNorm of images": lambda: nn.LayerNorm((3, 3, CHANNELS)),
    "GroupNorm": lambda: nn.GroupNorm(2, CHANNELS),
    "InstanceNorm": lambda: nn.InstanceNorm(CHANNELS),
    "BatchNorm": lambda: nn.BatchNorm(CHANNELS),
    "PixelNorm": lambda: nn.PixelNorm(),
}


def normalized(name, x):
    """The outcome of a layer, and the gradient of a weighted sum of it."""
    layer = LAYERS[name]()
    leaf = mg.Tensor(x, requires_grad=True)
    weights = np.random.default_rng(1).standard_normal(x.shape).astype(x.dtype)
    with nn.frozen_statistics(layer):
        y = layer(leaf)
    return y.data, mg.grad(mg.sum(y * weights), leaf).data


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15, 1e25, 1e30])
def test_layers_that_normalize_do_so_where_variances_overflow_or_vanish(name, scale):
    """The oracle is float64, where they do neither."""
    x = (scale * np.random.default_rng(0).standard_normal((4, 3, 3, CHANNELS))).astype("float32")
    for obtained, wanted in zip(normalized(name, x), normalized(name, x.astype("float64")), strict=True):
        assert np.max(np.abs(obtained - wanted)) <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_normalize_do_so_at_the_end_of_float64(name):
    """The outcome is that at 1e3, and the gradients are smaller by the factor between the two scales."""
    x = np.random.default_rng(0).standard_normal((4, 3, 3, CHANNELS))
    (y, slope), (expected, expected_slope) = normalized(name, 1e300 * x), normalized(name, 1e3 * x)
    np.testing.assert_allclose(y, expected, atol=1e-8)
    np.testing.assert_allclose(1e300 * slope, 1e3 * expected_slope, atol=1e-8)


def test_running_statistics_say_that_they_overflow():
    layer = nn.BatchNorm(2)
    x = np.array([[1e18, 1.0], [-1e18, 3.0]], "float32")
    layer(x)
    np.testing.assert_allclose(layer.running_var.data, [0.9 + 0.1 * 2e36, 0.9 + 0.1 * 2.0], rtol=1e-6)
    with pytest.warns(RuntimeWarning, match="overflow"):
        y = layer(x * np.float32(100))
    np.testing.assert_allclose(y.data, [[1, -1], [-1, 1]], rtol=1e-5)


def test_other_layers_that_square():
    x = np.array([[3e25, 4e25], [-3e25, 4e25]], "float32")
    np.testing.assert_allclose(nn.MinibatchStdDev(group_size=2)(x)[:, 2], 1.5e25, rtol=1e-6)
    for scale in (1e-25, 1e25):
        layer = nn.Linear(2, 2, rng=Generator(0))
        layer.weight.assign(scale * np.array([[3.0, 0.0], [4.0, 1.0]], "float32"))
        directions = nn.WeightNorm(layer)
        np.testing.assert_allclose(directions.weight.data / np.float32(scale), [[3, 0], [4, 1]], rtol=1e-5)
