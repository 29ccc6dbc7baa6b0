"""Pictures of what a model learned without labels is good for afterwards: accuracies with few labels, and scores of what it never saw."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minigen.plots.style import BLUE, FREE, GREY, VERMILLION, legend_above, new_figure, styled


@styled
def accuracy_bars(accuracies: Mapping[str, ArrayLike], *, title: str = "") -> Figure:
    """Draw accuracies as bars: their mean, one standard deviation to each side, and each repetition as a dot.

    Args:
        accuracies: (repetitions,), shares from 0 to 1, by label; from top to bottom.
        title: stands above the bars.

    Raises:
        ValueError: nothing to draw.

    Example:
        >>> figure = accuracy_bars({"pixels": [0.7, 0.8], "features": [0.85, 0.9]})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['pixels', 'features']
    """
    values = [np.asarray(found, dtype=np.float64) for found in accuracies.values()]
    if not values or not all(found.ndim == 1 and found.size for found in values):
        raise ValueError(
            f"accuracy_bars: shapes {[found.shape for found in values]}, expected (repetitions,) of some labels"
        )
    figure = new_figure(11.0, 1.4 + 0.6 * len(values), title)
    axes = figure.subplots()
    places = np.arange(len(values))
    means, spreads = ([100 * f(found) for found in values] for f in (np.mean, np.std))
    axes.barh(
        places, means, xerr=spreads, height=0.7, color=BLUE, alpha=0.45, error_kw={"elinewidth": 2.5, "capsize": 5}
    )
    for place, found in zip(places, values, strict=True):
        axes.plot(100 * found, np.full(found.size, place), "o", color=GREY, markersize=5, alpha=0.8)
    lowest, highest = min(found.min() for found in values), max(found.max() for found in values)
    for place, mean in zip(places, means, strict=True):
        axes.annotate(
            f"{mean:.1f} %",
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set(
        xlabel="accuracy on the test images (%)",
        yticks=places,
        yticklabels=list(accuracies),
        ylim=(len(values) - 0.5, -0.5),
    )
    margin = 10 * (highest - lowest) + 1
    axes.set_xlim(max(0.0, 100 * lowest - 3 * margin), min(100.0, 100 * highest + margin))
    axes.grid(visible=False, axis="y")
    return figure


@styled
def score_histograms(
    scores: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    labels: tuple[str, str],
    areas: Mapping[str, float],
    title: str = "",
) -> Figure:
    """Draw how an anomaly score is distributed over what a model knows and over what it never saw, a panel for each score.

    Args:
        scores: by name, those of (N,) known and of (M,) unknown examples.
        labels: what the known and the unknown are.
        areas: under the ROC curve, by the same names.
        title: stands above the panels.

    Raises:
        ValueError: the names differ.

    Example:
        >>> figure = score_histograms(
        ...     {"error": ([1.0, 2.0, 3.0], [3.0, 4.0])}, labels=("others", "4"), areas={"error": 0.9}
        ... )
        >>> figure.axes[0].get_title()
        'AUROC 0.900'
    """
    if list(scores) != list(areas):
        raise ValueError(f"score_histograms: scores of {list(scores)}, areas of {list(areas)}; expected the same names")
    figure = new_figure(6.5 * len(scores), 4.8, title)
    for axes, (name, parts) in zip(figure.subplots(1, len(scores), squeeze=False)[0], scores.items(), strict=True):
        known, unknown = (np.asarray(part, dtype=np.float64) for part in parts)
        both = np.concatenate([known, unknown])
        low, high = both.min(), np.quantile(both, 0.995)
        edges = np.linspace(low, high, 26) if low < high else np.linspace(low - 0.5, low + 0.5, 26)
        for part, label, color in ((known, labels[0], BLUE), (unknown, labels[1], VERMILLION)):
            axes.hist(np.minimum(part, edges[-1]), edges, density=True, color=color, alpha=0.55, label=label)
        axes.set(xlabel=name, ylabel="density", title=f"AUROC {areas[name]:.3f}")
        axes.set_ylim(top=1.25 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper right", ncols=2)
    return figure


@styled
def paired_bars(
    values: Mapping[str, ArrayLike],
    *,
    groups: Sequence[str],
    label: str,
    group_label: str,
    chance: float,
    title: str = "",
) -> Figure:
    """Draw a figure for each group by several methods, side by side.

    Args:
        values: (K,), one for each group, by method.
        groups: the K names.
        label: of the vertical axis.
        group_label: of the horizontal axis.
        chance: the value that takes no skill, a dashed line.
        title: stands above the panel.

    Raises:
        ValueError: another number of values than groups.

    Example:
        >>> figure = paired_bars({"a": [0.9, 0.8], "b": [0.7, 0.95]}, groups="01", label="AUROC", group_label="digit", chance=0.5)
        >>> len(figure.axes[0].patches)
        4
    """
    drawn = {name: np.asarray(found, dtype=np.float64) for name, found in values.items()}
    if any(found.shape != (len(groups),) for found in drawn.values()):
        shapes = {name: found.shape for name, found in drawn.items()}
        raise ValueError(f"paired_bars: values of shapes {shapes}, expected ({len(groups)},), one for each group")
    figure = new_figure(11.0, 5.0, title)
    axes = figure.subplots()
    width = 0.8 / len(drawn)
    for i, ((name, found), line) in enumerate(zip(drawn.items(), FREE, strict=False)):
        places = np.arange(len(groups)) + (i - (len(drawn) - 1) / 2) * width
        axes.bar(places, found, width, color=line.color, label=name)
    axes.axhline(chance, color="black", linestyle="--", label=f"chance: {chance:g}")
    axes.set(xlabel=group_label, ylabel=label, xticks=range(len(groups)), xticklabels=list(groups))
    axes.grid(visible=False, axis="x")
    legend_above(axes)
    return figure
