"""Where to put the boxes of a directed acyclic graph, so that it reads from left to right and few lines cross.

In four steps (Sugiyama, Tagawa & Toda 1981, "Methods for visual understanding of hierarchical system structures"):
put each box into a column; where a line passes a column, reserve a lane for it there; order each column by the
barycentres of its neighbours; and give each box and lane the height that keeps the lines level.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SWEEPS = 60
"""Passes over all columns: for the order, and again for the heights."""


class Layout(NamedTuple):
    """Where the boxes stand and the lines run; y points down.

    Attributes:
        column: for each box its column, 0 at the left.
        y: for each box the height of its centre.
        lanes: for each line, as (box, which of its inputs), the heights at which it passes the columns between, from
            left to right.
    """

    column: list[int]
    y: list[float]
    lanes: dict[tuple[int, int], list[float]]


class Link(NamedTuple):
    """A piece of a line, from a box or lane to one in the next column, where it arrives `port` below the centre."""

    left: int
    right: int
    port: float


def port(height: float, i: int, count: int) -> float:
    """Return how far below a box's centre input i of `count` arrives.

    Example:
        >>> [port(1.0, i, 3) for i in range(3)]
        [-0.25, 0.0, 0.25]
    """
    return height * ((i + 1) / (count + 1) - 0.5)


def layered(inputs: Sequence[Sequence[int]], heights: Sequence[float], *, gap: float) -> Layout:
    """Lay out a graph of boxes.

    Args:
        inputs: for each box, the boxes that its lines come from, in the order of its arguments. The output comes
            first, and every box before its inputs.
        heights: for each box its height.
        gap: the least distance between two boxes of a column, or a box and a lane.

    Example:
        >>> layout = layered([[1, 1], []], [1.0, 1.0], gap=0.5)
        >>> layout.column, layout.lanes
        ([1, 0], {(0, 0): [], (0, 1): []})
    """
    # Columns are counted from the output, at the right, so that a box stands just before the first box that uses it.
    distance = [0] * len(inputs)
    for box, sources in enumerate(inputs):
        for source in sources:
            distance[source] = max(distance[source], distance[box] + 1)

    # Each column holds items: the boxes and then the lanes, which have no height.
    columns: list[list[int]] = [[] for _ in range(max(distance) + 1)]
    for box, column in enumerate(distance):
        columns[column].append(box)
    tall = list(heights)
    links: list[Link] = []
    tracks: dict[tuple[int, int], list[int]] = {}
    for box, sources in enumerate(inputs):
        for i, source in enumerate(sources):
            right, offset = box, port(heights[box], i, len(sources))
            track: list[int] = []
            for column in range(distance[box] + 1, distance[source]):
                lane = len(tall)
                tall.append(0.0)
                columns[column].append(lane)
                links.append(Link(lane, right, offset))
                right, offset, track = lane, 0.0, [lane, *track]
            links.append(Link(source, right, offset))
            tracks[box, i] = track

    columns = _ordered(columns, links, tall)
    y = _levelled(columns, links, tall, gap)
    return Layout(
        column=[len(columns) - 1 - column for column in distance],
        y=y[: len(inputs)].tolist(),
        lanes={line: y[track].tolist() for line, track in tracks.items()},
    )


def _ordered(columns: list[list[int]], links: list[Link], heights: list[float]) -> list[list[int]]:
    """Return the order in which the fewest links cross, of those found by sorting.

    Each column is sorted by the mean rank of its neighbours at the right, going leftwards; then by that of its
    neighbours at the left, going back; and so on.
    """
    rank = [0.0] * len(heights)
    at_right: list[list[Link]] = [[] for _ in heights]
    at_left: list[list[Link]] = [[] for _ in heights]
    for link in links:
        at_right[link.left].append(link)
        at_left[link.right].append(link)

    def arrival(link: Link) -> float:
        # The lines to one box rank in the order of its inputs.
        return rank[link.right] + link.port / (heights[link.right] or 1.0)

    def from_right(item: int) -> float:
        return _mean([arrival(link) for link in at_right[item]], rank[item])

    def from_left(item: int) -> float:
        return _mean([rank[link.left] for link in at_left[item]], rank[item])

    def crossings() -> int:
        ends = [[(rank[link.left], arrival(link)) for item in column for link in at_right[item]] for column in columns]
        return sum((a - c) * (b - d) < 0 for column in ends for (a, b), (c, d) in combinations(column, 2))

    best, fewest = columns, math.inf
    columns = list(columns)
    for sweep in range(SWEEPS):
        leftwards = sweep % 2 == 0
        for k in range(len(columns)) if leftwards else reversed(range(len(columns))):
            columns[k] = sorted(columns[k], key=from_right if leftwards else from_left)
            for i, item in enumerate(columns[k]):
                rank[item] = float(i)
        crossed = crossings()
        if crossed < fewest:
            best, fewest = list(columns), crossed
    return best


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _levelled(columns: list[list[int]], links: list[Link], heights: list[float], gap: float) -> NDArray[np.float64]:
    """Return the heights of the centres at which the links rise and fall least, in a weighted sum of squares.

    A link between two lanes weighs 8, one between a lane and a box 2, so that long lines run straight (the weights of
    Gansner et al. 1993, "A technique for drawing directed graphs"). One column at a time is solved, the others being
    fixed: each item wishes to be at the mean of where its links lead, but no nearer to the item above than it must.
    With the least distances subtracted, the heights must only not decrease, and the best ones are the isotonic
    regression of the wishes.
    """
    from scipy.optimize import isotonic_regression  # which takes 0.4 seconds to import

    ends: list[list[tuple[int, float, float]]] = [[] for _ in heights]  # a neighbour, how far below it to be, a weight
    for left, right, below in links:
        weight = (1.0, 2.0, 8.0)[int(heights[left] == 0) + int(heights[right] == 0)]
        ends[left].append((right, below, weight))
        ends[right].append((left, -below, weight))

    y = np.zeros(len(heights))
    if not links:
        return y
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            tall = np.array([heights[item] for item in column])
            least = np.cumsum(tall + gap) - tall / 2
            weights = np.array([sum(weight for _, _, weight in ends[item]) for item in column])
            wishes = np.array([sum(weight * (y[end] + below) for end, below, weight in ends[item]) for item in column])
            y[column] = isotonic_regression(wishes / weights - least, weights=weights).x + least
    return y
