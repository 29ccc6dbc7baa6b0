"""The picture of a computation: its operations and what they were computed from, with values and gradients.

A box stands for an end of the engine's edges, a node or a leaf, or for a constant, to which no edge leads.
"""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minigen.backend import Array, array_module, device_of, to_device
from minigen.engine import Edge, Node, Tensor, grad
from minigen.plots.boxes import BETWEEN_ROWS, TEXT, Box, draw_box, draw_line, placed, sample_of, text_width
from minigen.plots.graph_layout import layered
from minigen.plots.style import GREY, ORANGE, SKY, styled

LIMIT = 60
"""The most operations and leaves in one picture; more cannot be read."""

COLOURS = {"leaf": ORANGE, "operation": SKY, "constant": GREY}

MARGIN, LEGEND = 14.0, 42.0  # in points (1/72 inch)


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
            boxes.append(Box(edge.primitive.name, rows, [], COLOURS["operation"]))
        else:
            boxes.append(Box(edge.name or "leaf", rows, [], COLOURS["leaf"]))

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
                title = "constant" if value is None else _written(value)
                boxes.append(Box(title, {}, [], COLOURS["constant"]))
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
    layout = layered([box.inputs for box in boxes], [box.height for box in boxes], gap=BETWEEN_ROWS)
    frames, lines = placed(boxes, layout, start=MARGIN)
    end = max(max(frame.right for frame in frames), MARGIN + text_width(caption, TEXT)) + MARGIN
    top = min(frame.y - frame.height / 2 for frame in frames) - MARGIN
    bottom = max(frame.y + frame.height / 2 for frame in frames) + MARGIN + LEGEND
    figure = Figure(figsize=(end / 72, (bottom - top) / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, end), ylim=(bottom, top))  # a unit is a point, and y points down
    axes.set_axis_off()
    for i, (box, frame) in enumerate(zip(boxes, frames, strict=True)):
        draw_box(axes, box, frame)
        for k in range(len(box.inputs)):
            draw_line(axes, lines[i, k])
    _draw_legend(axes, {box.color for box in boxes}, caption, bottom)
    return figure


def _draw_legend(axes: Axes, colours: set[str], caption: str, bottom: float) -> None:
    patches = [sample_of(colour, kind) for kind, colour in COLOURS.items() if colour in colours]
    axes.legend(handles=patches, loc="lower left", ncols=len(patches), fontsize=TEXT, borderaxespad=0.4)
    axes.text(MARGIN, bottom - LEGEND + TEXT / 2, caption, size=TEXT, va="center_baseline")
