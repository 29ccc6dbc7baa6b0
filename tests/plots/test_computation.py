"""The picture of a computation: every box and line of the graph, and the right numbers in them."""

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import minigen as mg
from minigen import plots


def leaf(value, name=""):
    return mg.tensor(value, requires_grad=True, name=name)


def neuron():
    """Compute s = (w x + b)^2 at w = 2, x = 3, b = -1: s = 25."""
    return (leaf(2.0, "w") * leaf(3.0, "x") + leaf(-1.0, "b")) ** 2


def texts(figure):
    """Return title and rows of each box, as they are written."""
    boxes, words = [], [text.get_text() for text in figure.axes[0].texts[:-1]]  # the last one is the caption
    while words:
        boxes.append((words.pop(0), {}))
        while words and words[0] in ("value", "gradient", "shape"):
            word = words.pop(0)
            boxes[-1][1][word] = words.pop(0)
    return boxes


def patches(figure, kind):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def ends(figure):
    """Return for each arrow the titles of the boxes that it joins."""
    figure.draw_without_rendering()
    titles = [title for title, _ in texts(figure)]
    frames = [box.get_bbox() for box in patches(figure, FancyBboxPatch)]
    joined = []
    for arrow in patches(figure, FancyArrowPatch):
        points = arrow.get_path().vertices
        start, tip = points[0], points[points[:, 0].argmax()]
        (source,) = [
            t for t, f in zip(titles, frames, strict=True) if abs(f.x1 - start[0]) < 2 and f.y0 < start[1] < f.y1
        ]
        (target,) = [t for t, f in zip(titles, frames, strict=True) if abs(f.x0 - tip[0]) < 4 and f.y0 < tip[1] < f.y1]
        joined.append((source, target))
    return joined


def test_a_neuron_by_hand():
    with mg.debug():
        figure = plots.graph(neuron())
    # ds/ds = 1;  d/d(sum) = 2 * 5 = 10, and so for the product and b;  d/dw = 10 x = 30;  d/dx = 10 w = 20
    assert sorted(texts(figure)) == [
        ("2", {}),
        ("add", {"value": "5", "gradient": "10"}),
        ("b", {"value": "-1", "gradient": "10"}),
        ("multiply", {"value": "6", "gradient": "10"}),
        ("power", {"value": "25", "gradient": "1"}),
        ("w", {"value": "2", "gradient": "30"}),
        ("x", {"value": "3", "gradient": "20"}),
    ]
    assert sorted(ends(figure)) == [
        ("2", "power"), ("add", "power"), ("b", "add"), ("multiply", "add"), ("w", "multiply"), ("x", "multiply"),
    ]  # fmt: skip


def test_outside_debug_mode_inner_operations_show_shapes_and_the_gradients_are_the_same():
    boxes = dict(texts(plots.graph(neuron())))
    assert boxes["multiply"] == {"shape": "()", "gradient": "10"}
    assert boxes["power"] == {"value": "25", "gradient": "1"}  # the drawn tensor is at hand
    assert boxes["w"] == {"value": "2", "gradient": "30"}
    assert boxes["constant"] == {}


def test_a_leaf_used_twice_is_one_box_with_two_lines_and_the_sum_of_both_gradients():
    x = leaf(3.0, "x")
    figure = plots.graph(x * x)
    assert dict(texts(figure))["x"] == {"value": "3", "gradient": "6"}
    assert ends(figure) == [("x", "multiply")] * 2


def test_the_first_argument_stands_above_the_second():
    figure = plots.graph(leaf(3.0, "minuend") - leaf(2.0, "subtrahend"))
    heights = dict(
        zip(
            [title for title, _ in texts(figure)], [box.get_y() for box in patches(figure, FancyBboxPatch)], strict=True
        )
    )
    assert heights["minuend"] < heights["subtract"] < heights["subtrahend"]  # y points down


def test_a_constant_array_used_twice_is_one_box_and_a_number_is_one_per_use():
    c = mg.tensor([1.0, 2.0])
    with mg.debug():
        figure = plots.graph((leaf([1.0, 1.0], "x") + c) * 2.0 - c * 1.0 + 2.0)
    titles = [title for title, _ in texts(figure)]
    assert titles.count("[1, 2]") == 2  # c, and c * 1, which is a constant too
    assert titles.count("2") == 2


def test_a_tensor_that_is_no_scalar_is_pulled_back_with_ones():
    x = leaf(np.arange(6.0).reshape(2, 3), "x")
    with mg.debug():
        figure = plots.graph(x**2)
    boxes = dict(texts(figure))
    assert boxes["x"] == {"value": "(2, 3) in [0, 5]", "gradient": "(2, 3) in [0, 10]"}  # 2 x
    assert boxes["power"]["gradient"] == "(2, 3) in [1, 1]"
    assert "sum over the last box" in figure.axes[0].texts[-1].get_text()


def test_where_no_gradient_arrives_the_box_says_none():
    boxes = dict(texts(plots.graph(mg.where(leaf(1.0, "condition"), leaf(2.0, "x"), 0.0))))
    assert boxes["condition"] == {"value": "1", "gradient": "none"}
    assert boxes["x"]["gradient"] == "1"


def test_few_numbers_are_written_out_and_zero_has_no_sign():
    x = leaf([0.123456, 2.0, 3e-7], "x")
    boxes = dict(texts(plots.graph(mg.sum(x * -0.0))))
    assert boxes["x"] == {"value": "[0.1235, 2, 3e-07]", "gradient": "[0, 0, 0]"}


def test_drawing_keeps_the_graph_and_leaves_no_gradient_behind():
    x = leaf(3.0, "x")
    y = x * x
    plots.graph(y)
    assert x.grad is None
    y.backward()
    assert x.grad.item() == 6.0
    with pytest.raises(RuntimeError, match=r"retain_graph=True"):
        plots.graph(y)


def test_a_leaf_is_a_graph_of_one_box():
    figure = plots.graph(leaf(3.0))
    assert texts(figure) == [("leaf", {"value": "3", "gradient": "1"})]
    assert patches(figure, FancyArrowPatch) == []


def test_what_cannot_be_drawn_is_refused_with_words():
    with pytest.raises(ValueError, match="constant and has no graph"):
        plots.graph(mg.tensor(1.0))
    y = leaf(1.0)
    for _ in range(59):
        y = mg.tanh(y)
    assert len(patches(plots.graph(y), FancyBboxPatch)) == 60
    for _ in range(10_000):
        y = mg.tanh(y)
    with pytest.raises(ValueError, match="took 10060 operations and leaves, at most 60"):
        plots.graph(y)


def test_the_words_fit_into_their_boxes():
    with mg.debug():
        figure = plots.graph(neuron())
    figure.draw_without_rendering()
    axes = figure.axes[0]
    frames = [box.get_window_extent() for box in patches(figure, FancyBboxPatch)]
    for text in axes.texts[:-1]:
        words = text.get_window_extent()
        assert any(f.x0 < words.x0 and words.x1 < f.x1 and f.y0 < words.y0 and words.y1 < f.y1 for f in frames)
