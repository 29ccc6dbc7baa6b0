"""The ends of an operation's range: values and derivatives of both orders at 0 and at infinity are the limits there.

A new operation in `ops/elementwise.py` or `ops/powers.py` fails the suite until its limits are in the table.
"""

import numpy as np
import pytest

import minigen as mg
from minigen import ops
from minigen.engine import Primitive
from minigen.testing import gradcheck

INF, NAN = np.inf, np.nan
DTYPES = ["float32", "float64"]

# By operation and point: value, first and second derivative; where both sides of 0 differ, the convention that the docstring states.
LIMITS = {
    "abs": {0.0: (0, 0, 0), INF: (INF, 1, 0), -INF: (INF, -1, 0)},
    "clip": {0.0: (0, 1, 0), INF: (INF, 1, 0), -INF: (-INF, 1, 0)},
    "cos": {0.0: (1, 0, -1)},
    "elu": {0.0: (0, 1, 1), INF: (INF, 1, 0), -INF: (-1, 0, 0)},
    "erf": {0.0: (0, 2 / np.sqrt(np.pi), 0), INF: (1, 0, 0), -INF: (-1, 0, 0)},
    "erfinv": {
        0.0: (0, np.sqrt(np.pi) / 2, 0),
        1.0: (INF, INF, INF),
        -1.0: (-INF, INF, -INF),
    },
    "exp": {0.0: (1, 1, 1), INF: (INF, INF, INF), -INF: (0, 0, 0)},
    "exp2": {0.0: (1, np.log(2), np.log(2) ** 2), INF: (INF, INF, INF), -INF: (0, 0, 0)},
    "expm1": {0.0: (0, 1, 1), INF: (INF, INF, INF), -INF: (-1, 0, 0)},
    "gelu": {0.0: (0, 0.5, np.sqrt(2 / np.pi)), INF: (INF, 1, 0), -INF: (0, 0, 0)},
    "leaky_relu": {0.0: (0, 0.01, 0), INF: (INF, 1, 0), -INF: (-INF, 0.01, 0)},
    "log": {0.0: (-INF, INF, -INF), INF: (INF, 0, 0)},
    "log10": {0.0: (-INF, INF, -INF), INF: (INF, 0, 0)},
    "log1p": {0.0: (0, 1, -1), -1.0: (-INF, INF, -INF), INF: (INF, 0, 0)},
    "log_ndtr": {0.0: (-np.log(2), np.sqrt(2 / np.pi), -2 / np.pi), INF: (0, 0, 0), -INF: (-INF, INF, -1)},
    "log2": {0.0: (-INF, INF, -INF), INF: (INF, 0, 0)},
    "nan_to_num": {0.0: (0, 1, 0), NAN: (0, 0, 0)},
    "negative": {0.0: (0, -1, 0), INF: (-INF, -1, 0), -INF: (INF, -1, 0)},
    "reciprocal": {0.0: (INF, -INF, INF), INF: (0, 0, 0), -INF: (0, 0, 0)},
    "relu": {0.0: (0, 0, 0), INF: (INF, 1, 0), -INF: (0, 0, 0)},
    "sigmoid": {0.0: (0.5, 0.25, 0), INF: (1, 0, 0), -INF: (0, 0, 0)},
    "silu": {0.0: (0, 0.5, 0.5), INF: (INF, 1, 0), -INF: (0, 0, 0)},
    "sin": {0.0: (0, 1, 0)},
    "softplus": {0.0: (np.log(2), 0.5, 0.25), INF: (INF, 1, 0), -INF: (0, 0, 0)},
    "sqrt": {0.0: (0, INF, -INF), INF: (INF, 0, 0)},
    "square": {0.0: (0, 0, 2), INF: (INF, INF, 2), -INF: (INF, -INF, 2)},
    "tanh": {0.0: (0, 1, 0), INF: (1, 0, 0), -INF: (-1, 0, 0)},
}
SETTINGS = {
    "gelu": [{"form": "exact"}, {"form": "tanh"}],
    "leaky_relu": [{}, {"slope": 0.01}],
    "elu": [{}, {"alpha": 1.0}],
}
POINTS = [
    pytest.param(name, settings, point, id=f"{name}{settings or ''} at {point}")
    for name, limits in LIMITS.items()
    for settings in SETTINGS.get(name, [{}])
    for point in limits
]


