"""Embeddings: what is looked up and what is refused, and waves against their formulas."""

import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.random import Generator
from minigen.testing import gradcheck

# ------------------------------------------------------------------------------------------------------- tables


@settings(max_examples=15)
@given(shape=st.lists(st.integers(0, 3), max_size=3), seed=st.integers(0, 99), kind=st.sampled_from(["int64", "uint8"]))
def test_an_embedding_is_a_product_with_one_hot_vectors(shape, seed, kind, device):
    table = nn.Embedding(5, 3, rng=Generator(seed, device=device))
    indices = np.random.default_rng(seed).integers(0, 5, shape).astype(kind)
    one_hot = (np.arange(5) == indices[..., None]).astype(np.float32)  # (*shape, 5)
    y = table(indices)
    np.testing.assert_array_equal(on_host(y), one_hot @ on_host(table.weight))
    g = np.random.default_rng(seed + 1).normal(size=y.shape).astype(np.float32)
    y.backward(to_device(g, device))
    expected = one_hot.reshape(-1, 5).T @ g.reshape(-1, 3)
    np.testing.assert_allclose(on_host(table.weight.grad), expected, rtol=1e-5, atol=1e-5)


def test_indices_may_be_anywhere(gpu_or_double):
    table = nn.Embedding(4, 2, rng=Generator(0, device=gpu_or_double))
    indices = np.array([[0, 3], [1, 1]])
    expected = on_host(table.weight)[indices]
    for given_indices in (
        indices,
        mg.tensor(indices),
        to_device(indices, gpu_or_double),
        mg.tensor(indices, device=gpu_or_double),
    ):
        y = table(given_indices)
        assert y.device == "gpu"
        np.testing.assert_array_equal(on_host(y), expected)


def test_the_gradient_of_an_embedding_of_second_order():
    indices = np.array([[0, 2], [2, 2]])

    def energy(weight):
        table = nn.Embedding(3, 2, rng=Generator(0))
        table.weight = weight
        return mg.sum(table(indices) ** 3.0)

    gradcheck(energy, [np.random.default_rng(0).normal(size=(3, 2))])


def test_initial_embeddings_are_standard_normal():
    weight = nn.Embedding(400, 50, rng=Generator(0)).weight.data
    assert abs(weight.mean()) < 5 / math.sqrt(weight.size)
    assert weight.std() == pytest.approx(1.0, abs=5 / math.sqrt(2 * weight.size))
    assert nn.LearnedPositions(400, 50, rng=Generator(0)).weight.data.std() == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(("indices", "found"), [([0, 5], r"\[0, 5\]"), ([-1, 2], r"\[-1, 2\]")])
def test_indices_out_of_range_are_refused_before_they_are_moved(indices, found, device):
    table = nn.Embedding(5, 3, rng=Generator(0, device=device))
    with pytest.raises(IndexError, match=rf"Embedding: indices in {found}; expected integers in \[0, 5\)"):
        table(np.array(indices))


def test_indices_on_a_gpu_are_looked_at_in_debug_mode(gpu_or_double):
    table = nn.Embedding(5, 3, rng=Generator(0, device=gpu_or_double))
    wrong = to_device(np.array([5]), gpu_or_double)
    with mg.debug(), pytest.raises(IndexError, match=r"Embedding: indices in \[5, 5\]"):
        table(wrong)


@pytest.mark.parametrize("indices", [np.array([0.0]), np.array([True]), [0, 1], 3, mg.tensor([1.0])])
def test_what_is_no_array_of_integers_is_refused(indices):
    with pytest.raises(
        TypeError, match=r"Embedding: indices of .*expected an array or a Tensor of integers in \[0, 5\)"
    ):
        nn.Embedding(5, 3, rng=Generator(0))(indices)


@settings(max_examples=15)
@given(length=st.integers(1, 6), first=st.integers(0, 6), t=st.integers(0, 6), n=st.integers(0, 2))
def test_positions_are_added_where_there_are_some(length, first, t, n):
    layer = nn.LearnedPositions(length, 2, rng=Generator(0))
    x = np.random.default_rng(0).normal(size=(n, t, 2)).astype(np.float32)
    if first + t > length:
        with pytest.raises(
            ValueError, match=rf"LearnedPositions: .*{first} to {first + t - 1}; the layer has 0 to {length - 1}"
        ):
            layer(x, first)
    else:
        y = layer(x, first)
        np.testing.assert_array_equal(y.data, x + layer.weight.data[first : first + t])
        mg.sum(y).backward()
        used = (np.arange(length) >= first) & (np.arange(length) < first + t)
        np.testing.assert_array_equal(layer.weight.grad.data, n * used[:, None] * np.ones(2))


