"""The Gaussian kernel density estimate of many samples on a uniform grid, by binning.

The definition (`minigen.data.kernel_density`) costs N kernels per grid point. Here each sample
first shares its weight between the two grid points beside it, in proportion to nearness; what is
left is one kernel per pair of grid points, and depends on their distance alone: a convolution.
Linear binning: Jones and Lotwick 1984; its accuracy: Hall and Wand 1996.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data import silverman_bandwidth
from minigen.data.checks import scalar_samples
from minigen.data.kernel_density import check_bandwidth
from minigen.metrics.grid import grid_spacing

REACH = 8.0
"""Bandwidths after which the kernel is cut off; it has fallen there to exp(-32), 1e-14."""


def binned_kernel_density(
    samples: ArrayLike, grid: ArrayLike, *, bandwidth: float | None = None
) -> NDArray[np.float64]:
    """Return the Gaussian kernel density estimate at the points of a uniform grid.

    Sharing a sample between two grid points replaces the kernel by its linear interpolation, so
    for bandwidth h and spacing dx the result differs from the direct sum by at most
    dx^2 / (8 h^3 sqrt(2 pi)), that is (dx / h)^2 / 8 of the kernel's peak. A bandwidth below the
    spacing is not resolved: the result then goes over into a histogram, still of the right mass.

    As an estimate of the density it is biased by the smoothing (`kernel_density` says how). Mass
    outside the grid is not moved in: samples out there count in N.

    Args:
        samples: (N,) or (N, 1).
        grid: (M,), uniform and rising.
        bandwidth: h, in the units of the samples; by default `silverman_bandwidth(samples)`.

    Returns:
        (M,), float64, nowhere negative.

    Raises:
        ValueError: samples that are not finite, or all equal while no bandwidth is given; a grid
            that is not uniform; bandwidth <= 0.

    Example:
        >>> binned_kernel_density([0.0], [-1.0, 0.0, 1.0], bandwidth=1.0).round(4)
        array([0.242 , 0.3989, 0.242 ])
    """
    x = scalar_samples(samples, "binned_kernel_density: samples")
    grid = np.asarray(grid, dtype=np.float64)
    dx = grid_spacing(grid, "binned_kernel_density")
    h = silverman_bandwidth(x) if bandwidth is None else bandwidth
    check_bandwidth(h, "binned_kernel_density")

    # Bins: the grid, longer at both ends by the kernel's reach. Samples beyond are out of reach.
    reach = math.ceil(REACH * h / dx)
    bins = grid.size + 2 * reach
    position = (x - grid[0]) / dx + reach  # (N,), in units of bins
    position = position[(position >= 0) & (position < bins - 1)]
    left = np.floor(position).astype(np.int64)
    to_right = position - left
    weight = np.bincount(left, 1 - to_right, bins) + np.bincount(left + 1, to_right, bins)

    offset = np.arange(-reach, reach + 1) * (dx / h)  # (2 reach + 1,), in bandwidths
    kernel = np.exp(-0.5 * offset**2)
    kernel /= kernel.sum() * dx
    return np.convolve(weight, kernel, mode="valid") / x.size  # (bins - 2 reach,) = (M,)
