"""Digits lost in clutter, with masks that say which pixels are the digit's: the smallest task of segmentation.

A whole image is put anywhere on a larger black canvas, among fragments of other images, as in the cluttered MNIST of Mnih et al. 2014
("Recurrent models of visual attention", section 4.1); here straight strokes and noise come on top:

    picture = clip(max(image, fragments, strokes) + s e, 0, 1)          e ~ N(0, I)
    mask    = image >= 1/2                                              also where clutter lies over it

Ink does not tell what belongs to the digit: fragments are of the same ink. What tells is that the digit is whole.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.random import Generator


class Cluttered(NamedTuple):
    """N pictures with their masks.

    Attributes:
        images: (N, S, S, C), float32, in [0, 1].
        masks: (N, S, S, 1), float32: 1 where the digit is, else 0.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.float32]


def clutter(
    images: NDArray[np.float32],
    *,
    size: int,
    fragments: int = 4,
    strokes: int = 1,
    noise: float = 0.1,
    rng: Generator,
) -> Cluttered:
    """Put each image on a canvas among clutter.

    Args:
        images: (N, H, H, C), in [0, 1], ink on black; the fragments are of them, too.
        size: S, of the canvas, at least H.
        fragments: how many pieces of H/2 x H/2 pixels there are on each canvas; one may be empty paper.
        strokes: how many straight strokes, from one point of the canvas to another.
        noise: s.
        rng: on the CPU; places everything.

    Raises:
        ValueError: images that are not square or larger than the canvas, or pixels outside [0, 1].

    Example:
        >>> from minigen.data import load_digits
        >>> pictures = clutter(load_digits().unit()[:3], size=16, rng=Generator(0))
        >>> pictures.images.shape, pictures.masks.shape, np.unique(pictures.masks)
        ((3, 16, 16, 1), (3, 16, 16, 1), array([0., 1.], dtype=float32))
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[1] > size:
        raise ValueError(
            f"clutter: images of shape {images.shape}, expected (N, H, H, C) with H at most {size}, the canvas"
        )
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"clutter: pixels from {images.min()} to {images.max()}, expected them in [0, 1]")
    n, height, _, channels = images.shape
    canvas = np.zeros((n, size, size, channels), np.float32)
    _paste(canvas, images, rng)
    masks = (canvas.max(axis=3, keepdims=True) >= 0.5).astype(np.float32)
    for _ in range(fragments):
        _paste(canvas, _fragments(images, max(1, height // 2), rng), rng)
    for _ in range(strokes):
        np.maximum(canvas, _strokes(n, size, width=height / 8, rng=rng), out=canvas)
    canvas += noise * rng.normal(canvas.shape)
    return Cluttered(np.clip(canvas, 0.0, 1.0, out=canvas), masks)


def _paste(canvas: NDArray[np.float32], pieces: NDArray[np.float32], rng: Generator) -> None:
    """Draw each piece, (N, h, h, C), somewhere on its canvas, (N, S, S, C); of two inks the darker one stays."""
    n, length = pieces.shape[:2]
    rows, columns = (rng.integers(0, canvas.shape[1] - length + 1, (n, 1)) + np.arange(length) for _ in range(2))
    place = np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]  # (N, h, h)
    canvas[place] = np.maximum(canvas[place], pieces)


def _fragments(images: NDArray[np.float32], length: int, rng: Generator) -> NDArray[np.float32]:
    """Cut a square from anywhere in an image drawn at random, N times: (N, length, length, C)."""
    n, height = images.shape[:2]
    rows, columns = (rng.integers(0, height - length + 1, (n, 1)) + np.arange(length) for _ in range(2))
    return images[rng.integers(0, n, (n, 1, 1)), rows[:, :, None], columns[:, None, :]]


def _strokes(n: int, size: int, *, width: float, rng: Generator) -> NDArray[np.float32]:
    """Draw a segment between two random points on each canvas, its edges softened over a pixel: (N, S, S, 1)."""
    start, end = rng.uniform((2, n, 1, 1, 2), high=size)
    pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1) + np.float32(
        0.5
    )  # (S, S, 2)
    along = end - start
    # The nearest point of the segment: the foot of the perpendicular, or an end.
    foot = ((pixels - start) * along).sum(axis=-1, keepdims=True) / (along**2).sum(axis=-1, keepdims=True)
    away = np.linalg.norm(pixels - start - np.clip(foot, 0, 1) * along, axis=-1, keepdims=True)  # (N, S, S, 1)
    return np.clip(0.5 + width / 2 - away, 0, 1)
