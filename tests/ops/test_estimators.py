"""Gradient estimators: what is passed on in place of the derivative, and that it is not the derivative."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen.testing import gradcheck

X = np.array([0.3, -1.2, 0.7])


@settings(max_examples=10)
@given(scale=st.floats(-3, 3))
def test_each_reversal_multiplies_the_gradient_anew(scale, device):
    x = mg.tensor(X, requires_grad=True)
    y = mg.gradient_reversal(x.to(device), scale=scale)
    first = mg.grad(mg.sum(y**3.0), x, create_graph=True)
    second = mg.grad(mg.sum(first), x)
    np.testing.assert_array_equal(on_host(y), X)
    np.testing.assert_allclose(first.data, -scale * 3 * X**2, rtol=1e-14)
    np.testing.assert_allclose(second.data, scale**2 * 6 * X, rtol=1e-14)


def test_a_reversed_gradient_is_none_of_the_value():
    with pytest.raises(AssertionError, match="gradient_reversal: order 1"):
        gradcheck(mg.gradient_reversal, [X])


def test_one_backward_pass_serves_two_players():
    # f(u, v) = u v - v^2 / 2: v ascends, u descends; both gradients from one pass.
    u, v = (mg.tensor(np.array(n), requires_grad=True) for n in (2.0, 3.0))
    reversed_v = mg.gradient_reversal(v)
    (u * reversed_v - 0.5 * reversed_v * reversed_v).backward()
    assert u.grad.item() == 3.0
    assert v.grad.item() == -(2.0 - 3.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hard", [np.array([True, False, True]), np.array([1, 0, 2]), np.array([1.0, 0.0, 2.0])])
def test_straight_through_has_the_hard_value_and_the_soft_gradient(hard, dtype, device):
    x = mg.tensor(X, requires_grad=True, dtype=dtype)
    there = x.to(device)
    y = mg.straight_through(mg.tensor(hard, device=device), there * there)
    assert y.dtype == dtype
    np.testing.assert_array_equal(on_host(y), hard)
    first = mg.grad(mg.sum(y * 5.0), x, create_graph=True)
    np.testing.assert_allclose(first.data, 10 * X, rtol=1e-6)
    np.testing.assert_allclose(mg.grad(mg.sum(first), x).data, 10.0)


def test_straight_through_gives_the_hard_value_no_gradient():
    hard, soft = (mg.tensor(X, requires_grad=True) for _ in range(2))
    by_hard, by_soft = mg.grad(mg.straight_through(hard, soft), [hard, soft], X, allow_unused=True)
    assert by_hard is None
    np.testing.assert_array_equal(by_soft.data, X)
    with pytest.raises(AssertionError, match="sharpened: order 1"):
        gradcheck(lambda x: mg.straight_through(mg.sign(x), x), [X], name="sharpened")


def test_straight_through_refuses_two_shapes():
    with pytest.raises(ValueError, match=r"straight_through: .*one shape; got hard \(3,\) bool, soft \(1, 3\) float64"):
        mg.straight_through(X > 0, X[None])


def test_straight_through_refuses_two_devices(gpu_or_double):
    with pytest.raises(ValueError, match=r"straight_through: .*hard is on gpu, soft is on cpu"):
        mg.straight_through(mg.tensor(X > 0, device=gpu_or_double), mg.tensor(X))
