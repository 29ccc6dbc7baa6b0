"""Lessons about points in the plane: the networks' units, what is recorded of generated points, which rows are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from minigen.data import ring
from minigen.lessons import PlanarLesson, RunOptions, TrainingSettings, coverage_curves, sample_panels
from minigen.random import Generator


class Exact(PlanarLesson):
    """It generates points of the mixture itself."""

    def generated(self, n):
        return self.density.sample(n, self.evaluation_rng())


@pytest.fixture
def lesson(tmp_path):
    found = Exact(replace(TrainingSettings(), steps=40, run=RunOptions(out=tmp_path)), ring())
    run = found.new_run("exact", rows=40, monitor=found.monitor, parts={"frames": found.frames})
    run.progress, run.checkpoint = False, None
    for step in run:
        run.record(step)
    return found


def test_networks_see_mean_0_and_standard_deviation_2_and_points_come_back(lesson):
    batch = next(lesson.batches(20_000, Generator(0)))
    assert batch.data.dtype == np.float32
    assert batch.shape == (20_000, 2)
    np.testing.assert_allclose(batch.data.mean(axis=0), 0, atol=0.05)
    assert batch.data.std() == pytest.approx(2, rel=0.01)
    np.testing.assert_allclose(lesson.from_network(batch), ring().sample(20_000, Generator(0)), atol=1e-5)


def test_the_mixture_itself_covers_every_mode(lesson):
    assert lesson.coverage()["modes"] == 8
    assert lesson.coverage()["high_quality"] == pytest.approx(1 - np.exp(-9 / 2), abs=0.01)


def test_panels_are_the_rows_nearest_to_shares_of_the_steps(lesson):
    panels = lesson.panels()
    assert [row["step"] + 1 for row, _ in panels] == [1, 4, 10, 20, 40]
    for _, points in panels:
        np.testing.assert_allclose(points, lesson.generated(2_500)[:500], rtol=1e-3)


@pytest.mark.slow
def test_pictures_have_a_row_or_a_curve_for_each_label(lesson):
    figure = sample_panels({"one": lesson, "other": lesson}, title="ring")
    assert len(figure.axes) == 2 * 5
    assert coverage_curves({"one": [lesson, lesson]}, title="ring").axes
