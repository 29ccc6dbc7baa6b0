"""Layers: the affine map by hand, activations as the operations that they name, and their composition."""

import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.random import Generator
from minigen.testing import gradcheck

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------------------- Linear


def test_linear_by_hand(device):
    layer = nn.Linear(2, 3, rng=Generator(0, device=device))
    layer.weight.assign(to_device(np.array([[1, 2, 3], [4, 5, 6]], np.float32), device))
    layer.bias.assign(to_device(np.array([10, 20, 30], np.float32), device))
    y = layer(to_device(np.array([[1, 0], [0, 1], [2, -1]], np.float32), device))
    np.testing.assert_array_equal(on_host(y), [[11, 22, 33], [14, 25, 36], [8, 19, 30]])
    assert (y.dtype, y.device) == (np.float32, device)


@given(leading=st.lists(st.integers(1, 3), max_size=3), bias=st.booleans(), seed=st.integers(0, 99))
def test_linear_maps_the_last_axis(leading, bias, seed, device):
    layer = nn.Linear(4, 3, rng=Generator(seed, device=device), bias=bias)
    x = np.random.default_rng(seed).normal(size=(*leading, 4)).astype(np.float32)
    y = layer(to_device(x, device))
    assert y.shape == (*leading, 3)
    expected = np.einsum("...i,io->...o", x.astype(np.float64), on_host(layer.weight))
    if bias:
        expected += on_host(layer.bias)
    np.testing.assert_allclose(on_host(y), expected, rtol=0, atol=1e-6 * (1 + np.abs(x).sum()))


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_gradients(shape, bias, device):
    layer = nn.Linear(3, 2, rng=Generator(0), bias=bias)

    def through(x, weight, *rest):
        layer.weight, layer.bias = weight.to(device), rest[0].to(device) if rest else None
        return layer(x.to(device)).to("cpu")

    gradcheck(through, [RNG.normal(size=shape), RNG.normal(size=(3, 2)), *([RNG.normal(size=2)] if bias else [])])


def test_linear_starts_uniform_with_the_stated_variance():
    layer = nn.Linear(300, 200, rng=Generator(0))
    bound = 1 / math.sqrt(300)
    for array in (layer.weight.data, layer.bias.data):
        assert array.dtype == np.float32
        assert np.abs(array).max() <= np.float32(bound)
        # A uniform variable's fourth central moment is 9/5 variance^2, so n draws give the variance to sqrt(4/5n).
        variance = bound**2 / 3
        assert abs(array.var() / variance - 1) < 5 * math.sqrt(0.8 / array.size)
        assert abs(array.mean()) < 5 * math.sqrt(variance / array.size)


def test_linear_takes_an_initialization(device):
    layer = nn.Linear(4, 2, rng=Generator(3, device=device), initialize=nn.init.xavier_normal)
    assert layer.weight.device == device
    np.testing.assert_allclose(on_host(layer.weight), nn.init.xavier_normal((4, 2), Generator(3)), rtol=1e-6)


def test_linear_is_drawn_from_the_generator_alone():
    first, second = (nn.Linear(3, 2, rng=Generator(5)) for _ in range(2))
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, second.state()[name])
    other = nn.Linear(3, 2, rng=Generator(6))
    assert not np.array_equal(other.weight.data, first.weight.data)


@pytest.mark.parametrize(("features", "named"), [((0, 3), "in_features 0"), ((3, -1), "out_features -1")])
def test_linear_refuses_bad_sizes(features, named):
    with pytest.raises(ValueError, match=f"Linear: .*{named} .*must be at least 1"):
        nn.Linear(*features, rng=Generator(0))


def test_linear_refuses_inputs_of_other_width():
    with pytest.raises(ValueError, match=r"linear: x \(5, 2\) has 2 features.*weight \(in, out\) = \(3, 4\) expects 3"):
        nn.Linear(3, 4, rng=Generator(0))(np.zeros((5, 2), np.float32))


# ------------------------------------------------------------------------------------------------------- MaskedLinear


@given(seed=st.integers(0, 99), features=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_a_masked_linear_layer_is_a_linear_one_with_zeros(seed, features, device):
    rng = np.random.default_rng(seed)
    mask = rng.random(features) < 0.5
    layer = nn.MaskedLinear(mask, rng=Generator(seed, device=device))
    x = rng.normal(size=(3, features[0])).astype(np.float32)
    expected = x @ np.where(mask, on_host(layer.weight), 0) + on_host(layer.bias)
    np.testing.assert_allclose(on_host(layer(to_device(x, device))), expected, rtol=0, atol=1e-5)


def test_a_masked_weight_gets_no_gradient_and_the_others_theirs(device):
    mask = np.array([[True, False], [True, True], [False, False]])
    layer = nn.MaskedLinear(mask, rng=Generator(0, device=device))
    layer(to_device(np.array([[2, 3, 5]], np.float32), device)).sum().backward()
    np.testing.assert_array_equal(on_host(layer.weight.grad), [[2, 0], [3, 3], [0, 0]])
    np.testing.assert_array_equal(on_host(layer.bias.grad), [1, 1])


def test_masked_linear_gradients():
    mask = RNG.random((3, 2)) < 0.6
    layer = nn.MaskedLinear(mask, rng=Generator(0))

    def through(x, weight, bias):
        layer.weight, layer.bias = weight, bias
        return layer(x)

    gradcheck(through, [RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)])


