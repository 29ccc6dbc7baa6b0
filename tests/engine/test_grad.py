"""`grad`: its outputs, inputs and cotangents, and the dtypes of what it returns."""

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from engine.helpers import leaf
from minigen.backend import to_device
from minigen.engine import Tensor, grad


def test_grad_leaves_grad_alone():
    x = leaf([1.0, 2.0])
    grad(mg.sum(x * x), x)
    assert x.grad is None


def test_grad_of_sequences():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    gx, gw = grad([mg.sum(x * w), mg.sum(x)], [x, w])
    np.testing.assert_array_equal(gx.data, [4.0, 5.0])
    np.testing.assert_array_equal(gw.data, [1.0, 2.0])
    (only,) = grad(mg.sum(x), [x])
    np.testing.assert_array_equal(only.data, [1.0, 1.0])


def test_grad_of_one_output_or_input_twice():
    x = leaf([1.0, 2.0])
    y = mg.sum(x * x)
    np.testing.assert_array_equal(grad([y, y], x, retain_graph=True).data, [4.0, 8.0])
    first, second = grad(y, [x, x])
    np.testing.assert_array_equal(first.data, second.data)


def test_grad_with_respect_to_an_intermediate_tensor():
    x = leaf([1.0, 2.0])
    h = x * 3.0
    y = mg.sum(h * h)
    gh, gx = grad(y, [h, x])
    np.testing.assert_array_equal(gh.data, [6.0, 12.0])
    np.testing.assert_array_equal(gx.data, [18.0, 36.0])


def test_grad_of_a_tensor_with_respect_to_itself():
    x = leaf(2.0)
    y = x * x
    assert grad(x, x).item() == 1.0
    assert grad(y, y).item() == 1.0
    assert grad([y, y * 5.0], y).item() == 6.0


def test_unused_inputs():
    x, other = leaf([1.0, 2.0]), leaf([3.0])
    with pytest.raises(ValueError, match=r"no output depends on inputs\[1\] of shape \(1,\); pass allow_unused=True"):
        grad(mg.sum(x), [x, other])
    assert grad(mg.sum(x), [x, other], allow_unused=True)[1] is None


def test_cotangents_may_be_tensors_arrays_or_numbers():
    x = leaf(3.0)
    for cotangent in (Tensor(np.array(2.0)), np.array(2.0), np.float64(2.0), 2.0, 2, [2.0], (2.0,)):
        assert grad(x * x, x, cotangent).item() == 12.0


def test_gradients_flow_into_cotangents(device):
    """d/du of u^T J(x) v is J(x) v: the trick of forward mode by two backwards."""
    x, u = leaf([1.0, 2.0], device=device), leaf([1.0, 1.0], device=device)
    g = grad(x * x * x, x, u, create_graph=True)
    np.testing.assert_array_equal(on_host(grad(g, u, to_device(np.array([1.0, 10.0]), device))), [3.0, 120.0])


def test_a_cotangent_takes_the_dtype_of_its_output(device):
    x = leaf([1.0, 2.0], "float32", device=device)
    ones, whole = to_device(np.ones(2), device), to_device(np.ones(2, int), device)
    for cotangent in (ones, whole, Tensor(ones), Tensor(whole)):
        x.grad = None
        x.backward(cotangent)
        assert x.grad.dtype == np.float32
        assert grad(x, x, cotangent).dtype == np.float32


def test_a_gradient_has_its_arguments_dtype():
    x, w = leaf([1.0, 2.0], "float32"), leaf([3.0, 4.0], "float64")
    y = mg.sum(mg.tanh(x) * w)
    gx, gw = grad(y, [x, w], create_graph=True)
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    gx, gw = grad(mg.sum(gx * gx), [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)


def test_an_integer_tensor_is_a_constant():
    x = leaf([1.5, 2.5])
    counts = x.astype("int64")
    assert not counts.requires_grad
    assert not (x > 2.0).requires_grad
