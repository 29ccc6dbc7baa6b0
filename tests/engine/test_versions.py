"""Backward notices a value that was overwritten after it was saved."""

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from engine.helpers import leaf
from minigen.backend import to_device
from minigen.engine import Tensor, grad, no_grad


def test_an_overwritten_parameter_is_noticed_by_name():
    w = leaf([1.0, 2.0], name="decoder.weight")
    loss = mg.sum(w * w)
    w.assign(np.zeros(2))
    assert w.version == 1
    with pytest.raises(RuntimeError, match=r"multiply saved decoder\.weight at version 0, .*now version 1"):
        loss.backward()


def test_an_overwritten_leaf_without_a_name_or_a_gradient_is_noticed():
    x, constant = leaf([1.0, 2.0]), Tensor(np.ones(2))
    loss = mg.sum(x * constant)
    constant.assign(np.zeros(2))
    with pytest.raises(RuntimeError, match=r"multiply saved a leaf of shape \(2,\) at version 0"):
        loss.backward()


def test_overwriting_what_was_not_saved_is_allowed():
    w, constant = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    loss = mg.sum(w * constant + w)
    w.assign(np.zeros(2))
    loss.backward()
    np.testing.assert_array_equal(w.grad.data, [4.0, 5.0])


def test_an_overwritten_parameter_is_noticed_in_second_order():
    w = leaf([1.0, 2.0], name="w")
    g = grad(mg.sum(w * w * w), w, create_graph=True)
    w.assign(np.zeros(2))
    with pytest.raises(RuntimeError, match="saved w at version 0"):
        grad(g, w, np.ones(2))


@pytest.mark.parametrize(
    "view",
    [
        lambda w: w.reshape(2, 1),
        lambda w: w.T,
        lambda w: w[:, None, 0],
        lambda w: w.astype("float64"),
        lambda w: w.detach(),
    ],
    ids=["reshape", "transpose", "slice", "astype", "detach"],
)
def test_an_overwritten_parameter_is_noticed_through_a_view_of_its_memory(view):
    w, x = leaf([[1.0, 2.0]], name="w"), leaf(3.0)
    loss = mg.sum(view(w) * x)
    w.assign(np.zeros((1, 2)))
    with pytest.raises(RuntimeError, match="saved w at version 0"):
        loss.backward()


def test_assign_copies_into_the_leafs_own_memory(device):
    w = leaf([1.0, 2.0], device=device)
    memory, values = w.data, to_device(np.array([3.0, 4.0]), device)
    w.assign(values)
    assert w.data is memory
    values[0] = 7.0
    np.testing.assert_array_equal(on_host(w), [3.0, 4.0])


COMPUTED = {
    "detached": lambda y: y.detach(),
    "detached twice": lambda y: y.detach().detach(),
    "a view, detached": lambda y: y.reshape(2, 1).detach(),
    "a view that is not recorded": no_grad()(lambda y: y[:1]),
    "a view of a detached one": lambda y: y.detach().T,
}


@pytest.mark.parametrize("alias", COMPUTED.values(), ids=COMPUTED)
def test_what_an_operation_computed_is_not_overwritten_through_an_alias(alias):
    x = leaf([1.0, 2.0])
    y = mg.exp(x)
    shared = alias(y)
    with pytest.raises(
        RuntimeError, match=r"assign\(\): an operation computed these values.*write into a copy, mg.tensor"
    ):
        shared.assign(np.zeros(shared.shape))
    with pytest.raises(RuntimeError, match=r"mark_written\(\): an operation computed"):
        shared.mark_written()
    mg.tensor(shared).assign(np.zeros(shared.shape))
    mg.sum(y).backward()
    np.testing.assert_array_equal(x.grad.data, np.exp([1.0, 2.0]))


def test_one_array_may_be_the_gradient_of_two_inputs_and_so_is_not_overwritten():
    a, b, seed = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.ones(2)
    for found in grad(a + b, [a, b], seed):
        with pytest.raises(RuntimeError, match=r"assign\(\): an operation computed these values"):
            found.assign(np.zeros(2))
    np.testing.assert_array_equal(seed, [1.0, 1.0])


def test_a_leafs_own_gradient_may_be_overwritten():
    x = leaf([1.0, 2.0])
    mg.sum(x * x).backward()
    x.grad.assign(np.array([5.0, 6.0]))
    np.testing.assert_array_equal(x.grad.data, [5.0, 6.0])


def test_parameters_of_one_array_do_not_share_its_memory():
    array, x = np.ones(2), leaf([1.0, 2.0])
    w, v, y = mg.nn.Parameter(array), mg.nn.Parameter(array), mg.exp(x)
    loss = mg.sum(w * w) + mg.sum(y)
    v.assign(np.zeros(2))
    mg.nn.Parameter(y.data).assign(np.zeros(2))
    loss.backward()
    np.testing.assert_array_equal(w.grad.data, [2.0, 2.0])
    np.testing.assert_array_equal(x.grad.data, np.exp([1.0, 2.0]))
