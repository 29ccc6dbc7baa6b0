"""Mixtures of normal distributions.

p(x)   = sum_k w_k N(x; m_k, s_k^2),     w = softmax(l)
E[x]   = sum_k w_k m_k
Var[x] = sum_k w_k (s_k^2 + (m_k - E[x])^2)
"""

from typing import Any

import minigen.ops as ops
from minigen.backend import Array
from minigen.distributions.distribution import Distribution, pick, raw
from minigen.distributions.normal import Normal
from minigen.distributions.scalars import check_positive, is_number
from minigen.engine import TensorLike
from minigen.random import Generator, Shape


class NormalMixture(Distribution):
    """Independent numbers, each from a mixture of K normal distributions. The parameters broadcast to (*B, K).

    Args:
        logits: l, (..., K), the logarithms of the weights up to a common constant.
        means: m, (..., K).
        scales: s > 0, (..., K), the standard deviations; checked only where it is a Python number.

    Raises:
        ValueError: the scale is not positive, shapes do not broadcast, or the logits do not list K weights.

    Example:
        >>> import numpy as np
        >>> pair = NormalMixture(logits=np.zeros(2), means=np.array([-1.0, 1.0]), scales=0.1)
        >>> pair.mean.item(), round(pair.variance.item(), 4)
        (0.0, 1.01)
        >>> pair.log_prob(np.array([-1.0, 0.0, 1.0])).round(2)
        array([  0.69, -48.62,   0.69])
    """

    category_axes = 1
    absent = {
        "rsample": "which component a draw comes from is not a differentiable function of the weights",
        "entropy": "it has no closed form; average -log_prob over samples",
    }

    def __init__(self, *, logits: TensorLike, means: TensorLike, scales: TensorLike) -> None:
        super().__init__(logits=logits, means=means, scales=scales)
        check_positive("NormalMixture", scales=scales)
        found = getattr(raw(logits), "shape", ())
        if found[-1:] != self._full_shape[-1:]:
            raise ValueError(
                f"NormalMixture: logits {found} do not list a weight for each of {self._full_shape[-1]} components"
            )
        self.logits, self.means, self.scales = logits, means, scales

    @property
    def mean(self) -> Any:
        """sum_k w_k m_k, of shape B."""
        return self._over_batch(ops.sum(ops.softmax(self.logits) * self.means, axis=-1))

    @property
    def variance(self) -> Any:
        """sum_k w_k (s_k^2 + (m_k - E[x])^2), of shape B."""
        deviation = self.means - ops.expand_dims(self.mean, -1)
        within, between = self.scales * self.scales, deviation * deviation
        return self._over_batch(ops.sum(ops.softmax(self.logits) * (within + between), axis=-1))

    def sample(self, shape: Shape = (), *, rng: Generator) -> Array:
        """Draw a component, then a number from it (ancestral sampling); see `Distribution.sample`."""
        logits, means, scales = (
            raw(self._spread(value, self._full_shape)) for value in (self.logits, self.means, self.scales)
        )
        component = rng.categorical(logits, shape)  # (*S, *B)
        return Normal(pick(means, component), scale=pick(scales, component)).sample(rng=rng)

    def log_prob(self, x: TensorLike) -> Any:
        """Return log p(x) of each element; see `Distribution.log_prob`."""
        x = x if is_number(x) else ops.expand_dims(x, -1)  # (..., 1) against K components
        each = Normal(self.means, scale=self.scales).log_prob(x)
        return ops.logsumexp(ops.log_softmax(self.logits) + each, axis=-1)
