"""Integrals over the real line."""

import itertools
import math
from collections.abc import Callable

from scipy.integrate import quad


def integral(function: Callable[[float], float], *breaks: float) -> float:
    """Integrate a function of one number over the line, in pieces that meet at the breaks: its kinks, its centre."""
    ends = [-math.inf, *sorted(breaks), math.inf]
    return sum(quad(function, low, high, epsabs=1e-11, epsrel=1e-10)[0] for low, high in itertools.pairwise(ends))
