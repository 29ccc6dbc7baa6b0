"""Teach a small convolutional network to read digits, and keep it: its features measure generated digits later.

The network filters the image, halves it, filters again, and describes what is left by 64 numbers, from which a linear layer tells the ten
digits apart (LeCun et al. 1998). It learns by maximum likelihood of the labels. The same network is the judge of models that generate
digits: their Fréchet distance to real ones is computed of those 64 numbers, and stands beside the name and the sum of the network's file.

    python examples/digits_conv.py                                 # 1,797 digits of 8 x 8 pixels, a fifth of them held out
    python examples/digits_conv.py --data mnist --out runs/digits_conv-mnist       # 28 x 28 pixels, downloaded where they are missing

It writes pictures (filters and feature maps, confusion matrix, the worst mistakes), metrics.json, a checkpoint and the network,
feature-extractor-digits.safetensors or -mnist.safetensors, into the folder `--out`. From there

    classifier = minigen.training.load_classifier("runs/digits_conv/feature-extractor-digits.safetensors")
    classifier.features(images)                                    # (N, 8, 8, 1) in [0, 1] -> (N, 64)

Ctrl-C ends the training after the step under way; the same command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen import plots
from minigen.data import Batches, Images, load_images
from minigen.models import ConvClassifier
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import (
    Run,
    at_least,
    device,
    fit_likelihood,
    plain_errors,
    run_program,
    save_classifier,
    table,
    versions,
    write_metrics,
)

FEATURES = 64
LEARNING_RATE = 3e-3  # of Adam, at first; it falls to 0 along half a cosine
ROWS = 100  # of the history
SHOWN = 0  # which test image the feature maps are of


class Setting(NamedTuple):
    """How the network for a data set is built and trained."""

    kernel_size: int
    batch_size: int
    steps: int
    widths: tuple[int, ...] = (16, 32)


SETTINGS = {
    "digits": Setting(kernel_size=3, batch_size=64, steps=880),  # 40 times through 1,438 images
    "mnist": Setting(kernel_size=5, batch_size=128, steps=1404),  # 3 times through 60,000
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        lesson = Lesson(training, arguments)
        lesson.run.begin(resume=arguments.resume, overwrite=arguments.overwrite)

    lesson.learn()
    log_p = lesson.classifier.predict(test.unit())  # (N, 10)
    name = f"feature-extractor-{arguments.data}.safetensors"
    save_classifier(arguments.out / name, lesson.classifier)
    figures = measure(lesson, test, log_p, arguments.out / name) | {"steps": arguments.steps}
    if not arguments.no_plots:
        draw(lesson, test, log_p, figures, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=SETTINGS, default="digits", help="what to read (digits)")
    options.add_argument(
        "--data-dir", type=Path, metavar="FOLDER", help="of MNIST's four files (the one that load_mnist names)"
    )
    options.add_argument("--steps", type=at_least(1), help="steps of Adam (880; mnist: 1404)")
    options.add_argument(
        "--seed", type=at_least(0), default=0, help="of the weights and the batches; same seed, same result (0)"
    )
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/digits_conv"), help="folder for all that is written (runs/digits_conv)"
    )
    options.add_argument("--resume", action="store_true", help="go on with the run in --out (off)")
    options.add_argument("--overwrite", action="store_true", help="replace another run in --out (off)")
    options.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the pictures (png)")
    options.add_argument("--no-plots", action="store_true", help="draw nothing (off)")
    arguments = parser.parse_args()
    if arguments.data_dir and arguments.data != "mnist":
        parser.error("--data-dir is the folder of MNIST's files, but --data mnist is not given")
    arguments.steps = arguments.steps or SETTINGS[arguments.data].steps
    return arguments


class Lesson:
    """The network, what trains it, and the run that counts its steps."""

    def __init__(self, training: Images, arguments: argparse.Namespace) -> None:
        setting = SETTINGS[arguments.data]
        _, height, width, channels = training.images.shape
        self.rng = Generator(arguments.seed, device=arguments.device)
        self.device = arguments.device
        self.classifier = ConvClassifier(
            size=(height, width),
            channels=channels,
            classes=len(training.classes),
            widths=setting.widths,
            kernel_size=setting.kernel_size,
            features=FEATURES,
            rng=self.rng,
        )
        self.classifier.to(arguments.device)
        self.optimizer = Adam(self.classifier, learning_rate=cosine(LEARNING_RATE, steps=arguments.steps))
        order = Generator(arguments.seed + 2**32)
        self.batches = Batches((training.unit(), training.labels), batch_size=setting.batch_size, rng=order)
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"ConvNet, {training.name}",
            checkpoint=arguments.out / "checkpoint.safetensors",
            parts={
                "model": self.classifier,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": order,
            },
            configuration=setting._asdict()
            | {"features": FEATURES, "training_images": len(training.images)}
            | {name: getattr(arguments, name) for name in ("data", "seed", "device")},
        )

    def learn(self) -> None:
        """Train until the run's last step."""
        fit_likelihood(self.classifier, self.on_device(), self.optimizer, self.run, rng=self.rng)

    def on_device(self) -> Iterator[tuple[mg.Tensor, mg.Tensor]]:
        """Yield images, (batch_size, H, W, C), with their labels."""
        for images, labels in self.batches:
            yield mg.tensor(images, device=self.device), mg.tensor(labels, device=self.device)


