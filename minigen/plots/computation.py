"""The picture of a computation: its operations and what they were computed from, with values and gradients.

A box stands for an end of the engine's edges, a node or a leaf, or for a constant, to which no edge leads.
"""

from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle, FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from minigen.backend import Array, array_module, device_of, to_device
from minigen.engine import Edge, Node, Tensor, grad
from minigen.plots.graph_layout import layered, port
from minigen.plots.style import BLACK, GREY, ORANGE, SKY, styled

LIMIT = 60
"""The most operations and leaves in one picture; more cannot be read."""

COLOURS = {"leaf": ORANGE, "operation": SKY, "constant": GREY}
TINT = 0.25
"""How much of its colour fills a box."""

# Lengths in points (1/72 inch).
TEXT, TITLE, LINE = 11.0, 12.0, 16.0
PADDING, BETWEEN_ROWS, BETWEEN_COLUMNS, ARROWHEAD = 8.0, 18.0, 50.0, 8.0
MARGIN, LEGEND = 14.0, 42.0


class Box(NamedTuple):
    """What is written in a box: a title, then rows of a word and what it is; and the boxes that its lines come from."""

    kind: str
    title: str
    rows: dict[str, str]
    inputs: list[int]

    @property
    def width(self) -> float:
        """The width that the longest line needs, with padding."""
        rows = [_text_width(f"{word}   {text}", TEXT) for word, text in self.rows.items()]
        return max([_text_width(self.title, TITLE, weight="bold"), *rows]) + 2 * PADDING

    @property
    def height(self) -> float:
        """The height of all lines, with padding."""
        return (1 + len(self.rows)) * LINE + PADDING


class Frame(NamedTuple):
    """Where a box stands: its left and right edge, the height of its centre, its own height."""

    left: float
    right: float
    y: float
    height: float


@styled
@matplotlib.rc_context({"text.parse_math": False})  # names are the user's
def graph(tensor: Tensor) -> Figure:
    """Draw the graph that a tensor was computed by, from left to right.

    Each leaf and each operation is a box with its value and the gradient of the drawn tensor, the last box, with
    respect to it. What needed no gradient is a small grey box. A large array is given by its shape and its range.
    For a tensor that is not a scalar the gradients are those of the sum of its elements (a cotangent of ones).

    The values of inner operations and of constants are known where the expression was computed inside
    `with minigen.debug():`. Elsewhere the operations show their shapes instead, and the constants nothing.

    Args:
        tensor: the result of a small computation. Its graph is kept, so `backward` can still run.

    Raises:
        ValueError: the tensor is a constant, or it took more than 60 operations and leaves.
        RuntimeError: an earlier `backward` has freed the graph.

    Example:
        >>> import minigen as mg
        >>> w = mg.tensor(2.0, requires_grad=True, name="w")
        >>> with mg.debug():
        ...     figure = graph(mg.tanh(w * 0.5))
        >>> [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"]
        ['tanh', 'multiply', 'w']
    """
    if not tensor.requires_grad:
        raise ValueError(
            "graph: the tensor is a constant and has no graph: it was computed without a leaf that requires grad, "
            "or inside no_grad()"
        )
    edges = _edges(tensor)
    if len(edges) > LIMIT:
        raise ValueError(
            f"graph: the tensor took {len(edges)} operations and leaves, at most {LIMIT} can be read in a picture; "
            "draw one of the tensors on the way, or a smaller model with fewer steps"
        )
    drawn = "the last box" if tensor.size == 1 else "the sum over the last box"
    return _drawn(_boxes(tensor, edges), f"gradient: of {drawn} with respect to this one")


# ------------------------------------------------------------------------------------------------------ what is written


def _edges(tensor: Tensor) -> list[Edge]:
    """Return the nodes that the tensor depends on, the latest first, and then the leaves."""
    found: dict[Edge, None] = {tensor.node or tensor: None}
    stack = list(found)
    while stack:
        edge = stack.pop()
        for parent in edge.parents if isinstance(edge, Node) else ():
            if parent is not None and parent not in found:
                found[parent] = None
                stack.append(parent)
    return sorted(found, key=lambda edge: -edge.sequence if isinstance(edge, Node) else 1)


def _boxes(tensor: Tensor, edges: list[Edge]) -> list[Box]:
    """Return the boxes, each before its inputs: those of the edges, then the constants."""
    # The inner tensors themselves are gone; `grad` knows each by any Tensor on its node.
    targets = [
        edge if isinstance(edge, Tensor) else Tensor(np.broadcast_to(0.0, edge.shape), node=edge) for edge in edges
    ]
    ones = array_module(tensor.data).ones_like(tensor.data)
    gradients = grad(tensor, targets, ones, retain_graph=True, allow_unused=True)

    boxes = []
    for edge, gradient in zip(edges, gradients, strict=True):
        value = tensor.data if edge is tensor.node else _value(edge)
        rows = {"shape": str(edge.shape)} if value is None else {"value": _written(value)}
        rows["gradient"] = "none" if gradient is None else _written(gradient.data)
        if isinstance(edge, Node):
            boxes.append(Box("operation", edge.primitive.name, rows, []))
        else:
            boxes.append(Box("leaf", edge.name or "leaf", rows, []))

    box_of = {edge: i for i, edge in enumerate(edges)}
    box_of_array: dict[int, int] = {}  # by the array's identity: a constant array used twice is drawn once
    for box, edge in zip(tuple(boxes), edges, strict=True):
        if not isinstance(edge, Node):
            continue
        values = edge.record.inputs if edge.record else [None] * len(edge.parents)
        for parent, value in zip(edge.parents, values, strict=True):
            if parent is not None:
                box.inputs.append(box_of[parent])
            elif id(value) in box_of_array:
                box.inputs.append(box_of_array[id(value)])
            else:
                if device_of(value):
                    box_of_array[id(value)] = len(boxes)
                box.inputs.append(len(boxes))
                boxes.append(Box("constant", "constant" if value is None else _written(value), {}, []))
    return boxes


