"""Pictures by which generated images are judged: against the training images, by two figures at once, and loss against loss."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from minigen.plots.images import INCHES, colours, mosaic
from minigen.plots.style import (
    BLACK,
    BLUE,
    FIXED,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    curve,
    legend_above,
    new_figure,
    styled,
)

COLOURS = (PURPLE, ORANGE, SKY, GREEN, VERMILLION, BLUE, GREY)
BINS = 40
"""Of the histograms, from the least distance to the greatest."""


@styled
def nearest_training_images(
    samples: ArrayLike, nearest: ArrayLike, *, distances: Mapping[str, ArrayLike], title: str = ""
) -> Figure:
    """Draw samples above the training images nearest to them, and how far images are from the training images.

    Args:
        samples: (N, H, W, C), pixels in [0, 1].
        nearest: as many, the training image nearest to each.
        distances: by label, such as "samples" and "test images", the distance of each image to the nearest training image, (M,). The first
            are drawn as an area, the others as outlines in front of it.
        title: stands above all.

    Raises:
        ValueError: another shape, not as many nearest images as samples, or labels without distances.

    Example:
        >>> digits = np.zeros((6, 8, 8, 1))
        >>> figure = nearest_training_images(digits, digits, distances={"samples": [1.0, 2.0], "test images": [1.5, 3.0]})
        >>> figure.axes[1].get_xlabel()
        'distance to the nearest training image'
    """
    above, below = (
        colours(f"nearest_training_images: {name}", images)
        for name, images in (("samples", samples), ("nearest", nearest))
    )
    if above.shape != below.shape:
        raise ValueError(
            f"nearest_training_images: samples are {np.shape(samples)}, their nearest images {np.shape(nearest)}; expected one shape"
        )
    values = {label: np.asarray(part, dtype=np.float64).reshape(-1) for label, part in distances.items()}
    if not values or not all(part.size for part in values.values()):
        sizes = {label: part.size for label, part in values.items()}
        raise ValueError(
            f"nearest_training_images: numbers of distances {sizes}; expected labels, each with at least one"
        )
    count, height, width, _ = above.shape
    pictures = 2 * min(11.0 / count, 2 * INCHES) * height / width  # inches
    figure = new_figure(12.0, pictures + 4.0 + 0.5 * bool(title), title)
    images, histogram = figure.subplots(2, 1, height_ratios=(pictures, 3.4))
    mosaic(images, np.stack([above, below]))
    images.set_yticks([0.5, 1.5], ["samples", "nearest\ntraining"])
    together = np.concatenate(list(values.values()))
    edges = np.histogram_bin_edges(together, BINS)
    for i, (label, part) in enumerate(values.items()):
        # What is judged is an area, what it is compared with are outlines, which stay in sight in front of it.
        form, colour = ("stepfilled", (GREEN, 0.4)) if i == 0 else ("step", (BLACK, PURPLE, ORANGE)[(i - 1) % 3])
        histogram.hist(part, edges, density=True, histtype=form, color=colour, linewidth=2.0, label=label)
    histogram.set(xlabel="distance to the nearest training image", ylabel="density")
    legend_above(histogram)
    return figure


@styled
def fidelity_and_variety(
    thresholds: ArrayLike,
    *,
    precision: ArrayLike,
    recall: ArrayLike,
    reference: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw what is lost in variety for what is gained in fidelity when z is truncated: precision against recall.

    Each number of z is drawn from [-tau, tau] only (Brock, Donahue & Simonyan 2019, section 3.1). Precision is the share of generated
    images that lie among real ones, recall the share of real images that lie among generated ones (Kynkäänniemi et al. 2019).

    Args:
        thresholds: (T,), tau, in rising or falling order: a line joins the points.
        precision: (T,), at each threshold.
        recall: (T,), at each threshold.
        reference: precision and recall of real images compared with others, which a perfect generator would reach.
        title: stands above the panel.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> figure = fidelity_and_variety([0.5, 1.0], precision=[0.9, 0.8], recall=[0.1, 0.6], reference=(0.85, 0.85))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.5', '1']
    """
    tau = np.asarray(thresholds, dtype=np.float64)
    good, varied = (
        curve(f"fidelity_and_variety: {name}", values, tau.size)
        for name, values in (("precision", precision), ("recall", recall))
    )
    figure = new_figure(max(7.5, 0.135 * len(title)), 6.0, title)
    axes = figure.subplots()
    axes.plot(varied, good, marker="o", label=r"generated, by the threshold $\tau$", **FIXED["G"].keywords)
    written: list[tuple[float, float]] = []
    for t, x, y in zip(tau, varied, good, strict=True):
        is_free = all(abs(x - other) > 0.06 or abs(y - above) > 0.04 for other, above in written)
        if is_free:
            written.append((x, y))
        place, side = ((6, 6), "left") if is_free else ((-6, -16), "right")
        axes.annotate(f"{t:g}", (x, y), xytext=place, textcoords="offset points", ha=side, fontsize=12)
    if reference is not None:
        axes.plot(
            reference[1], reference[0], label="real images", color=BLACK, marker="*", markersize=16, linestyle="none"
        )
    axes.set(
        xlabel="recall: share of real images among generated ones",
        ylabel="precision: share of generated\nimages among real ones",
    )
    axes.set(xlim=(-0.02, 1.05), ylim=(-0.02, 1.05))
    legend_above(axes)
    return figure