def measure(lesson: Lesson, test: Images, log_p: np.ndarray, path: Path) -> dict:
    """Count right and wrong on the test images; add the settings, and the sum of the network's file."""
    n, k = log_p.shape
    predicted = log_p.argmax(axis=1)
    confusion = np.bincount(k * test.labels + predicted, minlength=k * k).reshape(k, k)
    return lesson.run.configuration | {
        "accuracy": float((predicted == test.labels).mean()),
        "errors": int((predicted != test.labels).sum()),
        "test_images": n,
        "cross_entropy": float(-log_p[np.arange(n), test.labels].mean(dtype=np.float64)),
        "class_accuracy": (confusion.diagonal() / confusion.sum(axis=1)).tolist(),
        "confusion": confusion.tolist(),
        "parameters": sum(parameter.size for parameter in lesson.classifier.parameters()),
        "feature_extractor": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def draw(lesson: Lesson, test: Images, log_p: np.ndarray, figures: dict, arguments: argparse.Namespace) -> None:
    """Write the first layer's filters and what they see, the confusion matrix, and the worst mistakes."""
    classifier, images = lesson.classifier, test.unit()
    figure = plots.filters_and_maps(
        images[SHOWN, ..., 0],
        filters=classifier.blocks[0][0].weight.detach().to("cpu").numpy()[..., 0, :],
        maps=classifier.feature_maps(images[SHOWN : SHOWN + 1])[0],
        title=f"{test.name}: the first convolution",
    )
    plots.save(figure, arguments.out / f"filters.{arguments.format}")
    figure = plots.confusion_matrix(
        figures["confusion"],
        classes=test.classes,
        title=f"{test.name}: {figures['errors']} mistakes in {len(images):,} test images",
    )
    plots.save(figure, arguments.out / f"confusion.{arguments.format}")
    figure = plots.worst_mistakes(
        images[..., 0],
        labels=test.labels,
        log_probabilities=log_p,
        classes=test.classes,
        title=f"{test.name}: the worst mistakes, and in red what they were taken for",
    )
    plots.save(figure, arguments.out / f"mistakes.{arguments.format}")


def report(figures: dict, arguments: argparse.Namespace) -> None:
    shares = figures["class_accuracy"]
    worst = int(np.argmin(shares))
    rows = [
        ("accuracy on the test images", f"{100 * figures['accuracy']:.2f} %"),
        ("  of the hardest digit", f"{worst}: {100 * shares[worst]:.2f} %"),
        ("mistakes", f"{figures['errors']} of {figures['test_images']:,}"),
        ("cross-entropy (nats per image)", f"{figures['cross_entropy']:.4f}"),
        ("parameters", f"{figures['parameters']:,}"),
        ("feature extractor, SHA-256", figures["feature_extractor"]["sha256"][:16]),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    print(table(rows, f"ConvNet on {arguments.data}, {arguments.steps} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
