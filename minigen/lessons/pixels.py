"""Lessons about images that are drawn pixel by pixel, by models whose log-likelihood is exact.

samples       and how they grow, one pixel after the other
completions   of images whose upper half is given
fields        which pixels the prediction of one pixel depends on

Ctrl-C may stop a long drawing; `--sample N` then writes what was drawn so far, and the rest is blank.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minigen import metrics, plots
from minigen.backend import Array
from minigen.data import Batches, BinaryBatches, Images, binarize
from minigen.lessons.frame import Picture, Rows, Samples
from minigen.lessons.images import Binarization, ImageLesson, ImageSettings
from minigen.lessons.settings import Positive
from minigen.models.autoregressive import Autoregressive
from minigen.random import Generator
from minigen.training import drawing, last_drawn

PROTOCOLS: dict[str, Binarization] = {
    "digits": "threshold",
    "mnist": "dynamic",
    "fashion": "dynamic",
}  # of each data set
TRAINING_KEY, TEST_KEY = 0, 1  # of the one static draw of the training images, and of the test images
FRAMES = 40  # of the growing images
PER_CLASS, COMPLETED = 10, 10  # samples of each class, completed test images
COLUMNS = 20  # of samples; where the model has classes, there is a row for each class
LOOKED_AT = 20  # test images over which the dependence on a pixel is averaged


@dataclass(frozen=True, kw_only=True)
class PixelSettings(ImageSettings):
    """Which images are learned pixel by pixel, and how long."""

    binarization: Binarization = "threshold"
    """how grey pixels become bits: drawn once, drawn anew each time, or by rounding; compare likelihoods of the same bits only"""
    learning_rate: Positive = 3e-3  # Adam's at the start; it falls to 0 along half a cosine


P = TypeVar("P", bound=PixelSettings)


class PixelLesson(ImageLesson[P]):
    """A lesson whose model is autoregressive: of p(x), or of p(x|y) with classes y.

    Attributes:
        model: `__init__` of the lesson builds it.
        title: the model and the data, in words; begins the titles of the pictures.
        monitored: test images whose log-likelihood is recorded during training.
        observer: draws the bits of the dynamic protocol that are measured.
        seen: the test images as the model sees them, (N, H, W, C); the same in every run.
    """

    model: Autoregressive
    title: str
    monitored = 200

    def __init__(self, settings: P) -> None:
        super().__init__(settings)
        self.observer = Generator(self.evaluation_seed)
        self.seen = self.observe(self.test, key=TEST_KEY)

    def observe(self, images: Images, *, key: int) -> NDArray[Any]:
        """Return images as the model sees them: as bits.

        Args:
            images: training or test images.
            key: of the one draw of the static protocol.
        """
        return binarize(images.unit(), protocol=self.settings.binarization, rng=self.observer, key=key)

    def new_batches(self) -> Batches:
        """Return minibatches of training images, as the model sees them, and their labels."""
        s, pairs = self.settings, (self.training.unit(), self.training.labels)
        return BinaryBatches(pairs, protocol=s.binarization, batch_size=s.batch_size, rng=self.order, key=TRAINING_KEY)

    def examples(self, batches: Batches) -> Iterator[Any]:
        """Yield images as float32 tensors on the device, (batch_size, H, W, C), with their classes if the model has any."""
        for images, labels in self.on_device((x.astype(np.float32, copy=False), y) for x, y in batches):
            yield (images, labels) if self.model.classes else images

    # ------------------------------------------------------------------------------------------------- figures

    def condition(self, labels: NDArray[Any]) -> NDArray[Any] | None:
        """Return what the model is told of examples: their classes, or nothing if it has none."""
        return labels if self.model.classes else None

    def log_likelihood(self, count: int | None = None) -> NDArray[np.float64]:
        """Return log p(x), or log p(x|y) of the true class, of the first test images, (N,)."""
        condition = self.condition(self.test.labels[:count])
        return metrics.exact_log_likelihood(self.model, self.seen[:count], condition=condition)

    def monitor(self) -> dict[str, float]:
        """Return the mean log-likelihood of some test images."""
        return {"test_log_likelihood": self.log_likelihood(self.monitored).mean()}

    def likelihood_figures(self) -> dict[str, Any]:
        """Measure the log-likelihood of the test images."""
        found = self.log_likelihood()
        return {
            "epochs": self.settings.steps / self.steps_per_epoch,
            "test_log_likelihood": float(found.mean()),
            "standard_error": float(found.std() / np.sqrt(len(found))),
            "bits_per_dimension": metrics.bits_per_dimension(found.mean(), dimensions=self.model.sites),
            "test_images": len(found),
            "parameters": self.model.count_parameters(),
        }

    def rows(self, figures: Mapping[str, Any], own: Rows = ()) -> Rows:
        """Return the rows of a closing table for `likelihood_figures`, with the lesson's own among them."""
        what = "log p(x|y)" if self.model.classes else "log p(x)"
        return [
            (f"{what} of test images (nats)", "{test_log_likelihood:.2f} +- {standard_error:.2f}".format(**figures)),
            ("  bits per dimension", f"{figures['bits_per_dimension']:.4f}"),
            *own,
            ("parameters", f"{figures['parameters']:,}"),
            ("epochs", f"{figures['epochs']:.0f}"),
        ]

    # ------------------------------------------------------------------------------------------------- drawing

    def blank(self, n: int) -> NDArray[np.float32]:
        """Return images of which nothing has been drawn yet, (n, H, W, C)."""
        return np.zeros((n, *self.size), np.float32)

    def drawn(
        self, x: NDArray[Any], labels: NDArray[Any], known: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Draw all values that are not known, under a progress bar; with the same noise each time. See `training.drawing`.

        Args:
            x: (N, H, W, C).
            labels: the classes to draw, (N,), if the model has any.
            known: which values stay, (H, W, C); None for none.

        Yields:
            How many values are done, and all images on the device.

        Raises:
            DrawingStopped: Ctrl-C.
        """
        condition = self.condition(labels)
        return drawing(self.model, x.astype(np.float32), known, rng=self.evaluation_rng(), condition=condition)

    def unit(self, images: Array) -> NDArray[Any]:
        """Return images of any device as pictures show them, in [0, 1]."""
        return self.to_cpu(images) / np.float32(self.model.conditional.levels - 1)

    def samples(self, n: int) -> Samples:
        """Draw n images, of each class in turn."""
        blank, labels = self.blank(n), np.arange(n) % len(self.training.classes)
        _, images, stopped = last_drawn(self.drawn(blank, labels), blank)
        picture = plots.image_grid(self.unit(images), title=f"{self.title}: {n:,} samples")
        return Samples({"samples": self.to_cpu(images).astype(np.uint8)}, picture, stopped)

    def pictures(self, figures: Mapping[str, Any]) -> Iterator[tuple[str, Picture]]:
        """Yield samples, how they grow, and completions."""
        classes, columns = self.training.classes, PER_CLASS if self.model.classes else COLUMNS
        height, width, colours = self.size
        shown = {round(pixels) * colours for pixels in np.linspace(1, height * width, FRAMES)}
        labels = np.repeat(np.arange(len(classes)), PER_CLASS)
        steps = self.drawn(self.blank(len(labels)), labels)
        frames = [(done // colours, self.unit(images)) for done, images in steps if done in shown]
        samples = frames[-1][1]
        if self.model.classes:
            rows = list(zip(classes, samples.reshape(-1, PER_CLASS, *self.size), strict=True))
            yield "samples", plots.image_rows(rows, title=f"{self.title}: samples of the class on the left")
        else:
            yield "samples", plots.image_grid(samples, columns=columns, title=f"{self.title}: samples")
        yield "completions", self.completions()
        yield "growing", plots.growing_images(frames, columns=columns, title=self.title)

    def completions(self) -> Figure:
        """Draw test images, their upper halves, and three ways in which the model, told their classes if it has any, goes on."""
        test, labels = self.seen[:COMPLETED], self.test.labels[:COMPLETED]
        known = np.zeros(self.size, bool)
        known[: self.size[0] // 2] = True
        *_, (_, drawn) = self.drawn(np.concatenate([test] * 3), np.tile(labels, 3), known)
        images, three = self.unit(test), self.unit(drawn).reshape(3, *test.shape)
        rows = [("test images", images), ("given", np.where(known, images, 0.25)), *(("drawn", one) for one in three)]
        return plots.image_rows(rows, title=f"{self.title}: the lower half, given the upper one")

    def receptive_field(self, models: Sequence[tuple[str, Autoregressive]]) -> Figure:
        """Draw what the prediction of a pixel in the middle depends on, in each of several models with their labels."""
        height, width, colours = self.size
        row, column = height // 2, max(0, width // 2 - 1)
        x = self.to_device(self.seen[:LOOKED_AT].astype(np.float32))
        labels = self.to_device(self.test.labels[:LOOKED_AT])
        fields = []
        for label, model in models:
            seen = model.dependence(x, (row * width + column) * colours, labels if model.classes else None)
            fields.append((label, self.to_cpu(seen).sum(axis=2)))
        return plots.receptive_field(fields, pixel=(row, column), title="What the prediction of one pixel sees")
