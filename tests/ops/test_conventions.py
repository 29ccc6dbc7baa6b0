"""What the operations do where mathematics leaves it open: at kinks, at ties, at zeros, at infinity, and with integers."""

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen.backend import to_device
from minigen.ops.index import index
from minigen.ops.norm import mean_and_deviation

DTYPES = ["float32", "float64"]


def leaf(values, dtype="float64"):
    return mg.Tensor(np.array(values, dtype), requires_grad=True)


def slope(function, values, dtype="float64", device="cpu"):
    """The gradient of the sum of function(x)."""
    x = leaf(values, dtype)
    return mg.grad(mg.sum(function(x.to(device))), x).data


def curvature(function, values, dtype="float64", device="cpu"):
    """The derivative of the sum of the slopes: row sums of the Hessian; all zeros where the slope is constant."""
    x = leaf(values, dtype)
    first = mg.grad(mg.sum(function(x.to(device))), x, create_graph=True)
    if not first.requires_grad:
        return np.zeros_like(x.data)
    second = mg.grad(mg.sum(first), x, allow_unused=True)
    return np.zeros_like(x.data) if second is None else second.data


# ------------------------------------------------------------------------------------------------------ kinks at zero


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "at_zero"),
    [
        (mg.abs, 0.0),
        (mg.relu, 0.0),
        (mg.leaky_relu, 0.01),
        (lambda x: mg.leaky_relu(x, slope=0.2), 0.2),
        (mg.elu, 1.0),
        (lambda x: mg.elu(x, alpha=0.5), 0.5),
    ],
    ids=["abs", "relu", "leaky_relu", "leaky_relu slope=0.2", "elu", "elu alpha=0.5"],
)
def test_slope_at_zero(function, at_zero, dtype, device):
    np.testing.assert_allclose(slope(function, [0.0, -0.0], dtype, device), at_zero, rtol=1e-6)
    assert np.isfinite(curvature(function, [0.0, -0.0], dtype, device)).all()


def test_sign_of_zero_is_zero():
    np.testing.assert_array_equal(mg.sign(np.array([-2.0, 0.0, 3.0])), [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [None, 0])
def test_norm_at_zero_has_gradients_zero_of_both_orders(axis, dtype, device):
    norm = lambda x: mg.norm(x, axis=axis)
    np.testing.assert_array_equal(slope(norm, [0.0, 0.0], dtype, device), [0.0, 0.0])
    np.testing.assert_array_equal(curvature(norm, [0.0, 0.0], dtype, device), [0.0, 0.0])
    penalty = lambda x: (mg.norm(x, axis=axis) - 1.0) ** 2.0  # of a gradient, in a Wasserstein critic
    np.testing.assert_array_equal(slope(penalty, [0.0, 0.0], dtype, device), [0.0, 0.0])


def test_norm_of_zero_beside_others():
    x = [[3.0, 4.0], [0.0, 0.0]]
    np.testing.assert_allclose(slope(lambda x: mg.norm(x, axis=1), x), [[0.6, 0.8], [0.0, 0.0]])
    assert np.isfinite(curvature(lambda x: mg.norm(x, axis=1), x)).all()


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
@pytest.mark.parametrize("axis", [None, 0])
def test_where_all_values_are_equal_the_deviation_has_gradients_zero_of_both_orders(axis, dtype, device):
    for value in (0.0, 0.1, 7.7):
        same = [value] * 5
        std = lambda x: mg.std(x, axis=axis)
        assert slope(std, same, dtype, device).tolist() == [0.0] * 5
        assert curvature(std, same, dtype, device).tolist() == [0.0] * 5
    beside = slope(lambda x: mg.std(x, axis=1), [[1.0, 1.0], [1.0, 3.0]], dtype, device)
    np.testing.assert_array_equal(beside[0], [0.0, 0.0])
    np.testing.assert_allclose(beside[1], [-0.5, 0.5], rtol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 3, np.inf, -np.inf])
