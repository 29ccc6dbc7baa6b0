"""Labelled images: the form they are kept in, the handwritten digits that the package carries, a held-out part, colours.

The digits are the test part of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0: digits of 13 writers, scanned as 32 x 32 black and white dots. A pixel
counts the black dots of a block of 4 x 4, hence 17 levels. In the package they are stored unchanged, in another file format.
"""

import colorsys
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.random import Generator

DIGITS = tuple("0123456789")


class Images(NamedTuple):
    """N labelled images of H x W pixels with C channels, each pixel a whole number.

    Attributes:
        name: a word for titles and file names.
        images: (N, H, W, C), uint8, from 0 to levels - 1.
        labels: (N,), int64; the class of an image, an index into `classes`.
        classes: the names of the classes.
        levels: how many values a pixel can take.

    Example:
        >>> digits = load_digits()
        >>> digits.images.shape, digits.labels[:5], digits.levels
        ((1797, 8, 8, 1), array([0, 1, 2, 3, 4]), 17)
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    levels: int

    def unit(self) -> NDArray[np.float32]:
        """Return the images on the unit interval, levels - 1 becoming 1: (N, H, W, C), float32.

        Example:
            >>> pixels = load_digits().unit()
            >>> pixels.dtype, float(pixels.min()), float(pixels.max())
            (dtype('float32'), 0.0, 1.0)
        """
        return np.divide(self.images, self.levels - 1, dtype=np.float32)

    def take(self, chosen: NDArray[Any]) -> "Images":
        """Return some of the images with their labels.

        Args:
            chosen: the indices of these images, or (N,) booleans that are true for them.

        Example:
            >>> digits = load_digits()
            >>> digits.take(digits.labels != 4).images.shape
            (1616, 8, 8, 1)
        """
        return self._replace(images=self.images[chosen], labels=self.labels[chosen])


def load_digits() -> Images:
    """Load 1,797 handwritten digits of 8 x 8 pixels (Alpaydin & Kaynak 1998), which the package carries.

    The files at UCI have two parts, by different writers; this is the second, smaller one. It has no split of its own: see `split`.

    Returns:
        Images (1797, 8, 8, 1) with 17 levels, 0 the paper and 16 full ink, in the order of the source.

    Example:
        >>> load_digits().images[0, ..., 0]
        array([[ 0,  0,  5, 13,  9,  1,  0,  0],
               [ 0,  0, 13, 15, 10, 15,  5,  0],
               [ 0,  3, 15,  2,  0, 11,  8,  0],
               [ 0,  4, 12,  0,  0,  8,  8,  0],
               [ 0,  5,  8,  0,  0,  9,  8,  0],
               [ 0,  4, 11,  0,  1, 12,  7,  0],
               [ 0,  2, 14,  5, 10, 12,  0,  0],
               [ 0,  0,  6, 13, 10,  0,  0,  0]], dtype=uint8)
    """
    with (files("minigen.data") / "files" / "digits.npz").open("rb") as file, np.load(file) as arrays:
        return Images("digits", arrays["images"], arrays["labels"].astype(np.int64), DIGITS, levels=17)


def split(data: Images, *, held_out: float = 0.2, seed: int = 0) -> tuple[Images, Images]:
    """Part images at random into those to learn from and those held out; the same seed gives the same parts.

    Args:
        data: N images.
        held_out: the share to hold out; of N images, round(N held_out).
        seed: of the random order.

    Returns:
        The images to learn from, and the held-out ones, together N.

    Raises:
        ValueError: one of the parts would be empty.

    Example:
        >>> training, test = split(load_digits())
        >>> len(training.images), len(test.images)
        (1438, 359)
    """
    n = len(data.images)
    count = round(n * held_out)
    if not 1 <= count < n:
        raise ValueError(f"split: {n} images with held_out = {held_out} would give parts of {n - count} and {count}")
    order = Generator(seed).permutation(n)
    return data.take(order[count:]), data.take(order[:count])


def balanced_draw(labels: NDArray[np.int64], n: int, *, classes: int, rng: Generator) -> NDArray[np.int64]:
    """Draw n examples at random, the same number from each class, as for learning from a few labelled examples.

    Args:
        labels: (N,), the class of each example, from 0 to classes - 1.
        n: how many to draw, a multiple of the number of classes.
        classes: how many there are.
        rng: draws them, on the CPU.

    Returns:
        The indices of those drawn, class by class, (n,).

    Raises:
        ValueError: n is not a multiple of the number of classes, or a class has too few examples.

    Example:
        >>> digits = load_digits()
        >>> drawn = balanced_draw(digits.labels, 30, classes=10, rng=Generator(0))
        >>> np.bincount(digits.labels[drawn])
        array([3, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    """
    members = [np.flatnonzero(labels == k) for k in range(classes)]
    most = classes * min(map(len, members))
    if n % classes or not 0 < n <= most:
        raise ValueError(f"balanced_draw: n = {n}, expected a multiple of the {classes} classes, up to {most}")
    return np.concatenate([places[rng.permutation(len(places))[: n // classes]] for places in members])


def coloured(data: Images, *, by: str = "class", seed: int = 0) -> Images:
    """Give grey images a colour each, light on black: for models of several channels, with a factor of variation that is known.

    A pixel of grey value g in [0, 1] becomes g times the fully saturated colour of the image's hue (HSV), so black stays black.

    Args:
        data: grey images, C = 1.
        by: "class" gives class k of K the hue k/K, red for the first; "image" gives each image a hue of its own, uniform on the circle
            of hues and independent of the class.
        seed: of the hues by image.

    Returns:
        The same images with C = 3, red, green and blue, of 256 levels.

    Raises:
        ValueError: images of several channels, or another `by`.

    Example:
        >>> red_zero = coloured(load_digits()).images[0]
        >>> red_zero.shape, red_zero.max(axis=(0, 1))
        ((8, 8, 3), array([239,   0,   0], dtype=uint8))
    """
    if data.images.shape[3] != 1:
        raise ValueError(f"coloured: images of shape (N, H, W, C) = {data.images.shape}, expected grey ones, C = 1")
    if by == "class":
        hues = data.labels / len(data.classes)  # (N,)
    elif by == "image":
        hues = Generator(seed).uniform(len(data.labels))
    else:
        raise ValueError(f"coloured: by = {by!r}, expected 'class' or 'image'")
    colours = np.array([colorsys.hsv_to_rgb(hue, 1.0, 1.0) for hue in hues.tolist()], dtype=np.float32)  # (N, 3)
    light = 255 * data.unit() * colours[:, None, None]  # (N, H, W, 1) * (N, 1, 1, 3)
    return data._replace(name=f"coloured {data.name}", images=np.rint(light).astype(np.uint8), levels=256)
