"""Moving pictures of images: while they are being drawn, or while a model learns to draw them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minigen.plots.animation import Animation
from minigen.plots.images import colours, joined, mosaic, sheet
from minigen.plots.style import styled


def growing_images(
    frames: Sequence[tuple[int, ArrayLike]], *, columns: int | None = None, title: str = ""
) -> Animation:
    """Show images that become complete, pixel after pixel.

    Args:
        frames: how many pixels are there, and the images so far, (N, H, W, C) in [0, 1], for each frame.
        columns: images in a row; by default the grid is about square.
        title: stands above the grid.

    Raises:
        ValueError: no frame, or images of another shape than the first frame's.

    Example:
        >>> growing_images([(n, np.ones((3, 8, 8, 1)) * (n > 0)) for n in (0, 32, 64)]).frames
        3
    """
    labelled = [(f"{pixels} of {math.prod(np.shape(images)[1:3])} pixels", images) for pixels, images in frames]
    return moving_images(labelled, columns=columns, title=title)


@styled
def moving_images(frames: Sequence[tuple[str, ArrayLike]], *, columns: int | None = None, title: str = "") -> Animation:
    """Show images that change from frame to frame, such as a model's at several stages of its training.

    Args:
        frames: a label and its images, (N, H, W, C) in [0, 1], for each frame.
        columns: images in a row; by default the grid is about square.
        title: stands above the grid, at its left; the label stands at its right.

    Raises:
        ValueError: no frame, or images of another shape than the first frame's.

    Example:
        >>> moving_images([(f"step {n}", np.ones((3, 8, 8, 1))) for n in (0, 100)]).frames
        2
    """
    shapes = {np.shape(images) for _, images in frames}
    if len(shapes) != 1:
        raise ValueError(f"moving_images: frames of shapes {sorted(shapes)}; expected one shape, (N, H, W, C)")
    ((count, height, width, _),) = shapes
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)

    def grid(images: ArrayLike) -> np.ndarray:
        cells = np.ones((rows * columns, height, width, 3))
        cells[:count] = colours("moving_images: images", images)
        return cells.reshape(rows, columns, height, width, 3)

    figure = sheet(rows, columns, (height, width), title=title, above=0.5)
    axes = figure.subplots()
    mosaic(axes, grid(frames[0][1]))
    drawn = axes.images[0]
    label = axes.set_title(frames[0][0], loc="right")

    def draw(i: int) -> None:
        text, images = frames[i]
        drawn.set_data(joined(grid(images)))
        label.set_text(text)

    return Animation(figure, draw, len(frames))
