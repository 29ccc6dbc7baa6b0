"""What an autoregressive model's numbers say about one site: a distribution of whole numbers 0, ..., L - 1, the levels.

    Bernoulli           L = 2        one logit
    Categorical         any L        L logits, with no notion that 7 is near 8
    Mixture of          many L       P(x) = sum_k w_k [s((x + 1/2 - m_k)/r_k) - s((x - 1/2 - m_k)/r_k)],  s the sigmoid: a bin of a
    logistics                        continuous density, the first and last bin open to their side        Salimans et al. 2017, equation 2

A draw is the quantile at u ~ U(0, 1): the smallest x with P(0) + ... + P(x) > u. So one u per site decides, whatever computed the
parameters.
"""

import math
from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module, device_of
from minigen.distributions import Bernoulli, Categorical
from minigen.distributions.distribution import raw
from minigen.engine import TensorLike, is_debugging

LEAST_LOG_SCALE = -9.0
"""Of a logistic. A bin of 256 levels is 60 such scales wide: all of the logistic fits into one. With the largest, e^9, all levels
are alike."""


def as_floats(x: TensorLike, dtype: Any) -> Any:
    """Return whole numbers, of integers or truth values, as floats: int64 times float32 would be float64. Floats stay as they are."""
    return ops.astype(x, dtype=dtype) if raw(x).dtype.kind in "biu" else x


class Conditional(nn.Module):
    """The distribution of one site given the numbers that a model says about it.

    Attributes:
        levels: L; a site is a whole number from 0 to L - 1.
        outputs: P, how many numbers the model says about each site.
    """

    levels: int
    outputs: int

    def log_prob(self, parameters: TensorLike, x: TensorLike) -> Any:
        """Return log P(x) in nats, parameters (..., P) and x (...) -> (...)."""
        raise NotImplementedError(f"{type(self).__name__} defines no log_prob")

    def probabilities(self, parameters: Array) -> Array:
        """Return P(0), ..., P(L - 1), (..., P) -> (..., L)."""
        raise NotImplementedError(f"{type(self).__name__} defines no probabilities")

    def quantile(self, parameters: Array, u: Array) -> Array:
        """Return the smallest x with P(0) + ... + P(x) > u, (N, P) and u (N,) in [0, 1) -> (N,)."""
        sums = self.probabilities(parameters).cumsum(axis=-1)  # (N, L)
        # The last sum is 1 but for rounding. u times it is below it, so no level behind the last of a probability above 0 is drawn.
        return (sums <= u[..., None] * sums[..., -1:]).sum(axis=-1).astype(parameters.dtype)

    def scaled(self, x: TensorLike) -> Any:
        """Return levels as a network takes them, from -1 to 1."""
        return x * (2.0 / (self.levels - 1)) - 1.0

    def check(self, x: TensorLike, owner: str) -> None:
        """Refuse values that are not levels. On a GPU values are looked at only while debugging.

        Args:
            x: of any shape.
            owner: opens the message.

        Raises:
            ValueError: a value is not a whole number from 0 to L - 1.
        """
        array = raw(x)
        if not array.size or not (device_of(array) == "cpu" or is_debugging()):
            return
        module = array_module(array)
        bad = (array < 0) | (array > self.levels - 1)
        if array.dtype.kind == "f":
            bad |= array != module.floor(array)
        if bad.any():
            raise ValueError(
                f"{owner}: {int(bad.sum())} of {array.size} values are not levels, the first is {array[bad][0]:g}; expected whole numbers "
                f"from 0 to {self.levels - 1}, such as `Images.images` holds"
            )


class BernoulliConditional(Conditional):
    """A bit by its logit: L = 2, P = 1.

    Example:
        >>> import numpy as np
        >>> bits = BernoulliConditional()
        >>> bits.quantile(np.array([[0.0], [0.0]]), np.array([0.4, 0.6]))
        array([0., 1.])
    """

    levels, outputs = 2, 1

    def log_prob(self, parameters: TensorLike, x: TensorLike) -> Any:
        """See `Conditional.log_prob`."""
        return Bernoulli(logits=parameters[..., 0]).log_prob(x)

    def probabilities(self, parameters: Array) -> Array:
        """See `Conditional.probabilities`."""
        return array_module(parameters).concatenate([ops.sigmoid(-parameters), ops.sigmoid(parameters)], axis=-1)

    def quantile(self, parameters: Array, u: Array) -> Array:
        """See `Conditional.quantile`."""
        return (ops.sigmoid(-parameters[..., 0]) <= u).astype(parameters.dtype)


