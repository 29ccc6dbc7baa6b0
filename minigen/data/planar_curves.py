"""Planar targets with bent shapes, each with its exact density; and all planar targets by name.

Noise about a curve has no closed density in general. Each family here is made so that it has one:

    moons, spirals    the curve is set with equal Gaussians, closer together than their standard deviation; the density is theirs
    circles           a point on a circle plus a Gaussian: the density is known, by a Bessel function (Rice 1945)
    pinwheel          a mixture of Gaussians, each point turned about 0 by an angle that depends on its radius alone; in polar coordinates
                      this shifts the angle, so it keeps areas, and the density is the mixture's at the point turned back

Moons and circles are shaped as in scikit-learn's `make_moons` and `make_circles`, the pinwheel after Johnson et al. 2016, "Composing
graphical models with neural networks for structured representations and fast inference", section 5.
"""

import difflib
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.planar import PlanarDensity, PlanarMixture, grid, ring
from minigen.random import Generator


def moons(*, scale: float = 0.1) -> PlanarMixture:
    """Return two half circles of radius 1 that reach into each other, evenly filled.

    Args:
        scale: the standard deviation across the curves, and the greatest distance of neighbouring Gaussians on them.

    Raises:
        ValueError: scale <= 0.

    Example:
        >>> moons().mean.round(6), len(moons().centres)
        (array([0.5 , 0.25]), 66)
    """
    _check_scale(scale, "moons")
    angle = np.linspace(0, math.pi, math.ceil(math.pi / scale) + 1)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return PlanarMixture(np.concatenate([upper, [1.0, 0.5] - upper]), scale=scale, name="moons")


def spirals(*, arms: int = 2, turns: float = 1.5, radius: float = 2.0, scale: float = 0.08) -> PlanarMixture:
    """Return spirals of Archimedes, r = radius t with the angle 2 pi turns t + 2 pi k / arms, t from 0.15 to 1, evenly filled.

    Args:
        arms: how many, evenly turned about 0.
        turns: of an arm from the centre to its end.
        radius: of the ends.
        scale: the standard deviation across the arms, and the greatest distance of neighbouring Gaussians on them.

    Raises:
        ValueError: scale <= 0.

    Example:
        >>> bool(np.abs(spirals().mean).max() < 1e-12)  # the arms balance
        True
    """
    _check_scale(scale, "spirals")
    t = np.linspace(0.15, 1, 10_001)
    angle = 2 * math.pi * turns * t
    curve = radius * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # a fine polygon
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    lengths = np.concatenate([[0.0], steps.cumsum()])  # of the curve up to each corner
    marks = np.linspace(0, lengths[-1], math.ceil(lengths[-1] / scale) + 1)
    arm = np.stack([np.interp(marks, lengths, curve[:, axis]) for axis in (0, 1)], axis=1)
    centres = np.concatenate([_turned(arm, 2 * math.pi * k / arms) for k in range(arms)])
    return PlanarMixture(centres, scale=scale, name="spirals")


class Circles(PlanarDensity):
    """K circles about 0, blurred: x = R (cos a, sin a) + s noise, with R one of the radii and the angle a uniform.

    For one circle the integral over the angle is a Bessel function (Rice 1945, "Mathematical analysis of random noise"), with r = |x|:

        p(x) = exp(-(r^2 + R^2) / (2 s^2)) I_0(r R / s^2) / (2 pi s^2)

    and for all of them the mean of these.

    Args:
        radii: R, K positive numbers.
        scale: s, the standard deviation of the noise along each axis.
        name: a word for titles.

    Raises:
        ValueError: no radius, or a radius or scale that is not positive.

    Example:
        >>> circles = Circles(radii=(1.0, 2.0), scale=0.1)
        >>> circles.log_pdf([[1.0, 0.0], [0.0, -1.0]]).round(4)
        array([-1.1461, -1.1461])
    """

    def __init__(self, *, radii: Sequence[float] = (1.0, 2.0, 3.0), scale: float = 0.15, name: str = "circles") -> None:
        if not radii or not all(0 < value < math.inf for value in (*radii, scale)):
            raise ValueError(f"Circles: radii {tuple(radii)} and scale {scale}, expected positive numbers")
        self.name = name
        self.radii = np.array(radii, dtype=np.float64)
        self.scale = scale
        self.mean = np.zeros(2)
        self.standard_deviation = math.sqrt(0.5 * np.square(self.radii).mean() + scale**2)
        reach = 1.1 * (max(radii) + 4 * scale)
        self.limits = -reach, reach

    def log_pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return log p(x), (N, 2) -> (N,), finite however far x is."""
        from scipy.special import i0e, logsumexp

        r = np.linalg.norm(np.asarray(x, dtype=np.float64), axis=1)[:, None]  # (N, 1)
        variance = self.scale**2
        # i0e(z) = exp(-z) I_0(z), and -(r^2 + R^2) / 2 + r R = -(r - R)^2 / 2: nothing overflows.
        exponents = -0.5 * np.square(r - self.radii) / variance + np.log(i0e(r * self.radii / variance))  # (N, K)
        return logsumexp(exponents, axis=1) - math.log(len(self.radii) * 2 * math.pi * variance)

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n samples, (n, 2) float32: which circle, where on it, and the noise."""
        radius = self.radii[rng.integers(0, len(self.radii), n)]
        angle = rng.uniform(n, high=2 * math.pi, dtype="float64")
        point = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (point + self.scale * rng.normal((n, 2))).astype(np.float32)


