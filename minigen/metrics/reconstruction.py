"""How far images that a model made again are from the originals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def squared_error(made: NDArray[Any], images: NDArray[Any]) -> float:
    """Return the squared error of images, summed over their pixels, the mean over the images.

    Args:
        made: by the model, (N, H, W, C), on the CPU.
        images: the originals, the same shape.

    Returns:
        The error, computed in double precision.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> originals = np.zeros((2, 8, 8, 1))
        >>> made = originals.copy()
        >>> made[0] = 0.5
        >>> squared_error(made, originals)  # 64 pixels of 1/4 in one of two images
        8.0
    """
    if made.shape != images.shape:
        raise ValueError(f"squared_error: made is {made.shape}, images are {images.shape}; they must be of one shape")
    differences = (made - images).astype(np.float64)
    return float((differences**2).sum(axis=tuple(range(1, made.ndim))).mean())
