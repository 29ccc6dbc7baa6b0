"""Find the pixels of a digit among clutter, with an encoder-decoder that returns a mask instead of the image.

Each picture x holds one whole digit among fragments of others, a stroke and noise. The mask m says which pixels belong to the whole digit.
Ink alone does not tell, so the network must look at the whole picture, and still decide about every single pixel i:

    p(m_i = 1 | x) = sigmoid(f_i(x))
    loss = -sum_i log p(m_i | x)               the cross-entropy, in nats per picture
    |P and M| / |P or M|                       intersection over union of the pixels P that were found and M, those of the mask

Two networks are trained side by side. In one, skip connections hand the features of each level of the encoder to the same level of the
decoder (Ronneberger et al. 2015, "U-Net"); the other has none, so all that it knows passes through its smallest layer.

    python examples/segmentation.py                                     # 8 x 8 digits on 16 x 16 pixels
    python examples/segmentation.py --data mnist --out runs/segmentation-mnist     # 28 x 28 on 48 x 48
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigen import lessons, plots
from minigen.data import Batches, Cluttered, clutter
from minigen.lessons import Count, Positive
from minigen.models import Segmenter, Together, intersection_over_union
from minigen.random import Generator
from minigen.training import fit_likelihood

TESTED, MONITORED = 2000, 200  # test pictures at most; those whose masks are judged during training
SHOWN = 10  # pictures in a row
LABELS = {"skips": "with skips", "plain": "without skips"}
CLUTTER = {"digits": {"size": 16, "fragments": 2}, "mnist": {"size": 48, "fragments": 6}}  # S of S x S; parts of others


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    data: Literal["digits", "mnist"] = "digits"  # what is among the clutter
    widths: tuple[Count, ...] = (12, 24, 48)  # channels of the encoder's levels, each half as high and wide as the last
    steps: Count = 1200  # steps of Adam
    batch_size: Count = 32  # pictures in a step
    learning_rate: Positive = 3e-3  # Adam's at the start; it falls to 0 along half a cosine

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ValueError("--widths: there must be at least one level")


class Lesson(lessons.ImageLesson[Settings]):
    evaluation_seed = 2015

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.clutter = CLUTTER[s.data]
        side = self.clutter["size"]
        self.models = {
            name: Segmenter(size=(side, side), widths=s.widths, skips=name == "skips", rng=self.rng).to(self.device)
            for name in LABELS
        }
        self.together = Together(**self.models)  # the sum of their losses, so each learns as it would alone
        self.optimizer = self.adam(self.together)
        self.batches = Batches(self.training.unit(), batch_size=s.batch_size, rng=self.order)
        self.place = Generator(s.seed + lessons.ORDER + 1)  # of the clutter
        self.test_pictures = clutter(self.test.unit()[:TESTED], **self.clutter, rng=self.evaluation_rng("cpu"))
        self.run = self.new_run(
            f"segmentation, {self.training.name}", rows=30, monitor=self.monitor,
            parts={"models": self.together, "optimizer": self.optimizer, "batches": self.batches, "place": self.place},
        )  # fmt: skip

    def train(self) -> None:
        """Minimise both losses on the same pictures, whose clutter is new each time."""
        pictures = (tuple(clutter(images, **self.clutter, rng=self.place)) for images in self.batches)
        fit_likelihood(self.together, self.on_device(pictures), self.optimizer, self.run, rng=self.rng)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def judged(self, images: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
        """Return the intersection over union of each picture, (N,), by network."""
        return {
            name: intersection_over_union(model.predict(images) >= 0.5, masks) for name, model in self.models.items()
        }

    def monitor(self) -> dict[str, float]:
        """Return the mean intersection over union of each network on some test pictures."""
        images, masks = (part[:MONITORED] for part in self.test_pictures)
        return {f"test_{name}": float(found.mean()) for name, found in self.judged(images, masks).items()}

    def measure(self) -> dict[str, Any]:
        """Judge the networks on the test pictures, beside the simple answer that all ink belongs to the digit."""
        images, masks = self.test_pictures
        all_ink = intersection_over_union(images.max(axis=3, keepdims=True) >= 0.5, masks)
        judged = {"all_ink": all_ink, **self.judged(images, masks)}
        return {
            "intersection_over_union": {name: float(found.mean()) for name, found in judged.items()},
            "worst_tenth": {name: float(np.quantile(found, 0.1)) for name, found in judged.items()},
            "parameters": {name: model.count_parameters() for name, model in self.models.items()},
            **self.clutter,
            "training_images": len(self.training.images),
            "test_pictures": len(images),
        }

    def samples(self, n: int) -> lessons.Samples:
        """Make new pictures of test digits, and say where the digits are."""
        rng = Generator(self.evaluation_seed + 1)
        chosen = rng.integers(0, len(self.test.images), n)
        pictures = clutter(self.test.unit()[chosen], **self.clutter, rng=rng)
        found = {name: model.predict(pictures.images) for name, model in self.models.items()}
        return lessons.Samples({**pictures._asdict(), **found}, self.found(pictures))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield "found", self.found(self.test_pictures)

    def found(self, pictures: Cluttered) -> lessons.Picture:
        """Draw some pictures, their masks, and the probabilities that each network gives."""
        images, masks = (part[:SHOWN] for part in pictures)
        rows = [("pictures", images), ("masks", masks)]
        rows += [(LABELS[name].replace(" ", "\n"), model.predict(images)) for name, model in self.models.items()]
        columns = [f"{value:.2f}" for value in self.judged(images, masks)["skips"]]
        return plots.image_rows(rows, columns=columns, columns_label="intersection over union, with skips")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, mean, worst = self.settings, figures["intersection_over_union"], figures["worst_tenth"]
        labels = {"all_ink": "all ink", **LABELS}
        rows = [("intersection over union", "mean    worst tenth")]
        rows += [(f"  {label}", f"{mean[name]:.3f}          {worst[name]:.3f}") for name, label in labels.items()]
        rows += [(f"parameters, {LABELS[name]}", f"{count:,}") for name, count in figures["parameters"].items()]
        yield f"{s.data} in clutter, {s.steps:,} steps, seed {s.seed}", rows


def defaults(data: Literal["digits", "mnist"] = "digits") -> Settings:
    """Return the settings for a data set."""
    larger = {} if data == "digits" else {"widths": (16, 32, 64, 128), "steps": 3000}
    return Settings(**{"data": data} | larger)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
