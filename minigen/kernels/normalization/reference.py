"""The kernels of normalization in plain array code, for NumPy and CuPy; `ops/norm.py` has the equations.

`axes` says which values are a group: mean and standard deviation are taken over them, and keep them with length 1. The variance is never
formed: it may overflow, or vanish, where the deviation does not.

CuPy keeps a whole GPU busy with sums over the last axes only: over the first ones, 32 sums are one block's work, and the 64 channels of an
image are two blocks'. So groups are copied into rows first, or columns are added up by a product with ones.
"""

import math

from minigen.backend import Array, array_module
from minigen.kernels.reference import norm


def mean_and_deviation(x: Array, *, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The mean and the (biased) standard deviation over the axes, which stay with length 1.

    A rounded mean is off by a little, which is found and taken back in a second pass (Chan, Golub & LeVeque 1983, equation 1.7). So the
    deviation is right even where the mean is thousands of times as large.

    Example:
        >>> import numpy as np
        >>> mean_and_deviation(np.array([[1.0], [3.0]]), axes=(0,))
        (array([[2.]]), array([[1.]]))
    """
    rows, kept = _rows(x, axes), _kept(x, axes)
    mean = rows.mean(axis=1, keepdims=True)
    mean += (rows - mean).mean(axis=1, keepdims=True)
    deviation = norm(rows - mean, axes=(1,)) * math.sqrt(mean.size / max(x.size, 1))
    return mean.reshape(kept), deviation.reshape(kept)


def _kept(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of x with length 1 along the axes."""
    others = _others(x, axes)
    return tuple(n if axis in others else 1 for axis, n in enumerate(x.shape))


def _others(x: Array, axes: tuple[int, ...]) -> list[int]:
    return [axis for axis in range(x.ndim) if axis not in axes and axis - x.ndim not in axes]


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """Each group as a row of a matrix, (groups, members)."""
    others = _others(x, axes)
    groups, members = (math.prod(x.shape[axis] for axis in those) for those in (others, axes))
    return array_module(x).ascontiguousarray(x.transpose(*others, *axes).reshape(groups, members))


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    """The mean over the axes, which stay with length 1."""
    if axes != tuple(range(len(axes))) or x.dtype == "float16":  # in which a sum may overflow and the mean does not
        return _rows(x, axes).mean(axis=1).reshape(_kept(x, axes))
    columns = x.reshape(math.prod(x.shape[: len(axes)]), math.prod(x.shape[len(axes) :]))
    sums = array_module(x).ones(len(columns), x.dtype) @ columns
    return (sums / len(columns)).reshape(_kept(x, axes))


def normalize_by(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, scale: Array, *, axes: tuple[int, ...]
) -> Array:
    """(x - mean) scale weight + bias, where mean and scale have length 1 along the axes; weight and bias broadcast, or are None.

    Example:
        >>> import numpy as np
        >>> normalize_by(np.array([[1.0], [3.0]]), None, None, np.array([[2.0]]), np.array([[10.0]]), axes=(0,)).ravel()
        array([-10.,  10.])
    """
    out = x - mean
    out *= scale
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out


def normalize(
    x: Array, weight: Array | None, bias: Array | None, *, axes: tuple[int, ...], epsilon: float
) -> tuple[Array, Array, Array]:
    """(x - mean) scale weight + bias, and the mean and the scale of each group, 1 / sqrt(deviation^2 + epsilon).

    Example:
        >>> import numpy as np
        >>> normalize(np.array([1.0, 3.0]), None, None, axes=(0,), epsilon=0.0)
        (array([-1.,  1.]), array([2.]), array([1.]))
    """
    mean, deviation = mean_and_deviation(x, axes=axes)
    scale = 1.0 / array_module(x).hypot(deviation, math.sqrt(epsilon))
    return normalize_by(x, weight, bias, mean, scale, axes=axes), mean, scale


def normalize_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    scale: Array,
    *,
    axes: tuple[int, ...],
    bias_shape: tuple[int, ...],
) -> tuple[Array, Array | None, Array]:
    """The gradients of x, weight and bias for a cotangent g of `normalize_by`'s output: with w the weight and m the mean over the axes,

    scale (w g - m(w g) - n m(w g n)),    n g,    g,    with n = scale (x - mean).

    The second is None if the weight is. The last two are still to be summed over the axes along which their factor was broadcast; a
    compiled kernel has done so already for shapes that it knows, hence `bias_shape`.

    Example:
        >>> import numpy as np
        >>> column, mean, scale = np.array([[1.0], [2.0], [6.0]]), np.array([[3.0]]), np.array([[14 / 3]]) ** -0.5
        >>> normalize_backward(column, column, None, mean, scale, axes=(0,), bias_shape=())[0].round(9).ravel()
        array([0., 0., 0.])
    """
    normal = x - mean
    normal *= scale
    weight_gradient = None if weight is None else g * normal
    weighted = g if weight is None else g * weight
    normal *= _mean(weighted * normal, axes)
    out = weighted - normal
    out -= _mean(weighted, axes)
    out *= scale
    return out, weight_gradient, g
