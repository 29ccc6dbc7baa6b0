"""What the functions that come from NumPy do at poles and jumps, at the ends of their domains and of the floats, and with integers."""

import itertools

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen.backend import to_device
from minigen.engine import Tensor

INF, NAN = np.inf, np.nan


def leaf(values, dtype="float64"):
    return Tensor(np.array(values, dtype), requires_grad=True)


def slope(function, values, dtype="float64", device="cpu"):
    """The gradient of function(x) for a cotangent of ones."""
    x = leaf(values, dtype)
    y = function(x.to(device)).to("cpu")
    return mg.grad(y, x, np.ones(y.shape)).data


def slopes(function, *arguments):
    """The gradients of the sum of function(*arguments)."""
    x = [leaf(argument) for argument in arguments]
    return [g.data for g in mg.grad(mg.sum(function(*x)), x)]


def second_derivatives(function, *arguments):
    """The second derivatives of function(*arguments) at one point, as a matrix."""
    x = [leaf(argument) for argument in arguments]
    first = mg.grad(function(*x), x, create_graph=True)
    rows = [mg.grad(g, x, allow_unused=True, retain_graph=True) if g.requires_grad else [None] * len(x) for g in first]
    return np.array([[0.0 if h is None else h.item() for h in row] for row in rows])


# ------------------------------------------------------------------------------------------------------ ends and poles


@pytest.mark.parametrize(
    ("function", "ends", "slopes_there"),
    [
        (mg.arcsin, [-1.0, 1.0], [INF, INF]),
        (mg.arccos, [-1.0, 1.0], [-INF, -INF]),
        (mg.arccosh, [1.0], [INF]),
        (mg.arctanh, [-1.0, 1.0], [INF, INF]),
        (mg.log2, [0.0], [INF]),
        (mg.log10, [0.0], [INF]),
        (mg.reciprocal, [0.0], [-INF]),
    ],
)
def test_slopes_at_the_ends_of_a_domain_are_infinite(function, ends, slopes_there, device):
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(slope(function, ends, device=device), slopes_there)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (mg.arcsin, [-1.5, 1.5, NAN]),
        (mg.arccos, [-1.5, 1.5, NAN]),
        (mg.arctanh, [-1.5, 1.5, NAN]),
        (mg.arccosh, [0.5, -2.0, NAN]),
        (mg.log2, [-1.0, NAN]),
        (mg.log10, [-1.0, NAN]),
    ],
)
def test_beyond_the_ends_of_a_domain_is_nan(function, values):
    with np.errstate(invalid="ignore"):
        assert np.isnan(function(np.array(values))).all()


@pytest.mark.parametrize("function", [mg.arcsin, mg.arccos, mg.arctanh, mg.arccosh])
def test_next_to_the_ends_of_a_domain_slopes_keep_their_digits(function):
    """1 - x^2, written as it stands, would lose half of them."""
    x = np.float32(1.0 + 2.0**-22 if function is mg.arccosh else 1.0 - 2.0**-22)
    exact = slope(function, np.float64(x))
    np.testing.assert_allclose(slope(function, x, "float32"), exact, rtol=1e-6)


def test_at_pi_over_two_the_tangent_is_finite():
    for dtype in ("float32", "float64"):
        x = np.array(np.pi / 2, dtype)
        assert np.isfinite(mg.tan(x))
        np.testing.assert_allclose(slope(mg.tan, x, dtype), 1.0 / np.cos(x, dtype="float64") ** 2, rtol=1e-5)


def test_where_there_is_no_angle_the_gradients_of_every_order_are_zero():
    for function in (mg.arctan2, mg.hypot):
        np.testing.assert_array_equal(slopes(function, 0.0, 0.0), [0.0, 0.0])
        np.testing.assert_array_equal(slopes(function, [0.0, 3.0], [-0.0, 4.0])[0][0], 0.0)
        np.testing.assert_array_equal(second_derivatives(function, 0.0, 0.0), np.zeros((2, 2)))


def test_the_angle_of_a_point():
    y, x = np.array([1.0, -1.0, 0.0, -0.0]), np.array([-1.0, -1.0, -2.0, -2.0])
    np.testing.assert_array_equal(mg.arctan2(y, x), np.arctan2(y, x))
    dy, dx = slopes(mg.arctan2, y, x)
    np.testing.assert_allclose(dy, [-0.5, -0.5, -0.5, -0.5])  # the same on both sides of the jump
    np.testing.assert_allclose(dx, [-0.5, 0.5, 0.0, 0.0])


LARGE = {"float16": 6e4, "float32": 1e38, "float64": 1e308}


