"""Distances between p = N(0, 1) and q = N(t, s^2), s < 1, and their gradients in t: closed forms, but for one integral.

W1           E|t + (1 - s) z|,  z ~ N(0, 1)              equal quantiles are paired
TV           Q(A) - P(A)                                 A is the interval where q > p
KL(p || q)   log s + (1 + t^2) / 2s^2 - 1/2
KL(q || p)   -log s + (s^2 + t^2) / 2 - 1/2
dJS/dt       1/2 integral dq/dt log(q / m) dx,  m = (p + q) / 2
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data import Gaussian
from minigen.distributions.closed_form_kl import normal_kl
from minigen.metrics.tabulated_divergences import jensen_shannon

Curves = dict[str, NDArray[np.float64]]


def gaussian_distances(shift: ArrayLike, *, scale: float) -> tuple[Curves, Curves]:
    """Return five distances between N(0, 1) and N(t, s^2), and their derivatives in t.

    Args:
        shift: t, (T,).
        scale: s, between 0 and 1.

    Returns:
        The distances "W1", "JS", "TV", "KL(p || q)" and "KL(q || p)", (T,) each, and the derivatives by the same names. JS and its
        derivative are integrals on a grid; the others are exact.

    Raises:
        ValueError: s is not between 0 and 1.

    Example:
        >>> values, gradients = gaussian_distances([0.0, 2.0], scale=0.5)
        >>> values["KL(q || p)"].round(4), gradients["KL(q || p)"]
        (array([0.3181, 2.3181]), array([0., 2.]))
    """
    if not 0 < scale < 1:
        raise ValueError(f"gaussian_distances: scale is {scale}, expected a number between 0 and 1")
    normal, s, t = Gaussian(mean=0.0, scale=1.0), scale, np.asarray(shift, dtype=np.float64)
    root = np.sqrt((t / s) ** 2 - 2 * (1 / s**2 - 1) * math.log(s))
    low, high = ((t / s**2 + sign * root) / (1 / s**2 - 1) for sign in (-1, 1))  # the ends of A
    z_low, z_high = (low - t) / s, (high - t) / s  # in standard deviations of q
    share_right = 2 * normal.cdf(t / (1 - s)) - 1  # of the mass that has to move right, less that which moves left
    js, js_gradient = np.array([_jensen_shannon(place, s) for place in t]).T
    values = {
        "W1": t * share_right + 2 * (1 - s) * normal.pdf(t / (1 - s)),
        "JS": js,
        "TV": normal.cdf(z_high) - normal.cdf(z_low) - normal.cdf(high) + normal.cdf(low),
        "KL(p || q)": normal_kl(-2 * math.log(s), t / s),
        "KL(q || p)": normal_kl(2 * math.log(s), t),
    }
    gradients = {
        "W1": share_right,
        "JS": js_gradient,
        "TV": (normal.pdf(z_low) - normal.pdf(z_high)) / s,
        "KL(p || q)": t / s**2,
        "KL(q || p)": t,
    }
    return values, gradients


def _jensen_shannon(shift: float, scale: float) -> tuple[float, float]:
    """Return JS and its derivative.

    Where p is 0 the logarithm is log 2, a constant, and the integral of dq/dt is 0: no gradient.
    """
    x, dx = np.linspace(min(0.0, shift) - 12, max(0.0, shift) + 12, 10_001, retstep=True)
    p, q = Gaussian(mean=0.0, scale=1.0).pdf(x), Gaussian(mean=shift, scale=scale).pdf(x)
    dq = q * (x - shift) / scale**2  # dq/dt
    some = q > 0
    log_ratio = np.log(2 * q[some] / (p[some] + q[some]))
    return jensen_shannon(p, q, float(dx)), 0.5 * float(dx) * float(dq[some] @ log_ratio)
