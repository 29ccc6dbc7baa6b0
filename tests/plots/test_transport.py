"""The pictures of transport hold the numbers they were given: curves, boxes, arrows and lines."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, Rectangle

from minigen import plots
from minigen.plots.style import FREE

# -------------------------------------------------------------------------------------------------------------------- curves

theta = np.linspace(-1.0, 1.0, 5)
infinite = np.where(theta == 0, 0.0, np.inf)
jump = np.where(theta == 0, np.nan, 1.0)


def curves(**changes):
    arguments = {
        "values": {"points": {"W1": np.abs(theta), "TV": jump, "KL(p || q)": infinite}, "other": {"W1": theta**2}},
        "gradients": {
            "points": {"W1": np.sign(theta), "TV": 0 * jump, "KL(p || q)": np.nan * theta},
            "other": {"W1": 2 * theta},
        },
        "limits": (2.0, 1.5),
    }
    return plots.divergence_curves(theta, **arguments | changes)


def test_values_stand_above_their_gradients():
    figure = curves(dots={"points": [(0.0, 0.25)]})
    points, other, points_slope, other_slope = figure.axes
    assert (points.get_title(), other.get_title()) == ("points", "other")
    w1, tv, kl, _, dot = points.lines
    assert [line.get_label() for line in (w1, tv, kl)] == ["W1", "TV", "KL(p || q)"]
    np.testing.assert_array_equal(w1.get_ydata(), np.abs(theta))
    np.testing.assert_array_equal(tv.get_ydata(), jump)
    assert (*dot.get_xdata(), *dot.get_ydata()) == (0.0, 0.25)
    np.testing.assert_array_equal(points_slope.lines[0].get_ydata(), np.sign(theta))
    np.testing.assert_array_equal(other.lines[0].get_ydata(), theta**2)
    np.testing.assert_array_equal(other_slope.lines[0].get_ydata(), 2 * theta)
    for value, slope in zip(points.lines[:3], points_slope.lines, strict=True):
        assert (value.get_color(), value.get_linestyle()) == (slope.get_color(), slope.get_linestyle())
    assert points.get_ylim()[1] == 2.0
    assert points_slope.get_ylim() == (-1.5, 1.5)


def test_infinity_runs_along_the_upper_edge():
    points, other = curves().axes[:2]
    finite, edge = points.lines[2:]
    np.testing.assert_array_equal(np.isnan(finite.get_ydata()), np.isinf(infinite))
    np.testing.assert_array_equal(np.isnan(edge.get_ydata()), ~np.isinf(infinite))
    assert edge.get_color() == finite.get_color()
    points.figure.draw_without_rendering()
    height = edge.get_transform().transform([[0.0, edge.get_ydata()[0]]])[0, 1]
    assert 0.9 < (height - points.bbox.y0) / points.bbox.height < 1
    assert [text.get_text() for text in points.texts] == [r"$\infty$"]
    assert not other.texts


def test_curves_that_may_coincide_differ_in_color_and_line():
    strokes = plots.transport.DISTANCES.values()
    assert len({line.color for line in strokes}) == len(strokes)
    for pair in (
        ("JS", "TV"),
        ("W1", "TV"),
        ("KL(p || q)", "KL(q || p)"),
    ):  # when disjoint, when shifted, when infinite
        first, second = (plots.transport.DISTANCES[name].linestyle for name in pair)
        assert first != second


def test_curves_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="expected the same names in the same order"):
        curves(gradients={"points": {"W1": theta}})
    with pytest.raises(ValueError, match=r"divergence_curves: values\['a'\]\['W1'\] has shape \(4,\), expected \(5,\)"):
        curves(values={"a": {"W1": theta[1:]}}, gradients={"a": {"W1": theta}})


# --------------------------------------------------------------------------------------------------------------------- boxes

x, y = np.array([1, 2, 3]), np.array([5, 6, 7])
SORTED = np.array([[1, 2, 0], [0, 0, 2], [0, 0, 1]])
REVERSED = np.array([[0, 0, 3], [0, 2, 0], [1, 0, 0]])


def plans(**changes):
    return plots.transport_plans(x, y, plans={"sorted": SORTED, "reversed": REVERSED} | changes)


def boxes(panel):
    """The boxes drawn: place, bottom, colour."""
    drawn = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    return [(b.get_x() + b.get_width() / 2, b.get_y(), to_hex(b.get_facecolor()).upper()) for b in drawn]


def arrows(panel):
    """The arrows' ends and widths."""
    drawn = [patch for patch in panel.patches if isinstance(patch, FancyArrowPatch)]
    return [(*arrow._posA_posB, arrow.get_linewidth()) for arrow in drawn]


