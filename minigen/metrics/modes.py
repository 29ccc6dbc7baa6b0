"""Which modes of the target a generator serves, and how well: the sign of mode collapse is a mass near 0."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import check_finite, scalar_samples


def mode_mass(samples: ArrayLike, centres: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the samples that is nearest to each centre.

    Compare with the exact masses in `Density.modes`. Each share is unbiased for the probability
    m of the points nearest to that centre, with standard deviation sqrt(m (1 - m) / N). It counts
    a sample however far it is: it tells which modes are served, not how well.

    Args:
        samples: (N,) or (N, 1).
        centres: (K,), where the modes stand. A sample as near to two counts for the first.

    Returns:
        (K,), float64, with sum 1, in the order of the centres.

    Raises:
        ValueError: samples or centres are empty or not finite.

    Example:
        >>> mode_mass([[-2.1], [1.8], [2.2], [1.9]], [-2.0, 2.0])
        array([0.25, 0.75])
    """
    x = scalar_samples(samples, "mode_mass: samples")
    c = scalar_samples(centres, "mode_mass: centres")
    nearest = np.abs(x[:, None] - c).argmin(axis=1)  # (N, K) -> (N,)
    return np.bincount(nearest, minlength=c.size) / x.size


class ModeCoverage(NamedTuple):
    """What `mode_coverage` counts.

    Attributes:
        modes: how many modes have a high-quality sample.
        high_quality: the share of the samples that are of high quality.
    """

    modes: int
    high_quality: float


def mode_coverage(samples: ArrayLike, centres: ArrayLike, scale: float) -> ModeCoverage:
    """Count the modes that samples cover, and the samples that lie at a mode.

    A sample is of high quality if it is less than three standard deviations from the nearest mode, and covers this mode (Srivastava et
    al. 2017, "VEEGAN"; Lin et al. 2018, "PacGAN", section 4.1, who draw 2,500 samples). Of exact samples of isotropic Gaussians in the
    plane, well apart, a share of 1 - exp(-9/2) = 98.9% is of high quality. One sample is enough to cover a mode: the count tells what
    is not lost, not whether the modes have their due mass, and it rises with the number of samples.

    Args:
        samples: (N, D).
        centres: (K, D), where the modes stand. A sample as near to two belongs to the first.
        scale: the standard deviation of each mode along each axis.

    Raises:
        ValueError: shapes that do not fit, a sample or centre that is not finite, or scale <= 0.

    Example:
        >>> mode_coverage([[0.1, 0.0], [0.0, -0.2], [0.9, 0.0], [0.5, 0.5]], [[0.0, 0.0], [1.0, 0.0]], scale=0.1)
        ModeCoverage(modes=2, high_quality=0.75)
    """
    x, c = np.asarray(samples, dtype=np.float64), np.asarray(centres, dtype=np.float64)
    if x.ndim != 2 or c.ndim != 2 or x.shape[1] != c.shape[1] or not x.size or not c.size:
        raise ValueError(
            f"mode_coverage: samples have shape {x.shape}, centres {c.shape}; expected (N, D) and (K, D) with N and K at least 1"
        )
    if not 0 < scale < math.inf:
        raise ValueError(f"mode_coverage: scale is {scale}, expected a positive number")
    check_finite(x, "mode_coverage: samples")
    check_finite(c, "mode_coverage: centres")
    squares = np.square(x[:, None] - c).sum(axis=2)  # (N, K)
    near = squares.min(axis=1) < (3 * scale) ** 2  # (N,)
    covered = np.unique(squares.argmin(axis=1)[near])
    return ModeCoverage(modes=covered.size, high_quality=float(near.mean()))