def _value(edge: Edge) -> Array | None:
    """Return the values at an edge where they are known."""
    if isinstance(edge, Tensor):
        return edge.data
    return edge.record.output if edge.record else None


def _written(value: Any) -> str:
    """Return a few numbers as they are, and many as their shape and range."""
    values = np.asarray(to_device(value, "cpu") if device_of(value) else value) + 0  # which makes -0 a 0
    if values.size > 3:
        return f"{values.shape} in [{float(values.min()):.4g}, {float(values.max()):.4g}]"
    return " ".join(np.array2string(values, separator=", ", formatter={"float_kind": "{:.4g}".format}).split())


# ------------------------------------------------------------------------------------------------------ how it is drawn


def _drawn(boxes: list[Box], caption: str) -> Figure:
    column, y, lanes = layered([box.inputs for box in boxes], [box.height for box in boxes], gap=BETWEEN_ROWS)

    # Boxes of one sort in one column are equally wide, and stand in the middle of the column.
    sorts = [(k, box.kind == "constant") for k, box in zip(column, boxes, strict=True)]
    width = [max(box.width for box, other in zip(boxes, sorts, strict=True) if other == sort) for sort in sorts]
    left: list[float] = []  # edges of each column
    right: list[float] = []
    for i in range(max(column) + 1):
        left.append(right[-1] + BETWEEN_COLUMNS if right else MARGIN)
        right.append(left[-1] + max(w for w, k in zip(width, column, strict=True) if k == i))
    frames = [
        Frame((left[k] + right[k] - w) / 2, (left[k] + right[k] + w) / 2, centre, box.height)
        for k, w, centre, box in zip(column, width, y, boxes, strict=True)
    ]

    end = max(right[-1], MARGIN + _text_width(caption, TEXT)) + MARGIN
    top = min(frame.y - frame.height / 2 for frame in frames) - MARGIN
    bottom = max(frame.y + frame.height / 2 for frame in frames) + MARGIN + LEGEND
    figure = Figure(figsize=(end / 72, (bottom - top) / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, end), ylim=(bottom, top))  # a unit is a point, and y points down
    axes.set_axis_off()
    for i, (box, frame) in enumerate(zip(boxes, frames, strict=True)):
        _draw_box(axes, box, frame)
        for k, source in enumerate(box.inputs):
            # The line runs level through its stops, each (from, to, y), and bends between them.
            stops = [(frames[source].right, right[column[source]], y[source])]
            stops += [(left[j], right[j], lane) for j, lane in enumerate(lanes[i, k], start=column[source] + 1)]
            stops += [(left[column[i]] - ARROWHEAD, frame.left, y[i] + port(box.height, k, len(box.inputs)))]
            _draw_line(axes, stops)
    _draw_legend(axes, {box.kind for box in boxes}, caption, bottom)
    return figure


def _draw_box(axes: Axes, box: Box, frame: Frame) -> None:
    left, right, y, height = frame
    top = y - height / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, top), right - left, height, boxstyle=BoxStyle.Round(pad=0, rounding_size=5),
            facecolor=(COLOURS[box.kind], TINT), edgecolor=COLOURS[box.kind], linewidth=1.5,
        )
    )  # fmt: skip
    line = top + (PADDING + LINE) / 2
    weight = "bold" if box.rows else "normal"
    axes.text((left + right) / 2, line, box.title, size=TITLE, weight=weight, ha="center", va="center_baseline")
    for word, text in box.rows.items():
        line += LINE
        axes.text(left + PADDING, line, word, size=TEXT, va="center_baseline")
        axes.text(right - PADDING, line, text, size=TEXT, ha="right", va="center_baseline")


def _draw_line(axes: Axes, stops: list[tuple[float, float, float]]) -> None:
    start, here, y = stops[0]
    points, codes = [(start, y), (here, y)], [Path.MOVETO, Path.LINETO]
    for there, end, other in stops[1:]:
        middle = (here + there) / 2
        points += [(middle, y), (middle, other), (there, other), (end, other)]
        codes += [Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
        here, y = end, other
    axes.add_patch(
        FancyArrowPatch(path=Path(points, codes), arrowstyle="-|>", mutation_scale=12, color=BLACK, linewidth=1.2)
    )


def _draw_legend(axes: Axes, kinds: set[str], caption: str, bottom: float) -> None:
    patches = [
        Patch(facecolor=(COLOURS[kind], TINT), edgecolor=COLOURS[kind], label=kind) for kind in COLOURS if kind in kinds
    ]
    axes.legend(handles=patches, loc="lower left", ncols=len(patches), fontsize=TEXT, borderaxespad=0.4)
    axes.text(MARGIN, bottom - LEGEND + TEXT / 2, caption, size=TEXT, va="center_baseline")


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    return float(TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).vertices[:, 0].max(initial=0.0))
