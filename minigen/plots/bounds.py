"""The course of a training by maximum likelihood: bounds on log p(x), step by step."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from minigen.plots.style import FIXED, FREE, curve, legend_above, new_figure, styled

STEEP = 0.1  # the share of the training that may leave the picture below


@styled
def bound_curves(
    steps: ArrayLike,
    *,
    bounds: Mapping[str, ArrayLike],
    levels: Mapping[str, float] | None = None,
    label: str = "nats per image",
    title: str = "",
) -> Figure:
    """Draw how bounds on log p(x) rise, on an axis that does not show the first steep rise from below.

    Args:
        steps: (T,), the training steps.
        bounds: (T,) each, by label.
        levels: values to draw as horizontal lines, by label, such as the last estimate of log p(x).
        label: of the vertical axis.
        title: stands above the panel.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> figure = bound_curves([0, 10, 20], bounds={"ELBO": [-500.0, -110.0, -100.0]}, levels={"log p(x)": -95.0})
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['ELBO', 'log p(x): -95.00']
    """
    steps = np.asarray(steps, dtype=np.float64)
    figure = new_figure(11.5, 5.0, title)
    axes = figure.subplots()
    drawn = {name: curve(f"bound_curves: bounds[{name!r}]", values, steps.size) for name, values in bounds.items()}
    for (name, values), line in zip(drawn.items(), FREE, strict=False):
        axes.plot(steps, values, label=name, **line.keywords)
    for name, level in (levels or {}).items():
        axes.axhline(level, label=f"{name}: {level:.2f}", **FIXED["exact"].keywords)
    flat = steps >= STEEP * steps.max()
    seen = np.concatenate([*(values[flat] for values in drawn.values()), [*(levels or {}).values()]])
    margin = 0.05 * (seen.max() - seen.min()) or 1.0
    axes.set(xlabel="training step", ylabel=label, ylim=(seen.min() - margin, seen.max() + margin))
    legend_above(axes)
    return figure