def test_positions_refuse_other_shapes():
    layer = nn.LearnedPositions(4, 2, rng=Generator(0))
    for shape in ((4, 2), (1, 4, 3)):
        with pytest.raises(ValueError, match=r"LearnedPositions: x has shape .*expected \(N, T, C\) with C = 2"):
            layer(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="needs the positions -1"):
        layer(np.ones((1, 2, 2), np.float32), -1)


# ------------------------------------------------------------------------------------------------------- waves


@settings(max_examples=15)
@given(half=st.integers(1, 5), longest=st.floats(2, 1e5), shape=st.lists(st.integers(0, 3), max_size=2))
def test_sines_then_cosines_of_falling_frequencies(half, longest, shape, device):
    t = np.random.default_rng(0).uniform(0, 100, shape)
    y = on_host(nn.SinusoidalEmbedding(2 * half, longest_period=longest)(to_device(t, device)))
    assert y.dtype == np.float64
    for k in range(half):
        angle = t / longest ** (k / half)
        np.testing.assert_allclose(y[..., k], np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(y[..., half + k], np.cos(angle), atol=1e-12)


def test_a_shift_of_time_is_one_linear_map():
    layer, t = nn.SinusoidalEmbedding(6), np.arange(0.0, 40.0)
    y, shifted = layer(t), layer(t + 5.0)
    turned, _, rank, _ = np.linalg.lstsq(y, shifted)
    np.testing.assert_allclose(y @ turned, shifted, atol=1e-8)
    assert rank == 6
    np.testing.assert_allclose(turned @ turned.T, np.eye(6), atol=1e-6)  # a rotation


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32"])
def test_whole_steps_give_float32(kind, device):
    steps = np.array([0, 7, 200], kind)
    layer = nn.SinusoidalEmbedding(8)
    for x in (to_device(steps, device), mg.tensor(steps, device=device)):
        y = layer(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(on_host(y), layer(steps.astype(np.float64)), atol=2e-5)


def test_times_have_gradients():
    gradcheck(nn.SinusoidalEmbedding(4, longest_period=10.0), [np.array([0.3, 1.7])])
    gradcheck(nn.FourierFeatures(2, 4, scale=0.5, rng=Generator(0)), [np.array([[0.3, 0.7]])])


def test_fourier_features_are_waves_along_the_frequencies(device):
    layer = nn.FourierFeatures(3, 8, scale=2.0, rng=Generator(0, device=device))
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    y, frequencies = on_host(layer(to_device(x, device))), on_host(layer.frequencies)
    angles = 2 * np.pi * (x @ frequencies)
    np.testing.assert_allclose(y, np.concatenate([np.sin(angles), np.cos(angles)], axis=-1), atol=1e-12)
    assert list(layer.state()) == ["frequencies"]
    assert not layer.parameters()


def test_inner_products_of_fourier_features_are_a_kernel_of_the_distance():
    # E[cos 2 pi b (x - y)] for b ~ N(0, scale^2) is exp(-2 pi^2 scale^2 |x - y|^2).
    layer, count = nn.FourierFeatures(2, 40_000, scale=0.3, rng=Generator(0)), 20_000
    x, y = np.array([0.2, -0.1]), np.array([0.5, 0.4])
    exact = math.exp(-2 * math.pi**2 * 0.3**2 * ((x - y) ** 2).sum())
    assert (layer(x) @ layer(y)).item() / count == pytest.approx(exact, abs=4 / math.sqrt(2 * count))


def test_settings_out_of_range_are_refused():
    rng = Generator(0)
    for make, words in {
        lambda: nn.Embedding(0, 3, rng=rng): "Embedding: count 0",
        lambda: nn.Embedding(3, 0, rng=rng): "features 0",
        lambda: nn.LearnedPositions(0, 3, rng=rng): "LearnedPositions: length 0",
        lambda: nn.SinusoidalEmbedding(3): "SinusoidalEmbedding: features is 3, expected an even number",
        lambda: nn.SinusoidalEmbedding(4, longest_period=1.0): "longest_period is 1.0",
        lambda: nn.FourierFeatures(2, 0, scale=1.0, rng=rng): "FourierFeatures: features is 0",
        lambda: nn.FourierFeatures(2, 4, scale=0.0, rng=rng): "scale 0.0",
        lambda: nn.FourierFeatures(2, 4, scale=1.0, rng=rng)(np.ones((5, 3))): r"\(5, 3\).* D = 2 coordinates",
    }.items():
        with pytest.raises(ValueError, match=words):
            make()
