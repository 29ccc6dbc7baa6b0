"""The Gaussian kernel density estimate: its definition, two rules for its bandwidth, and its modes.

Of samples x_1, ..., x_N with bandwidth h (Silverman 1986, "Density Estimation for Statistics and
Data Analysis", eq. 2.2a and 3.31):

    p(x) = 1 / (N h) sum_i phi((x - x_i) / h),        phi the standard normal density
    h    = 0.9 min(s, IQR / 1.34) N^(-1/5),           s the standard deviation

The best h depends on the integral of p''(x)^2, called psi_4, of the true density; Silverman's rule takes a Gaussian's. Sheather and Jones
(1991, "A reliable data-based bandwidth selection method for kernel density estimation", J. R. Statist. Soc. B 53, 683-690) estimate it from
the samples, with kernels of a width g of their own, which depends on h again. Their h solves

    h        = (2 sqrt(pi) N psi_4(g))^(-1/5),    g = 1.357 (-psi_4(a) / psi_6(b))^(1/7) h^(5/7)
    psi_r(g) = 1 / (N (N - 1)) sum_ij phi_g^(r)(x_i - x_j),    phi_g^(r) the r-th derivative of phi(x / g) / g
    a        = 1.24 S N^(-1/7),    b = 1.23 S N^(-1/9),    S = min(s, IQR / 1.349)
"""

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import scalar_samples

DISTANCES = 2**17
"""How many distances from points to samples are held at a time: 1 MB, which stays in the processor's cache."""

BINS = 2**14
"""Steps of the grid over the samples' range where Sheather and Jones' rule and the modes are computed."""

FINEST = 2 / BINS
"""The smallest bandwidth on that grid, in units of the range: two steps, which resolve a kernel to 1e-8."""


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
    _check_different(x, "silverman_bandwidth")
    return 0.9 * _spread(x, 1.34) * x.size**-0.2


def sheather_jones_bandwidth(samples: ArrayLike) -> float:
    """Return Sheather and Jones' bandwidth (1991), in the units of the samples: the rule for several modes.

    The sums over pairs are sums over distances on a grid of `BINS` steps, and h is at least two of them. Where several h solve the
    equation, the largest is taken.

    Rounded samples need one more thought. To a rule that looks at ever finer detail, values on a lattice are spikes, and h would shrink to
    nothing. So h is also at least half the distance from a sample to the nearest different one, at the median sample: kernels that stand 2h
    apart just merge. For samples with all their digits this distance is about s / N, and does not matter.

    Args:
        samples: (N,) or (N, 1).

    Raises:
        ValueError: all samples are equal, or some are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> samples = rng.normal(rng.choice([-2.0, 2.0], 1000), 0.5)
        >>> f"{sheather_jones_bandwidth(samples):.2f} {silverman_bandwidth(samples):.2f}"
        '0.16 0.47'
    """
    x = np.sort(scalar_samples(samples, "sheather_jones_bandwidth: samples"))
    _check_different(x, "sheather_jones_bandwidth")
    n, extent = x.size, float(x[-1] - x[0])
    x = (x - x[0]) / extent  # from 0 to 1

    # How many pairs (i, j) lie each distance apart: the autocorrelation of the counts, by a Fourier transform with room for all distances.
    counts = np.bincount(np.rint(x * BINS).astype(np.int64))  # (BINS + 1,)
    pairs = np.fft.irfft(np.abs(np.fft.rfft(counts, 2 * BINS + 2)) ** 2)[: BINS + 1].round()  # (BINS + 1,)
    pairs[1:] *= 2  # (j, i) as well
    distance = np.arange(BINS + 1) / BINS

    def psi(order: int, g: float) -> float:
        z2 = (distance[distance < 10 * g] / g) ** 2
        hermite = (z2 - 6) * z2 + 3 if order == 4 else ((z2 - 15) * z2 + 45) * z2 - 15
        total = float(np.sum(pairs[: z2.size] * hermite * np.exp(-0.5 * z2))) / math.sqrt(2 * math.pi)
        return total / (n * (n - 1) * g ** (order + 1))

    spread = _spread(x, 1.349)
    a, b = 1.24 * spread * n ** (-1 / 7), 1.23 * spread * n ** (-1 / 9)
    factor = 1.357 * (-psi(4, a) / psi(6, b)) ** (1 / 7)

    def too_large(h: float) -> bool:
        return h > (2 * math.sqrt(math.pi) * n * psi(4, factor * h ** (5 / 7))) ** -0.2

    values, multiplicity = np.unique(x, return_counts=True)
    gaps = np.diff(values, prepend=-np.inf, append=np.inf)  # one more than there are values
    to_nearest = np.repeat(np.minimum(gaps[:-1], gaps[1:]), multiplicity)  # (N,)
    least = max(0.5 * float(np.median(to_nearest)), FINEST)

    high = 1.0
    while high > least and too_large(0.9 * high):
        high *= 0.9
    low = max(0.9 * high, least)  # the largest solution lies between low and high, or is below `least`
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if too_large(middle) else (middle, high)
    return low * extent


