"""Distances of pixels, by hand and against loops over all pairs."""

import numpy as np
import pytest

from minigen.data import Images, load_images
from minigen.metrics import pixel_distances, shifted


def test_shifted_images_lose_what_leaves_on_the_right():
    images = np.arange(1, 13).reshape(1, 2, 3, 2)
    assert shifted(images, 2).tolist() == [[[[0, 0], [0, 0], [1, 2]], [[0, 0], [0, 0], [7, 8]]]]
    np.testing.assert_array_equal(shifted(images, 0), images)
    np.testing.assert_array_equal(shifted(images[..., 0], 1), shifted(images, 1)[..., 0])


def test_distances_by_hand():
    pixels = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1]], np.uint8).reshape(4, 1, 3, 1)
    found = pixel_distances(Images("rows", pixels, np.array([0, 0, 1, 1]), ("a", "b"), levels=2), shifts=(0, 1))
    assert found.shifted == [0, (2 + 1 + 2 + 3) / 4]
    assert (found.same, found.other) == (1, 2)
    assert found.example == (3, 1)  # 101 and 010 differ in three pixels, 101 and 011 in two


def test_digits_against_a_loop():
    _, test = load_images("digits")
    found = pixel_distances(test, most=50)
    images, labels = test.unit()[..., 0].astype(np.float64), test.labels
    same, other = [], []
    for i in range(50):
        squares = ((images - images[i]) ** 2).sum(axis=(1, 2))
        squares[i] = np.inf
        same.append(squares[labels == labels[i]].min())
        other.append(squares[labels != labels[i]].min())
    assert found.same == pytest.approx(np.mean(same), rel=1e-4)
    assert found.other == pytest.approx(np.mean(other), rel=1e-4)
    first, nearest = found.example
    assert ((images[first] - images[nearest]) ** 2).sum() == pytest.approx(other[first])
    assert labels[first] != labels[nearest]


def test_images_of_one_class_are_refused():
    _, test = load_images("digits")
    with pytest.raises(ValueError, match="all images are of one class"):
        pixel_distances(test.take(test.labels == 3))


def test_an_image_that_is_the_only_one_of_its_class_has_no_distance_to_its_like():
    images = np.zeros((3, 1, 2, 1), np.uint8)
    images[1, 0, 0], images[2, 0, 1] = 3, 4
    found = pixel_distances(Images("three", images, np.array([0, 0, 1]), ("a", "b"), levels=2), shifts=(0,))
    assert found.same == 9.0
    assert np.isnan(
        pixel_distances(Images("two", images[1:], np.array([0, 1]), ("a", "b"), levels=2), shifts=(0,)).same
    )


def test_equal_images_of_two_classes_have_the_distance_0():
    found = pixel_distances(Images("black", np.zeros((4, 2, 2, 1), np.uint8), np.arange(4) % 2, ("a", "b"), levels=2))
    assert (found.same, found.other, found.shifted) == (0.0, 0.0, [0.0] * 4)
