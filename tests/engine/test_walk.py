"""Backward visits every node once, in order, and only the nodes that lead to what was asked for."""

import numpy as np
import pytest

import minigen as mg
from engine.helpers import counting, leaf
from minigen.engine import grad, primitive


def test_backward_visits_every_node_once():
    counted, calls = counting()
    x = leaf(1.0)
    y = x
    for _ in range(20):  # 2^20 paths, 60 nodes
        y = counted(y) + counted(y)
    y.backward()
    assert x.grad.item() == 2.0**20
    assert len(calls) == 40


def test_a_node_waits_for_all_its_children():
    """The short way from y to h must not carry h's cotangent on before the long way has arrived."""
    counted, calls = counting()
    x = leaf(2.0)
    h = counted(x)
    long_way = h
    for _ in range(5):
        long_way = long_way * 1.0
    (h + long_way).backward()
    assert x.grad.item() == 2.0
    assert len(calls) == 1


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_100_000_deep(create_graph):
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(100_000):
        y = y + x
    g = grad(y, x, np.ones(2), create_graph=create_graph)
    np.testing.assert_array_equal(g.data, [100_001.0, 100_001.0])
    del y, g  # freeing it must not recurse either


def test_backward_runs_only_vjps_that_lead_to_the_inputs():
    """A generator's step differentiates through the discriminator, not with respect to its weights."""
    through_g, g_calls = counting("through_g")
    through_d, d_calls = counting("through_d")
    generator, discriminator = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = mg.sum(through_g(generator) * through_d(discriminator))
    loss.backward(inputs=[generator])
    assert (len(g_calls), len(d_calls)) == (1, 0)
    np.testing.assert_array_equal(generator.grad.data, [3.0, 4.0])
    assert discriminator.grad is None


def test_grad_runs_only_vjps_that_lead_to_the_inputs():
    before, before_calls = counting("before")
    after, after_calls = counting("after")
    x = leaf([1.0, 2.0])
    h = before(x)
    grad(mg.sum(after(h)), h)
    assert (len(before_calls), len(after_calls)) == (0, 1)


def test_no_input_gradient_for_the_first_layer():
    """matrix_product's vjp for the data would cost as much as the one for the weight."""
    wanted = []

    @primitive()
    def product(a, b):
        return a @ b

    product.vjp(a=lambda g, b: wanted.append("a"), b=lambda g, a: (wanted.append("b"), mg.transpose(a) @ g)[1])
    w = leaf(np.ones((3, 2)))
    mg.sum(product(np.ones((4, 3)), w)).backward()
    assert wanted == ["b"]


def test_the_same_bits_every_time():
    def gradient():
        rng = np.random.default_rng(0)
        w, x = leaf(rng.standard_normal((50, 50)), "float32"), rng.standard_normal((40, 50)).astype("float32")
        h = mg.tanh(x @ w)
        mg.mean(mg.softmax(h @ w + h) * h).backward()
        return w.grad.data.tobytes()

    assert gradient() == gradient()
