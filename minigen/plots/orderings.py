"""A picture of what an order costs: one model's weights under several orderings, and their mixture."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from minigen.plots.style import BLUE, GREY, VERMILLION, legend_above, new_figure, styled


@styled
def ordering_costs(costs: ArrayLike, *, mixture: float, title: str = "") -> Figure:
    """Draw the mean of -log p of the same images under each ordering, and under the mixture of all.

    Args:
        costs: (M,), nats for each image.
        mixture: that of p = 1/M sum_m p_m; it is less than the mean of the costs.
        title: stands above the panel.

    Raises:
        ValueError: another shape, or no ordering.

    Example:
        >>> figure = ordering_costs([90.0, 92.0], mixture=89.5)
        >>> figure.axes[0].get_xlabel()
        'ordering'
    """
    costs = np.asarray(costs, dtype=np.float64)
    if costs.ndim != 1 or not costs.size:
        raise ValueError(f"ordering_costs: costs of shape {costs.shape}, expected (M,) with M at least 1")
    figure = new_figure(9.0, 5.0, title)
    axes = figure.subplots()
    axes.plot(np.arange(1, costs.size + 1), costs, "o", color=BLUE, markersize=9, label="each ordering")
    axes.axhline(float(costs.mean()), color=GREY, linestyle=":", label="their mean")
    axes.axhline(mixture, color=VERMILLION, linestyle="--", label="their mixture")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="ordering", ylabel="-log p(x) in nats")
    legend_above(axes)
    return figure
