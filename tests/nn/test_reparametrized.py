"""Reparametrized weights: the function of each, for every kind of layer, and how a wrapper lends the weight."""

import copy
import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck

# For each layer: how it is made, and an input that it takes.
LAYERS = {
    "linear": (lambda rng: nn.Linear(3, 4, rng=rng), (2, 3)),
    "conv2d": (lambda rng: nn.Conv2d(2, 3, kernel_size=(2, 3), rng=rng), (2, 4, 4, 2)),
    "grouped": (lambda rng: nn.Conv2d(4, 6, kernel_size=2, groups=2, rng=rng), (1, 3, 3, 4)),
    "conv1d": (lambda rng: nn.Conv1d(2, 3, kernel_size=2, rng=rng), (2, 4, 2)),
    "transposed": (lambda rng: nn.ConvTranspose2d(2, 3, kernel_size=3, stride=2, rng=rng), (1, 2, 3, 2)),
    "transposed, grouped": (lambda rng: nn.ConvTranspose2d(4, 6, kernel_size=2, groups=2, rng=rng), (1, 2, 2, 4)),
    "transposed line": (lambda rng: nn.ConvTranspose1d(2, 3, kernel_size=2, stride=2, rng=rng), (1, 3, 2)),
    "masked": (lambda rng: nn.MaskedConv2d(2, 3, kernel_size=3, kind="A", rng=rng), (1, 3, 3, 2)),
    "masked colours": (lambda rng: nn.MaskedConv2d(3, 6, kernel_size=3, kind="A", colours=3, rng=rng), (1, 3, 3, 3)),
    "first colour alone": (lambda rng: nn.MaskedConv2d(3, 6, kernel_size=1, kind="A", colours=3, rng=rng), (1, 2, 2, 3)),
}  # fmt: skip
WRAPPERS = {
    "weight": nn.WeightNorm,
    "spectral": lambda layer: nn.SpectralNorm(layer, rng=Generator(7, device=layer.weight.device)),
    "equalized": nn.EqualizedLearningRate,
}
over_layers = pytest.mark.parametrize("kind", LAYERS)
over_wrappers = pytest.mark.parametrize("wrapper", WRAPPERS)


def made(kind, wrapper=None, device="cpu", seed=0):
    layer = LAYERS[kind][0](Generator(seed, device=device))
    return WRAPPERS[wrapper](layer) if wrapper else layer


def an_input(kind):
    return np.random.default_rng(1).normal(size=LAYERS[kind][1]).astype(np.float32)


def in_double(module):
    for tensor in [*module.parameters(), *module.named_buffers().values()]:
        tensor.data = tensor.data.astype(np.float64)
    return module


def as_matrix(kind):
    """Which outputs each weight reaches, found by leaving it alone in the layer: (weights, out), bool; and the weights in these places."""
    layer, shape = made(kind), LAYERS[kind][1]
    layer.bias.data[...] = 0.0
    rows = []
    for place in np.ndindex(layer.weight.shape):
        alone = copy.deepcopy(layer)
        alone.weight.data[...] = 0.0
        alone.weight.data[place] = 1.0
        y = alone(np.ones(shape, np.float32)).data.reshape(-1, layer.bias.size)
        rows.append(y.any(axis=0))
    return np.array(rows), layer.weight.data.ravel()[:, None] * np.array(rows)


# ------------------------------------------------------------------------------------------------------- weight norm


@over_layers
def test_weight_norm_starts_as_the_layer_it_wraps(kind, device):
    x = to_device(an_input(kind), device)
    plain, wrapped = made(kind, device=device), made(kind, "weight", device)
    np.testing.assert_allclose(on_host(wrapped(x)), on_host(plain(x)), rtol=2e-5, atol=1e-6)


@over_layers
def test_magnitudes_are_the_lengths_of_all_weights_of_an_output(kind):
    reaches, weights = as_matrix(kind)  # (weights, out)
    wrapped = made(kind, "weight")
    np.testing.assert_allclose(wrapped.magnitude.data, np.linalg.norm(weights, axis=0), rtol=1e-5)
    # Another magnitude for one output changes that output, and no other.
    layer = in_double(wrapped)
    layer.layer.bias.data[:] = 0
    x = an_input(kind).astype(np.float64)
    before = layer(x).data
    k = reaches.shape[1] - 1
    layer.magnitude.data[k] *= 3.0
    factor = np.ones(reaches.shape[1])
    factor[k] = 3.0
    np.testing.assert_allclose(layer(x).data, before * factor, rtol=1e-12, atol=1e-14)


