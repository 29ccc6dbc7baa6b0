"""Divergences between two probability vectors, or two densities that are known by their values on a uniform grid.

    KL(p || q) = integral p log(p / q)
    JS(p, q)   = KL(p || m) / 2 + KL(q || m) / 2,        m = (p + q) / 2        (Lin 1991)
    TV(p, q)   = integral |p - q| / 2

KL and JS are in nats. For probabilities the integral is a sum, and all three are exact. For densities
it is taken by the trapezoid rule, whose error is negligible for smooth densities that have faded
out at both ends of the grid, and of the order of the spacing at a jump.

TV and the square root of JS are distances (Endres & Schindelin 2003). KL and JS are not: they violate
the triangle inequality, and KL is not symmetric.

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


def kullback_leibler(p: ArrayLike, q: ArrayLike, dx: float | None = None) -> float:
    """Return KL(p || q) in nats, from 0 to infinity.

    0 log 0 counts as 0. Where q = 0 < p the divergence is infinite, and so it is returned: an
    estimate q that underflows to 0 in a tail of p does this, where `jensen_shannon` stays finite.

    Args:
        p: (M,), the first distribution: probabilities, or a density's values on a uniform grid.
        q: (M,), the second, likewise.
        dx: the grid's spacing; None for probabilities.

    Raises:
        ValueError: shapes differ, values are negative or not finite, dx <= 0, or probabilities do not sum to 1.

    Example:
        >>> round(kullback_leibler([0.5, 0.5], [0.25, 0.75]), 4), kullback_leibler([0.5, 0.5], [1.0, 0.0])
        (0.1438, inf)
        >>> x = np.linspace(-10, 10, 2001)
        >>> p, q = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)  # two Gaussians, 1 apart
        >>> round(kullback_leibler(p / np.sqrt(2 * np.pi), q / np.sqrt(2 * np.pi), 0.01), 9)
        0.5
    """
    p, q = _check(p, q, dx, "kullback_leibler")
    return _integral(_relative_entropy(p, q), dx)


def jensen_shannon(p: ArrayLike, q: ArrayLike, dx: float | None = None) -> float:
    """Return the Jensen-Shannon divergence in nats, from 0 (equal) to log 2 (disjoint).

    It is what a generator minimises against an optimal discriminator: the GAN's value is then
    2 JS - log 4 (Goodfellow et al. 2014, Theorem 1).

    Args:
        p: (M,), the first distribution: probabilities, or a density's values on a uniform grid.
        q: (M,), the second, likewise.
        dx: the grid's spacing; None for probabilities.

    Raises:
        ValueError: shapes differ, values are negative or not finite, dx <= 0, or probabilities do not sum to 1.

    Example:
        >>> p, q = np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.0, 0.5])
        >>> jensen_shannon(p, p), round(jensen_shannon(p, q), 4)
        (0.0, 0.6931)
    """
    p, q = _check(p, q, dx, "jensen_shannon")
    m = 0.5 * (p + q)
    return _integral(0.5 * (_relative_entropy(p, m) + _relative_entropy(q, m)), dx)


def total_variation(p: ArrayLike, q: ArrayLike, dx: float | None = None) -> float:
    """Return the total variation distance, from 0 (equal) to 1 (disjoint).

    It is the largest difference between the probabilities that the two give to any one event.

    Args:
        p: (M,), the first distribution: probabilities, or a density's values on a uniform grid.
        q: (M,), the second, likewise.
        dx: the grid's spacing; None for probabilities.

    Raises:
        ValueError: shapes differ, values are negative or not finite, dx <= 0, or probabilities do not sum to 1.

    Example:
        >>> total_variation([1.0, 0.0], [0.75, 0.25])
        0.25
    """
    p, q = _check(p, q, dx, "total_variation")
    return _integral(0.5 * np.abs(p - q), dx)


def _check(p: ArrayLike, q: ArrayLike, dx: float | None, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, q = check_density_values(p, q, 1.0 if dx is None else dx, name)
    if dx is None and max(abs(p.sum() - 1), abs(q.sum() - 1)) > 1e-8:
        raise ValueError(
            f"{name}: p sums to {p.sum()} and q to {q.sum()}, expected probabilities, of sum 1; "
            "densities on a grid need its spacing dx"
        )
    return p, q


def _integral(values: NDArray[np.float64], dx: float | None) -> float:
    return float(values.sum() if dx is None else np.trapezoid(values, dx=dx))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """p log(p / q) - p + q at each point: zero where p = q, positive elsewhere."""
    entropy = q - p
    some = p > 0
    with np.errstate(divide="ignore"):  # log 0 where q = 0 < p: infinite, as it should be
        entropy[some] += p[some] * (np.log(p[some]) - np.log(q[some]))
    return entropy
