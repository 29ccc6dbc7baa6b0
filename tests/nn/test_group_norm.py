"""Normalization within an example: values by their definitions, independence of the company, adaptive factors, gradients, refusals."""

import sys

import numpy as np
import pytest
from devices import on_host
from doubles import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.random import Generator
from minigen.testing import gradcheck

RNG = np.random.default_rng(0)


def drawn(*shape, mean=0.0, scale=1.0):
    return (mean + scale * RNG.normal(size=shape)).astype(np.float32)


def standardized(x, axes, epsilon=1e-5):
    x = x.astype(np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def with_factors(layer, rng):
    """Give a layer random w and b; return them, or 1 and 0."""
    if layer.weight is None:
        return 1.0, 0.0
    for factor in (layer.weight, layer.bias):
        factor.assign(rng.normal(size=factor.shape).astype(np.float32))
    return layer.weight.data.copy(), layer.bias.data.copy()


# ------------------------------------------------------------------------------------------------------------- values


@settings(max_examples=20)
@given(
    leading=st.lists(st.integers(1, 3), max_size=2),
    last=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    affine=st.booleans(),
    seed=st.integers(0, 99),
)
def test_layer_norm_is_over_the_last_axes(leading, last, affine, seed, device):
    rng = np.random.default_rng(seed)
    layer = nn.LayerNorm(last[0] if len(last) == 1 else tuple(last), affine=affine, epsilon=0.1)
    weight, bias = with_factors(layer, rng)
    x = rng.normal(3.0, 2.0, (*leading, *last)).astype(np.float32)
    y = on_host(layer.to(device)(to_device(x, device)))
    axes = tuple(range(-len(last), 0))
    np.testing.assert_allclose(y, weight * standardized(x, axes, 0.1) + bias, atol=2e-5)


@settings(max_examples=20)
@given(
    n=st.integers(1, 3),
    pixels=st.lists(st.integers(1, 3), max_size=2),
    groups=st.integers(1, 3),
    size=st.integers(1, 3),
    affine=st.booleans(),
    seed=st.integers(0, 99),
)
def test_group_norm_is_over_pixels_and_neighbouring_channels(n, pixels, groups, size, affine, seed, device):
    rng = np.random.default_rng(seed)
    layer = nn.GroupNorm(groups, groups * size, affine=affine, epsilon=0.1)
    weight, bias = with_factors(layer, rng)
    x = rng.normal(3.0, 2.0, (n, *pixels, groups * size)).astype(np.float32)
    y = on_host(layer.to(device)(to_device(x, device)))
    parts = np.split(x, groups, axis=-1)
    axes = tuple(range(1, x.ndim))
    expected = np.concatenate([standardized(part, axes, 0.1) for part in parts], axis=-1)
    np.testing.assert_allclose(y, weight * expected + bias, atol=2e-5)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4, 3, 3)])
def test_instance_norm_is_over_the_pixels(affine, shape, device):
    layer = nn.InstanceNorm(3, affine=affine)
    weight, bias = with_factors(layer, RNG)
    x = drawn(*shape, mean=2.0)
    y = on_host(layer.to(device)(to_device(x, device)))
    np.testing.assert_allclose(y, weight * standardized(x, tuple(range(1, x.ndim - 1))) + bias, atol=2e-5)


