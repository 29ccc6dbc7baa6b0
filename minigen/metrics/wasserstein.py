"""The Wasserstein-1 distance on the line, which has a closed form.

It is the least mean distance over which probability must be moved to turn one distribution into
the other. In one dimension nothing is gained by crossing paths, so the quantiles u of both are
paired, and with distribution functions F, G (Vallender 1974, "Calculation of the Wasserstein
distance between probability distributions on the line"):

    W1 = integral_0^1 |F^-1(u) - G^-1(u)| du = integral |F(x) - G(x)| dx

Unlike a divergence between densities it needs no overlap and no bandwidth, and it has the units of
x. Its plug-in estimate from a sample is biased upwards: N exact samples do not have distance 0 but
about sqrt(2 / (pi N)) integral sqrt(F (1 - F)) dx (the limit law of del Barrio, Gine and Matran
1999). That floor is what a perfect model would score; `wasserstein1_floor` measures it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data import Density
from minigen.data.checks import scalar_samples
from minigen.metrics.transport import check_masses
from minigen.random import Generator


def wasserstein1(x: ArrayLike, y: ArrayLike, *, a: ArrayLike | None = None, b: ArrayLike | None = None) -> float:
    """Return the exact W1 distance between two finite samples, or two discrete distributions.

    As an estimate of the distance between the distributions the samples came from, it is biased
    upwards: both samples' noise adds to it.

    Args:
        x: (N,) or (N, 1).
        y: (M,) or (M, 1).
        a: (N,), the masses at x; 1/N each where None.
        b: (M,), the masses at y, of the same sum; 1/M each where None.

    Returns:
        integral |F - G| dx of the two staircases, in the units of x (times mass, where its sum is not 1).

    Raises:
        ValueError: a sample is empty or not finite, masses are negative, or their sums differ.

    Example:
        >>> wasserstein1([0.0, 1.0], [2.0, 3.0, 2.0, 3.0])
        2.0
        >>> wasserstein1([0.0, 1.0], [0.0, 1.0], a=[0.75, 0.25], b=[0.5, 0.5])
        0.25
    """
    x, y = scalar_samples(x, "wasserstein1: x"), scalar_samples(y, "wasserstein1: y")
    a, b = check_masses(a, b, (x.size, y.size), "wasserstein1")
    jumps = np.sort(np.concatenate([x, y]))  # F and G are constant between two of these
    F, G = _staircase(x, a, jumps[:-1]), _staircase(y, b, jumps[:-1])
    return float(np.abs(F - G) @ np.diff(jumps))


def wasserstein1_to_quantile(
    samples: ArrayLike, quantile: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> float:
    """Return the W1 distance between a sample and a distribution with known quantile function Q.

    The sample's own quantile function is a staircase over the cells [i/N, (i+1)/N], at the height
    of the i-th smallest sample. Q is read at the middle of each cell:

        W1 = 1/N sum_i |x_(i) - Q((i + 1/2) / N)|

    Two errors remain. Reading Q once per cell is off by at most (Q(1) - Q(0)) / (2N) where Q is
    bounded, and by little more with light tails. The bias of the finite sample is larger, of order
    1 / sqrt(N) and positive: see `wasserstein1_floor`.

    Args:
        samples: (N,) or (N, 1).
        quantile: Q, a function from u in (0, 1), (N,) float64, to as many values, such as
            `Density.quantile`. For a target that is itself a sample, `wasserstein1` is exact.

    Returns:
        The distance, in the units of the samples.

    Raises:
        ValueError: the sample is empty or not finite.

    Example:
        >>> wasserstein1_to_quantile([1.25, 1.75], lambda u: u)  # uniform on [0, 1]
        1.0
    """
    x = np.sort(scalar_samples(samples, "wasserstein1_to_quantile: samples"))
    return float(np.abs(x - quantile(_midpoints(x.size))).mean())


def wasserstein1_floor(density: Density, n: int, *, rng: Generator, repetitions: int = 20) -> float:
    """Return the mean of `wasserstein1_to_quantile` over exact samples of size n.

    A model's distance at the same n cannot be told from perfect once it has come down to this.
    The mean itself is unbiased for the floor; its error falls as 1 / sqrt(repetitions).

    Args:
        density: the target.
        n: samples per repetition.
        rng: a Generator on the CPU.
        repetitions: how many distances are averaged.

    Returns:
        The floor, in the units of the density's variable.

    Example:
        >>> from minigen.data import target
        >>> floor = wasserstein1_floor(target("uniform"), 1000, rng=Generator(0))
        >>> 0.02 < floor < 0.08
        True
    """
    quantiles = density.quantile(_midpoints(n))
    distances = [wasserstein1_to_quantile(density.sample(n, rng), lambda u: quantiles) for _ in range(repetitions)]
    return float(np.mean(distances))


def _staircase(x: NDArray[np.float64], mass: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mass up to each point of `at`, where `mass` stands at the places x."""
    order = np.argsort(x)
    below = np.concatenate([[0.0], np.cumsum(mass[order])])
    return below[np.searchsorted(x[order], at, side="right")]


def _midpoints(n: int) -> NDArray[np.float64]:
    return (np.arange(n) + 0.5) / n
