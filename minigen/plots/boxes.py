"""Boxes with words in them, and the lines between them: what pictures of computations and of games consist of.

Lengths are in points (1/72 inch), and y points down.
"""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle, FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from minigen.plots.graph_layout import Layout, port
from minigen.plots.style import BLACK

TEXT, TITLE, LINE = 11.0, 12.0, 16.0
PADDING, BETWEEN_ROWS, BETWEEN_COLUMNS, ARROWHEAD = 8.0, 18.0, 50.0, 8.0
TINT = 0.25
"""How much of its colour fills a box."""


class Box(NamedTuple):
    """What is written in a box, and where its lines come from.

    Attributes:
        title: stands above the rows.
        rows: below it, a word at the left and what it is at the right; a word for which that is empty stands in the middle.
        inputs: the boxes that its lines come from.
        color: of its edge, and of what fills it.
        tint: how much of the colour fills it.
    """

    title: str
    rows: dict[str, str]
    inputs: list[int]
    color: str
    tint: float = TINT

    @property
    def width(self) -> float:
        """The width that the longest line needs, with padding."""
        rows = [text_width(f"{word}   {text}".strip(), TEXT) for word, text in self.rows.items()]
        return max([text_width(self.title, TITLE, weight="bold"), *rows]) + 2 * PADDING

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


Stop = tuple[float, float, float]  # from, to, y: a stretch along which a line is level


class Placed(NamedTuple):
    """Where everything stands.

    Attributes:
        frames: of the boxes.
        lines: the stops of each line, by the box where it ends and which of its inputs it is; a line bends between stops.
    """

    frames: list[Frame]
    lines: dict[tuple[int, int], list[Stop]]


def placed(boxes: Sequence[Box], layout: Layout, *, start: float) -> Placed:
    """Return where the boxes of a layout and their lines stand.

    In each column, boxes with rows are equally wide, and so are those without; all stand in the middle of the column.

    Args:
        boxes: those that were laid out.
        layout: their columns and heights.
        start: the left edge of the first column.

    Example:
        >>> boxes = [Box("b", {}, [1], BLACK), Box("a", {}, [], BLACK)]
        >>> frames, lines = placed(boxes, Layout([1, 0], [0.0, 0.0], {(0, 0): []}), start=10.0)
        >>> frames[1].left, len(lines[0, 0])
        (10.0, 2)
    """
    column, y, lanes = layout
    sorts = [(k, not box.rows) for k, box in zip(column, boxes, strict=True)]
    width = [max(box.width for box, other in zip(boxes, sorts, strict=True) if other == sort) for sort in sorts]
    left: list[float] = []  # edges of each column
    right: list[float] = []
    for i in range(max(column) + 1):
        left.append(right[-1] + BETWEEN_COLUMNS if right else start)
        right.append(left[-1] + max((w for w, k in zip(width, column, strict=True) if k == i), default=0.0))
    frames = [
        Frame((left[k] + right[k] - w) / 2, (left[k] + right[k] + w) / 2, centre, box.height)
        for k, w, centre, box in zip(column, width, y, boxes, strict=True)
    ]
    lines: dict[tuple[int, int], list[Stop]] = {}
    for i, (box, frame) in enumerate(zip(boxes, frames, strict=True)):
        for k, source in enumerate(box.inputs):
            stops = [(frames[source].right, right[column[source]], y[source])]
            stops += [(left[j], right[j], lane) for j, lane in enumerate(lanes[i, k], start=column[source] + 1)]
            stops += [(left[column[i]] - ARROWHEAD, frame.left, y[i] + port(box.height, k, len(box.inputs)))]
            lines[i, k] = stops
    return Placed(frames, lines)


def draw_box(axes: Axes, box: Box, frame: Frame) -> None:
    """Draw a box with its words; axes whose unit is a point, and whose y points down."""
    left, right, y, height = frame
    top = y - height / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, top), right - left, height, boxstyle=BoxStyle.Round(pad=0, rounding_size=5),
            facecolor=(box.color, box.tint), edgecolor=box.color, linewidth=1.5,
        )
    )  # fmt: skip
    line = top + (PADDING + LINE) / 2
    weight = "bold" if box.rows else "normal"
    axes.text((left + right) / 2, line, box.title, size=TITLE, weight=weight, ha="center", va="center_baseline")
    for word, text in box.rows.items():
        line += LINE
        place, side = (left + PADDING, "left") if text else ((left + right) / 2, "center")
        axes.text(place, line, word, size=TEXT, ha=side, va="center_baseline")
        if text:
            axes.text(right - PADDING, line, text, size=TEXT, ha="right", va="center_baseline")


def draw_line(axes: Axes, stops: Sequence[Stop], *, color: str = BLACK, width: float = 1.2) -> None:
    """Draw a line that ends in an arrowhead; axes as for `draw_box`."""
    start, here, y = stops[0]
    points, codes = [(start, y), (here, y)], [Path.MOVETO, Path.LINETO]
    for there, end, other in stops[1:]:
        middle = (here + there) / 2
        points += [(middle, y), (middle, other), (there, other), (end, other)]
        codes += [Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
        here, y = end, other
    axes.add_patch(
        FancyArrowPatch(path=Path(points, codes), arrowstyle="-|>", mutation_scale=12, color=color, linewidth=width)
    )


def sample_of(color: str, label: str, *, tint: float = TINT) -> Patch:
    """Return a small box for a legend."""
    return Patch(facecolor=(color, tint), edgecolor=color, label=label)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return how wide a text is, in points.

    Example:
        >>> text_width("", 11.0), text_width("ww", 11.0) > text_width("w", 11.0)
        (0.0, True)
    """
    if not text:  # of which matplotlib makes no path
        return 0.0
    return float(TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).vertices[:, 0].max(initial=0.0))
