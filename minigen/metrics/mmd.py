"""The maximum mean discrepancy: how far apart two samples are by the means of a kernel (Gretton et al. 2012, "A kernel two-sample test").

    MMD^2(p, q) = E[k(x, x')] - 2 E[k(x, y)] + E[k(y, y')],     x, x' ~ p and y, y' ~ q, all independent              lemma 6

It is 0 where p = q, and only there if the kernel is *characteristic*, as the Gaussian one is. Means over all pairs of *different* samples
estimate it without bias, at any sample size:

    sum_{i != j} k(x_i, x_j) / n(n-1) - 2 sum_ij k(x_i, y_j) / nm + sum_{i != j} k(y_i, y_j) / m(m-1)                equation 3

So for equal distributions it is 0 on average, and negative half of the time: it is reported as it comes, not cut off at 0.

    Gaussian      k(x, y) = exp(-|x - y|^2 / 2h^2)       h the median distance of the pooled samples, where none is given (section 8)
    polynomial    k(x, y) = (x.y / F + 1)^3              on features of images: the kernel inception distance, KID
                                                         (Binkowski et al. 2018, "Demystifying MMD GANs", section 4), if Inception made them
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.random import Generator

NEAR = 1e-6
"""A squared distance that is at most this share of the squares whose difference it is has lost six digits or more."""
CHUNK = 2**22  # float64 numbers in memory at a time: 32 MiB

Doubles = NDArray[np.float64]
Kernel = Callable[[Doubles, Doubles], Doubles]
"""From (N, F) and (M, F) to k of all pairs, (N, M)."""

BLOCK = 1000  # rows of the matrix of pairs that are held at a time


class KernelDistance(NamedTuple):
    """An unbiased estimate of MMD^2 with the polynomial kernel.

    Attributes:
        value: the mean over the subsets.
        standard_error: of the mean; the subsets are disjoint, and so independent.
        subsets: how many.
        subset_size: samples of either kind in each.
        extractor: what made the features.
    """

    value: float
    standard_error: float
    subsets: int
    subset_size: int
    extractor: str


def gaussian_kernel(bandwidth: float) -> Kernel:
    """Return k(x, y) = exp(-|x - y|^2 / 2h^2).

    Args:
        bandwidth: h, in the units of x.

    Raises:
        ValueError: h is not above 0.

    Example:
        >>> gaussian_kernel(1.0)(np.zeros((1, 2)), np.array([[0.0, 0.0], [1.0, 1.0]])).round(4)
        array([[1.    , 0.3679]])
    """
    if not 0 < bandwidth < math.inf:
        raise ValueError(
            f"gaussian_kernel: bandwidth = {bandwidth}, expected a positive number; are all samples equal?"
        )
    return lambda x, y: np.exp(-0.5 * squared_distances(x / bandwidth, y / bandwidth))


def polynomial_kernel(degree: int = 3) -> Kernel:
    """Return k(x, y) = (x.y / F + 1)^degree for F features.

    Example:
        >>> polynomial_kernel()(np.ones((1, 4)), np.ones((1, 4)))
        array([[8.]])
    """
    return lambda x, y: (x @ y.T / x.shape[1] + 1.0) ** degree


def median_bandwidth(x: ArrayLike, y: ArrayLike, *, most: int = 2000) -> float:
    """Return the median distance between different samples of the pooled x and y.

    Args:
        x: (N, F).
        y: (M, F).
        most: of each, at most so many, evenly spaced, are looked at.

    Example:
        >>> median_bandwidth([[0.0], [1.0]], [[3.0], [7.0]])
        3.5
    """
    parts = [_samples(array, "median_bandwidth") for array in (x, y)]
    pooled = np.concatenate([part[:: -(-len(part) // most)] for part in parts])
    pooled -= pooled[0]
    largest = np.abs(pooled).max() or 1.0  # no square of what is divided by it overflows or vanishes
    pairs = np.triu_indices(len(pooled), 1)
    return float(largest * np.median(np.sqrt(squared_distances(pooled / largest, pooled / largest)[pairs])))


def mmd_squared(x: ArrayLike, y: ArrayLike, *, kernel: Kernel | None = None) -> float:
    """Estimate MMD^2 without bias.

    Memory is bounded by 1000 rows of the matrix of pairs; the time grows with (N + M)^2.

    Args:
        x: (N, F), N >= 2.
        y: (M, F), M >= 2.
        kernel: k; a Gaussian one with `median_bandwidth` where None. A bandwidth taken from the same samples makes the estimate a
            function of it, with a small bias where p differs from q; it is 0 on average all the same where p = q.

    Raises:
        ValueError: fewer than 2 samples, shapes that do not fit, or numbers that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(500, 2)), rng.normal(size=(500, 2))
        >>> abs(mmd_squared(x, y)) < 0.01, mmd_squared(x, y + 1) > 0.1
        (True, True)
    """
    x, y = _samples(x, "mmd_squared"), _samples(y, "mmd_squared")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"mmd_squared: samples of {x.shape[1]} and of {y.shape[1]} numbers")
    k = gaussian_kernel(median_bandwidth(x, y)) if kernel is None else kernel
    return _mean_of_different(k, x) + _mean_of_different(k, y) - 2 * _sum(k, x, y) / (len(x) * len(y))


def kernel_distance(
    real: ArrayLike, generated: ArrayLike, *, extractor: str, subset_size: int = 1000, rng: Generator
) -> KernelDistance:
    """Estimate MMD^2 with the cubic kernel, as the mean over subsets that share no sample, with its standard error.

    Binkowski et al. draw overlapping subsets, whose spread understates the error; that of disjoint ones does not. With few subsets the
    error is itself a rough estimate.

    Args:
        real: (N, F), features of real images.
        generated: (M, F), features of generated ones.
        extractor: names what made the features.
        subset_size: of either kind; there are min(N, M) // subset_size subsets.
        rng: orders the samples.

    Raises:
        ValueError: fewer than two subsets, subsets of fewer than 2, or features that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = kernel_distance(
        ...     rng.normal(size=(1000, 8)), rng.normal(size=(1000, 8)), extractor="none", subset_size=100, rng=Generator(0)
        ... )
        >>> found.subsets, abs(found.value) < 4 * found.standard_error
        (10, True)
    """
    real, generated = _samples(real, "kernel_distance"), _samples(generated, "kernel_distance")
    subsets = min(len(real), len(generated)) // subset_size if subset_size > 1 else 0
    if subsets < 2:
        raise ValueError(
            f"kernel_distance: {len(real)} real and {len(generated)} generated samples in subsets of {subset_size}; expected at least two "
            "subsets, of 2 or more"
        )
    used = subsets * subset_size
    pairs = zip(
        real[rng.permutation(len(real))[:used]].reshape(subsets, subset_size, -1),
        generated[rng.permutation(len(generated))[:used]].reshape(subsets, subset_size, -1),
        strict=True,
    )
    values = np.array([mmd_squared(x, y, kernel=polynomial_kernel()) for x, y in pairs])
    return KernelDistance(
        float(values.mean()), float(values.std(ddof=1) / math.sqrt(subsets)), subsets, subset_size, extractor
    )


def squared_distances(x: Doubles, y: Doubles) -> Doubles:
    """Return |x_i - y_j|^2 of all pairs, (N, F) and (M, F) -> (N, M), by one product of matrices.

    It is a difference of squares, which loses digits where it is far smaller than they are. So the squares are taken about the middle of x,
    and the distance of two samples that are far nearer to each other than to the middle is computed again from their difference. Wherever
    the data lie, the relative error is below 1e-9.

    Example:
        >>> squared_distances(np.array([[1.7e9, 0.0]]), np.array([[1.7e9 + 3.0, 4.0]]))  # such as times in seconds since 1970
        array([[25.]])
    """
    middle = x.mean(axis=0)
    a, b = x - middle, y - middle
    size = np.einsum("nf,nf->n", a, a)[:, None] + np.einsum("mf,mf->m", b, b)  # (N, M)
    squares = np.asarray(size - 2 * (a @ b.T))
    rows, columns = np.nonzero(squares <= NEAR * size)
    step = max(1, CHUNK // x.shape[1])
    for start in range(0, len(rows), step):
        i, j = rows[start : start + step], columns[start : start + step]
        difference = x[i] - y[j]
        squares[i, j] = np.einsum("nf,nf->n", difference, difference)
    return squares


def _sum(kernel: Kernel, x: Doubles, y: Doubles) -> float:
    return math.fsum(float(kernel(x[start : start + BLOCK], y).sum()) for start in range(0, len(x), BLOCK))


def _mean_of_different(kernel: Kernel, x: Doubles) -> float:
    """The mean of k over pairs of different samples."""
    diagonal = math.fsum(float(kernel(row, row)[0, 0]) for row in x[:, None])
    return (_sum(kernel, x, x) - diagonal) / (len(x) * (len(x) - 1))


def _samples(x: ArrayLike, owner: str) -> Doubles:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"{owner}: samples of shape {array.shape}, expected finite numbers, (N, F) with N >= 2")
    return array
