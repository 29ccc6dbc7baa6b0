"""The squared error of images, against sums by hand."""

import numpy as np
import pytest

from minigen.metrics import squared_error


def test_it_is_a_sum_over_pixels_and_a_mean_over_images():
    images = np.zeros((4, 3, 2, 1), np.float32)
    made = images.copy()
    made[0], made[1, 0, 0] = 0.5, 2.0
    assert squared_error(made, images) == (6 / 4 + 4) / 4
    assert squared_error(images, images) == 0


def test_it_is_summed_in_double_precision():
    images = np.zeros((1, 2000, 2000, 1), np.float32)
    made = np.full_like(images, 0.1)
    assert squared_error(made, images) == pytest.approx(4e6 * float(np.float32(0.1)) ** 2, rel=1e-12)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"squared_error: made is \(2, 3\), images are \(3,\)"):
        squared_error(np.zeros((2, 3)), np.zeros(3))
