"""The nearest images: whether a model draws new images, or those that it has learnt by heart, and how close together images lie.

The distance is Euclidean, over pixels. It finds copies. It does not tell likeness: an image and itself shifted by a pixel may be further
apart than images of two classes (Theis, van den Oord & Bethge 2016, "A note on the evaluation of generative models", section 3.2).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.metrics.mmd import squared_distances

CHUNK = 2**22  # numbers of float64 in hand at a time: 32 MiB


class Nearest(NamedTuple):
    """The nearest of M images to each of N.

    Attributes:
        indices: which it is, (N,); the first of several equally near ones.
        distances: how far it is, (N,).
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest_images(images: NDArray, *, among: NDArray) -> Nearest:
    """Find the nearest image to each, by the Euclidean distance over pixels, in memory that does not grow with M or N.

    Args:
        images: (N, ...), such as samples.
        among: (M, ...), such as the training images.

    Raises:
        ValueError: images of two sizes, or none to choose among.

    Example:
        >>> training = np.array([[0.0, 0.0], [3.0, 4.0]])
        >>> nearest_images(np.array([[3.0, 3.0], [0.0, 0.0]]), among=training)
        Nearest(indices=array([1, 0]), distances=array([1., 0.]))
    """
    if images.shape[1:] != among.shape[1:] or not len(among):
        raise ValueError(
            f"nearest_images: images are {images.shape}, those to choose among {among.shape}; expected one size, and M >= 1"
        )
    indices, squares = np.zeros(len(images), np.int64), np.full(len(images), np.inf)
    pixels = max(1, int(np.prod(images.shape[1:])))
    rows = max(1, int(min(CHUNK / pixels, CHUNK**0.5)))
    # Squares of differences from the middle lose few digits.
    middle = among[:rows].reshape(-1, pixels).mean(axis=0, dtype=np.float64)
    for start in range(0, len(images), rows):
        here = slice(start, start + rows)
        x = images[here].reshape(-1, pixels) - middle
        for first in range(0, len(among), rows):
            y = among[first : first + rows].reshape(-1, pixels) - middle
            # |x - y|^2 = |x|^2 - 2 x.y + |y|^2, of which |x|^2 is the same for all y
            found = ((y * y).sum(axis=1) - 2 * (x @ y.T)).argmin(axis=1)
            square = ((x - y[found]) ** 2).sum(axis=1)  # anew: the difference above has lost digits
            better = square < squares[here]
            indices[here] = np.where(better, first + found, indices[here])
            squares[here] = np.where(better, square, squares[here])
    return Nearest(indices, np.sqrt(squares))


def neighbour_distances(images: NDArray, *, k: int = 1) -> NDArray[np.float64]:
    """Return how far it is from each image to its k-th nearest other one, in memory that does not grow with N squared.

    Copies of an image count as others, at distance 0.

    Args:
        images: (N, ...), or their features.
        k: 1 for the nearest other image.

    Returns:
        (N,), with a relative error below 1e-9.

    Raises:
        ValueError: k is not between 1 and N - 1.

    Example:
        >>> neighbour_distances(np.array([[0.0], [1.0], [5.0]]))
        array([1., 1., 4.])
    """
    if not 1 <= k < len(images):
        raise ValueError(
            f"neighbour_distances: k is {k}, expected at least 1 and less than the {len(images)} images, since an image is not its own "
            "neighbour"
        )
    x = images.reshape(len(images), -1).astype(np.float64)
    step = max(1, CHUNK // len(x))
    found = []
    for start in range(0, len(x), step):
        squares = squared_distances(x[start : start + step], x)
        squares.partition(k, axis=1)
        found.append(np.sqrt(squares[:, k]))  # the image itself is the 0-th
    return np.concatenate(found)
