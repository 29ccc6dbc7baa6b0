"""Draw digits pixel by pixel with LSTMs that walk over the image: PixelRNN, whose log-likelihood is exact.

Row LSTMs walk down the image and see a triangle above each pixel. Diagonal BiLSTMs walk along its diagonals from both upper corners and
see all that comes before, but for one pixel at the end of the row above (van den Oord et al. 2016a). All pixels of a line are computed at
once, so an image of 28 x 28 pixels takes 28 steps or 55, and all conditionals come from one pass; a sample is drawn one pixel after the
other, with one cell of each layer to a pixel.

    python examples/pixelrnn.py                                                  # 3 Diagonal BiLSTMs, 8 x 8 digits
    python examples/pixelrnn.py --model row --out runs/pixelrnn-row              # compare the receptive fields
    python examples/pixelrnn.py --data mnist --binarization static --layers 7 --steps 120000 --batch-size 16 --out runs/pixelrnn-mnist
    python examples/pixelrnn.py --sample 100 --out runs/pixelrnn                 # 100 images of a finished run

The third is the network and the batch of the paper, which reports 79.20 nats (7 layers of h = 16, static bits); it wants --device gpu, or
about three hours of two cores.

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
from minigen.data import BINARIZATIONS, IMAGE_SETS, BinaryBatches, Images, binarize, load_images
from minigen.metrics import bits_per_dimension, exact_log_likelihood
from minigen.models import BernoulliConditional, PixelRNN
from minigen.models.pixelrnn import KINDS
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

EVALUATION_SEED = 20160125
TRAINING_KEY, TEST_KEY = 0, 1  # of the one static draw of the training images, and of the test images
MONITORED = 200  # test images whose log-likelihood is recorded during training
LOOKED_AT = 20  # test images over which the dependence of a pixel is averaged
ROWS, FRAMES = 50, 40  # of the history; of the growing images
SAMPLES, COMPLETED, COLUMNS = 100, 10, 20

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = ("model", "layers", "features", "kernel_size", "data", "binarization", "batch_size", "learning_rate", "seed")
PROTOCOLS = {"digits": "threshold", "mnist": "dynamic", "fashion": "dynamic"}  # of the bits
STEPS = {"digits": 1200, "mnist": 12_000, "fashion": 12_000}
KERNEL_SIZES = {"digits": 3, "mnist": 7, "fashion": 7}
NAMES = {"row": "Row LSTM", "diagonal": "Diagonal BiLSTM"}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
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
        "--binarization",
        choices=BINARIZATIONS,
        help="how grey pixels become bits: drawn once, drawn anew each time, or by rounding; likelihoods of one are not those of another "
        "(threshold; mnist and fashion: dynamic)",
    )
    options = parser.add_argument_group("model (default)")
    options.add_argument("--model", choices=KINDS, default="diagonal", help="Row LSTMs or Diagonal BiLSTMs (diagonal)")
    options.add_argument("--layers", type=at_least(1), default=3, help="of LSTMs (3)")
    options.add_argument("--features", type=at_least(1), default=32, help="2h, channels between the layers: even (32)")
    options.add_argument(
        "--kernel-size",
        type=at_least(3),
        help="of the first convolution: odd (3, which leaves the LSTMs to be seen; mnist and fashion: 7)",
    )
    options = parser.add_argument_group("training (default)")
    options.add_argument("--steps", type=at_least(1), help="of Adam (1,200; mnist and fashion: 12,000)")
    options.add_argument("--batch-size", type=at_least(1), default=64, help="images per step (64)")
    options.add_argument(
        "--learning-rate", type=positive, default=3e-3, help="at first; it falls to 0 along half a cosine (0.003)"
    )
    add_run_options(parser, out="runs/pixelrnn")
    arguments = parser.parse_args()
    arguments.binarization = arguments.binarization or PROTOCOLS[arguments.data]
    arguments.steps = arguments.steps or STEPS[arguments.data]
    arguments.kernel_size = arguments.kernel_size or KERNEL_SIZES[arguments.data]
    return arguments


class Lesson:
    """The model, what trains it, and the run that counts its steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.device = arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        self.model = build(arguments.model, training, arguments, self.rng).to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        order = Generator(arguments.seed + 2**32)
        protocol = arguments.binarization
        self.batches = BinaryBatches(
            training.unit(), protocol=protocol, batch_size=arguments.batch_size, rng=order, key=TRAINING_KEY
        )
        self.test = binarize(test.unit(), protocol=protocol, rng=Generator(EVALUATION_SEED), key=TEST_KEY)
        self.training = training
        self.steps_per_epoch = len(training.images) // arguments.batch_size
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"{NAMES[arguments.model]}, {training.name}",
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
        batches = (mg.tensor(bits, device=self.device) for bits in self.batches)
        fit_likelihood(self.model, batches, self.optimizer, self.run, rng=self.rng)

    def log_likelihood(self, count: int | None = None) -> NDArray[np.float64]:
        """Return log p(x) for the first test images, (N,)."""
        return exact_log_likelihood(self.model, self.test[:count])

    def drawn(
        self, x: NDArray[np.float32], known: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Array]]:  # fmt: skip
        """Draw all pixels of x, (N, H, W, 1), that are not known; yield after each pixel how many are done, and all images."""
        return drawing(self.model, x, known, rng=Generator(EVALUATION_SEED, device=self.device))


