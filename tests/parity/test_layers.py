"""Layers and initial weights against PyTorch's: values, and gradients with respect to inputs and parameters, in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.random import Generator

torch = pytest.importorskip("torch")


def to_double(module):
    """Give the parameters float64 values, so that nothing but the formulas is compared."""
    for p in module.parameters():
        p.data = p.data.astype(np.float64)
    return module


def copied(ours, theirs):
    """Give PyTorch's module our weights: a linear weight is (in, out) here and (out, in) there."""
    with torch.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            q.copy_(torch.from_numpy(p.data.T.copy()))
    return theirs


def assert_alike(ours, theirs, x, *, rtol=1e-12, atol=1e-14):
    """Compare outputs, and the gradients of a random linear functional of them."""
    x_ours = mg.tensor(x, requires_grad=True)
    x_theirs = torch.tensor(x, requires_grad=True)
    y_ours, y_theirs = ours(x_ours), theirs(x_theirs)
    np.testing.assert_allclose(y_ours.data, y_theirs.detach().numpy(), rtol=rtol, atol=atol)
    cotangent = np.random.default_rng(0).normal(size=y_ours.shape)
    y_ours.backward(cotangent)
    y_theirs.backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(x_ours.grad.data, x_theirs.grad.numpy(), rtol=rtol, atol=atol)
    if ours_parameters := ours.parameters():
        for p, q in zip(ours_parameters, theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.data, q.grad.numpy().T, rtol=rtol, atol=atol)


@given(leading=st.lists(st.integers(1, 4), max_size=3), bias=st.booleans(), seed=st.integers(0, 99))
def test_linear(leading, bias, seed):
    ours = to_double(nn.Linear(5, 3, rng=Generator(seed), bias=bias))
    theirs = copied(ours, torch.nn.Linear(5, 3, bias=bias, dtype=torch.float64))
    assert_alike(ours, theirs, np.random.default_rng(seed).normal(size=(*leading, 5)))


ACTIVATIONS = {
    "relu": (nn.ReLU(), torch.nn.ReLU()),
    "leaky relu": (nn.LeakyReLU(), torch.nn.LeakyReLU()),
    "leaky relu, steeper": (nn.LeakyReLU(slope=0.2), torch.nn.LeakyReLU(0.2)),
    "elu": (nn.ELU(), torch.nn.ELU()),
    "elu, lower": (nn.ELU(alpha=0.3), torch.nn.ELU(0.3)),
    "tanh": (nn.Tanh(), torch.nn.Tanh()),
    "sigmoid": (nn.Sigmoid(), torch.nn.Sigmoid()),
    "softplus": (nn.Softplus(), torch.nn.Softplus(threshold=1e9)),  # else it is x itself above 20
    "silu": (nn.SiLU(), torch.nn.SiLU()),
    "gelu": (nn.GELU(), torch.nn.GELU()),
    "gelu, by tanh": (nn.GELU(form="tanh"), torch.nn.GELU(approximate="tanh")),
    "softmax": (nn.Softmax(), torch.nn.Softmax(dim=-1)),
    "softmax over the batch": (nn.Softmax(axis=0), torch.nn.Softmax(dim=0)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    ours, theirs = ACTIVATIONS[name]
    x = np.concatenate([np.linspace(-6, 6, 40), [0.0, 0.0]]).reshape(6, 7)
    assert_alike(ours, theirs, x, rtol=1e-10, atol=1e-12)  # PyTorch's x Phi(x) cancels digits far to the left


def test_sequential():
    rng = Generator(0)
    ours = nn.Sequential(
        nn.Linear(3, 8, rng=rng),
        nn.LeakyReLU(slope=0.2),
        nn.Linear(8, 8, rng=rng, bias=False),
        nn.Sequential(nn.SiLU(), nn.Linear(8, 4, rng=rng)),
        nn.Tanh(),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 8),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(8, 8, bias=False),
        torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(8, 4)),
        torch.nn.Tanh(),
    ).double()
    to_double(ours)
    assert_alike(ours, copied(ours, theirs), np.random.default_rng(1).normal(size=(10, 3)))


# ----------------------------------------------------------------------------------------------------------------- images


class ChannelsLast(torch.nn.Module):
    """PyTorch's layer of images (N, C, H, W) as one of images (N, H, W, C)."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


IMAGE_LAYERS = {
    "max pooling": (nn.MaxPool2d(2), torch.nn.MaxPool2d(2)),
    "max pooling, overlapping": (nn.MaxPool2d(3, stride=2, padding=1), torch.nn.MaxPool2d(3, 2, 1)),
    "average pooling": (nn.AvgPool2d((2, 3)), torch.nn.AvgPool2d((2, 3))),
    "average pooling, padded": (nn.AvgPool2d(3, stride=1, padding=1), torch.nn.AvgPool2d(3, 1, 1)),
    "average pooling of pixels alone": (
        nn.AvgPool2d(4, stride=3, padding=(2, 1), count_include_pad=False),
        torch.nn.AvgPool2d(4, 3, (2, 1), count_include_pad=False),
    ),
    "nearest": (nn.Upsample2d(3), torch.nn.Upsample(scale_factor=3)),
    "bilinear": (nn.Upsample2d(2, mode="bilinear"), torch.nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear, odd factor": (nn.Upsample2d(5, mode="bilinear"), torch.nn.Upsample(scale_factor=5, mode="bilinear")),
    "pixel shuffle": (nn.PixelShuffle(2), torch.nn.PixelShuffle(2)),
}


@pytest.mark.parametrize("name", IMAGE_LAYERS)
@pytest.mark.parametrize("values", ["normal", "tied"])
def test_layers_of_images(name, values):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 7, 8)) if values == "normal" else rng.integers(0, 2, (2, 6, 7, 8)).astype(float)
    ours, theirs = IMAGE_LAYERS[name]
    assert_alike(ours, ChannelsLast(theirs), x)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3, 3)])
def test_batch_normalization(affine, shape):
    """Outputs, gradients and running statistics, over batches in training and one in evaluation."""
    rng = np.random.default_rng(0)
    ours = to_double(nn.BatchNorm(3, momentum=0.2, epsilon=1e-3, affine=affine))
    for buffer in ours.named_buffers().values():
        buffer.data = buffer.data.astype(np.float64)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    layer = kind(3, momentum=0.2, eps=1e-3, affine=affine, dtype=torch.float64)
    theirs = layer if len(shape) == 2 else ChannelsLast(layer)
    if affine:
        ours.weight.assign(rng.normal(size=3))
        ours.bias.assign(rng.normal(size=3))
        copied(ours, theirs)
    for mode in (True, True, False):
        ours.train(mode)
        theirs.train(mode)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.grad = q.grad = None
        assert_alike(ours, theirs, rng.normal(2.0, 3.0, shape), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.running_mean.data, layer.running_mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(ours.running_var.data, layer.running_var.numpy(), rtol=1e-12)


class ChannelsLastAlong(torch.nn.Module):
    """PyTorch's layer of (N, C, ...) as one of (N, ..., C)."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.movedim(-1, 1)).movedim(1, -1)


NORMALIZATIONS = {
    "layer": (lambda: nn.LayerNorm(6), lambda: torch.nn.LayerNorm(6)),
    "layer, several axes": (lambda: nn.LayerNorm((3, 6), epsilon=1e-2), lambda: torch.nn.LayerNorm((3, 6), eps=1e-2)),
    "layer, bare": (lambda: nn.LayerNorm(6, affine=False), lambda: torch.nn.LayerNorm(6, elementwise_affine=False)),
    "group": (lambda: nn.GroupNorm(2, 6), lambda: ChannelsLastAlong(torch.nn.GroupNorm(2, 6))),
    "group, bare": (
        lambda: nn.GroupNorm(3, 6, epsilon=1e-2, affine=False),
        lambda: ChannelsLastAlong(torch.nn.GroupNorm(3, 6, eps=1e-2, affine=False)),
    ),
    "instance": (
        lambda: nn.InstanceNorm(6, affine=True),
        lambda: ChannelsLastAlong(torch.nn.InstanceNorm2d(6, affine=True)),
    ),
    "instance, bare": (lambda: nn.InstanceNorm(6), lambda: ChannelsLastAlong(torch.nn.InstanceNorm2d(6))),
}


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_normalization_within_an_example(name, offset):
    rng = np.random.default_rng(0)
    ours, theirs = to_double(NORMALIZATIONS[name][0]()), NORMALIZATIONS[name][1]().double()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.assign(rng.normal(size=p.shape))
        with torch.no_grad():
            q.copy_(torch.from_numpy(p.data.copy()))
    x = mg.tensor(rng.normal(offset, 3.0, (2, 4, 3, 6)), requires_grad=True)
    y = torch.tensor(x.data, requires_grad=True)
    outputs, g = (ours(x), theirs(y)), rng.normal(size=x.shape)
    outputs[0].backward(g)
    outputs[1].backward(torch.from_numpy(g))
    pairs = [(outputs[0].data, outputs[1].detach()), (x.grad.data, y.grad)]
    pairs += [(p.grad.data, q.grad) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-10, atol=1e-10)


def test_one_pixel_is_no_instance_here_and_there():
    x = np.zeros((2, 1, 1, 3))
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        torch.nn.InstanceNorm2d(3)(torch.from_numpy(x).movedim(-1, 1))
    with pytest.raises(ValueError, match="fewer than 2 pixels"):
        nn.InstanceNorm(3)(x)


# ------------------------------------------------------------------------------------------------------- initial weights


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gains(nonlinearity):
    assert nn.init.gain(nonlinearity) == torch.nn.init.calculate_gain(nonlinearity)


@given(slope=st.floats(0, 1))
def test_the_gain_of_leaky_relu(slope):
    assert nn.init.gain("leaky_relu", slope) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", slope), rel=1e-14
    )


@pytest.mark.parametrize("shape", [(30, 50), (3, 5, 20, 10)])
@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"])
def test_variances(name, shape):
    # (*taps, in, out) here, (out, in, *taps) there. Both are samples of n; 6 times the error of their difference is allowed.
    ours = getattr(nn.init, name)(shape, Generator(0))
    torch.manual_seed(0)
    theirs = getattr(torch.nn.init, f"{name}_")(torch.empty(shape[-1], shape[-2], *shape[:-2]))
    assert ours.std() == pytest.approx(theirs.std().item(), rel=6 / np.sqrt(ours.size))
    if name.endswith("uniform"):
        assert np.abs(ours).max() == pytest.approx(theirs.abs().max().item(), rel=20 / ours.size)


def test_linears_initial_weights():
    # Both are uniform in +-1/sqrt(in).
    torch.manual_seed(0)
    ours, theirs = nn.Linear(300, 100, rng=Generator(0)), torch.nn.Linear(300, 100)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert np.abs(p.data).max() == pytest.approx(q.abs().max().item(), rel=20 / p.size)
        assert p.data.std() == pytest.approx(q.std().item(), rel=6 / np.sqrt(p.size))
