"""Draw digits pixel by pixel: PixelCNN and gated PixelCNN, whose log-likelihood is exact.

A network of convolutions that look back only says at each pixel how probable its values are, given the pixels above and to the left
(van den Oord et al. 2016a, b). It learns all conditionals of an image in one pass; a sample is drawn one pixel after the other, and costs
a few such passes' time, since nothing is computed twice.

A model of classes, p(x|y), draws the digit that it is asked for. By Bayes' rule it also reads digits: p(y|x) is p(x|y) over its sum over y.

    python examples/pixelcnn.py                                                  # gated, with classes, 8 x 8 digits
    python examples/pixelcnn.py --model plain --no-classes --kernel-size 3 --out runs/pixelcnn-plain         # its blind spot shows
    python examples/pixelcnn.py --pixels logistics --out runs/pixelcnn-grey      # grey values, not bits
    python examples/pixelcnn.py --pixels logistics --coloured --out runs/pixelcnn-coloured
    python examples/pixelcnn.py --data mnist --no-classes --out runs/pixelcnn-mnist
    python examples/pixelcnn.py --sample 100 --out runs/pixelcnn                 # 100 images of a finished run

It writes samples, the same while they grow, completions of which the upper half is given, what the prediction of a pixel sees,
metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same command with --resume goes
on from there, to the same result bit by bit. Ctrl-C amid --sample keeps what is drawn by then.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import minigen as mg
from minigen import plots
from minigen.backend import Array, to_device
from minigen.data import BINARIZATIONS, IMAGE_SETS, Batches, BinaryBatches, Images, binarize, coloured, load_images
from minigen.metrics import bits_per_dimension, exact_log_likelihood
from minigen.models import (
    BernoulliConditional,
    CategoricalConditional,
    GatedPixelCNN,
    LogisticMixtureConditional,
    PixelCNN,
)
from minigen.models.conditionals import Conditional
from minigen.models.raster import RasterModel
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import (
    CHECKPOINT,
    Run,
    add_run_options,
    at_least,
    drawing,
    fit_likelihood,
    last_drawn,
    plain_errors,
    positive,
    recall,
    run_program,
    table,
    versions,
    write_arrays,
    write_metrics,
)

EVALUATION_SEED = 20160616
TRAINING_KEY, TEST_KEY = 0, 1  # of the one static draw of the training images, and of the test images
MIXED = 5  # logistics in a mixture
AT_ONCE = 100  # images that are read by Bayes' rule together
MONITORED = 200  # test images whose log-likelihood is recorded during training
LOOKED_AT = 20  # test images over which the dependence of a pixel is averaged
ROWS, FRAMES = 50, 40  # of the history; of the growing images
COMPLETED, PER_CLASS = 10, 10

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = (
    "model", "data", "pixels", "coloured", "binarization", "classes", "features", "layers", "kernel_size", "batch_size", "learning_rate",
    "seed",
)  # fmt: skip
FEATURES = {"plain": 48, "gated": 24}
UNTRAINED_KERNEL_SIZES = {"digits": 3, "mnist": 7, "fashion": 7}  # small enough for the images that a blind spot shows
PROTOCOLS = {"digits": "threshold", "mnist": "dynamic", "fashion": "dynamic"}  # of the bits
STEPS = {"digits": 600, "mnist": 6000, "fashion": 6000}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        if arguments.coloured:
            training, test = (coloured(images, by="class") for images in (training, test))
        lesson = Lesson(training, test, arguments)
        lesson.run.begin(resume=is_trained or arguments.resume, overwrite=arguments.overwrite)
    if arguments.sample:
        write_samples(lesson, arguments)
        return
    if not is_trained:
        lesson.learn()
    figures = measure(lesson)
    write_metrics(arguments.out / "metrics.json", figures)
    if not arguments.no_plots:
        draw(lesson, arguments)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("images (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to learn (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument(
        "--pixels",
        choices=("bits", "categorical", "logistics"),
        default="bits",
        help="bits; or grey values, with a probability for each or by a mixture of logistics (bits)",
    )
    options.add_argument("--coloured", action="store_true", help="give each class a colour; not with bits (off)")
    options.add_argument(
        "--binarization",
        choices=BINARIZATIONS,
        help="how grey pixels become bits: drawn once, drawn anew each time, or by rounding; likelihoods of one are not those of another "
        "(threshold; mnist and fashion: dynamic)",
    )
    options = parser.add_argument_group("model (default)")
    options.add_argument(
        "--model", choices=("plain", "gated"), default="gated", help="PixelCNN or gated PixelCNN (gated)"
    )
    options.add_argument(
        "--no-classes", dest="classes", action="store_false", help="learn p(x) in place of p(x|y) (off)"
    )
    options.add_argument("--features", type=at_least(1), help="channels of the layers (24; plain: 48)")
    options.add_argument("--layers", type=at_least(1), default=5, help="gated layers, or residual blocks (5)")
    options.add_argument(
        "--kernel-size", type=at_least(3), default=7, help="of the first convolution: odd; 7 covers 8 x 8 digits (7)"
    )
    options = parser.add_argument_group("training (default)")
    options.add_argument("--steps", type=at_least(1), help="of Adam (600; mnist and fashion: 6,000)")
    options.add_argument("--batch-size", type=at_least(1), default=64, help="images per step (64)")
    options.add_argument(
        "--learning-rate", type=positive, default=3e-3, help="at first; it falls to 0 along half a cosine (0.003)"
    )
    add_run_options(parser, out="runs/pixelcnn")
    arguments = parser.parse_args()
    if arguments.coloured and arguments.pixels == "bits":
        parser.error("--coloured: colours have grey values; take --pixels categorical or --pixels logistics")
    arguments.features = arguments.features or FEATURES[arguments.model]
    arguments.binarization = arguments.binarization or PROTOCOLS[arguments.data]
    arguments.steps = arguments.steps or STEPS[arguments.data]
    return arguments


class Lesson:
    """The model, what trains it, and the run that counts its steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.arguments, self.device = arguments, arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        self.model = build(arguments.model, arguments.features, arguments.kernel_size, training, arguments, self.rng)
        self.model.to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        order = Generator(arguments.seed + 2**32)
        self.training, self.labels = training, test.labels
        self.test: NDArray[Any]
        if arguments.pixels == "bits":
            protocol = arguments.binarization
            self.batches: Batches = BinaryBatches(
                (training.unit(), training.labels), protocol=protocol, batch_size=arguments.batch_size, rng=order, key=TRAINING_KEY
            )  # fmt: skip
            self.test = binarize(test.unit(), protocol=protocol, rng=Generator(EVALUATION_SEED), key=TEST_KEY)
        else:
            self.batches = Batches((training.images, training.labels), batch_size=arguments.batch_size, rng=order)
            self.test = test.images
        self.steps_per_epoch = len(training.images) // arguments.batch_size
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"{arguments.model} PixelCNN, {training.name}",
            monitor=lambda: {"test_log_likelihood": self.log_likelihood(MONITORED).mean()},
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "model": self.model,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )

    def learn(self) -> None:
        """Train until the run's last step."""
        fit_likelihood(self.model, self.on_device(), self.optimizer, self.run, rng=self.rng)

    def on_device(self) -> Iterator[Any]:
        """Yield images, (batch_size, H, W, C), with their classes if the model has any."""
        for images, labels in self.batches:
            x = mg.tensor(images.astype(np.float32), device=self.device)
            yield (x, mg.tensor(labels, device=self.device)) if self.model.classes else x

    def log_likelihood(self, count: int | None = None) -> NDArray[np.float64]:
        """Return log p(x), or of a model of classes log p(x|y) of the true class, for the first test images, (N,)."""
        labels = self.labels[:count] if self.model.classes else None
        return exact_log_likelihood(self.model, self.test[:count], condition=labels)

    def read(self) -> NDArray[np.int64]:
        """Return the most probable class of every test image by Bayes' rule, (N,)."""
        found = []
        for start in range(0, len(self.test), AT_ONCE):
            x = to_device(self.test[start : start + AT_ONCE].astype(np.float32), self.device)
            found.append(to_device(self.model.class_log_probabilities(x), "cpu").argmax(axis=1))
        return np.concatenate(found)

    def drawn(
        self, x: NDArray[Any], labels: NDArray[np.int64], known: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Draw all values of x, (N, H, W, C), that are not known; yield after each value how many are done, and all images."""
        rng = Generator(EVALUATION_SEED, device=self.device)
        condition = labels if self.model.classes else None
        return drawing(self.model, x.astype(np.float32), known, rng=rng, condition=condition)

    def unit(self, images: Any) -> NDArray[np.float32]:
        """Return images as pictures show them, in [0, 1]."""
        return to_device(images, "cpu") / np.float32(self.model.conditional.levels - 1)


def build(
    kind: str, features: int, kernel_size: int, images: Images, arguments: argparse.Namespace, rng: Generator
) -> RasterModel:  # fmt: skip
    """Return a model with its initial weights."""
    conditionals: dict[str, Conditional] = {
        "bits": BernoulliConditional(),
        "categorical": CategoricalConditional(images.levels),
        "logistics": LogisticMixtureConditional(images.levels, components=MIXED),
    }
    size, conditional = images.images.shape[1:], conditionals[arguments.pixels]
    settings: dict[str, Any] = {
        "features": features,
        "kernel_size": kernel_size,
        "classes": len(images.classes) if arguments.classes else None,
        "rng": rng,
    }
    if kind == "gated":
        return GatedPixelCNN(size, conditional, layers=arguments.layers, **settings)
    return PixelCNN(size, conditional, blocks=arguments.layers, **settings)


def measure(lesson: Lesson) -> dict[str, Any]:
    """Compute the exact log-likelihood of the test images, and how many of them Bayes' rule reads rightly; add the settings."""
    found = lesson.log_likelihood()
    figures: dict[str, Any] = lesson.run.configuration | {
        "steps": lesson.run.steps,
        "epochs": lesson.run.steps / lesson.steps_per_epoch,
        "test_log_likelihood": float(found.mean()),
        "standard_error": float(found.std() / np.sqrt(len(found))),
        "bits_per_dimension": bits_per_dimension(found.mean(), dimensions=lesson.model.sites),
        "test_images": len(found),
        "parameters": sum(parameter.size for parameter in lesson.model.parameters()),
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }
    if lesson.model.classes:
        figures["accuracy"] = float((lesson.read() == lesson.labels).mean())
    return figures


def write_samples(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Draw images, of each class by turns, and write them as a picture and as numbers, unfinished where Ctrl-C ends the drawing."""
    labels = np.arange(arguments.sample) % len(lesson.training.classes)
    blank = np.zeros((arguments.sample, *lesson.model.size))
    _, samples, stopped = last_drawn(lesson.drawn(blank, labels), blank)
    write_arrays(arguments.out / "samples.npz", samples=to_device(samples, "cpu").astype(np.uint8))
    title = f"{arguments.sample} samples of a {arguments.model} PixelCNN"
    plots.save(plots.image_grid(lesson.unit(samples), title=title), arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")
    if stopped:
        raise stopped


def draw(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Write samples, how they grow, completions, and what the prediction of a pixel sees."""
    name, classes = f"{arguments.model} PixelCNN on {arguments.data}", lesson.training.classes
    height, width, colours = lesson.model.size
    shown = {round(pixels) * colours for pixels in np.linspace(1, height * width, FRAMES)}
    labels = np.repeat(np.arange(len(classes)), PER_CLASS)
    blank = np.zeros((len(labels), *lesson.model.size))
    frames = [(n // colours, lesson.unit(images)) for n, images in lesson.drawn(blank, labels) if n in shown]
    samples = frames[-1][1]
    if lesson.model.classes:
        rows = list(zip(classes, samples.reshape(len(classes), PER_CLASS, *lesson.model.size), strict=True))
        grid = plots.image_rows(rows, title=f"{name}: samples of the class on the left")
    else:
        grid = plots.image_grid(samples, columns=20, title=f"{name}: samples")
    pictures = {
        "samples": grid,
        "completions": completions(lesson, name),
        "receptive_field": receptive_field(lesson, arguments),
    }
    for picture, figure in pictures.items():
        plots.save(figure, arguments.out / f"{picture}.{arguments.format}")
    plots.save_animation(plots.growing_images(frames, columns=PER_CLASS, title=name), arguments.out / "growing.gif")


def completions(lesson: Lesson, name: str) -> Figure:
    """Draw test images, their upper halves, and three ways in which the model, told their classes if it has any, goes on."""
    test, labels = lesson.test[:COMPLETED], lesson.labels[:COMPLETED]
    known = np.zeros(lesson.model.size, bool)
    known[: lesson.model.size[0] // 2] = True
    *_, (_, drawn) = lesson.drawn(np.concatenate([test] * 3), np.tile(labels, 3), known)
    images, three = lesson.unit(test), lesson.unit(drawn).reshape(3, *test.shape)
    rows = [("test images", images), ("given", np.where(known, images, 0.25)), *(("drawn", one) for one in three)]
    return plots.image_rows(rows, title=f"{name}: the lower half, given the upper one")


def receptive_field(lesson: Lesson, arguments: argparse.Namespace) -> Figure:
    """Draw what the prediction of a pixel in the middle depends on; beside it, with its first weights, in the other kind of network.

    A first convolution of 7 x 7 sees most of an 8 x 8 image by itself. That of the network beside is smaller there, so that its blind spot
    shows.
    """
    height, width, colours = lesson.model.size
    row, column = height // 2, width // 2 - 1
    x = to_device(lesson.test[:LOOKED_AT].astype(np.float32), lesson.device)
    condition = to_device(lesson.labels[:LOOKED_AT], lesson.device) if lesson.model.classes else None
    other = "plain" if arguments.model == "gated" else "gated"
    kernel_size = UNTRAINED_KERNEL_SIZES[arguments.data]
    untrained = build(other, FEATURES[other], kernel_size, lesson.training, arguments, Generator(0)).to(lesson.device)
    fields = [
        (label, to_device(model.dependence(x, (row * width + column) * colours, condition), "cpu").sum(axis=2))
        for label, model in (
            (arguments.model, lesson.model),
            (f"{other} {kernel_size}x{kernel_size}, untrained", untrained),
        )
    ]
    return plots.receptive_field(fields, pixel=(row, column), title="What the prediction of one pixel sees")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    what = "log p(x|y)" if arguments.classes else "log p(x)"
    rows = [
        (f"{what} of test images (nats)", f"{figures['test_log_likelihood']:.2f} +- {figures['standard_error']:.2f}"),
        ("  bits per dimension", f"{figures['bits_per_dimension']:.4f}"),
    ]
    if "accuracy" in figures:
        rows.append(("test images read rightly by Bayes' rule", f"{100 * figures['accuracy']:.1f} %"))
    rows += [
        ("parameters", f"{figures['parameters']:,}"),
        ("epochs", f"{figures['epochs']:.0f}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    kind = f"{arguments.binarization} bits" if arguments.pixels == "bits" else arguments.pixels
    print(table(rows, f"{arguments.model} PixelCNN on {arguments.data}, {kind}, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