class CategoricalConditional(Conditional):
    """L logits for L levels: P = L.

    Args:
        levels: L.

    Raises:
        ValueError: levels < 2.

    Example:
        >>> import numpy as np
        >>> CategoricalConditional(4).quantile(np.zeros((3, 4)), np.array([0.1, 0.3, 0.9]))
        array([0., 1., 3.])
    """

    def __init__(self, levels: int) -> None:
        if levels < 2:
            raise ValueError(f"CategoricalConditional: levels = {levels} must be at least 2")
        self.levels = self.outputs = levels

    def log_prob(self, parameters: TensorLike, x: TensorLike) -> Any:
        """See `Conditional.log_prob`."""
        array = raw(x)
        return Categorical(logits=parameters).log_prob(array if array.dtype.kind in "iu" else array.astype("int64"))

    def probabilities(self, parameters: Array) -> Array:
        """See `Conditional.probabilities`."""
        return ops.softmax(parameters)


class LogisticMixtureConditional(Conditional):
    """A mixture of K discretized logistics: P = 3K, the logits of the weights, the means and the log-scales.

    Means and scales are in the units of `scaled`, where the levels lie in [-1, 1]: so initial weights of any size give a sensible start.

    Args:
        levels: L.
        components: K.

    Raises:
        ValueError: levels < 2 or components < 1.

    Example:
        >>> import numpy as np
        >>> mixture = LogisticMixtureConditional(256, components=5)
        >>> mixture.outputs, float(mixture.probabilities(np.zeros((1, 15))).sum().round(6))
        (15, 1.0)
    """

    def __init__(self, levels: int, *, components: int = 10) -> None:
        if levels < 2 or components < 1:
            raise ValueError(
                f"LogisticMixtureConditional: levels = {levels} must be at least 2, components = {components} at least 1"
            )
        self.levels, self.components, self.outputs = levels, components, 3 * components

    def log_prob(self, parameters: TensorLike, x: TensorLike) -> Any:
        """See `Conditional.log_prob`. With a and b the bin's ends in units of the scale,

            log(s(a) - s(b)) = log s(a) + log s(-b) + log(1 - e^(b - a)).

        This is not a difference of nearly equal numbers, so it is exact in the tails, where s(a) and s(b) round to 1.
        """
        logits, means, precision = self._components(parameters)  # (..., K) each
        middle = ops.expand_dims(self.scaled(as_floats(x, parameters.dtype)), -1) - means  # (..., K)
        half = 1.0 / (self.levels - 1)  # a bin's half width
        above, below = (middle + half) * precision, (middle - half) * precision
        first, last = ((raw(x) == end)[..., None] for end in (0, self.levels - 1))  # (..., 1)
        log_above = ops.where(last, 0.0, -ops.softplus(-above))  # log s(a); the last bin has no upper end
        log_not_below = ops.where(first, 0.0, -ops.softplus(below))  # log (1 - s(b)); the first has no lower end
        width = ops.where(first | last, 1.0, 2.0 * half * precision)
        log_width = ops.where(first | last, 0.0, ops.log(-ops.expm1(-width)))
        return ops.logsumexp(ops.log_softmax(logits) + log_above + log_not_below + log_width, axis=-1)

    def probabilities(self, parameters: Array) -> Array:
        """See `Conditional.probabilities`."""
        levels = array_module(parameters).arange(self.levels, dtype=parameters.dtype)  # (L,)
        return ops.exp(self.log_prob(parameters[..., None, :], levels))

    def quantile(self, parameters: Array, u: Array) -> Array:
        """See `Conditional.quantile`. P(0) + ... + P(x) is sum_k w_k s((x + 1/2 - m_k)/r_k).

        So not all L levels need be looked at: of blocks of about sqrt(L) levels only the last ones, and then those of one block.
        """
        module = array_module(parameters)
        logits, means, precision = (part[:, None] for part in self._components(parameters))  # (N, 1, K) each
        weights = ops.softmax(logits)
        goal = u[:, None] * weights.sum(axis=-1)  # (N, 1); below the sum of all levels, in spite of rounding
        half, last = 1.0 / (self.levels - 1), self.levels - 1

        def passed(levels: Array) -> Array:
            """Count the levels, (N or 1, M), up to which the sum is not enough, (N,). The last one is open above: it is enough."""
            above = (self.scaled(levels) + half)[..., None]  # the upper ends of the bins
            sums = (weights * ops.sigmoid((above - means) * precision)).sum(axis=-1)  # (N, M)
            return ((sums <= goal) & (levels < last)).sum(axis=-1)

        size = math.isqrt(last) + 1  # of a block
        ends = module.arange(size - 1, last + size, size, dtype=parameters.dtype)
        first = size * passed(ends[None])  # (N,), of the block
        within = first[:, None] + module.arange(size)  # (N, size)
        return (first + passed(within.astype(parameters.dtype))).astype(parameters.dtype)

    def _components(self, parameters: TensorLike) -> tuple[Any, Any, Any]:
        """Return the logits of the weights, the means and 1/r, (..., K) each."""
        logits, means, log_scales = ops.split(parameters, 3, axis=-1)
        return logits, means, ops.exp(-ops.clip(log_scales, LEAST_LOG_SCALE, -LEAST_LOG_SCALE))
