"""A multivariate Gaussian fitted by maximum likelihood: the smallest likelihood model, with a closed form to check against.

    log p(x) = -1/2 (x - mu)^T Sigma^-1 (x - mu) - 1/2 log det Sigma - d/2 log 2 pi

The mean log-likelihood of data is greatest at the sample mean and the sample covariance, divided by N and not by N - 1
(Bishop 2006, section 2.3.4). To descend on it without constraints, write the precision as Sigma^-1 = L L^T, L lower triangular with
a positive diagonal exp(d). Then

    (x - mu)^T Sigma^-1 (x - mu) = |L^T (x - mu)|^2,        log det Sigma = -2 sum d.
"""

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import array_module
from minigen.distributions.normal import standard_normal_log_density
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.random import Generator


class Gaussian(nn.Module):
    """N(mean, covariance) with free parameters, started at the standard normal.

    Args:
        features: the dimension d of an example.

    Attributes:
        mean: (d,).
        log_diagonal: (d,), the logarithms of L's diagonal.
        below: (d, d), of which the part strictly below the diagonal is L's.

    Example:
        >>> import math
        >>> model = Gaussian(2)
        >>> round(model.log_prob(np.zeros((1, 2), "float32")).item() + math.log(2 * math.pi), 5)
        0.0
    """

    def __init__(self, features: int) -> None:
        self.mean = nn.Parameter(np.zeros(features, np.float32))
        self.log_diagonal = nn.Parameter(np.zeros(features, np.float32))
        self.below = nn.Parameter(np.zeros((features, features), np.float32))

    def precision_factor(self) -> Tensor:
        """Return L, (d, d), with covariance^-1 = L L^T."""
        module = array_module(self.below.data)
        one = module.eye(len(self.mean), dtype=self.below.dtype)
        strictly_below = module.tril(module.ones_like(one), -1)
        return self.below * strictly_below + one * ops.exp(self.log_diagonal)

    def log_prob(self, x: TensorLike) -> Tensor:
        """Return log p(x) in nats for every row of x, (N, d) -> (N,)."""
        whitened = (x - self.mean) @ self.precision_factor()  # (N, d); the rows are (x - mu)^T L
        return ops.sum(self.log_diagonal) + standard_normal_log_density(whitened)

    def loss(self, batch: TensorLike, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean negative log-likelihood of a batch, (N, d), in nats per example."""
        loss = -ops.mean(self.log_prob(batch))
        return loss, {"negative_log_likelihood": loss.detach()}

    def covariance(self) -> Tensor:
        """Return the covariance, (d, d), without a graph."""
        with no_grad():
            factor = self.precision_factor().data
            return Tensor(array_module(factor).linalg.inv(factor @ factor.T))

    def sample(self, n: int, *, rng: Generator) -> Tensor:
        """Return n draws, (n, d): z with L^T z ~ N(0, I), moved to the mean."""
        with no_grad():
            factor = self.precision_factor().data
            noise = rng.normal((len(self.mean), n))
            return Tensor(array_module(factor).linalg.solve(factor.T, noise).T + self.mean.data)