class Pinwheel(PlanarDensity):
    """K Gaussian spokes, evenly turned about 0, then bent: y = T(x) turns x about 0 by the angle `twist` |x|.

    Turning keeps the radius, so in polar coordinates T is (r, a) -> (r, a + twist r), whose Jacobian determinant is 1, and the area element
    r dr da is the same before and after. So p(y) = p_spokes(T^-1 y), where T^-1 turns back by the angle `twist` |y|, and the entropy stays
    that of the spokes.

    Args:
        arms: K.
        radius: where the spokes' centres stand.
        lengthwise: the standard deviation of a spoke along the radius.
        across: its standard deviation across.
        twist: radians for each unit of radius.
        name: a word for titles.

    Raises:
        ValueError: arms < 2, or a standard deviation that is not positive.

    Example:
        >>> straight, bent = Pinwheel(twist=0.0), Pinwheel(twist=0.5)
        >>> round(straight.entropy(), 5) == round(bent.entropy(), 5)
        True
    """

    def __init__(
        self,
        *,
        arms: int = 5,
        radius: float = 2.0,
        lengthwise: float = 0.5,
        across: float = 0.2,
        twist: float = 0.8,
        name: str = "pinwheel",
    ) -> None:
        if arms < 2:
            raise ValueError(f"Pinwheel: {arms} arms, expected 2 or more")
        if not (0 < lengthwise < math.inf and 0 < across < math.inf):
            raise ValueError(f"Pinwheel: lengthwise = {lengthwise}, across = {across}; expected positive numbers")
        self.name = name
        self.angles = 2 * math.pi * np.arange(arms) / arms  # (K,)
        self.centre = np.array([radius, 0.0])  # of the spoke at angle 0
        self.scales = np.array([lengthwise, across])
        self.twist = twist
        self.mean = np.zeros(2)
        self.standard_deviation = math.sqrt(0.5 * (radius**2 + lengthwise**2 + across**2))  # E|y|^2 = E|x|^2
        reach = 1.1 * (radius + 4 * max(lengthwise, across))
        self.limits = -reach, reach

    def log_pdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return log p(x), (N, 2) -> (N,), finite however far x is."""
        from scipy.special import logsumexp

        x = np.asarray(x, dtype=np.float64)
        straight = _turned(x, -self.twist * np.linalg.norm(x, axis=1))  # (N, 2)
        exponents = [  # K of (N,): each spoke turned onto the one at angle 0
            -0.5 * np.square((_turned(straight, -angle) - self.centre) / self.scales).sum(axis=1)
            for angle in self.angles
        ]
        return logsumexp(exponents, axis=0) - math.log(len(self.angles) * 2 * math.pi * self.scales.prod())

    def sample(self, n: int, rng: Generator) -> NDArray[np.float32]:
        """Draw n samples, (n, 2) float32: which spoke, a Gaussian point of it, and the turn."""
        spoke = self.angles[rng.integers(0, len(self.angles), n)]
        point = self.centre + self.scales * rng.normal((n, 2))
        return _turned(point, spoke + self.twist * np.linalg.norm(point, axis=1)).astype(np.float32)


PLANAR_TARGETS: dict[str, Callable[[], PlanarDensity]] = {
    "ring": ring,
    "grid": grid,
    "moons": moons,
    "circles": Circles,
    "spirals": spirals,
    "pinwheel": Pinwheel,
}
"""Planar targets by name, at their default sizes."""


def planar_target(name: str) -> PlanarDensity:
    """Return the planar target of that name.

    Args:
        name: a key of `PLANAR_TARGETS`.

    Raises:
        ValueError: there is none of that name; the message gives the nearest and all others.

    Example:
        >>> planar_target("moon")
        Traceback (most recent call last):
        ValueError: planar_target: 'moon' is unknown, did you mean 'moons'? The targets are ring, grid, moons, circles, spirals, pinwheel
    """
    if name not in PLANAR_TARGETS:
        (nearest,) = difflib.get_close_matches(name, PLANAR_TARGETS, n=1, cutoff=0.0)
        raise ValueError(
            f"planar_target: {name!r} is unknown, did you mean {nearest!r}? The targets are {', '.join(PLANAR_TARGETS)}"
        )
    return PLANAR_TARGETS[name]()


def _turned(x: NDArray[np.float64], angle: ArrayLike) -> NDArray[np.float64]:
    """Turn points (N, 2) about 0, counter-clockwise, by one angle or by N."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)


def _check_scale(scale: float, function: str) -> None:
    if not 0 < scale < math.inf:
        raise ValueError(f"{function}: scale is {scale}, expected a positive number")
