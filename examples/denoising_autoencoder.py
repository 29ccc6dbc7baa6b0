"""Teach autoencoders to mend spoiled images, each a kind of damage, and let every one try all kinds.

A denoising autoencoder sees an image with noise, with pixels gone, or with a block missing, and is to make the image as it was (Vincent et
al. 2008). To do so it must know what images look like: no pixel can be copied blindly. It learns side by side with a plain one, which has
never seen damage, and the table says how far from the original each is on every kind.

    python examples/denoising_autoencoder.py                                    # four kinds of damage on 8 x 8 digits
    python examples/denoising_autoencoder.py --data mnist --corruption block --conv --out runs/inpainting
    python examples/denoising_autoencoder.py --sample 40                        # a chain of damage and repair, from noise to images

It writes pictures (spoiled images beside mended ones; what the units of the first layer look for), metrics.json and a checkpoint into the
folder --out. Ctrl-C ends the training after the step under way; the same command with --resume goes on from there, to the same result bit
by bit.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigen as mg
from minigen import plots
from minigen.data import CORRUPTIONS, IMAGE_SETS, Batches, Images, corruption, load_images
from minigen.models import Autoencoder, Together, conv_autoencoder, mlp_autoencoder
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

EVALUATION_SEED = 2008
MONITORED = 500  # test images whose error is recorded during training
ROWS = 100  # of the history
SHOWN = 12  # images in a row
ROUNDS = 100  # of damage and repair that make a sample
PLAIN = "none"  # stands for the autoencoder that sees no damage, and for images without

SETTINGS = ("data", "corruption", "conv", "hidden", "code", "batch_size", "learning_rate", "seed")
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": [256], "code": 64, "steps": 3000, "batch_size": 64},
    "mnist": {"hidden": [1000], "code": 250, "steps": 9000, "batch_size": 100},
    "fashion": {"hidden": [1000], "code": 250, "steps": 9000, "batch_size": 100},
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
        fit_likelihood(lesson.models, lesson.on_device(), lesson.optimizer, lesson.run, rng=lesson.rng)
    figures = measure(lesson, arguments)
    if not arguments.no_plots:
        draw(lesson, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to mend (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument(
        "--corruption",
        choices=CORRUPTIONS,
        nargs="+",
        default=list(CORRUPTIONS),
        help="what to learn to mend, each by a model of its own (all)",
    )
    options.add_argument("--conv", action="store_true", help="strided and transposed convolutions (fully connected)")
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the encoder's hidden layers (256; mnist, fashion: 1000)",
    )
    options.add_argument(
        "--code", type=at_least(1), metavar="D", help="numbers for each image (64; mnist, fashion: 250)"
    )
    options.add_argument("--steps", type=at_least(1), help="of Adam (3,000; mnist, fashion: 9,000)")
    options.add_argument("--batch-size", type=at_least(1), help="images per step (64; mnist, fashion: 100)")
    options.add_argument(
        "--learning-rate", type=positive, default=1e-3, help="at first; it falls to 0 along half a cosine (0.001)"
    )
    add_run_options(parser, out="runs/denoising_autoencoder")
    arguments = parser.parse_args()
    if arguments.conv and arguments.hidden:
        parser.error("--hidden is about fully connected layers, but --conv is given")
    arguments.hidden = [] if arguments.conv else arguments.hidden
    for name, value in DEFAULTS[arguments.data].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


class Lesson:
    """The models, what trains them, and the run that counts the steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.training, self.test, self.device = training, test, arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        settings = {"size": training.images.shape[1:], "code": arguments.code, "rng": self.rng}
        self.models = Together()
        for kind in (PLAIN, *arguments.corruption):
            settings["corrupt"] = None if kind == PLAIN else corruption(kind)
            self.models.models[kind] = (
                conv_autoencoder(**settings)
                if arguments.conv
                else mlp_autoencoder(hidden=tuple(arguments.hidden), **settings)
            )
        self.models.to(self.device)
        self.optimizer = Adam(self.models, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        order = Generator(arguments.seed + 2**32)
        self.batches = Batches(training.unit(), batch_size=arguments.batch_size, rng=order)
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"denoising autoencoders, {training.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "models": self.models,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )

    def on_device(self) -> Iterator[mg.Tensor]:
        """Yield images, (batch_size, H, W, C)."""
        for images in self.batches:
            yield mg.tensor(images, device=self.device)

    def monitor(self) -> dict[str, float]:
        """Return the error of each model on test images with the damage that it knows."""
        images = self.test.unit()[:MONITORED]
        return {
            f"test_{kind}": error(model.reconstruct(spoiled(images, kind)), images)
            for kind, model in self.models.models.items()
        }


def spoiled(images: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Return images with damage of a kind, the same at each call."""
    return images if kind == PLAIN else corruption(kind)(images, rng=Generator(EVALUATION_SEED))


def error(made: NDArray[np.float32], images: NDArray[np.float32]) -> float:
    """Return the squared error summed over pixels, mean over images."""
    return float(((made - images).astype(np.float64) ** 2).sum(axis=(1, 2, 3)).mean())


def measure(lesson: Lesson, arguments: argparse.Namespace) -> dict:
    """Compute how far each model's images are from the test images, by the kind of damage, and how far the spoiled ones are."""
    images = lesson.test.unit()
    damaged = {kind: spoiled(images, kind) for kind in (PLAIN, *CORRUPTIONS)}
    return lesson.run.configuration | {
        "spoiled_error": {kind: error(seen, images) for kind, seen in damaged.items()},
        "test_error": {
            name: {kind: error(model.reconstruct(seen), images) for kind, seen in damaged.items()}
            for name, model in lesson.models.models.items()
        },
        "parameters": sum(parameter.size for parameter in lesson.models.models[PLAIN].parameters()),
        "training_images": len(lesson.training.images),
        "test_images": len(images),
        "steps": arguments.steps,
        "device": arguments.device,
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def sample(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Spoil and mend by turns: the images of this chain come to be those of the data (Bengio et al. 2013, "Generalized denoising
    auto-encoders as generative models"). It begins with noise, and pixels are drawn; the last mended images are kept."""
    kind = arguments.corruption[0]
    model, rng = lesson.models.models[kind], Generator(EVALUATION_SEED, device=lesson.device)
    images = rng.bernoulli(0.5, (arguments.sample, *model.size))
    with mg.no_grad():
        for _ in range(ROUNDS):
            p = model.decode(model.encode(corruption(kind)(images, rng=rng)))
            images = p.sample(rng=rng)
    last = p.mean.to("cpu").numpy()
    write_arrays(arguments.out / "samples.npz", images=last)
    title = f"{ROUNDS} rounds of {kind} noise and repair, from noise"
    plots.save(plots.image_grid(last, title=title), arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


def draw(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Write spoiled images beside mended ones, and the first layer's weights."""
    images, models, name = lesson.test.unit()[:SHOWN], lesson.models.models, lesson.test.name
    rows = [("originals", images)]
    for kind in arguments.corruption:
        seen = spoiled(images, kind)
        rows += [(label(kind), seen), ("mended", models[kind].reconstruct(seen))]
    plots.save(
        plots.image_rows(rows, title=f"{name}: spoiled images, and mended ones"),
        arguments.out / f"mended.{arguments.format}",
    )
    if not arguments.conv:
        rows = [(label(kind), filters(model)) for kind, model in models.items()]
        title = f"{name}: strongest units of the first layer, by the damage in training; grey is 0"
        plots.save(plots.image_rows(rows, title=title), arguments.out / f"filters.{arguments.format}")


def label(kind: str) -> str:
    return kind.replace("-and-", "\nand ")


def filters(model: Autoencoder) -> NDArray[np.float32]:
    """Return the weights of the units of the first layer that have the largest ones, as images whose grey is 0, (SHOWN, H, W, C)."""
    weight = model.encoder[1].weight.detach().to("cpu").numpy().T  # (units, pixels)
    chosen = weight[np.argsort(-(weight**2).sum(axis=1))[:SHOWN]]
    scaled = 0.5 + 0.5 * chosen / np.abs(chosen).max(axis=1, keepdims=True)
    return scaled.reshape(len(chosen), *model.size)


def report(figures: dict, arguments: argparse.Namespace) -> None:
    kinds = (PLAIN, *CORRUPTIONS)
    width = max(map(len, kinds))
    rows = [("", "".join(kind.rjust(width + 2) for kind in kinds))]
    errors = {"as spoiled": figures["spoiled_error"]} | {
        f"mended, trained on {name}": by_kind for name, by_kind in figures["test_error"].items()
    }
    rows += [(label, "".join(f"{by_kind[kind]:{width + 2}.2f}" for kind in kinds)) for label, by_kind in errors.items()]
    rows += [("parameters of each", f"{figures['parameters']:,}"), ("seconds of training", f"{figures['seconds']:.1f}")]
    print(table(rows, f"Squared error of {arguments.data} by damage, {arguments.steps:,} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
