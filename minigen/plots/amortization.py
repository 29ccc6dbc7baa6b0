"""Pictures of inference: how long the fit of one image's posterior takes, and what is lost between a bound and the likelihood."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from minigen.plots.style import BLACK, BLUE, FIXED, GREEN, ORANGE, legend_above, new_figure, styled


@styled
def inference_gaps(
    elbos: ArrayLike, *, encoder: float, log_likelihood: float, gaps: Mapping[str, Mapping[str, float]], title: str = ""
) -> Figure:
    """Draw how far below log p(x) a posterior is that is fitted step by step, beside an encoder's; and the parts of such gaps as bars.

    Args:
        elbos: (T,), the mean ELBO before each step of the fit, in nats per image.
        encoder: the encoder's ELBO on the same images.
        log_likelihood: an estimate of log p(x). Where noise lifts a bound above it, the course has a gap.
        gaps: for each bar its parts in nats, from below, by label; the same labels in every bar.
        title: stands above the panels.

    Raises:
        ValueError: the bars differ in their parts.

    Example:
        >>> figure = inference_gaps(
        ...     [-30.0, -24.0, -23.0], encoder=-23.5, log_likelihood=-22.0,
        ...     gaps={"training": {"approximation": 0.8, "amortization": 0.1}, "held out": {"approximation": 1.0, "amortization": 0.5}},
        ... )
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['log p(x) - ELBO (nats per image)', 'nats per image']
    """
    elbos = np.asarray(elbos, dtype=np.float64)
    parts = list(next(iter(gaps.values())))
    if any(list(bar) != parts for bar in gaps.values()):
        raise ValueError(
            f"inference_gaps: every bar needs the parts {parts}; found {[list(bar) for bar in gaps.values()]}"
        )
    figure = new_figure(13.0, 5.2, title)
    course, bars = figure.subplots(1, 2, width_ratios=(1.3, 1))
    below = log_likelihood - elbos
    course.plot(np.where(below > 0, below, np.nan), color=BLUE, label="fitted image by image")
    course.axhline(log_likelihood - encoder, label="encoder, in one pass", **FIXED["exact"].keywords)
    course.set(
        yscale="log", xlabel="steps for each image", ylabel="log p(x) - ELBO (nats per image)", xlim=(0, len(elbos))
    )
    course.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    course.yaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    course.yaxis.set_minor_locator(NullLocator())
    legend_above(course)

    places, bottom = np.arange(len(gaps)), np.zeros(len(gaps))
    for part, color in zip(parts, (GREEN, ORANGE), strict=False):
        heights = np.array([bar[part] for bar in gaps.values()])
        drawn = bars.bar(places, heights, 0.6, bottom=bottom, color=color, label=part)
        bars.bar_label(drawn, [f"{height:.2f}" for height in heights], label_type="center", color=BLACK, fontsize=14)
        bottom = bottom + heights
    bars.set_xticks(places, list(gaps))
    bars.grid(visible=False, axis="x")
    bars.set(ylabel="nats per image")
    legend_above(bars)
    return figure
