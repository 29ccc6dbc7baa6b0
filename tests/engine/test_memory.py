"""What a graph keeps, and when it is freed."""

import gc
import weakref

import numpy as np
import pytest

import minigen as mg
from engine.helpers import leaf
from minigen.engine import Node, Tensor, grad, no_grad, primitive


def nodes_alive():
    return sum(type(thing) is Node for thing in gc.get_objects())


@pytest.fixture
def no_collector():
    """Nothing but reference counting frees memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
class TestMemory:
    def test_a_dropped_graph_is_freed_at_once(self):
        before = nodes_alive()
        y = mg.sum(mg.tanh(leaf([1.0, 2.0])) ** 2.0)
        assert nodes_alive() > before
        del y
        assert nodes_alive() == before

    def test_a_graph_is_freed_at_once_after_backward(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        mg.sum(mg.tanh(x) ** 2.0).backward()
        assert nodes_alive() == before

    def test_a_graph_of_gradients_is_freed_at_once(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        y = mg.sum(mg.softmax(mg.tanh(x) ** 3.0) * mg.exp(x))
        g = grad(y, x, create_graph=True)
        mg.sum(g * g).backward()
        del y, g
        assert nodes_alive() == before

    def test_a_graph_is_freed_at_once_after_an_error(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        y = mg.tanh(x) * 2.0
        with pytest.raises(RuntimeError):
            y.backward()
        del y
        assert nodes_alive() == before

    def test_only_what_a_vjp_names_is_kept(self):
        x, weight = leaf([1.0, 2.0]), np.array([3.0, 4.0])
        h = x + 1.0  # add's vjps need nothing, and the product's vjp for h needs only the weight
        y = h * weight
        array = weakref.ref(h.data)
        del h
        assert array() is None
        y.backward(np.ones(2))
        np.testing.assert_array_equal(x.grad.data, weight)

    def test_backward_frees_what_was_saved_and_retain_graph_keeps_it(self):
        for retain in (True, False):
            x = leaf([1.0, 2.0])
            h = mg.exp(x)
            y = mg.sum(h * h)
            array = weakref.ref(h.data)
            del h
            y.backward(retain_graph=retain)
            assert (array() is not None) is retain

    def test_saved_arrays_are_freed_on_the_way_not_at_the_end(self):
        freed = []

        @primitive()
        def first(x):
            return x + 0.0

        def vjp(g):
            freed.append(array() is None)
            return g

        first.vjp(x=vjp)
        h = mg.exp(first(leaf([1.0, 2.0])))
        y = mg.sum(mg.sin(h))
        array = weakref.ref(h.data)
        del h
        y.backward()
        assert freed == [True]

    def test_no_graph_without_need(self):
        before = nodes_alive()
        x = leaf([1.0, 2.0])
        with no_grad():
            kept = [mg.tanh(x), mg.tanh(Tensor(np.ones(2)))]
        kept += [mg.tanh(Tensor(np.ones(2))), x > 0.0, mg.argmax(x), mg.sign(x)]
        assert nodes_alive() == before
        assert not any(y.requires_grad for y in kept)


def test_a_freed_graph_says_so():
    x = leaf([1.0, 2.0])
    y = mg.sum(mg.exp(x))
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward: the graph at sum was freed .* retain_graph=True"):
        y.backward()
    with pytest.raises(RuntimeError, match=r"grad: .* retain_graph=True"):
        grad(y, x)


def test_a_freed_part_of_a_graph_says_so():
    x = leaf([1.0, 2.0])
    trunk = mg.exp(x)
    mg.sum(trunk).backward()
    with pytest.raises(RuntimeError, match="the graph at exp was freed"):
        mg.sum(trunk * 2.0).backward()


def test_retain_graph_allows_a_second_backward():
    x = leaf([1.0, 2.0])
    y = mg.sum(x * x)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [4.0, 8.0])