def build(kind: str, images: Images, arguments: argparse.Namespace, rng: Generator) -> PixelRNN:
    """Return a model with its initial weights."""
    return PixelRNN(
        images.images.shape[1:],
        BernoulliConditional(),
        kind=kind,
        features=arguments.features,
        layers=arguments.layers,
        kernel_size=arguments.kernel_size,
        rng=rng,
    )


def measure(lesson: Lesson) -> dict[str, Any]:
    """Compute the exact log-likelihood of the test images; add the settings."""
    found = lesson.log_likelihood()
    return lesson.run.configuration | {
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


def write_samples(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Draw images, and write them as a picture and as numbers, unfinished where Ctrl-C ends the drawing."""
    blank = np.zeros((arguments.sample, *lesson.model.size), np.float32)
    _, drawn, stopped = last_drawn(lesson.drawn(blank), blank)
    samples = to_device(drawn, "cpu")
    write_arrays(arguments.out / "samples.npz", samples=samples.astype(np.uint8))
    figure = plots.image_grid(samples, title=f"{arguments.sample} samples of a PixelRNN")
    plots.save(figure, arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")
    if stopped:
        raise stopped


def draw(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Write samples, how they grow, completions, and what the prediction of a pixel sees."""
    name, (height, width, _) = f"{NAMES[arguments.model]} on {arguments.data}", lesson.model.size
    shown = {round(pixels) for pixels in np.linspace(1, height * width, FRAMES)}
    blank = np.zeros((SAMPLES, *lesson.model.size), np.float32)
    frames = [(n, to_device(images.copy(), "cpu")) for n, images in lesson.drawn(blank) if n in shown]
    pictures = {
        "samples": plots.image_grid(frames[-1][1], columns=COLUMNS, title=f"{name}: samples"),
        "completions": completions(lesson, name),
        "receptive_field": receptive_field(lesson, arguments),
    }
    for picture, figure in pictures.items():
        plots.save(figure, arguments.out / f"{picture}.{arguments.format}")
    plots.save_animation(plots.growing_images(frames, columns=COLUMNS, title=name), arguments.out / "growing.gif")


def completions(lesson: Lesson, name: str) -> Figure:
    """Draw test images, their upper halves, and three ways in which the model goes on."""
    images = lesson.test[:COMPLETED]
    known = np.zeros(lesson.model.size, bool)
    known[: lesson.model.size[0] // 2] = True
    *_, (_, drawn) = lesson.drawn(np.concatenate([images] * 3), known)
    three = to_device(drawn, "cpu").reshape(3, *images.shape)
    rows = [("test images", images), ("given", np.where(known, images, 0.25)), *(("drawn", one) for one in three)]
    return plots.image_rows(rows, title=f"{name}: the lower half, given the upper one")


def receptive_field(lesson: Lesson, arguments: argparse.Namespace) -> Figure:
    """Draw what the prediction of a pixel in the middle depends on; beside it, with its first weights, in the other kind of layers."""
    height, width, _ = lesson.model.size
    row, column = height // 2, width // 2 - 1
    x = to_device(lesson.test[:LOOKED_AT], lesson.device)
    fields = []
    for kind in KINDS:
        model, label = lesson.model, NAMES[kind]
        if kind != arguments.model:
            rng = Generator(arguments.seed, device=lesson.device)
            model, label = build(kind, lesson.training, arguments, rng).to(lesson.device), f"{label}, untrained"
        seen = to_device(model.dependence(x, row * width + column), "cpu")
        fields.append((label, seen.sum(axis=2)))
    return plots.receptive_field(fields, pixel=(row, column), title="What the prediction of one pixel sees")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    rows = [
        ("log p(x) of test images (nats)", f"{figures['test_log_likelihood']:.2f} +- {figures['standard_error']:.2f}"),
        ("  bits per dimension", f"{figures['bits_per_dimension']:.4f}"),
        ("parameters", f"{figures['parameters']:,}"),
        ("epochs", f"{figures['epochs']:.0f}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    layers = f"{arguments.layers} {NAMES[arguments.model]}{'s' if arguments.layers > 1 else ''}"
    print(table(rows, f"{layers} on {arguments.data}, {arguments.binarization} bits, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