@pytest.mark.parametrize("dtype", LARGE)
def test_no_square_overflows_on_the_way_to_a_slope(dtype):
    large = LARGE[dtype]
    bound = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(slope(mg.arcsinh, large, dtype), 1 / large, rtol=bound, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(slope(mg.arccosh, large, dtype), 1 / large, rtol=bound, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(
        slope(mg.arctan, np.sqrt(large), dtype), 1 / large, rtol=bound, atol=np.finfo(dtype).tiny
    )
    assert slope(mg.arctan, large, dtype) == 0.0
    np.testing.assert_allclose(slope(lambda x: mg.hypot(x, x), 0.6 * large, dtype), np.sqrt(2.0), rtol=bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "point", "derivatives"),
    [
        (mg.arctan, INF, (np.pi / 2, 0.0, 0.0)),
        (mg.arctan, -INF, (-np.pi / 2, 0.0, 0.0)),
        (mg.arcsinh, INF, (INF, 0.0, 0.0)),
        (mg.arcsinh, -INF, (-INF, 0.0, 0.0)),
        (mg.arccosh, INF, (INF, 0.0, 0.0)),
        (mg.arccosh, 1.0, (0.0, INF, -INF)),
        (mg.sinh, INF, (INF, INF, INF)),
        (mg.sinh, -INF, (-INF, INF, -INF)),
        (mg.cosh, -INF, (INF, -INF, INF)),
        (lambda x: mg.hypot(x, 2.0), INF, (INF, 1.0, 0.0)),
        (lambda x: mg.hypot(2.0, x), -INF, (INF, -1.0, 0.0)),
        (lambda x: mg.hypot(INF, x), 2.0, (INF, 0.0, 0.0)),
        (lambda x: mg.arctan2(x, 2.0), INF, (np.pi / 2, 0.0, 0.0)),
        (lambda x: mg.arctan2(2.0, x), -INF, (np.pi, 0.0, 0.0)),
        (lambda x: mg.arctan2(x, x), INF, (np.pi / 4, 0.0, 0.0)),
    ],
)
def test_at_infinity_and_at_one_end_derivatives_are_at_their_limits(function, point, derivatives, dtype):
    x = leaf(point, dtype)
    with np.errstate(divide="ignore"):
        y = function(x)
        first = mg.grad(y, x, create_graph=True)
        second = mg.grad(first, x)
    np.testing.assert_allclose([y.item(), first.item(), second.item()], derivatives, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("function", [mg.tan, mg.sinh, mg.arcsinh, mg.arctan, mg.arcsin, mg.arctanh])
def test_near_zero_small_numbers_keep_their_digits(function):
    for dtype in ("float32", "float64"):
        np.testing.assert_allclose(function(np.array(1e-12, dtype)), 1e-12, rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ logaddexp


def test_logaddexp_at_infinity(device):
    a = [-INF, -INF, 1.0, INF, -INF]
    b = [-INF, 1.0, -INF, 1.0, INF]
    np.testing.assert_array_equal(mg.logaddexp(np.array(a), np.array(b)), [-INF, 1.0, 1.0, INF, INF])
    x, y = leaf(a), leaf(b)
    z = mg.logaddexp(x.to(device), y.to(device)).to("cpu")
    g = mg.grad(z, [x, y], np.ones(5), create_graph=True)
    np.testing.assert_array_equal(g[0].data, [0.0, 0.0, 1.0, 1.0, 0.0])
    np.testing.assert_array_equal(g[1].data, [0.0, 1.0, 0.0, 0.0, 1.0])
    for second in mg.grad([mg.sum(part) for part in g], [x, y]):
        np.testing.assert_array_equal(second.data, np.zeros(5))


def test_logaddexp_keeps_the_digits_of_its_slopes_far_from_zero():
    """In e^(a - out), the rounding of out alone would be an error of 1e-4 at 1000."""
    a, b = (Tensor(np.array(value, "float32"), requires_grad=True) for value in (1000.5, 1000.0))
    g = mg.grad(mg.logaddexp(a, b), [a, b])
    np.testing.assert_allclose([part.item() for part in g], 1 / (1 + np.exp([-0.5, 0.5])), rtol=1e-6)


# ------------------------------------------------------------------------------------------------------ jumps


def test_the_remainder_has_the_sign_of_the_divisor():
    a, b = np.array([7.0, -7.0, 7.0, -7.0]), np.array([2.0, 2.0, -2.0, -2.0])
    np.testing.assert_array_equal(mg.mod(a, b), [1.0, 1.0, -1.0, -1.0])
    np.testing.assert_array_equal(mg.floor_divide(a, b), [3.0, -4.0, -4.0, 3.0])
    np.testing.assert_array_equal(mg.mod(a.astype(int), 2), [1, 1, 1, 1])


def test_at_a_jump_the_remainder_has_the_slopes_of_its_value():
    da, db = slopes(mg.mod, [6.0, -6.0, 0.0], [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(da, [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(db, [-3.0, 3.0, 0.0])


def test_halves_are_rounded_to_the_even_neighbour():
    np.testing.assert_array_equal(mg.round(np.array([-1.5, -0.5, 0.5, 1.5, 2.5])), [-2.0, -0.0, 0.0, 2.0, 2.0])
    np.testing.assert_array_equal(mg.round(np.array([15.0, 25.0, 26.0]), -1), [20.0, 20.0, 30.0])


def test_nan_to_num_lets_the_gradient_pass_where_nothing_is_replaced(device):
    values = [1.0, NAN, INF, -INF, 0.0]
    largest = np.finfo("float64").max
    x = Tensor(to_device(np.array(values), device))
    np.testing.assert_array_equal(on_host(mg.nan_to_num(x)), [1.0, 0.0, largest, -largest, 0.0])
    replaced = mg.nan_to_num(x, 7.0, INF, -2.0)
    np.testing.assert_array_equal(on_host(replaced), [1.0, 7.0, INF, -2.0, 0.0])
    np.testing.assert_array_equal(slope(mg.nan_to_num, values, device=device), [1.0, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(
        slope(lambda x: mg.nan_to_num(x, posinf=INF), values, device=device), [1.0, 0.0, 1.0, 0.0, 1.0]
    )


# ------------------------------------------------------------------------------------------------------ matrices


@pytest.mark.parametrize("shape", list(itertools.product(range(4), range(4))), ids=str)
def test_every_diagonal_of_every_small_matrix(shape):
    x = np.arange(float(np.prod(shape))).reshape(shape)
    for k in range(-5, 6):
        np.testing.assert_array_equal(mg.diagonal(x, k), np.diagonal(x, k))
        np.testing.assert_array_equal(mg.trace(x, k), np.trace(x, k))
        np.testing.assert_array_equal(mg.diag(x[0] if len(x) else x, k), np.diag(x[0] if len(x) else x, k))
        np.testing.assert_array_equal(mg.tril(x, k), np.tril(x, k))
        np.testing.assert_array_equal(mg.triu(x, k), np.triu(x, k))
        np.testing.assert_array_equal(mg.eye(*shape, k).data, np.eye(*shape, k))


def test_a_triangle_drops_what_is_outside_whatever_it_is():
    x = leaf([[1.0, NAN], [2.0, 3.0]])
    lower = mg.tril(x)
    np.testing.assert_array_equal(lower.data, [[1.0, 0.0], [2.0, 3.0]])
    np.testing.assert_array_equal(mg.grad(mg.sum(lower), x).data, [[1.0, 0.0], [1.0, 1.0]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "bool"])
def test_triangles_and_diagonals_keep_the_dtype(dtype, device):
    x = to_device(np.ones((2, 3), dtype), device)
    for part in (mg.tril(x), mg.triu(x), mg.diagonal(x), mg.diag(x), mg.diag(x[0])):
        assert part.dtype == dtype
    assert mg.eye(2, 3, dtype=dtype, device=device).dtype == dtype


def test_differences_of_order_zero_are_the_values():
    x = leaf([1.0, 2.0])
    assert mg.diff(x, 0) is x


# ------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("call", "same"),
    [
        (lambda x: mg.roll(x, 1, 0), lambda x: np.roll(x, 1, 0)),
        (lambda x: mg.roll(x, np.int64(2)), lambda x: np.roll(x, 2)),
        (lambda x: mg.roll(x, [1, 2], (0, 1)), lambda x: np.roll(x, [1, 2], (0, 1))),
        (lambda x: mg.repeat(x, 2), lambda x: np.repeat(x, 2)),
        (lambda x: mg.cumsum(x), lambda x: np.cumsum(x)),
        (lambda x: mg.cumsum(x, 1), lambda x: np.cumsum(x, 1)),
        (lambda x: mg.diff(x, 1, 0), lambda x: np.diff(x, 1, 0)),
        (lambda x: mg.tensordot(x, x, ([0, 1], [0, 1])), lambda x: np.tensordot(x, x, ([0, 1], [0, 1]))),
        (lambda x: mg.tensordot(x, x, [1, 1]), lambda x: np.tensordot(x, x, [1, 1])),
        (lambda x: mg.dot(2.0, x), lambda x: np.dot(2.0, x)),
        (lambda x: mg.inner(x, 2), lambda x: np.inner(x, 2)),
        (lambda x: mg.vstack(x), lambda x: np.vstack(x)),
        (lambda x: mg.swapaxes(x, 0, 1), lambda x: np.swapaxes(x, 0, 1)),
        (lambda x: mg.trace(x, 1), lambda x: np.trace(x, 1)),
        (lambda x: mg.round(x, 1), lambda x: np.round(x, 1)),
        (lambda x: mg.softmax(x, 0).sum(0), lambda x: np.ones(3)),
        (lambda x: mg.log_softmax(x, 1).max(1) < 0, lambda x: np.ones(2, bool)),
        (lambda x: mg.logsumexp(x, 1, True), lambda x: np.log(np.exp(x).sum(1, keepdims=True))),
        (lambda x: mg.clip(x, 1, 2), lambda x: np.clip(x, 1, 2)),
        (lambda x: mg.var(x, 1), lambda x: np.var(x, 1)),
        (lambda x: mg.std(x, 1), lambda x: np.std(x, 1)),
        (lambda x: mg.argmax(x, 1), lambda x: np.argmax(x, 1)),
        (lambda x: mg.argmin(x, 1, True), lambda x: np.argmin(x, 1, keepdims=True)),
        (lambda x: mg.norm(x, 1, 0), lambda x: np.linalg.norm(x, 1, 0)),
        (lambda x: mg.norm(x, "fro"), lambda x: np.linalg.norm(x, "fro")),
        (lambda x: mg.sort(-x, 0), lambda x: np.sort(-x, 0)),
        (lambda x: mg.argsort(-x, None), lambda x: np.argsort(-x, None)),
        (lambda x: mg.clip(x, np.array([[0.4], [2.0]]), 1), lambda x: np.clip(x, np.array([[0.4], [2.0]]), 1)),
        (lambda x: mg.prod(x, 1), lambda x: np.prod(x, 1)),
    ],
)
def test_arguments_by_position_are_numpys(call, same):
    values = np.arange(6.0).reshape(2, 3) / 4
    for x in (values, mg.tensor(values)):
        obtained = call(x)
        np.testing.assert_allclose(on_host(obtained), same(values), rtol=1e-14)


# ------------------------------------------------------------------------------------------------------ integers


@pytest.mark.parametrize(
    "name",
    [
        "square",
        "reciprocal",
        "floor",
        "ceil",
        "round",
        "tan",
        "arctan",
        "sinh",
        "exp2",
        "log2",
        "log10",
        "diff",
        "nan_to_num",
        "argmin",
        "sort",
        "argsort",
    ],
)
def test_integers_give_what_numpy_gives(name):
    x = np.array([1, 2, 3])
    for obtained in (getattr(mg, name)(x), getattr(mg, name)(mg.tensor(x)).data):
        expected = getattr(np, name)(x)
        assert obtained.dtype == expected.dtype
        np.testing.assert_array_equal(obtained, expected)


@pytest.mark.parametrize(
    "name", ["mod", "floor_divide", "logaddexp", "hypot", "arctan2", "dot", "inner", "outer", "kron"]
)
def test_two_arrays_of_integers_give_what_numpy_gives(name):
    a, b = np.array([7, -8, 9]), np.array([2, 3, -4])
    obtained, expected = getattr(mg, name)(a, b), getattr(np, name)(a, b)
    assert obtained.dtype == expected.dtype
    np.testing.assert_array_equal(obtained, expected)


# ------------------------------------------------------------------------------------------------------ lists of Tensors


def test_a_list_of_constant_tensors_and_numbers_makes_a_tensor(device):
    one, two = mg.tensor(1.0, device=device), mg.tensor(2.0, device=device)
    x = mg.tensor([[one, 3.0], [4, two]])
    assert (x.device, x.dtype, x.requires_grad) == (device, np.float32, False)
    np.testing.assert_array_equal(on_host(x), [[1.0, 3.0], [4.0, 2.0]])
    rows = mg.tensor((mg.zeros(2, device=device), mg.ones(2, device=device)), requires_grad=True)
    np.testing.assert_array_equal(on_host(rows), [[0.0, 0.0], [1.0, 1.0]])
    assert rows.requires_grad
    assert rows.node is None


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([Tensor(np.array(1.0)), 2.0], "float64"),
        ([Tensor(np.array(1.0)), mg.tensor(2)], "float64"),
        ([mg.tensor(1.0), mg.tensor(2)], "float32"),
        ([mg.tensor(1), 2], "int64"),
        ([mg.tensor(1), 2.5], "float32"),
        ([mg.tensor(True)], "bool"),
    ],
)
def test_the_dtype_of_a_list_is_that_of_its_tensors(values, dtype):
    assert mg.tensor(values).dtype == dtype
    assert mg.tensor(values, dtype="float16").dtype == "float16"


def test_float_and_int_of_a_tensor_with_one_element(device):
    x = mg.tensor([[2.75]], device=device)
    assert (float(x), int(x)) == (2.75, 2)
    assert type(float(mg.tensor(3, device=device))) is float
    for convert in (float, int):
        with pytest.raises(ValueError, match=r"2 elements, shape \(2,\); only one element has one value"):
            convert(mg.ones(2, device=device))
