"""What makes a function of two distributions a distance, and a search for cases in which it is not one.

identity      d(p, q) = 0 if p = q, and only then
symmetry      d(p, q) = d(q, p)
triangle      d(p, r) <= d(p, q) + d(q, r)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-12
"""A violation below this is not counted."""


class Violations(NamedTuple):
    """How badly the axioms are violated among random triples of distributions.

    Attributes:
        least: the smallest d(p, q) of two different distributions.
        to_itself: the largest |d(p, p)|.
        asymmetry: the largest |d(p, q) - d(q, p)|.
        triangle: the largest d(p, r) - d(p, q) - d(q, r), which is negative where the inequality always holds.
        violates: the names of the axioms that are violated.
    """

    least: float
    to_itself: float
    asymmetry: float
    triangle: float
    violates: list[str]


def axiom_violations(distance: Callable[[NDArray[Any], NDArray[Any]], float], triples: ArrayLike) -> Violations:
    """Find the largest violations of the axioms of a distance. None found is not a proof, but one found is.

    Args:
        distance: d, a function of two distributions, (K,) each.
        triples: p, q and r of each of T triples, all different, (T, 3, K).

    Raises:
        ValueError: triples of another shape, or none.

    Example:
        >>> numbers = np.array([[[0.0], [1.0], [3.0]]])  # points on a line, in place of distributions
        >>> axiom_violations(lambda p, q: abs(p - q).item(), numbers).violates
        []
        >>> axiom_violations(lambda p, q: ((p - q) ** 2).item(), numbers)  # 9 > 1 + 4
        Violations(least=1.0, to_itself=0.0, asymmetry=0.0, triangle=4.0, violates=['triangle'])
    """
    drawn = np.asarray(triples)
    if drawn.ndim != 3 or drawn.shape[1] != 3 or not len(drawn):
        raise ValueError(f"axiom_violations: triples have shape {drawn.shape}, expected (T, 3, K) with T >= 1")
    d = distance
    pq, qp, qr, pr = np.array([(d(p, q), d(q, p), d(q, r), d(p, r)) for p, q, r in drawn]).T
    to_itself = float(max(abs(d(p, p)) for p, _, _ in drawn))
    asymmetry, triangle = float(np.abs(pq - qp).max()), float((pr - pq - qr).max())
    violated = {
        "identity": to_itself > ROUNDING or bool(pq.min() <= 0),
        "symmetry": asymmetry > ROUNDING,
        "triangle": triangle > ROUNDING,
    }
    return Violations(
        float(pq.min()), to_itself, asymmetry, triangle, [name for name, is_so in violated.items() if is_so]
    )
