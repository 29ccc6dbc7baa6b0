"""Pictures over the sites of an image: weights, of both signs, and what each site costs."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from minigen.plots.classifier import SIGNED
from minigen.plots.style import BLACK, LIGHT_GREY, new_figure, styled

INCHES = 1.15  # the width of a field of weights
CLIPPED = 0.005  # the share of the weights that may lie beyond the colours


@styled
def signed_images(
    images: ArrayLike, *, marks: Sequence[tuple[int, int]] | None = None, label: str = "weight", title: str = ""
) -> Figure:
    """Draw images of numbers of both signs, such as weights, all on one scale of colours.

    A few very large numbers do not fade all others: the scale ends where half a per cent of all that are not 0 lies beyond.

    Args:
        images: (N, H, W).
        marks: for each image a pixel, (row, column), to put a frame around; none by default.
        label: what the numbers are.
        title: stands above the images.

    Raises:
        ValueError: another shape, or not as many marks as images.

    Example:
        >>> figure = signed_images(np.array([[[1.0, -1.0]], [[0.5, 0.0]]]), marks=[(0, 1), (0, 1)])
        >>> [panel.images[0].get_clim() for panel in figure.axes[:2]]
        [(-1.0, 1.0), (-1.0, 1.0)]
    """
    images = np.asarray(images, dtype=np.float64)
    if images.ndim != 3 or not images.size or (marks is not None and len(marks) != len(images)):
        raise ValueError(
            f"signed_images: images of shape {images.shape}, expected (N, H, W), and {len(marks or ())} marks, expected none or N"
        )
    count, height, width = images.shape
    columns = math.ceil(math.sqrt(2 * count))
    rows = math.ceil(count / columns)
    sizes = np.abs(images[images != 0])
    largest = float(np.quantile(sizes, 1 - CLIPPED, method="higher")) if sizes.size else 1.0
    figure = new_figure(
        max(INCHES * columns + 1.6, 0.135 * len(title)), INCHES * rows * height / width + 0.2 + 0.5 * bool(title), title
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        panel.grid(visible=False)
        panel.spines[:].set(visible=True, color=LIGHT_GREY)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel, image in zip(panels, images, strict=False):
        drawn = panel.imshow(image, cmap=SIGNED, norm=Normalize(-largest, largest), interpolation="nearest")
    for panel, (row, column) in zip(panels, marks or (), strict=False):
        panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=BLACK, linewidth=2.0))
    beyond = "both" if sizes.size and sizes.max() > largest else "neither"
    figure.colorbar(drawn, ax=panels.tolist(), label=label, extend=beyond)
    return figure


@styled
def site_costs(costs: Sequence[tuple[str, ArrayLike]], *, title: str = "") -> Figure:
    """Draw how many nats each pixel costs, -log p(x_i | the pixels before it) on average, side by side on one scale.

    Args:
        costs: a label, such as the order that the pixels are visited in, and the costs, (H, W), for each panel.
        title: stands above the panels.

    Raises:
        ValueError: no panel, or costs of several sizes.

    Example:
        >>> figure = site_costs([("row by row", np.ones((2, 3)))])
        >>> figure.axes[0].get_title()
        'row by row'
    """
    arrays = [np.asarray(cost, dtype=np.float64) for _, cost in costs]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2:
        raise ValueError(f"site_costs: costs of shapes {sorted(shapes)}, expected one shape, (H, W)")
    figure = new_figure(max(4.0 * len(costs) + 1.4, 0.135 * len(title)), 4.4 + 0.5 * bool(title), title)
    panels = figure.subplots(1, len(costs), squeeze=False)[0]
    most = float(max(array.max() for array in arrays))
    for panel, (label, _), array in zip(panels, costs, arrays, strict=True):
        drawn = panel.imshow(array, cmap="viridis", norm=Normalize(0, most), interpolation="nearest")
        panel.set_title(label)
        panel.set(xticks=[], yticks=[])
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=panels.tolist(), label="nats per pixel", shrink=0.9)
    return figure
