# ruff: noqa: D103
# The docstrings are the reference's.
"""The log-probability of a row of bits for float32 CuPy arrays: the reference, with the compiled functions of one number."""

from minigen.backend import Array, array_module
from minigen.kernels.cuda import sigmoid, softplus


def bits_log_prob(x: Array, logits: Array) -> Array:
    module = array_module(x)
    miss, size = module.where(logits > 0, 1.0 - x, x), abs(logits)
    return (0.0 - miss * module.where(miss == 0, 0.0, size) - softplus(-size)).sum(axis=-1)


def bits_log_prob_backward(g: Array, x: Array, logits: Array) -> Array:
    return g[..., None] * (x - sigmoid(logits))
