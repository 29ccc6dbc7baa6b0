"""How much better one method is than another on the same examples."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Gain(NamedTuple):
    """A mean difference.

    Attributes:
        mean: of the differences.
        standard_error: of that mean.
    """

    mean: float
    standard_error: float


def paired_gain(values: ArrayLike, baseline: ArrayLike) -> Gain:
    """Return the mean of values - baseline with its standard error.

    What makes an example easy or hard for both methods cancels in its difference, so the error is often far smaller than those of the two
    means.

    Args:
        values: of one method, (n,), n at least 2.
        baseline: of the other on the same examples, (n,).

    Raises:
        ValueError: another shape.

    Example:
        >>> paired_gain([10.0, 20.0, 33.0], [9.0, 19.0, 32.0])
        Gain(mean=1.0, standard_error=0.0)
    """
    first, second = np.asarray(values, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size < 2:
        raise ValueError(
            f"paired_gain: values of shape {first.shape} and a baseline of shape {second.shape}, expected (n,) twice, n at least 2"
        )
    gains = first - second
    return Gain(float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(gains.size)))
