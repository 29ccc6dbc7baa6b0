"""The Bernoulli distribution of a bit, by its logit l = log(q / (1 - q)), q the probability of 1.

    log p(x) = x log q + (1 - x) log(1 - q) = x l - softplus(l)
    H        = -q log q - (1 - q) log(1 - q)

since log q = -softplus(-l) and log(1 - q) = -softplus(l). No probability is formed on the way to a logarithm, so none
has to be kept away from 0 and 1: where q rounds to 1 the log-probability of a 0 is still -l, and its gradient still -q. An infinite
logit stands for a bit that is certain.
"""

import math
from typing import Any

import minigen.ops as ops
from minigen.backend import Array, array_module
from minigen.distributions.distribution import Distribution, raw
from minigen.distributions.scalars import is_number, magnitude, sigmoid, silu, softplus
from minigen.engine import TensorLike
from minigen.random import Generator, Shape


class Bernoulli(Distribution):
    """Independent bits.

    Args:
        logits: l, any shape.

    Example:
        >>> import numpy as np
        >>> bits = Bernoulli(logits=np.array([-500.0, 500.0]))
        >>> bits.log_prob(np.array([1, 0]))
        array([-500., -500.])
        >>> bits.mean.round(3)
        array([0., 1.])
    """

    absent = {
        "rsample": "a bit is not a differentiable function of its probability; GumbelSoftmax with K = 2 relaxes it"
    }

    def __init__(self, *, logits: TensorLike) -> None:
        super().__init__(logits=logits)
        self.logits = logits

    @property
    def mean(self) -> Any:
        """q, the probability of 1, of shape B."""
        return sigmoid(self.logits)

    @property
    def variance(self) -> Any:
        """q (1 - q), of shape B."""
        return sigmoid(self.logits) * sigmoid(-self.logits)

    def sample(self, shape: Shape = (), *, rng: Generator) -> Array:
        """Draw zeros and ones of the logits' dtype; see `Distribution.sample`."""
        bits = rng.bernoulli(sigmoid(raw(self.logits)), self._draw_shape(shape))
        return bits.astype(self.dtype, copy=False)

    def log_prob(self, x: TensorLike) -> Any:
        """Return log p(x) of each element, in nats.

        Args:
            x: 0 or 1, of any dtype, of a shape that broadcasts against B. A grey value between 0 and 1 stands for a bit
                that is 1 with that probability: the result is the expectation of its log p, which is minus a
                cross-entropy, not a log-density of x. The range is not checked, since that would take a pass over all data.

        Returns:
            The common shape of x and B.
        """
        x, logits = self._as_floats(x), self.logits
        if is_number(x) and is_number(logits):
            return ops.bit_log_prob(x, logits).item()
        like = raw(logits if is_number(x) else x)  # a number takes the dtype of the other, and widens nothing
        x, logits = (array_module(like).asarray(v, dtype=like.dtype) if is_number(v) else v for v in (x, logits))
        return ops.bit_log_prob(x, logits)

    def joint_log_prob(self, x: TensorLike, *, axes: int) -> Any:
        """Return log p(x) of whole examples; see `Distribution.joint_log_prob`. Where x and B agree in those axes it is one pass."""
        if is_number(x) or is_number(self.logits) or axes < 1 or x.shape[-axes:] != self.batch_shape[-axes:]:
            return super().joint_log_prob(x, axes=axes)
        return ops.bits_log_prob(_rows(self._as_floats(x), axes), _rows(self.logits, axes))

    def _as_floats(self, x: TensorLike) -> Any:
        whole = not is_number(x) and raw(x).dtype.kind in "iub"
        return ops.astype(x, dtype=self.dtype) if whole else x  # int64 * float32 would be float64

    def entropy(self) -> Any:
        """Return -q log q - (1 - q) log(1 - q) = softplus(-|l|) + |l| sigmoid(-|l|), of shape B."""
        u = -magnitude(self.logits)
        return softplus(u) - silu(u)


def _rows(x: Any, axes: int) -> Any:
    """Make the last axes one, (..., H, W, C) -> (..., D)."""
    return x if axes == 1 else ops.reshape(x, shape=(*x.shape[:-axes], math.prod(x.shape[-axes:])))
