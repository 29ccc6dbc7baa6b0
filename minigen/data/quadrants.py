"""Parts of an image hidden, to be predicted from the others: the task of Sohn, Lee & Yan 2015, section 5.1.

An image is cut into four quadrants. One, two or three of them are visible, the lower left first, then the upper left, then the lower right.
What is known of the image are its visible pixels between -1 and 1, with 0 for each that is hidden: it says as little as a medium grey.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def hidden_quadrants(size: tuple[int, ...], *, visible: int) -> NDArray[np.float32]:
    """Return which pixels are hidden.

    Args:
        size: (H, W, C) of an image.
        visible: how many quadrants are visible, 0 to 3; with 0 the whole image is hidden.

    Returns:
        (1, H, W, 1): 1 where a pixel is hidden, 0 where it is visible.

    Raises:
        ValueError: `visible` is not 0, 1, 2 or 3.

    Example:
        >>> hidden_quadrants((4, 4, 1), visible=1)[0, ..., 0]
        array([[1., 1., 1., 1.],
               [1., 1., 1., 1.],
               [0., 0., 1., 1.],
               [0., 0., 1., 1.]], dtype=float32)
    """
    if visible not in (0, 1, 2, 3):
        raise ValueError(f"hidden_quadrants: visible = {visible}, expected 0, 1, 2 or 3 of the four quadrants")
    height, width, _ = size
    hidden = np.ones((1, height, width, 1), np.float32)
    lower, upper, left = slice(height // 2, None), slice(height // 2), slice(width // 2)
    for rows, columns in ((lower, left), (upper, left), (lower, slice(width // 2, None)))[:visible]:
        hidden[:, rows, columns] = 0
    return hidden


def conceal(images: NDArray[Any], hidden: NDArray[np.float32]) -> NDArray[Any]:
    """Return what is known of images: visible pixels between -1 and 1, and 0 for hidden ones.

    Args:
        images: (N, H, W, C), in [0, 1].
        hidden: 1 or 0, of a shape that broadcasts against the images.

    Example:
        >>> conceal(np.ones((1, 2, 2, 1)), hidden_quadrants((2, 2, 1), visible=2))[0, ..., 0]
        array([[1., 0.],
               [1., 0.]])
    """
    return (2 * images - 1) * (1 - hidden)


def fill_in(images: NDArray[Any], hidden: NDArray[np.float32], parts: ArrayLike) -> NDArray[Any]:
    """Return images with other pixels in the place of the hidden ones.

    Args:
        images: (N, H, W, C).
        hidden: 1 or 0, of a shape that broadcasts against the images.
        parts: where the hidden pixels come from: images, or one grey for all; of a shape that broadcasts, too.

    Example:
        >>> fill_in(np.ones((1, 2, 2, 1)), hidden_quadrants((2, 2, 1), visible=2), 0.5)[0, ..., 0]
        array([[1. , 0.5],
               [1. , 0.5]])
    """
    return np.where(hidden == 1, parts, images)
