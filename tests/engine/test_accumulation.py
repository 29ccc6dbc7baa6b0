"""Gradients that meet are added up, and never into an array that someone else holds."""

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from engine.helpers import leaf
from minigen.backend import to_device
from minigen.engine import Tensor, grad, primitive


def test_one_cotangent_may_reach_two_parents(device):
    a = leaf([1.0, 2.0], device=device)
    b = a + a
    c = b + b
    c.backward(to_device(np.array([1.0, 10.0]), device))
    np.testing.assert_array_equal(on_host(a.grad), [4.0, 40.0])


@pytest.mark.parametrize("uses", [1, 2, 3, 4, 7])
def test_accumulation_writes_into_nobodys_array(uses, device):
    handed_out = []

    @primitive()
    def keeps(x):
        return x + 0.0

    def vjp(g):
        handed_out.append((g, g.copy()))
        return g

    keeps.vjp(x=vjp)
    x = leaf([1.0, 2.0], device=device)
    h = keeps(x)  # its cotangent is a sum of `uses` terms
    seed = to_device(np.array([1.0, 10.0]), device)
    y = h
    for _ in range(uses - 1):
        y = y + keeps(h)
    (g,) = grad([y], [x], [seed])
    np.testing.assert_array_equal(on_host(g), uses * np.array([1.0, 10.0]))
    np.testing.assert_array_equal(on_host(seed), [1.0, 10.0])
    for array, copy in handed_out:
        np.testing.assert_array_equal(on_host(array), on_host(copy))


def test_gradients_of_two_backwards_add_up(device):
    x = leaf([1.0, 2.0], device=device)
    for _ in range(2):
        mg.sum(x * x).backward()
    np.testing.assert_array_equal(on_host(x.grad), [4.0, 8.0])


def test_grad_owns_its_memory():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = np.array([1.0, 1.0])
    (a + b).backward(seed)
    arrays = [seed, a.grad.data, b.grad.data]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    (a + b).backward(seed)
    np.testing.assert_array_equal(seed, [1.0, 1.0])
    np.testing.assert_array_equal(a.grad.data, [2.0, 2.0])


def test_grad_of_a_broadcast_sum_is_writable():
    x = leaf([1.0, 2.0])
    mg.sum(x).backward()  # the vjp returns a read-only view of one number
    x.grad.data[0] = 5.0
    np.testing.assert_array_equal(x.grad.data, [5.0, 1.0])


def test_grad_is_written_where_an_optimizer_has_provided_memory(device):
    x = leaf([1.0, 2.0], device=device)
    memory = to_device(np.full(2, np.nan), device)
    x.write_grad_into(memory)
    for factor in (1.0, 2.0):
        mg.sum(x * 3.0).backward()
        assert x.grad.data is memory
        np.testing.assert_array_equal(on_host(memory), factor * np.array([3.0, 3.0]))


def test_only_leaves_get_grad():
    x, constant = leaf([1.0, 2.0]), Tensor(np.ones(2))
    h = x * constant
    y = mg.sum(h)
    y.backward()
    assert x.grad is not None
    assert h.grad is None
    assert y.grad is None
    assert constant.grad is None


def test_a_gradient_that_was_assigned_to_two_leaves_is_added_to_in_each_alone():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    a.grad, b.grad = mg.grad(a + b, [a, b], np.ones(2))
    mg.sum(a * 2.0 + b * 3.0).backward()
    np.testing.assert_array_equal(a.grad.data, [3.0, 3.0])
    np.testing.assert_array_equal(b.grad.data, [4.0, 4.0])


def test_one_tensor_may_be_assigned_as_the_gradient_of_two_leaves():
    a, b, shared = leaf([1.0, 2.0]), leaf([3.0, 4.0]), Tensor(np.ones(2))
    a.grad = b.grad = shared
    mg.sum(a * 2.0).backward()
    for gradient, expected in ((a.grad, [3.0, 3.0]), (b.grad, [1.0, 1.0]), (shared, [1.0, 1.0])):
        np.testing.assert_array_equal(gradient.data, expected)


@pytest.mark.parametrize(("assigned", "found"), [(0.0, "a float"), (Tensor(np.zeros(3)), r"of shape \(3,\)")])
def test_what_is_not_a_gradient_is_named_when_the_next_is_added(assigned, found):
    x = leaf([1.0, 2.0])
    x.grad = assigned
    with pytest.raises(
        TypeError, match=rf"\.grad of a leaf of shape \(2,\), but the \.grad that was assigned is {found}"
    ):
        mg.sum(x).backward()
