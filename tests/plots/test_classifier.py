"""The pictures of a classifier: every filter beside its map, every count in its cell, and the worst mistakes in their order."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minigen import plots
from minigen.plots.style import BLUE, VERMILLION

rng = np.random.default_rng(0)


# --------------------------------------------------------------------------------------------------------- filters and maps


def test_filters_and_maps_stand_at_the_same_places_unchanged():
    image, filters, maps = rng.normal(size=(9, 6)), rng.normal(size=(3, 3, 5)), rng.uniform(size=(9, 6, 5))
    original, weights, seen = plots.filters_and_maps(image, filters=filters, maps=maps).axes[:3]
    np.testing.assert_array_equal(original.images[0].get_array(), image)
    for panel, tiles in ((weights, filters), (seen, maps)):
        assert len(panel.images) == 5
        for k, drawn in enumerate(panel.images):
            np.testing.assert_array_equal(drawn.get_array(), tiles[..., k])
    for a, b in zip(weights.images, seen.images, strict=True):
        # Tiles of another shape are as wide, and in the same column; their rows are as much higher.
        (left, right, bottom, top), (left_b, right_b, bottom_b, top_b) = a.get_extent(), b.get_extent()
        assert (left, right) == (left_b, right_b)
        np.testing.assert_allclose([bottom_b, top_b], [1.5 * bottom, 1.5 * top])


def test_no_tiles_overlap_and_all_are_inside_the_panel():
    figure = plots.filters_and_maps(np.eye(8), filters=np.ones((5, 5, 7)), maps=np.ones((8, 8, 7)))
    for panel in figure.axes[1:3]:
        (x0, x1), (y1, y0) = panel.get_xlim(), panel.get_ylim()
        extents = [drawn.get_extent() for drawn in panel.images]
        for i, (left, right, bottom, top) in enumerate(extents):
            assert x0 < left < right < x1
            assert y0 < top < bottom < y1
            for other in extents[:i]:
                assert left >= other[1] or right <= other[0] or top >= other[2] or bottom <= other[3]


def test_a_weight_of_zero_is_white_and_one_scale_holds_for_all_filters():
    filters = np.zeros((3, 3, 2))
    filters[0, 0, 0], filters[1, 1, 1] = -0.5, 2.0
    weights = plots.filters_and_maps(np.eye(4), filters=filters, maps=np.ones((4, 4, 2))).axes[1]
    first, second = weights.images
    assert first.get_clim() == second.get_clim() == (-2.0, 2.0)
    np.testing.assert_allclose(second.to_rgba([0.0])[0][:3], 1.0, atol=0.01)
    np.testing.assert_allclose(second.to_rgba([-2.0, 2.0])[:, :3], [to_rgb(BLUE), to_rgb(VERMILLION)], atol=0.01)


def test_filters_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"filters \(kh, kw, K\) are \(3, 3, 2\), maps \(P, Q, K\) are \(4, 4, 3\)"):
        plots.filters_and_maps(np.eye(4), filters=np.ones((3, 3, 2)), maps=np.ones((4, 4, 3)))
    with pytest.raises(ValueError, match=r"image \(H, W\) is \(4, 4, 1\)"):
        plots.filters_and_maps(np.ones((4, 4, 1)), filters=np.ones((3, 3, 2)), maps=np.ones((4, 4, 2)))


# --------------------------------------------------------------------------------------------------------- confusion matrix

COUNTS = np.array([[90, 0, 10], [1, 7, 0], [0, 5, 995]])


def test_every_count_stands_in_its_cell_true_classes_being_rows():
    (axes,) = plots.confusion_matrix(COUNTS, classes=("ash", "oak", "elm")).axes
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(j, i): str(COUNTS[i, j]) for i, j in np.argwhere(COUNTS)}
    assert axes.get_ylim() == (2.5, -0.5)  # the first class above
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ash", "oak", "elm"]
    (shares,) = axes.child_axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["90.0 %", "87.5 %", "99.5 %"]


def test_right_ones_are_blue_and_mistakes_red_the_more_the_darker():
    (axes,) = plots.confusion_matrix(COUNTS, classes="abc").axes
    cells = {(round(p.get_y() + 0.5), round(p.get_x() + 0.5)): p.get_facecolor() for p in axes.patches}
    for (i, j), color in cells.items():
        assert color[:3] == to_rgb(BLUE if i == j else VERMILLION)
    assert cells[0, 2][3] > cells[2, 1][3] > cells[1, 0][3] > 0.2


def test_a_classifier_without_mistakes_has_a_matrix_too():
    (axes,) = plots.confusion_matrix(3 * np.eye(4), classes="abcd").axes
    assert [text.get_text() for text in axes.texts] == ["3"] * 4


def test_a_class_without_images_has_an_empty_row():
    (axes,) = plots.confusion_matrix([[1, 0], [0, 0]], classes="ab").axes
    (shares,) = axes.child_axes
    assert [label.get_text() for label in shares.get_yticklabels()] == ["100.0 %", "no image"]


def test_counts_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"counts have shape \(3, 3\), expected \(2, 2\) for 2 classes"):
        plots.confusion_matrix(COUNTS, classes="ab")


# ----------------------------------------------------------------------------------------------------------- worst mistakes


@pytest.mark.parametrize("count", [4, 100])
def test_the_worst_mistakes_come_first_and_right_ones_never(count):
    n, k = 60, 5
    images, labels = rng.uniform(size=(n, 8, 8)), rng.integers(0, k, n)
    p = rng.dirichlet(np.ones(k), size=n)
    wrong = [i for i in range(n) if p[i].argmax() != labels[i]]
    worst = sorted(wrong, key=lambda i: p[i, labels[i]])[:count]
    figure = plots.worst_mistakes(images, labels=labels, log_probabilities=np.log(p), classes="abcde", count=count)
    assert len(figure.axes) == len(worst)
    for panel, i in zip(figure.axes, worst, strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), images[i])
        assert panel.get_title().startswith("abcde"[p[i].argmax()])
        assert panel.get_xlabel().startswith(f"true: {'abcde'[labels[i]]} (")


def test_probabilities_are_never_rounded_to_nothing_or_to_certainty():
    log_p = np.array([[-1e-9, -800.0, -800.0], [np.log(0.02), np.log(0.98), -50.0]])
    figure = plots.worst_mistakes(np.ones((2, 4, 4)), labels=[2, 0], log_probabilities=log_p, classes="abc")
    assert [panel.get_title() for panel in figure.axes] == ["a (>99 %)", "b (98 %)"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["true: c (<1 %)", "true: a (2 %)"]


def test_where_there_are_no_mistakes_the_picture_says_so():
    figure = plots.worst_mistakes(np.ones((2, 4, 4)), labels=[0, 1], log_probabilities=np.eye(2), classes="ab")
    assert [text.get_text() for text in figure.texts] == ["no mistakes"]
    assert not figure.axes


def test_images_with_a_channel_axis_and_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"images \(N, H, W\) are \(2, 4, 4, 1\)"):
        plots.worst_mistakes(np.ones((2, 4, 4, 1)), labels=[0, 1], log_probabilities=np.eye(2), classes="ab")
    with pytest.raises(ValueError, match=r"labels \(N,\) \(1,\)"):
        plots.worst_mistakes(np.ones((2, 4, 4)), labels=[0], log_probabilities=np.eye(2), classes="ab")
