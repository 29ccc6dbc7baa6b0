"""Normalization: groups of values brought to mean 0 and variance 1.

In a group of n values let mu be the mean, v the mean of (x - mu)^2, and s = 1 / sqrt(v + epsilon). Then

    x^ = s (x - mu),    y = w x^ + b.                          Ioffe & Szegedy 2015, "Batch normalization", algorithm 1

`axes` says which values are a group. Of images (N, H, W, C), batch normalization takes (0, 1, 2), layer normalization (3,) or (1, 2, 3),
instance normalization (1, 2).

The derivative of x^ is a symmetric matrix, J = s (I - 1 1^T / n - x^ x^^T / n), so that with m the mean over a group

    B(g, x) = J g = s (g - m(g) - x^ m(g x^))

is the gradient for a cotangent g of x^. In its own two gradients, for a cotangent h, J meets itself:

    of h.B(g, x) with respect to g:    B(h, x)
                 with respect to x:    -s (x^ m(h B(g, x)) + B(h, x) m(g x^) + B(g, x) m(h x^)).
"""

import numpy as np  # noqa: F401 - for the examples

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive
from minigen.ops.composite import composite
from minigen.ops.elementwise import sqrt
from minigen.ops.reduce import mean as average
from minigen.ops.reduce import var
from minigen.ops.shape import checked_axes


def moments(x: TensorLike, *, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the mean and the (biased) variance over the axes, which stay with length 1, as arrays: constants of the graph.

    Example:
        >>> moments(np.array([[1.0], [3.0]]), axes=(0,))
        (array([[2.]]), array([[1.]]))
    """
    return kernels.moments(x.data if isinstance(x, Tensor) else x, axes=axes)


@primitive(broadcasts=True)
def normalize_by(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    mean: Array,
    variance: Array,
    *,
    axes: tuple[int, ...],
    epsilon: float,
) -> Array:
    """Return weight (x - mean) / sqrt(variance + epsilon) + bias, where mean and variance are `moments(x, axes=axes)`.

    They are given, and not computed here, since a layer wants them too. How they depend on x is a part of the gradient of x.
    """
    scale = 1.0 / array_module(x).sqrt(variance + epsilon)
    return kernels.normalize(x, mean, scale if weight is None else scale * weight, bias)


@primitive()
def normalize_backward(
    g: Array, x: Array, mean: Array, variance: Array, *, axes: tuple[int, ...], epsilon: float
) -> Array:
    """Return B(g, x), the vjp of x^, where mean and variance are `moments(x, axes=axes)`."""
    return kernels.normalize_backward(g, x, mean, 1.0 / array_module(x).sqrt(variance + epsilon), axes=axes)


def _normalize_by_vjp_x(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    variance: Array,
    axes: tuple[int, ...],
    epsilon: float,
) -> Array:
    return normalize_backward(g if weight is None else g * weight, x, mean, variance, axes=axes, epsilon=epsilon)


def _normalize_by_vjp_weight(
    g: Array, x: Array, mean: Array, variance: Array, axes: tuple[int, ...], epsilon: float
) -> Array:
    return g * normalize_by(x, None, None, mean, variance, axes=axes, epsilon=epsilon)  # the engine sums


def _normalize_backward_vjp_x(
    h: Array, g: Array, x: Array, mean: Array, variance: Array, axes: tuple[int, ...], epsilon: float
) -> Array:
    normal = normalize_by(x, None, None, mean, variance, axes=axes, epsilon=epsilon)
    along_g = normalize_backward(g, x, mean, variance, axes=axes, epsilon=epsilon)
    along_h = normalize_backward(h, x, mean, variance, axes=axes, epsilon=epsilon)
    scale = 1.0 / sqrt(var(x, axis=axes, keepdims=True) + epsilon)  # from x again, on which it depends

    def m(a: Array) -> Array:
        return average(a, axis=axes, keepdims=True)

    return -scale * (normal * m(h * along_g) + along_h * m(g * normal) + along_g * m(h * normal))


normalize_by.vjp(x=_normalize_by_vjp_x, weight=_normalize_by_vjp_weight, bias=lambda g: g, mean=None, variance=None)
normalize_backward.vjp(
    g=lambda h, x, mean, variance, axes, epsilon: normalize_backward(h, x, mean, variance, axes=axes, epsilon=epsilon),
    x=_normalize_backward_vjp_x,
    mean=None,
    variance=None,
)


@composite
def normalize(
    x: TensorLike,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    *,
    axes: tuple[int, ...],
    epsilon: float = 1e-5,
) -> Tensor:
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
    mean, variance = moments(x, axes=axes)
    return normalize_by(x, weight, bias, mean, variance, axes=axes, epsilon=epsilon)
