"""Attention layers against PyTorch's: outputs, and gradients with respect to inputs and parameters, in float64."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.random import Generator

torch = pytest.importorskip("torch")

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def give(target, values):
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def randomized(module, seed=0):
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = 0.3 * rng.standard_normal(parameter.shape)
    return module


def copy_attention(ours, theirs):
    """Give PyTorch's attention our weights."""
    if ours.context_features is None:
        give(theirs.in_proj_weight, ours.projection.weight.data.T)
        biases = ours.projection.bias
        biases = None if biases is None else biases.data
    else:
        c = ours.features
        give(theirs.q_proj_weight, ours.query_projection.weight.data.T)
        give(theirs.k_proj_weight, ours.context_projection.weight.data[:, :c].T)
        give(theirs.v_proj_weight, ours.context_projection.weight.data[:, c:].T)
        biases = np.concatenate([ours.query_projection.bias.data, ours.context_projection.bias.data])
    if biases is not None:
        give(theirs.in_proj_bias, biases)
        give(theirs.out_proj.bias, ours.output.bias.data)
    give(theirs.out_proj.weight, ours.output.weight.data.T)
    return theirs


def compared(y, y_theirs, pairs):
    """Compare outputs, and for pairs of our leaf and theirs the gradients of a random linear functional of them.

    A matrix is a weight, which is transposed there; several of theirs stand side by side in ours.
    """
    np.testing.assert_allclose(y.data, y_theirs.detach().numpy(), **CLOSE)
    g = np.random.default_rng(9).standard_normal(y.shape)
    gradients = mg.grad(y, [ours for ours, _ in pairs], g)
    y_theirs.backward(torch.from_numpy(g))
    for gradient, (_, theirs) in zip(gradients, pairs, strict=True):
        expected = np.concatenate([leaf.grad.numpy() for leaf in (theirs if isinstance(theirs, tuple) else (theirs,))])
        np.testing.assert_allclose(gradient.data, expected.T if expected.ndim == 2 else expected, **CLOSE)


def leaf(rng, *shape):
    x = rng.standard_normal(shape)
    return mg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masks", ["none", "causal", "filled up", "both"])
def test_self_attention(masks, bias):
    rng = np.random.default_rng(0)
    ours = randomized(nn.MultiHeadAttention(6, heads=3, rng=Generator(0), bias=bias))
    theirs = copy_attention(ours, torch.nn.MultiheadAttention(6, 3, bias=bias, batch_first=True, dtype=torch.float64))
    x, z = leaf(rng, 2, 5, 6)
    seen = np.arange(5) < np.array([[3], [5]]) if masks in ("filled up", "both") else None
    causal = masks in ("causal", "both")
    hidden = {} if seen is None else {"key_padding_mask": torch.from_numpy(~seen)}
    if causal:
        hidden["attn_mask"] = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1)
    there, _ = theirs(z, z, z, need_weights=False, **hidden)
    pairs = [(x, z), (ours.projection.weight, theirs.in_proj_weight), (ours.output.weight, theirs.out_proj.weight)]
    if bias:
        pairs += [(ours.projection.bias, theirs.in_proj_bias), (ours.output.bias, theirs.out_proj.bias)]
    compared(ours(x, mask=seen, causal=causal), there, pairs)


def test_cross_attention():
    rng = np.random.default_rng(0)
    ours = randomized(nn.MultiHeadAttention(6, heads=2, rng=Generator(0), context_features=4))
    theirs = torch.nn.MultiheadAttention(6, 2, kdim=4, vdim=4, batch_first=True, dtype=torch.float64)
    copy_attention(ours, theirs)
    (x, x_theirs), (context, c_theirs) = leaf(rng, 2, 5, 6), leaf(rng, 2, 3, 4)
    there, _ = theirs(x_theirs, c_theirs, c_theirs, need_weights=False)
    pairs = [
        (x, x_theirs), (context, c_theirs), (ours.query_projection.weight, theirs.q_proj_weight),
        (ours.context_projection.weight, (theirs.k_proj_weight, theirs.v_proj_weight)), (ours.output.bias, theirs.out_proj.bias),
    ]  # fmt: skip
    compared(ours(x, context), there, pairs)


@pytest.mark.parametrize("causal", [False, True])
def test_scaled_products(causal):
    rng = np.random.default_rng(0)
    both = [leaf(rng, 2, t, 3, d) for t, d in ((5, 4), (5, 4), (5, 2))]
    there = torch.nn.functional.scaled_dot_product_attention(
        *(theirs.transpose(1, 2) for _, theirs in both), is_causal=causal, scale=0.7
    )
    y = mg.attention(*(ours for ours, _ in both), causal=causal, scale=0.7)
    compared(y, there.transpose(1, 2), both)


@pytest.mark.parametrize("causal", [False, True])
def test_transformer_block(causal):
    rng = np.random.default_rng(0)
    ours = randomized(nn.TransformerBlock(6, heads=3, rng=Generator(0), causal=causal))
    theirs = torch.nn.TransformerEncoderLayer(
        6, 3, dim_feedforward=24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    copy_attention(ours.attention, theirs.self_attn)
    pairs = [
        (ours.attention_norm.weight, theirs.norm1.weight), (ours.attention_norm.bias, theirs.norm1.bias),
        (ours.network_norm.weight, theirs.norm2.weight), (ours.network_norm.bias, theirs.norm2.bias),
        (ours.network[0].weight, theirs.linear1.weight), (ours.network[0].bias, theirs.linear1.bias),
        (ours.network[2].weight, theirs.linear2.weight), (ours.network[2].bias, theirs.linear2.bias),
    ]  # fmt: skip
    for p, q in pairs:
        give(q, p.data.T)
    x, z = leaf(rng, 2, 5, 6)
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), diagonal=1) if causal else None
    pairs += [(x, z), (ours.attention.projection.weight, theirs.self_attn.in_proj_weight)]
    compared(ours(x), theirs(z, src_mask=mask), pairs)
