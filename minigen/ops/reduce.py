"""Reductions along axes, and the normalised exponentials.

Throughout, `axis` is an axis, a tuple of axes, or None for all of them; negative axes count from the end; `keepdims` leaves the reduced
axes in place with length 1. As in NumPy, an axis that x does not have is refused, and a single number may be reduced over axis 0. Over no
elements a sum is 0, a product 1 and a mean NaN, and a maximum is refused. A vjp first puts the reduced axes back (`_restored`), and then
spreads the cotangent over them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, add, primitive
from minigen.operators import Axis
from minigen.ops.composite import composite
from minigen.ops.elementwise import abs, divide, exp, multiply, sign, where
from minigen.ops.shape import astype, broadcast_to, checked_axes, concatenate, flip, moveaxis, reshape
from minigen.sizes import is_whole, shown, whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, Shaped


def _reduced_axes(name: str, ndim: int, axis: Axis) -> tuple[int, ...]:
    """Return the axes as a tuple of numbers in range(ndim)."""
    if type(axis) is int and -ndim <= axis < ndim:  # the usual case
        return (axis % ndim,)
    axes = checked_axes(name, ndim or 1, axis)
    return axes if ndim else ()


def _restored(y: Array, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Give a reduced array back its reduced axes, with length 1, so that it broadcasts against x."""
    if keepdims or len(y.shape) == 0:  # a single number broadcasts as it is
        return y
    axes = _reduced_axes("reshape", len(x_shape), axis)
    return reshape(y, shape=tuple(1 if i in axes else n for i, n in enumerate(x_shape)))


def _count(name: str, shape: tuple[int, ...], axis: Axis) -> int:
    return math.prod(shape[a] for a in _reduced_axes(name, len(shape), axis))


def _is_half(x: TensorLike) -> bool:
    """Return whether x is of float16, whose sums and squares may overflow where means and lengths do not."""
    return x.dtype.char == "e"


@primitive()
def sum(x: Shaped[Array, "..."], *, axis: Axis = None, keepdims: bool = False) -> Num[Array, "..."]:
    """Return the sum over the axes.

    Example:
        >>> import numpy as np
        >>> sum(np.ones((2, 3)), axis=0)
        array([2., 2., 2.])
    """
    return x.sum(axis=axis, keepdims=keepdims)


sum.vjp(x=lambda g, x_shape, axis, keepdims: broadcast_to(_restored(g, x_shape, axis, keepdims), shape=x_shape))


@primitive()
def mean(x: Shaped[Array, "..."], *, axis: Axis = None, keepdims: bool = False) -> Float[Array, "..."]:
    """Return the mean over the axes. Float16 is summed up in float32, as in NumPy.

    Example:
        >>> import numpy as np
        >>> mean(np.array([1.0, 2.0, 6.0]))
        array(3.)
    """
    if _is_half(x):
        return (x.sum(axis=axis, keepdims=keepdims, dtype="float32") / _count("mean", x.shape, axis)).astype("float16")
    return x.sum(axis=axis, keepdims=keepdims) / _count("mean", x.shape, axis)


