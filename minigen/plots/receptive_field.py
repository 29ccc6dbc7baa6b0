"""The picture of what a conditional sees: which pixels come into the prediction of one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLACK, BLUE, LIGHT_GREY, ORANGE, SKY, new_figure, styled

SEEN = LinearSegmentedColormap.from_list("seen", [SKY, BLUE])
DECADES = 5.0  # powers of ten below the largest dependence, where the scale of colours ends


@styled
def receptive_field(fields: Sequence[tuple[str, ArrayLike]], *, pixel: tuple[int, int], title: str = "") -> Figure:
    """Draw for each of several models which pixels the prediction of one pixel depends on.

    Blue pixels are seen, the darker the more they say, on a scale of powers of ten. Orange ones come before the pixel, and yet the model
    does not see them: its blind spot, or what is too far away for it. Grey ones come later: to see one of those would be a mistake, which
    the picture shows in blue as well.

    Args:
        fields: a label for each model, and how much the pixel's prediction depends on each pixel, (H, W), such as `dependence` of an
            autoregressive model, summed over colours; 0 where it does not.
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
    legend_columns = 4 if len(arrays) > 1 else 2
    above, below = 0.5 + 0.5 * bool(title), 0.3 + 1.4 / legend_columns  # inches beside the panels
    figure = new_figure(0.3 + 4.8 * len(arrays), 4.8 * height / width + above + below, title)
    panels = np.atleast_1d(figure.subplots(1, len(arrays)))
    for axes, (label, field) in zip(panels, arrays, strict=True):
        _draw(axes, field, pixel)
        before = _before(pixel, (height, width))
        axes.set_title(f"{label}: sees {np.count_nonzero(field[before])} of {np.count_nonzero(before)}")
    meanings = {"predicted": BLACK, "seen": BLUE, "before, not seen": ORANGE, "later": LIGHT_GREY}
    handles = [Patch(facecolor=colour, label=meaning) for meaning, colour in meanings.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    return figure


def _before(pixel: tuple[int, int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels come before one, row by row and from left to right, (H, W)."""
    return np.arange(size[0] * size[1]).reshape(size) < pixel[0] * size[1] + pixel[1]


def _draw(axes: Axes, field: NDArray[np.float64], pixel: tuple[int, int]) -> None:
    """Draw one field."""
    seen = field > 0
    seen[pixel] = False
    colours = np.empty((*field.shape, 4))
    colours[:] = Patch(facecolor=LIGHT_GREY).get_facecolor()
    colours[_before(pixel, field.shape)] = Patch(facecolor=ORANGE).get_facecolor()
    if seen.any():
        strength = 1 + np.log10(field[seen] / field[seen].max()) / DECADES  # 1 for the largest
        colours[seen] = SEEN(np.clip(strength, 0.0, 1.0))
    colours[pixel] = Patch(facecolor=BLACK).get_facecolor()
    axes.imshow(colours)
    for row, column in np.ndindex(field.shape):
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=1))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
