"""All figures of merit of a one-dimensional generator against a target that is known exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data import Density, Empirical
from minigen.data.checks import scalar_samples
from minigen.metrics.discriminator import discriminator_gap
from minigen.metrics.kernel_density import binned_kernel_density
from minigen.metrics.modes import mode_mass
from minigen.metrics.tabulated_divergences import jensen_shannon
from minigen.metrics.wasserstein import wasserstein1_floor, wasserstein1_to_quantile
from minigen.random import Generator

BANDWIDTH = 0.05
"""Of the kernel density estimate of exact targets' samples, in standard deviations of the target."""

GRID_POINTS = 2001
FLOOR_SEED, FLOOR_REPETITIONS = 0, 100  # the floor of 50,000 samples is then known to a tenth


def matching_bandwidth(density: Density) -> float:
    """Return the bandwidth for samples that are compared with a density.

    A finite sample's density is a kernel estimate itself; samples are then smoothed as much as it is, so that equal distributions have
    equal estimates. Otherwise it is small, 0.05 standard deviations, which suits some 50,000 samples.

    Example:
        >>> from minigen.data import target
        >>> matching_bandwidth(target("faithful")), matching_bandwidth(target("gaussian"))
        (0.14, 0.05)
    """
    return density.bandwidth if isinstance(density, Empirical) else BANDWIDTH * density.standard_deviation


def compare_with_density(
    samples: ArrayLike,
    density: Density,
    *,
    discriminator: Callable[[NDArray[np.float64]], ArrayLike] | None = None,
) -> dict[str, Any]:
    """Compare samples with the target that they should have come from.

    Args:
        samples: (N,) or (N, 1).
        density: the target.
        discriminator: D, from points (M,) to probabilities (M,); None where there is no such thing.

    Returns:
        `wasserstein1` against the exact quantiles; `wasserstein1_floor`, the mean of the same figure for N exact samples;
        `jensen_shannon` in nats and `discriminator_gap`, the mean |D - D*| under (p_data + p_g)/2 or None, both of which take the kernel
        density estimate that `density_estimator` names for p_g, and so are biased upwards; `mode_mass` and `mode_mass_exact`, a share for
        each mode; `mean` and `standard_deviation`.

    Raises:
        ValueError: samples that are not finite.

    Example:
        >>> from minigen.data import target
        >>> density = target("gaussian")
        >>> figures = compare_with_density(density.sample(1000, Generator(0)) + 1, density)
        >>> round(figures["wasserstein1"], 1)
        1.0
    """
    x = scalar_samples(samples, "compare_with_density: samples")
    bandwidth = matching_bandwidth(density)
    low, high = density.support
    grid = np.linspace(min(low, float(x.min())), max(high, float(x.max())), GRID_POINTS)
    dx = grid[1] - grid[0]
    p_data, p_samples = density.pdf(grid), binned_kernel_density(x, grid, bandwidth=bandwidth)
    gap = None if discriminator is None else discriminator_gap(discriminator(grid), p_data, p_samples, dx)
    return {
        "wasserstein1": wasserstein1_to_quantile(x, density.quantile),
        "wasserstein1_floor": wasserstein1_floor(
            density, len(x), rng=Generator(FLOOR_SEED), repetitions=FLOOR_REPETITIONS
        ),
        "jensen_shannon": jensen_shannon(p_data, p_samples, dx),
        "discriminator_gap": gap,
        "density_estimator": f"Gaussian kernel, bandwidth {bandwidth:.4g}, {len(x)} samples",
        "mode_mass": mode_mass(x, density.centres).tolist(),
        "mode_mass_exact": [mass for _, mass in density.modes],
        "mean": float(x.mean()),
        "standard_deviation": float(x.std()),
    }
