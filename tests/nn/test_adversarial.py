"""Layers of adversarial networks: the channel of deviations against its formula, and the reversal as a layer."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.testing import gradcheck


@settings(max_examples=15)
@given(
    groups=st.integers(1, 3),
    size=st.integers(1, 4),
    places=st.lists(st.integers(1, 3), max_size=2),
    c=st.integers(1, 3),
)
def test_the_deviation_of_each_group(groups, size, places, c, device):
    x = np.random.default_rng(0).normal(size=(groups * size, *places, c))
    y = on_host(nn.MinibatchStdDev(group_size=size)(to_device(x, device)))
    assert y.shape == (*x.shape[:-1], c + 1)
    np.testing.assert_array_equal(y[..., :-1], x)
    for k in range(groups):
        members = x[k::groups]
        np.testing.assert_allclose(y[k::groups, ..., -1], np.sqrt(members.var(axis=0) + 1e-8).mean(), rtol=1e-12)


def test_equal_examples_deviate_by_nothing_and_have_a_finite_gradient():
    x = mg.tensor(np.ones((4, 2, 2, 3), np.float32), requires_grad=True)
    y = nn.MinibatchStdDev()(x)
    np.testing.assert_allclose(y.data[..., -1], 1e-4, rtol=1e-6)
    assert np.isfinite(mg.grad(mg.sum(y), x).data).all()


def test_the_gradient_of_the_deviation():
    gradcheck(nn.MinibatchStdDev(group_size=2), [np.random.default_rng(0).normal(size=(4, 2))])


def test_a_small_batch_is_a_group():
    x = np.random.default_rng(0).normal(size=(3, 2))
    np.testing.assert_array_equal(nn.MinibatchStdDev(group_size=8)(x), nn.MinibatchStdDev(group_size=3)(x))
    assert nn.MinibatchStdDev()(x[:0]).shape == (0, 3)


def test_what_is_no_whole_group_is_refused():
    with pytest.raises(ValueError, match=r"MinibatchStdDev: 6 examples, .*\(6, 2\), are not whole groups of 4"):
        nn.MinibatchStdDev()(np.ones((6, 2)))
    with pytest.raises(ValueError, match="group_size is 0"):
        nn.MinibatchStdDev(group_size=0)


def test_the_scale_of_a_reversal_may_change_in_training():
    layer, x = nn.GradientReversal(), mg.tensor([1.0], requires_grad=True)
    assert mg.grad(layer(x), x).item() == -1.0
    layer.scale = 0.25
    assert mg.grad(layer(x), x).item() == -0.25
