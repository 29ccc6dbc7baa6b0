"""The categorical distribution, and its continuous relaxation.

With logits l_1 ... l_K, which are defined up to a common constant, category k has the probability

    q_k = softmax(l)_k,     log q_k = log_softmax(l)_k.
"""

import math
from typing import Any

import minigen.ops as ops
from minigen.backend import Array
from minigen.distributions.distribution import Distribution, pick, raw
from minigen.distributions.scalars import check_positive
from minigen.engine import Tensor, TensorLike
from minigen.ops.index import check_indices
from minigen.random import Generator, Shape


class Categorical(Distribution):
    """Independent choices of one of K categories.

    Args:
        logits: l, (*B, K). A logit of -inf makes its category impossible; one in each row must be finite.

    Attributes:
        categories: K.

    Example:
        >>> import numpy as np
        >>> colour = Categorical(logits=np.log(np.array([0.5, 0.25, 0.25])))
        >>> np.exp(colour.log_prob(np.array([0, 2])))
        array([0.5 , 0.25])
        >>> colour.sample((2, 4), rng=Generator(0)).shape
        (2, 4)
    """

    category_axes = 1
    absent = {
        "rsample": "a category is not a differentiable function of its probability; GumbelSoftmax relaxes it",
        "mean": "categories are labels, which have no average; see probabilities",
        "variance": "categories are labels, which have no distances; see probabilities and entropy()",
    }

    def __init__(self, *, logits: TensorLike) -> None:
        super().__init__(logits=logits)
        self.logits = logits
        self.categories: int = self._full_shape[-1]

    @property
    def probabilities(self) -> Any:
        """q, (*B, K)."""
        return ops.softmax(self.logits)

    def sample(self, shape: Shape = (), *, rng: Generator) -> Array:
        """Draw categories, int64 in [0, K); see `Distribution.sample`."""
        return rng.categorical(raw(self.logits), shape)

    def log_prob(self, x: TensorLike) -> Any:
        """Return log q_x of each element, in nats.

        Args:
            x: a Tensor or an array of integers in [0, K), of a shape that broadcasts against B; see `ops.index.check_indices`.

        Returns:
            The common shape of x and B.

        Raises:
            TypeError: x does not hold integers.
            IndexError: an element of x is outside [0, K).
        """
        check_indices("Categorical.log_prob", x, self.categories, name="x")
        return pick(ops.log_softmax(self.logits), x)

    def entropy(self) -> Any:
        """Return -sum_k q_k log q_k, of shape B, with 0 log 0 = 0."""
        q = self.probabilities
        log_q = ops.where(q > 0, ops.log_softmax(self.logits), 0.0)
        return -ops.sum(q * log_q, axis=-1)


class GumbelSoftmax(Distribution):
    """Random points y of the simplex that approach one-hot draws from softmax(l) as the temperature t falls to 0.

    With independent Gumbel noise g_k, of distribution function exp(-exp(-g)), argmax_k (l_k + g_k) is an exact draw of
    the category. A softmax in place of the argmax makes it differentiable:

        y        = softmax((l + g) / t)
        log p(y) = log (K-1)! + (K-1) log t + sum_k [log_softmax(l - t log y)_k - log y_k]

    The density is that of the first K - 1 coordinates (Jang et al. 2017, "Categorical Reparameterization with
    Gumbel-Softmax", appendix B; Maddison et al. 2017, "The Concrete Distribution", equation 10). Which coordinate
    is the largest is an exact draw of the category at every temperature; E[y] is softmax(l) only in the limit.

    Args:
        logits: l, (*B, K).
        temperature: t > 0, a Python number. Low: y nearly one-hot, gradients of high variance. High: smooth and biased.

    Attributes:
        categories: K.

    Raises:
        ValueError: the temperature is not positive.

    Example:
        >>> import numpy as np
        >>> relaxed = GumbelSoftmax(logits=np.zeros((2, 3)), temperature=0.5)
        >>> relaxed.rsample(4, rng=Generator(0)).shape
        (4, 2, 3)
        >>> relaxed.rsample(rng=Generator(0), hard=True).max(axis=-1)
        tensor([1., 1.], shape=(2,), dtype=float64, device=cpu, constant)
    """

    category_axes = 1
    absent = dict.fromkeys(("entropy", "mean", "variance"), "it has no closed form; average over samples")

    def __init__(self, *, logits: TensorLike, temperature: float) -> None:
        super().__init__(logits=logits)
        check_positive("GumbelSoftmax", temperature=temperature)
        self.logits, self.temperature = logits, temperature
        self.categories: int = self._full_shape[-1]

    def rsample(self, shape: Shape = (), *, rng: Generator, hard: bool = False) -> Tensor:
        """Draw y, differentiable in the logits; see `Distribution.rsample`.

        Args:
            shape: S, how many draws from each distribution.
            rng: makes the noise, on the device of the logits.
            hard: return one-hot vectors, exact draws of the category, with the gradient of y: the straight-through
                estimator, which is biased (Jang et al. 2017, section 2.2).

        Returns:
            A Tensor, (*S, *B, K).
        """
        noise = Tensor(rng.gumbel((*self._draw_shape(shape), self.categories), dtype=self.dtype))
        soft = ops.softmax((self.logits + noise) * (1.0 / self.temperature))
        if not hard:
            return soft
        winner = ops.expand_dims(ops.argmax(soft, axis=-1), -1)
        one_hot = winner == ops.arange(self.categories, device=soft.device)
        return ops.straight_through(one_hot, soft)

    def log_prob(self, x: TensorLike) -> Any:
        """Return the log-density at points of the simplex, in nats.

        Args:
            x: y, (..., K), positive with sum 1. At a low temperature a draw may round to the border, where log p is
                infinite or NaN.

        Returns:
            The common shape of x and the logits, without the last axis.
        """
        t, k = self.temperature, self.categories
        log_y = ops.log(x)
        summands = ops.log_softmax(self.logits - t * log_y) - log_y
        return ops.sum(summands, axis=-1) + (math.lgamma(k) + (k - 1) * math.log(t))
