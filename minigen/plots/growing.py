"""A moving picture of images while they are being drawn."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minigen.plots.animation import Animation
from minigen.plots.images import colours, joined, mosaic, sheet
from minigen.plots.style import styled


@styled
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
    shapes = {np.shape(images) for _, images in frames}
    if len(shapes) != 1:
        raise ValueError(f"growing_images: frames of shapes {sorted(shapes)}; expected one shape, (N, H, W, C)")
    ((count, height, width, _),) = shapes
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)

    def grid(images: ArrayLike) -> np.ndarray:
        cells = np.ones((rows * columns, height, width, 3))
        cells[:count] = colours("growing_images: images", images)
        return cells.reshape(rows, columns, height, width, 3)

    figure = sheet(rows, columns, (height, width), title=title, above=0.5)
    axes = figure.subplots()
    mosaic(axes, grid(frames[0][1]))
    drawn = axes.images[0]
    label = axes.set_title("0 pixels", loc="right")

    def draw(i: int) -> None:
        pixels, images = frames[i]
        drawn.set_data(joined(grid(images)))
        label.set_text(f"{pixels} of {height * width} pixels")

    return Animation(figure, draw, len(frames))
