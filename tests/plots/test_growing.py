"""The moving picture of images that grow: every frame shows its images."""

import numpy as np
import pytest

from minigen import plots

from .mosaics import cells_of


def test_frames_show_the_images_so_far_and_how_many_pixels_there_are():
    rng = np.random.default_rng(0)
    images = [rng.uniform(size=(3, 4, 5, 1)) for _ in range(3)]
    animation = plots.growing_images(list(zip((1, 10, 20), images, strict=True)), columns=2)
    axes = animation.figure.axes[0]
    assert animation.frames == 3
    for i, pixels in enumerate((1, 10, 20)):
        animation.draw(i)
        shown = cells_of(axes, (4, 5))
        np.testing.assert_allclose(shown[0, 1, ..., 0], 1 - images[i][1, ..., 0])  # ink on paper
        np.testing.assert_allclose(shown[1, 1], 1.0)  # no fourth image
        assert axes.get_title(loc="right") == f"{pixels} of 20 pixels"


def test_frames_of_a_training_show_their_labels():
    images = [np.full((2, 3, 3, 3), shade) for shade in (0.25, 0.75)]
    animation = plots.moving_images(list(zip(("step 0", "step 10"), images, strict=True)), columns=2, title="GAN")
    axes = animation.figure.axes[0]
    for i, label in enumerate(("step 0", "step 10")):
        animation.draw(i)
        np.testing.assert_allclose(cells_of(axes, (3, 3))[0, 1], images[i][1])
        assert axes.get_title(loc="right") == label


def test_frames_of_other_images_are_refused():
    with pytest.raises(ValueError, match=r"frames of shapes \[\(1, 2, 2, 1\), \(1, 3, 2, 1\)\]"):
        plots.growing_images([(1, np.zeros((1, 2, 2, 1))), (2, np.zeros((1, 3, 2, 1)))])
