"""One-dimensional targets whose every exact answer is known.

A generative model is judged by how close its samples come to the data's distribution. Here the
distribution itself is at hand: its density p, its distribution function F(x) = P(X <= x) and the
inverse of that, the quantile function Q(u) = inf {x : F(x) >= u}. So each metric has a number to
be compared with, and a drawing has the true curve beside the learnt one.

All answers are float64; only `sample` gives float32, as a network eats it.
"""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import scalar_samples
from minigen.data.geyser import load_geyser
from minigen.data.kernel_density import (
    estimated_modes,
    kernel_density,
    sheather_jones_bandwidth,
    silverman_bandwidth,
)
from minigen.random import Generator


class Density(ABC):
    """A distribution on the real line with exact answers.

    A subclass sets the attributes and defines `pdf`, `cdf` and `quantile`.

    Attributes:
        name: a word for titles and file names.
        mean: the expectation.
        standard_deviation: the square root of the variance.
        centres: where the modes stand, rising. Each point of the line belongs to the nearest one.

    Example:
        >>> class Exponential(Density):
        ...     name, mean, standard_deviation, centres = "exponential", 1.0, 1.0, (0.0,)
        ...     def pdf(self, x):
        ...         return np.where(x < 0, 0.0, np.exp(-np.maximum(x, 0.0)))
        ...     def cdf(self, x):
        ...         return -np.expm1(-np.maximum(x, 0.0))
        ...     def quantile(self, u):
        ...         return -np.log1p(-u)
        >>> Exponential().sample(3, Generator(0)).shape
        (3, 1)
    """

    name: str
    mean: float
    standard_deviation: float
    centres: tuple[float, ...]

    @abstractmethod
    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the density p(x), of the shape of x."""

    @abstractmethod
    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return F(x) = P(X <= x), of the shape of x."""

    @abstractmethod
    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return Q(u), the inverse of `cdf`, of the shape of u.

        At u = 0 and u = 1 stand the ends of the distribution, infinite where it has none.

        Raises:
            ValueError: some u lies outside [0, 1].
        """

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n independent samples by inverse transform: Q(U) has distribution F for uniform U.

        Args:
            n: how many.
            rng: a Generator on the CPU.

        Returns:
            (n, 1), float32.
        """
        smallest = float(np.finfo(np.float64).tiny)  # Q(0) may be -infinity
        u = rng.uniform((n, 1), low=smallest, high=1.0, dtype="float64")
        return self.quantile(u).astype(np.float32)

    @property
    def modes(self) -> tuple[tuple[float, float], ...]:
        """Pairs (centre, exact probability of the points nearer to it than to any other centre)."""
        centres = np.array(self.centres)
        borders = 0.5 * (centres[:-1] + centres[1:])
        masses = np.diff(self.cdf(borders), prepend=0.0, append=1.0)
        return tuple(zip(self.centres, masses.tolist(), strict=True))

    @property
    def support(self) -> tuple[float, float]:
        """The interval to draw: the quantiles of 1e-4 and 1 - 1e-4, and a tenth more on each side.

        At most 2e-4 of the mass lies outside.
        """
        low, high = self.quantile([1e-4, 1 - 1e-4])
        margin = 0.1 * (high - low)
        return float(low - margin), float(high + margin)


class Gaussian(Density):
    """The normal distribution.

    Args:
        mean: the centre.
        scale: the standard deviation.
        name: a word for titles.

    Raises:
        ValueError: scale <= 0.

    Example:
        >>> gaussian = Gaussian(mean=1.0, scale=2.0)
        >>> gaussian.cdf([1.0, 3.0]).round(4)
        array([0.5   , 0.8413])
    """

    def __init__(self, *, mean: float, scale: float, name: str = "gaussian") -> None:
        _check_positive("Gaussian: scale", scale)
        self.name = name
        self.mean = mean
        self.standard_deviation = scale
        self.centres = (mean,)

    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return phi(z) / scale, with z = (x - mean) / scale."""
        z = (_real(x) - self.mean) / self.standard_deviation
        return _gaussian_pdf(z) / self.standard_deviation

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return Phi(z), the standard normal distribution function."""
        from scipy.special import ndtr

        return ndtr((_real(x) - self.mean) / self.standard_deviation)

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return mean + scale Phi^-1(u)."""
        from scipy.special import ndtri

        return self.mean + self.standard_deviation * ndtri(_probabilities(u))

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n samples, (n, 1) float32, from the generator's own normal numbers."""
        return rng.normal((n, 1), mean=self.mean, scale=self.standard_deviation)


