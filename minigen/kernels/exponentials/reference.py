"""Sums of exponentials, and exponentials normalised by them, in plain array code, for NumPy and CuPy."""

import math

from minigen.backend import Array, array_module


def _largest(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The largest value along the axes, which stay with length 1; that of an empty slice is -inf."""
    if x.size == 0:
        return x.sum(axis=axis, keepdims=True) - math.inf
    return x.max(axis=axis, keepdims=True)


def _sum(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The sum along the axes, which stay with length 1; that of float16 in float32, since the largest float16 is 65,504."""
    return x.sum(axis=axis, keepdims=True, dtype="float32" if x.dtype == "float16" else None)


def softmax(x: Array, *, axis: int) -> Array:
    """exp(x) / sum exp(x) along an axis. An entry of -inf gets 0, a slice of nothing else NaN.

    Example:
        >>> import numpy as np
        >>> softmax(np.array([0.0, 0.0]), axis=0)
        array([0.5, 0.5])
    """
    weights = array_module(x).exp(x - _largest(x, axis))
    weights /= _sum(weights, axis)
    return weights


def softmax_backward(g: Array, y: Array, *, axis: int) -> Array:
    """y (g - sum(g y)), the gradient for y = softmax(x).

    Example:
        >>> import numpy as np
        >>> softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]), axis=0)
        array([ 0.25, -0.25])
    """
    return y * (g - (g * y).sum(axis=axis, keepdims=True))


def log_softmax(x: Array, *, axis: int) -> Array:
    """x - log sum exp(x) along an axis, without overflow. An entry of -inf keeps it, a slice of nothing else gets NaN.

    Example:
        >>> import numpy as np
        >>> np.exp(log_softmax(np.array([0.0, 0.0]), axis=0))
        array([0.5, 0.5])
    """
    module = array_module(x)
    shifted = x - _largest(x, axis)
    if x.size:
        shifted -= module.log(_sum(module.exp(shifted), axis))
    return shifted


def log_softmax_backward(g: Array, y: Array, *, axis: int) -> Array:
    """g - exp(y) sum(g), the gradient for y = log_softmax(x).

    Example:
        >>> import numpy as np
        >>> log_softmax_backward(np.array([1.0, 0.0]), np.log([0.5, 0.5]), axis=0)
        array([ 0.5, -0.5])
    """
    return g - array_module(y).exp(y) * g.sum(axis=axis, keepdims=True)


def logsumexp(x: Array, *, axes: tuple[int, ...]) -> Array:
    """Log sum exp(x) over the axes, which stay with length 1, without overflow. An empty slice, or one of nothing but -inf, gives -inf.

    Example:
        >>> import numpy as np
        >>> float(logsumexp(np.array([1000.0, 1000.0]), axes=(0,))[0] - np.log(2.0))
        1000.0
    """
    module = array_module(x)
    top = _largest(x, axes)
    top = module.where(module.isfinite(top), top, 0.0)  # so that inf - inf does not arise
    total = _sum(module.exp(x - top), axes)
    log_total = module.where(total > 0, module.log(module.where(total > 0, total, 1.0)), -module.inf)
    return (log_total + top).astype(x.dtype, copy=False)
