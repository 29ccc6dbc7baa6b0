"""The log-probability of a row of bits, given their logits, in plain array code, for NumPy and CuPy."""

from minigen.backend import Array, array_module
from minigen.kernels.reference import sigmoid


def bit_log_prob(x: Array, logits: Array) -> Array:
    """x l - softplus(l), element by element, as -m |l| - log(1 + exp(-|l|)) with m = 1 - x where l > 0, and x elsewhere.

    m is 0 for the likelier bit, whose probability may have rounded to 1; here 0 times an infinite logit is 0.

    Example:
        >>> import numpy as np
        >>> bit_log_prob(np.array([1.0, 0.0, 1.0]), np.array([np.inf, np.inf, 0.0])).round(4)
        array([ 0.    ,    -inf, -0.6931])
    """
    module = array_module(x, logits)
    miss = module.where(logits > 0, 1.0 - x, x)
    size = module.abs(logits)
    return 0.0 - miss * module.where(miss == 0, 0.0, size) - module.log1p(module.exp(-size))


def bits_log_prob(x: Array, logits: Array) -> Array:
    """Sum of x l - softplus(l) along the last axis; leading axes broadcast, (..., D) and (..., D) -> (...).

    Example:
        >>> import numpy as np
        >>> bits_log_prob(np.array([1.0, 0.0]), np.array([[0.0, -1000.0], [0.0, 0.0]])).round(4)
        array([-0.6931, -1.3863])
    """
    return bit_log_prob(x, logits).sum(axis=-1)


def bits_log_prob_backward(g: Array, x: Array, logits: Array) -> Array:
    """g (x - sigmoid(l)), the gradient with respect to the logits: (...), (..., D) and (..., D) -> (..., D).

    Example:
        >>> import numpy as np
        >>> bits_log_prob_backward(np.array([2.0]), np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
        array([[ 1., -1.]])
    """
    return g[..., None] * (x - sigmoid(logits))
