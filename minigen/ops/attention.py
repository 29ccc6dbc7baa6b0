"""Attention: each query fetches a weighted mean of values, the weights given by how well its vector fits the keys.

In each of H heads, with the queries, keys and values as rows of q (T, D), k (S, D) and v (S, E),

    attention(q, k, v) = softmax(scale q k^T) v,    scale = 1 / sqrt(D).     Vaswani et al. 2017, "Attention is all you need", equation 1

Without the scale the comparisons of random vectors would have variance D, and the softmax would hardly let a gradient through.

The kernels compute all three gradients in one pass, and keep no (T, S) array from the forward to the backward pass. A gradient that is
itself to be differentiated is composed of other operations, and has such arrays. So is attention with numbers b (T, S) added to the scores,
softmax(scale q k^T + b) v, such as a bias that falls with the distance of two places, or is learned for each distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from minigen import kernels
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, primitive, sum_to
from minigen.kernels.attention.reference import seen_keys
from minigen.ops.composite import composite
from minigen.ops.elementwise import exp, where
from minigen.ops.linalg import matrix_product
from minigen.ops.reduce import logsumexp, sum
from minigen.ops.shape import astype, moveaxis, reshape, stack

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@primitive(residuals=("logarithm",))
def attend(
    query: Float[Array, "N T H D"],
    key: Float[Array, "N S H D"],
    value: Float[Array, "N S H E"],
    mask: Bool[Array, "#N #T S"] | None,
    *,
    causal: bool,
    scale: float,
) -> tuple[Float[Array, "N T H E"], Float[Array, "N H T"]]:
    """Return `attention` for a mask that is None or (N or 1, T or 1, S).

    The residual is the logarithm of the softmax's denominator, from which the gradients make the weights anew.
    """
    return kernels.attend(query, key, value, mask=mask, causal=causal, scale=scale)


@attend.joint_vjp
def _attend_vjp(
    g: TensorLike,
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    mask: Array | None,
    out: Tensor,
    causal: bool,
    scale: float,
) -> tuple[TensorLike | None, ...]:
    *gradients, _ = _gradients(g, query, key, value, None if mask is None else mask[:, None], out, causal, scale)
    return *gradients, None


@attend.fused_vjp
def _attend_fused_vjp(
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    out: Array,
    logarithm: Array,
    causal: bool,
    scale: float,
) -> tuple[Array | None, ...]:
    gradients = kernels.attend_backward(g, query, key, value, out, logarithm, mask=mask, causal=causal, scale=scale)
    return *gradients, None


def _shares(
    query: TensorLike, key: TensorLike, mask: TensorLike | None, causal: bool, scale: float
) -> Float[TensorLike, "N H T S"]:
    """Return softmax(scale q k^T), for q and k with the heads before the places, (N, H, T or S, D).

    The mask has four axes, (N, H, T, S), the first three of them also 1. Numbers are added to the scores; booleans say which keys are seen.
    """
    scores = matrix_product(query, key, transpose_b=True) * scale
    if mask is not None:
        scores = where(mask, scores, -math.inf) if mask.dtype == bool else scores + mask
    if causal:
        like = query.data if isinstance(query, Tensor) else query
        scores = where(seen_keys(like, *scores.shape[-2:]), scores, -math.inf)
    total = logsumexp(scores, axis=-1, keepdims=True)
    return exp(scores - where(total == -math.inf, 0.0, total))


def _gradients(
    g: TensorLike,
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    mask: TensorLike | None,
    out: TensorLike,
    causal: bool,
    scale: float,
) -> tuple[TensorLike, ...]:
    """Return the gradients of query, key, value and scores for a cotangent g of out."""
    g, query, key, value, out = (moveaxis(x, 1, 2) for x in (g, query, key, value, out))  # (N, H, T or S, ...)
    share = _shares(query, key, mask, causal, scale)
    slope = share * (matrix_product(g, value, transpose_b=True) - sum(g * out, axis=-1, keepdims=True))
    scaled = slope * scale
    return (
        moveaxis(matrix_product(scaled, key), 1, 2),
        moveaxis(matrix_product(scaled, query, transpose_a=True), 1, 2),
        moveaxis(matrix_product(share, g, transpose_a=True), 1, 2),
        slope,
    )


@primitive()
def attend_biased(
    query: Float[Array, "N T H D"],
    key: Float[Array, "N S H D"],
    value: Float[Array, "N S H E"],
    bias: Float[Array, "#N #H #T S"],
    *,
    causal: bool,
    scale: float,
) -> Float[Array, "N T H E"]:
    """Return softmax(scale q k^T + bias) v. It has no kernel: it and its gradients hold arrays of all pairs."""
    share = _shares(moveaxis(query, 1, 2), moveaxis(key, 1, 2), bias, causal, scale)
    return moveaxis(matrix_product(share, moveaxis(value, 1, 2)), 1, 2)


@attend_biased.joint_vjp
def _attend_biased_vjp(
    g: TensorLike,
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    bias: TensorLike,
    out: TensorLike,
    causal: bool,
    scale: float,
) -> tuple[TensorLike, ...]:
    *gradients, slope = _gradients(g, query, key, value, bias, out, causal, scale)
    return *gradients, sum_to(slope, shape=bias.shape)


@primitive(residuals=("logarithm",))
def attend_packed(
    packed: Float[Array, "N T 3 H D"], mask: Bool[Array, "#N #T T"] | None, *, causal: bool, scale: float
) -> tuple[Float[Array, "N T H D"], Float[Array, "N H T"]]:
    """Return `attend` for queries, keys and values in one array, (N, T, 3, H, D): their gradients need not be put together."""
    query, key, value = (packed[:, :, i] for i in range(3))
    return kernels.attend(query, key, value, mask=mask, causal=causal, scale=scale)


@attend_packed.joint_vjp
def _attend_packed_vjp(
    g: TensorLike, packed: TensorLike, mask: Array | None, out: Tensor, causal: bool, scale: float
) -> tuple[TensorLike | None, ...]:
    query, key, value = (packed[:, :, i] for i in range(3))
    *gradients, _ = _attend_vjp(g, query, key, value, mask, out, causal, scale)
    return stack(gradients, axis=2), None


@attend_packed.fused_vjp
def _attend_packed_fused_vjp(
    g: Array, packed: Array, mask: Array | None, out: Array, logarithm: Array, causal: bool, scale: float
) -> tuple[Array | None, ...]:
    return kernels.attend_packed_backward(g, packed, out, logarithm, mask=mask, causal=causal, scale=scale), None


@composite
def attention(
    query: Float[TensorLike, "N T H D"],
    key: Float[TensorLike, "N S H D"],
    value: Float[TensorLike, "N S H E"],
    mask: Bool[TensorLike, "N S"]
    | Bool[TensorLike, "#N #T S"]
    | Float[TensorLike, "N S"]
    | Float[TensorLike, "#N #T S"]
    | Float[TensorLike, "#N #H #T S"]
    | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "N T H E"]:
    """Return softmax(scale q k^T) v in each head, or softmax(scale q k^T + mask) v for a mask of numbers.

    A query that sees no key gets zeros. What a hidden key and its value hold makes no difference, so long as it is finite. A number of -inf
    hides a key as False does; its own gradient is 0.

    Args:
        query: q, (N, T, H, D): N examples, T queries, H heads, D features.
        key: k, (N, S, H, D): S keys.
        value: v, (N, S, H, E).
        mask: booleans, True where a key is seen. (N, S) says so of every key, for all queries, as where sequences of different lengths are
            filled up; (N, T, S) of every pair, with N or T 1 if it is the same for all. None for all. Or numbers that are added to the
            scores, of these shapes or of (N, H, T, S), with N, H or T 1; through a Tensor that requires grad, such as a learned bias for
            each distance, gradients flow. They are served by arrays of all pairs instead of a kernel.
        causal: whether the queries stand at the last T of the S keys and see none after their own: query t sees key s <= t + S - T. For
            T = S that is the lower triangle; with keys of earlier calls before them, new queries see those too.
        scale: by default 1 / sqrt(D).

    Returns:
        (N, T, H, E).

    Raises:
        ValueError: lengths do not agree, or the mask has another shape.
        TypeError: the mask holds neither booleans nor floating-point numbers.

    Example:
        >>> import numpy as np
        >>> x = np.array([1.0, 3.0, 8.0]).reshape(1, 3, 1, 1)  # three places, of one feature in one head
        >>> attention(0.0 * x, x, x).ravel()  # equal scores: the mean
        array([4., 4., 4.])
        >>> attention(0.0 * x, x, x, causal=True).ravel()
        array([1., 2., 4.])
        >>> attention(0.0 * x, x, x, np.array([[True, False, True]])).ravel()
        array([4.5, 4.5, 4.5])
        >>> distance = np.abs(np.arange(3.0)[:, None] - np.arange(3.0))
        >>> attention(0.0 * x, x, x, -1000.0 * distance[None]).ravel()  # a bias so steep that each place sees itself alone
        array([1., 3., 8.])
    """
    _check(query, key, value)
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[3])
    pairs = _pairs(mask, query.shape, key.shape)
    if pairs is not None and pairs.dtype != bool:
        return attend_biased(query, key, value, astype(pairs, dtype=query.dtype), causal=causal, scale=scale)
    return attend(query, key, value, pairs, causal=causal, scale=scale)


@composite
def self_attention(
    packed: Float[TensorLike, "N T 3 H D"],
    mask: Bool[TensorLike, "N T"]
    | Bool[TensorLike, "#N #T T"]
    | Float[TensorLike, "N T"]
    | Float[TensorLike, "#N #T T"]
    | Float[TensorLike, "#N #H #T T"]
    | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "N T H D"]:
    """Return `attention` among the places of a sequence, whose queries, keys and values stand side by side in one array.

    Args:
        packed: (N, T, 3, H, D); what a linear map to 3 H D features gives, reshaped.
        mask, causal, scale: as of `attention`, with S = T.

    Returns:
        (N, T, H, D).

    Raises:
        ValueError: `packed` has other axes, or the mask another shape.
        TypeError: the mask holds neither booleans nor floating-point numbers.

    Example:
        >>> import numpy as np
        >>> packed = np.zeros((1, 2, 3, 1, 1))
        >>> packed[0, :, 2, 0, 0] = [1.0, 3.0]
        >>> self_attention(packed, causal=True).ravel()
        array([1., 2.])
    """
    if len(packed.shape) != 5 or packed.shape[2] != 3 or 0 in packed.shape[1:]:
        raise ValueError(
            f"self_attention: packed has shape {packed.shape}, expected (N, T, 3, H, D) with T, H and D at least 1"
        )
    query = packed.shape[:2] + packed.shape[3:]
    if scale is None:
        scale = 1.0 / math.sqrt(query[3])
    pairs = _pairs(mask, query, query)
    if pairs is not None and pairs.dtype != bool:
        parts = (packed[:, :, 0], packed[:, :, 1], packed[:, :, 2])
        return attend_biased(*parts, astype(pairs, dtype=packed.dtype), causal=causal, scale=scale)
    return attend_packed(packed, pairs, causal=causal, scale=scale)


def _pairs(mask: TensorLike | None, query: tuple[int, ...], key: tuple[int, ...]) -> TensorLike | None:
    """Return the mask for a query and a key of these shapes: a boolean one as (N, T, S), another as (N, H, T, S), N, H and T also 1."""
    if mask is None:
        return None
    is_boolean = mask.dtype == bool
    if not is_boolean and mask.dtype.kind != "f":
        raise TypeError(
            f"attention: the mask is {mask.dtype}; expected booleans, True where a key is seen, e.g. lengths > positions, or "
            f"floating-point numbers to be added to the scores"
        )
    n, queries, heads, keys = *query[:3], key[1]
    shape = mask.shape
    if shape == (n, keys):
        shape = (n, 1, keys)
    if not is_boolean and len(shape) == 3:
        shape = (shape[0], 1, *shape[1:])
    whole = (n, queries, keys) if is_boolean else (n, heads, queries, keys)
    if len(shape) == len(whole) and shape[-1] == keys and all(a in (1, b) for a, b in zip(shape, whole, strict=True)):
        mask = mask.data if is_boolean and isinstance(mask, Tensor) else mask
        return mask if mask.shape == shape else reshape(mask, shape=shape)
    ends = "in which N or T may be 1" if is_boolean else f"or (N, H, T, S) = {whole}, in which N, H or T may be 1"
    raise ValueError(
        f"attention: the mask has shape {mask.shape}; with {n} examples, {queries} queries and {keys} keys expected (N, S) = {(n, keys)} "
        f"or (N, T, S) = {(n, queries, keys)}, {ends}"
    )


def _check(query: TensorLike, key: TensorLike, value: TensorLike) -> None:
    if not len(query.shape) == len(key.shape) == len(value.shape) == 4:
        wrong = "each needs four axes"
    elif not query.shape[0] == key.shape[0] == value.shape[0]:
        wrong = "the numbers of examples N differ"
    elif not query.shape[2] == key.shape[2] == value.shape[2]:
        wrong = "the numbers of heads H differ"
    elif query.shape[3] != key.shape[3]:
        wrong = "query and key differ in their features D"
    elif query.shape[3] == 0:
        wrong = "query and key need at least one feature D"
    elif key.shape[1] != value.shape[1]:
        wrong = "the numbers of keys and values S differ"
    elif key.shape[1] == 0:
        wrong = "there must be at least one key"
    else:
        return
    shapes = f"query (N, T, H, D) {query.shape}, key (N, S, H, D) {key.shape}, value (N, S, H, E) {value.shape}"
    raise ValueError(f"attention: {wrong}: {shapes}")