def test_the_limits_of_group_norm_are_layer_and_instance_norm():
    x = drawn(2, 3, 4, 6)
    np.testing.assert_allclose(
        nn.GroupNorm(1, 6)(x).data, nn.LayerNorm((3, 4, 6), affine=False)(x), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(nn.GroupNorm(6, 6)(x).data, nn.InstanceNorm(6)(x), rtol=1e-5, atol=1e-6)


def test_pixel_norm_brings_every_pixel_to_one_length(device):
    x = drawn(2, 3, 3, 5, scale=7.0)
    y = on_host(nn.PixelNorm()(to_device(x, device)))
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    np.testing.assert_allclose(y, np.sqrt(5) * x / length, rtol=1e-5)
    np.testing.assert_array_equal(on_host(nn.PixelNorm()(to_device(np.zeros((1, 4), np.float32), device))), 0.0)


LAYERS = {
    "layer": lambda: nn.LayerNorm(6),
    "group": lambda: nn.GroupNorm(2, 6),
    "instance": lambda: nn.InstanceNorm(6),
    "pixel": lambda: nn.PixelNorm(),
}


@pytest.mark.parametrize("name", LAYERS)
def test_an_example_is_as_it_would_be_alone_and_training_is_evaluation(name):
    layer, x = LAYERS[name](), drawn(4, 3, 3, 6)
    together = layer(x)
    together = together.data if isinstance(together, mg.Tensor) else together
    for i in range(4):
        np.testing.assert_allclose(on_host(layer.eval()(x[i : i + 1])), together[i : i + 1], rtol=1e-6, atol=1e-7)


def test_a_batch_of_no_examples():
    for layer in (nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.InstanceNorm(6), nn.PixelNorm()):
        assert layer(np.zeros((0, 3, 3, 6), np.float32)).shape == (0, 3, 3, 6)


# ----------------------------------------------------------------------------------------------------- adaptive factors


def test_adaptive_group_norm_scales_and_shifts_each_example_by_its_embedding(device):
    layer = nn.AdaptiveGroupNorm(2, 4, 3, rng=Generator(0), epsilon=1e-3)
    x, e = drawn(3, 2, 2, 4), drawn(3, 3)
    factors = e @ layer.linear.weight.data + layer.linear.bias.data
    scale, shift = (part.reshape(3, 1, 1, 4) for part in (factors[:, :4], factors[:, 4:]))
    normal = nn.GroupNorm(2, 4, affine=False, epsilon=1e-3)(x)
    y = on_host(layer.to(device)(to_device(x, device), to_device(e, device)))
    np.testing.assert_allclose(y, (1 + scale) * normal + shift, rtol=1e-5, atol=1e-6)


def test_without_an_embeddings_word_adaptive_group_norm_is_group_norm():
    layer, x = nn.AdaptiveGroupNorm(2, 4, 3, rng=Generator(0)), drawn(3, 5, 4)
    layer.linear.bias.assign(np.zeros(8, np.float32))
    np.testing.assert_array_equal(layer(x, np.zeros((3, 3), np.float32)).data, nn.GroupNorm(2, 4)(x).data)


# ---------------------------------------------------------------------------------------------------------- gradients


def wide(layer):
    for p in layer.parameters():
        p.data = p.data.astype(np.float64)
    return layer


@pytest.mark.parametrize("name", [*LAYERS, "instance, affine", "layer, several axes"])
def test_gradients_of_both_orders(name, device):
    layer = {
        **LAYERS,
        "instance, affine": lambda: nn.InstanceNorm(6, affine=True),
        "layer, several axes": lambda: nn.LayerNorm((2, 6)),
    }[name]().to(device)
    has_factors = getattr(layer, "weight", None) is not None if name != "pixel" else False

    def through(x, *factors):
        if factors:
            layer.weight, layer.bias = (factor.to(device) for factor in factors)
        return mg.tanh(layer(x.to(device))).to("cpu")

    factors = [RNG.normal(size=layer.weight.shape) for _ in range(2)] if has_factors else []
    gradcheck(through, [RNG.normal(size=(2, 2, 2, 6)), *factors])


def test_gradients_of_the_embedding(device):
    layer = wide(nn.AdaptiveGroupNorm(2, 4, 3, rng=Generator(0))).to(device)
    gradcheck(
        lambda x, e: mg.tanh(layer(x.to(device), e.to(device))).to("cpu"),
        [RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3))],
    )