def test_every_norm_at_zero_has_gradients_zero_of_both_orders(order, device):
    for dtype in DTYPES:
        norm = lambda x: mg.norm(x, ord=order, axis=-1)
        x = [[0.0, -0.0, 0.0], [0.0, 2.0, -2.0]]
        np.testing.assert_array_equal(norm(np.array(x, dtype))[0], 0.0)
        np.testing.assert_array_equal(slope(norm, x, dtype, device)[:, 0], 0.0)
        np.testing.assert_array_equal(slope(norm, x, dtype, device)[0], 0.0)
        assert np.isfinite(curvature(norm, x, dtype, device)).all()
        np.testing.assert_array_equal(curvature(norm, x, dtype, device)[0], 0.0)


def test_largest_and_smallest_elements_share_the_gradient_of_a_norm_equally(device):
    x = [3.0, -3.0, 1.0, -1.0]
    np.testing.assert_array_equal(slope(lambda x: mg.norm(x, ord=np.inf), x, device=device), [0.5, -0.5, 0.0, 0.0])
    np.testing.assert_array_equal(slope(lambda x: mg.norm(x, ord=-np.inf), x, device=device), [0.0, 0.0, 0.5, -0.5])


def test_the_elements_along_two_axes_are_one_vector_and_not_a_matrix():
    x = np.arange(6.0).reshape(2, 3)
    for order in (1, 2, 3, np.inf):
        assert mg.norm(x, ord=order) == mg.norm(x, ord=order, axis=(0, 1)) == mg.norm(x.ravel(), ord=order)
    assert mg.norm(x, ord="fro") == mg.norm(x, ord=2) == mg.norm(x)
    for order in (0.5, 1, 3):
        np.testing.assert_array_equal(mg.norm(np.zeros((2, 0)), ord=order, axis=1), [0.0, 0.0])


@pytest.mark.parametrize("order", ["nuc", 0, -1, np.nan, True, (0, 1)])
def test_an_order_that_no_norm_has_is_named(order):
    with pytest.raises(ValueError, match=r"^norm: ord is .*expected a number p > 0, inf, -inf or 'fro'"):
        mg.norm(np.ones((2, 3)), order)
    with pytest.raises(ValueError, match=r"ord is 0, .*; an axis is given by name, norm\(x, axis=0\)$"):
        mg.norm(np.ones((2, 3)), 0)


