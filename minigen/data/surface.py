"""A curved surface in space, which two numbers describe and no plane does: a sheet that is bent like an S.

(u, v) -> (sin u, v, sign(u) (cos u - 1)),    |u| <= 1.3 pi,  |v| <= 2
"""

import numpy as np
from numpy.typing import NDArray

from minigen.random import Generator

BEND, WIDTH = 1.3 * np.pi, 2.0  # the largest |u| and |v|


def bent_sheet(n: int, *, rng: Generator) -> NDArray[np.float32]:
    """Draw n points of the sheet, (n, 3); u and v are uniform.

    Args:
        n: how many.
        rng: a Generator on the CPU.

    Example:
        >>> bent_sheet(5, rng=Generator(0)).shape
        (5, 3)
    """
    along, across = (rng.uniform(n, low=-reach, high=reach) for reach in (BEND, WIDTH))
    return _bent(along, across)


def bent_sheet_net(rows: int, columns: int) -> NDArray[np.float32]:
    """Return the points of a regular net on the sheet, (rows, columns, 3); u rises along the rows, v along the columns.

    Example:
        >>> net = bent_sheet_net(3, 2)
        >>> net[1]  # the middle of the bend
        array([[ 0., -2.,  0.],
               [ 0.,  2.,  0.]], dtype=float32)
    """
    along, across = np.linspace(-BEND, BEND, rows), np.linspace(-WIDTH, WIDTH, columns)
    return _bent(*np.meshgrid(along, across, indexing="ij"))


def _bent(along: NDArray[np.floating], across: NDArray[np.floating]) -> NDArray[np.float32]:
    height = np.sign(along) * (np.cos(along) - 1)
    return np.stack([np.sin(along), across, height], axis=-1).astype(np.float32)