FILES = ("minigen.ops.elementwise", "minigen.ops.powers")


def derivatives(function, point, dtype):
    """The value, the slope and the curvature of a function of one number."""
    x = mg.Tensor(np.array(point, dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        y = function(x)
        slope = mg.grad(y, x, create_graph=True)
        curvature = mg.grad(slope, x, allow_unused=True) if slope.requires_grad else None
    return [y.item(), slope.item(), 0.0 if curvature is None else curvature.item()]


def test_every_elementwise_function_of_one_number_has_its_limits_in_the_table():
    operations = {name: getattr(ops, name) for name in ops.__all__}
    unary = {
        name
        for name, op in operations.items()
        if isinstance(op, Primitive) and op.arguments == ["x"] and op.forward.__module__ in FILES
    }
    assert unary - {"sign"} | {"clip"} == set(LIMITS)  # sign has no derivatives; the bounds of clip may be left out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "settings", "point"), POINTS)
def test_values_and_derivatives_at_zero_and_infinity_are_the_limits(name, settings, point, dtype):
    found = derivatives(lambda x: getattr(mg, name)(x, **settings), point, dtype)
    np.testing.assert_allclose(found, LIMITS[name][point], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "settings", "point"), [case for case in POINTS if np.isinf(case.values[2])])
def test_on_the_way_to_infinity_nothing_overflows_before_the_limit_is_reached(name, settings, point, dtype):
    for size in (1e3, 1e6, 1e15, 1e25, 1e37):
        found = derivatives(lambda x: getattr(mg, name)(x, **settings), np.copysign(size, point), dtype)
        for obtained, limit in zip(found, LIMITS[name][point], strict=True):
            if np.isfinite(limit):
                np.testing.assert_allclose(obtained, limit, atol=0.1)
            else:
                assert obtained * np.sign(limit) > 1  # on its way, or there


# ------------------------------------------------------------------------------------------------------ powers


def power_derivatives(a, b):
    """d/da, d/db, and the second derivatives dada, dadb, dbda, dbdb of a^b."""
    x, y = (mg.Tensor(np.array(v), requires_grad=True) for v in (a, b))
    with np.errstate(all="ignore"):
        first = mg.grad(x**y, [x, y], create_graph=True)
        second = [g for slope in first for g in mg.grad(slope, [x, y], retain_graph=True)]
    return [g.item() for g in (*first, *second)]


@pytest.mark.parametrize("a", [2.0, 0.5, 3.0])
@pytest.mark.parametrize("b", [0.0, 1.0, -1.0, 2.0, 0.5])
def test_both_orders_of_the_mixed_derivative_of_a_power_are_the_same(a, b):
    """At b = 0 too, where d/da = b a^(b-1) is 0, but not its derivative by b, 1/a."""
    log_a = np.log(a)
    dadb = a ** (b - 1) * (1 + b * log_a)
    expected = [b * a ** (b - 1), a**b * log_a, b * (b - 1) * a ** (b - 2), dadb, dadb, a**b * log_a**2]
    np.testing.assert_allclose(power_derivatives(a, b), expected, rtol=1e-13, atol=1e-15)
    gradcheck(mg.power, [np.array(a), np.array(b)])


@pytest.mark.parametrize(
    ("a", "b", "da", "db"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.5, INF, 0.0),
        (0.0, -1.0, -INF, -INF),
        (INF, -1.0, 0.0, 0.0),
        (INF, 0.0, 0.0, INF),
        (INF, 2.0, INF, INF),
        (-2.0, 3.0, 12.0, NAN),
    ],
)
@pytest.mark.parametrize("given", ["arrays", "the base as a number", "the exponent as a number"])
def test_slopes_of_a_power_at_zero_and_infinity(a, b, da, db, given):
    x, y = (mg.Tensor(np.array(v, "float32"), requires_grad=True) for v in (a, b))
    with np.errstate(all="ignore"):
        if given != "the base as a number":
            slope = mg.grad(x ** (y if given == "arrays" else b), x)
            assert slope.dtype == np.float32
            np.testing.assert_array_equal(slope.data, np.float32(da))
        if given != "the exponent as a number" and np.isfinite(a):
            slope = mg.grad((x if given == "arrays" else a) ** y, y)
            assert slope.dtype == np.float32
            np.testing.assert_array_equal(slope.data, np.float32(db))