@styled
def loss_comparison(
    courses: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]],
    *,
    final: Mapping[str, Sequence[float]],
    floor: float,
    title: str = "",
) -> Figure:
    """Draw the Fréchet distances of models that learn with several losses: in the course of training, and at its end for every seed.

    Args:
        courses: by loss, for each seed the optimizer steps at which the distance was measured, (T,), and what it was, (T,).
        final: by the same losses, the distance at the end for each seed. A bar stands at their mean.
        floor: the distance of real images from other real ones, which a perfect generator would reach.
        title: stands above the panels.

    Raises:
        ValueError: the losses differ, or the lengths of steps and distances.

    Example:
        >>> course = ([0, 100], [50.0, 5.0])
        >>> figure = loss_comparison({"hinge": [course, course]}, final={"hinge": [4.0, 5.0]}, floor=2.0)
        >>> [panel.get_xlabel() for panel in figure.axes]
        ['optimizer steps of both players', 'Fréchet distance at the end']
    """
    if list(courses) != list(final):
        raise ValueError(
            f"loss_comparison: courses of {list(courses)}, final distances of {list(final)}; expected the same losses"
        )
    figure = new_figure(14.0, max(5.0, 1.5 + 0.55 * len(final)) + 0.5 * bool(title), title)
    training, end = figure.subplots(1, 2, width_ratios=(1.2, 1))
    for place, (loss, runs) in enumerate(courses.items()):
        colour = COLOURS[place % len(COLOURS)]
        for i, (steps, distances) in enumerate(runs):
            course = curve(f"loss_comparison: courses[{loss!r}][{i}]", distances, np.size(steps))
            training.plot(np.asarray(steps), course, color=colour, linewidth=1.5, label=None if i else loss)
        values = np.asarray(final[loss], dtype=np.float64)
        end.plot(values, np.full(len(values), place), "o", color=colour, markersize=9, alpha=0.7)
        end.plot(values.mean(), place, "|", color=colour, markersize=26, markeredgewidth=2.5)
    training.axhline(floor, label="real images", **FIXED["exact"].keywords)
    end.axvline(floor, **FIXED["exact"].keywords)
    training.set(yscale="log", xlabel="optimizer steps of both players", ylabel="Fréchet distance")
    end.set(xscale="log", xlabel="Fréchet distance at the end", ylim=(len(final) - 0.5, -0.5))
    for axis in (training.yaxis, end.xaxis):
        axis.set(
            major_locator=LogLocator(subs=(1.0, 2.0, 5.0)),
            major_formatter=FuncFormatter(lambda value, position: f"{value:g}"),
            minor_locator=NullLocator(),
        )
    end.set_yticks(range(len(final)), list(final))
    end.grid(axis="y", visible=False)
    handles, labels = training.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure
