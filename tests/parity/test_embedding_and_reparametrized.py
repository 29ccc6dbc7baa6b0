"""Embeddings and reparametrized weights against PyTorch's, in float64: values, gradients, and the power iteration step by step."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.random import Generator

torch = pytest.importorskip("torch")

parametrizations = pytest.importorskip("torch.nn.utils.parametrizations")
BOUND = {"rtol": 1e-10, "atol": 1e-12}


def in_double(module):
    for tensor in [*module.parameters(), *module.named_buffers().values()]:
        tensor.data = tensor.data.astype(np.float64)
    return module


@settings(max_examples=10)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_embedding(shape, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = in_double(nn.Embedding(7, 3, rng=Generator(seed))), torch.nn.Embedding(7, 3, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(ours.weight.data))
    indices, g = rng.integers(0, 7, shape), rng.normal(size=(*shape, 3))
    y, y_theirs = ours(indices), theirs(torch.from_numpy(indices))
    np.testing.assert_array_equal(y.data, y_theirs.detach().numpy())
    y.backward(g)
    y_theirs.backward(torch.from_numpy(g))
    np.testing.assert_allclose(ours.weight.grad.data, theirs.weight.grad.numpy(), **BOUND)


# For each layer: ours, theirs, the axes of our weight in theirs' order, the axis of theirs' outputs, and an input (N, ..., C).
LAYERS = {
    "linear": (nn.Linear(3, 4, rng=Generator(0)), torch.nn.Linear(3, 4), (1, 0), 0, (2, 3)),
    "conv1d": (nn.Conv1d(2, 4, kernel_size=3, rng=Generator(0)), torch.nn.Conv1d(2, 4, 3), (2, 1, 0), 0, (2, 5, 2)),
    "conv2d": (
        nn.Conv2d(2, 4, kernel_size=(2, 3), rng=Generator(0)), torch.nn.Conv2d(2, 4, (2, 3)), (3, 2, 0, 1), 0, (2, 4, 5, 2),
    ),
    "conv2d in groups": (
        nn.Conv2d(4, 6, kernel_size=2, groups=2, rng=Generator(0)), torch.nn.Conv2d(4, 6, 2, groups=2), (3, 2, 0, 1), 0, (1, 3, 3, 4),
    ),
    "conv2d, transposed": (
        nn.ConvTranspose2d(2, 3, kernel_size=3, stride=2, rng=Generator(0)), torch.nn.ConvTranspose2d(2, 3, 3, 2), (3, 2, 0, 1), 1,
        (2, 3, 2, 2),
    ),
}  # fmt: skip


def pair(name):
    """Our layer and PyTorch's with the same weights."""
    ours, theirs, axes, outputs, shape = LAYERS[name]
    ours, theirs = in_double(copy.deepcopy(ours)), copy.deepcopy(theirs).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(ours.weight.data.transpose(axes).copy()))
        theirs.bias.copy_(torch.from_numpy(ours.bias.data))
    return ours, theirs, axes, outputs, shape


def assert_a_call_is_alike(ours, theirs, original, axes, shape, seed):
    """Compare the outputs, and the gradients of the input, the bias and the raw weight."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    ours.raw_weight.grad = ours.layer.bias.grad = None
    theirs.zero_grad()
    x_ours, x_theirs = mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = ours(x_ours)
    y_theirs = theirs(x_theirs.movedim(-1, 1)).movedim(1, -1)
    np.testing.assert_allclose(y.data, y_theirs.detach().numpy(), **BOUND)
    g = rng.normal(size=y.shape)
    y.backward(g)
    y_theirs.backward(torch.from_numpy(g))
    for p, q in ((x_ours.grad.data, x_theirs.grad), (ours.layer.bias.grad.data, theirs.bias.grad)):
        np.testing.assert_allclose(p, q.numpy(), **BOUND)
    np.testing.assert_allclose(ours.raw_weight.grad.data.transpose(axes), original.grad.numpy(), **BOUND)


@pytest.mark.parametrize("name", LAYERS)
def test_weight_norm(name):
    ours, theirs, axes, outputs, shape = pair(name)
    ours, theirs = nn.WeightNorm(ours), parametrizations.weight_norm(theirs, dim=outputs)
    magnitude, direction = theirs.parametrizations.weight.original0, theirs.parametrizations.weight.original1
    np.testing.assert_allclose(ours.magnitude.data, magnitude.detach().numpy().ravel(), **BOUND)
    assert_a_call_is_alike(ours, theirs, direction, axes, shape, seed=0)
    np.testing.assert_allclose(ours.magnitude.grad.data, magnitude.grad.numpy().ravel(), **BOUND)


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_spectral_norm(name, iterations):
    ours, theirs, axes, _, shape = pair(name)
    ins = ours.weight.shape[-1 if "transposed" in name else -2]
    ours = in_double(nn.SpectralNorm(ours, rng=Generator(1), iterations=iterations))
    theirs = parametrizations.spectral_norm(theirs, n_power_iterations=iterations)
    power = theirs.parametrizations.weight[0]
    original = theirs.parametrizations.weight.original
    # Their u is our v. Their matrix has the input channels before the taps, ours behind.
    rng = np.random.default_rng(2)
    left = rng.normal(size=ours.left.shape)
    left /= np.linalg.norm(left)
    ours.left.assign(left)
    power._v.copy_(torch.from_numpy(left.reshape(-1, ins).T.ravel().copy()))
    for step, training in enumerate((True, True, False, True)):
        ours.train(training)
        theirs.train(training)
        assert_a_call_is_alike(ours, theirs, original, axes, shape, seed=step)
        np.testing.assert_allclose(ours.right.data, power._u.numpy(), **BOUND)
        np.testing.assert_allclose(ours.left.data.reshape(-1, ins).T.ravel(), power._v.numpy(), **BOUND)
        ours.raw_weight.assign(ours.raw_weight.data - 0.1 * ours.raw_weight.grad.data)  # the same step on both sides
        with torch.no_grad():
            original -= 0.1 * original.grad
