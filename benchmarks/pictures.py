"""Pictures of the kernels' speed, and of how it grows."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from convolutions import GROWTH, KERNELS, PASSES
from matplotlib.axes import Axes

from minigen import plots
from minigen.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, new_figure, styled

Row = dict[str, Any]

LOOKS = {
    ("reference", "cpu"): ("minigen, plain NumPy", GREY, "s"),
    ("torch", "cpu"): ("PyTorch", VERMILLION, "D"),
    ("numba", "cpu"): ("minigen, compiled", GREEN, "o"),
    ("reference", "gpu"): ("minigen, plain CuPy", ORANGE, "s"),
    ("torch", "gpu"): ("PyTorch, GPU", BLACK, "D"),
    ("cuda", "gpu"): ("minigen, CUDA", BLUE, "o"),
}
"""Implementation and device -> label, colour and marker."""


@styled
def draw_kernels(rows: list[Row], path: Path, title: str) -> None:
    """Draw the speed of every layer, a panel for each pass, against the peak; below, that of the elementwise kernels."""
    layers = [row | {"label": row["model"], "speed": row["gflops"]} for row in rows if row["kernel"] in KERNELS]
    others = [
        row | {"label": row["kernel"], "speed": float(row["shape"]) / row["ms"] / 1e6}
        for row in rows
        if row["kernel"] not in (*KERNELS, "matmul", "transfer")
    ]
    heights = [len({(row["kernel"], row["label"]) for row in found}) for found in (layers, others)]
    figure = new_figure(14, 3 + 0.37 * sum(heights), f"Speed of kernels, {title}")
    panels = figure.subplots(2, len(PASSES), sharex="row", sharey="row", height_ratios=heights)
    for step, above, below in zip(PASSES, *panels, strict=True):
        dots(above, layers, step)
        for row in rows:
            if row["kernel"] == "matmul":
                name, line = ("matrix product", "--") if row["device"] == "cpu" else ("matrix product, GPU", ":")
                above.axvline(row["gflops"], color=BLACK, linestyle=line, label=name)
        above.set(xscale="log", xlabel="GFLOP/s of live taps", title=step)
        dots(below, others, step)
        below.set(xscale="log", xlabel="billion numbers a second")
    for axes in panels[:, 0]:
        axes.invert_yaxis()
    panels[1, -1].remove()  # an elementwise kernel has no weight
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="lower right", bbox_to_anchor=(0.97, 0.05))
    plots.save(figure, path)


def dots(axes: Axes, rows: list[Row], step: str) -> None:
    """Draw the speed of one pass, a line for each label, and what parts the kinds of convolution."""
    names = list(dict.fromkeys((row["kernel"], row["label"]) for row in rows))
    rows = [row for row in rows if row["pass"] == step]
    for (implementation, device), (label, colour, marker) in LOOKS.items():
        found = [row for row in rows if (row["implementation"], row["device"]) == (implementation, device)]
        if found:
            at = [names.index((row["kernel"], row["label"])) for row in found]
            axes.plot([row["speed"] for row in found], at, marker, color=colour, label=label, markersize=9)
    for place, ((before, _), (after, _)) in enumerate(itertools.pairwise(names)):
        if before != after and after in KERNELS:
            axes.axhline(place + 0.5, color=GREY, linewidth=1)
    axes.set_yticks(range(len(names)), [label for _, label in names])


@styled
def draw_scaling(rows: list[Row], path: Path, title: str) -> None:
    """Draw time against each size on logarithmic axes, with the line of exact proportionality to the operations."""
    figure = new_figure(13, 5.5, f"Forward and both gradients of a 3 x 3 convolution, {title}")
    panels = figure.subplots(1, len(GROWTH), sharey=True)
    for axes, (name, exponent) in zip(panels, GROWTH.items(), strict=True):
        anchor = None
        for (implementation, device), (label, colour, marker) in LOOKS.items():
            found = [row for row in rows if row.get("grows") == name]
            found = [row for row in found if (row["implementation"], row["device"]) == (implementation, device)]
            if not found:
                continue
            values, times = (np.array([row[key] for row in found]) for key in ("value", "ms"))
            axes.plot(values, times, marker=marker, color=colour, label=label, markersize=8)
            if implementation in ("numba", "cuda"):
                anchor = values, times[-1] * (values / values[-1]) ** exponent
        if anchor:
            axes.plot(*anchor, color=BLACK, linestyle="--", label="proportional to the operations")
            ticks = [int(value) for value in anchor[0]]
        axes.set(xscale="log", yscale="log", xlabel=name, title=f"slope of the operations: {exponent}")
        axes.minorticks_off()
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
    panels[0].set_ylabel("milliseconds")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plots.save(figure, path)
