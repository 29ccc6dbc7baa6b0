"""Pictures by which generated images are judged: against the training images, by two figures at once, and loss against loss."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minigen.plots.images import colours, mosaic
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


@styled
def nearest_training_images(
    samples: ArrayLike, nearest: ArrayLike, *, distances: Mapping[str, ArrayLike], title: str = ""
) -> Figure:
    """Draw samples above the training images nearest to them, and how far images are from the training images.

    Args:
        samples: (N, H, W, C), pixels in [0, 1].
        nearest: as many, the training image nearest to each.
        distances: to the nearest training image, (M,), of "samples" and of "test images", or of others by these labels.
        title: stands above all.

    Raises:
        ValueError: another shape, or not as many nearest images as samples.

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
    count, height, width, _ = above.shape
    pictures = 11.0 * 2 * height / (width * count)  # inches
    figure = new_figure(12.0, pictures + 4.0 + 0.5 * bool(title), title)
    images, histogram = figure.subplots(2, 1, height_ratios=(pictures, 3.4))
    mosaic(images, np.stack([above, below]))
    images.set_yticks([0.5, 1.5], ["samples", "nearest\ntraining"])
    images.tick_params(length=0)
    values = {label: np.asarray(part, dtype=np.float64) for label, part in distances.items()}
    together = np.concatenate(list(values.values()))
    low, high = float(together.min()), float(np.quantile(together, 0.995))
    edges = np.linspace(low, high, 41) if low < high else np.linspace(low - 0.5, low + 0.5, 41)
    for (label, part), colour in zip(values.items(), (GREEN, BLACK, PURPLE, ORANGE), strict=False):
        histogram.hist(
            np.minimum(part, edges[-1]), edges, density=True, histtype="stepfilled", color=colour, alpha=0.25
        )
        histogram.hist(np.minimum(part, edges[-1]), edges, density=True, histtype="step", color=colour, label=label)
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
    """Draw precision against recall while z is truncated at more and more.

    Args:
        thresholds: (T,), tau, rising.
        precision: (T,), at each.
        recall: (T,), at each.
        reference: precision and recall of real images against each other.
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
    axes.plot(varied, good, marker="o", label="generated, by the threshold $\\tau$", **FIXED["G"].keywords)
    for t, x, y in zip(tau, varied, good, strict=True):
        axes.annotate(f"{t:g}", (x, y), xytext=(7, 5), textcoords="offset points", fontsize=12)
    if reference is not None:
        axes.plot(
            reference[1], reference[0], marker="*", markersize=16, linestyle="none", color=BLACK, label="real images"
        )
    axes.set(
        xlabel="recall: share of real images among the generated",
        ylabel="precision: share of\ngenerated among the real",
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
        courses: by loss, for each seed the optimizer steps at which the distance was measured, and what it was.
        final: by the same losses, the distance at the end for each seed.
        floor: that of real images against each other.
        title: stands above the panels.

    Raises:
        ValueError: the losses differ.

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
            training.plot(
                np.asarray(steps), np.asarray(distances), color=colour, linewidth=1.5, label=loss if i == 0 else None
            )
        values = np.asarray(final[loss], dtype=np.float64)
        end.plot(values, np.full(len(values), place), "o", color=colour, markersize=9, alpha=0.7)
        end.plot(values.mean(), place, "|", color=colour, markersize=26, markeredgewidth=2.5)
    for axes, line in ((training, training.axhline), (end, end.axvline)):
        line(floor, label="real images" if axes is end else None, **FIXED["exact"].keywords)
    training.set(yscale="log", xlabel="optimizer steps of both players", ylabel="Fréchet distance")
    end.set(xlabel="Fréchet distance at the end", ylim=(len(final) - 0.5, -0.5))
    end.set_xlim(left=0)
    end.set_yticks(range(len(final)), list(final))
    end.grid(axis="y", visible=False)
    training.legend(loc="upper right", fontsize=12)
    end.legend(loc="lower right", fontsize=12)
    return figure
