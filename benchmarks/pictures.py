"""Pictures of the kernels' speed, and of how it grows."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from convolutions import GROWTH
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

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


SECTIONS = (
    (("convolutions",), "gflops", "GFLOP/s of live taps"),
    (("attentions", "recurrences"), "gflops", "GFLOP/s"),
    (("normalizations",), "numbers", "billion numbers a second"),
    (("elementwise",), "numbers", "billion numbers a second"),
)
"""Groups of kernels that have a row of panels to themselves, what is counted, and its name."""


@styled
def draw_kernels(rows: list[Row], path: Path, title: str) -> None:
    """Draw the speed of everything that was measured: a row of panels for each section, a panel for each pass; the dashes are the peak."""
    sections = []
    for groups, counted, unit in SECTIONS:
        found = [
            row | {"label": label(row), "speed": row["gflops"] if counted == "gflops" else row["numbers"] / row["ms"] / 1e6}
            for row in rows
            if row.get("group") in groups
        ]  # fmt: skip
        if found:
            sections.append((found, counted, unit))
    heights = [len({(row["kernel"], row["label"]) for row in found}) + 2 for found, _, _ in sections]
    columns = max(len({row["pass"] for row in found}) for found, _, _ in sections)
    figure = new_figure(14, 1 + 0.37 * sum(heights) + 0.6 * len(sections), f"Speed of kernels, {title}")
    panels = figure.subplots(len(sections), columns, sharex="row", sharey="row", height_ratios=heights, squeeze=False)
    peaks = [row for row in rows if row["kernel"] == "matmul"]
    for (found, counted, unit), line in zip(sections, panels, strict=True):
        steps = list(dict.fromkeys(row["pass"] for row in found))
        marks = {row["device"]: row["gflops"] for row in peaks if counted == "gflops"}
        speeds = [*marks.values(), *(row["speed"] for row in found)]
        ends = [10.0 ** math.floor(math.log10(min(speeds))), 10.0 ** math.ceil(math.log10(max(speeds)))]
        for step, axes in zip(steps, line, strict=False):
            dots(axes, found, step)
            for device, peak in marks.items():
                name, dashes = ("matrix product", "--") if device == "cpu" else ("matrix product, GPU", ":")
                axes.axvline(peak, color=BLACK, linestyle=dashes, label=name)
            axes.set(xscale="log", xlim=ends, xlabel=unit, title=step)
            axes.xaxis.set_minor_formatter(NullFormatter())
        for axes in line[len(steps) :]:
            axes.remove()
        line[0].invert_yaxis()
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plots.save(figure, path)


def label(row: Row) -> str:
    """Return what a line is called: with the kind of network where models alone would not tell."""
    return f"{row['kernel']}, {row['model']}" if row["group"] == "recurrences" else row["model"]


def dots(axes: Axes, rows: list[Row], step: str) -> None:
    """Draw the speed of one pass, a line for each label, and what parts the kernels."""
    names = list(dict.fromkeys((row["kernel"], row["label"]) for row in rows))
    rows = [row for row in rows if row["pass"] == step]
    for (implementation, device), (label, colour, marker) in LOOKS.items():
        found = [row for row in rows if (row["implementation"], row["device"]) == (implementation, device)]
        if found:
            at = [names.index((row["kernel"], row["label"])) for row in found]
            axes.plot([row["speed"] for row in found], at, marker, color=colour, label=label, markersize=9)
    for place, ((before, _), (after, _)) in enumerate(itertools.pairwise(names)):
        if before != after and names[place][1] != before:  # not where every line is a kernel of its own
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
