"""Pictures of learning as a game: the players' path around the equilibrium, and which modes of the data they find on the way."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from minigen.plots.style import BLACK, FIXED, GREEN, GREY, curve, new_figure, stroke, styled

ARROWS = 15
"""How many arrows of the vector field stand in a row."""


@styled
def game_trajectories(
    trajectories: Mapping[str, ArrayLike],
    *,
    field: Callable[[NDArray[np.float64]], ArrayLike],
    exact: Mapping[str, ArrayLike],
    limit: float,
    title: str = "",
) -> Figure:
    """Draw how two players, a number each, move around their equilibrium (0, 0), and how far from it they are.

    Args:
        trajectories: the points (x, y) after each step, from step 0 on, (T + 1, 2), by the label of the way to play.
        field: maps points, (M, 2), to the directions in which gradients send the players, (M, 2).
        exact: the distance that theory gives, (T + 1,), by the same labels. Drawn dashed.
        limit: the plane is drawn from -limit to limit; paths may leave it.
        title: stands above the panels.

    Raises:
        ValueError: labels or lengths differ.

    Example:
        >>> figure = game_trajectories(
        ...     {"simultaneous": [[1.0, 0.0], [1.0, 0.5]]},
        ...     field=lambda z: np.stack([-z[:, 1], z[:, 0]], axis=1), exact={"simultaneous": [1.0, 1.25**0.5]}, limit=2.0,
        ... )
        >>> [panel.get_xlabel() for panel in figure.axes]
        ['$x$, who minimises', 'step']
    """
    if list(trajectories) != list(exact):
        raise ValueError(
            f"game_trajectories: trajectories are of {list(trajectories)}, exact distances of {list(exact)}; "
            "expected the same labels in the same order"
        )
    figure = new_figure(12.0, 5.6, title)
    plane, distance = figure.subplots(1, 2)
    line = np.linspace(-limit, limit, ARROWS)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    arrows = np.asarray(field(points), dtype=np.float64)
    plane.quiver(*points.T, *arrows.T, color=GREY, alpha=0.5, width=0.004, pivot="middle", zorder=1)
    for i, (label, path) in enumerate(trajectories.items()):
        path = np.asarray(path, dtype=np.float64)
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"game_trajectories: trajectories[{label!r}] has shape {path.shape}, expected (T + 1, 2)")
        theory = curve(f"game_trajectories: exact[{label!r}]", exact[label], len(path))
        style = stroke(label, i).keywords
        plane.plot(*path.T, marker="o", markersize=3.5, linewidth=1.5, color=style["color"], label=label)
        distance.plot(np.hypot(*path.T), label=label, **style)
        distance.plot(
            theory, zorder=3, linewidth=1.5, label="exact" if i == len(exact) - 1 else None, color=BLACK, linestyle="--"
        )
    start = np.asarray(next(iter(trajectories.values())), dtype=np.float64)[0]
    plane.plot(*start, marker="o", markersize=10, color=BLACK, linestyle="", zorder=4)
    plane.annotate("start", start, xytext=(9, 9), textcoords="offset points", zorder=4)
    plane.plot(0, 0, marker="*", markersize=15, color=BLACK, linestyle="", zorder=4)
    plane.set(
        xlabel="$x$, who minimises",
        ylabel="$y$, who maximises",
        xlim=(-limit, limit),
        ylim=(-limit, limit),
        aspect="equal",
    )
    distance.set(yscale="log", xlabel="step", ylabel="distance to the equilibrium")
    distance.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    distance.yaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    distance.yaxis.set_minor_locator(NullLocator())
    _legend_below(figure)
    return figure


@styled
def sample_panels(
    samples: Mapping[str, Sequence[ArrayLike]],
    *,
    headings: Sequence[str],
    captions: Mapping[str, Sequence[str]],
    centres: ArrayLike,
    limits: tuple[float, float],
    title: str = "",
) -> Figure:
    """Draw samples in the plane over the training, a row for each method, with circles where the data's modes are.

    Args:
        samples: for each column an array (N, 2), by the row's label.
        headings: what stands above each column, such as the training step.
        captions: what stands below each panel, by the row's label.
        centres: (K, 2), the modes of the data.
        limits: (low, high) of the square that is drawn.
        title: stands above the panels.

    Raises:
        ValueError: numbers of panels or shapes differ.

    Example:
        >>> figure = sample_panels(
        ...     {"GAN": [np.zeros((5, 2)), np.ones((5, 2))]}, headings=["step 0", "step 100"],
        ...     captions={"GAN": ["1 mode", "no mode"]}, centres=[[0.0, 0.0]], limits=(-2, 2),
        ... )
        >>> figure.axes[1].get_title(), figure.axes[1].get_xlabel()
        ('step 100', 'no mode')
    """
    modes = np.asarray(centres, dtype=np.float64)
    rows, columns = len(samples), len(headings)
    figure = new_figure(2.6 * columns + 0.5, 2.95 * rows + 0.6, title)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for row, (label, drawn) in zip(panels, samples.items(), strict=True):
        if not len(drawn) == len(captions[label]) == columns:
            raise ValueError(
                f"sample_panels: {label!r} has {len(drawn)} panels and {len(captions[label])} captions for {columns} headings"
            )
        for panel, points, caption in zip(row, drawn, captions[label], strict=True):
            points = np.asarray(points, dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != 2:
                raise ValueError(f"sample_panels: samples[{label!r}] have shape {points.shape}, expected (N, 2)")
            panel.scatter(*modes.T, s=110, facecolors="none", edgecolors=GREY, linewidths=1.0)
            panel.scatter(*points.T, s=7, color=GREEN, alpha=0.5, linewidths=0)
            panel.set(xlim=limits, ylim=limits, xticks=[], yticks=[], aspect="equal", xlabel=caption)
        row[0].set_ylabel(label)
    for panel, heading in zip(panels[0], headings, strict=True):
        panel.set_title(heading)
    return figure


@styled
def coverage_curves(
    steps: ArrayLike,
    *,
    modes: Mapping[str, ArrayLike],
    high_quality: Mapping[str, ArrayLike],
    total: int,
    ceiling: float,
    title: str = "",
) -> Figure:
    """Draw how many modes a generator covers over its training, and the share of its samples that lie at one.

    Several runs of a method are drawn as their mean and a band from the least to the greatest.

    Args:
        steps: (T,), the training steps.
        modes: (runs, T), the modes covered, by the method's label.
        high_quality: (runs, T), the share of high-quality samples, by the same labels.
        total: how many modes the data have.
        ceiling: the share of high-quality samples among the data.
        title: stands above the panels.

    Raises:
        ValueError: labels or shapes differ.

    Example:
        >>> figure = coverage_curves([0, 1], modes={"GAN": [[1, 8]]}, high_quality={"GAN": [[0.1, 0.9]]}, total=8, ceiling=0.99)
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['modes covered', 'share of samples at a mode']
    """
    if list(modes) != list(high_quality):
        raise ValueError(
            f"coverage_curves: modes are of {list(modes)}, high_quality of {list(high_quality)}; "
            "expected the same labels in the same order"
        )
    steps = np.asarray(steps)
    figure = new_figure(12.0, 4.8, title)
    count, share = figure.subplots(1, 2)
    for panel, name, curves in ((count, "modes", modes), (share, "high_quality", high_quality)):
        for i, (label, values) in enumerate(curves.items()):
            runs = np.asarray(values, dtype=np.float64)
            if runs.ndim != 2 or runs.shape[1] != steps.size:
                raise ValueError(
                    f"coverage_curves: {name}[{label!r}] has shape {runs.shape}, expected (runs, {steps.size})"
                )
            line = stroke(label, i)
            panel.fill_between(steps, runs.min(axis=0), runs.max(axis=0), color=line.color, alpha=0.2, linewidth=0)
            panel.plot(steps, runs.mean(axis=0), label=label, **line.keywords)
    count.axhline(total, label="data", **FIXED["exact"].keywords)
    share.axhline(ceiling, label="data", **FIXED["exact"].keywords)
    count.set(ylabel="modes covered", xlabel="training step of $G$", ylim=(0, 1.08 * total))
    share.set(ylabel="share of samples at a mode", xlabel="training step of $G$", ylim=(0, 1.08))
    _legend_below(figure)
    return figure


def _legend_below(figure: Figure) -> None:
    """Put one legend for the whole figure, that of its last panel, below the panels."""
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
