"""The picture of what is seen: each pixel has the colour of what it is to the one that is predicted."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from minigen import plots
from minigen.plots.style import BLACK, BLUE, LIGHT_GREY, ORANGE, SKY, VERMILLION


def drawn(field, pixel):
    figure = plots.receptive_field([("model", field)], pixel=pixel)
    return figure.axes[0].images[0].get_array(), figure.axes[0].get_title()


def test_every_pixel_is_seen_or_blind_or_later_or_the_one():
    field = np.zeros((3, 4))
    field[0, 1], field[1, 0] = 2.0, 2e-9  # far below the largest: still seen
    colours, title = drawn(field, (1, 2))
    expected = np.full((3, 4), LIGHT_GREY, dtype=object)
    expected[0] = expected[1, :2] = ORANGE
    expected[0, 1], expected[1, 0], expected[1, 2] = BLUE, SKY, BLACK
    for place in np.ndindex(3, 4):
        np.testing.assert_allclose(colours[place], to_rgba(expected[place]), atol=0.01)
    assert title == "model: sees 2 of 6"


@pytest.mark.parametrize("place", [(1, 1), (1, 2), (2, 0)])
def test_to_see_the_pixel_itself_or_a_later_one_is_a_mistake_that_shows(place):
    field = np.zeros((3, 3))
    field[0, 0] = 1.0
    expected, title = drawn(field, (1, 1))
    expected[place] = to_rgba(VERMILLION)
    field[place] = 1e-9
    colours, title_with_mistake = drawn(field, (1, 1))
    np.testing.assert_allclose(colours, expected)
    assert title_with_mistake == title == "model: sees 1 of 4"
    figure = plots.receptive_field([("right", np.eye(3) > 2), ("wrong", field)], pixel=(1, 1))
    assert figure.legends[0].get_texts()[-1].get_text() == "seen, not before"


def test_models_stand_side_by_side_and_what_does_not_fit_is_refused():
    before = np.arange(9).reshape(3, 3) < 4
    figure = plots.receptive_field([("a", before), ("b", np.zeros((3, 3)))], pixel=(1, 1), title="both")
    assert [axes.get_title() for axes in figure.axes] == ["a: sees 4 of 4", "b: sees 0 of 4"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "predicted",
        "seen",
        "before, not seen",
        "later",
    ]
    for fields, pixel, message in (
        ([("a", np.ones((3, 3))), ("b", np.ones((3, 4)))], (1, 1), r"shapes \[\(3, 3\), \(3, 4\)\]"),
        ([("a", -np.ones((3, 3)))], (1, 1), "no negative values"),
        ([], (1, 1), "expected one shape"),
        ([("a", np.ones((3, 3)))], (3, 0), r"pixel \(3, 0\) is outside"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.receptive_field(fields, pixel=pixel)