def _mean_vjp(g: Array, x_shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    share = g * (1.0 / (_count("mean", x_shape, axis) or 1))
    return broadcast_to(_restored(share, x_shape, axis, keepdims), shape=x_shape)


mean.vjp(x=_mean_vjp)


@composite
def var(
    x: Num[TensorLike, "..."], *, axis: Axis = None, keepdims: bool = False, correction: int = 0
) -> Float[Tensor, "..."]:
    """Return the variance over the axes: the mean squared deviation from the mean. For float16 it is computed in float32.

    Args:
        x: any shape.
        axis, keepdims: as everywhere in this file.
        correction: the sum of squares is divided by n - correction; 1 gives the unbiased estimate.

    Example:
        >>> import numpy as np
        >>> var(np.array([1.0, 2.0, 6.0]), correction=1)
        array(7.)
    """
    count = _corrected_count("var", x.shape, axis, correction)
    if _is_half(x):
        wide = astype(x, dtype="float32")
        return astype(var(wide, axis=axis, keepdims=keepdims, correction=correction), dtype="float16")
    deviation = _deviation(x, axis)
    return divide(sum(deviation * deviation, axis=axis, keepdims=keepdims), count)


@composite
def std(
    x: Num[TensorLike, "..."], *, axis: Axis = None, keepdims: bool = False, correction: int = 0
) -> Float[Tensor, "..."]:
    """Return the standard deviation over the axes, the root of `var`. For float16 it is computed in float32.

    Where all values are equal, its gradients of every order are taken as 0. No square overflows or vanishes on the way, as in `norm`.

    Args:
        x: any shape.
        axis, keepdims: as everywhere in this file.
        correction: the sum of squares is divided by n - correction, as in `var`.

    Example:
        >>> import numpy as np
        >>> std(np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))
        array(2.)
    """
    count = _corrected_count("std", x.shape, axis, correction)
    if _is_half(x):
        wide = astype(x, dtype="float32")
        return astype(std(wide, axis=axis, keepdims=keepdims, correction=correction), dtype="float16")
    return divide(norm(_deviation(x, axis), axis=axis, keepdims=keepdims), math.sqrt(count))


def _corrected_count(name: str, shape: tuple[int, ...], axis: Axis, correction: int) -> int:
    """Return by how much a sum of squared deviations is divided."""
    count = _count(name, shape, axis)
    if count <= correction:
        raise ValueError(
            f"{name}: {count} values along axis {axis} of shape {shape} leave none after the correction {correction}"
        )
    return count - correction


def _deviation(x: TensorLike, axis: Axis) -> TensorLike:
    deviation = x - mean(x, axis=axis, keepdims=True)
    return deviation - mean(deviation, axis=axis, keepdims=True)  # far from 0 the mean itself was rounded


@primitive()
def max(x: Shaped[Array, "..."], *, axis: Axis = None, keepdims: bool = False) -> Shaped[Array, "..."]:
    """Return the maximum over the axes; tied maxima share the gradient equally, and so do NaNs, if there are any.

    Example:
        >>> import numpy as np
        >>> max(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([5., 7.])
    """
    return x.max(axis=axis, keepdims=keepdims)


@primitive()
def min(x: Shaped[Array, "..."], *, axis: Axis = None, keepdims: bool = False) -> Shaped[Array, "..."]:
    """Return the minimum over the axes; tied minima share the gradient equally, and so do NaNs, if there are any.

    Example:
        >>> import numpy as np
        >>> min(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([1., 2.])
    """
    return x.min(axis=axis, keepdims=keepdims)


def _extremum_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    attained = where(x == _restored(out, x.shape, axis, keepdims), True, x != x)  # NaN is not equal to itself
    ties = astype(sum(attained, axis=axis, keepdims=True), dtype=x.dtype)
    return where(attained, _restored(g, x.shape, axis, keepdims) / ties, 0.0)


max.vjp(x=_extremum_vjp)
min.vjp(x=_extremum_vjp)


@primitive()
def argmax(x: Shaped[Array, "..."], *, axis: int | None = None, keepdims: bool = False) -> Int[Array, "..."]:
    """Return the index of the (first) maximum, or of the first NaN, along an axis, or in the flattened array.

    Example:
        >>> import numpy as np
        >>> argmax(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([1, 0])
    """
    return x.argmax(axis=axis, keepdims=keepdims)


@primitive()
def argmin(x: Shaped[Array, "..."], *, axis: int | None = None, keepdims: bool = False) -> Int[Array, "..."]:
    """Return the index of the (first) minimum, or of the first NaN, along an axis, or in the flattened array.

    Example:
        >>> import numpy as np
        >>> argmin(np.array([[1.0, 5.0], [7.0, 2.0]]), axis=1)
        array([0, 1])
    """
    return x.argmin(axis=axis, keepdims=keepdims)


@composite
def prod(x: Num[TensorLike, "..."], *, axis: Axis = None, keepdims: bool = False) -> Num[Tensor, "..."]:
    """Return the product over the axes, multiplied pairwise in a tree.

    The usual gradient, the product divided by each factor, fails where a factor is 0; a tree of products needs no division, at any order.

    Example:
        >>> import numpy as np
        >>> prod(np.array([2.0, 3.0, 4.0]))
        array(24.)
    """
    axes = _reduced_axes("prod", x.ndim, axis)
    kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape)) if keepdims else kept
    factors = reshape(
        moveaxis(x, source=axes, destination=tuple(range(len(axes)))), shape=(_count("prod", x.shape, axis), *kept)
    )
    if len(factors) == 0:
        return reshape(add(sum(factors, axis=0), 1), shape=shape)  # an empty product
    while len(factors) > 1:
        half = len(factors) // 2
        pairs = multiply(factors[:half], factors[half : 2 * half])
        factors = concatenate([pairs, factors[2 * half :]]) if len(factors) % 2 else pairs
    return reshape(factors, shape=shape)


@primitive()
def cumsum(x: Shaped[Array, "..."], *, axis: int | None = None) -> Num[Array, "..."]:
    """Return the running sums along an axis, or of the flattened array if it is None. A single number gives shape (1,), as in NumPy.

    Example:
        >>> import numpy as np
        >>> cumsum(np.array([1.0, 2.0, 3.0]), axis=0)
        array([1., 3., 6.])
    """
    return array_module(x).cumsum(x, axis=axis)


