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
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minigen.metrics.mmd import CHUNK, squared_distances
from minigen.metrics.nearest import neighbour_distances
from minigen.sizes import counts, whole_number

SLACK = 1 + 4e-9
"""Two computed squares of the same distance may differ by this factor; whatever is as far as the k-th neighbour is in the ball."""


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

    A ball includes its surface. So a set against itself has precision, recall and coverage 1, and density (k + 1) / k, since each example
    lies in its own ball too. A perfect model has less: of 10,000 examples with 128 independent normal features, precision and recall are
    0.6 at k = 5.

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
    real_balls, generated_balls = (
        SLACK * neighbour_distances(features, k=k) ** 2 for features in (x, y)
    )  # r^2 and s^2
    balls_of_each = np.zeros(n, np.int64)  # among which a generated example lies
    is_reached, is_among_generated = np.zeros(n, bool), np.zeros(n, bool)  # of each real example
    step = max(1, CHUNK // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        squares = squared_distances(x[rows], y)  # (rows, N)
        in_ball = squares <= real_balls[rows, None]
        balls_of_each += in_ball.sum(axis=0)
        is_reached[rows] = in_ball.any(axis=1)
        is_among_generated[rows] = (squares <= generated_balls).any(axis=1)
    return PrecisionRecall(
        float((balls_of_each > 0).mean()),
        float(is_among_generated.mean()),
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

    Raises:
        ValueError: k is not in 1 ... N - 1, or M is below 1.

    Example:
        >>> round(expected_coverage(1000, 1000, neighbours=5), 3)
        0.969
        >>> expected_coverage(2, 1, neighbours=1)  # the generated one is as often nearer than the other real one as not
        0.5
    """
    n, m, k = counts("expected_coverage", real=real, generated=generated, neighbours=neighbours)
    if k >= n:
        raise ValueError(
            f"expected_coverage: neighbours is {k}, expected fewer than the {n} real examples, which have {n - 1} others each"
        )
    # Of the ways to choose k of all the others, those with a generated one; whole numbers, so that nothing is lost before the division.
    every, real_only = math.comb(m + n - 1, k), math.comb(n - 1, k)
    return (every - real_only) / every
