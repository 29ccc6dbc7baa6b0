"""Normalization: groups of values brought to mean 0 and variance 1.

In a group of n values let mu be the mean, v the mean of (x - mu)^2, and s = 1 / sqrt(v + epsilon). Then

    x^ = s (x - mu),    y = w x^ + b.                          Ioffe & Szegedy 2015, "Batch normalization", algorithm 1

The square of a deviation from the mean is never formed where it could overflow: float32 is normalized correctly up to deviations of 1e30,
and float64 up to 1e300. How small they may be depends on epsilon.

`axes` says which values are a group. Of images (N, H, W, C), batch normalization takes (0, 1, 2), layer normalization (3,) or (1, 2, 3),
instance normalization (1, 2).

The derivative of x^ is a symmetric matrix, J = s (I - 1 1^T / n - x^ x^^T / n), so that with m the mean over a group

    B(g, x) = J g = s (g - m(g) - x^ m(g x^))

is the gradient for a cotangent g of x^. In its own two gradients, for a cotangent h, J meets itself:

    of h.B(g, x) with respect to g:    B(h, x)
                 with respect to x:    -s (x^ m(h B(g, x)) + B(h, x) m(g x^) + B(g, x) m(h x^)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive
from minigen.ops.composite import composite
from minigen.ops.reduce import mean as average
from minigen.ops.reduce import root_mean_square
from minigen.ops.shape import checked_axes

if TYPE_CHECKING:
    from jaxtyping import Float


@composite
def mean_and_deviation(
    x: Float[TensorLike, "..."], *, axes: tuple[int, ...]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return the mean and the (biased) standard deviation over the axes, which stay with length 1, as arrays: constants of the graph.

    Example:
        >>> mean_and_deviation(np.array([[1.0], [3.0]]), axes=(0,))
        (array([[2.]]), array([[1.]]))
    """
    return kernels.mean_and_deviation(x.data if isinstance(x, Tensor) else x, axes=axes)


def scale_of(deviation: Float[Array, "*shape"], epsilon: float) -> Float[Array, "*shape"]:
    """Return s = 1 / sqrt(deviation^2 + epsilon), without the square.

    Example:
        >>> scale_of(np.array([1e200]), epsilon=1e-5)
        array([1.e-200])
    """
    return 1.0 / array_module(deviation).hypot(deviation, math.sqrt(epsilon))


@primitive(broadcasts=True)
def normalize_by(
    x: Float[Array, "*shape"],
    weight: Float[Array, "*#shape"] | None,
    bias: Float[Array, "*#shape"] | None,
    mean: Float[Array, "*#shape"],
    scale: Float[Array, "*#shape"],
    *,
    axes: tuple[int, ...],
    epsilon: float,
) -> Float[Array, "*shape"]:
    """Return weight (x - mean) scale + bias, where mean is that of x over the axes, and scale 1 / sqrt(x's variance + epsilon).

    They are given, and not computed here, for a layer that wants them too. How they depend on x is a part of the gradient of x.
    """
    return kernels.normalize_by(x, weight, bias, mean, scale, axes=axes)


@primitive(broadcasts=True, residuals=("mean", "scale"))
def normalize_groups(
    x: Float[Array, "*shape"],
    weight: Float[Array, "*#shape"] | None,
    bias: Float[Array, "*#shape"] | None,
    *,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Float[Array, "*shape"], Float[Array, "*#shape"], Float[Array, "*#shape"]]:
    """Return what `normalize_by` does, in one pass over x where a group fits into the cache; the residuals are mean and scale."""
    return kernels.normalize(x, weight, bias, axes=axes, epsilon=epsilon)


@primitive()
def normalize_backward(
    g: Float[Array, "*shape"],
    x: Float[Array, "*shape"],
    mean: Float[Array, "*#shape"],
    scale: Float[Array, "*#shape"],
    *,
    axes: tuple[int, ...],
    epsilon: float,
) -> Float[Array, "*shape"]:
    """Return B(g, x), the vjp of x^, where mean and scale are as in `normalize_by`."""
    return kernels.normalize_backward(g, x, None, mean, scale, axes=axes, bias_shape=())[0]


def _gradients(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, axes: tuple[int, ...], epsilon: float
) -> tuple[Array | None, ...]:
    """Return the gradients of x, weight and bias; the engine sums over axes along which weight and bias were broadcast."""
    weighted = g if weight is None else g * weight
    along_x = normalize_backward(weighted, x, mean, scale, axes=axes, epsilon=epsilon)
    if weight is None:
        return along_x, None, g
    return along_x, g * normalize_by(x, None, None, mean, scale, axes=axes, epsilon=epsilon), g


def _fused_gradients(
    g: Array,
    x: Array,
    weight: Array | None,
    bias_shape: tuple[int, ...],
    mean: Array,
    scale: Array,
    axes: tuple[int, ...],
) -> tuple[Array | None, ...]:
    return kernels.normalize_backward(g, x, weight, mean, scale, axes=axes, bias_shape=bias_shape)


def _normalize_backward_vjp_x(
    h: Array, g: Array, x: Array, mean: Array, scale: Array, axes: tuple[int, ...], epsilon: float
) -> Array:
    normal = normalize_by(x, None, None, mean, scale, axes=axes, epsilon=epsilon)
    along_g = normalize_backward(g, x, mean, scale, axes=axes, epsilon=epsilon)
    along_h = normalize_backward(h, x, mean, scale, axes=axes, epsilon=epsilon)

    def m(a: Array) -> Array:
        return average(a, axis=axes, keepdims=True)

    root = root_mean_square(
        x - m(x), axis=axes, keepdims=True, epsilon=epsilon
    )  # 1 / scale, from x again, on which it depends
    return (-1.0 / root) * (normal * m(h * along_g) + along_h * m(g * normal) + along_g * m(h * normal))


normalize_by.joint_vjp(_gradients)
normalize_by.fused_vjp(_fused_gradients)
normalize_groups.joint_vjp(_gradients)
normalize_groups.fused_vjp(_fused_gradients)
normalize_backward.vjp(
    g=lambda h, x, mean, scale, axes, epsilon: normalize_backward(h, x, mean, scale, axes=axes, epsilon=epsilon),
    x=_normalize_backward_vjp_x,
    mean=None,
    scale=None,
)


@composite
def normalize(
    x: Float[TensorLike, "*shape"],
    weight: Float[TensorLike, "*#shape"] | None = None,
    bias: Float[TensorLike, "*#shape"] | None = None,
    *,
    axes: tuple[int, ...],
    epsilon: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Return w (x - mu) / sqrt(v + epsilon) + b, with mean mu and variance v of x over the axes.

    Args:
        x: any shape.
        weight: w, of a shape that broadcasts to x's, such as (C,); None for 1.
        bias: b, alike; None for 0.
        axes: over which values are taken together.
        epsilon: keeps the division finite where all values are equal.

    Returns:
        The shape of x.

    Raises:
        ValueError: x has no such axes, or weight or bias does not broadcast.

    Example:
        >>> normalize(np.array([[1.0, 3.0], [10.0, 50.0]]), axes=(1,), epsilon=0.0)
        array([[-1.,  1.],
               [-1.,  1.]])
    """
    axes = checked_axes("normalize", len(x.shape), axes)
    return normalize_groups(x, weight, bias, axes=axes, epsilon=epsilon)
