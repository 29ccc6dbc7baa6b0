"""Lessons about points in the plane: the units in which networks see them, and which modes of a mixture generated points cover."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import metrics, plots
from minigen.data import PlanarMixture
from minigen.engine import Tensor
from minigen.lessons.frame import TrainingLesson
from minigen.lessons.settings import TrainingSettings
from minigen.random import Generator
from minigen.training import History, shared_steps

SCALE = 2.0  # the data's standard deviation in the networks' units
EVALUATED, DRAWN = 2_500, 500  # points that are judged; points in a panel
PANELS = (0.025, 0.1, 0.25, 0.5, 1.0)  # the columns of a picture, as shares of the steps
HIGH_QUALITY = 1 - math.exp(-9 / 2)  # the share of exact samples within three standard deviations of their mode
COVERAGE = ("modes", "high_quality")  # the figures of `metrics.mode_coverage`

T = TypeVar("T", bound=TrainingSettings)


class PlanarLesson(TrainingLesson[T]):
    """A lesson whose model generates points of a mixture of Gaussians.

    Networks see the data in units of their own, in which it has mean 0 and standard deviation 2.

    Attributes:
        density: that is learned.
        unit: one unit of the networks in the data's units.
        frames: some generated points at each row of the history; a part of the run.
    """

    def __init__(self, settings: T, density: PlanarMixture) -> None:
        super().__init__(settings)
        self.density = density
        self.unit = density.standard_deviation / SCALE
        self.frames = History()

    def batches(self, batch_size: int, rng: Generator) -> Iterator[Tensor]:
        """Draw fresh points in the networks' units, (batch_size, 2), forever."""
        while True:
            x = (self.density.sample(batch_size, rng) - self.density.mean) / self.unit
            yield ops.tensor(x, dtype="float32", device=self.device)

    def from_network(self, x: Tensor) -> NDArray[Any]:
        """Return points in the data's units, (n, 2), on the CPU."""
        return x.detach().to("cpu").numpy() * self.unit + self.density.mean

    def generated(self, n: int) -> NDArray[Any]:
        """Return n points that the model generates, in the data's units, made of the same noise each time, (n, 2)."""
        raise NotImplementedError

    def monitor(self) -> dict[str, float]:
        """Count the modes that are covered, and keep some points for the pictures."""
        points = self.generated(EVALUATED)
        self.frames.record(self.runs[0].step, samples=[float(f"{number:.4g}") for number in points[:DRAWN].ravel()])
        return metrics.mode_coverage(points, self.density.centres, self.density.scale)._asdict()

    def coverage(self) -> dict[str, float]:
        """Return the figures of the last row."""
        return {name: self.runs[0].history.column(name)[-1] for name in COVERAGE}

    def panels(self) -> list[tuple[dict[str, Any], NDArray[Any]]]:
        """Return some rows of the history, each with the points that were kept, (DRAWN, 2)."""
        history, steps = self.runs[0].history, self.settings.steps
        recorded = np.array(history.column("step"))
        chosen = [int(np.abs(recorded + 1 - share * steps).argmin()) for share in PANELS]
        return [(history.rows[i], np.reshape(self.frames.rows[i]["samples"], (-1, 2))) for i in chosen]


def sample_panels(lessons: Mapping[str, PlanarLesson[Any]], *, title: str) -> Figure:
    """Draw what models of one mixture generate in the course of their training, a row for each label."""
    density = next(iter(lessons.values())).density
    panels = {label: lesson.panels() for label, lesson in lessons.items()}
    caption = f"{{modes:.0f}} of {len(density.centres)}, {{high_quality:.0%}}"
    return plots.sample_panels(
        {label: [points for _, points in found] for label, found in panels.items()},
        headings=[f"step {row['step'] + 1:,}" for row, _ in next(iter(panels.values()))],
        captions={label: [caption.format(**row) for row, _ in found] for label, found in panels.items()},
        centres=density.centres,
        limits=density.limits,
        title=f"{title}: modes covered, samples at a mode",
    )


def coverage_curves(lessons: Mapping[str, Sequence[PlanarLesson[Any]]], *, title: str) -> Figure:
    """Draw how the coverage of one mixture develops during training: a curve for each label, and a band over its runs."""
    histories = {label: [lesson.runs[0].history for lesson in found] for label, found in lessons.items()}
    steps = shared_steps([history for found in histories.values() for history in found])
    curves = {
        name: {label: [history.at(steps, name) for history in found] for label, found in histories.items()}
        for name in COVERAGE
    }
    total = len(next(iter(lessons.values()))[0].density.centres)
    return plots.coverage_curves(steps, **curves, total=total, ceiling=HIGH_QUALITY, title=title)


def spread(values: Sequence[float]) -> str:
    """Return the mean of some runs, and their standard deviation if there are several.

    Example:
        >>> spread([7.0]), spread([7.0, 9.0])
        ('7.0', '8.0 ± 1.4')
    """
    mean = f"{np.mean(values):.1f}"
    return f"{mean} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else mean