@pytest.mark.parametrize(("row", "plan"), [(0, SORTED), (1, REVERSED)])
def test_every_box_leaves_p_and_arrives_at_q_in_its_colour(row, plan):
    piles = plans().axes[2 * row]
    drawn = boxes(piles)
    for i, j in np.ndindex(3, 3):
        color = FREE[i].color
        arrived = [place for place, bottom, c in drawn if bottom < 0 and c == color and place == pytest.approx(y[j])]
        assert len(arrived) == plan[i, j]
        left = [place for place, bottom, c in drawn if bottom > 0 and c == color]
        assert left == pytest.approx([x[i]] * plan[i].sum())
    places = [(place, bottom) for place, bottom, _ in drawn]
    assert len(set(places)) == len(places) == 2 * plan.sum()  # no box upon another


@pytest.mark.parametrize(("row", "plan", "crossings"), [(0, SORTED, 0), (1, REVERSED, 3)])
def test_an_arrow_for_each_entry_of_the_plan(row, plan, crossings):
    piles = plans().axes[2 * row]
    drawn = arrows(piles)
    entries = [tuple(map(int, entry)) for entry in np.argwhere(plan)]
    assert len(drawn) == len(entries)
    for (start, end, width), (i, j) in zip(drawn, entries, strict=True):
        assert abs(start[0] - x[i]) < 0.46  # below its pile, and over its hole
        assert abs(end[0] - y[j]) < 0.46
        assert start[1] > end[1]
        assert width == 1.5 + 1.5 * plan[i, j]
    assert [text.get_text() for text in piles.texts][: len(drawn)] == [str(plan[entry]) for entry in entries]
    found = sum(
        (first[0][0] - second[0][0]) * (first[1][0] - second[1][0]) < 0
        for first, second in itertools.combinations(drawn, 2)
    )
    assert found == crossings


def test_the_matrix_has_its_marginals():
    matrix = plans().axes[1]
    texts = {tuple(np.round(text.get_position(), 3)): text.get_text() for text in matrix.texts}
    for i, j in np.ndindex(3, 3):
        assert texts[j, i] == str(SORTED[i, j])
    right, below = max(column for column, _ in texts), max(row for _, row in texts)
    assert [texts[right, i] for i in range(3)] == ["3", "2", "1"]
    assert [texts[j, below] for j in range(3)] == ["1", "2", "3"]
    assert [label.get_text() for label in matrix.get_xticklabels()] == ["5", "6", "7"]
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["1", "2", "3"]


def test_plans_that_are_no_boxes_are_refused():
    with pytest.raises(ValueError, match=r"plans\['sorted'\] has shape \(2, 3\), expected \(n, m\) = \(3, 3\)"):
        plans(sorted=SORTED[1:])
    with pytest.raises(ValueError, match=r"plans\['sorted'\] has entries that are not whole numbers of boxes"):
        plans(sorted=SORTED + 0.5)
    with pytest.raises(ValueError, match="not whole numbers of boxes"):
        plans(sorted=-SORTED)
    with pytest.raises(ValueError, match="different marginals, expected one p and one q"):
        plans(sorted=2 * SORTED)


# ----------------------------------------------------------------------------------------------------------------- the plane

places, wanted = np.array([[0.0, 0.0], [4.0, 2.0]]), np.array([[1.0, 3.0], [5.0, 0.0]])
ONE, OTHER = np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 2.0], [1.0, 1e-17]])


def plane(**changes):
    arguments = {"a": [3, 1], "b": [2, 2], "plans": {"one": ONE, "other": OTHER}}
    return plots.planar_plans(places, wanted, **arguments | changes)


def test_lines_are_as_wide_as_the_mass_that_takes_them():
    for panel, plan in zip(plane().axes, (ONE, OTHER), strict=True):
        entries = np.argwhere(plan > 1e-9)  # a rounding error is no line
        assert len(panel.lines) == len(entries) == 3
        for line, (i, j) in zip(panel.lines, entries, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), [places[i], wanted[j]])
            assert line.get_linewidth() / panel.lines[0].get_linewidth() == pytest.approx(plan[i, j] / plan[0, 0])


def test_discs_have_the_area_of_their_mass():
    p, q = plane().axes[0].collections
    np.testing.assert_array_equal(p.get_offsets(), places)
    np.testing.assert_array_equal(q.get_offsets(), wanted)
    np.testing.assert_allclose(np.concatenate([p.get_sizes(), q.get_sizes()]) / p.get_sizes()[1], [3, 1, 2, 2])


def test_plane_plans_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"planar_plans: a has shape \(2, 1\), expected \(2,\)"):
        plane(a=[[3], [1]])
    with pytest.raises(ValueError, match=r"planar_plans: x has shape \(2, 2\), expected \(3, 2\)"):
        plane(a=[3, 1, 1])
    with pytest.raises(ValueError, match=r"planar_plans: plans\['one'\] has shape \(1, 2\), expected \(2, 2\)"):
        plane(plans={"one": ONE[1:]})