class Uniform(Density):
    """The uniform distribution on [low, high].

    It is flat, so its one "mode" is only its middle. Its edges are what a smooth generator finds
    hard.

    Args:
        low: the lower end.
        high: the upper end.
        name: a word for titles.

    Raises:
        ValueError: low >= high.

    Example:
        >>> Uniform(low=-2.0, high=2.0).pdf([-3.0, -2.0, 0.0])
        array([0.  , 0.25, 0.25])
    """

    def __init__(self, *, low: float, high: float, name: str = "uniform") -> None:
        _check_positive("Uniform: high - low", high - low)
        self.name = name
        self.low = low
        self.high = high
        self.mean = 0.5 * (low + high)
        self.standard_deviation = (high - low) / math.sqrt(12)
        self.centres = (self.mean,)

    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return 1 / (high - low) from low to high, both ends counted, and 0 elsewhere."""
        x = _real(x)
        return np.where((self.low <= x) & (x <= self.high), 1 / (self.high - self.low), 0.0)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return how far along the interval x is, from 0 to 1."""
        return np.clip((_real(x) - self.low) / (self.high - self.low), 0.0, 1.0)

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the point that far along the interval."""
        return self.low + (self.high - self.low) * _probabilities(u)


class Laplace(Density):
    """The Laplace distribution: a sharp peak, and tails heavier than a Gaussian's.

    Args:
        mean: the centre.
        scale: the mean distance from it; the standard deviation is sqrt(2) times this.
        name: a word for titles.

    Raises:
        ValueError: scale <= 0.

    Example:
        >>> Laplace(mean=0.0, scale=1.0).quantile([0.25, 0.5, 0.75]).round(4)
        array([-0.6931,  0.    ,  0.6931])
    """

    def __init__(self, *, mean: float, scale: float, name: str = "laplace") -> None:
        _check_positive("Laplace: scale", scale)
        self.name = name
        self.mean = mean
        self.scale = scale
        self.standard_deviation = math.sqrt(2) * scale
        self.centres = (mean,)

    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return exp(-|z|) / (2 scale), with z = (x - mean) / scale."""
        return np.exp(-np.abs(_real(x) - self.mean) / self.scale) / (2 * self.scale)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return exp(z) / 2 left of the mean and 1 - exp(-z) / 2 right of it."""
        z = (_real(x) - self.mean) / self.scale
        tail = 0.5 * np.exp(-np.abs(z))
        return np.where(z < 0, tail, 1 - tail)

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return mean + scale log(2u) up to the median and mean - scale log(2(1 - u)) beyond."""
        u = _probabilities(u)
        with np.errstate(divide="ignore"):  # the ends, u = 0 and u = 1, are infinite
            distance = -self.scale * np.log(2 * np.minimum(u, 1 - u))
        return self.mean + np.where(u < 0.5, -distance, distance)


class GaussianMixture(Density):
    """A mixture of Gaussians: p(x) = sum_k w_k phi((x - m_k) / s_k) / s_k.

    The centres are the components' means. They are the density's modes when the components stand
    well apart; close ones may share one hump.

    Args:
        weights: w, K positive numbers with sum 1.
        means: m, K numbers.
        scales: s, K positive standard deviations.
        name: a word for titles.

    Raises:
        ValueError: lengths differ, weights do not sum to 1, or a weight or scale is not positive.

    Example:
        >>> mixture = GaussianMixture(weights=(0.25, 0.75), means=(-2.0, 2.0), scales=(0.5, 0.5))
        >>> mixture.mean
        1.0
        >>> [(centre, round(mass, 4)) for centre, mass in mixture.modes]
        [(-2.0, 0.25), (2.0, 0.75)]
    """

    def __init__(
        self,
        *,
        weights: Sequence[float],
        means: Sequence[float],
        scales: Sequence[float],
        name: str = "mixture",
    ) -> None:
        if not len(weights) == len(means) == len(scales) >= 1:
            raise ValueError(
                f"GaussianMixture: {len(weights)} weights, {len(means)} means and {len(scales)} "
                "scales, expected one of each per component"
            )
        for weight, scale in zip(weights, scales, strict=True):
            _check_positive("GaussianMixture: weight", weight)
            _check_positive("GaussianMixture: scale", scale)
        if not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
            raise ValueError(f"GaussianMixture: weights sum to {sum(weights)}, expected 1")
        self.name = name
        self.weights = np.array(weights, dtype=np.float64)  # (K,)
        self.means = np.array(means, dtype=np.float64)  # (K,)
        self.scales = np.array(scales, dtype=np.float64)  # (K,)
        self.mean = float(self.weights @ self.means)
        variance = self.weights @ (self.scales**2 + (self.means - self.mean) ** 2)
        self.standard_deviation = math.sqrt(variance)
        self.centres = tuple(np.unique(self.means).tolist())

    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the weighted sum of the components' densities."""
        z = (_real(x)[..., None] - self.means) / self.scales  # (..., K)
        return _gaussian_pdf(z) @ (self.weights / self.scales)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the weighted sum of the components' distribution functions."""
        from scipy.special import ndtr

        z = (_real(x)[..., None] - self.means) / self.scales  # (..., K)
        return ndtr(z) @ self.weights

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return Q(u) by bisection, since a mixture's F has no closed inverse.

        The components' own quantiles of u bracket the answer: at the least of them no component
        has passed u, at the greatest every one has. 52 halvings leave 2^-52 of the bracket.
        """
        from scipy.special import ndtri

        u = _probabilities(u)
        quantiles = self.means + self.scales * ndtri(u)[..., None]  # (..., K)
        low, high = quantiles.min(axis=-1), quantiles.max(axis=-1)
        for _ in range(52):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n samples, (n, 1) float32: first which component, then a Gaussian number from it."""
        component = rng.categorical(np.log(self.weights), (n, 1))
        noise = rng.normal((n, 1), mean=0.0, scale=1.0)
        return (self.means[component] + self.scales[component] * noise).astype(np.float32)


class Empirical(Density):
    """The distribution of a finite sample, each of its N values with probability 1/N.

    `cdf`, `quantile`, `mean`, `standard_deviation`, `modes` and `sample` are exact for this
    discrete distribution: F is a staircase, and its inverse Q(u) is the smallest value with
    F >= u. A staircase has no density, so `pdf` is something else: the Gaussian kernel density
    estimate of the values. It has the same mean, and its variance is greater by the square of the
    bandwidth.

    Args:
        values: the sample, (N,) or (N, 1), at least two different values.
        centres: where its modes stand, rising; by default one, the mean.
        bandwidth: of the density estimate; by default Silverman's, which is made for one mode and
            smooths several too much.
        name: a word for titles.

    Raises:
        ValueError: values that are all equal or not finite.

    Example:
        >>> empirical = Empirical([3.0, 1.0, 2.0, 2.0])
        >>> empirical.cdf([0.0, 1.0, 2.5]), empirical.quantile([0.0, 0.25, 0.26, 1.0])
        (array([0.  , 0.25, 0.75]), array([1., 1., 2., 3.]))
    """

    def __init__(
        self,
        values: ArrayLike,
        *,
        centres: Sequence[float] = (),
        bandwidth: float | None = None,
        name: str = "empirical",
    ) -> None:
        self.name = name
        self.values = np.sort(scalar_samples(values, "Empirical: values"))  # (N,)
        self.bandwidth = silverman_bandwidth(self.values) if bandwidth is None else bandwidth
        self.mean = float(self.values.mean())
        self.standard_deviation = float(self.values.std())
        self.centres = tuple(centres) or (self.mean,)

    def pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the kernel density estimate at x; see the class for what it stands for."""
        return kernel_density(self.values, x, bandwidth=self.bandwidth)

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the share of the values that are <= x."""
        return np.searchsorted(self.values, _real(x), side="right") / self.values.size

    def quantile(self, u: ArrayLike) -> NDArray[np.float64]:
        """Return the smallest value whose `cdf` is at least u; at u = 0 the smallest of all."""
        steps = np.arange(1, self.values.size + 1) / self.values.size  # F at the sorted values
        return self.values[np.searchsorted(steps, _probabilities(u), side="left")]

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n of the values with replacement (the bootstrap), (n, 1) float32."""
        return self.values[rng.integers(0, self.values.size, (n, 1))].astype(np.float32)

    @property
    def support(self) -> tuple[float, float]:
        """The interval to draw: the values and four bandwidths of the estimate on each side."""
        margin = 4 * self.bandwidth
        return float(self.values[0] - margin), float(self.values[-1] + margin)


def empirical_density(values: ArrayLike, *, name: str = "empirical") -> Empirical:
    """Make a target of a sample of one's own: `Empirical`, with bandwidth and modes found from the values.

    The bandwidth is Sheather and Jones', which does not merge distant modes; the centres are the maxima of the kernel density estimate that
    stand out of its noise (`estimated_modes`).

    Args:
        values: the sample, (N,) or (N, 1).
        name: a word for titles.

    Raises:
        ValueError: values that are all equal, not finite, or too close together, beside their size, for the float32 that `sample` gives.

    Example:
        >>> density = empirical_density(load_geyser().waiting, name="waiting")
        >>> [(round(centre), round(mass, 2)) for centre, mass in density.modes]
        [(53, 0.36), (80, 0.64)]
    """
    x = scalar_samples(values, "empirical_density: values")
    if x.min() == x.max():
        raise ValueError(f"empirical_density: all {x.size} values equal {x[0]}; a density needs different ones")
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold has no spacing there: NaN
        spacing = np.spacing(np.abs(x).max().astype(np.float32))
        resolved = 100 * spacing <= x.std() < math.inf
    if not resolved:
        raise ValueError(
            f"empirical_density: float32 numbers, which samples are, cannot tell values between {x.min():.9g} and {x.max():.9g} well from "
            "each other; subtract their mean, or choose other units"
        )
    bandwidth = sheather_jones_bandwidth(x)
    return Empirical(x, centres=estimated_modes(x, bandwidth=bandwidth), bandwidth=bandwidth, name=name)


def _faithful() -> Empirical:
    # The bandwidth is what Sheather and Jones' rule (1991) gives for these data; the centres are the maxima of
    # that kernel density estimate, to one decimal.
    return Empirical(load_geyser().duration, centres=(1.9, 4.5), bandwidth=0.14, name="faithful")


TARGETS: dict[str, Callable[[], Density]] = {
    "mixture": lambda: GaussianMixture(weights=(0.5, 0.5), means=(-2.0, 2.0), scales=(0.5, 0.5)),
    "gaussian": lambda: Gaussian(mean=1.0, scale=1.0),
    "uniform": lambda: Uniform(low=-2.0, high=2.0),
    "laplace": lambda: Laplace(mean=0.0, scale=1.0),
    "three-modes": lambda: GaussianMixture(
        weights=(0.2, 0.5, 0.3), means=(-3.0, 0.0, 3.0), scales=(0.3, 0.5, 0.7), name="three-modes"
    ),
    "faithful": _faithful,
}
"""Targets by name. "faithful" is the duration of Old Faithful's eruptions, in minutes."""


def target(name: str) -> Density:
    """Return the target of that name.

    Args:
        name: a key of `TARGETS`.

    Raises:
        ValueError: there is none of that name; the message gives the nearest and all others.

    Example:
        >>> target("mixture").mean
        0.0
        >>> target("mixtures")
        Traceback (most recent call last):
        ValueError: target: 'mixtures' is unknown, did you mean 'mixture'? The targets are mixture, \
gaussian, uniform, laplace, three-modes, faithful
    """
    if name not in TARGETS:
        (nearest,) = difflib.get_close_matches(name, TARGETS, n=1, cutoff=0.0)
        raise ValueError(f"target: {name!r} is unknown, did you mean {nearest!r}? The targets are {', '.join(TARGETS)}")
    return TARGETS[name]()


def _gaussian_pdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


def _real(x: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(x, dtype=np.float64)


def _probabilities(u: ArrayLike) -> NDArray[np.float64]:
    u = np.asarray(u, dtype=np.float64)
    inside = (u >= 0) & (u <= 1)
    if not inside.all():
        raise ValueError(f"quantile: u holds {u[~inside][0]}, expected values in [0, 1]")
    return u


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}, expected a positive number")
