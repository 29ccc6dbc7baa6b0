"""The log-probability of bits, given their logits l = log(q / (1 - q)), q the probability of a 1.

    log p(x) = sum_j x_j log q_j + (1 - x_j) log(1 - q_j) = sum_j x_j l_j - softplus(l_j)
    d log p / d l_j = x_j - q_j                             d log p / d x_j = l_j

It is an operation of its own because decoders end in it: nothing of the size of an image is written on the way to a number for each image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen import kernels
from minigen.backend import Array
from minigen.engine import primitive
from minigen.kernels.bits import reference
from minigen.ops.elementwise import sigmoid, sigmoid_backward
from minigen.ops.reduce import sum
from minigen.ops.shape import expand_dims

if TYPE_CHECKING:
    from jaxtyping import Float


@primitive(broadcasts=True)
def bit_log_prob(x: Float[Array, "*#shape"] | float, logits: Float[Array, "*#shape"] | float) -> Float[Array, "*shape"]:
    """Return log p(x) of each bit, in nats; with an infinite logit it is 0 or -inf.

    Example:
        >>> import numpy as np
        >>> bit_log_prob(np.array([1.0, 0.0]), np.zeros(2)).round(4)
        array([-0.6931, -0.6931])
    """
    return reference.bit_log_prob(x, logits)


bit_log_prob.vjp(x=lambda g, logits: g * logits, logits=lambda g, x, logits: g * (x - sigmoid(logits)))


@primitive(broadcasts=True)
def bits_log_prob(x: Float[Array, "*#batch D"], logits: Float[Array, "*#batch D"]) -> Float[Array, "*batch"]:
    """Return log p(x) of each row of bits, in nats.

    Args:
        x: (..., D), 0 or 1 as floats, or what lies between: then it is the expectation over such a bit.
        logits: (..., D); leading axes broadcast.

    Returns:
        (...).

    Example:
        >>> import numpy as np
        >>> bits_log_prob(np.array([1.0, 0.0]), np.zeros((3, 2))).round(4)
        array([-1.3863, -1.3863, -1.3863])
    """
    if x.shape[-1:] != logits.shape[-1:] or x.ndim == 0:
        raise ValueError(f"bits_log_prob: x {x.shape} and logits {logits.shape} must have a last axis of one length")
    return kernels.bits_log_prob(x, logits)


@primitive(broadcasts=True)
def bits_log_prob_backward(
    g: Float[Array, "*#batch"], x: Float[Array, "*#batch D"], logits: Float[Array, "*#batch D"]
) -> Float[Array, "*batch D"]:
    """Return g (x - sigmoid(logits)), the vjp of bits_log_prob(x, logits) for the logits; g has no last axis."""
    return kernels.bits_log_prob_backward(g, x, logits)


bits_log_prob.vjp(
    x=lambda g, logits: expand_dims(g, -1) * logits,
    logits=lambda g, x, logits: bits_log_prob_backward(g, x, logits),
)
bits_log_prob_backward.vjp(
    g=lambda h, x, logits: sum(h * (x - sigmoid(logits)), axis=-1),
    x=lambda h, g: h * expand_dims(g, -1),
    logits=lambda h, g, logits: sigmoid_backward(-h * expand_dims(g, -1), sigmoid(logits)),
)
