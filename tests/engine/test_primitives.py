"""Primitives: what a vjp may ask for, what it must return, and what happens without one."""

import numpy as np
import pytest

import minigen as mg
from engine.helpers import leaf
from minigen.backend import array_module, module_of, to_device
from minigen.engine import Tensor, add, grad, primitive
from minigen.testing import gradcheck


def test_a_vjp_of_the_wrong_shape_names_the_operation():
    @primitive()
    def doubled(x):
        return 2 * x

    doubled.vjp(x=lambda g: mg.sum(g))
    with pytest.raises(
        RuntimeError, match=r"doubled: the vjp for argument 0 returned shape \(\), but the argument has \(3,\)"
    ):
        mg.sum(doubled(leaf(np.ones(3)))).backward()


def test_a_gradient_that_was_not_registered_raises():
    @primitive()
    def product(a, b):
        return a * b

    product.vjp(a=lambda g, b: g * b)
    x = leaf([1.0, 2.0])
    assert product(x, np.ones(2)).requires_grad
    with pytest.raises(NotImplementedError, match="product: there is no gradient with respect to b"):
        product(np.ones(2), x)


def test_a_primitive_without_any_vjp_raises_rather_than_disconnect():
    @primitive()
    def forgotten(x):
        return x * 1.0

    with pytest.raises(NotImplementedError, match="forgotten: there is no gradient with respect to x"):
        forgotten(leaf([1.0, 2.0]))
    assert type(forgotten(np.ones(2))) is np.ndarray


def test_registering_a_vjp_anew_takes_effect_at_once():
    @primitive()
    def scaled(x):
        return 2.0 * x

    x = leaf(1.0)
    scaled.vjp(x=lambda g: 3.0 * g)  # a mistake
    assert grad(scaled(x), x).item() == 3.0
    scaled.vjp(x=lambda g: 2.0 * g)
    assert grad(scaled(x), x).item() == 2.0


def test_a_vjp_may_name_only_what_there_is():
    @primitive(residuals=("cache",))
    def mistaken(x, *, power):
        return x**power, None

    mistaken.vjp(x=lambda g, weight: g)
    with pytest.raises(
        TypeError, match=r"mistaken: the vjp of x asks for .*weight.*; it can have .*x.*out.*cache.*power"
    ):
        mistaken(leaf([1.0]), power=2.0)


def test_a_vjp_gets_what_it_names():
    seen = {}

    @primitive(residuals=("half",))
    def everything(x, *rest, power=2.0):
        return x**power + sum(rest), x / 2

    def vjp(g, x, x_shape, rest, rest_shape, out, half, power):
        seen.update(x=x, x_shape=x_shape, rest=rest, rest_shape=rest_shape, out=out, half=half, power=power)
        return g

    positions = []
    everything.vjp(x=vjp, rest=lambda g, position: (positions.append(position), g)[1])
    x, others = leaf([4.0]), [leaf([1.0]), np.array([2.0]), leaf([3.0])]
    y = everything(x, *others)
    y.backward(np.ones(1))
    assert (seen["x_shape"], seen["rest_shape"], seen["power"]) == ((1,), ((1,), (1,), (1,)), 2.0)
    assert (seen["x"], seen["out"], seen["half"]) == (4.0, 22.0, 2.0)
    assert [float(a[0]) for a in seen["rest"]] == [1.0, 2.0, 3.0]
    assert positions == [0, 2]


def test_a_residual_goes_to_a_backward_primitive_that_starts_again_from_the_inputs():
    """unit(x) = x / |x|. The length is computed once, and the second order does not take it for a constant."""

    @primitive(residuals=("length",))
    def unit(x):
        length = np.sqrt((x * x).sum())
        return x / length, length

    @primitive()
    def unit_backward(g, x, length):
        return g / length - x * ((x * g).sum() / length**3)

    def curvature(h, g, x):
        n = mg.norm(x)
        gx, hx, gh = mg.sum(g * x), mg.sum(h * x), mg.sum(g * h)
        return 3.0 * gx * hx / n**5 * x - (gh * x + gx * h + hx * g) / n**3

    unit.vjp(x=lambda g, x, length: unit_backward(g, x, length))
    unit_backward.vjp(g=lambda h, x, length: unit_backward(h, x, length), x=curvature, length=None)
    gradcheck(unit, [np.array([1.0, -2.0, 0.5])])


def test_broadcasting_is_undone_for_primitives_that_declare_it():
    a, b = leaf(np.ones((2, 1, 3))), leaf(np.ones((4, 1)))
    mg.sum(a * b).backward()
    np.testing.assert_array_equal(a.grad.data, np.full((2, 1, 3), 4.0))
    np.testing.assert_array_equal(b.grad.data, np.full((4, 1), 6.0))


def test_an_integer_or_boolean_argument_needs_no_gradient():
    x = leaf([1.0, 2.0, 3.0])
    y = mg.where(x > 1.5, x, 0.0)[np.array([2, 2])]
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 2.0])