def kernel_density(samples: ArrayLike, points: ArrayLike, *, bandwidth: float) -> NDArray[np.float64]:
    """Return the Gaussian kernel density estimate at any points, summed term by term.

    Time grows as N times the number of points. For many samples on a uniform grid,
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
    points = np.asarray(points, dtype=np.float64)
    flat, density = points.reshape(-1, 1), np.empty(points.size)  # (M, 1), (M,)
    rows = max(1, DISTANCES // x.size)
    for start in range(0, points.size, rows):
        distance = (flat[start : start + rows] - x) / bandwidth  # (rows, N)
        density[start : start + rows] = np.exp(-0.5 * distance**2).mean(axis=1)
    return density.reshape(points.shape) / (bandwidth * math.sqrt(2 * math.pi))


def estimated_modes(samples: ArrayLike, *, bandwidth: float) -> tuple[float, ...]:
    """Return where the kernel density estimate has maxima that are more than its noise.

    A finite sample's estimate has chance maxima, above all in the tails, where one sample is a hump. A maximum is a mode if one must come
    down from it, on the way to any higher one, by more than noise explains: 2 sqrt(log M) times the estimate's standard deviation
    sqrt(p / (2 sqrt(pi) N h)), M being the number of maxima. For a difference of two estimates varies by at most sqrt(2) times one's
    deviation, and the largest of M such differences is about sqrt(2 log M) times that (Donoho and Johnstone 1994, the universal
    threshold). The lowest-rising maximum goes first, and its hump falls to its neighbour, until all that are left are modes.

    Args:
        samples: (N,) or (N, 1), not all equal.
        bandwidth: h. Below 1/8192 of the samples' range, it counts as that.

    Returns:
        The modes, rising, at least one; each is right to 1/16384 of the samples' range and 16 bandwidths.

    Raises:
        ValueError: bandwidth <= 0, or samples that are all equal or not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> samples = rng.normal(rng.choice([-2.0, 2.0], 1000), 0.5)
        >>> [round(mode, 1) for mode in estimated_modes(samples, bandwidth=0.16)]
        [-1.9, 2.0]
    """
    x = scalar_samples(samples, "estimated_modes: samples")
    check_bandwidth(bandwidth, "estimated_modes")
    _check_different(x, "estimated_modes")
    h = max(bandwidth, FINEST * float(np.ptp(x)))

    # The estimate on a grid that ends 8 bandwidths beyond the samples: a convolution, by a Fourier transform.
    low, high = float(x.min()) - 8 * h, float(x.max()) + 8 * h
    step = (high - low) / BINS
    counts = np.bincount(np.rint((x - low) / step).astype(np.int64), minlength=BINS)  # (BINS,)
    frequency = 2 * math.pi * np.fft.rfftfreq(BINS, step)
    p = np.fft.irfft(np.fft.rfft(counts) * np.exp(-0.5 * (h * frequency) ** 2)) / (x.size * step)  # (BINS,)

    # At a maximum some sample is at most h away, so p is at least phi(1) / (N h) = 0.24 / (N h); what is lower is rounding.
    rising = np.diff(p) > 0
    maxima = np.flatnonzero(rising[:-1] & ~rising[1:] & (p[1:-1] > 0.2 / (x.size * h))) + 1
    peaks = maxima.tolist()
    valleys = [0.0, *(p[i:j].min() for i, j in itertools.pairwise(peaks)), 0.0]  # before, between and after the peaks
    while len(peaks) > 1:
        height = p[peaks]
        drop = height - np.maximum(valleys[:-1], valleys[1:])
        deviation = np.sqrt(height / (2 * math.sqrt(math.pi) * x.size * h))
        least = int(np.argmin(drop / deviation))
        if drop[least] > 2 * math.sqrt(math.log(len(maxima))) * deviation[least]:
            break
        del peaks[least]
        valleys[least : least + 2] = [min(valleys[least : least + 2])]
    return tuple(low + step * peak for peak in peaks)


def check_bandwidth(bandwidth: float, name: str) -> None:
    """Refuse a bandwidth that is not a positive number.

    Example:
        >>> check_bandwidth(-1.0, "kernel_density")
        Traceback (most recent call last):
        ValueError: kernel_density: bandwidth is -1.0, expected a positive number
    """
    if not 0 < bandwidth < math.inf:
        raise ValueError(f"{name}: bandwidth is {bandwidth}, expected a positive number")


def _check_different(x: NDArray[np.float64], name: str) -> None:
    if x.min() == x.max():
        raise ValueError(
            f"{name}: all {x.size} samples equal {x[0]}, so their spread gives no bandwidth; choose one by hand"
        )


def _spread(x: NDArray[np.float64], iqr_of_gaussian: float) -> float:
    """Return the smaller of the standard deviation and what a Gaussian of the same interquartile range has; the first where that is 0."""
    lower, upper = np.quantile(x, [0.25, 0.75])
    deviation = float(x.std(ddof=1))
    return min(deviation, float(upper - lower) / iqr_of_gaussian) if upper > lower else deviation
