"""Gradients of gradients, and Jacobians of random programs."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from engine.helpers import leaf
from minigen.backend import to_device
from minigen.engine import grad


def test_higher_derivatives_of_sine():
    x = leaf([0.3, 1.7])
    y, expected = mg.sin(x), [np.cos(x.data), -np.sin(x.data), -np.cos(x.data), np.sin(x.data)]
    for derivative in expected:
        y = grad(mg.sum(y), x, create_graph=True)
        np.testing.assert_allclose(y.data, derivative, rtol=1e-14)


@pytest.mark.parametrize(
    "cube", [lambda x: x**3, lambda x: x**3.0, lambda x: x * x * x], ids=["int", "float", "product"]
)
def test_higher_derivatives_of_the_cube(cube):
    x = leaf([-2.0, 0.0, 1.5])
    y = cube(x)
    for derivative in (3 * x.data**2, 6 * x.data, np.full(3, 6.0)):
        y = grad(mg.sum(y), x, create_graph=True)
        np.testing.assert_allclose(y.data, derivative, rtol=1e-14)


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x * x * x
    assert grad(y, x, create_graph=True).item() == 12.0
    assert grad(y, x).item() == 12.0


def test_backward_refuses_create_graph():
    with pytest.raises(TypeError, match="create_graph"):
        leaf(2.0).backward(create_graph=True)


def test_backward_through_a_gradient():
    """A gradient penalty: the gradient's norm is part of a loss."""
    x, w = leaf([3.0, 4.0]), leaf(2.0)
    slope = grad(mg.sum(w * x * x), x, create_graph=True)  # 2 w x
    mg.norm(slope).backward(inputs=[w])  # d/dw of 2 w |x|
    assert w.grad.item() == pytest.approx(10.0)


@st.composite
def compositions(draw):
    """A program on a list of values: each step applies an operation to earlier values, and so reuses some of them."""
    steps = []
    for count in range(1, draw(st.integers(1, 8)) + 1):
        name = draw(st.sampled_from(["sin", "tanh", "product", "sum", "mix", "scale"]))
        steps.append((name, draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
    return steps


def recorded(name, s, t, matrix):
    return {
        "sin": lambda: mg.sin(s),
        "tanh": lambda: mg.tanh(s),
        "product": lambda: s * t,
        "sum": lambda: s + t,
        "mix": lambda: matrix @ s,
        "scale": lambda: s * mg.sum(t),
    }[name]()


def forward_mode(name, a, da, b, db, matrix):
    """The same operation on values a, b and their Jacobians da, db."""
    return {
        "sin": lambda: (np.sin(a), np.cos(a)[:, None] * da),
        "tanh": lambda: (np.tanh(a), (1 - np.tanh(a) ** 2)[:, None] * da),
        "product": lambda: (a * b, a[:, None] * db + b[:, None] * da),
        "sum": lambda: (a + b, da + db),
        "mix": lambda: (matrix @ a, matrix @ da),
        "scale": lambda: (a * b.sum(), b.sum() * da + np.outer(a, db.sum(0))),
    }[name]()


@given(steps=compositions(), seed=st.integers(0, 99))
def test_jacobian_of_a_random_composition(steps, seed, device):
    """Reverse mode against forward mode, which carries every value's Jacobian along."""
    rng = np.random.default_rng(seed)
    start, matrix = rng.uniform(-1, 1, 3), rng.uniform(-1, 1, (3, 3))

    x = leaf(start, device=device)
    dual, tensors = [(start, np.eye(3))], [x]
    for name, i, j in steps:
        dual.append(forward_mode(name, *dual[i], *dual[j], matrix))
        tensors.append(recorded(name, tensors[i], tensors[j], to_device(matrix, device)))

    rows = [on_host(grad(tensors[-1], x, to_device(row, device), retain_graph=True)) for row in np.eye(3)]
    np.testing.assert_allclose(rows, dual[-1][1], rtol=1e-9, atol=1e-9)
