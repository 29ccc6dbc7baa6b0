"""Dropout: its shares and scale, modes, gradients by its own mask, and a run that is broken off and resumed."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck
from minigen.training import Run


@given(p=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_a_value_is_zero_with_probability_p_and_keeps_its_mean(p, seed):
    n = 10_000
    x = np.full((100, 100), 3.0, np.float32)
    y = nn.Dropout(p=p, rng=Generator(seed))(x)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 3.0 / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / n) + 1 / n
    assert y.dtype == np.float32


def test_each_value_is_dropped_on_its_own():
    kept = nn.Dropout(p=0.5, rng=Generator(0))(np.ones((2000, 2, 2), np.float32)).reshape(2000, 4) != 0
    correlations = np.corrcoef(kept.T) - np.eye(4)
    assert np.abs(correlations).max() < 5 / np.sqrt(2000)


def test_calls_differ_and_the_generator_decides(device):
    x = to_device(np.ones((8, 16), np.float32), device)
    layer = nn.Dropout(p=0.5, rng=Generator(3, device=device))
    first, second = on_host(layer(x)), on_host(layer(x))
    assert not np.array_equal(first, second)
    again = nn.Dropout(p=0.5, rng=Generator(3))
    np.testing.assert_array_equal(first, again(np.ones((8, 16), np.float32)))


def test_evaluation_and_p_zero_change_nothing_and_draw_nothing():
    rng = Generator(0)
    x = mg.ones((3, 2))
    assert nn.Dropout(p=0.9, rng=rng).eval()(x) is x
    assert nn.Dropout(p=0.0, rng=rng)(x) is x
    assert rng.state()["counter"] == 0


def test_the_gradient_goes_through_the_mask_of_the_forward():
    x = mg.tensor(np.random.default_rng(0).normal(size=(6, 5)), dtype="float32", requires_grad=True)
    y = nn.Dropout(p=0.3, rng=Generator(0))(x)
    g = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    np.testing.assert_array_equal(mg.grad(y, x, g).data, g * np.where(y.data != 0, np.float32(1 / 0.7), 0))


def test_gradients_of_both_orders(device):
    def through(x):
        layer = nn.Dropout(p=0.4, rng=Generator(0, device=device))  # the same mask each time
        return mg.tanh(layer(mg.tanh(x.to(device)))).to("cpu")

    gradcheck(through, [np.random.default_rng(0).normal(size=(3, 4))])


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match=r"Dropout: p = .* is not a probability in \[0, 1\)"):
        nn.Dropout(p=p, rng=Generator(0))


def trained(steps, checkpoint=None, resume=False):
    """Train a small net whose dropout and data share the run's generator; return its weights."""
    weights, noise = Generator(0), Generator(1)
    net = nn.Sequential(
        nn.Linear(3, 16, rng=weights), nn.Dropout(p=0.5, rng=noise), nn.BatchNorm(16), nn.Linear(16, 1, rng=weights)
    )
    optimizer = Adam(net, learning_rate=0.01)
    parts = {"model": net, "optimizer": optimizer, "noise": noise}
    run = Run(steps=steps, checkpoint=checkpoint, parts=parts, progress=False)
    run.begin(resume=resume)
    for _ in run:
        optimizer.zero_grad()
        y = net(noise.normal((8, 3)))
        mg.mean(y * y).backward()
        optimizer.step()
    return {name: array.copy() for name, array in net.state().items()}


def test_a_resumed_run_draws_the_masks_of_an_unbroken_one(tmp_path):
    unbroken = trained(6)
    trained(3, tmp_path / "run.safetensors")
    resumed = trained(6, tmp_path / "run.safetensors", resume=True)
    assert "layers.2.running_mean" in unbroken
    for name, array in unbroken.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)
