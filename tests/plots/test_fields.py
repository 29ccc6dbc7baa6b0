"""Pictures over the sites of an image, and of orderings: what is drawn is what was given, on one scale; what is refused."""

import numpy as np
import pytest
from matplotlib.colors import Normalize

from minigen import plots


def drawn_in(figure):
    return [panel for panel in figure.axes if panel.images]


def test_signed_images_are_on_one_scale_around_zero_with_their_marks():
    images = np.random.default_rng(0).normal(size=(5, 3, 4))
    marks = [(0, 0), (1, 2), (2, 3), (0, 1), (2, 0)]
    panels = drawn_in(plots.signed_images(images, marks=marks, title="weights"))
    assert len(panels) == 5
    for panel, image, (row, column) in zip(panels, images, marks, strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), image)
        largest = np.abs(images).max()
        assert panel.images[0].get_clim() == (-largest, largest)
        (frame,) = panel.patches
        assert frame.get_xy() == (column - 0.5, row - 0.5)


def test_a_single_large_weight_does_not_fade_the_others():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 10, 10))
    images[0, 0, 0] = 100.0
    panel, *_ = drawn_in(plots.signed_images(images))
    assert panel.images[0].get_clim()[1] <= 1.0


def test_hidden_weights_have_no_say_in_the_scale():
    images = np.zeros((1, 100, 10))
    images[0, 0, 0] = 2.0
    (panel,) = drawn_in(plots.signed_images(images))
    assert panel.images[0].get_clim() == (-2.0, 2.0)
    (panel,) = drawn_in(plots.signed_images(np.zeros((1, 2, 2))))
    assert panel.images[0].get_clim() == (-1.0, 1.0)


def test_site_costs_share_a_scale_from_zero():
    costs = [("row by row", np.array([[0.1, 0.4]])), ("at random", np.array([[0.7, 0.2]]))]
    figure = plots.site_costs(costs, title="costs")
    panels = drawn_in(figure)
    assert [panel.get_title() for panel in panels] == ["row by row", "at random"]
    for panel, (_, cost) in zip(panels, costs, strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), cost)
        assert isinstance(panel.images[0].norm, Normalize)
        assert panel.images[0].get_clim() == (0.0, 0.7)


def test_ordering_costs_draws_each_their_mean_and_the_mixture():
    (axes,) = plots.ordering_costs([90.0, 92.0, 91.0], mixture=89.0).axes
    dots, mean, mixture = axes.lines
    np.testing.assert_array_equal(dots.get_xydata(), [[1, 90], [2, 92], [3, 91]])
    assert set(mean.get_ydata()) == {91.0}
    assert set(mixture.get_ydata()) == {89.0}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plots.signed_images(np.zeros((2, 3))), r"images of shape \(2, 3\), expected \(N, H, W\)"),
        (lambda: plots.signed_images(np.zeros((2, 3, 3)), marks=[(0, 0)]), "and 1 marks, expected none or N"),
        (lambda: plots.site_costs([("a", np.zeros((2, 3))), ("b", np.zeros((3, 2)))]), "expected one shape"),
        (lambda: plots.site_costs([]), "expected one shape"),
        (lambda: plots.ordering_costs([], mixture=1.0), r"expected \(M,\) with M at least 1"),
    ],
)
def test_other_shapes_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
