"""Attention layers: the cache equals the whole pass, nobody looks ahead, and wrong use is answered by name."""

import re

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.random import Generator


def filled(module, seed=0):
    """Give every parameter random values, zeros included, and float64."""
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = 0.5 * rng.standard_normal(parameter.shape)
    return module


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


@settings(max_examples=12)
@given(steps=st.lists(st.integers(1, 4), min_size=1, max_size=5), dtype=st.sampled_from(["float32", "float64"]))
def test_pieces_through_a_cache_equal_the_whole_causal_pass(steps, dtype):
    block = nn.TransformerBlock(8, heads=2, rng=Generator(0), causal=True)
    for parameter in block.parameters():
        parameter.data = parameter.data.astype(dtype)
    x = normal(2, sum(steps), 8).astype(dtype)
    cache = nn.KeyValueCache(sum(steps))
    for _ in range(2):  # and once more after a reset
        ends = np.cumsum(steps)
        with mg.no_grad():
            whole = block(x).data
            pieces = [block(x[:, end - step : end], cache=cache).data for step, end in zip(steps, ends, strict=True)]
        bound = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=bound, atol=bound)
        assert cache.size == sum(steps)
        cache.reset()


def test_numbers_in_a_mask_reach_the_scores():
    """In self-attention, with a cache, in cross-attention and in a block; a learned bias gets a gradient."""
    bias = mg.tensor(np.linspace(-2.0, 2.0, 2 * 5 * 5, dtype="float32").reshape(1, 2, 5, 5), requires_grad=True)
    hidden = np.where(np.tri(5, dtype=bool), 0.0, -np.inf)[None]
    x = normal(3, 5, 6)
    layer = nn.MultiHeadAttention(6, heads=2, rng=Generator(0))
    np.testing.assert_allclose(layer(x, mask=hidden).data, layer(x, causal=True).data, atol=1e-6)
    assert np.abs(layer(x, mask=bias).data - layer(x).data).max() > 1e-3
    assert np.abs(mg.grad(mg.sum(layer(x, mask=bias) ** 2), bias).data).min() > 0
    with mg.no_grad():
        cache = nn.KeyValueCache(5)
        steps = [layer(x[:, t : t + 1], mask=bias.data[:, :, t : t + 1, : t + 1], cache=cache) for t in range(5)]
        np.testing.assert_allclose(
            mg.concatenate(steps, axis=1).data, layer(x, mask=bias, causal=True).data, rtol=1e-4, atol=1e-6
        )
    cross = nn.MultiHeadAttention(6, heads=2, rng=Generator(0), context_features=6)
    assert np.abs(cross(x, x, mask=bias).data - cross(x, x).data).max() > 1e-3
    block = nn.TransformerBlock(6, heads=2, rng=Generator(0), causal=True)
    assert np.abs(block(x, mask=bias).data - block(x).data).max() > 1e-3


def test_a_cache_counts_its_places_in_the_mask():
    layer = filled(nn.MultiHeadAttention(4, heads=2, rng=Generator(0)))
    x, seen = normal(2, 5, 4), np.array([[True, True, True, True, True], [False, False, True, True, True]])
    cache = nn.KeyValueCache(8)
    with mg.no_grad():
        whole = layer(x, mask=seen, causal=True).data
        layer(x[:, :3], mask=seen[:, :3], cache=cache)
        rest = layer(x[:, 3:], mask=seen, cache=cache).data
    np.testing.assert_allclose(rest, whole[:, 3:], rtol=1e-13)


def test_a_cache_stays_on_its_layers_device(device):
    block = nn.TransformerBlock(4, heads=2, rng=Generator(0), causal=True).to(device)
    x, cache = mg.tensor(normal(1, 3, 4).astype("float32"), device=device), nn.KeyValueCache(3)
    with mg.no_grad():
        pieces = [block(x[:, t : t + 1], cache=cache) for t in range(3)]
        assert all(piece.device == device for piece in pieces)
        np.testing.assert_allclose(on_host(mg.concatenate(pieces, axis=1)), on_host(block(x)), rtol=1e-5, atol=1e-6)


def test_a_cache_says_when_it_is_full():
    layer, cache = nn.MultiHeadAttention(4, heads=2, rng=Generator(0)), nn.KeyValueCache(3)
    with mg.no_grad():
        layer(normal(1, 2, 4), cache=cache)
        with pytest.raises(ValueError, match="KeyValueCache: 2 places and 2 more do not fit the length 3"):
            layer(normal(1, 2, 4), cache=cache)
        assert cache.size == 2
        layer(normal(1, 1, 4), cache=cache)
        with pytest.raises(ValueError, match=r"KeyValueCache: 3 places and 1 more .* reset\(\)"):
            layer(normal(1, 1, 4), cache=cache)


def test_a_cache_takes_another_batch_only_after_a_reset():
    layer, cache = nn.MultiHeadAttention(4, heads=2, rng=Generator(0)), nn.KeyValueCache(3)
    with mg.no_grad():
        layer(normal(1, 1, 4), cache=cache)
        with pytest.raises(
            ValueError, match=r"keys \(N, T, H, D\) = \(2, 1, 2, 2\) follow others of .* = \(1, 3, 2, 2\)"
        ):
            layer(normal(2, 1, 4), cache=cache)
        cache.reset()
        assert layer(normal(2, 1, 4), cache=cache).shape == (2, 1, 4)


def test_a_cache_is_no_place_for_gradients():
    layer = nn.MultiHeadAttention(4, heads=2, rng=Generator(0))
    with pytest.raises(RuntimeError, match=r"KeyValueCache: no gradient flows .* no_grad\(\)"):
        layer(normal(1, 2, 4), cache=nn.KeyValueCache(3))


