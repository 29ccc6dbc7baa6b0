"""The layout of graphs: lines run to the right, nothing overlaps, and what can be drawn without crossings is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.plots.graph_layout import layered

GAP = 0.5


@st.composite
def graphs(draw):
    """Draw a graph in which each box but the first, the output, has at least one consumer before it."""
    inputs: list[list[int]] = [[]]
    for box in range(1, draw(st.integers(1, 12))):
        inputs.append([])
        for consumer in draw(st.lists(st.integers(0, box - 1), min_size=1, max_size=3)):
            inputs[consumer].append(box)
    heights = draw(st.lists(st.floats(0.5, 3.0), min_size=len(inputs), max_size=len(inputs)))
    return inputs, heights


@given(graphs())
def test_lines_run_to_the_right_and_nothing_overlaps(graph):
    inputs, heights = graph
    column, y, lanes = layered(inputs, heights, gap=GAP)
    items = [(column[box], y[box], heights[box]) for box in range(len(inputs))]
    for box, sources in enumerate(inputs):
        for i, source in enumerate(sources):
            assert len(lanes[box, i]) == column[box] - column[source] - 1 >= 0
            items += [(k, lane, 0.0) for k, lane in enumerate(lanes[box, i], start=column[source] + 1)]
    for (k, upper, height), (other, lower, other_height) in itertools.pairwise(sorted(items)):
        assert k != other or lower - upper >= (height + other_height) / 2 + GAP - 1e-6
    assert min(column) == 0
    assert column[0] == max(column)


@given(st.integers(1, 6), st.floats(0.5, 3.0))
def test_a_chain_is_a_level_row(length, height):
    column, y, _ = layered([*([box + 1] for box in range(length - 1)), []], [height] * length, gap=GAP)
    assert column == list(range(length))[::-1]
    np.testing.assert_allclose(y, y[0])


def test_two_inputs_stand_symmetrically_in_the_order_of_the_arguments():
    column, y, _ = layered([[2, 1], [], []], [1.0, 1.0, 1.0], gap=GAP)
    assert column == [1, 0, 0]
    assert y[1] - y[2] == pytest.approx(1.5)
    assert y[0] == pytest.approx((y[1] + y[2]) / 2)


def test_a_tree_is_drawn_without_crossings():
    # Four leaves, numbered so that their first order would cross the lines.
    inputs = [[2, 1], [6, 4], [5, 3], [], [], [], []]
    _, y, _ = layered(inputs, [1.0] * 7, gap=GAP)
    assert y[2] < y[1]
    assert y[5] < y[3] < y[6] < y[4]


def test_a_line_that_passes_a_column_keeps_a_lane_there():
    # 0 takes 1 and 2, and 1 takes 2: the long line from 2 to 0 passes below 1.
    column, y, lanes = layered([[1, 2], [2], []], [1.0, 1.0, 1.0], gap=GAP)
    assert column == [2, 1, 0]
    (lane,) = lanes[0, 1]
    assert lane - y[1] >= 0.5 + GAP - 1e-6


def test_the_heights_are_those_of_least_squares():
    # The same graph, with so tall an output that nothing is in the way: its inputs arrive 10/6 above and below its centre. Going round
    # from 0 to 1, to 2, to the lane and back, the links' rises must add up to 20/6, and least squares gives each its part in inverse
    # proportion to its weight: 1, 1, 2 and 2.
    _, y, lanes = layered([[1, 2], [2], []], [10.0, 1.0, 1.0], gap=GAP)
    (lane,) = lanes[0, 1]
    rises = [(y[0] - 10 / 6) - y[1], y[1] - y[2], y[2] - lane, lane - (y[0] + 10 / 6)]
    np.testing.assert_allclose(rises, np.array([-1, -1, -1 / 2, -1 / 2]) * (20 / 6) / 3, rtol=1e-5)
