"""Pictures made of images: every pixel in its place, ink dark, colours as they are, labels beside their rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import plots

from .mosaics import cells_of

rng = np.random.default_rng(0)


@settings(max_examples=15)
@given(
    n=st.integers(1, 13),
    columns=st.integers(1, 5),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    c=st.sampled_from([1, 3]),
)
def test_every_pixel_of_a_grid_is_in_its_place_and_empty_places_are_paper(n, columns, height, width, c):
    images = rng.uniform(size=(n, height, width, c))
    (axes,) = plots.image_grid(images, columns=columns).axes
    cells = cells_of(axes, (height, width))
    assert cells.shape[:2] == (-(-n // columns), columns)
    for i, cell in enumerate(cells.reshape(-1, height, width, 3)):
        if i >= n:
            assert (cell == 1).all()
        else:
            np.testing.assert_allclose(cell, images[i] if c == 3 else 1 - images[i].repeat(3, axis=2))


def test_a_grid_is_about_square():
    (axes,) = plots.image_grid(np.zeros((10, 2, 2, 1))).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 4), (3, 0))


def test_values_beyond_the_unit_interval_are_drawn_as_its_ends():
    (axes,) = plots.image_grid(np.array([-0.5, 0.25, 1.5]).reshape(3, 1, 1, 1), columns=3).axes
    np.testing.assert_array_equal(cells_of(axes, (1, 1))[0, :, 0, 0, 0], [1.0, 0.75, 0.0])


def test_pixels_are_square():
    for size in ((2, 6), (6, 2)):
        figure = plots.image_grid(np.zeros((6, *size, 1)), columns=3)
        figure.draw_without_rendering()
        box, (high, wide) = figure.axes[0].get_window_extent(), np.add(size, 2)  # with their margins
        np.testing.assert_allclose(box.height / box.width, 2 * high / (3 * wide), rtol=1e-6)


def test_rows_have_their_labels_and_columns_theirs():
    grey, coloured = rng.uniform(size=(3, 4, 4, 1)), rng.uniform(size=(2, 4, 4, 3))
    (axes,) = plots.image_rows(
        [("originals", grey), ("samples", coloured)], columns=["a", "b", "c"], columns_label="class"
    ).axes
    rows = dict(zip(axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()], strict=True))
    assert rows == {0.5: "originals", 1.5: "samples"}
    columns = dict(zip(axes.get_xticks(), [label.get_text() for label in axes.get_xticklabels()], strict=True))
    assert columns == {0.5: "a", 1.5: "b", 2.5: "c"}
    assert axes.get_xlabel() == "class"
    cells = cells_of(axes, (4, 4))
    np.testing.assert_allclose(cells[0, ..., 0], 1 - grey[..., 0])
    np.testing.assert_allclose(cells[1, :2], coloured)
    assert (cells[1, 2] == 1).all()


def test_margins_grow_with_the_images():
    (axes,) = plots.image_grid(np.ones((2, 48, 64, 1)), columns=2).axes
    assert axes.images[0].get_array().shape == (48 + 6, 2 * (64 + 6), 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 8, 8)), r"image_grid: images has shape \(3, 8, 8\), expected \(N, H, W, 1\) or \(N, H, W, 3\)"),
        (np.zeros((3, 8, 8, 2)), r"\(3, 8, 8, 2\)"),
        (np.zeros((0, 8, 8, 1)), "N at least 1"),
    ],
)
def test_other_shapes_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(images)


def test_rows_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"image_rows: images of sizes .*; expected rows, all of one size"):
        plots.image_rows([("a", np.zeros((2, 8, 8, 1))), ("b", np.zeros((2, 8, 4, 1)))])
    with pytest.raises(ValueError, match="image_rows: 'b' has shape"):
        plots.image_rows([("a", np.zeros((2, 8, 8, 1))), ("b", np.zeros((2, 8, 8)))])
    with pytest.raises(ValueError, match="image_rows: 2 labels of columns for rows of 3 images"):
        plots.image_rows([("a", np.zeros((3, 8, 8, 1)))], columns="ab")
