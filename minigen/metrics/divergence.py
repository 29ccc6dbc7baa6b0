"""Divergences between two densities that are known by their values on a uniform grid.

    KL(p || q) = integral p log(p / q)
    JS(p, q)   = KL(p || m) / 2 + KL(q || m) / 2,        m = (p + q) / 2        (Lin 1991)
    TV(p, q)   = integral |p - q| / 2

All in nats, by the trapezoid rule, whose error is negligible for smooth densities that have faded
out at both ends of the grid, and of the order of the spacing at a jump.

The densities are not rescaled to mass 1 on the grid: that would hide what a generator has put
outside it. Instead every integrand is written so that it is nowhere negative (for KL by adding
q - p, whose integral over the whole line is 0). So mass outside the grid can only be missed, never
come out negative: the result is a lower bound, and tight when the grid holds both densities.

With exact p and q there is no other error. With q a kernel density estimate from N samples, KL, JS
and TV are biased: by the smoothing, and upwards by the noise of the estimate, of order 1/(N h) in
KL and JS and its square root in TV, for bandwidth h.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.metrics.grid import check_density_values


def kullback_leibler(p: ArrayLike, q: ArrayLike, dx: float) -> float:
    """Return KL(p || q) in nats, from 0 to infinity.

    0 log 0 counts as 0. Where q = 0 < p the divergence is infinite, and so it is returned: an
    estimate q that underflows to 0 in a tail of p does this, where `jensen_shannon` stays finite.

    Args:
        p: (M,), values of the first density on a uniform grid.
        q: (M,), values of the second on the same grid.
        dx: the grid's spacing.

    Raises:
        ValueError: shapes differ, values are negative or not finite, or dx <= 0.

    Example:
        >>> x = np.linspace(-10, 10, 2001)
        >>> p, q = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)  # two Gaussians, 1 apart
        >>> round(kullback_leibler(p / np.sqrt(2 * np.pi), q / np.sqrt(2 * np.pi), 0.01), 9)
        0.5
    """
    p, q = check_density_values(p, q, dx, "kullback_leibler")
    return float(np.trapezoid(_relative_entropy(p, q), dx=dx))


def jensen_shannon(p: ArrayLike, q: ArrayLike, dx: float) -> float:
    """Return the Jensen-Shannon divergence in nats, from 0 (equal) to log 2 (disjoint).

    It is what a generator minimises against an optimal discriminator: the GAN's value is then
    2 JS - log 4 (Goodfellow et al. 2014, Theorem 1).

    Args:
        p: (M,), values of the first density on a uniform grid.
        q: (M,), values of the second on the same grid.
        dx: the grid's spacing.

    Raises:
        ValueError: shapes differ, values are negative or not finite, or dx <= 0.

    Example:
        >>> p, q = np.array([0.0, 1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0, 0.0])
        >>> jensen_shannon(p, p, 1.0), round(jensen_shannon(p, q, 1.0), 4)
        (0.0, 0.6931)
    """
    p, q = check_density_values(p, q, dx, "jensen_shannon")
    m = 0.5 * (p + q)
    return float(np.trapezoid(0.5 * (_relative_entropy(p, m) + _relative_entropy(q, m)), dx=dx))


def total_variation(p: ArrayLike, q: ArrayLike, dx: float) -> float:
    """Return the total variation distance, from 0 (equal) to 1 (disjoint).

    It is the largest difference between the probabilities that the two give to any one event.

    Args:
        p: (M,), values of the first density on a uniform grid.
        q: (M,), values of the second on the same grid.
        dx: the grid's spacing.

    Raises:
        ValueError: shapes differ, values are negative or not finite, or dx <= 0.

    Example:
        >>> total_variation([0.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], 1.0)
        0.5
    """
    p, q = check_density_values(p, q, dx, "total_variation")
    return float(np.trapezoid(0.5 * np.abs(p - q), dx=dx))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """p log(p / q) - p + q at each point: zero where p = q, positive elsewhere."""
    entropy = q - p
    some = p > 0
    with np.errstate(divide="ignore"):  # log 0 where q = 0 < p: infinite, as it should be
        entropy[some] += p[some] * (np.log(p[some]) - np.log(q[some]))
    return entropy
