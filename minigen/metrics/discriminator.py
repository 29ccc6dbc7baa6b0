"""How near a discriminator is to the best one, where the densities are known.

Goodfellow et al. 2014, "Generative Adversarial Nets", Proposition 1: against data of density p and
a generator of density q, the discriminator's value

    V(D) = integral p log D + q log(1 - D)        is greatest at        D* = p / (p + q)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.metrics.grid import check_density_values


def optimal_discriminator(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Return D* = p / (p + q), the probability that a point at x came from the data.

    Where both densities vanish any value is optimal; the convention here is 1/2.

    Args:
        p: values of the data's density, of any shape.
        q: values of the generator's density at the same points.

    Returns:
        D*, float64, in [0, 1].

    Raises:
        ValueError: shapes differ.

    Example:
        >>> optimal_discriminator([1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 3.0, 0.0])
        array([1. , 0.5, 0. , 0.5])
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if p.shape != q.shape:
        raise ValueError(f"optimal_discriminator: p has shape {p.shape} and q {q.shape}")
    total = p + q
    return np.divide(p, total, out=np.full_like(total, 0.5), where=total > 0)


def discriminator_gap(d: ArrayLike, p: ArrayLike, q: ArrayLike, dx: float) -> float:
    """Return the mean of |D - D*| over the points that D is shown, half data and half generated.

    The integral of |D - D*| (p + q) / 2 over the grid, by the trapezoid rule. With exact densities
    its only errors are the rule's and the mass outside the grid, which is missed: a lower bound.
    With q a kernel density estimate, the error of D* itself, smoothing and noise, adds to the gap:
    a perfect D then scores above 0.

    Args:
        d: (M,), the discriminator's probabilities (not logits) on a uniform grid.
        p: (M,), values of the data's density on the same grid.
        q: (M,), values of the generator's density.
        dx: the grid's spacing.

    Returns:
        A probability, from 0 (optimal) to 1.

    Raises:
        ValueError: shapes differ, d leaves [0, 1], a density is negative or not finite, or dx <= 0.

    Example:
        >>> p = q = np.array([0.0, 1.0, 0.0])
        >>> discriminator_gap([0.5, 0.75, 0.5], p, q, 1.0)
        0.25
    """
    p, q = check_density_values(p, q, dx, "discriminator_gap")
    d = np.asarray(d, dtype=np.float64)
    if d.shape != p.shape:
        raise ValueError(f"discriminator_gap: d has shape {d.shape}, expected {p.shape} as p has")
    inside = (d >= 0) & (d <= 1)
    if not inside.all():
        index = int(np.argmin(inside))
        raise ValueError(
            f"discriminator_gap: d[{index}] is {d[index]}, expected probabilities in [0, 1]; "
            "apply the sigmoid to logits first"
        )
    return float(np.trapezoid(np.abs(d - optimal_discriminator(p, q)) * 0.5 * (p + q), dx=dx))
