"""Pictures made of images: a grid of them, and rows that are compared one above the other.

Images are (N, H, W, C) with pixels in [0, 1], as models and `Images.unit` give them. Grey ones (C = 1) are drawn as ink on paper: 0 is
white. Coloured ones (C = 3) are drawn as they are. Values beyond [0, 1], which the mean of a Gaussian may have, are drawn as its ends.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import LIGHT_GREY, new_figure, styled

INCHES = 0.85  # the width of an image on the page, where there is room


@styled
def image_grid(images: ArrayLike, *, columns: int | None = None, title: str = "") -> Figure:
    """Draw images row by row in a grid.

    Args:
        images: (N, H, W, C).
        columns: images in a row; by default the grid is about square.
        title: stands above the grid.

    Raises:
        ValueError: another shape, or no image.

    Example:
        >>> figure = image_grid(np.zeros((10, 8, 8, 1)), columns=5)
        >>> figure.axes[0].images[0].get_extent()
        [0, 5, 2, 0]
    """
    images = colours("image_grid: images", images)
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    cells = np.ones((rows * columns, *images.shape[1:]))
    cells[: len(images)] = images
    figure = sheet(rows, columns, images.shape[1:3], title=title)
    mosaic(figure.subplots(), cells.reshape(rows, columns, *images.shape[1:]))
    return figure


@styled
def image_rows(
    rows: Sequence[tuple[str, ArrayLike]], *, columns: Sequence[str] = (), columns_label: str = "", title: str = ""
) -> Figure:
    """Draw rows of images, each with its label on the left: what stands in one column belongs together.

    Args:
        rows: a label and its images, (N, H, W, C), for each row; shorter rows end with empty places. A label may have several lines.
        columns: labels above the columns; none where empty.
        columns_label: says above them what they are.
        title: stands above the rows.

    Raises:
        ValueError: no row, another shape, images of several sizes, or another number of columns than labels.

    Example:
        >>> digits = np.zeros((6, 8, 8, 1))
        >>> figure = image_rows([("originals", digits), ("reconstructions", digits)])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['originals', 'reconstructions']
    """
    drawn = [colours(f"image_rows: {label!r}", images) for label, images in rows]
    sizes = {images.shape[1:] for images in drawn}
    if len(sizes) != 1:
        raise ValueError(f"image_rows: images of sizes {sorted(sizes)}; expected rows, all of one size (H, W)")
    (size,) = sizes
    most = max(map(len, drawn))
    if columns and len(columns) != most:
        raise ValueError(f"image_rows: {len(columns)} labels of columns for rows of {most} images")
    cells = np.ones((len(rows), most, *size))
    for row, images in zip(cells, drawn, strict=True):
        row[: len(images)] = images

    longest = max(len(line) for label, _ in rows for line in label.split("\n"))
    above = 0.2 + 0.3 * bool(columns) + 0.3 * bool(columns_label)
    figure = sheet(len(rows), most, size[:2], title=title, beside=0.4 + 0.13 * longest, above=above)
    axes = figure.subplots()
    mosaic(axes, cells)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [label for label, _ in rows])
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(columns_label)
    return figure


def colours(name: str, images: ArrayLike) -> NDArray[np.float64]:
    """Return images as red, green and blue, (N, H, W, 1 or 3) -> (N, H, W, 3); grey ones as ink on paper.

    Args:
        name: what the images are to the caller; opens the message.
        images: with pixels in [0, 1].

    Raises:
        ValueError: another shape, or no image.

    Example:
        >>> colours("ink", np.ones((1, 1, 1, 1))).ravel()
        array([0., 0., 0.])
    """
    array = np.asarray(images, dtype=np.float64)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise ValueError(f"{name} has shape {array.shape}, expected (N, H, W, 1) or (N, H, W, 3) with N at least 1")
    array = np.clip(array, 0.0, 1.0)
    return array if array.shape[3] == 3 else np.repeat(1.0 - array, 3, axis=3)


def sheet(
    rows: int,
    columns: int,
    size: tuple[int, ...],
    *,
    title: str,
    beside: float = 0.3,
    above: float = 0.2,
    widest: float = 14.0,
) -> Figure:
    """Return an empty figure for rows of images (H, W).

    Args:
        rows: of images.
        columns: images in a row.
        size: (H, W).
        title: stands above them; the figure is wide enough for it.
        beside: inches for what stands beside the images.
        above: inches for what stands above or below them, but the title.
        widest: inches for the images in a row, at most.

    Example:
        >>> sheet(2, 10, (8, 8), title="", beside=1.0).get_size_inches()
        array([9.5, 1.9])
    """
    width = min(INCHES, widest / columns)
    whole = max(columns * width + beside, 0.135 * len(title))
    return new_figure(whole, rows * width * size[0] / size[1] + above + 0.5 * bool(title), title)


def joined(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return images, (R, K, H, W, 3), as one, each with a white margin of at least a pixel: strokes of two digits must not meet.

    Example:
        >>> joined(np.zeros((2, 5, 8, 8, 3))).shape
        (20, 50, 3)
    """
    rows, columns, height, width, _ = cells.shape
    margin = max(1, min(height, width) // 16)
    high, wide = height + 2 * margin, width + 2 * margin
    whole = np.ones((rows, columns, high, wide, 3))
    whole[:, :, margin:-margin, margin:-margin] = cells
    return whole.transpose(0, 2, 1, 3, 4).reshape(rows * high, columns * wide, 3)


def mosaic(axes: Axes, cells: NDArray[np.float64]) -> None:
    """Draw images, (R, K, H, W, 3), with grey lines between them; an image and its margin are 1 wide and 1 high on the axes' scales."""
    rows, columns = cells.shape[:2]
    whole = joined(cells)
    aspect = (len(whole) / rows) / (whole.shape[1] / columns)
    axes.imshow(whole, extent=(0, columns, rows, 0), aspect=aspect, interpolation="nearest")
    axes.hlines(np.arange(1, rows), 0, columns, color=LIGHT_GREY, linewidth=1.5)
    axes.vlines(np.arange(1, columns), 0, rows, color=LIGHT_GREY, linewidth=1.5)
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
