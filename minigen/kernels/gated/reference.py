"""The gated activation unit in plain array code, for NumPy and CuPy."""

from minigen.backend import Array, array_module
from minigen.kernels.reference import sigmoid, sigmoid_backward, tanh, tanh_backward


def gated_tanh(x: Array) -> Array:
    """tanh(a) sigmoid(b), a and b the halves of the last axis: (..., 2p) -> (..., p).

    Example:
        >>> import numpy as np
        >>> gated_tanh(np.array([9.0, 9.0, 0.0, 9.0])).round(2)
        array([0.5, 1. ])
    """
    half = x.shape[-1] // 2
    return tanh(x[..., :half]) * sigmoid(x[..., half:])


def gated_tanh_backward(g: Array, x: Array) -> Array:
    """g (1 - t^2) s beside g t s (1 - s), with t = tanh(a), s = sigmoid(b): (..., p) and (..., 2p) -> (..., 2p).

    Example:
        >>> import numpy as np
        >>> gated_tanh_backward(np.array([4.0]), np.array([0.0, 0.0]))
        array([2., 0.])
    """
    half = x.shape[-1] // 2
    t, s = tanh(x[..., :half]), sigmoid(x[..., half:])
    return array_module(x).concatenate([tanh_backward(g * s, t), sigmoid_backward(g * t, s)], axis=-1)
