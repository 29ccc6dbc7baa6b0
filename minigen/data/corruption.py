"""Spoiled images x' ~ q(x' | x), for autoencoders that learn to mend them (Vincent et al. 2010, "Stacked denoising autoencoders").

    gaussian           x' = x + s e,  e ~ N(0, I)
    masking            each pixel is 0 with probability p, else as it was
    salt_and_pepper    each pixel is 0 or 1 with probability p, one as often as the other, else as it was
    block              a rectangle anywhere in the image is 0: what is to be inpainted

All channels of a pixel share its fate. Each function takes images on any device, and a generator there; the images stay as they are.
"""

from functools import partial
from typing import Any

from minigen.backend import Array, array_module
from minigen.models.autoencoder import Corruption
from minigen.random import Generator


def gaussian(images: Array, *, scale: float = 0.5, rng: Generator) -> Array:
    """Add normal noise; the outcome leaves [0, 1].

    Args:
        images: (N, H, W, C).
        scale: s, at least 0.
        rng: draws e.

    Example:
        >>> import numpy as np
        >>> round(float(gaussian(np.zeros((10, 50, 50, 1), "float32"), scale=0.5, rng=Generator(0)).std()), 2)
        0.5
    """
    _check_images(images, "gaussian")
    return images + rng.normal(images.shape, scale=scale, dtype=images.dtype)


def masking(images: Array, *, probability: float = 0.5, rng: Generator) -> Array:
    """Blacken pixels at random.

    Args:
        images: (N, H, W, C).
        probability: p, of a pixel to be 0.
        rng: draws which.

    Example:
        >>> import numpy as np
        >>> round(float(masking(np.ones((10, 50, 50, 1), "float32"), probability=0.3, rng=Generator(0)).mean()), 2)
        0.7
    """
    _check_images(images, "masking")
    kept = rng.bernoulli(1.0 - probability, (*images.shape[:3], 1))
    return images * kept.astype(images.dtype, copy=False)


def salt_and_pepper(images: Array, *, probability: float = 0.5, rng: Generator) -> Array:
    """Put pixels at random to black or white.

    Args:
        images: (N, H, W, C), in [0, 1].
        probability: p, of a pixel to be spoiled.
        rng: draws which, and the colours.

    Example:
        >>> import numpy as np
        >>> round(float(salt_and_pepper(np.ones((10, 50, 50, 1), "float32"), probability=0.3, rng=Generator(0)).mean()), 2)
        0.85
    """
    _check_images(images, "salt_and_pepper")
    pixels = (*images.shape[:3], 1)
    spoiled, white = rng.bernoulli(probability, pixels), rng.bernoulli(0.5, pixels)
    return array_module(images).where(spoiled != 0, white.astype(images.dtype, copy=False), images)


def block(images: Array, *, share: float = 0.5, rng: Generator) -> Array:
    """Blacken one rectangle of each image, at a place drawn at random.

    Args:
        images: (N, H, W, C).
        share: the rectangle's sides relative to the image's, in (0, 1]; at least a pixel each.
        rng: draws the places.

    Raises:
        ValueError: share outside (0, 1].

    Example:
        >>> import numpy as np
        >>> spoiled = block(np.ones((1, 4, 4, 1), "float32"), rng=Generator(1))
        >>> spoiled[0, ..., 0].sum()
        np.float32(12.0)
    """
    _check_images(images, "block")
    if not 0 < share <= 1:
        raise ValueError(f"block: share = {share} of the image's sides, expected it in (0, 1]")
    n, height, width, _ = images.shape
    inside_rows, inside_columns = (
        _stretch(n, length, max(1, round(share * length)), images, rng) for length in (height, width)
    )
    inside = inside_rows[:, :, None, None] & inside_columns[:, None, :, None]  # (N, H, W, 1)
    return images * (~inside).astype(images.dtype)


def _stretch(n: int, length: int, covered: int, images: Array, rng: Generator) -> Any:
    """Return which of `length` places are in a stretch of `covered`, begun anywhere, (n, length), boolean."""
    first = rng.integers(0, length - covered + 1, (n, 1))
    places = array_module(images).arange(length)  # (length,)
    return (first <= places) & (places < first + covered)


def _check_images(images: Array, function: str) -> None:
    if images.ndim != 4:
        raise ValueError(f"{function}: images of shape {images.shape}, expected (N, H, W, C)")


CORRUPTIONS: dict[str, tuple[Corruption, str]] = {
    "gaussian": (gaussian, "scale"),
    "masking": (masking, "probability"),
    "salt-and-pepper": (salt_and_pepper, "probability"),
    "block": (block, "share"),
}
"""By name, each with its one setting."""


def corruption(name: str, *, strength: float | None = None) -> Corruption:
    """Return a corruption by its name, ready to be called with images and rng.

    Args:
        name: "gaussian", "masking", "salt-and-pepper" or "block".
        strength: its scale, probability or share; None takes a half.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> import numpy as np
        >>> spoil = corruption("masking", strength=1.0)
        >>> float(spoil(np.ones((2, 4, 4, 1), "float32"), rng=Generator(0)).max())
        0.0
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption: {name!r} is unknown; it is one of {', '.join(CORRUPTIONS)}")
    function, setting = CORRUPTIONS[name]
    return partial(function, **({} if strength is None else {setting: strength}))
