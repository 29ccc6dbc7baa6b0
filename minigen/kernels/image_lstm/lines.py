"""The lines in which an LSTM walks over an image: all pixels of a line are computed at once, from the line before alone.

    "down"     line t is row t; a pixel sees states of the row above, at its own column and the next ones on both sides
    "right"    line t is the diagonal row + column = t; a pixel sees the states above it and to its left
    "left"     the mirror image of "right": a pixel sees the states above it and to its right

A pixel's *position* in its line is its column, or on a diagonal its row. So what a pixel sees in the line before is at its own position or
near it: of a diagonal, at its own position (the pixel beside it) and the one before (the pixel above). Flat, with pixel (row, column) at
W row + column, the pixels of a line are an arithmetic progression, which is a slice.
"""

import functools
from typing import NamedTuple

from minigen.kernels.convolution.geometry import Geometry, Pair

DIRECTIONS = ("down", "right", "left")


class Line(NamedTuple):
    """The pixels of a line.

    Attributes:
        first, last: their positions, from the first up to, but without, the last.
        pixels: where they are among all H W pixels.
    """

    first: int
    last: int
    pixels: slice


@functools.lru_cache(64)
def lines(size: Pair, direction: str) -> tuple[Line, ...]:
    """Return the lines of an image of (H, W) pixels in the order of the walk.

    Example:
        >>> [list(range(6))[line.pixels] for line in lines((2, 3), "right")]
        [[0], [1, 3], [2, 4], [5]]
    """
    height, width = size
    if direction == "down":
        return tuple(Line(0, width, slice(t * width, (t + 1) * width)) for t in range(height))
    found = []
    for t in range(height + width - 1):
        first, last = max(0, t - width + 1), min(t + 1, height)
        column, step = (
            (t, width - 1) if direction == "right" else (width - 1 - t, width + 1)
        )  # in row 0; to the next row
        start, step = column + first * step, max(step, 1)
        found.append(Line(first, last, slice(start, start + (last - first - 1) * step + 1, step)))
    return tuple(found)


def offsets(direction: str, taps: int) -> tuple[Pair, ...]:
    """Return where a pixel's K taps are from it, (row, column).

    Example:
        >>> offsets("down", 3), offsets("right", 2)
        (((-1, -1), (-1, 0), (-1, 1)), ((-1, 0), (0, -1)))
    """
    if direction == "down":
        return tuple((-1, k - taps // 2) for k in range(taps))
    return (-1, 0), (0, -1 if direction == "right" else 1)


def steps(direction: str, taps: int) -> tuple[int, ...]:
    """Return where they are from its position, in the line before.

    Example:
        >>> steps("down", 3), steps("right", 2)
        ((-1, 0, 1), (-1, 0))
    """
    return tuple(column if direction == "down" else row for row, column in offsets(direction, taps))


def margin(direction: str, taps: int) -> int:
    """Return how far beyond a line's ends the taps reach.

    Example:
        >>> margin("down", 5), margin("right", 2)
        (2, 1)
    """
    return max(map(abs, steps(direction, taps)))


@functools.lru_cache(64)
def geometry(size: Pair, direction: str, taps: int) -> Geometry:
    """Return the convolution, in the image, that brings states and pixels together.

    Example:
        >>> geometry((4, 4), "left", 2).forward.offsets
        ((-1, 0), (0, 1))
    """
    places = offsets(direction, taps)
    top, left = (-min(place[axis] for place in places) for axis in (0, 1))
    bottom, right = (max(place[axis] for place in places) for axis in (0, 1))
    live = tuple((row + top, column + left) for row, column in places)
    return Geometry(size, size, (top + bottom + 1, left + right + 1), (1, 1), (top, left), (1, 1), 1, live)
