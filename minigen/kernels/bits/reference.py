"""The log-probability of a row of bits, given their logits, in plain array code, for NumPy and CuPy."""

from minigen.backend import Array
from minigen.kernels.reference import sigmoid, softplus


def bits_log_prob(x: Array, logits: Array) -> Array:
    """Sum of x l - softplus(l) along the last axis; leading axes broadcast, (..., D) and (..., D) -> (...).

    Example:
        >>> import numpy as np
        >>> bits_log_prob(np.array([1.0, 0.0]), np.array([[0.0, -1000.0], [0.0, 0.0]])).round(4)
        array([-0.6931, -1.3863])
    """
    return (x * logits - softplus(logits)).sum(axis=-1)


def bits_log_prob_backward(g: Array, x: Array, logits: Array) -> Array:
    """g (x - sigmoid(l)), the gradient with respect to the logits: (...), (..., D) and (..., D) -> (..., D).

    Example:
        >>> import numpy as np
        >>> bits_log_prob_backward(np.array([2.0]), np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
        array([[ 1., -1.]])
    """
    return g[..., None] * (x - sigmoid(logits))
