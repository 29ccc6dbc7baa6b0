"""Batch normalization: values and statistics by their definitions, modes, frozen statistics, classes, state, gradients, and refusals."""

import copy
import sys

import numpy as np
import pytest
from devices import on_host
from doubles import strict_cupy
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.optim import EMA, SGD
from minigen.random import Generator
from minigen.testing import gradcheck
from minigen.training.files import load_state, save_state

RNG = np.random.default_rng(0)


def drawn(*shape, mean=0.0, scale=1.0):
    return (mean + scale * RNG.normal(size=shape)).astype(np.float32)


def statistics(layer):
    return [on_host(buffer).copy() for buffer in layer.named_buffers().values()]


# ------------------------------------------------------------------------------------------------------------- values


@given(leading=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_training_normalizes_each_channel_over_all_axes_but_the_last(leading, seed, device):
    if np.prod(leading) < 2:
        return
    rng = np.random.default_rng(seed)
    x = (5.0 + 3.0 * rng.normal(size=(*leading, 3))).astype(np.float32)
    layer = nn.BatchNorm(3, epsilon=1e-3)
    weight, bias = rng.normal(size=(2, 3)).astype(np.float32)
    layer.weight.assign(weight)
    layer.bias.assign(bias)
    layer.to(device)
    y = layer(to_device(x, device))
    rows = x.reshape(-1, 3).astype(np.float64)
    expected = weight * (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3) + bias
    assert (y.dtype, y.device, y.shape) == (np.float32, device, x.shape)
    np.testing.assert_allclose(on_host(y).reshape(-1, 3), expected, atol=1e-4)


def test_running_statistics_move_by_the_momentum_with_the_unbiased_variance(device):
    layer = nn.BatchNorm(2, momentum=0.3).to(device)
    mean, variance = np.zeros(2), np.ones(2)
    for n in (2, 5, 9):
        x = drawn(n, 2, mean=4.0, scale=2.0)
        layer(to_device(x, device))
        mean = 0.7 * mean + 0.3 * x.mean(0)
        variance = 0.7 * variance + 0.3 * x.var(0, ddof=1)
    np.testing.assert_allclose(on_host(layer.running_mean), mean, rtol=1e-5)
    np.testing.assert_allclose(on_host(layer.running_var), variance, rtol=1e-5)


def test_after_many_batches_evaluation_is_what_training_converged_to():
    layer = nn.BatchNorm(2)
    for _ in range(200):
        layer(drawn(500, 2, mean=3.0, scale=2.0))
    y = layer.eval()(drawn(20_000, 2, mean=3.0, scale=2.0)).data
    np.testing.assert_allclose(y.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(y.std(0), 1.0, atol=0.05)


def test_evaluation_judges_each_example_alone_and_records_nothing():
    layer = nn.BatchNorm(2)
    layer(drawn(10, 4, 4, 2, mean=2.0))
    before = statistics(layer)
    x = drawn(6, 4, 4, 2)
    together = layer.eval()(x).data
    for i in range(6):
        np.testing.assert_array_equal(layer(x[i : i + 1]).data, together[i : i + 1])
    for a, b in zip(statistics(layer), before, strict=True):
        np.testing.assert_array_equal(a, b)
    mean, variance = before
    np.testing.assert_allclose(together, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-5, atol=1e-6)


def test_a_mean_of_ten_thousand_is_taken_out():
    x = drawn(20_000, 3, mean=1e4)
    layer = nn.BatchNorm(3, momentum=1.0)
    y = layer(x).data
    np.testing.assert_allclose(y.mean(0, dtype=np.float64), 0.0, atol=1e-3)
    np.testing.assert_allclose(y.std(0, dtype=np.float64), 1.0, rtol=1e-4)
    np.testing.assert_allclose(layer.running_var.data, x.astype(np.float64).var(0, ddof=1), rtol=1e-5)


# --------------------------------------------------------------------------------------------------- frozen statistics


def test_frozen_statistics_stay_and_the_batch_still_normalizes():
    net = nn.Sequential(nn.BatchNorm(2), nn.Sequential(nn.BatchNorm(2)))
    x = drawn(50, 2, mean=7.0)
    before = statistics(net)
    with nn.frozen_statistics(net):
        y = net(x).data
        with nn.frozen_statistics(net[1]):
            net(x)
        net(x)  # the inner block's end has not thawed anything
    for a, b in zip(statistics(net), before, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-5)
    np.testing.assert_array_equal(net(x).data, y)
    assert statistics(net)[0][0] == pytest.approx(0.1 * x[:, 0].mean(), rel=1e-5)


def test_statistics_thaw_after_an_error():
    layer = nn.BatchNorm(1)
    with pytest.raises(ArithmeticError), nn.frozen_statistics(layer):
        raise ArithmeticError
    assert not layer.is_frozen


# ------------------------------------------------------------------------------------------- statistics collected anew


def test_statistics_of_inputs_are_their_mean_and_variance_and_those_of_training_come_back_bitwise():
    net = nn.Sequential(nn.BatchNorm(2), nn.Sequential(nn.BatchNorm(2, momentum=0.3)))
    net(drawn(50, 2, mean=7.0))
    before = statistics(net)
    batches = [drawn(40, 2, mean=3.0, scale=2.0) for _ in range(5)]
    net.eval()
    with nn.statistics_of(net, [(x,) for x in batches]):
        mean, variance, *_ = statistics(net)
        np.testing.assert_allclose(mean, np.mean([x.mean(0) for x in batches], 0), rtol=1e-5)
        np.testing.assert_allclose(variance, np.mean([x.var(0, ddof=1) for x in batches], 0), rtol=1e-5)
        assert not net.training
        one = net(batches[0][:1]).data
        np.testing.assert_array_equal(net(batches[0][:7]).data[:1], one)  # in any company
    for a, b in zip(statistics(net), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [layer.momentum for layer in (net[0], net[1][0])] == [0.1, 0.3]


def test_statistics_come_back_after_an_error_and_need_inputs():
    layer = nn.BatchNorm(1)
    before = statistics(layer)
    with pytest.raises(ArithmeticError), nn.statistics_of(layer, [(drawn(5, 1),)]):
        raise ArithmeticError
    with pytest.raises(ValueError, match="statistics_of: there are no inputs"), nn.statistics_of(layer, []):
        pass
    for a, b in zip(statistics(layer), before, strict=True):
        np.testing.assert_array_equal(a, b)
    with nn.statistics_of(nn.ReLU(), []):  # without batch normalization none are needed
        pass


# ------------------------------------------------------------------------------------------------------------ classes


def conditional(features=3, classes=4, **settings):
    layer = nn.ConditionalBatchNorm(features, classes, **settings)
    layer.weight.assign(drawn(classes, features))
    layer.bias.assign(drawn(classes, features))
    return layer


@pytest.mark.parametrize("shape", [(6, 3), (6, 2, 2, 3)])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_each_class_has_its_scale_and_shift_and_all_share_the_statistics(shape, mode, device):
    layer, plain = conditional(), nn.BatchNorm(3, affine=False)
    x, labels = drawn(*shape, mean=2.0), np.array([0, 3, 3, 1, 0, 3])
    weight, bias = (table.data[labels].reshape(6, *(1,) * (len(shape) - 2), 3) for table in (layer.weight, layer.bias))
    layer.to(device).train(mode == "training")
    y = layer(to_device(x, device), to_device(labels, device))
    expected = weight * plain.train(mode == "training")(x) + bias
    np.testing.assert_allclose(on_host(y), expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(statistics(layer), statistics(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_frozen_statistics_reach_the_conditional_layer():
    layer = conditional()
    before = statistics(layer)
    with nn.frozen_statistics(nn.Sequential(layer)):
        layer(drawn(6, 3, mean=5.0), np.zeros(6, int))
    for a, b in zip(statistics(layer), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(layer.named_buffers()) == ["norm.running_mean", "norm.running_var"]


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_gradients_of_the_tables(mode, device):
    layer = conditional(classes=3)
    layer(drawn(10, 3, mean=1.0, scale=2.0), np.arange(10) % 3)
    layer.train(mode == "training").to(device)
    for buffer in layer.named_buffers().values():
        buffer.data = buffer.data.astype("float64")
    labels = to_device(np.array([0, 2, 2, 0]), device)

    def through(x, weight, bias):
        layer.weight, layer.bias = weight.to(device), bias.to(device)
        return mg.tanh(layer(x.to(device), labels)).to("cpu")

    gradcheck(through, [RNG.normal(size=(4, 2, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))])


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (np.array([0, 4]), IndexError, r"ConditionalBatchNorm: .*\[0, 4\]; expected integers in \[0, 4\)"),
        (np.array([-1, 2]), IndexError, r"ConditionalBatchNorm: .*\[-1, 2\]"),
        (np.array([0.0, 1.0]), TypeError, r"ConditionalBatchNorm: indices of float64"),
        ([0, 1], TypeError, r"ConditionalBatchNorm: indices of list"),
        (np.array([0]), ValueError, r"ConditionalBatchNorm: labels have shape \(1,\), but x .* \(2, 5, 3\) needs .*\(2,\)"),
        (np.array([[0, 1]]), ValueError, r"ConditionalBatchNorm: labels have shape \(1, 2\)"),
    ],
)  # fmt: skip
def test_labels_that_are_none_are_refused(labels, kind, message):
    with pytest.raises(kind, match=message):
        conditional()(drawn(2, 5, 3), labels)


def test_settings_of_the_conditional_layer_that_are_out_of_range_are_refused():
    with pytest.raises(ValueError, match="ConditionalBatchNorm: features 3 and classes 0 must be at least 1"):
        nn.ConditionalBatchNorm(3, 0)
    with pytest.raises(ValueError, match=r"BatchNorm: .*momentum 2"):
        nn.ConditionalBatchNorm(3, 2, momentum=2)


# -------------------------------------------------------------------------------------------------------------- state


def test_running_statistics_are_saved_but_not_learned(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3, rng=Generator(0)), nn.BatchNorm(3))
    optimizer = SGD(net, learning_rate=0.1)
    average = EMA(optimizer)
    assert not any("running" in name for name in optimizer.arena.parameters)
    net(drawn(5, 2))
    trained = statistics(net)
    with average.applied():  # parameters change places, buffers are the model's own
        for a, b in zip(statistics(net), trained, strict=True):
            np.testing.assert_array_equal(a, b)
    save_state(tmp_path / "net.safetensors", net=net)
    other = nn.Sequential(nn.Linear(2, 3, rng=Generator(1)), nn.BatchNorm(3))
    load_state(tmp_path / "net.safetensors", net=other)
    x = drawn(4, 2)
    np.testing.assert_array_equal(other.eval()(x).data, net.eval()(x).data)


def test_a_copy_has_statistics_of_its_own():
    layer = nn.BatchNorm(1)
    duplicate = copy.deepcopy(layer)
    duplicate(drawn(5, 1, mean=3.0))
    np.testing.assert_array_equal(layer.running_mean.data, [0.0])


def test_a_graph_survives_a_later_batch():
    layer = nn.BatchNorm(2)
    x = mg.tensor(drawn(5, 2), requires_grad=True)
    frozen = layer.eval()(x)
    fresh = layer.train()(x)
    layer(drawn(5, 2))  # overwrites the running statistics
    mg.sum(fresh * fresh).backward()
    mg.sum(frozen * frozen).backward()
    assert np.isfinite(x.grad.data).all()


# ---------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 2, 3)])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("affine", [True, False])
def test_gradients_of_both_orders(shape, mode, affine, device):
    layer = nn.BatchNorm(3, affine=affine)
    layer(drawn(10, 3, mean=1.0, scale=2.0))
    layer.train(mode == "training").to(device)
    for buffer in layer.named_buffers().values():  # in float32 the rounding would hide the differences
        buffer.data = buffer.data.astype("float64")

    def through(x, *parameters):
        if parameters:
            layer.weight, layer.bias = (parameter.to(device) for parameter in parameters)
        return mg.tanh(layer(x.to(device))).to("cpu")

    gradcheck(through, [RNG.normal(size=shape), *([RNG.normal(size=3), RNG.normal(size=3)] if affine else [])])


def test_training_moves_nothing_between_host_and_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    layer = nn.BatchNorm(3).to("gpu")
    x = mg.tensor(drawn(4, 2, 2, 3), device="gpu", requires_grad=True)
    g = to_device(drawn(4, 2, 2, 3), "gpu")
    with strict_cupy.counting() as transfers:
        layer(x).backward(g)
    assert transfers == strict_cupy.Transfers()
    assert layer.running_mean.device == layer.weight.grad.device == "gpu"


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3), (0, 3), (3,)])
def test_training_needs_two_values_of_each_channel(shape):
    layer = nn.BatchNorm(3)
    x = np.ones(shape, np.float32)
    with pytest.raises(ValueError, match=r"BatchNorm: x .* value\(s\) of each channel.* at least 2"):
        layer(x)
    assert layer.eval()(x).shape == shape


def test_other_channels_are_refused():
    with pytest.raises(
        ValueError, match=r"BatchNorm: x \(\.\.\., C\) has shape \(2, 4, 4, 3\), but the layer has 4 features"
    ):
        nn.BatchNorm(4)(np.ones((2, 4, 4, 3), np.float32))


@pytest.mark.parametrize("settings", [{"features": 0}, {"momentum": 1.5}, {"momentum": -0.1}, {"epsilon": 0.0}])
def test_settings_out_of_range_are_refused(settings):
    name, value = next(iter(settings.items()))
    with pytest.raises(ValueError, match=f"BatchNorm: .*{name} (is )?{value}"):
        nn.BatchNorm(**{"features": 3, **settings})


def test_hyperparameters_have_names():
    with pytest.raises(TypeError):
        nn.BatchNorm(3, 0.8)