# ------------------------------------------------------------------------------------------------------ NaN, as in PyTorch

SLOPES_AT_NAN = {
    "relu": (mg.relu, [NAN, 1.0, -1.0], [1, 1, 0]),
    "leaky_relu": (mg.leaky_relu, [NAN, -1.0], [0.01, 0.01]),
    "clip": (lambda x: mg.clip(x, low=0.0, high=2.0), [NAN, 1.0, 3.0], [0, 1, 0]),
    "maximum": (lambda x: mg.maximum(x, np.array([0.0, NAN, NAN], x.dtype)), [NAN, 1.0, NAN], [1, 1, 1]),
    "minimum": (lambda x: mg.minimum(np.array([0.0, NAN, NAN], x.dtype), x), [NAN, 1.0, NAN], [1, 1, 1]),
    "max": (mg.max, [NAN, 1.0, NAN], [0.5, 0, 0.5]),
    "min": (mg.min, [1.0, NAN, 3.0], [0, 1, 0]),
    "max_pool2d": (
        lambda x: mg.max_pool2d(mg.reshape(x, shape=(1, 2, 2, 1)), kernel_size=2),
        [1.0, 5.0, NAN, 2.0],
        [0, 0, 1, 0],
    ),
    "max_pool2d, the last": (
        lambda x: mg.max_pool2d(mg.reshape(x, shape=(1, 2, 2, 1)), kernel_size=2),
        [NAN, 5.0, NAN, 2.0],
        [0, 0, 1, 0],
    ),
    "max_pool2d over edges": (
        lambda x: mg.max_pool2d(mg.reshape(x, shape=(1, 2, 2, 1)), kernel_size=3, stride=2, padding=1),
        [1.0, NAN, 3.0, 2.0],
        [0, 1, 0, 0],
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SLOPES_AT_NAN)
def test_where_the_value_is_nan_its_gradient_goes_where_the_nan_came_from(name, dtype, device):
    function, values, slopes = SLOPES_AT_NAN[name]
    x = mg.Tensor(np.array(values, dtype), requires_grad=True)
    y = function(x.to(device)) if device != "cpu" and "imum" not in name else function(x)
    assert np.isnan(y.to("cpu").data).any()
    np.testing.assert_array_equal(mg.grad(mg.sum(y), x).data, np.array(slopes, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", [0, 1])
def test_a_window_of_minus_infinities_has_its_largest_value_inside_the_image(dtype, padding):
    x = mg.Tensor(np.full((1, 2, 2, 1), -INF, dtype), requires_grad=True)
    y = mg.max_pool2d(x, kernel_size=2, padding=padding)
    np.testing.assert_array_equal(y.data, -INF)
    assert mg.grad(mg.sum(y), x).data.sum() == y.size


# ------------------------------------------------------------------------------------------------------ empty arrays, and one number


@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
def test_sums_of_exponentials_over_nothing(dtype):
    nothing = np.zeros((2, 0), dtype)
    np.testing.assert_array_equal(mg.logsumexp(nothing, axis=1), np.full(2, -INF, dtype))
    assert mg.logsumexp(nothing).item() == -INF
    x = mg.Tensor(nothing, requires_grad=True)
    for function in (mg.softmax, mg.log_softmax, mg.logsumexp):
        y = function(x, axis=1)
        assert y.dtype == dtype
        assert mg.grad(y, x, np.ones(y.shape, dtype)).shape == (2, 0)


@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
def test_a_sum_of_exponentials_of_many_does_not_pass_the_end_of_float16(dtype):
    x = np.zeros(70_000, dtype)
    for found, expected in (
        (mg.logsumexp(x), np.log(70_000)),
        (mg.log_softmax(x)[:1], -np.log(70_000)),
        (mg.softmax(x)[:1], 1 / 70_000),
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=4e-3 if dtype == "float16" else 1e-6)
