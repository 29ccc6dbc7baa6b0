"""Pictures of autoencoders: the surface that codes of two numbers reach, errors against known ones, what a distance of pixels sees, and
what the units of the first layer look for."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from minigen.plots.classifier import INK
from minigen.plots.images import image_rows
from minigen.plots.style import BLACK, BLUE, FIXED, FREE, VERMILLION, curve, legend_above, new_figure, styled


@styled
def fitted_surfaces(points: ArrayLike, *, surfaces: Mapping[str, ArrayLike], title: str = "") -> Figure:
    """Draw points in space, and over them each surface that was fitted to them.

    Args:
        points: (N, 3); their colour goes along the third axis.
        surfaces: by label, a surface's points, (R, S, 3), whose lines R and S are drawn as a net.
        title: stands above the panels.

    Raises:
        ValueError: another shape.

    Example:
        >>> u, v = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(0, 1, 4))
        >>> figure = fitted_surfaces(np.eye(3), surfaces={"plane": np.stack([u, v, u], axis=-1)})
        >>> [panel.get_title() for panel in figure.axes]
        ['plane']
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"fitted_surfaces: points have shape {points.shape}, expected (N, 3)")
    figure = new_figure(5.6 * len(surfaces), 5.6, title)
    for i, (label, surface) in enumerate(surfaces.items()):
        surface = np.asarray(surface, dtype=np.float64)
        if surface.ndim != 3 or surface.shape[2] != 3:
            raise ValueError(f"fitted_surfaces: {label!r} has shape {surface.shape}, expected (R, S, 3)")
        panel = figure.add_subplot(1, len(surfaces), i + 1, projection="3d")
        panel.scatter(*points.T, c=points[:, 2], cmap="viridis", s=9, alpha=0.6, linewidths=0)
        panel.plot_wireframe(*np.moveaxis(surface, 2, 0), color=VERMILLION, linewidth=1.0, rcount=40, ccount=40)
        panel.set(title=label, xlabel="$x_1$", ylabel="$x_2$", zlabel="$x_3$")
        panel.view_init(elev=18, azim=-62)
        # Both panels show the same box, whatever a surface reaches beyond the points.
        low, high = points.min(axis=0), points.max(axis=0)
        for axis, least, greatest in zip("xyz", low, high, strict=True):
            margin = 0.15 * (greatest - least)
            getattr(panel, f"set_{axis}lim")(least - margin, greatest + margin)
            getattr(panel, f"{axis}axis").set_major_locator(MaxNLocator(4))
    return figure


@styled
def error_curves(
    steps: ArrayLike,
    *,
    errors: Mapping[str, ArrayLike],
    exact: Mapping[str, float] | None = None,
    label: str = "squared error per image",
    title: str = "",
) -> Figure:
    """Draw errors in the course of a training, beside values that are known.

    Args:
        steps: (T,), the training steps.
        errors: (T,) each, above 0, by label.
        exact: known values, by label.
        label: of the vertical axis, which is logarithmic.
        title: stands above the panel.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> figure = error_curves([0, 10, 20], errors={"linear": [9.0, 5.0, 4.1]}, exact={"PCA": 4.0})
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['linear', 'PCA: 4']
    """
    steps = np.asarray(steps)
    figure = new_figure(8.5, 5.2, title)
    axes = figure.subplots()
    for (name, values), line in zip(errors.items(), FREE, strict=False):
        axes.plot(steps, curve(f"error_curves: errors[{name!r}]", values, steps.size), label=name, **line.keywords)
    for name, value in (exact or {}).items():
        axes.axhline(value, label=f"{name}: {value:.4g}", **FIXED["exact"].keywords)
    axes.set(yscale="log", xlabel="training step", ylabel=label)
    legend_above(axes)
    return figure


@styled
def pixel_distances(
    images: Sequence[tuple[str, ArrayLike]],
    *,
    shifts: ArrayLike,
    distances: ArrayLike,
    levels: Mapping[str, float],
    title: str = "",
) -> Figure:
    """Draw an image, others with their squared distance to it, and the distance to itself when shifted.

    Args:
        images: a caption and an image, (H, W), each; the first is the one that distances are taken to.
        shifts: (S,), in pixels.
        distances: (S,), the mean squared distance of an image to itself shifted.
        levels: other mean squared distances, by label, drawn as level lines.
        title: stands above the panels.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> three, eight = np.zeros((8, 8)), np.ones((8, 8))
        >>> figure = pixel_distances([("3", three), ("8", eight)], shifts=[0, 1], distances=[0, 7], levels={"another": 5.0})
        >>> [round(float(text), 1) for text in (panel.get_xlabel().split("= ")[1] for panel in figure.axes[1:2])]
        [64.0]
    """
    pictures = [(caption, np.asarray(image, dtype=np.float64)) for caption, image in images]
    shifts = np.asarray(shifts)
    figure = new_figure(max(9.0, 2.6 * len(pictures)), 7.4, title)
    places = figure.add_gridspec(2, len(pictures), height_ratios=(1, 1.25))
    first = pictures[0][1]
    for i, (caption, image) in enumerate(pictures):
        panel = figure.add_subplot(places[0, i])
        panel.imshow(image, cmap=INK, vmin=0, vmax=1)
        panel.set(title=caption, xticks=[], yticks=[])
        panel.grid(visible=False)
        panel.spines[:].set_visible(True)
        if image is not first:
            panel.set_xlabel(f"$|x - x'|^2$ = {((image - first) ** 2).sum():.1f}", fontsize=16)
    axes = figure.add_subplot(places[1, :])
    axes.plot(
        shifts,
        curve("pixel_distances: distances", distances, shifts.size),
        color=BLUE,
        marker="o",
        label="itself, shifted",
    )
    for (label, level), linestyle in zip(levels.items(), ("--", ":", "-."), strict=False):
        axes.axhline(level, color=BLACK, linestyle=linestyle, label=f"{label}: {level:.1f}")
    axes.set(xlabel="shift (pixels)", ylabel="mean squared distance", xticks=shifts, ylim=(0, None))
    legend_above(axes)
    return figure


def strongest_units(
    weights: Mapping[str, ArrayLike], *, size: tuple[int, int, int], most: int = 12, title: str = ""
) -> Figure:
    """Draw the weights of the units that have the largest ones, each as an image in which grey is 0.

    Args:
        weights: of a layer that sees all pixels, (H W C, units), by the label of their row.
        size: (H, W, C) of an image.
        most: units in a row, beginning with the one whose weights have the largest sum of squares.
        title: stands above the rows.

    Raises:
        ValueError: weights that are not for images of that size.

    Example:
        >>> figure = strongest_units({"masking": np.eye(64), "block": np.eye(64)[:, :3]}, size=(8, 8, 1))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['masking', 'block']
    """
    rows = []
    for label, matrix in weights.items():
        by_unit = np.asarray(matrix).T  # (units, pixels)
        if by_unit.ndim != 2 or by_unit.shape[1] != math.prod(size):
            raise ValueError(
                f"strongest_units: {label!r} has shape {by_unit.T.shape}, expected ({math.prod(size)}, units)"
            )
        chosen = by_unit[np.argsort(-(by_unit**2).sum(axis=1))[:most]]
        largest = np.abs(chosen).max(axis=1, keepdims=True)
        scaled = 0.5 + 0.5 * chosen / np.where(largest == 0, 1, largest)
        rows.append((label, scaled.reshape(len(chosen), *size)))
    return image_rows(rows, title=title)
