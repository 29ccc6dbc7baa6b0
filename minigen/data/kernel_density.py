"""The Gaussian kernel density estimate, by its definition, and a rule for its bandwidth.

Of samples x_1, ..., x_N with bandwidth h (Silverman 1986, "Density Estimation for Statistics and
Data Analysis", eq. 2.2a and 3.31):

    p(x) = 1 / (N h) sum_i phi((x - x_i) / h),        phi the standard normal density
    h    = 0.9 min(standard deviation, IQR / 1.34) N^(-1/5)
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import scalar_samples


def silverman_bandwidth(samples: ArrayLike) -> float:
    """Return Silverman's rule-of-thumb bandwidth, in the units of the samples.

    The rule is tuned to one roughly Gaussian hump. Of several distant humps it sees only the total
    spread and smooths too much: a bias towards merging modes.

    Args:
        samples: (N,) or (N, 1).

    Returns:
        0.9 min(s, IQR / 1.34) N^(-1/5), with s the standard deviation (divisor N - 1). Where more
        than half the samples coincide and IQR is 0, s alone counts.

    Raises:
        ValueError: all samples are equal, or some are not finite.

    Example:
        >>> round(silverman_bandwidth([1.0, 2.0, 3.0, 4.0, 5.0]), 4)
        0.9736
    """
    x = scalar_samples(samples, "silverman_bandwidth: samples")
    if x.min() == x.max():
        raise ValueError(
            f"silverman_bandwidth: all {x.size} samples equal {x[0]}, so their spread gives no "
            "bandwidth; choose one by hand"
        )
    spread = float(x.std(ddof=1))
    lower, upper = np.quantile(x, [0.25, 0.75])
    if upper > lower:
        spread = min(spread, float(upper - lower) / 1.34)
    return 0.9 * spread * x.size**-0.2


def kernel_density(samples: ArrayLike, points: ArrayLike, *, bandwidth: float) -> NDArray[np.float64]:
    """Return the Gaussian kernel density estimate at any points, summed term by term.

    Time and memory grow as N times the number of points. For many samples on a uniform grid,
    `minigen.metrics.binned_kernel_density` is the fast twin.

    The estimate's expectation is the true density smoothed by the kernel, p + h^2 p'' / 2 + ...:
    peaks come out too low and valleys too high. Its variance is about p / (2 sqrt(pi) N h).

    Args:
        samples: (N,) or (N, 1).
        points: where to evaluate; any shape.
        bandwidth: h, the kernel's standard deviation, in the units of the samples.

    Returns:
        The density, float64, of the points' shape.

    Raises:
        ValueError: bandwidth <= 0, or some samples are not finite.

    Example:
        >>> kernel_density([0.0], [0.0, 1.0], bandwidth=1.0).round(4)
        array([0.3989, 0.242 ])
    """
    x = scalar_samples(samples, "kernel_density: samples")
    check_bandwidth(bandwidth, "kernel_density")
    distance = (np.asarray(points, dtype=np.float64)[..., None] - x) / bandwidth  # (..., N)
    return np.exp(-0.5 * distance**2).mean(axis=-1) / (bandwidth * math.sqrt(2 * math.pi))


def check_bandwidth(bandwidth: float, name: str) -> None:
    """Refuse a bandwidth that is no positive number.

    Example:
        >>> check_bandwidth(-1.0, "kernel_density")
        Traceback (most recent call last):
        ValueError: kernel_density: bandwidth is -1.0, expected a positive number
    """
    if not 0 < bandwidth < math.inf:
        raise ValueError(f"{name}: bandwidth is {bandwidth}, expected a positive number")
