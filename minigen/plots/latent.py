"""Pictures of a latent space: which image each code gives, where the classes lie, which latents are in use, and sums of codes."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from minigen.plots.images import colours, mosaic, sheet
from minigen.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    legend_above,
    new_figure,
    styled,
)

CLASS_COLORS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK, "#E8E020", GREY, "#7A1F3D")
"""Of ten classes: Okabe & Ito's, their yellow a little stronger, and wine; next to each other in number, they are far apart in colour."""


@styled
def latent_manifold(images: ArrayLike, *, values: ArrayLike, title: str = "") -> Figure:
    r"""Draw what a decoder makes of a lattice of codes (z_1, z_2): Kingma & Welling 2014, figure 4.

    With the quantiles of the prior as values, each image stands for an equal share of what the model draws.

    Args:
        images: (R, R, H, W, C); images[i, j] belongs to z_2 = values[i] and z_1 = values[j].
        values: (R,), rising; z_1 goes to the right, z_2 upwards.
        title: stands above the lattice.

    Raises:
        ValueError: shapes differ.

    Example:
        >>> figure = latent_manifold(np.zeros((3, 3, 8, 8, 1)), values=[-1, 0, 1])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]  # from above
        ['1.0', '0.0', '-1.0']
    """
    array, values = np.asarray(images, dtype=np.float64), np.asarray(values, dtype=np.float64)
    count = values.size
    if array.ndim != 5 or array.shape[:2] != (count, count) or values.shape != (count,):
        raise ValueError(
            f"latent_manifold: images have shape {array.shape}, expected (R, R, H, W, C) with R = {count}, as many as values"
        )
    cells = colours("latent_manifold: images", array[::-1].reshape(-1, *array.shape[2:]))
    figure = sheet(count, count, array.shape[2:4], title=title, beside=1.0, above=0.9, widest=8.0)
    axes = figure.subplots()
    mosaic(axes, cells.reshape(count, count, *cells.shape[1:]))
    shown = np.linspace(0, count - 1, min(count, 6 + count % 2)).round().astype(int)  # alike on both sides
    axes.set_xticks(shown + 0.5, [f"{values[i]:.1f}" for i in shown])
    axes.set_yticks(count - shown[::-1] - 0.5, [f"{values[i]:.1f}" for i in shown[::-1]])
    axes.set(xlabel="$z_1$", ylabel="$z_2$")
    return figure


class Codes(NamedTuple):
    """Codes of two numbers, and the normal distribution that new ones are drawn from.

    Attributes:
        z: (N, 2).
        mean: (2,), of the distribution.
        covariance: (2, 2).
    """

    z: ArrayLike
    mean: ArrayLike
    covariance: ArrayLike


@styled
def latent_codes(codes: Mapping[str, Codes], *, labels: ArrayLike, classes: Sequence[str], title: str = "") -> Figure:
    """Draw the codes of images, coloured by class, a panel for each model; dashed, what holds 95 % of the codes that new images come from.

    Empty places inside the dashed line are holes: codes that are drawn, and that no image has.

    Args:
        codes: by the model's label, of the same images.
        labels: (N,), indices into `classes`.
        classes: their names, at most ten. Names of one letter also stand amidst their codes.
        title: stands above the panels.

    Raises:
        ValueError: shapes differ, or too many classes.

    Example:
        >>> z = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> figure = latent_codes({"VAE": Codes(z, np.zeros(2), np.eye(2))}, labels=[0, 1], classes="ab")
        >>> figure.axes[0].get_title()
        'VAE'
    """
    labels = np.asarray(labels, dtype=np.int64)
    if len(classes) > len(CLASS_COLORS):
        raise ValueError(f"latent_codes: {len(classes)} classes, but there are {len(CLASS_COLORS)} colours")
    figure = new_figure(6.2 * len(codes) + 1.2, 6.4, title)
    for axes, (label, (z, mean, covariance)) in zip(
        figure.subplots(1, len(codes), squeeze=False)[0], codes.items(), strict=True
    ):
        z = np.asarray(z, dtype=np.float64)
        if z.shape != (*labels.shape, 2):
            raise ValueError(f"latent_codes: the codes of {label!r} have shape {z.shape}, expected ({labels.size}, 2)")
        for k, (name, color) in enumerate(zip(classes, CLASS_COLORS, strict=False)):
            own = z[labels == k]
            axes.scatter(*own.T, s=max(4, 60 / math.sqrt(1 + len(own) / 20)), color=color, linewidths=0, label=name)
            if len(own) and len(name) == 1:
                axes.annotate(
                    name, np.median(own, axis=0), ha="center", va="center", fontsize=22, fontweight="bold",
                    path_effects=[withStroke(linewidth=4, foreground="white")],
                )  # fmt: skip
        axes.add_patch(_share(np.asarray(mean), np.asarray(covariance), 0.95))
        axes.set(xlabel="$z_1$", ylabel="$z_2$", title=label, aspect="equal", adjustable="datalim")
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", markerscale=3 if len(labels) > 200 else 1, handletextpad=0.1)
    return figure


