"""Pictures of a classifier of images: what its first layer looks for, which classes it takes for which, and where it is most wrong."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLUE, GREY, LIGHT_GREY, VERMILLION, new_figure, styled

INK = "gray_r"  # of images: 0 is paper, the largest value is ink
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", VERMILLION])  # below 0, 0, above 0


@styled
def filters_and_maps(image: ArrayLike, *, filters: ArrayLike, maps: ArrayLike, title: str = "") -> Figure:
    """Draw an image, the filters of a first convolution, and what each filter makes of the image, in the same places.

    Args:
        image: (H, W).
        filters: (kh, kw, K), the weights, for one channel of the image.
        maps: (P, Q, K), the layer's output, not negative.
        title: stands above the panels.

    Raises:
        ValueError: a shape is another, or there are not as many maps as filters.

    Example:
        >>> edges = np.stack([np.eye(3), -np.eye(3)], axis=2)
        >>> figure = filters_and_maps(np.eye(8), filters=edges, maps=np.ones((8, 8, 2)))
        >>> [panel.get_title() for panel in figure.axes[:3]]
        ['image', '2 filters', 'their feature maps']
    """
    image, filters, maps = (np.asarray(array, dtype=np.float64) for array in (image, filters, maps))
    if (image.ndim, filters.ndim, maps.ndim) != (2, 3, 3) or filters.shape[2] != maps.shape[2]:
        raise ValueError(
            f"filters_and_maps: image (H, W) is {image.shape}, filters (kh, kw, K) are {filters.shape}, maps (P, Q, K) are {maps.shape}"
        )
    figure = new_figure(14.5, 5.0, title)
    original, weights, seen = figure.subplots(1, 3, width_ratios=(0.7, 1, 1))
    original.imshow(image, cmap=INK)
    original.set_title("image")

    largest = float(np.abs(filters).max())
    drawn = _tiles(weights, filters, cmap=SIGNED, norm=Normalize(-largest, largest))
    weights.set_title(f"{filters.shape[2]} filters")
    figure.colorbar(drawn, ax=weights, label="weight", shrink=0.8)

    drawn = _tiles(seen, maps, cmap="viridis", norm=Normalize(0, float(maps.max())))
    seen.set_title("their feature maps")
    figure.colorbar(drawn, ax=seen, label="output of the layer", shrink=0.8)
    for panel in (original, weights, seen):
        _bare(panel)
    for panel in (weights, seen):
        panel.spines[:].set_visible(False)
    return figure


def _tiles(axes: Axes, tiles: NDArray[np.float64], *, cmap: str | Colormap, norm: Normalize) -> AxesImage:
    """Draw tiles (h, w, K) row by row, each framed, a unit wide; return the last, for the bar of colours."""
    height, width, count = tiles.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tall, step = height / width, 1.12
    for k in range(count):
        left, top = step * (k % columns), step * tall * (k // columns)
        extent = (left, left + 1, top + tall, top)
        drawn = axes.imshow(tiles[..., k], extent=extent, cmap=cmap, norm=norm)
        axes.add_patch(Rectangle((left, top), 1, tall, fill=False, edgecolor=GREY))
    axes.set(xlim=(-0.06, step * columns - 0.06), ylim=(tall * (step * rows - 0.06), -0.06 * tall), aspect="equal")
    return drawn


@styled
def confusion_matrix(counts: ArrayLike, *, classes: Sequence[str], title: str = "") -> Figure:
    """Draw how many images of each class a classifier took for each class: right ones blue, mistakes red, darker for more.

    Args:
        counts: (K, K), whole numbers; the row is the true class, the column the predicted one.
        classes: the K names, short.
        title: stands above the matrix.

    Raises:
        ValueError: the counts have another shape.

    Example:
        >>> figure = confusion_matrix([[9, 1], [0, 20]], classes="ab")
        >>> (shares,) = figure.axes[0].child_axes
        >>> [label.get_text() for label in shares.get_yticklabels()]
        ['90.0 %', '100.0 %']
    """
    counts = np.asarray(counts, dtype=np.int64)
    k = len(classes)
    if counts.shape != (k, k):
        raise ValueError(f"confusion_matrix: counts have shape {counts.shape}, expected ({k}, {k}) for {k} classes")
    totals = counts.sum(axis=1)
    right = np.eye(k, dtype=bool)
    most_mistaken = max(1, int(counts[~right].max(initial=0)))

    figure = new_figure(9.0, 8.0, title)
    axes = figure.subplots()
    for i, j in np.argwhere(counts):
        color, share = (BLUE, 0.5) if i == j else (VERMILLION, 0.25 + 0.6 * counts[i, j] / most_mistaken)
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=color, alpha=share, linewidth=0))
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=15)
    for edge in range(1, k):
        axes.axhline(edge - 0.5, color=LIGHT_GREY, linewidth=1)
        axes.axvline(edge - 0.5, color=LIGHT_GREY, linewidth=1)
    axes.set(
        xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), aspect="equal", xlabel="predicted class", ylabel="true class",
        xticks=range(k), xticklabels=classes, yticks=range(k), yticklabels=classes,
    )  # fmt: skip
    shares = axes.secondary_yaxis("right")
    said = [f"{100 * own / n:.1f} %" if n else "no image" for own, n in zip(counts[right], totals, strict=True)]
    shares.set_yticks(range(k), said)
    shares.set_ylabel("share of the class that is recognised")
    for panel in (axes, shares):
        panel.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    return figure


@styled
def worst_mistakes(
    images: ArrayLike,
    *,
    labels: ArrayLike,
    log_probabilities: ArrayLike,
    classes: Sequence[str],
    count: int = 12,
    title: str = "",
) -> Figure:
    """Draw the misclassified images whose true class was given the least probability, the worst first.

    Above each stands in red the class that was predicted, below it the true one, with their probabilities.

    Args:
        images: (N, H, W).
        labels: (N,), the true classes.
        log_probabilities: (N, K), what the classifier gives each class.
        classes: the K names.
        count: how many at most.
        title: stands above the images.

    Raises:
        ValueError: the lengths differ.

    Example:
        >>> log_p = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
        >>> figure = worst_mistakes(np.ones((3, 8, 8)), labels=[0, 0, 0], log_probabilities=log_p, classes="ab")
        >>> [panel.get_title() for panel in figure.axes]
        ['b (80 %)', 'b (70 %)']
        >>> [panel.get_xlabel() for panel in figure.axes]
        ['true: a (20 %)', 'true: a (30 %)']
    """
    images, log_p = np.asarray(images, dtype=np.float64), np.asarray(log_probabilities, dtype=np.float64)
    labels = np.asarray(labels, dtype=np.int64)
    if images.ndim != 3 or labels.shape != (len(images),) or log_p.shape != (len(images), len(classes)):
        raise ValueError(
            f"worst_mistakes: images (N, H, W) are {images.shape}, labels (N,) {labels.shape}, log_probabilities (N, K) {log_p.shape}, and "
            f"there are {len(classes)} classes"
        )
    predicted = log_p.argmax(axis=1)
    mistakes = np.flatnonzero(predicted != labels)
    worst = mistakes[np.argsort(log_p[mistakes, labels[mistakes]], kind="stable")][:count]
    columns = min(6, max(4, len(worst)))
    rows = max(1, math.ceil(len(worst) / columns))
    figure = new_figure(2.3 * columns, 2.9 * rows + 0.6, title)
    if not len(worst):
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center", fontsize=20)
        return figure
    for position, n in enumerate(worst):
        panel = figure.add_subplot(rows, columns, position + 1)
        panel.imshow(images[n], cmap=INK)
        _bare(panel)
        panel.set_title(_said(classes, predicted[n], log_p[n]), color=VERMILLION, fontweight="bold")
        panel.set_xlabel(f"true: {_said(classes, labels[n], log_p[n])}")
    return figure


def _said(classes: Sequence[str], k: int, log_p: NDArray[np.float64]) -> str:
    """Return a class with its probability, never rounded to 0 or to certainty."""
    percent = 100 * math.exp(log_p[k])
    if percent < 1:
        return f"{classes[k]} (<1 %)"
    return f"{classes[k]} (>99 %)" if percent > 99 else f"{classes[k]} ({percent:.0f} %)"


def _bare(axes: Axes) -> None:
    """Take ticks and grid from an image, and frame it."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