@pytest.mark.parametrize("causal", [False, True])
def test_a_place_depends_on_earlier_ones_only_if_causal(causal):
    block = filled(nn.TransformerBlock(4, heads=2, rng=Generator(0), causal=causal))
    x = mg.Tensor(normal(1, 5, 4), requires_grad=True)
    y = block(x)
    found = np.array([abs(mg.grad(y[0, t, 1], x, retain_graph=True).data).sum(axis=(0, 2)) > 0 for t in range(5)])
    np.testing.assert_array_equal(found, np.tril(np.ones((5, 5))) if causal else np.ones((5, 5)))


def test_attention_without_positions_moves_with_its_places():
    layer, x, order = filled(nn.MultiHeadAttention(6, heads=3, rng=Generator(0))), normal(2, 5, 6), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(layer(x[:, order]).data, layer(x).data[:, order], rtol=1e-12)


@pytest.mark.parametrize("inside", [False, True])
def test_padding_does_not_influence_other_places(inside):
    block = filled(nn.TransformerBlock(4, heads=2, rng=Generator(0), causal=inside))
    x, seen = normal(2, 6, 4), np.arange(6) < np.array([[4], [6]])
    first = block(x, mask=seen).data
    x[~seen] = 100.0
    np.testing.assert_array_equal(block(x, mask=seen).data[seen], first[seen])
    np.testing.assert_allclose(block(x[:1, :4]).data, first[:1, :4], rtol=1e-12)  # as if it were not there


def test_a_new_layer_of_pixels_changes_nothing_but_learns():
    layer = nn.SelfAttention2d(8, heads=2, rng=Generator(0), groups=4)
    x = normal(2, 3, 2, 8).astype("float32")
    y = layer(x)
    np.testing.assert_array_equal(y.data, x)
    mg.sum(y * normal(2, 3, 2, 8, seed=2).astype("float32")).backward()
    assert abs(layer.attention.output.weight.grad.data).max() > 0


def test_pixels_are_places_and_rows_of_the_image_come_one_after_the_other():
    layer = filled(nn.SelfAttention2d(8, heads=2, rng=Generator(0), groups=4))
    x = normal(2, 3, 2, 8)
    np.testing.assert_allclose(layer(x.reshape(2, 2, 3, 8)).data.reshape(x.shape), layer(x).data, rtol=1e-12)
    normalized = layer.norm(x).data.reshape(2, 6, 8)
    np.testing.assert_allclose(layer(x).data, x + layer.attention(normalized).data.reshape(x.shape), rtol=1e-12)


def test_dropout_acts_in_training_only():
    block = nn.TransformerBlock(8, heads=2, rng=Generator(0), dropout=0.5)
    x = normal(1, 4, 8).astype("float32")
    assert not np.array_equal(block(x).data, block(x).data)
    block.eval()
    np.testing.assert_array_equal(block(x).data, block(x).data)


@pytest.mark.parametrize("bias", [False, True])
def test_initial_weights(bias):
    layer = nn.MultiHeadAttention(64, heads=4, rng=Generator(0), bias=bias)
    assert [parameter.shape for parameter in layer.parameters()] == (
        [(64, 192), (192,), (64, 64), (64,)] if bias else [(64, 192), (64, 64)]
    )
    assert np.abs(layer.projection.weight.data).max() == pytest.approx((6 / 256) ** 0.5, rel=1e-2)
    if bias:
        assert (layer.projection.bias.data == 0).all()
        assert (layer.output.bias.data == 0).all()


def layer_of(**settings):
    return nn.MultiHeadAttention(6, heads=2, rng=Generator(0), **settings)


BAD_USES = {
    "heads": (lambda: nn.MultiHeadAttention(6, heads=4, rng=Generator(0)), "MultiHeadAttention: heads 4 must divide features 6"),
    "features": (lambda: layer_of()(normal(2, 3, 5)), "MultiHeadAttention: x has shape (2, 3, 5), expected (N, T, C) with C = 6"),
    "context of self-attention": (
        lambda: layer_of()(normal(2, 3, 6), normal(2, 4, 5)),
        "a context of shape (2, 4, 5) was given to a layer of self-attention; for cross-attention make it with context_features=5",
    ),
    "no context": (lambda: layer_of(context_features=5)(normal(2, 3, 6)), "no context was given, expected (N, S, E) with E = 5"),
    "context features": (
        lambda: layer_of(context_features=5)(normal(2, 3, 6), normal(2, 4, 6)),
        "the context has shape (2, 4, 6), expected (N, S, E) with E = 5",
    ),
    "context's examples": (
        lambda: layer_of(context_features=5)(normal(2, 3, 6), normal(1, 4, 5)), "attention: the numbers of examples N differ",
    ),
    "cache of cross-attention": (
        lambda: layer_of(context_features=5)(normal(2, 3, 6), normal(2, 4, 5), cache=nn.KeyValueCache(3)),
        "a cache serves self-attention",
    ),
    "cache's length": (lambda: nn.KeyValueCache(0), "KeyValueCache: length is 0, expected at least 1"),
    "cache of a block that looks ahead": (
        lambda: nn.TransformerBlock(4, heads=2, rng=Generator(0))(normal(1, 1, 4), cache=nn.KeyValueCache(3)), "causal=False",
    ),
    "mask": (lambda: layer_of()(normal(2, 3, 6), mask=np.ones((3, 3), bool)), "the mask has shape (3, 3); with 2 examples"),
    "pixels": (
        lambda: nn.SelfAttention2d(4, heads=2, rng=Generator(0), groups=2)(normal(2, 3, 4)),
        "(2, 3, 4)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_USES)
def test_wrong_use_is_answered_by_name(name):
    call, message = BAD_USES[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
