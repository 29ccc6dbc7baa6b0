"""The normal distribution.

    log N(x; m, s^2) = -z^2 / 2 - log s - log(2 pi) / 2,     z = (x - m) / s
    P(X <= x)        = Phi(z)
    H                = log s + (1 + log(2 pi)) / 2
    x                = m + s e,     e ~ N(0, 1)

A density is given by its standard deviation s, the *scale*. An encoder gives log s^2, the *log-variance*: every real
number is one, and it enters the formulas as it is, with no logarithm of an exponential.
"""

import math
from typing import Any

import minigen.ops as ops
from minigen.distributions.distribution import Distribution
from minigen.distributions.scalars import check_positive, erfinv, exp, log, log_ndtr
from minigen.engine import Tensor, TensorLike
from minigen.random import Generator, Shape

LOG_2_PI = math.log(2 * math.pi)


def standard_normal_log_density(z: TensorLike) -> Any:
    """Return log N(z; 0, I) = -|z|^2 / 2 - d log(2 pi) / 2 of vectors z, (..., d) -> (...).

    Example:
        >>> import numpy as np
        >>> standard_normal_log_density(np.array([[0.0, 0.0], [3.0, 4.0]])).round(4)
        array([ -1.8379, -14.3379])
    """
    return -0.5 * ops.sum(z * z, axis=-1) - 0.5 * z.shape[-1] * LOG_2_PI


class Normal(Distribution):
    """Independent normal distributions.

    Args:
        mean: m, any shape.
        scale: s > 0, the standard deviation; checked only where it is a Python number.
        log_variance: log s^2, in place of the scale.

    Raises:
        ValueError: neither or both of scale and log_variance are given, the scale is not positive, or shapes do not
            broadcast.

    Example:
        >>> import numpy as np
        >>> prior = Normal(0.0, scale=1.0)
        >>> prior.log_prob(np.array([0.0, 1.0])).round(4)
        array([-0.9189, -1.4189])
        >>> posterior = Normal(np.array([0.5, -1.0]), log_variance=np.array([0.0, -2.0]))
        >>> posterior.variance.round(4)
        array([1.    , 0.1353])
        >>> posterior.sample(3, rng=Generator(0)).shape
        (3, 2)
    """

    def __init__(
        self, mean: TensorLike, *, scale: TensorLike | None = None, log_variance: TensorLike | None = None
    ) -> None:
        if scale is not None and log_variance is None:
            super().__init__(mean=mean, scale=scale)
            check_positive("Normal", scale=scale)
        elif log_variance is not None and scale is None:
            super().__init__(mean=mean, log_variance=log_variance)
        else:
            given = "neither" if scale is None else "both"
            raise ValueError(f"Normal: {given} of scale and log_variance given; give exactly one")
        self._mean = mean
        self._scale: Any = scale
        self._log_variance: Any = log_variance

    @property
    def scale(self) -> Any:
        """The standard deviation s, of a shape that broadcasts to B."""
        return exp(0.5 * self._log_variance) if self._scale is None else self._scale

    @property
    def log_scale(self) -> Any:
        """log s, of a shape that broadcasts to B."""
        return 0.5 * self._log_variance if self._scale is None else log(self._scale)

    @property
    def log_variance(self) -> Any:
        """log s^2, of a shape that broadcasts to B."""
        return self._log_variance if self._scale is None else 2.0 * log(self._scale)

    @property
    def mean(self) -> Any:
        """m, of shape B."""
        return self._over_batch(self._mean)

    @property
    def variance(self) -> Any:
        """s^2, of shape B."""
        return self._over_batch(exp(self._log_variance) if self._scale is None else self._scale * self._scale)

    def rsample(self, shape: Shape = (), *, rng: Generator) -> Tensor:
        """Draw m + s e with e ~ N(0, 1); see `Distribution.rsample`."""
        noise = Tensor(rng.normal(self._draw_shape(shape), dtype=self.dtype))
        return self._mean + self.scale * noise

    def log_prob(self, x: TensorLike) -> Any:
        """Return log N(x; m, s^2) of each element; see `Distribution.log_prob`."""
        z = (x - self._mean) / self.scale
        return -0.5 * (z * z) - (self.log_scale + 0.5 * LOG_2_PI)

    def log_cdf(self, x: TensorLike) -> Any:
        """Return log P(X <= x) = log Phi(z) of each element, which keeps its digits in both tails.

        Args:
            x: any shape that broadcasts against B.

        Returns:
            The common shape of x and B.

        Example:
            >>> import numpy as np
            >>> Normal(0.0, scale=2.0).log_cdf(np.array([-80.0, -2.0])).round(2)
            array([-804.61,   -1.84])
        """
        return log_ndtr((x - self._mean) / self.scale)

    def cdf(self, x: TensorLike) -> Any:
        """Return P(X <= x) = Phi(z) of each element, which keeps its digits in the left tail; arguments and shapes as in `log_cdf`.

        At x = -inf it is 0 and has no gradient, but NaN.

        Example:
            >>> import numpy as np
            >>> Normal(1.0, scale=2.0).cdf(np.array([1.0, 3.0])).round(4)
            array([0.5   , 0.8413])
        """
        return exp(self.log_cdf(x))

    def icdf(self, p: TensorLike) -> Any:
        """Return the x with P(X <= x) = p, also called quantile or percent point function: m + s sqrt(2) erf^-1(2 p - 1).

        Near p = 0, 2 p - 1 is rounded as a number near -1. In float32 that is an error of up to 1.5e-8 in p, and below 1.5e-8 x is -inf.

        Args:
            p: probabilities; at 0 and 1 x is -inf and inf, outside [0, 1] NaN. Of any shape that broadcasts against B.

        Returns:
            The common shape of p and B.

        Example:
            >>> import numpy as np
            >>> Normal(1.0, scale=2.0).icdf(np.array([0.5, 0.975])).round(4)
            array([1.    , 4.9199])
        """
        return self._mean + self.scale * (math.sqrt(2.0) * erfinv(2.0 * p - 1.0))

    def entropy(self) -> Any:
        """Return log s + (1 + log(2 pi)) / 2, of shape B."""
        return self._over_batch(self.log_scale + 0.5 * (1.0 + LOG_2_PI))
