"""gradcheck passes what is right and finds what is wrong, however small the fault."""

import numpy as np
import pytest

import minigen as mg
from minigen.engine import Primitive, primitive
from minigen.testing import JACOBIAN_SIZE, gradcheck

x = np.array([0.3, -1.2, 0.7])


@pytest.fixture(autouse=True)
def registry_as_before():
    before = dict(Primitive.registry)
    yield
    Primitive.registry.clear()
    Primitive.registry.update(before)


def operation(forward, vjp):
    """A primitive of one argument with the given vjp."""
    made = primitive()(forward)
    made.vjp(x=vjp)
    return made


def test_passes_what_is_right():
    gradcheck(mg.tanh, [x])
    gradcheck(lambda a, b: a @ b, [np.ones((2, 3)), np.arange(3.0)])
    gradcheck(lambda a: (mg.sin(a), mg.exp(a)), [x])
    gradcheck(lambda a, unused: a * 2.0, [x, x])
    gradcheck(lambda a: a * 0.0 + mg.sign(a), [x])
    gradcheck(mg.exp, [np.zeros((0, 3))])
    gradcheck(mg.exp, [np.array(0.5)])


def test_finds_half_a_gradient():
    with pytest.raises(
        AssertionError,
        match=r"half: order 1, gradient with respect to argument 0 in a random direction: expected .* obtained",
    ):
        gradcheck(lambda a: a * a.detach(), [x], name="half")


def test_names_the_argument():
    with pytest.raises(AssertionError, match="order 1, gradient with respect to argument 1"):
        gradcheck(lambda a, b: a * b.detach() + 0.0 * b, [x, x])


def test_finds_a_wrong_sign_of_one_entry_in_many():
    def vjp(g):
        sign = np.ones(1000)
        sign[617] = -1.0
        return g * sign

    assert JACOBIAN_SIZE < 1000 * 1000  # so only the random direction can tell
    with pytest.raises(AssertionError, match="random direction"):
        gradcheck(operation(lambda x: x + 0.0, vjp), [np.ones(1000)])


def test_finds_a_small_error():
    with pytest.raises(AssertionError, match="order 1"):
        gradcheck(operation(lambda x: x + 0.0, lambda g: g * (1.0 + 1e-4)), [x])


def test_finds_exchanged_entries():
    with pytest.raises(AssertionError, match="order 1"):
        gradcheck(operation(lambda x: x + 0.0, lambda g: mg.flip(g)), [x])


def test_finds_a_nan():
    with pytest.raises(AssertionError, match="obtained nan"):
        gradcheck(operation(lambda x: x + 0.0, lambda g: g * float("nan")), [x])


def test_finds_a_second_order_that_is_disconnected():
    disconnected = operation(lambda x: x * x, lambda g, x: g * 2.0 * (x.detach() if isinstance(x, mg.Tensor) else x))
    gradcheck(disconnected, [x], order=1)
    with pytest.raises(AssertionError, match="order 2"):
        gradcheck(disconnected, [x])


def test_finds_a_second_order_that_is_wrong_in_the_cotangent():
    def vjp(g, x):
        return g * x * 2.0 if not isinstance(g, mg.Tensor) else g.detach() * x * 2.0

    with pytest.raises(AssertionError, match="order 2"):
        gradcheck(operation(lambda x: x * x, vjp), [x])


def test_refuses_what_cannot_be_checked():
    for bad in (x.astype("float32"), np.array([1, 2]), [1.0, 2.0], 1.0):
        with pytest.raises(TypeError, match="gradcheck: argument 1 must be a float64 array, not"):
            gradcheck(lambda a, b: a, [x, bad])


def test_leaves_its_inputs_alone():
    before = x.copy()
    gradcheck(mg.tanh, [x])
    np.testing.assert_array_equal(x, before)


def test_tolerance_is_a_bound():
    slightly_wrong = operation(lambda x: x + 0.0, lambda g: g * (1.0 + 1e-4))
    gradcheck(slightly_wrong, [x], order=1, tolerance=1e-3)


def test_a_failure_names_the_function_by_default():
    def crooked(a):
        return a * a.detach()

    with pytest.raises(AssertionError, match=r"^crooked: order 1"):
        gradcheck(crooked, [x])
