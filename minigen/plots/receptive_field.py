"""The picture of what a conditional sees: which pixels come into the prediction of one."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLACK, BLUE, LIGHT_GREY, ORANGE, SKY, VERMILLION, new_figure, styled

SEEN = LinearSegmentedColormap.from_list("seen", [SKY, BLUE])
DECADES = 5.0  # powers of ten below the largest dependence, where the scale of colours ends


@styled
def receptive_field(fields: Sequence[tuple[str, ArrayLike]], *, pixel: tuple[int, int], title: str = "") -> Figure:
    """Draw for each of several models which pixels the prediction of one pixel depends on.

    Blue pixels are seen, the darker the more they say, on a scale of powers of ten. Orange ones come before the pixel, and yet the model
    does not see them: its blind spot, or what is too far away for it. Grey ones come later, and the black one is the pixel itself: to see
    one of those would be a mistake, as of a mask B in the first layer, and makes it red; the pixel keeps a black frame.

    Args:
        fields: a label for each model, and how much the pixel's prediction depends on each pixel, (H, W), such as `dependence` of an
            autoregressive model, summed over colours; 0 where it does not. The prediction is that of the pixel's first colour: the others
            may see those before them in the pixel itself.
        pixel: (row, column) of the one that is predicted.
        title: stands above the panels.

    Raises:
        ValueError: no field, fields of several shapes, negative values, or a pixel outside.

    Example:
        >>> field = np.zeros((5, 5))
        >>> field[1, 1:4] = field[2, 1] = 1.0
        >>> figure = receptive_field([("one layer", field)], pixel=(2, 2))
        >>> figure.axes[0].get_title()
        'one layer: sees 4 of 12'
    """
    arrays = [(label, np.asarray(field, dtype=np.float64)) for label, field in fields]
    shapes = {field.shape for _, field in arrays}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2 or any((field < 0).any() for _, field in arrays):
        raise ValueError(
            f"receptive_field: fields have shapes {sorted(shapes)}; expected one shape (H, W) for all, and no negative values"
        )
    ((height, width),) = shapes
    if not (0 <= pixel[0] < height and 0 <= pixel[1] < width):
        raise ValueError(f"receptive_field: pixel {pixel} is outside of the fields, (H, W) = {(height, width)}")
    before = np.arange(height * width).reshape(height, width) < pixel[0] * width + pixel[1]
    meanings = {"predicted": BLACK, "seen": BLUE, "before, not seen": ORANGE, "later": LIGHT_GREY}
    if any(field[~before].any() for _, field in arrays):
        meanings["seen, not before"] = VERMILLION
    legend_columns = len(meanings) if len(arrays) > 1 else 2
    legend_rows = math.ceil(len(meanings) / legend_columns)
    above, below = 0.5 + 0.5 * bool(title), 0.3 + 0.35 * legend_rows  # inches beside the panels
    figure = new_figure(0.3 + 4.8 * len(arrays), 4.8 * height / width + above + below, title)
    panels = np.atleast_1d(figure.subplots(1, len(arrays)))
    for axes, (label, field) in zip(panels, arrays, strict=True):
        _draw(axes, field, before, pixel)
        axes.set_title(f"{label}: sees {np.count_nonzero(field[before])} of {np.count_nonzero(before)}")
    handles = [Patch(facecolor=colour, label=meaning) for meaning, colour in meanings.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    return figure


def _draw(axes: Axes, field: NDArray[np.float64], before: NDArray[np.bool_], pixel: tuple[int, int]) -> None:
    """Draw one field."""
    seen, mistaken = before & (field > 0), ~before & (field > 0)
    colours = np.empty((*field.shape, 4))
    colours[:] = to_rgba(LIGHT_GREY)
    colours[before] = to_rgba(ORANGE)
    if seen.any():
        strength = 1 + np.log10(field[seen] / field[seen].max()) / DECADES  # 1 for the largest
        colours[seen] = SEEN(np.clip(strength, 0.0, 1.0))
    colours[pixel] = to_rgba(BLACK)
    colours[mistaken] = to_rgba(VERMILLION)
    axes.imshow(colours)
    for row, column in np.ndindex(field.shape):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=1))
    row, column = pixel
    axes.add_patch(Rectangle((column - 0.4, row - 0.4), 0.8, 0.8, fill=False, edgecolor=BLACK, linewidth=4))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
