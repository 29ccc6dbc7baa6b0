"""What a distance of pixels sees: how far an image is from itself, shifted, and from other images.

Squared errors of pixels are what most autoencoders are trained and judged by, but they do not measure likeness: an image and itself shifted
by a pixel may be further apart than images of two classes (Theis, van den Oord & Bethge 2016, "A note on the evaluation of generative
models", section 3.2).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.data import Images
from minigen.metrics.mmd import squared_distances
from minigen.metrics.reconstruction import squared_error


class PixelDistances(NamedTuple):
    """Squared distances from images to images of other kinds, means over the images.

    Attributes:
        shifted: to itself, shifted to the right by each of the shifts.
        same: to the nearest other image of the same class.
        other: to the nearest image of another class.
        example: the indices of an image and of the nearest one of another class: of all images the one for which a shift by one pixel is
            furthest, in comparison.
    """

    shifted: list[float]
    same: float
    other: float
    example: tuple[int, int]


def shifted(images: NDArray[Any], pixels: int) -> NDArray[Any]:
    """Return images shifted to the right, with zeros coming in from the left.

    Args:
        images: (N, H, W), or (N, H, W, C).
        pixels: how far.

    Example:
        >>> shifted(np.array([[[1, 2, 3]]]), 1)
        array([[[0, 1, 2]]])
    """
    margins = [(0, 0), (0, 0), (pixels, 0), (0, 0)][: images.ndim]
    return np.pad(images, margins)[:, :, : images.shape[2]]


def pixel_distances(images: Images, *, shifts: Sequence[int] = (0, 1, 2, 3), most: int = 500) -> PixelDistances:
    """Compare images with themselves, shifted, and with all others.

    An image that is the only one of its class does not count in `same`, which is NaN if every image is.

    Args:
        images: with their classes, of which there are at least two.
        shifts: in pixels.
        most: so many images, the first ones, are compared with all.

    Raises:
        ValueError: all images are of one class.

    Example:
        >>> from minigen.data import load_images
        >>> _, test = load_images("digits")
        >>> found = pixel_distances(test)
        >>> found.shifted[1] > found.other > found.same
        True
    """
    x, labels = images.unit(), images.labels
    if len(np.unique(labels)) < 2:
        raise ValueError("pixel_distances: all images are of one class, expected at least two classes")
    some = x[:most]
    rows = x.reshape(len(x), -1).astype(np.float64)
    squared = squared_distances(rows[:most], rows)  # (most, N)
    itself = np.arange(len(some))
    squared[itself, itself] = np.inf
    alike = labels[: len(some), None] == labels
    to_same, to_other = np.where(alike, squared, np.inf), np.where(alike, np.inf, squared)
    by_one = ((shifted(some, 1) - some).astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    chosen = int(np.argmax(by_one / np.maximum(to_other.min(axis=1), np.finfo(np.float32).tiny)))
    nearest = to_same.min(axis=1)
    has_like = np.isfinite(nearest)
    return PixelDistances(
        [squared_error(shifted(some, pixels), some) for pixels in shifts],
        float(nearest[has_like].mean()) if has_like.any() else math.nan,
        float(to_other.min(axis=1).mean()),
        (chosen, int(to_other[chosen].argmin())),
    )
