"""Reductions along axes, and the normalised exponentials.

Throughout, `axis` is an axis, a tuple of axes, or None for all of them; negative axes count from the end; `keepdims` leaves the reduced
axes in place with length 1. A vjp first puts the reduced axes back (`_restored`), and then spreads the cotangent over them.
"""

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, add, primitive
from minigen.operators import Axis
from minigen.ops.composite import composite
from minigen.ops.elementwise import divide, exp, multiply, where
from minigen.ops.shape import astype, broadcast_to, checked_axes, concatenate, flip, moveaxis, reshape


def _reduced_axes(ndim: int, axis: Axis) -> tuple[int, ...]:
    """Return the axes as a tuple of numbers in range(ndim)."""
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _restored(y: Array, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Give a reduced array back its reduced axes, with length 1, so that it broadcasts against x."""
    if keepdims or len(y.shape) == 0:  # a single number broadcasts as it is
        return y
    axes = _reduced_axes(len(x_shape), axis)
    return reshape(y, shape=tuple(1 if i in axes else n for i, n in enumerate(x_shape)))


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    count = 1
    for a in _reduced_axes(len(shape), axis):
        count *= shape[a]
    return count


@primitive()
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the sum over the axes.

    Example:
        >>> import numpy as np
        >>> sum(np.ones((2, 3)), axis=0)
        array([2., 2., 2.])
    """
    return x.sum(axis=axis, keepdims=keepdims)


sum.vjp(x=lambda g, x_shape, axis, keepdims: broadcast_to(_restored(g, x_shape, axis, keepdims), shape=x_shape))


@primitive()
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the mean over the axes.

    Example:
        >>> import numpy as np
        >>> mean(np.array([1.0, 2.0, 6.0]))
        array(3.)
    """
    return x.sum(axis=axis, keepdims=keepdims) / _count(x.shape, axis)


def _mean_vjp(g: Array, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    share = g * (1.0 / (_count(x_shape, axis) or 1))
    return broadcast_to(_restored(share, x_shape, axis, keepdims), shape=x_shape)


mean.vjp(x=_mean_vjp)


@composite
def var(x: TensorLike, *, axis: Axis = None, keepdims: bool = False, correction: int = 0) -> Tensor:
    """Return the variance over the axes: the mean squared deviation from the mean.

    Args:
        x: any shape.
        axis, keepdims: as everywhere in this file.
        correction: the sum of squares is divided by n - correction; 1 gives the unbiased estimate.

    Example:
        >>> import numpy as np
        >>> var(np.array([1.0, 2.0, 6.0]), correction=1)
        array(7.)
    """
    count = _count(x.shape, axis)
    if count <= correction:
        raise ValueError(
            f"var: {count} values along axis {axis} of shape {x.shape} leave none after the correction {correction}"
        )
    deviation = x - mean(x, axis=axis, keepdims=True)
    return divide(sum(deviation * deviation, axis=axis, keepdims=keepdims), count - correction)


@primitive()
def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the maximum over the axes; tied maxima share the gradient equally.

    Example:
        >>> import numpy as np
        >>> max(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([5., 7.])
    """
    return x.max(axis=axis, keepdims=keepdims)


@primitive()
def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the minimum over the axes; tied minima share the gradient equally.

    Example:
        >>> import numpy as np
        >>> min(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([1., 2.])
    """
    return x.min(axis=axis, keepdims=keepdims)


def _extremum_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    attained = x == _restored(out, x.shape, axis, keepdims)
    ties = astype(sum(attained, axis=axis, keepdims=True), dtype=x.dtype)
    return where(attained, _restored(g, x.shape, axis, keepdims) / ties, 0.0)


max.vjp(x=_extremum_vjp)
min.vjp(x=_extremum_vjp)


@primitive()
def argmax(x: Array, *, axis: int | None = None) -> Array:
    """Return the index of the (first) maximum along an axis, or in the flattened array.

    Example:
        >>> import numpy as np
        >>> argmax(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([1, 0])
    """
    return x.argmax(axis=axis)


@composite
def prod(x: TensorLike, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the product over the axes, multiplied pairwise in a tree.

    The usual gradient, the product divided by each factor, fails where a factor is 0; a tree of products needs no division, at any order.

    Example:
        >>> import numpy as np
        >>> prod(np.array([2.0, 3.0, 4.0]))
        array(24.)
    """
    axes = checked_axes("prod", x.ndim, axis) if x.ndim else ()
    kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape)) if keepdims else kept
    factors = reshape(
        moveaxis(x, source=axes, destination=tuple(range(len(axes)))), shape=(_count(x.shape, axis), *kept)
    )
    if len(factors) == 0:
        return reshape(add(sum(factors, axis=0), 1), shape=shape)  # an empty product
    while len(factors) > 1:
        half = len(factors) // 2
        pairs = multiply(factors[:half], factors[half : 2 * half])
        factors = concatenate([pairs, factors[2 * half :]]) if len(factors) % 2 else pairs
    return reshape(factors, shape=shape)


@primitive()
def cumsum(x: Array, *, axis: int) -> Array:
    """Return the running sums along an axis.

    Example:
        >>> import numpy as np
        >>> cumsum(np.array([1.0, 2.0, 3.0]), axis=0)
        array([1., 3., 6.])
    """
    return array_module(x).cumsum(x, axis=axis)


cumsum.vjp(x=lambda g, axis: flip(cumsum(flip(g, axis=axis), axis=axis), axis=axis))


@primitive()
def norm(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the Euclidean norm over the axes. At x = 0 its gradients of every order are taken as 0.

    Example:
        >>> import numpy as np
        >>> norm(np.array([3.0, 4.0]))
        array(5.)
    """
    return array_module(x).sqrt((x * x).sum(axis=axis, keepdims=keepdims))


def _norm_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    length = _restored(out, x.shape, axis, keepdims)
    g = _restored(g, x.shape, axis, keepdims)
    return where(length == 0, 0.0, g) / where(length == 0, 1.0, length) * x


norm.vjp(x=_norm_vjp)


@primitive()
def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return log sum exp over the axes, without overflow. A slice of nothing but -inf gives -inf, with gradient 0.

    Example:
        >>> import numpy as np
        >>> float(logsumexp(np.array([1000.0, 1000.0])) - np.log(2.0))
        1000.0
    """
    axes = _reduced_axes(x.ndim, axis)
    out = kernels.logsumexp(x, axes=axes)
    return out if keepdims else out.squeeze(axis=axes)


def _logsumexp_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    total = _restored(out, x.shape, axis, keepdims)
    share = exp(x - where(total == float("-inf"), 0.0, total))
    return _restored(g, x.shape, axis, keepdims) * share


logsumexp.vjp(x=_logsumexp_vjp)


@primitive()
def softmax(x: Array, *, axis: int = -1) -> Array:
    """Return exp(x) / sum exp(x) along an axis.

    An entry of -inf, such as a masked one, gets 0 and no gradient; a slice of nothing else is NaN.

    Example:
        >>> import numpy as np
        >>> softmax(np.array([0.0, 0.0]))
        array([0.5, 0.5])
    """
    return kernels.softmax(x, axis=axis)


@primitive()
def softmax_backward(g: Array, y: Array, *, axis: int) -> Array:
    """Return y (g - sum(g y)), the vjp of y = softmax(x): the product of g with the symmetric matrix diag(y) - y y^T."""
    return kernels.softmax_backward(g, y, axis=axis)


def _softmax_backward_vjp_y(h: Array, g: Array, y: Array, axis: int) -> Array:
    return h * (g - sum(g * y, axis=axis, keepdims=True)) - g * sum(h * y, axis=axis, keepdims=True)


softmax.vjp(x=lambda g, out, axis: softmax_backward(g, out, axis=axis))
softmax_backward.vjp(g=lambda h, y, axis: softmax_backward(h, y, axis=axis), y=_softmax_backward_vjp_y)


@primitive()
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """Return log(softmax(x)) along an axis, without overflow.

    Example:
        >>> import numpy as np
        >>> np.exp(log_softmax(np.array([0.0, 0.0])))
        array([0.5, 0.5])
    """
    return kernels.log_softmax(x, axis=axis)


@primitive()
def log_softmax_backward(g: Array, y: Array, *, axis: int) -> Array:
    """Return g - exp(y) sum(g), the vjp of y = log_softmax(x)."""
    return kernels.log_softmax_backward(g, y, axis=axis)


log_softmax.vjp(x=lambda g, out, axis: log_softmax_backward(g, out, axis=axis))
log_softmax_backward.vjp(
    g=lambda h, y, axis: h - sum(h * exp(y), axis=axis, keepdims=True),
    y=lambda h, g, y, axis: -h * exp(y) * sum(g, axis=axis, keepdims=True),
)
