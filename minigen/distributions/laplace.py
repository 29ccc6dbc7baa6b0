"""The Laplace distribution, whose log-density is the absolute error.

log p(x) = -|x - m| / s - log(2 s)
H        = 1 + log(2 s)
x        = m + s (e - e'),     e, e' ~ Exponential(1)
"""

import math
from typing import Any

from minigen.distributions.distribution import Distribution
from minigen.distributions.scalars import check_positive, log
from minigen.engine import Tensor, TensorLike
from minigen.random import Generator, Shape

LOG_2 = math.log(2)


class Laplace(Distribution):
    """Independent Laplace distributions.

    Args:
        location: m, any shape: mean, median and mode.
        scale: s > 0, the mean absolute deviation; checked only where it is a Python number. The standard deviation is
            sqrt(2) s.

    Raises:
        ValueError: the scale is not positive, or shapes do not broadcast.

    Example:
        >>> import numpy as np
        >>> Laplace(0.0, scale=0.5).log_prob(np.array([1.0, 2.0]))
        array([-2., -4.])
    """

    def __init__(self, location: TensorLike, *, scale: TensorLike) -> None:
        super().__init__(location=location, scale=scale)
        check_positive("Laplace", scale=scale)
        self.location, self.scale = location, scale

    @property
    def mean(self) -> Any:
        """m, of shape B."""
        return self._over_batch(self.location)

    @property
    def variance(self) -> Any:
        """2 s^2, of shape B."""
        return self._over_batch(2.0 * self.scale * self.scale)

    def rsample(self, shape: Shape = (), *, rng: Generator) -> Tensor:
        """Draw m + s (e - e') with exponential e and e'; see `Distribution.rsample`."""
        full = self._draw_shape(shape)
        noise = Tensor(rng.exponential(full, dtype=self.dtype) - rng.exponential(full, dtype=self.dtype))
        return self.location + self.scale * noise

    def log_prob(self, x: TensorLike) -> Any:
        """Return log p(x) of each element; the gradient at the kink x = m is 0. See `Distribution.log_prob`."""
        return -abs(x - self.location) / self.scale - (log(self.scale) + LOG_2)

    def entropy(self) -> Any:
        """Return 1 + log(2 s), of shape B."""
        return self._over_batch(log(self.scale) + (1.0 + LOG_2))
