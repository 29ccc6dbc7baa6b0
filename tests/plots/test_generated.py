"""Pictures by which generated images are judged."""

import numpy as np
import pytest

from minigen import plots

from .mosaics import cells_of


def test_samples_stand_above_their_nearest_images_and_the_distances_below():
    rng = np.random.default_rng(0)
    samples, nearest = rng.uniform(size=(2, 5, 8, 6, 3))
    distances = {"samples": rng.uniform(1, 2, 100), "test images": rng.uniform(2, 3, 50)}
    figure = plots.nearest_training_images(samples, nearest, distances=distances, title="GAN")
    images, histogram = figure.axes
    shown = cells_of(images, (8, 6))
    np.testing.assert_allclose(shown[0, 3], samples[3])
    np.testing.assert_allclose(shown[1, 3], nearest[3])
    assert [text.get_text() for text in histogram.get_legend().get_texts()] == ["samples", "test images"]
    assert histogram.get_ylabel() == "density"
    bars, outline = histogram.patches
    assert (bars.get_fill(), outline.get_fill()) == (True, False)
    assert outline.get_xy()[:, 0].max() == pytest.approx(max(map(np.max, distances.values())))  # all are in sight
    plots.nearest_training_images(samples, nearest, distances={"samples": np.ones(5)})  # all alike
    with pytest.raises(ValueError, match=r"samples are \(5, 8, 6, 3\), their nearest images \(4, 8, 6, 3\)"):
        plots.nearest_training_images(samples, nearest[:4], distances=distances)
    with pytest.raises(
        ValueError, match=r"numbers of distances \{'samples': 0\}; expected labels, each with at least one"
    ):
        plots.nearest_training_images(samples, nearest, distances={"samples": []})


def test_few_large_samples_do_not_fill_the_page():
    figure = plots.nearest_training_images(*np.zeros((2, 2, 64, 64, 3)), distances={"samples": [1.0]})
    assert figure.get_figheight() < 8


def test_the_thresholds_stand_at_their_points():
    figure = plots.fidelity_and_variety(
        [0.3, 2.0], precision=[0.9, 0.7], recall=[0.2, 0.8], reference=(0.85, 0.9), title="GAN"
    )
    (axes,) = figure.axes
    curve, star = axes.lines
    np.testing.assert_allclose(curve.get_xydata(), [[0.2, 0.9], [0.8, 0.7]])
    np.testing.assert_allclose(star.get_xydata(), [[0.9, 0.85]])
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("0.3", (0.2, 0.9)), ("2", (0.8, 0.7))]
    close = plots.fidelity_and_variety([1.5, 2.0], precision=[0.8, 0.79], recall=[0.7, 0.71])
    close.draw_without_rendering()
    first, second = (text.get_window_extent() for text in close.axes[0].texts)
    assert not first.overlaps(second)
    with pytest.raises(ValueError, match="fidelity_and_variety: recall"):
        plots.fidelity_and_variety([0.3, 2.0], precision=[0.9, 0.7], recall=[0.2])


def test_each_seed_of_each_loss_has_a_line_and_a_dot():
    courses = {"hinge": [([0, 10], [9.0, 3.0]), ([0, 10], [8.0, 4.0])], "minimax": [([0, 12], [7.0, 5.0])]}
    final = {"hinge": [3.0, 4.0], "minimax": [5.0]}
    training, end = plots.loss_comparison(courses, final=final, floor=1.0, title="losses").axes
    assert len(training.lines) == 3 + 1
    np.testing.assert_allclose(training.lines[1].get_ydata(), [8.0, 4.0])
    assert [label.get_text() for label in end.get_yticklabels()] == ["hinge", "minimax"]
    np.testing.assert_allclose(end.lines[0].get_xydata(), [[3.0, 0], [4.0, 0]])
    np.testing.assert_allclose(end.lines[1].get_xydata(), [[3.5, 0]])  # the mean
    assert {line.get_color() for line in training.lines[:2]} == {end.lines[0].get_color()}
    assert [text.get_text() for text in training.figure.legends[0].get_texts()] == ["hinge", "minimax", "real images"]
    with pytest.raises(ValueError, match=r"loss_comparison: courses\['hinge'\]\[0\] has shape \(1,\), expected \(2,\)"):
        plots.loss_comparison({"hinge": [([0, 10], [9.0])]}, final={"hinge": [9.0]}, floor=1.0)
    with pytest.raises(ValueError, match=r"courses of \['hinge', 'minimax'\], final distances of \['hinge'\]"):
        plots.loss_comparison(courses, final={"hinge": [1.0]}, floor=1.0)