def test_power_at_zero():
    x = leaf([0.0, 0.0, 0.0, 2.0])
    b = leaf([0.0, 1.0, 3.0, 0.0])
    y = x**b
    np.testing.assert_array_equal(y.data, [1.0, 0.0, 0.0, 1.0])
    gx, gb = mg.grad(mg.sum(y), [x, b])
    np.testing.assert_allclose(gx.data, [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(gb.data, [0.0, 0.0, 0.0, np.log(2.0)])


@pytest.mark.parametrize(
    ("exponent", "first", "second"),
    [(0, 0.0, 0.0), (0.0, 0.0, 0.0), (1, 1.0, 0.0), (1.0, 1.0, 0.0), (2, 0.0, 2.0), (2.0, 0.0, 2.0), (3, 0.0, 0.0)],
)
def test_power_at_zero_with_a_number_as_exponent(exponent, first, second):
    power = lambda x: x**exponent
    assert slope(power, 0.0) == first
    assert curvature(power, 0.0) == second


def test_power_of_a_negative_number():
    np.testing.assert_allclose(slope(lambda x: x**3, [-2.0]), [12.0])
    np.testing.assert_allclose(slope(lambda x: x ** (-2), [-2.0]), [0.25])


def test_slope_of_the_square_root_at_zero_is_infinite():
    with np.errstate(divide="ignore"):
        assert slope(mg.sqrt, 0.0) == np.inf


# ------------------------------------------------------------------------------------------------------ ties and ends


@pytest.mark.parametrize("function", [mg.maximum, mg.minimum])
def test_equal_arguments_share_the_gradient_by_halves(function):
    a, b = leaf([1.0, 2.0, 3.0]), leaf([1.0, 3.0, 2.0])
    ga, gb = mg.grad(mg.sum(function(a, b)), [a, b])
    assert (ga.data[0], gb.data[0]) == (0.5, 0.5)
    np.testing.assert_array_equal(ga.data + gb.data, 1.0)
    assert slope(lambda x: function(x, 1.0), 1.0) == 0.5
    assert slope(lambda x: function(x, x), 1.0) == 1.0


@pytest.mark.parametrize("function", [mg.max, mg.min])
def test_tied_extrema_share_the_gradient_equally(function, device):
    sign = 1.0 if function is mg.max else -1.0
    tied = sign * np.array([2.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(slope(function, tied, device=device), [1 / 3, 0.0, 1 / 3, 1 / 3])
    rows = sign * np.array([[2.0, 2.0], [1.0, 3.0]])
    np.testing.assert_allclose(slope(lambda x: function(x, axis=1), rows), [[0.5, 0.5], [0.0, 1.0]])


def test_the_first_of_equals_in_a_window_gets_the_gradient(device):
    image = np.array([[0.0, 7.0, 1.0, 1.0], [7.0, 7.0, 1.0, 1.0]])
    first = [[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]  # row by row
    for dtype in DTYPES:
        g = slope(lambda x: mg.max_pool2d(x, kernel_size=2), image.reshape(1, 2, 4, 1), dtype, device)
        np.testing.assert_array_equal(g[0, :, :, 0], first)


def test_an_edge_is_never_the_largest_in_a_window(device):
    image = np.full((1, 2, 2, 1), -5.0)
    pooled = lambda x: mg.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    np.testing.assert_array_equal(pooled(image), [[[[-5.0]]]])
    np.testing.assert_array_equal(slope(pooled, image, device=device)[0, :, :, 0], [[1.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("keywords", [{"low": -1.0, "high": 1.0}, {"low": -1.0}, {"high": 1.0}], ids=str)
def test_clip_passes_the_gradient_at_its_ends(keywords):
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    inside = (values >= keywords.get("low", -np.inf)) & (values <= keywords.get("high", np.inf))
    np.testing.assert_array_equal(slope(lambda x: mg.clip(x, **keywords), values), inside.astype(float))


@pytest.mark.parametrize("given", ["numbers", "arrays", "low as an array", "high as an array"])
def test_clip_gives_the_whole_gradient_to_where_the_value_came_from(given, device):
    x = leaf([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan])
    low, high = (leaf(np.full(6, bound)) for bound in (-1.0, 1.0))
    arguments = (
        x.to(device),
        low.to(device) if given in ("arrays", "low as an array") else -1.0,
        high.to(device) if given in ("arrays", "high as an array") else 1.0,
    )
    wanted = [a for a, b in zip((x, low, high), arguments, strict=True) if isinstance(b, mg.Tensor)]
    gradients = mg.grad(mg.sum(mg.clip(*arguments)), wanted)
    of = {id(x): [0, 1, 1, 1, 0, 0], id(low): [1, 0, 0, 0, 0, 0], id(high): [0, 0, 0, 0, 1, 0]}
    for argument, gradient in zip(wanted, gradients, strict=True):
        np.testing.assert_array_equal(gradient.data, of[id(argument)])


def test_where_bounds_cross_clip_is_high_and_gives_it_the_gradient(device):
    values = [0.0, 1.5, 3.0]  # below both, between, above
    x, low, high = leaf(values), leaf([2.0] * 3), leaf([1.0] * 3)
    y = mg.clip(x.to(device), low.to(device), high.to(device)).to("cpu")
    np.testing.assert_array_equal(y.data, np.clip(np.array(values), 2.0, 1.0))
    np.testing.assert_array_equal(mg.clip(np.array(values), 2.0, 1.0), y.data)
    for gradient, expected in zip(mg.grad(mg.sum(y), [x, low, high]), (0.0, 0.0, 1.0), strict=True):
        np.testing.assert_array_equal(gradient.data, expected)
    same = mg.grad(mg.sum(mg.clip(x, low, low)), [x, low])  # equal bounds: the one beyond which x is
    np.testing.assert_array_equal([g.data for g in same], [[0.0] * 3, [1.0] * 3])


def test_a_bound_that_is_nan_makes_nan_and_no_gradient():
    x, low = leaf([1.0, 2.0]), leaf([np.nan, 0.0])
    y = mg.clip(x, low, 5.0)
    np.testing.assert_array_equal(y.data, [np.nan, 2.0])
    for gradient, expected in zip(mg.grad(mg.sum(y), [x, low]), ([0.0, 1.0], [0.0, 0.0]), strict=True):
        np.testing.assert_array_equal(gradient.data, expected)


def test_the_bounds_of_a_layer_can_be_learned():
    """Broadcast bounds get the sum of what comes from them, in their own dtype."""
    x = np.array([[-3.0, 0.0, 4.0], [-5.0, 2.0, 0.5]], "float32")
    low, high = mg.tensor(-1.0, requires_grad=True), mg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = mg.clip(x, low, high)
    assert y.dtype == np.float32
    of_low, of_high = mg.grad(mg.sum(y), [low, high])
    assert of_low.item() == 2.0
    np.testing.assert_array_equal(of_high.data, [0.0, 1.0, 1.0])
    assert of_low.dtype == of_high.dtype == np.float32


def test_argmax_and_argmin_are_the_first_of_equals_and_the_first_nan(device):
    x = to_device(np.array([[1.0, 3.0, 3.0], [2.0, -1.0, -1.0]]), device)
    np.testing.assert_array_equal(on_host(mg.argmax(x, axis=1)), [1, 0])
    np.testing.assert_array_equal(on_host(mg.argmin(x, axis=1)), [0, 1])
    for function in (mg.argmax, mg.argmin):
        assert function(np.array([1.0, np.nan, 3.0, np.nan])) == 1


def test_equal_elements_are_sorted_in_their_order_and_nan_comes_last(device):
    values = [2.0, np.nan, 1.0, 2.0, -np.inf, np.nan, 1.0]
    order = [4, 2, 6, 0, 3, 1, 5]
    x = leaf(values)
    y = mg.sort(x.to(device)).to("cpu")
    np.testing.assert_array_equal(y.data, np.array(values)[order])
    np.testing.assert_array_equal(on_host(mg.argsort(x.to(device))), order)
    cotangent = np.arange(1.0, 8.0)
    g = mg.grad(y, x, cotangent).data
    np.testing.assert_array_equal(g[order], cotangent)


def test_a_sum_of_the_largest_has_its_gradient_at_the_largest():
    x = [[3.0, 1.0, 2.0], [-1.0, 5.0, 4.0]]
    largest = lambda x: mg.sort(x)[:, -2:]
    np.testing.assert_array_equal(slope(largest, x), [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    np.testing.assert_array_equal(slope(lambda x: mg.sort(x, axis=None)[:1], x), [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert np.sort(x)[0, 0] == mg.sort(np.array(x))[0, 0]


@pytest.mark.parametrize("function", [mg.sort, mg.argsort])
def test_a_single_number_is_sorted_only_as_an_array_of_one(function):
    assert function(np.array(3.0), axis=None).shape == (1,)
    with pytest.raises(ValueError, match=f"^{function.__name__}: x is a single number; expected at least one axis"):
        function(np.array(3.0))
    with pytest.raises(ValueError, match=f"^{function.__name__}: axis 2 must name distinct axes from -2 to 1"):
        function(np.ones((2, 3)), axis=2)


def test_where_gives_the_branch_not_taken_exactly_zero():
    mask = np.array([True, False])
    np.testing.assert_array_equal(slope(lambda x: mg.where(mask, x, 0.0), [1.0, 2.0]), [1.0, 0.0])
    guarded = lambda x: mg.where(x > 0.0, mg.log(mg.where(x > 0.0, x, 1.0)), 0.0)
    np.testing.assert_array_equal(slope(guarded, [2.0, 0.0, -1.0]), [0.5, 0.0, 0.0])


# ------------------------------------------------------------------------------------------------------ zeros and infinities


@pytest.mark.parametrize(
    ("values", "first", "row_sums"),
    [
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0], [7.0, 6.0, 5.0]),
        ([0.0, 3.0, 4.0], [12.0, 0.0, 0.0], [7.0, 4.0, 3.0]),
        ([0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [4.0, 4.0, 0.0]),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    ],
)
def test_prod_with_zeros(values, first, row_sums):
    """d/dx_i = product of the others; the Hessian's entry i, j is the product of the others than i and j."""
    np.testing.assert_array_equal(slope(mg.prod, values), first)
    np.testing.assert_array_equal(curvature(mg.prod, values), row_sums)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_of_minus_infinities(dtype):
    x = [[-np.inf, -np.inf], [-np.inf, 1.0]]
    logsumexp = lambda x: mg.logsumexp(x, axis=1)
    np.testing.assert_array_equal(logsumexp(np.array(x, dtype)), [-np.inf, 1.0])
    cotangents = np.array([1.0, 1.0], dtype)
    leaves = leaf(x, dtype)
    g = mg.grad(logsumexp(leaves), leaves, cotangents, create_graph=True)
    np.testing.assert_array_equal(g.data, [[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(mg.grad(g, leaves, np.ones((2, 2), dtype)).data, np.zeros((2, 2)))


def test_logsumexp_and_softmax_do_not_overflow():
    x = np.array([1e4, 1e4, -1e4])
    assert mg.logsumexp(x) == 1e4 + np.log(2.0)
    np.testing.assert_array_equal(mg.softmax(x), [0.5, 0.5, 0.0])
    np.testing.assert_allclose(mg.log_softmax(x), [-np.log(2.0), -np.log(2.0), -2e4 - np.log(2.0)])
    for function in (mg.logsumexp, mg.softmax, mg.log_softmax):
        assert np.isfinite(slope(function, x)).all()
        assert np.isfinite(curvature(function, x)).all()


SATURATING = {
    "tanh": (mg.tanh, -1.0, 1.0, 0.0, 0.0),
    "sigmoid": (mg.sigmoid, 0.0, 1.0, 0.0, 0.0),
    "softplus": (mg.softplus, 0.0, 1e4, 0.0, 1.0),
    "silu": (mg.silu, 0.0, 1e4, 0.0, 1.0),
    "gelu": (mg.gelu, 0.0, 1e4, 0.0, 1.0),
    "gelu tanh": (lambda x: mg.gelu(x, form="tanh"), 0.0, 1e4, 0.0, 1.0),
    "erf": (mg.erf, -1.0, 1.0, 0.0, 0.0),
    "elu": (mg.elu, -1.0, 1e4, 0.0, 1.0),
    "relu": (mg.relu, 0.0, 1e4, 0.0, 1.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SATURATING)
def test_far_from_zero_values_and_gradients_are_at_their_limits(name, dtype):
    function, low, high, slope_low, slope_high = SATURATING[name]
    x = [-1e4, 1e4]
    np.testing.assert_array_equal(function(np.array(x, dtype)), [low, high])
    np.testing.assert_array_equal(slope(function, x, dtype), [slope_low, slope_high])
    np.testing.assert_array_equal(curvature(function, x, dtype), [0.0, 0.0])


@pytest.mark.parametrize("function", [mg.expm1, mg.log1p, mg.tanh, mg.erf, mg.sin])
def test_near_zero_small_numbers_keep_their_digits(function):
    scale = 2 / np.sqrt(np.pi) if function is mg.erf else 1.0
    for dtype in DTYPES:
        np.testing.assert_allclose(
            function(np.array(1e-12, dtype)),
            scale * np.float64(np.array(1e-12, dtype)),
            rtol=1e-6 if dtype == "float32" else 1e-11,
        )


def test_the_left_tail_of_gelu_and_sigmoid_keeps_its_digits():
    """Phi(-6) = 9.87e-10 and sigmoid(-30) = 9.36e-14 would be lost in 1 - (1 - tail)."""
    np.testing.assert_allclose(mg.gelu(np.array(-6.0)), -6.0 * 9.865876450376946e-10, rtol=1e-12)
    np.testing.assert_allclose(mg.sigmoid(np.array(-30.0)), np.exp(-30.0), rtol=1e-12)
    np.testing.assert_allclose(mg.softplus(np.array(-30.0)), np.exp(-30.0), rtol=1e-12)


def test_nan_comes_through():
    for function in (
        mg.tanh,
        mg.sigmoid,
        mg.softplus,
        mg.silu,
        mg.gelu,
        mg.erf,
        mg.relu,
        mg.leaky_relu,
        mg.elu,
        mg.exp,
        mg.abs,
        mg.max,
        mg.norm,
        mg.std,
    ):
        for dtype in DTYPES:
            assert np.isnan(function(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "max", "min", "norm", "logsumexp"])
def test_a_single_number_may_be_reduced_over_axis_0_as_in_numpy(name):
    reduce, x = getattr(mg, name), np.array(2.0)
    assert reduce(x, axis=0) == reduce(x)
    assert slope(lambda x: reduce(x, axis=-1), x) == slope(reduce, x)


@pytest.mark.parametrize("axes", [(0,), (1,)])
def test_equal_values_normalize_to_zero_with_finite_gradients(axes, device):
    same = np.full((3, 3), 7.0)
    for dtype in DTYPES:
        normalize = lambda x: mg.normalize(x, axes=axes)
        np.testing.assert_array_equal(normalize(same.astype(dtype)), np.zeros((3, 3)))
        assert np.isfinite(slope(normalize, same, dtype, device)).all()
        assert np.isfinite(curvature(normalize, same, dtype, device)).all()


def test_a_mean_that_dwarfs_the_deviation_leaves_the_variance_right():
    """Around 10,000 a float32 is 0.001 from the next, so a mean may be off by half of that, and the variance by far less."""
    x = (1e4 + np.random.default_rng(0).standard_normal((50_000, 4))).astype("float32")
    mean, deviation = mean_and_deviation(x, axes=(0,))
    np.testing.assert_allclose(mean[0], x.mean(0, dtype="float64"), atol=0.0005, rtol=0)
    np.testing.assert_allclose(deviation[0], x.std(0, dtype="float64"), rtol=5e-6)
    y = mg.normalize(x, axes=(0,))
    np.testing.assert_allclose(y.mean(0, dtype="float64"), 0.0, atol=0.0006)
    np.testing.assert_allclose(y.var(0, dtype="float64"), 1.0, rtol=1e-4)


# ------------------------------------------------------------------------------------------------------ indexing


def test_an_element_read_twice_gets_the_sum_of_both_cotangents():
    x = leaf([1.0, 2.0, 3.0])
    mg.sum(x[np.array([0, 0, 2])] * np.array([1.0, 10.0, 100.0])).backward()
    np.testing.assert_array_equal(x.grad.data, [11.0, 0.0, 100.0])


def test_an_index_may_be_a_tensor_a_list_a_numpy_integer_or_empty():
    x = leaf([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(x[mg.tensor([2, 0])].data, [3.0, 1.0])
    np.testing.assert_array_equal(x[x > 1.5].data, [2.0, 3.0])
    np.testing.assert_array_equal(x[[2, 0]].data, [3.0, 1.0])
    np.testing.assert_array_equal(x[[True, False, True]].data, [1.0, 3.0])
    assert x[np.int64(1)].item() == 2.0
    assert x[[]].shape == (0,)
    assert index(x.data, 1) == 2.0


def test_scatter_add_sums_what_falls_on_one_place():
    np.testing.assert_array_equal(
        mg.scatter_add(np.zeros(3), np.array([0, 2, 2]), np.array([1.0, 2.0, 4.0]), axis=0), [1.0, 0.0, 6.0]
    )


# ------------------------------------------------------------------------------------------------------ dtypes


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda n: mg.add(n, n), "int64"),
        (lambda n: mg.multiply(n, 2), "int64"),
        (lambda n: mg.divide(n, n), "float64"),
        (lambda n: mg.multiply(n, 0.5), "float64"),
        (mg.negative, "int64"),
        (mg.abs, "int64"),
        (mg.sum, "int64"),
        (mg.prod, "int64"),
        (mg.max, "int64"),
        (mg.mean, "float64"),
        (mg.exp, "float64"),
        (mg.argmax, "int64"),
        (mg.std, "float64"),
        (lambda n: mg.norm(n, ord=np.inf), "float64"),
        (lambda n: mg.norm(n, ord=3), "float64"),
        (lambda n: mg.clip(n, mg.tensor([0, 2, 2]), 2), "int64"),
        (lambda n: mg.greater(n, 2), "bool"),
        (lambda n: mg.where(n > 2, n, 0), "int64"),
        (lambda n: mg.cumsum(n, axis=0), "int64"),
        (lambda n: mg.reshape(n, shape=(3, 1)), "int64"),
        (lambda n: mg.pad(n, width=((1, 1),)), "int64"),
    ],
)
def test_integers_follow_numpys_promotion(function, dtype):
    assert function(np.array([1, 2, 3])).dtype == dtype
    assert function(mg.tensor([1, 2, 3])).dtype == dtype


def test_numbers_become_float32_and_arrays_keep_their_dtype():
    assert mg.tensor([1.0, 2.0]).dtype == np.float32
    assert mg.tensor(1.5).dtype == np.float32
    assert mg.tensor([1, 2]).dtype == np.int64
    assert mg.tensor([True]).dtype == bool
    assert mg.tensor(np.ones(2)).dtype == np.float64
    assert mg.tensor(np.ones(2), dtype="float32").dtype == np.float32
    for made in (mg.zeros(2), mg.ones((2, 1)), mg.full(2, 7.0), mg.arange(0.0, 1.0, 0.5), mg.linspace(0.0, 1.0, 3)):
        assert made.dtype == np.float32
    assert mg.arange(3).dtype == np.int64


def test_tensor_copies_its_data():
    values = np.ones(2)
    x = mg.tensor(values)
    y = mg.tensor(x, requires_grad=True, name="y")
    values[0] = 7.0
    np.testing.assert_array_equal(x.data, [1.0, 1.0])
    assert not np.shares_memory(x.data, y.data)
    assert (y.requires_grad, y.name) == (True, "y")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: mg.zeros((2, 3)), np.zeros((2, 3))),
        (lambda: mg.ones(2), np.ones(2)),
        (lambda: mg.full((1, 2), 7.0), np.full((1, 2), 7.0)),
        (lambda: mg.arange(2, 8, 3), np.array([2, 5])),
        (lambda: mg.linspace(-1.0, 1.0, 5), np.linspace(-1, 1, 5)),
    ],
)
def test_creation(made, expected):
    np.testing.assert_array_equal(made().data, expected)
    assert not made().requires_grad


def test_astype_gives_the_gradient_back_in_the_old_dtype():
    x = leaf([1.0, 2.0], "float32")
    g = mg.grad(mg.sum(mg.astype(x, dtype="float64") * np.array([1.0, 2.0])), x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g.data, [1.0, 2.0])
    assert mg.astype(x.data, dtype="float32") is x.data


def test_einsum_reads_a_repeated_letter_as_the_diagonal():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    trace = mg.einsum("ii", x)
    assert trace.item() == 5.0
    np.testing.assert_array_equal(mg.grad(trace, x).data, np.eye(2))


def test_the_variance_far_from_zero_keeps_its_digits():
    seconds = 1.7e9 + 1000.0 * np.random.default_rng(0).standard_normal(10_000)  # a time of today in Unix's count
    x = seconds.astype("float32")
    assert mg.var(x) == pytest.approx(x.astype("float64").var(), rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
def test_the_sign_of_nan_is_nan_on_every_device(dtype, device):
    x = to_device(np.array([np.nan, -np.inf, -0.0, 2.0], dtype), device)
    assert mg.sign(x).dtype == x.dtype
    np.testing.assert_array_equal(on_host(mg.sign(x)), [np.nan, -1.0, 0.0, 1.0])
    np.testing.assert_array_equal(on_host(mg.sign(to_device(np.array([-3, 0, 5]), device))), [-1, 0, 1])
    np.testing.assert_array_equal(slope(mg.abs, [np.nan, -2.0], device=device), [np.nan, -1.0])
