"""Checks on samples before anything is computed from them: one NaN would silently make a whole metric NaN."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_finite(array: NDArray[Any], name: str) -> None:
    """Refuse an array that holds NaN or infinity.

    Args:
        array: numbers of any shape.
        name: what the array is to the caller; opens the message.

    Raises:
        ValueError: some value is not finite; the message says how many, and where the first is.

    Example:
        >>> check_finite(np.array([0.0, np.nan, np.inf]), "mode_mass: samples")
        Traceback (most recent call last):
        ValueError: mode_mass: samples: 2 of 3 values are not finite, the first is nan at index (1,)
    """
    finite = np.isfinite(array)
    if not finite.all():
        index = np.unravel_index(np.argmin(finite), array.shape)
        raise ValueError(
            f"{name}: {np.size(array) - np.count_nonzero(finite)} of {array.size} values are not "
            f"finite, the first is {array[index]} at index {tuple(map(int, index))}"
        )


def scalar_samples(samples: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return samples of a one-dimensional variable as a flat float64 vector.

    Args:
        samples: (N,) or (N, 1), as a generator with one output gives them.
        name: what the samples are to the caller; opens the messages.

    Returns:
        (N,), float64.

    Raises:
        ValueError: another shape, no samples, or a value that is not finite.

    Example:
        >>> scalar_samples([[1.0], [2.0]], "wasserstein1: x")
        array([1., 2.])
    """
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[1:] not in ((), (1,)) or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape}, expected (N,) or (N, 1) with N >= 1")
    check_finite(array, name)
    return array.reshape(-1)