@over_layers
def test_the_scale_of_directions_has_no_effect_and_no_gradient_goes_along_it(kind):
    layer = in_double(made(kind, "weight"))
    x = an_input(kind).astype(np.float64)
    y = layer(x)
    y.backward(np.random.default_rng(2).normal(size=y.shape))
    along = layer.raw_weight.grad.data * layer.raw_weight.data
    assert abs(along.sum()) < 1e-10
    assert np.isfinite(layer.magnitude.grad.data).all()
    layer.raw_weight.assign(5.0 * layer.raw_weight.data)
    np.testing.assert_allclose(layer(x).data, y.data, rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- spectral norm


@over_layers
def test_power_iteration_finds_the_largest_singular_value(kind, device):
    layer = made(kind, "spectral", device)
    raw, x = on_host(layer.raw_weight), to_device(an_input(kind), device)
    for _ in range(60):
        layer(x)
    reaches, weights = as_matrix(kind)
    if len(set(reaches.sum(axis=0))) == 1:  # every output has as many weights, one below the other in the matrix
        matrix = np.stack([column[reached] for column, reached in zip(weights.T, reaches.T, strict=True)], axis=1)
    else:  # colours: the outputs of one see more than those of another, but there are no groups
        matrix = weights.reshape(-1, weights.shape[1])
        matrix = matrix.reshape(-1, reaches.shape[1], reaches.shape[1]).sum(axis=1)
    sigma = np.linalg.svd(matrix, compute_uv=False)[0]
    live = reaches.any(axis=1).reshape(raw.shape)
    assert np.linalg.norm(raw[live]) / np.linalg.norm(on_host(layer.weight)) == pytest.approx(sigma, rel=1e-4)


def test_one_iteration_a_call_in_training_and_none_in_evaluation():
    layer = made("linear", "spectral")
    layer.left.assign(np.array([1, 0, 0], np.float32))
    x, matrix = an_input("linear"), layer.raw_weight.data.astype(np.float64)
    layer(x)
    right = matrix[0] / np.linalg.norm(matrix[0])
    left = matrix @ right / np.linalg.norm(matrix @ right)
    np.testing.assert_allclose(layer.right.data, right, rtol=1e-5)
    np.testing.assert_allclose(layer.left.data, left, rtol=1e-5)
    np.testing.assert_allclose(layer.weight.data, matrix / (left @ matrix @ right), rtol=1e-5)
    layer.eval()
    before = {name: value.copy() for name, value in layer.state().items()}
    y = layer(x).data
    np.testing.assert_array_equal(layer(x).data, y)
    for name, value in layer.state().items():
        np.testing.assert_array_equal(value, before[name])
    twice = nn.SpectralNorm(nn.Linear(3, 4, rng=Generator(0)), rng=Generator(7), iterations=2)
    twice.left.assign(np.array([1, 0, 0], np.float32))
    twice(x)
    right = left @ matrix / np.linalg.norm(left @ matrix)
    np.testing.assert_allclose(twice.right.data, right, rtol=1e-5)


def critic(seed=0):
    rng = Generator(seed)
    return in_double(
        nn.Sequential(
            nn.SpectralNorm(nn.Linear(2, 5, rng=rng), rng=rng),
            nn.Tanh(),
            nn.SpectralNorm(nn.Linear(5, 1, rng=rng), rng=rng),
        )
    )


def test_two_calls_in_one_graph_each_keep_their_own_vectors():
    # D(real) - D(fake): the second call overwrites the buffers that the first one computed with.
    real, fake = np.random.default_rng(0).normal(size=(2, 6, 2))
    net = critic()
    for layer in (net[0], net[2]):  # far from converged, so that the two calls differ
        layer.left.assign(np.random.default_rng(3).normal(size=layer.left.shape))
    vectors = []

    def remembered():
        vectors.append([(layer.left.data.copy(), layer.right.data.copy()) for layer in (net[0], net[2])])

    first = net(real)
    remembered()
    second = net(fake)
    remembered()
    (mg.mean(first) - mg.mean(second)).backward()
    obtained = [p.grad.data for p in net.parameters()]

    def value(arrays):
        """The same loss, u and v being what they were at each call."""
        frozen = copy.deepcopy(net).eval()
        for p, a in zip(frozen.parameters(), arrays, strict=True):
            p.assign(a)
        means = []
        for batch, at_call in zip((real, fake), vectors, strict=True):
            for layer, (left, right) in zip((frozen[0], frozen[2]), at_call, strict=True):
                layer.left.assign(left)
                layer.right.assign(right)
            means.append(frozen(batch).data.mean())
        return means[0] - means[1]

    arrays = [p.data.copy() for p in net.parameters()]
    rng = np.random.default_rng(5)
    for i, gradient in enumerate(obtained):
        direction = rng.normal(size=gradient.shape)
        ends = [value([a + t * direction if j == i else a for j, a in enumerate(arrays)]) for t in (1e-5, -1e-5)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-6, abs=1e-9)


def test_a_graph_made_in_evaluation_survives_a_call_in_training():
    net, x = critic().eval(), np.random.default_rng(0).normal(size=(3, 2))
    expected = [g.data for g in mg.grad(mg.mean(net(x)), net.parameters())]
    loss = mg.mean(net(x))
    net.train()(x)
    for g, wanted in zip(mg.grad(loss, net.parameters()), expected, strict=True):
        np.testing.assert_array_equal(g.data, wanted)


def test_a_spectrally_normalized_network_of_slopes_up_to_one_stretches_no_distance():
    net = critic()
    for _ in range(50):
        net(np.zeros((1, 2)))
    net.eval()
    x = np.random.default_rng(0).normal(size=(50, 2)) * 3
    y = net(x).data[:, 0]
    distances = np.linalg.norm(x[:, None] - x, axis=-1)
    assert (abs(y[:, None] - y) <= distances * (1 + 1e-9)).all()


# ------------------------------------------------------------------------------------------------------- equalized


@over_layers
def test_equalized_weights_have_mean_square_one_and_the_scale_of_kaiming(kind, device):
    layer = made(kind, "equalized", device)
    reaches, _ = as_matrix(kind)
    raw, live = on_host(layer.raw_weight), reaches.any(axis=1).reshape(layer.raw_weight.shape)
    assert (raw[live] ** 2).mean() == pytest.approx(1.0, rel=1e-5)
    fan_in = reaches.sum() / reaches.shape[1]
    if kind.startswith("transposed"):
        fan_in /= np.prod(layer.layer.stride) if "line" in kind else np.prod(layer.layer.stride) ** 2
    assert layer.scale == pytest.approx(math.sqrt(2 / fan_in), rel=1e-6)
    np.testing.assert_allclose(on_host(layer.weight)[live], raw[live] * layer.scale, rtol=1e-6)


def test_equalized_layers_of_any_width_move_at_one_relative_speed():
    def relative_step(width):
        rng = Generator(0)
        layer = nn.EqualizedLearningRate(nn.Linear(width, 4, rng=rng, bias=False))
        before = layer.weight.data.copy()
        optimizer = Adam(layer.named_parameters(), learning_rate=0.01)
        mg.sum(layer(rng.normal((8, width))) ** 2.0).backward()
        optimizer.step()
        return np.linalg.norm(layer.weight.data - before) / np.linalg.norm(before)

    assert relative_step(4) == pytest.approx(relative_step(400), rel=1e-3)


# ------------------------------------------------------------------------------------------------------- all of them


@over_wrappers
@pytest.mark.parametrize("kind", ["linear", "conv2d", "transposed, grouped", "masked colours"])
def test_gradients_of_both_orders(kind, wrapper):
    layer = in_double(made(kind, wrapper)).eval()
    x = an_input(kind).astype(np.float64)[:1]
    names = list(layer.named_parameters())
    values = [p.data.copy() for p in layer.parameters()]

    def energy(*parameters):
        called = copy.deepcopy(layer)
        for name, value in zip(names, parameters, strict=True):
            *inner, last = name.split(".")
            setattr(called.layer if inner else called, last, value)
        return mg.sum(mg.tanh(called(x)))

    gradcheck(energy, values, name=f"{wrapper} {kind}", tolerance=1e-5)


@over_wrappers
@over_layers
def test_masked_weights_get_no_gradient(kind, wrapper):
    layer = made(kind, wrapper)
    reaches, _ = as_matrix(kind)
    y = layer(an_input(kind))
    y.backward(np.random.default_rng(2).normal(size=y.shape).astype(np.float32))
    dead = ~reaches.any(axis=1).reshape(layer.raw_weight.shape)
    assert not layer.raw_weight.grad.data[dead].any()
    assert layer.raw_weight.grad.data[~dead].any()


@over_wrappers
def test_parts_have_names_in_the_order_of_the_layer(wrapper):
    net = nn.Sequential(made("linear", wrapper), nn.ReLU())
    more = ["layers.0.magnitude"] if wrapper == "weight" else []
    buffers = ["layers.0.left", "layers.0.right"] if wrapper == "spectral" else []
    assert list(net.named_parameters()) == ["layers.0.raw_weight", "layers.0.layer.bias", *more]
    assert list(net.named_buffers()) == buffers
    assert list(net.named_modules()) == ["", "layers.0", "layers.0.layer", "layers.1"]
    table = nn.summary(net, an_input("linear"))
    assert table.splitlines()[-1].split() == ["total", str(16 + 4 * len(more))]


@over_wrappers
@over_layers
def test_states_go_from_one_to_another(kind, wrapper, device):
    source, target = made(kind, wrapper), made(kind, wrapper, seed=1)
    x = an_input(kind)
    source(x)
    target.to(device).load_state(source.state())
    source.eval(), target.eval()
    np.testing.assert_allclose(on_host(target(to_device(x, device))), source(x).data, rtol=1e-5, atol=1e-6)


@over_wrappers
def test_a_copy_is_independent(wrapper):
    layer = made("masked colours", wrapper)
    duplicate = copy.deepcopy(layer)
    x = an_input("masked colours")
    expected = layer.eval()(x).data
    duplicate.raw_weight.assign(np.random.default_rng(0).normal(size=layer.raw_weight.shape).astype(np.float32))
    duplicate(x)
    np.testing.assert_array_equal(layer(x).data, expected)
    assert duplicate.live is duplicate.layer.mask


@over_wrappers
def test_the_layer_has_the_weight_only_during_a_call_even_one_that_fails(wrapper):
    layer = made("linear", wrapper)
    seen = []
    plain = layer.layer.forward
    layer.layer.forward = lambda x: seen.append(layer.layer.weight) or plain(x)
    layer.eval()(an_input("linear"))
    assert "weight" not in vars(layer.layer)
    np.testing.assert_array_equal(seen[0].data, layer.weight.data)
    with pytest.raises(ValueError, match="linear"):
        layer(np.ones((2, 5), np.float32))
    assert "weight" not in vars(layer.layer)
    with pytest.raises(AttributeError, match="Linear has no attribute 'weight'"):
        plain(an_input("linear"))


@over_wrappers
def test_a_wrapped_layer_learns(wrapper):
    rng = Generator(0)
    layer = WRAPPERS[wrapper](nn.Linear(3, 1, rng=rng))
    optimizer = Adam(layer.named_parameters(), learning_rate=0.02)
    x = rng.normal((64, 3))
    target = x @ np.array([[0.6], [-0.3], [0.5]], np.float32) + 1.0
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = mg.mean((layer(x) - target) ** 2.0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # One output: the spectral norm makes the weight a vector of length 1, where the target's is 0.84.
    assert losses[-1] < (0.05 if wrapper == "spectral" else 1e-3) < losses[0]


@over_wrappers
@pytest.mark.parametrize("first", WRAPPERS)
def test_a_layer_is_wrapped_once(first, wrapper):
    inner = made("linear")
    wrapped = WRAPPERS[first](inner)
    expected = wrapped.eval()(an_input("linear")).data
    kind = type(wrapped).__name__
    for layer, words in ((wrapped, f"the layer is a {kind}"), (inner, "Linear has no weight of its own")):
        with pytest.raises(TypeError, match=words):
            nn.WeightNorm(layer) if wrapper == "weight" else nn.EqualizedLearningRate(layer)
    np.testing.assert_array_equal(wrapped(an_input("linear")).data, expected)


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.BatchNorm(3)])
def test_layers_without_a_matrix_are_refused(layer):
    with pytest.raises(TypeError, match=f"WeightNorm: {type(layer).__name__} has .*; expected a layer that multiplies"):
        nn.WeightNorm(layer)


@over_wrappers
def test_a_weight_of_zeros_is_refused(wrapper):
    layer = nn.Linear(3, 2, rng=Generator(0), initialize=lambda shape, rng: np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match=r"the weight of Linear, shape \(3, 2\), is all zero"):
        WRAPPERS[wrapper](layer)
    assert layer(np.ones((1, 3), np.float32)).shape == (1, 2)  # it has kept its weight


def test_spectral_norm_refuses_no_iterations():
    with pytest.raises(ValueError, match="iterations is 0"):
        nn.SpectralNorm(nn.Linear(3, 2, rng=Generator(0)), rng=Generator(0), iterations=0)


@settings(max_examples=10)
@given(ins=st.integers(1, 4), outs=st.integers(1, 4), seed=st.integers(0, 99))
def test_matrices_of_all_sizes(ins, outs, seed):
    for wrap in WRAPPERS.values():
        layer = wrap(nn.Linear(ins, outs, rng=Generator(seed)))
        assert np.isfinite(layer(np.ones((2, ins), np.float32)).data).all()