def test_training_moves_nothing_between_host_and_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    layers = [nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.InstanceNorm(6), nn.PixelNorm()]
    net = nn.Sequential(*layers).to("gpu")
    adaptive = nn.AdaptiveGroupNorm(2, 6, 3, rng=Generator(0, device="gpu"))
    x = mg.tensor(drawn(4, 2, 2, 6), device="gpu", requires_grad=True)
    e, g = to_device(drawn(4, 3), "gpu"), to_device(drawn(4, 2, 2, 6), "gpu")
    with strict_cupy.counting() as transfers:
        adaptive(net(x), e).backward(g)
    assert transfers == strict_cupy.Transfers()
    assert x.grad.device == "gpu"


# ----------------------------------------------------------------------------------------------------------- refusals

REFUSALS = {
    "groups that do not divide": (lambda: nn.GroupNorm(3, 8), r"GroupNorm: 3 groups do not divide 8 features"),
    "no groups": (lambda: nn.GroupNorm(0, 8), r"GroupNorm: groups 0 and features 8 must be at least 1"),
    "adaptive groups that do not divide": (
        lambda: nn.AdaptiveGroupNorm(3, 8, 2, rng=Generator(0)),
        r"GroupNorm: 3 groups do not divide 8",
    ),
    "no features": (lambda: nn.InstanceNorm(0), r"InstanceNorm: features is 0"),
    "no axes": (lambda: nn.LayerNorm(()), r"LayerNorm: features \(\) must be"),
    "an empty axis": (lambda: nn.LayerNorm((3, 0)), r"LayerNorm: features \(3, 0\) must be"),
    "epsilon of layer norm": (lambda: nn.LayerNorm(2, epsilon=0.0), r"LayerNorm: epsilon is 0.0"),
    "epsilon of group norm": (lambda: nn.GroupNorm(1, 2, epsilon=-1.0), r"GroupNorm: epsilon is -1.0"),
    "epsilon of instance norm": (lambda: nn.InstanceNorm(2, epsilon=0.0), r"InstanceNorm: epsilon is 0.0"),
    "epsilon of pixel norm": (lambda: nn.PixelNorm(epsilon=0.0), r"PixelNorm: epsilon is 0.0"),
    "other last axis": (
        lambda: nn.LayerNorm(4)(drawn(2, 3)),
        r"LayerNorm: x has shape \(2, 3\), but the layer's last axes are \(4,\)",
    ),
    "too few axes": (lambda: nn.LayerNorm((3, 4))(drawn(4)), r"LayerNorm: x has shape \(4,\)"),
    "other channels": (
        lambda: nn.GroupNorm(2, 4)(drawn(2, 3, 6)),
        r"GroupNorm: x \(N, \.\.\., C\) has shape \(2, 3, 6\), but the layer has 4",
    ),
    "no batch": (lambda: nn.GroupNorm(2, 4)(drawn(4)), r"GroupNorm: x \(N, \.\.\., C\) has shape \(4,\)"),
    "other channels of instances": (
        lambda: nn.InstanceNorm(4)(drawn(2, 5, 6)),
        r"InstanceNorm: x has shape \(2, 5, 6\), expected .* C = 4",
    ),
    "no pixels": (lambda: nn.InstanceNorm(4)(drawn(2, 4)), r"InstanceNorm: x has shape \(2, 4\), expected"),
    "one pixel": (
        lambda: nn.InstanceNorm(4)(drawn(2, 1, 1, 4)),
        r"InstanceNorm: x \(N, \.\.\., C\) = \(2, 1, 1, 4\) has fewer than 2 pixels",
    ),
    "another embedding": (
        lambda: nn.AdaptiveGroupNorm(2, 4, 3, rng=Generator(0))(drawn(5, 2, 4), drawn(5, 2)),
        r"AdaptiveGroupNorm: the embedding has shape \(5, 2\), but x .* = \(5, 2, 4\) needs \(N, E\) = \(5, 3\)",
    ),
    "one embedding for all": (
        lambda: nn.AdaptiveGroupNorm(2, 4, 3, rng=Generator(0))(drawn(5, 2, 4), drawn(1, 3)),
        r"AdaptiveGroupNorm: the embedding has shape \(1, 3\)",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_makes_no_sense_is_refused(name):
    call, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        call()