def _cumsum_vjp(g: Array, x_shape: tuple[int, ...], axis: int | None) -> Array:
    sums = flip(cumsum(flip(g, axis=axis), axis=axis), axis=axis)
    return sums if len(x_shape) == len(g.shape) else reshape(sums, shape=x_shape)


cumsum.vjp(x=_cumsum_vjp)


@composite
def diff(x: Num[TensorLike, "..."], n: int = 1, axis: int = -1) -> Num[Tensor, "..."]:
    """Return the differences of neighbours along an axis, each element less the one before it.

    Args:
        x: at least one axis.
        n: how many times differences are taken; each leaves the axis one shorter, down to nothing.
        axis: the axis along which neighbours stand.

    Example:
        >>> import numpy as np
        >>> diff(np.array([1.0, 3.0, 7.0]))
        array([2., 4.])
    """
    n = whole_number("diff", "n", n, 0)
    if x.ndim == 0:
        raise ValueError("diff: x is a single number; expected at least one axis, along which it has neighbours")
    (axis,) = checked_axes("diff", x.ndim, axis)
    before = (slice(None),) * axis
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


@primitive()
def norm(
    x: Num[Array, "..."], *, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """Return the Euclidean norm over the axes, or another p-norm, (sum |x|^p)^(1/p). At x = 0 its gradients of every order are taken as 0.

    No power overflows or vanishes on the way: norms from the smallest to the largest number of x's dtype come out, with their gradients.

    Args:
        x: any shape.
        ord: p > 0; None, 2 and "fro" are the Euclidean norm. `math.inf` is the largest |x| and -`math.inf` the smallest, where ties share
            the gradient equally, as in `max`. At an element that is 0, derivatives that are infinite, those of an order above p, are
            taken as 0.
        axis, keepdims: as everywhere in this file. The elements along several axes are one vector, as in torch.linalg.vector_norm. In NumPy
            two axes are a matrix's, whose norm as an operator is another one: for 2 it is the largest singular value.

    Example:
        >>> import numpy as np
        >>> norm(np.array([3.0, 4.0])), norm(np.array([3.0, 4.0]), ord=1)
        (array(5.), array(7.))
    """
    axes = _reduced_axes("norm", x.ndim, axis)
    order = _checked_order(ord)
    out = kernels.norm(x, axes=axes) if order == 2 else _power_norm(x, order, axes)
    return out if keepdims else out.squeeze(axis=axes)


def _checked_order(order: Any) -> float:
    """Return the p of a norm as a float."""
    if order is None or order == "fro":
        return 2.0
    is_number = isinstance(order, int | float | np.integer | np.floating) and not isinstance(order, bool)
    if is_number and (order > 0 or order == -math.inf):
        return float(order)
    advice = f"; an axis is given by name, norm(x, axis={order})" if is_whole(order) else ""
    raise ValueError(f"norm: ord is {shown(order)}, expected a number p > 0, inf, -inf or 'fro'{advice}")


def _power_norm(x: Array, order: float, axes: tuple[int, ...]) -> Array:
    """Return the p-norm over axes that stay with length 1: m (sum (|x| / m)^p)^(1/p), with m the largest |x|."""
    module = array_module(x)
    size = module.abs(x)
    if order in (math.inf, -math.inf):
        return (size.max if order > 0 else size.min)(axis=axes, keepdims=True) + 0.0  # of integers too a float
    largest = size.max(axis=axes, keepdims=True) if x.size else size.sum(axis=axes, keepdims=True)
    scale = module.where((largest > 0) & (largest < math.inf), largest, largest * 0.0 + 1.0)
    size = size / scale
    total = (size**order).sum(axis=axes, keepdims=True, dtype="float32" if _is_half(x) else None)
    return (scale * total ** (1.0 / order)).astype(size.dtype, copy=False)


def _norm_vjp(g: Array, x: Array, out: Array, ord: float | str | None, axis: Axis, keepdims: bool) -> Array:
    order = _checked_order(ord)
    if order in (math.inf, -math.inf):
        return _extremum_vjp(g, abs(x), out, axis, keepdims) * sign(x)
    length = _restored(out, x.shape, axis, keepdims)
    direction = x / where(length == 0, 1.0, length)
    if order != 2:  # x / |x| (|x| / length)^(p - 1)
        direction = sign(x) * where(x == 0, 1.0, abs(direction)) ** (order - 1.0)
    return where(length == 0, 0.0, _restored(g, x.shape, axis, keepdims)) * direction


norm.vjp(x=_norm_vjp)


@primitive()
def root_mean_square(
    x: Float[Array, "..."], *, axis: Axis = None, keepdims: bool = False, epsilon: float = 0.0
) -> Float[Array, "..."]:
    """Return sqrt(mean of x^2 + epsilon) over the axes. Without an epsilon its gradients of every order at x = 0 are taken as 0.

    No square overflows or vanishes on the way, as in `norm`.

    Example:
        >>> import numpy as np
        >>> root_mean_square(np.array([1e30, -1e30], "float32"))
        array(1.e+30, dtype=float32)
    """
    axes = _reduced_axes("root_mean_square", x.ndim, axis)
    root = kernels.norm(x, axes=axes) / math.sqrt(_count("root_mean_square", x.shape, axis))
    out = array_module(x).hypot(root, math.sqrt(epsilon)) if epsilon else root
    return out if keepdims else out.squeeze(axis=axes)


def _root_mean_square_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    root = _restored(out, x.shape, axis, keepdims)
    share = _restored(g, x.shape, axis, keepdims) * (1.0 / (_count("root_mean_square", x.shape, axis) or 1))
    return where(root == 0, 0.0, share) * (x / where(root == 0, 1.0, root))


root_mean_square.vjp(x=_root_mean_square_vjp)


@primitive()
def logsumexp(x: Float[Array, "..."], *, axis: Axis = None, keepdims: bool = False) -> Float[Array, "..."]:
    """Return log sum exp over the axes, without overflow. An empty slice, or one of nothing but -inf, gives -inf, with gradient 0.

    An entry of +inf gives inf, and the gradient of its slice is NaN, as in PyTorch.

    Example:
        >>> import numpy as np
        >>> float(logsumexp(np.array([1000.0, 1000.0])) - np.log(2.0))
        1000.0
    """
    axes = _reduced_axes("logsumexp", x.ndim, axis)
    out = kernels.logsumexp(x, axes=axes)
    return out if keepdims else out.squeeze(axis=axes)


def _logsumexp_vjp(g: Array, x: Array, out: Array, axis: Axis, keepdims: bool) -> Array:
    total = _restored(out, x.shape, axis, keepdims)
    share = exp(x - where(total == float("-inf"), 0.0, total))
    return _restored(g, x.shape, axis, keepdims) * share


logsumexp.vjp(x=_logsumexp_vjp)


@primitive()
def softmax(x: Float[Array, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Return exp(x) / sum exp(x) along an axis.

    An entry of -inf, such as a masked one, gets 0 and no gradient. A slice of nothing but -inf, or with +inf in it, is NaN, as in PyTorch.

    Example:
        >>> import numpy as np
        >>> softmax(np.array([0.0, 0.0]))
        array([0.5, 0.5])
    """
    return kernels.softmax(x, axis=axis)


@primitive()
def softmax_backward(g: Float[Array, "*shape"], y: Float[Array, "*shape"], *, axis: int) -> Float[Array, "*shape"]:
    """Return y (g - sum(g y)), the vjp of y = softmax(x): the product of g with the symmetric matrix diag(y) - y y^T."""
    return kernels.softmax_backward(g, y, axis=axis)


def _softmax_backward_vjp_y(h: Array, g: Array, y: Array, axis: int) -> Array:
    return h * (g - sum(g * y, axis=axis, keepdims=True)) - g * sum(h * y, axis=axis, keepdims=True)


softmax.vjp(x=lambda g, out, axis: softmax_backward(g, out, axis=axis))
softmax_backward.vjp(g=lambda h, y, axis: softmax_backward(h, y, axis=axis), y=_softmax_backward_vjp_y)


@primitive()
def log_softmax(x: Float[Array, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Return log(softmax(x)) along an axis, without overflow.

    Example:
        >>> import numpy as np
        >>> np.exp(log_softmax(np.array([0.0, 0.0])))
        array([0.5, 0.5])
    """
    return kernels.log_softmax(x, axis=axis)


@primitive()
def log_softmax_backward(g: Float[Array, "*shape"], y: Float[Array, "*shape"], *, axis: int) -> Float[Array, "*shape"]:
    """Return g - exp(y) sum(g), the vjp of y = log_softmax(x)."""
    return kernels.log_softmax_backward(g, y, axis=axis)


log_softmax.vjp(x=lambda g, out, axis: log_softmax_backward(g, out, axis=axis))
log_softmax_backward.vjp(
    g=lambda h, y, axis: h - sum(h * exp(y), axis=axis, keepdims=True),
    y=lambda h, g, y, axis: -h * exp(y) * sum(g, axis=axis, keepdims=True),
)
