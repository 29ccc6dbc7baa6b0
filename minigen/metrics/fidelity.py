"""Are generated images good, and are they varied? Two questions, answered apart by balls around features.

(Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models"; Naeem et al. 2020, "Reliable fidelity and
diversity metrics for generative models".)

Around each real example x_i lies a ball of radius r_i, the distance to its k-th nearest other real example; together the balls stand for
where real examples are. Likewise for generated examples y_j, with radii s_j. With N real examples and M generated ones,

    precision   1/M sum_j [some i: |y_j - x_i| <= r_i]        share of generated ones among the real      Kynkaanniemi et al. 2019
    recall      1/N sum_i [some j: |x_i - y_j| <= s_j]        share of real ones among the generated      the same
    density     1/(k M) sum_j sum_i [|y_j - x_i| <= r_i]      in how many balls a generated one lies      Naeem et al. 2020
    coverage    1/N sum_i [some j: |y_j - x_i| <= r_i]        share of balls with a generated one         the same

One outlier among the real examples has a large ball, and precision takes all that lies in it for good; density counts balls, and coverage
asks of each ball whether it is reached, so neither is misled. For equal continuous distributions their expectations are exact,

    E[density] = 1,    E[coverage] = 1 - prod_{m=1..k} (N - m) / (M + N - m)

since the place of the k-th neighbour among N - 1 real and M generated ones is a matter of order alone. Precision and recall have no such
value: it depends on k, N and the dimension, so they are read beside those of real examples against each other, at the same numbers.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.metrics.mmd import CHUNK, squared_distances
from minigen.sizes import whole_number

Doubles = NDArray[np.float64]

SLACK = 2e-9  # the share by which a squared distance may be off


class PrecisionRecall(NamedTuple):
    """How generated examples lie among real ones.

    Attributes:
        precision, recall, density, coverage: see the module's docstring.
        neighbours: k.
        samples: N = M.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    neighbours: int
    samples: int


def precision_recall(real: ArrayLike, generated: ArrayLike, *, neighbours: int = 3) -> PrecisionRecall:
    """Return precision, recall, density and coverage, in memory that does not grow with N squared.

    Args:
        real: (N, F), features of real examples.
        generated: (N, F), of as many generated ones: the figures depend on both numbers.
        neighbours: k.

    Raises:
        ValueError: other shapes, unequal numbers, features that are not finite, or k not in 1 ... N - 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = precision_recall(rng.normal(size=(500, 2)), 0.1 * rng.normal(size=(500, 2)))  # good, but all alike
        >>> found.precision > 0.95, found.recall < 0.2, found.coverage < 0.3
        (True, True, True)
    """
    x, y = (np.asarray(features, dtype=np.float64) for features in (real, generated))
    if x.ndim != 2 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(
            f"precision_recall: features of shapes {x.shape} and {y.shape}, expected finite numbers, (N, F) of each: as many generated as "
            "real examples"
        )
    n, k = len(x), whole_number("precision_recall", "neighbours", neighbours, 1)
    if k >= n:
        raise ValueError(
            f"precision_recall: neighbours is {k}, expected fewer than the {n} examples, which have {n - 1} others each"
        )
    real_balls, generated_balls = _radii(x, k), _radii(y, k)
    balls_of_each, is_reached = _inside(y, x, real_balls)
    in_generated, _ = _inside(x, y, generated_balls)
    return PrecisionRecall(
        float((balls_of_each > 0).mean()),
        float((in_generated > 0).mean()),
        float(balls_of_each.sum() / (k * n)),
        float(is_reached.mean()),
        k,
        n,
    )


def expected_coverage(real: int, generated: int, *, neighbours: int = 3) -> float:
    """Return the coverage to be expected of equal continuous distributions.

    Args:
        real: N.
        generated: M.
        neighbours: k.

    Example:
        >>> round(expected_coverage(1000, 1000, neighbours=5), 3)
        0.969
    """
    factors = ((real - m) / (generated + real - m) for m in range(1, neighbours + 1))
    return 1 - math.prod(factors)


def _radii(x: Doubles, k: int) -> Doubles:
    """Return the squared distance of each example to its k-th nearest other one, (N,)."""
    found = [np.partition(squares, k, axis=1)[:, k] for _, squares in _chunks(x, x)]  # its own place is the 0-th
    return np.concatenate(found)


def _inside(points: Doubles, centres: Doubles, radii: Doubles) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return in how many balls each point lies, (M,), and whether there is a point in each ball, (N,)."""
    counts, is_reached = np.zeros(len(points), np.int64), np.zeros(len(centres), bool)
    for rows, squares in _chunks(points, centres):
        is_inside = squares <= radii * (1 + SLACK)  # (rows, N)
        counts[rows] = is_inside.sum(axis=1)
        is_reached |= is_inside.any(axis=0)
    return counts, is_reached


def _chunks(x: Doubles, y: Doubles) -> Iterator[tuple[slice, Doubles]]:
    """Yield the squared distances of some rows of x to all of y, (rows, N), with the places of these rows."""
    step = max(1, CHUNK // len(y))
    for start in range(0, len(x), step):
        yield slice(start, start + step), squared_distances(x[start : start + step], y)
