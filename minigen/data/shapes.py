"""Coloured shapes with captions, drawn from factors that can be read back: the smallest set of pictures with text.

    shape        circle, square, triangle, diamond, cross, ring
    colour       eight
    size         small, large
    row, column  of a grid of 3 x 3 places
    background   white, black, grey

Each of the 2,592 combinations has a caption of its own, such as "a large red circle at the top left on white".
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.data.factored import SIDE, Array, Factored, Part, Variation, compose, coordinates, coverage

COLOURS = {
    "red": (0.86, 0.10, 0.12), "orange": (0.98, 0.55, 0.08), "yellow": (0.96, 0.90, 0.15), "green": (0.13, 0.60, 0.20),
    "turquoise": (0.15, 0.82, 0.80), "blue": (0.13, 0.25, 0.86), "purple": (0.52, 0.12, 0.66), "pink": (0.98, 0.52, 0.78),
}  # fmt: skip
BACKGROUNDS = {"white": (0.96, 0.96, 0.96), "black": (0.05, 0.05, 0.05), "grey": (0.48, 0.48, 0.48)}
RADII = (3.8, 6.6)  # pixels, of a small and of a large shape
STEP = SIDE / 4  # pixels, between the places of the grid
SHAPE_WORDS = (
    "a", "at", "in", "on", "the", "small", "large", *COLOURS, *BACKGROUNDS,
    "circle", "square", "triangle", "diamond", "cross", "ring", "top", "middle", "bottom", "left", "right",
)  # fmt: skip


class ShapeFactors(NamedTuple):
    """The factors of N pictures, each (N,), whole numbers: indices into `SHAPES.values`."""

    shape: NDArray[Any]
    colour: NDArray[Any]
    size: NDArray[Any]
    row: NDArray[Any]
    column: NDArray[Any]
    background: NDArray[Any]


class Shapes(Factored[ShapeFactors]):
    """The set of coloured shapes; there is one object of it, `SHAPES`.

    Example:
        >>> ring = ShapeFactors(*(np.array([value]) for value in (5, 2, 1, 0, 2, 1)))
        >>> SHAPES.captions(ring)
        ['a large yellow ring at the top right on black']
        >>> SHAPES.draw(ring).shape
        (1, 32, 32, 3)
    """

    name = "shapes"
    record = ShapeFactors
    values = {
        "shape": ("circle", "square", "triangle", "diamond", "cross", "ring"),
        "colour": tuple(COLOURS),
        "size": ("small", "large"),
        "row": ("top", "middle", "bottom"),
        "column": ("left", "middle", "right"),
        "background": tuple(BACKGROUNDS),
    }
    colour_factors = ("colour", "background")
    grain = (0.0, 0.0)  # of the background and the shape
    label = "shape"

    def captions(self, factors: ShapeFactors) -> list[str]:
        """Return a caption in English for each combination of factors, in the words of `SHAPE_WORDS`."""
        captions = []
        for combination in zip(*factors, strict=True):
            named = zip(self.values.values(), combination, strict=True)
            shape, colour, size, row, column, background = (names[value] for names, value in named)
            words = [word for word in (row, column) if word != "middle"]
            place = f"at the {' '.join(words)}" if words else "in the middle"
            captions.append(f"a {size} {colour} {shape} {place} on {background}")
        return captions

    def masks(self, factors: ShapeFactors, variation: Variation) -> Array:
        """Return the masks of background and shape, (n, 2, S, S)."""
        centre = STEP * (1 + np.stack([factors.row, factors.column], axis=1))
        right, down = coordinates(centre, variation)
        radius = np.array(RADII, np.float32)[factors.size][:, None, None]
        cover = np.empty_like(right)
        for kind, distance in enumerate(DISTANCES):
            chosen = factors.shape == kind
            cover[chosen] = coverage(distance(right[chosen], down[chosen], radius[chosen]))
        return compose([Part(1, cover)], layers=2)

    def colours(self, factors: ShapeFactors) -> Array:
        """Return the colours of background and shape, (n, 2, 3)."""
        backgrounds, colours = (np.array(list(table.values()), np.float32) for table in (BACKGROUNDS, COLOURS))
        return np.stack([backgrounds[factors.background], colours[factors.colour]], axis=1)


# The signed distances of pixels to the edge, given how far they lie to the right of the middle and down, and the radius.


def _circle(x: Array, y: Array, r: Array) -> Array:
    return np.hypot(x, y) - r


def _square(x: Array, y: Array, r: Array) -> Array:
    return np.maximum(abs(x), abs(y)) - np.float32(0.88) * r


def _triangle(x: Array, y: Array, r: Array) -> Array:
    y = y - np.float32(0.3) * r  # its centre of gravity is below the middle of its height
    side = np.float32(np.sqrt(3) / 2) * abs(x) - y / 2
    return np.maximum(side, y) - np.float32(0.62) * r


def _diamond(x: Array, y: Array, r: Array) -> Array:
    return (abs(x) + abs(y) - np.float32(1.1) * r) / np.float32(np.sqrt(2))


def _cross(x: Array, y: Array, r: Array) -> Array:
    x, y = abs(x), abs(y)
    return np.maximum(np.maximum(x, y) - r, np.minimum(x, y) - np.float32(0.36) * r)


def _ring(x: Array, y: Array, r: Array) -> Array:
    return abs(np.hypot(x, y) - np.float32(0.74) * r) - np.float32(0.26) * r


DISTANCES = (_circle, _square, _triangle, _diamond, _cross, _ring)
SHAPES = Shapes()