def test_a_masked_linear_layer_starts_by_what_each_output_sees():
    mask = np.zeros((400, 500), bool)
    mask[:, 0], mask[:4, 1:] = True, True
    layer = nn.MaskedLinear(mask, rng=Generator(0))
    assert np.abs(layer.weight.data[:, 0]).max() <= 1 / 20
    for array in (layer.weight.data[:4, 1:], layer.bias.data[1:]):
        assert array.dtype == np.float32
        assert 0.45 < np.abs(array).max() <= 1 / 2


def test_layers_with_other_masks_share_the_parameters():
    layer = nn.MaskedLinear(np.ones((2, 2), bool), rng=Generator(0))
    other = layer.with_mask(np.eye(2, dtype=bool))
    both = nn.Sequential(layer, other)
    assert list(both.named_parameters()) == ["layers.0.weight", "layers.0.bias"]
    assert list(both.named_buffers()) == ["layers.0.mask", "layers.1.mask"]
    x = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(other(x).data, x * layer.weight.data.diagonal() + layer.bias.data)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data + layer.bias.data, rtol=1e-6)


@pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones((2, 3))])
def test_a_mask_is_a_matrix_of_bool(mask):
    with pytest.raises(ValueError, match=r"MaskedLinear: mask is .*expected bool"):
        nn.MaskedLinear(mask, rng=Generator(0))
    with pytest.raises(ValueError, match=r"expected bool, \(3, 2\)"):
        nn.MaskedLinear(np.ones((3, 2), bool), rng=Generator(0)).with_mask(np.ones((2, 3), bool))


# -------------------------------------------------------------------------------------------------------- activations

ACTIVATIONS = [
    (nn.ReLU(), mg.relu),
    (nn.LeakyReLU(), lambda x: mg.leaky_relu(x, slope=0.01)),
    (nn.LeakyReLU(slope=0.2), lambda x: mg.leaky_relu(x, slope=0.2)),
    (nn.ELU(), lambda x: mg.elu(x, alpha=1.0)),
    (nn.ELU(alpha=0.5), lambda x: mg.elu(x, alpha=0.5)),
    (nn.Tanh(), mg.tanh),
    (nn.Sigmoid(), mg.sigmoid),
    (nn.Softplus(), mg.softplus),
    (nn.SiLU(), mg.silu),
    (nn.GELU(), lambda x: mg.gelu(x, form="exact")),
    (nn.GELU(form="tanh"), lambda x: mg.gelu(x, form="tanh")),
    (nn.Softmax(), lambda x: mg.softmax(x, axis=-1)),
    (nn.Softmax(axis=0), lambda x: mg.softmax(x, axis=0)),
]


@pytest.mark.parametrize(("layer", "op"), ACTIVATIONS, ids=[type(layer).__name__ for layer, _ in ACTIVATIONS])
def test_an_activation_is_its_operation(layer, op, device):
    x = mg.tensor(3 * RNG.normal(size=(4, 5)), dtype="float32", device=device, requires_grad=True)
    weights = to_device(RNG.normal(size=(4, 5)).astype(np.float32), device)
    y, expected = layer(x), op(x)
    assert y.device == device
    np.testing.assert_array_equal(on_host(y), on_host(expected))
    np.testing.assert_array_equal(on_host(mg.grad(y, x, weights)), on_host(mg.grad(expected, x, weights)))
    assert layer.parameters() == []


def test_every_activation_is_covered():
    covered = {type(layer) for layer, _ in ACTIVATIONS} | {nn.Linear, nn.MaskedLinear, nn.Sequential}
    layers = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert {kind for kind in layers if kind.__module__ == nn.Linear.__module__} == covered


def test_an_unknown_form_of_gelu_is_refused():
    with pytest.raises(ValueError, match="gelu: form 'fast' is unknown"):
        nn.GELU(form="fast")(np.zeros(1, np.float32))


# --------------------------------------------------------------------------------------------------------- Sequential


def test_sequential_composes_modules_and_functions(device):
    rng = Generator(0, device=device)
    first, last = nn.Linear(2, 3, rng=rng), nn.Linear(3, 1, rng=rng)
    net = nn.Sequential(first, mg.tanh, lambda h: 2.0 * h, last)
    x = to_device(RNG.normal(size=(4, 2)).astype(np.float32), device)
    np.testing.assert_array_equal(on_host(net(x)), on_host(last(2.0 * mg.tanh(first(x)))))
    assert len(net) == 4
    assert net[0] is first
    assert list(net) == net.layers
    assert list(net.named_parameters()) == ["layers.0.weight", "layers.0.bias", "layers.3.weight", "layers.3.bias"]


def test_an_empty_sequential_is_the_identity():
    x = mg.tensor([1.0])
    assert nn.Sequential()(x) is x
