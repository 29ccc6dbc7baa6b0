"""Functions given by their values on a uniform grid: what the metrics on them check first."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def grid_spacing(grid: ArrayLike, name: str) -> float:
    """Return the spacing of a uniform, rising grid.

    Args:
        grid: (M,), M >= 2.
        name: the caller; opens the message.

    Raises:
        ValueError: the grid is not one-dimensional, not rising or not uniform.

    Example:
        >>> grid_spacing([0.0, 0.5, 1.0], "binned_kernel_density")
        0.5
    """
    grid = np.asarray(grid, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2:
        raise ValueError(f"{name}: grid has shape {grid.shape}, expected (M,) with M >= 2")
    spacing = float(grid[-1] - grid[0]) / (grid.size - 1)
    steps = np.diff(grid)
    if not (spacing > 0 and np.allclose(steps, spacing, rtol=1e-6, atol=0.0)):
        raise ValueError(
            f"{name}: grid steps run from {steps.min()} to {steps.max()}, expected equal positive "
            "steps, as numpy.linspace gives them"
        )
    return spacing


def check_density_values(
    p: ArrayLike, q: ArrayLike, dx: float, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two densities' values on one grid as float64 vectors.

    Args:
        p: (M,), values of the first density.
        q: (M,), values of the second.
        dx: the grid's spacing.
        name: the caller; opens the messages.

    Raises:
        ValueError: shapes differ, values are negative or not finite, or dx <= 0.

    Example:
        >>> check_density_values([0.0, 1.0], [0.5, -0.5], 1.0, "total_variation")
        Traceback (most recent call last):
        ValueError: total_variation: q[1] is -0.5, expected finite values >= 0
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if p.ndim != 1 or p.shape != q.shape or p.size < 2:
        raise ValueError(f"{name}: p has shape {p.shape} and q {q.shape}, expected (M,) for both, with M >= 2")
    for letter, values in (("p", p), ("q", q)):
        good = np.isfinite(values) & (values >= 0)
        if not good.all():
            index = int(np.argmin(good))
            raise ValueError(f"{name}: {letter}[{index}] is {values[index]}, expected finite values >= 0")
    if not dx > 0:
        raise ValueError(f"{name}: dx is {dx}, expected the positive spacing of the grid")
    return p, q
