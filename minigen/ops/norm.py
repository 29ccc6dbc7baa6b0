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

    They are given, and not computed here, for a layer that wants them too. How they depend on x is a part of the gradient of x.
    """
    return kernels.normalize_by(x, weight, bias, mean, _scale(variance, epsilon), axes=axes)


@primitive(broadcasts=True, residuals=("mean", "variance"))
def normalize_groups(
    x: Array, weight: Array | None, bias: Array | None, *, axes: tuple[int, ...], epsilon: float
) -> tuple[Array, Array, Array]:
    """Return the same, in one pass over x where a group fits into the cache; and mean and variance."""
    return kernels.normalize(x, weight, bias, axes=axes, epsilon=epsilon)


@primitive()
def normalize_backward(
    g: Array, x: Array, mean: Array, variance: Array, *, axes: tuple[int, ...], epsilon: float
) -> Array:
    """Return B(g, x), the vjp of x^, where mean and variance are `moments(x, axes=axes)`."""
    return kernels.normalize_backward(g, x, None, mean, _scale(variance, epsilon), axes=axes, bias_shape=())[0]


def _scale(variance: Array, epsilon: float) -> Array:
    return 1.0 / array_module(variance).sqrt(variance + epsilon)


def _gradients(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, axes: tuple[int, ...], epsilon: float
) -> tuple[Array | None, ...]:
    """Return the gradients of x, weight and bias; the engine sums over axes along which weight and bias were broadcast."""
    weighted = g if weight is None else g * weight
    along_x = normalize_backward(weighted, x, mean, variance, axes=axes, epsilon=epsilon)
    if weight is None:
        return along_x, None, g
    return along_x, g * normalize_by(x, None, None, mean, variance, axes=axes, epsilon=epsilon), g


def _fused_gradients(
    g: Array,
    x: Array,
    weight: Array | None,
    bias_shape: tuple[int, ...],
    mean: Array,
    variance: Array,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Array | None, ...]:
    scale = _scale(variance, epsilon)
    return kernels.normalize_backward(g, x, weight, mean, scale, axes=axes, bias_shape=bias_shape)


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


normalize_by.joint_vjp(_gradients)
normalize_by.fused_vjp(_fused_gradients)
normalize_groups.joint_vjp(_gradients)
normalize_groups.fused_vjp(_fused_gradients)
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
    return normalize_groups(x, weight, bias, axes=axes, epsilon=epsilon)
