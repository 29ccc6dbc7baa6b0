"""Find the pixels of a digit among clutter: an encoder-decoder that makes a mask, not the image again.

Each picture holds one whole digit among fragments of others, a stroke and noise; the mask says which pixels are the whole one's. Ink alone
does not tell, so the network must see the picture at large, and still say every single pixel. Two networks learn side by side: one hands
what each level of the encoder saw to the same level of the decoder, by skip connections (Ronneberger et al. 2015), the other does not.

    python examples/segmentation.py                                     # 8 x 8 digits on 16 x 16 pixels
    python examples/segmentation.py --data mnist --out runs/segmentation-mnist     # 28 x 28 on 48 x 48

It writes pictures, masks and what was found (found.png), metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training
after the step under way; the same command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minigen as mg
from minigen import plots
from minigen.data import Batches, Cluttered, Images, clutter, load_images
from minigen.models import Segmenter, Together, intersection_over_union
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import (
    CHECKPOINT,
    Run,
    add_run_options,
    at_least,
    fit_likelihood,
    plain_errors,
    positive,
    recall,
    run_program,
    table,
    versions,
    write_arrays,
    write_metrics,
)

EVALUATION_SEED = 2015
TESTED = 2000  # pictures at most
MONITORED = 200  # of them, during training
ROWS = 30  # of the history
SHOWN = 10  # images in a row
LABELS = {"skips": "with skips", "plain": "without skips"}

SETTINGS = ("data", "widths", "batch_size", "learning_rate", "seed")
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"size": 16, "fragments": 2, "widths": [12, 24, 48], "steps": 1200, "batch_size": 32},
    "mnist": {"size": 48, "fragments": 6, "widths": [16, 32, 64, 128], "steps": 3000, "batch_size": 32},
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        lesson = Lesson(training, test, arguments)
        lesson.run.begin(resume=trained or arguments.resume, overwrite=arguments.overwrite)
    if arguments.sample:
        sample(lesson, arguments)
        return
    if not trained:
        fit_likelihood(lesson.models, lesson.on_device(), lesson.optimizer, lesson.run, rng=lesson.place)
    figures = measure(lesson, arguments)
    if not arguments.no_plots:
        draw(lesson.test, lesson, arguments.out / f"found.{arguments.format}")
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=DEFAULTS, default="digits", help="what is lost in clutter (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's four files")
    options.add_argument(
        "--widths",
        type=at_least(1),
        nargs="+",
        metavar="CHANNELS",
        help="of the encoder's levels, each half as high and wide as the one before (12 24 48; mnist: 16 32 64 128)",
    )
    options.add_argument("--steps", type=at_least(1), help="of Adam (1,200; mnist: 3,000)")
    options.add_argument("--batch-size", type=at_least(1), help="pictures per step (32)")
    options.add_argument(
        "--learning-rate", type=positive, default=3e-3, help="at first; it falls to 0 along half a cosine (0.003)"
    )
    add_run_options(parser, out="runs/segmentation")
    arguments = parser.parse_args()
    for name, value in DEFAULTS[arguments.data].items():
        if name not in ("size", "fragments") and getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


class Lesson:
    """The networks, what trains them, and the run that counts the steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.device = arguments.device
        self.size = DEFAULTS[arguments.data]["size"]
        self.fragments = DEFAULTS[arguments.data]["fragments"]
        rng = Generator(arguments.seed, device=self.device)
        settings = {"size": (self.size, self.size), "widths": tuple(arguments.widths), "rng": rng}
        self.models = Together(skips=Segmenter(**settings), plain=Segmenter(**settings, skips=False))
        self.models.to(self.device)
        self.optimizer = Adam(self.models, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        order, self.place = (Generator(arguments.seed + 2**32 + i) for i in range(2))
        self.batches = Batches(training.unit(), batch_size=arguments.batch_size, rng=order)
        self.training_images = len(training.images)
        self.test = clutter(
            test.unit()[:TESTED], size=self.size, fragments=self.fragments, rng=Generator(EVALUATION_SEED)
        )
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"segmentation, {training.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "models": self.models, "optimizer": self.optimizer, "batches": self.batches, "order": order, "place": self.place,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )  # fmt: skip

    def on_device(self) -> Iterator[tuple[mg.Tensor, mg.Tensor]]:
        """Yield pictures, (batch_size, S, S, C), with masks: the clutter is new each time."""
        for images in self.batches:
            pictures = clutter(images, size=self.size, fragments=self.fragments, rng=self.place)
            yield mg.tensor(pictures.images, device=self.device), mg.tensor(pictures.masks, device=self.device)

    def monitor(self) -> dict[str, float]:
        """Return the mean intersection over union of each network on some test pictures."""
        images, masks = (part[:MONITORED] for part in self.test)
        return {f"test_{name}": float(iou.mean()) for name, iou in self.judged(images, masks).items()}

    def judged(self, images: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
        """Return the intersection over union of each picture, (N,), by network."""
        return {
            name: intersection_over_union(model.predict(images) >= 0.5, masks)
            for name, model in self.models.models.items()
        }


def measure(lesson: Lesson, arguments: argparse.Namespace) -> dict:
    """Judge the networks on the test pictures, beside the plain answer that all ink is the digit's."""
    images, masks = lesson.test
    judged = {"all_ink": intersection_over_union(images.max(axis=3, keepdims=True) >= 0.5, masks)}
    judged |= lesson.judged(images, masks)
    return lesson.run.configuration | {
        "intersection_over_union": {name: float(iou.mean()) for name, iou in judged.items()},
        "worst_tenth": {name: float(np.quantile(iou, 0.1)) for name, iou in judged.items()},
        "parameters": {
            name: sum(parameter.size for parameter in model.parameters())
            for name, model in lesson.models.models.items()
        },
        "size": lesson.size,
        "fragments": lesson.fragments,
        "training_images": lesson.training_images,
        "test_pictures": len(images),
        "steps": arguments.steps,
        "device": arguments.device,
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def sample(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Make new pictures of test digits, and say where the digits are."""
    rng = Generator(EVALUATION_SEED + 1)
    _, test = load_images(arguments.data, folder=arguments.data_dir)
    chosen = rng.integers(0, len(test.images), arguments.sample)
    pictures = clutter(test.unit()[chosen], size=lesson.size, fragments=lesson.fragments, rng=rng)
    found = {name: model.predict(pictures.images) for name, model in lesson.models.models.items()}
    write_arrays(arguments.out / "samples.npz", **pictures._asdict(), **found)
    draw(pictures, lesson, arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


def draw(pictures: Cluttered, lesson: Lesson, path: Path) -> None:
    """Write some pictures, their masks, and the probabilities that each network gives."""
    images, masks = (part[:SHOWN] for part in pictures)
    rows = [("pictures", images), ("masks", masks)]
    rows += [(LABELS[name].replace(" ", "\n"), model.predict(images)) for name, model in lesson.models.models.items()]
    iou = [f"{value:.2f}" for value in lesson.judged(images, masks)["skips"]]
    figure = plots.image_rows(rows, columns=iou, columns_label="intersection over union, with skips")
    plots.save(figure, path)


def report(figures: dict, arguments: argparse.Namespace) -> None:
    judged, worst = figures["intersection_over_union"], figures["worst_tenth"]
    rows = [("intersection over union", "mean    worst tenth")]
    rows += [
        (f"  {label}", f"{judged[name]:.3f}          {worst[name]:.3f}")
        for name, label in {"all_ink": "all ink", **LABELS}.items()
    ]
    rows += [(f"parameters, {LABELS[name]}", f"{count:,}") for name, count in figures["parameters"].items()]
    rows += [("seconds of training", f"{figures['seconds']:.1f}")]
    print(table(rows, f"{arguments.data} in clutter, {arguments.steps:,} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
