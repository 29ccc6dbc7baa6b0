"""Attention in several heads, among the places of a sequence or the pixels of an image (Vaswani et al. 2017, section 3.2.2).

With linear maps to queries, keys and values, of which every head h has its own D = C / H features,

    q_h, k_h, v_h = x W_q, c W_k, c W_v,    y = concat_h(softmax(q_h k_h^T / sqrt(D)) v_h) W_o,

where c is x itself in self-attention, and another sequence in cross-attention. Biases are left out here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike
from minigen.nn import init
from minigen.nn.group_norm import GroupNorm
from minigen.nn.layers import Linear
from minigen.nn.module import Module
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


class KeyValueCache:
    """The keys and values of the places that a layer has seen so far, so that sampling computes each of them once.

    A layer has a cache of its own. It is to be used inside `no_grad()`, and its memory is taken at the first call.

    Args:
        length: the most places that it holds.

    Attributes:
        size: the places that it holds now.

    Raises:
        ValueError: length is below 1.

    Example:
        >>> import minigen as mg
        >>> layer = MultiHeadAttention(4, heads=2, rng=Generator(0))
        >>> x = Generator(1).normal((1, 3, 4))
        >>> cache = KeyValueCache(3)
        >>> with mg.no_grad():
        ...     steps = [layer(x[:, t : t + 1], cache=cache) for t in range(3)]
        >>> bool(abs(mg.concatenate(steps, axis=1) - layer(x, causal=True)).data.max() < 1e-6)
        True
    """

    def __init__(self, length: int) -> None:
        (self.length,) = counts("KeyValueCache", length=length)
        self.size = 0
        self._keys: Array | None = None
        self._values: Array | None = None

    def append(
        self, key: Float[Tensor, "N T H D"], value: Float[Tensor, "N T H D"]
    ) -> tuple[Float[Array, "N S H D"], Float[Array, "N S H D"]]:
        """Add the keys and values of T new places, (N, T, H, D) each; return those of all places so far.

        Raises:
            RuntimeError: a gradient is being recorded.
            ValueError: the cache is full, or other examples or heads came before.
        """
        if key.requires_grad or value.requires_grad:
            raise RuntimeError(
                "KeyValueCache: no gradient flows through what is kept from earlier calls; call the layer inside no_grad(), "
                "or train on whole sequences without a cache"
            )
        n, new, *features = key.shape
        if self.size + new > self.length:
            raise ValueError(
                f"KeyValueCache: {self.size} places and {new} more do not fit the length {self.length}; "
                "make a longer cache, or reset() it before another sequence"
            )
        shape = (n, self.length, *features)
        if self._keys is None or self._values is None or (self.size == 0 and self._keys.shape != shape):
            module = array_module(key.data)
            self._keys, self._values = module.empty(shape, key.dtype), module.empty(shape, value.dtype)
        if self._keys.shape != shape:
            raise ValueError(
                f"KeyValueCache: keys (N, T, H, D) = {key.shape} follow others of (N, length, H, D) = {self._keys.shape}; "
                "each layer needs a cache of its own, and reset() before another batch"
            )
        start, self.size = self.size, self.size + new
        self._keys[:, start : self.size] = key.data
        self._values[:, start : self.size] = value.data
        return self._keys[:, : self.size], self._values[:, : self.size]

    def reset(self) -> None:
        """Forget all places, before another sequence."""
        self.size = 0


class MultiHeadAttention(Module):
    """Attention in H heads between the places of a sequence, or of a sequence to those of another.

    The initial W_q, W_k and W_v are uniform with Xavier's standard deviation, taken as one matrix, W_o as of `Linear`, and all biases 0.

    Args:
        features: the channels C of x and y.
        heads: how many, H, a divisor of C.
        rng: draws the initial weights.
        context_features: the channels E of the other sequence; None for self-attention.
        bias: whether the linear maps have biases.

    Attributes:
        projection: in self-attention the `Linear` to queries, keys and values, C -> 3 C.
        query_projection, context_projection: in cross-attention the one to queries, C -> C, and to keys and values, E -> 2 C.
        output: the `Linear` of W_o, C -> C.

    Raises:
        ValueError: the heads do not divide the features.

    Example:
        >>> x, text = Generator(1).normal((2, 5, 8)), Generator(2).normal((2, 3, 6))
        >>> MultiHeadAttention(8, heads=2, rng=Generator(0))(x, causal=True).shape
        (2, 5, 8)
        >>> MultiHeadAttention(8, heads=2, rng=Generator(0), context_features=6)(x, text).shape
        (2, 5, 8)
    """

    def __init__(
        self, features: int, *, heads: int, rng: Generator, context_features: int | None = None, bias: bool = True
    ) -> None:
        features, heads = counts("MultiHeadAttention", features=features, heads=heads)
        if features % heads:
            raise ValueError(
                f"MultiHeadAttention: heads {heads} must divide features {features}: each head has an equal part"
            )
        self.features, self.heads, self.context_features = features, heads, context_features
        if context_features is None:
            self.projection = _xavier_linear(features, 3 * features, rng, bias)
        else:
            self.query_projection = _xavier_linear(features, features, rng, bias)
            self.context_projection = _xavier_linear(context_features, 2 * features, rng, bias)
        self.output = Linear(features, features, rng=rng, bias=bias)
        _clear(self.output.bias)

    def forward(
        self,
        x: Float[TensorLike, "N T C"],
        context: Float[TensorLike, "N S E"] | None = None,
        *,
        mask: Bool[TensorLike, "N S"]
        | Bool[TensorLike, "#N #T S"]
        | Float[TensorLike, "N S"]
        | Float[TensorLike, "#N #T S"]
        | Float[TensorLike, "#N #H #T S"]
        | None = None,
        causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Float[Tensor, "N T C"]:
        """Attend, (N, T, C) -> (N, T, C).

        Args:
            x: (N, T, C).
            context: the other sequence, (N, S, E), in cross-attention; else None and S = T.
            mask: which keys are seen, booleans (N, S) or (N, T, S), N or T of the latter 1 if the same for all; or numbers to be added to
                the scores, also (N, H, T, S); see `ops.attention`.
            causal: whether a place sees itself and earlier ones only.
            cache: holds earlier places of the sequence, to which those of x are added; S counts all. It makes attention causal.

        Raises:
            ValueError: a shape does not fit, a context is missing or not expected, or the cache is full.
            RuntimeError: there is a cache outside of `no_grad()`.
        """
        if len(x.shape) != 3 or x.shape[2] != self.features:
            raise ValueError(f"MultiHeadAttention: x has shape {x.shape}, expected (N, T, C) with C = {self.features}")
        if self.context_features is None:
            if context is not None:
                raise ValueError(
                    f"MultiHeadAttention: a context of shape {context.shape} was given to a layer of self-attention; "
                    f"for cross-attention make it with context_features={context.shape[-1]}"
                )
            packed = self._heads(self.projection(x), 3)
            if cache is None:
                found = ops.self_attention(packed, mask, causal=causal)  # (N, T, H, D)
            else:
                keys, values = cache.append(packed[:, :, 1], packed[:, :, 2])
                found = ops.attention(packed[:, :, 0], keys, values, mask, causal=True)
        else:
            if context is None or len(context.shape) != 3 or context.shape[2] != self.context_features:
                given = "no context was given" if context is None else f"the context has shape {context.shape}"
                raise ValueError(f"MultiHeadAttention: {given}, expected (N, S, E) with E = {self.context_features}")
            if cache is not None:
                raise ValueError(
                    "MultiHeadAttention: a cache serves self-attention; this is a layer of cross-attention"
                )
            both = self._heads(self.context_projection(context), 2)
            query = self._heads(self.query_projection(x), 1)[:, :, 0]
            found = ops.attention(query, both[:, :, 0], both[:, :, 1], mask, causal=causal)
        return self.output(ops.reshape(found, shape=x.shape))

    def _heads(self, x: Tensor, kinds: int) -> Tensor:
        """Part the features into kinds and heads, (N, T, kinds C) -> (N, T, kinds, H, D)."""
        return ops.reshape(x, shape=(*x.shape[:2], kinds, self.heads, self.features // self.heads))


class SelfAttention2d(Module):
    """Self-attention among the pixels of an image, added to the image:

        y = x + attention(norm(x)),

    with group normalization, as between the convolutions of a U-Net (Ho et al. 2020, "Denoising Diffusion Probabilistic Models", appendix
    B) or, without it, of a GAN (Zhang et al. 2019, "Self-Attention Generative Adversarial Networks"). W_o is 0 at first: a new layer does
    nothing.

    Args:
        channels: C.
        heads: of the attention, a divisor of C.
        rng: draws the initial weights.
        groups: of the normalization, a divisor of C.

    Attributes:
        norm: the `GroupNorm`.
        attention: the `MultiHeadAttention`.

    Raises:
        ValueError: the heads or the groups do not divide the channels.

    Example:
        >>> layer = SelfAttention2d(8, heads=2, rng=Generator(0), groups=4)
        >>> x = Generator(1).normal((2, 7, 7, 8))
        >>> bool((layer(x).data == x).all())
        True
    """

    def __init__(self, channels: int, *, heads: int, rng: Generator, groups: int = 32) -> None:
        self.norm = GroupNorm(groups, channels)
        self.attention = MultiHeadAttention(channels, heads=heads, rng=rng)
        _clear(self.attention.output.weight)

    def forward(self, x: Float[TensorLike, "N H W C"]) -> Float[Tensor, "N H W C"]:
        """Attend, (N, H, W, C) -> (N, H, W, C)."""
        if len(x.shape) != 4:
            raise ValueError(f"SelfAttention2d: x has shape {x.shape}, expected images (N, H, W, C)")
        pixels = (x.shape[0], math.prod(x.shape[1:3]), x.shape[3])
        found = self.attention(ops.reshape(self.norm(x), shape=pixels))
        return x + ops.reshape(found, shape=x.shape)


def _xavier_linear(inputs: int, outputs: int, rng: Generator, bias: bool) -> Linear:
    layer = Linear(inputs, outputs, rng=rng, bias=bias, initialize=init.xavier_uniform)
    _clear(layer.bias)
    return layer


def _clear(parameter: Tensor | None) -> None:
    if parameter is not None:
        parameter.data[...] = 0.0
