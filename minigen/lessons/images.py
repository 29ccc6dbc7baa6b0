"""Lessons about images: which ones, as what a model sees them, and a classifier by which samples are judged."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from numpy.typing import NDArray

import minigen.ops as ops
from minigen import metrics
from minigen.backend import Array, to_device
from minigen.data import Images, load_images
from minigen.engine import Tensor
from minigen.lessons.frame import TrainingLesson
from minigen.lessons.settings import Count, Positive, RunOptions, SamplingOptions, TrainingSettings, optional
from minigen.models import ConvClassifier
from minigen.nn import Module
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import load_classifier

ImageSet = Literal["digits", "mnist", "fashion"]  # the grey ones
ColourImageSet = Literal["shapes", "faces", "emoji"]
Binarization = Literal["static", "dynamic", "threshold"]


@dataclass(frozen=True, kw_only=True)
class DataOptions(RunOptions):
    """Where images are, where to compute and where results go."""

    data_dir: Annotated[Path | None, *optional(Path, "FOLDER")] = None  # with the files of mnist, fashion or emoji


@dataclass(frozen=True, kw_only=True)
class ImageOptions(DataOptions, SamplingOptions):
    """Where images are, where to compute and where results go."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings(TrainingSettings):
    """Which images are learned, and how long."""

    data: ImageSet = "digits"  # what to learn
    batch_size: Count = 64  # images in a step
    learning_rate: Positive = 1e-3  # Adam's at the start; it falls to 0 along half a cosine
    run: ImageOptions = ImageOptions()


I = TypeVar("I", bound=ImageSettings)  # noqa: E741


class ImageLesson(TrainingLesson[I]):
    """A lesson whose model learns from images.

    Attributes:
        training: the images to learn from.
        test: those to measure and to draw.
        size: (H, W, C).
    """

    def __init__(self, settings: I) -> None:
        super().__init__(settings)
        self.training, self.test = self.load()
        if len(self.test.images) < 2:
            raise ValueError(
                f"{self.test.name}: expected at least 2 test images to measure with, found {len(self.test.images)}"
            )
        _, height, width, channels = self.training.images.shape
        self.size = (height, width, channels)

    def load(self) -> tuple[Images, Images]:
        """Return the images to learn from and the test images."""
        try:
            return load_images(self.settings.data, folder=self.settings.run.data_dir)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error}. The option for the folder is --data-dir FOLDER") from None

    def configuration(self) -> dict[str, Any]:
        """Return the settings and what tells these images from others in files of the same names."""
        images = hashlib.sha256(self.training.images.tobytes()).hexdigest()[:16]
        return super().configuration() | {"images_sha256": images}

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in one pass over the training images."""
        return len(self.training.images) // self.settings.batch_size

    def adam(self, model: Module, *, steps: int | None = None, weight_decay: float = 0.0) -> Adam:
        """Return Adam over a model that has been moved to the device; its learning rate falls to 0 along half a cosine."""
        rate = cosine(self.settings.learning_rate, steps=steps or self.settings.steps)
        return Adam(model, learning_rate=rate, weight_decay=weight_decay)

    def on_device(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield batches, arrays or tuples of arrays, as tensors on the device."""
        for batch in batches:
            if isinstance(batch, tuple):
                yield tuple(ops.tensor(part, device=self.device) for part in batch)
            else:
                yield ops.tensor(batch, device=self.device)

    def frechet(
        self, extractor: ConvClassifier, name: str, *, real: NDArray[Any], generated: NDArray[Any]
    ) -> dict[str, Any]:
        """Return the Fréchet distance of generated images to real ones, and of real ones to each other, (N, H, W, C) each."""
        x, y = extractor.features(real), extractor.features(generated)
        return metrics.frechet_score(x, y, extractor=name, rng=Generator(self.evaluation_seed))._asdict()

    def to_device(self, values: NDArray[Any]) -> Array:
        """Return a NumPy array as an array of the device."""
        return to_device(values, self.device)

    @staticmethod
    def to_cpu(values: Any) -> NDArray[Any]:
        """Return a tensor or an array of the device as a NumPy array."""
        return to_device(values.data if isinstance(values, Tensor) else values, "cpu")


def load_extractor(path: Path, size: tuple[int, int, int]) -> ConvClassifier:
    """Return the classifier whose features a Fréchet distance compares.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or a classifier of images of another size.
    """
    try:
        extractor = load_classifier(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"--extractor {path}: {error}") from None
    sizes: Any = extractor.configuration
    if (seen := (*sizes["size"], sizes["channels"])) != size:
        raise ValueError(f"--extractor {path} expects images of size {seen}, but the model's are {size}")
    return extractor
