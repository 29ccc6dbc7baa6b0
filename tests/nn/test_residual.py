"""The residual block: against its parts, its shortcuts, what it is at first, and what it refuses."""

import copy

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.random import Generator
from minigen.testing import gradcheck


def an_image(size=4, channels=4, n=2, dtype=np.float32):
    return np.random.default_rng(0).normal(size=(n, size, size + 2, channels)).astype(dtype)


def block(ins=4, outs=4, *, seed=0, device="cpu", **settings):
    return nn.ResidualBlock(
        ins, outs, rng=Generator(seed, device=device), **{"groups": 2, "zero_last": False, **settings}
    )


def in_double(module):
    for tensor in [*module.parameters(), *module.named_buffers().values()]:
        tensor.data = tensor.data.astype(np.float64)
    return module


resamplings = pytest.mark.parametrize(("resample", "factor"), [(None, 1.0), ("up", 2.0), ("down", 0.5)])


def resampled(x, resample):
    if resample == "up":
        return x.repeat(2, axis=1).repeat(2, axis=2)
    if resample == "down":
        return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    return x


@resamplings
@pytest.mark.parametrize("outs", [4, 6])
@pytest.mark.parametrize("normalize", ["group", "batch", None])
def test_a_block_is_its_parts_in_order(resample, factor, outs, normalize, device):
    net = block(4, outs, resample=resample, normalize=normalize, device=device).to(device)
    x = an_image()
    y = on_host(net(to_device(x, device)))
    assert y.shape == (2, 4 * factor, 6 * factor, outs)
    parts = copy.deepcopy(net).to("cpu")
    h = x if normalize is None else parts.norm1(x).data
    h = parts.conv1(resampled(mg.silu(h), resample))
    h = h if normalize is None else parts.norm2(h)
    way = x if outs == 4 else parts.shortcut(x).data
    expected = resampled(way, resample) + parts.conv2(mg.silu(h)).data
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@resamplings
def test_a_block_whose_last_convolution_is_zero_is_its_shortcut(resample, factor):
    x = an_image()
    net = block(resample=resample, zero_last=True)
    np.testing.assert_allclose(net(x).data, resampled(x, resample), rtol=1e-5, atol=1e-6)
    wider = block(4, 6, resample=resample, zero_last=True)
    np.testing.assert_allclose(wider(x).data, resampled(wider.shortcut(x).data, resample), rtol=1e-5, atol=1e-6)
    mg.sum(net(x) ** 2.0).backward()
    assert net.conv2.weight.grad.data.any()  # it learns nevertheless
    assert not nn.ResidualBlock(4, 4, rng=Generator(0), groups=2).conv2.weight.data.any()  # by default


@pytest.mark.parametrize("resample", [None, "up", "down"])
@pytest.mark.parametrize("embedded", [False, True])
def test_gradients_of_both_orders(resample, embedded):
    net = in_double(block(2, 4, resample=resample, embedding_features=3 if embedded else None))
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 2))
    inputs = [x, np.random.default_rng(1).normal(size=(1, 3))] if embedded else [x]
    gradcheck(lambda *a: mg.sum(mg.tanh(net(*a))), inputs, tolerance=1e-5)


def test_the_embedding_scales_and_shifts_the_second_normalization():
    net = block(4, 4, embedding_features=3)
    plain = block(4, 4)
    names = plain.named_parameters()
    for name, p in net.named_parameters().items():
        if name in names:
            names[name].assign(p.data)
    x, embedding = an_image(), np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    factors = (embedding @ net.norm2.linear.weight.data) + net.norm2.linear.bias.data
    for n in range(2):
        plain.norm2.weight.assign(1.0 + factors[n, :4])
        plain.norm2.bias.assign(factors[n, 4:])
        np.testing.assert_allclose(net(x, embedding).data[n], plain(x).data[n], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalize", ["group", None])
def test_examples_are_judged_alone(normalize):
    net, x = block(normalize=normalize), an_image(n=3)
    np.testing.assert_allclose(net(x).data[1], net(x[1:2]).data[0], rtol=1e-4, atol=1e-5)


def test_dropout_is_for_training_and_before_the_last_convolution():
    net, x = block(dropout=0.5), an_image()
    assert (net(x).data != net(x).data).any()
    net.eval()
    np.testing.assert_array_equal(net(x).data, net(x).data)
    zero = block(dropout=0.5, zero_last=True)
    np.testing.assert_array_equal(zero(x).data, x)
    with pytest.raises(ValueError, match="Dropout: p = 1"):
        block(dropout=1.0)


def test_another_activation():
    x = an_image()
    net = block(normalize=None, activation=lambda: nn.LeakyReLU(slope=0.2))
    h = mg.leaky_relu(net.conv1(mg.leaky_relu(x, slope=0.2)), slope=0.2)
    np.testing.assert_allclose(net(x).data, x + net.conv2(h).data, rtol=1e-5, atol=1e-6)


def test_odd_images_are_halved_rounded_down():
    assert block(4, 6, resample="down")(np.ones((1, 7, 5, 4), np.float32)).shape == (1, 3, 2, 6)


def test_a_critics_block_takes_spectral_norms():
    rng = Generator(0)
    net = block(4, 6, normalize=None, resample="down", activation=nn.ReLU)
    for name in ("conv1", "conv2", "shortcut"):
        setattr(net, name, nn.SpectralNorm(getattr(net, name), rng=rng))
    mg.sum(net(an_image())).backward()
    assert all(p.grad is not None for p in net.parameters())
    with pytest.raises(ValueError, match=r"SpectralNorm: .* is all zero"):
        nn.SpectralNorm(block(zero_last=True).conv2, rng=rng)


def test_settings_out_of_range_are_refused():
    for settings, words in (
        ({"groups": 3}, "groups 3 must divide in_channels 4 and out_channels 4"),
        ({"groups": 0}, "groups 0 must be at least 1"),
        ({"resample": "half"}, "resample is 'half', expected None"),
        ({"normalize": "layer"}, "normalize is 'layer', expected None"),
        ({"normalize": "batch", "embedding_features": 3}, "normalize is 'batch'; take \"group\""),
    ):
        with pytest.raises(ValueError, match=words):
            block(**settings)
    with pytest.raises(ValueError, match="groups 4 must divide in_channels 4 and out_channels 6"):
        block(4, 6, groups=4)


def test_an_embedding_is_given_if_and_only_if_the_block_has_one():
    x, embedding = an_image(), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"ResidualBlock: no embedding was given, .* embedding_features=3"):
        block(embedding_features=3)(x)
    with pytest.raises(ValueError, match=r"ResidualBlock: an embedding \(2, 3\) was given, .* embedding_features=None"):
        block()(x, embedding)
    with pytest.raises(ValueError, match="embedding has shape"):
        block(embedding_features=4)(x, embedding)