def test_raw_arrays_in_a_raw_array_out(device):
    x = to_device(np.ones(2), device)
    assert type(add(x, 1.0)) is module_of(device).ndarray
    assert type(mg.exp(x)) is module_of(device).ndarray
    assert type(mg.exp(Tensor(x))) is Tensor


@pytest.fixture
def polar():
    """x cos(y) and how often its joint vjp has run."""
    runs = []

    @primitive(residuals=("cosine",))
    def polar(x, y, *, factor=1.0):
        module = array_module(x)
        cosine = module.cos(y)
        return factor * x * cosine, cosine

    @polar.joint_vjp
    def _(g, x, y, cosine, factor):
        runs.append(type(x))
        return factor * g * mg.cos(y), -factor * g * x * mg.sin(y)

    return polar, runs


def test_a_joint_vjp_runs_once_for_all_arguments_and_is_right_to_second_order(polar):
    function, runs = polar
    x, y = (Tensor(np.array([0.3, v]), requires_grad=True) for v in (1.1, -0.4))
    grad(function(x, y), [x, y], np.ones(2))
    assert runs == [np.ndarray]
    gradcheck(lambda x, y: function(x, y, factor=2.0), [np.array([0.3, 1.1]), np.array([0.7, -2.0])])


def test_a_joint_vjp_serves_a_single_argument(polar):
    function, _ = polar
    y = Tensor(np.array([0.5]), requires_grad=True)
    assert grad(function(np.array([2.0]), y), y, np.ones(1)).item() == -2.0 * np.sin(0.5)


def test_a_joint_vjp_that_returns_nothing_for_a_wanted_argument_is_an_error():
    @primitive()
    def half(x):
        return x / 2

    half.joint_vjp(lambda g: (None,))
    x = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError, match="half: the vjp for argument 0 returned None"):
        grad(half(x), x, np.ones(2))


@pytest.fixture
def fused_product():
    """a b, its two gradients fused on arrays, and the types that each of its backward passes was given."""
    runs = {"joint": [], "fused": []}

    @primitive(residuals=("twice",))
    def fused_product(a, b, *, factor=1.0):
        return factor * a * b, 2.0 * a

    @fused_product.joint_vjp
    def _(g, a, b, factor):
        runs["joint"].append((type(a), type(b)))
        return factor * g * b, factor * g * a

    @fused_product.fused_vjp
    def _(g, a, b, twice, factor):
        runs["fused"].append((type(a), type(b)))
        return factor * g * b, factor * g * twice / 2.0

    return fused_product, runs


def test_a_fused_vjp_serves_arrays_and_the_joint_one_recorded_backward_passes(fused_product):
    function, runs = fused_product
    a, b = leaf([2.0, 3.0]), leaf([5.0, 7.0])
    plain = grad(function(a, b, factor=2.0), [a, b], np.ones(2))
    assert runs == {"joint": [], "fused": [(np.ndarray, np.ndarray)]}
    recorded = grad(function(a, b, factor=2.0), [a, b], np.ones(2), create_graph=True)
    assert runs == {"joint": [(Tensor, Tensor)], "fused": [(np.ndarray, np.ndarray)]}
    for p, r, expected in zip(plain, recorded, ([10.0, 14.0], [4.0, 6.0]), strict=True):
        np.testing.assert_array_equal(p.data, expected)
        np.testing.assert_array_equal(r.data, expected)
        assert r.requires_grad
        assert not p.requires_grad
    gradcheck(lambda a, b: function(a, b, factor=2.0), [np.array([0.3, 1.1]), np.array([0.7, -2.0])])


def test_a_node_saves_what_both_texts_of_a_joint_vjp_name(fused_product):
    function, _ = fused_product
    assert set(function(leaf([2.0]), leaf([5.0])).node.saved) == {"a", "b", "twice", "factor"}


def test_a_fused_vjp_needs_a_joint_one():
    @primitive()
    def lonely(x):
        return x / 2

    with pytest.raises(
        RuntimeError, match="lonely: a fused vjp takes the place of the joint one; register that one first"
    ):
        lonely.fused_vjp(lambda g: (g / 2,))


def test_a_joint_vjp_may_name_only_what_there_is(fused_product):
    function, _ = fused_product
    function.fused_vjp(lambda g, a, c: (g, g))
    with pytest.raises(TypeError, match=r"fused_product: the fused vjp asks for \['c'\]; it can have .*twice.*factor"):
        function(leaf([2.0]), leaf([5.0]))


def test_what_is_given_by_position_beyond_the_arrays_are_keywords_in_their_order():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(mg.sum(x, 0).data, [4.0, 6.0])
    np.testing.assert_array_equal(mg.sum(x, 1, True).data, [[3.0], [7.0]])
    np.testing.assert_array_equal(mg.sum(x.data, 0), [4.0, 6.0])
    mg.sum(mg.sum(x, 0), keepdims=True).backward(np.ones(1))
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 2)))
    with pytest.raises(TypeError, match="sum: axis is given twice, by position and by keyword"):
        mg.sum(x, 0, axis=1)
    with pytest.raises(TypeError, match="sum: 4 arguments were given by position; it takes 3: x, axis, keepdims"):
        mg.sum(x, 0, True, 7)