def _share(mean: NDArray, covariance: NDArray, share: float) -> Ellipse:
    """Return the ellipse that holds a share of a normal distribution in the plane, P(|e| < r) = 1 - exp(-r^2 / 2)."""
    radius = math.sqrt(-2 * math.log(1 - share))
    variances, directions = np.linalg.eigh(covariance)
    width, height = 2 * radius * np.sqrt(np.maximum(variances, 0.0))  # those of a line are 0, but for rounding
    angle = math.degrees(math.atan2(directions[1, 0], directions[0, 0]))
    centre = (mean[0], mean[1])
    return Ellipse(centre, width, height, angle=angle, fill=False, linewidth=2, linestyle="--", edgecolor=BLACK)


@styled
def vector_arithmetic(
    terms: Sequence[tuple[str, str, ArrayLike]], *, result: tuple[str, ArrayLike], title: str = ""
) -> Figure:
    """Draw sums of codes as images: each row a sum, a column for each term and one for the result.

    Args:
        terms: of each its sign, "", "-" or "+", its name, and its images, (N, H, W, C), one for each row.
        result: its name and its images.
        title: stands above the rows.

    Raises:
        ValueError: another shape, or numbers of images that differ.

    Example:
        >>> image = np.zeros((2, 8, 8, 1))
        >>> terms = [("", "a", image), ("-", "b", image), ("+", "c", image)]
        >>> figure = vector_arithmetic(terms, result=("d", image))
        >>> [panel.get_title() for panel in figure.axes]
        ['a', '$-$ b', '$+$ c', '$=$ d']
    """
    columns = [*terms, ("=", *result)]
    drawn = [colours(f"vector_arithmetic: {name!r}", images) for _, name, images in columns]
    if len({images.shape for images in drawn}) != 1:
        raise ValueError(
            f"vector_arithmetic: images of shapes {[images.shape for images in drawn]}; expected one shape"
        )
    rows, height, width, _ = drawn[0].shape
    wide = max(1.4, *(0.13 * (len(name) + 4) for _, name, _ in columns))
    figure = new_figure(
        max(wide * len(columns), 0.135 * len(title)), 1.2 * rows * height / width + 0.5 + 0.5 * bool(title), title
    )
    for panel, images, (sign, name, _) in zip(figure.subplots(1, len(columns)), drawn, columns, strict=True):
        mosaic(panel, images[:, None])
        panel.set_title(f"${sign}$ {name}" if sign else name)
    return figure


@styled
def unit_divergences(divergences: ArrayLike, *, active: ArrayLike, title: str = "") -> Figure:
    """Draw how much each latent tells of an image, the most telling first.

    Args:
        divergences: (d,), the mean KL(q(z_j|x) || p(z_j)) of each latent, in nats.
        active: (d,), bool, whether a latent's posterior mean moves with the image.
        title: stands above the bars.

    Raises:
        ValueError: shapes differ.

    Example:
        >>> figure = unit_divergences([0.1, 2.0], active=[False, True])
        >>> [round(float(bar.get_height()), 1) for bar in figure.axes[0].patches]
        [2.0, 0.1]
    """
    divergences, active = np.asarray(divergences, dtype=np.float64), np.asarray(active, dtype=bool)
    if divergences.ndim != 1 or active.shape != divergences.shape:
        raise ValueError(
            f"unit_divergences: divergences are {divergences.shape}, active {active.shape}; expected (d,) each"
        )
    order = np.argsort(-divergences, kind="stable")
    figure = new_figure(10.0, 4.2, title)
    axes = figure.subplots()
    for name, color, chosen in (("active", BLUE, active[order]), ("not active", LIGHT_GREY, ~active[order])):
        places = np.flatnonzero(chosen)
        if len(places):
            axes.bar(places + 1, divergences[order][places], color=color, label=f"{len(places)} {name}")
    axes.set(xlabel="latent, sorted", ylabel="KL (nats)", xlim=(0.4, len(order) + 0.6))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(visible=False, axis="x")
    legend_above(axes)
    return figure
