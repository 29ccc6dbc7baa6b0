"""Two-dimensional targets whose density is known exactly, which a picture shows whole.

`ring` and `grid` are the usual tests of mode collapse (Srivastava et al. 2017, "VEEGAN"; Lin et al. 2018, "PacGAN", section 4.1): equal
Gaussians, so far apart that it is plain which of them a generator leaves out.

A model's mean negative log-likelihood on samples of a density cannot fall below the density's entropy; the difference of the two is the
Kullback-Leibler divergence that is left. So `entropy` is the mark for everything that learns a likelihood here.

All answers are float64; only `sample` gives float32, as a network eats it.
"""

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.random import Generator


class PlanarDensity(ABC):
    """A distribution on the plane with an exact density.

    A subclass sets the attributes and defines `log_pdf` and `sample`.

    Attributes:
        name: a word for titles and file names.
        mean: (2,), the expectation.
        standard_deviation: the root of the mean of the two variances. Divided by it, the data have the size that networks like.
        limits: (low, high) of the square to draw.

    Example:
        >>> class Disc(PlanarDensity):
        ...     name, mean, standard_deviation, limits = "disc", np.zeros(2), 0.5, (-1.2, 1.2)
        ...     def log_pdf(self, x):
        ...         return np.where(np.square(x).sum(axis=1) <= 1, -math.log(math.pi), -np.inf)
        ...     def sample(self, n, rng):
        ...         angle, radius = rng.uniform(n, high=2 * math.pi), np.sqrt(rng.uniform(n))
        ...         return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> Disc().sample(3, Generator(0)).shape
        (3, 2)
    """

    name: str
    mean: NDArray[np.float64]
    standard_deviation: float
    limits: tuple[float, float]

    @abstractmethod
    def log_pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return log p(x) in nats at each point, (N, 2) -> (N,)."""

    @abstractmethod
    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n independent samples, (n, 2) float32, with a Generator on the CPU."""

    def entropy(self) -> float:
        """Return H = -integral of p log p, in nats, by quadrature.

        The sum runs over a square grid that reaches a quarter of the width beyond `limits` on each side. For smooth densities such a sum
        converges faster than any power of the spacing. The grid is refined until two answers agree, and p sums to one, to 1e-6.

        Raises:
            ArithmeticError: that is not so for 4096 x 4096 points: the density has finer structure, or edges.

        Example:
            >>> mixture = PlanarMixture([[0.0, 0.0]], scale=0.5)
            >>> round(mixture.entropy(), 6), round(math.log(2 * math.pi * math.e * 0.5**2), 6)
            (1.451583, 1.451583)
        """
        low, high = self.limits
        margin = 0.25 * (high - low)
        before = math.inf
        for points in (128, 256, 512, 1024, 2048, 4096):
            line, spacing = np.linspace(low - margin, high + margin, points, retstep=True)
            mass = entropy = 0.0
            for height in line:
                log_p = self.log_pdf(np.stack([line, np.full(points, height)], axis=1))
                p = np.exp(log_p) * spacing**2
                mass += float(p.sum())
                entropy -= float(p[p > 0] @ log_p[p > 0])  # 0 log 0 = 0
            if abs(mass - 1) < 1e-6 and abs(entropy - before) < 1e-6:
                return entropy
            before = entropy
        raise ArithmeticError(f"entropy: the sum for {self.name!r} does not converge on 4096 x 4096 points")


class PlanarMixture(PlanarDensity):
    """K equal Gaussians: p(x) = 1/K sum_k exp(-|x - c_k|^2 / (2 s^2)) / (2 pi s^2).

    Args:
        centres: c, (K, 2).
        scale: s, the standard deviation of each component along each axis.
        name: a word for titles.

    Attributes:
        centres: c, (K, 2), float64.
        scale: s.

    Raises:
        ValueError: centres of another shape, or scale <= 0.

    Example:
        >>> mixture = PlanarMixture([[-1.0, 0.0], [1.0, 0.0]], scale=0.1)
        >>> mixture.mean, mixture.standard_deviation**2  # 0.1^2 + 1/2
        (array([0., 0.]), 0.51)
        >>> mixture.log_pdf([[1.0, 0.0]]).round(4)  # -log 2 - log(2 pi 0.01)
        array([2.0741])
    """

    def __init__(self, centres: ArrayLike, *, scale: float, name: str = "mixture") -> None:
        self.centres = np.array(centres, dtype=np.float64)
        if self.centres.ndim != 2 or self.centres.shape[1] != 2 or not len(self.centres):
            raise ValueError(f"PlanarMixture: centres have shape {self.centres.shape}, expected (K, 2) with K >= 1")
        if not 0 < scale < math.inf:
            raise ValueError(f"PlanarMixture: scale is {scale}, expected a positive number")
        self.name = name
        self.scale = scale
        self.mean = self.centres.mean(axis=0)
        self.standard_deviation = math.sqrt(scale**2 + self.centres.var(axis=0).mean())
        low, high = self.centres.min() - 4 * scale, self.centres.max() + 4 * scale
        margin = 0.1 * (high - low)
        self.limits = float(low - margin), float(high + margin)

    def log_pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return log p(x), (N, 2) -> (N,), finite however far x is."""
        from scipy.special import logsumexp

        x = np.asarray(x, dtype=np.float64)
        result = np.empty(len(x))
        block = max(
            1, 2**18 // len(self.centres)
        )  # points at a time: a grid of them times K centres can be more than memory holds
        for start in range(0, len(x), block):
            offsets = x[start : start + block, None] - self.centres  # (block, K, 2)
            exponents = -0.5 * np.square(offsets / self.scale).sum(axis=2)  # (block, K)
            result[start : start + block] = logsumexp(exponents, axis=1)
        return result - math.log(len(self.centres) * 2 * math.pi * self.scale**2)

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n samples, (n, 2) float32: first which component, then a Gaussian point of it."""
        component = rng.integers(0, len(self.centres), (n,))
        return (self.centres[component] + self.scale * rng.normal((n, 2))).astype(np.float32)


def ring(*, modes: int = 8, radius: float = 1.0, scale: float = 0.01) -> PlanarMixture:
    """Return equal Gaussians evenly spaced on a circle, the first at angle 0; by default as in the literature above.

    Example:
        >>> ring().centres.round(2)[:3]
        array([[1.  , 0.  ],
               [0.71, 0.71],
               [0.  , 1.  ]])
    """
    angle = 2 * math.pi * np.arange(modes) / modes
    return PlanarMixture(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), scale=scale, name="ring")


def grid(*, side: int = 5, spacing: float = 2.0, scale: float = 0.05) -> PlanarMixture:
    """Return equal Gaussians on a square grid about 0; by default as in the literature above.

    Example:
        >>> grid().centres[:6].tolist()
        [[-4.0, -4.0], [-4.0, -2.0], [-4.0, 0.0], [-4.0, 2.0], [-4.0, 4.0], [-2.0, -4.0]]
    """
    line = spacing * (np.arange(side) - 0.5 * (side - 1))
    centres = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return PlanarMixture(centres, scale=scale, name="grid")
