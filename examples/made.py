"""Train a density of binary images whose log-likelihood is exact: a belief net, NADE, or MADE.

All three say p(x) = prod_i p(x_i | the pixels before x_i). They differ in what a conditional can be:

    belief-net   a logistic regression on the pixels before (Neal 1992; Frey, Hinton & Dayan 1996)
    nade         a network with one hidden layer, whose weights all pixels share (Larochelle & Murray 2011)
    made         masks on a network of any depth cut the paths that look ahead (Germain et al. 2015)

    python examples/made.py                                                     # MADE on 8 x 8 digits
    python examples/made.py --model belief-net --out runs/belief-net
    python examples/made.py --orderings 8 --hidden 500 --steps 6000 --out runs/made-8      # one set of weights under 8 orderings, mixed
    python examples/made.py --model belief-net --data mnist --out runs/belief-net-mnist
    python examples/made.py --data mnist --binarization static --ordering random --steps 9000 --out runs/made-mnist
    python examples/made.py --sample 100 --out runs/made                        # 100 images of a finished run

Row by row, a pixel is best told from its neighbour just visited, but hardly a hidden unit has the degree that lets it see that far and no
farther. That may be why, in trials, made without --direct did better under a random ordering, and with it better still row by row.

It writes samples, the same while they grow, completions of which the upper half is given, the weights, what each pixel costs, metrics.json
and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same command with --resume goes on from
there, to the same result bit by bit. With --resume, --steps may also grow: the learning rate, which falls to 0, is then that of the longer
run from there on. Ctrl-C amid --sample keeps what is drawn by then.
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
from minigen.models import MADE, NADE, BeliefNet, OrderingMixture, ordering_mixture
from minigen.models.autoregressive import Autoregressive
from minigen.models.made import ORDERINGS
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

EVALUATION_SEED = 19920713
TRAINING_KEY, TEST_KEY = 0, 1  # of the one static draw of the training images, and of the test images
AT_ONCE = 200  # images whose pixels' costs are computed together
MEASURED = 10_000  # training images whose log-likelihood is measured, at most
MONITORED = 1000  # test images whose log-likelihood is recorded during training
ROWS, FRAMES = 100, 40  # of the history; of the growing images
SAMPLES_SHOWN, COMPLETED, COLUMNS, FIELDS_SHOWN, ORDERS_SHOWN = 100, 10, 20, 18, 3

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = (
    "model", "data", "binarization", "hidden", "orderings", "ordering", "direct", "batch_size", "learning_rate", "weight_decay", "seed",
)  # fmt: skip
RATES = {"belief-net": 1e-2, "nade": 1e-2, "made": 3e-3}
HIDDEN = {"digits": [128], "mnist": [500], "fashion": [500]}
PROTOCOLS = {"digits": "threshold", "mnist": "dynamic", "fashion": "dynamic"}  # of the bits
STEPS = {"digits": 3000, "mnist": 30_000, "fashion": 30_000}


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
        draw(lesson, figures, arguments)
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
    options.add_argument("--model", choices=RATES, default="made", help="what a conditional is (made)")
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the hidden layers; nade has one (128; mnist and fashion: 500)",
    )
    options.add_argument(
        "--orderings",
        type=at_least(1),
        default=1,
        metavar="M",
        help="of made's weights, whose mixture is the model (1)",
    )
    options.add_argument(
        "--ordering",
        choices=ORDERINGS,
        help="of made: row by row, or a random one; several natural ones differ in their masks alone (natural; random for M > 1)",
    )
    options.add_argument(
        "--direct", action="store_true", help="connect made's outputs directly to the pixels, too (off)"
    )
    options = parser.add_argument_group("training (default)")
    options.add_argument("--steps", type=at_least(1), help="of Adam (3,000; mnist and fashion: 30,000)")
    options.add_argument("--batch-size", type=at_least(1), default=100, help="images per step (100)")
    options.add_argument(
        "--learning-rate",
        type=positive,
        help="at first; it falls to 0 along half a cosine (0.003; belief-net and nade: 0.01)",
    )
    options.add_argument("--weight-decay", type=positive, default=0.0, help="Adam's, of all parameters (none)")
    add_run_options(parser, out="runs/made")
    arguments = parser.parse_args()
    if arguments.model != "made" and (arguments.orderings > 1 or arguments.ordering or arguments.direct):
        parser.error(f"--orderings, --ordering and --direct are made's, but --model {arguments.model} is given")
    if arguments.model == "belief-net" and arguments.hidden:
        parser.error("--hidden is about hidden layers, of which a belief net has none")
    if arguments.model == "nade" and len(arguments.hidden or [0]) > 1:
        parser.error("--hidden: nade has one hidden layer")
    if arguments.hidden is None:
        arguments.hidden = [] if arguments.model == "belief-net" else HIDDEN[arguments.data]
    arguments.ordering = arguments.ordering or ("random" if arguments.orderings > 1 else "natural")
    arguments.binarization = arguments.binarization or PROTOCOLS[arguments.data]
    arguments.steps = arguments.steps or STEPS[arguments.data]
    arguments.learning_rate = arguments.learning_rate or RATES[arguments.model]
    return arguments


class Lesson:
    """The model, what trains it, and the run that counts its steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.arguments, self.device = arguments, arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        self.model = build(training.images.shape[1:], arguments, self.rng)
        self.model.to(self.device)
        self.optimizer = Adam(
            self.model,
            learning_rate=cosine(arguments.learning_rate, steps=arguments.steps),
            weight_decay=arguments.weight_decay,
        )
        order = Generator(arguments.seed + 2**32)
        protocol = arguments.binarization
        self.batches = BinaryBatches(
            training.unit(), protocol=protocol, batch_size=arguments.batch_size, rng=order, key=TRAINING_KEY
        )
        # One draw for all measurements, the same in every run.
        rng = Generator(EVALUATION_SEED)
        self.test = binarize(test.unit(), protocol=protocol, rng=rng, key=TEST_KEY)  # (N, H, W, 1)
        self.training = binarize(training.unit(), protocol=protocol, rng=rng, key=TRAINING_KEY)[:MEASURED]
        self.steps_per_epoch = len(training.images) // arguments.batch_size
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"{arguments.model}, {training.name}",
            monitor=lambda: {"test_log_likelihood": exact_log_likelihood(self.model, self.test[:MONITORED]).mean()},
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

    def on_device(self) -> Iterator[mg.Tensor]:
        """Yield bits, (batch_size, H, W, 1)."""
        for bits in self.batches:
            yield mg.tensor(bits, device=self.device)

    def orderings(self) -> list[Autoregressive]:
        """Return the models, each under one ordering, of which the model is made."""
        return self.model.models if isinstance(self.model, OrderingMixture) else [self.model]

    def site_costs(self, model: Autoregressive) -> NDArray[np.float64]:
        """Return the mean of -log p(x_i | the pixels before it) over the test images, (H, W)."""
        total = np.zeros(model.size)
        with mg.no_grad():
            for start in range(0, len(self.test), AT_ONCE):
                x = to_device(self.test[start : start + AT_ONCE], self.device)
                each = model.conditional.log_prob(model.predict(x), x)  # (N, H, W, 1)
                total -= each.to("cpu").numpy().sum(axis=0, dtype=np.float64)
        return total[..., 0] / len(self.test)

    def drawn(
        self, x: NDArray[np.float32], known: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Array]]:  # fmt: skip
        """Draw all pixels of x, (N, H, W, 1), that are not known; yield after each pixel how many are done, and all images."""
        return drawing(self.model, x, known, rng=Generator(EVALUATION_SEED, device=self.device))


def build(size: tuple[int, ...], arguments: argparse.Namespace, rng: Generator) -> Autoregressive:
    """Return the model with its initial weights."""
    if arguments.model == "belief-net":
        return BeliefNet(size)
    if arguments.model == "nade":
        return NADE(size, hidden=arguments.hidden[0], rng=rng)
    settings: dict[str, Any] = {
        "hidden": tuple(arguments.hidden),
        "ordering": arguments.ordering,
        "direct": arguments.direct,
        "rng": rng,
    }
    if arguments.orderings == 1:
        return MADE(size, **settings)
    return ordering_mixture(size, orderings=arguments.orderings, **settings)


def measure(lesson: Lesson) -> dict[str, Any]:
    """Compute the exact log-likelihood of test and training images, and under each ordering; add the settings."""
    found = exact_log_likelihood(lesson.model, lesson.test)
    costs = [lesson.site_costs(model) for model in lesson.orderings()]
    return lesson.run.configuration | {
        "steps": lesson.run.steps,
        "epochs": lesson.run.steps / lesson.steps_per_epoch,
        "test_log_likelihood": float(found.mean()),
        "standard_error": float(found.std() / np.sqrt(len(found))),
        "test_bits_per_pixel": bits_per_dimension(found.mean(), dimensions=lesson.model.sites),
        "training_log_likelihood": float(exact_log_likelihood(lesson.model, lesson.training).mean()),
        "ordering_log_likelihoods": [-float(cost.sum()) for cost in costs],
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
    figure = plots.image_grid(samples, title=f"{arguments.sample} samples of {arguments.model}")
    plots.save(figure, arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")
    if stopped:
        raise stopped


def draw(lesson: Lesson, figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write samples, how they grow, completions, weights, what each pixel costs, and what each ordering costs."""
    name, (height, width, _) = f"{arguments.model} on {arguments.data}", lesson.model.size
    shown = {round(pixels) for pixels in np.linspace(1, height * width, FRAMES)}
    blank = np.zeros((SAMPLES_SHOWN, *lesson.model.size), np.float32)
    frames = [(n, to_device(images.copy(), "cpu")) for n, images in lesson.drawn(blank) if n in shown]
    pictures = {
        "samples": plots.image_grid(frames[-1][1], columns=COLUMNS, title=f"{name}: samples"),
        "completions": completions(lesson, name),
        "weights": weights(lesson, name),
        "pixels": pixel_costs(lesson, name),
    }
    if isinstance(lesson.model, OrderingMixture):
        pictures["orderings"] = plots.ordering_costs(
            [-cost for cost in figures["ordering_log_likelihoods"]],
            mixture=-figures["test_log_likelihood"],
            title=f"{name}: one set of weights under {arguments.orderings} orderings",
        )
    for picture, figure in pictures.items():
        plots.save(figure, arguments.out / f"{picture}.{arguments.format}")
    plots.save_animation(plots.growing_images(frames, columns=COLUMNS, title=name), arguments.out / "growing.gif")


def completions(lesson: Lesson, name: str) -> Figure:
    """Draw test images, their upper halves, and three ways in which the model goes on."""
    height = lesson.model.size[0]
    images = lesson.test[:COMPLETED]
    known = np.zeros(lesson.model.size, bool)
    known[: height // 2] = True
    *_, (_, drawn) = lesson.drawn(np.concatenate([images] * 3), known)
    three = to_device(drawn, "cpu").reshape(3, *images.shape)
    rows = [("test images", images), ("given", np.where(known, images, 0.25)), *(("drawn", one) for one in three)]
    return plots.image_rows(rows, title=f"{name}: the lower half, given the upper one")


def weights(lesson: Lesson, name: str) -> Figure:
    """Draw what single pixels listen to, or what single hidden units do, as images.

    Each weight is multiplied by the standard deviation of the pixel that it is about: large ones of pixels that are hardly ever ink, as
    near the border, move little.
    """
    (model, *_), (height, width, _) = lesson.orderings(), lesson.model.size
    if isinstance(model, BeliefNet):
        weight = model.weight * model.before
    elif isinstance(model, NADE):
        weight = model.weight
    else:
        first, *_ = [*model.layers, model.out]
        weight = first.weight * first.mask
    deviation = lesson.training.reshape(len(lesson.training), -1).std(axis=0)  # (D,)
    moves = weight.detach().to("cpu").numpy().T * deviation  # (units, D)
    if isinstance(model, BeliefNet):
        rows, columns = (np.linspace(0, end - 1, count + 2)[1:-1].round() for end, count in ((height, 3), (width, 6)))
        marks = [(int(row), int(column)) for row in rows for column in columns]
        shown, what = [row * width + column for row, column in marks], "the pixel in the frame listens to"
    else:
        strongest = np.argsort(-np.square(moves).sum(axis=1), kind="stable")[:FIELDS_SHOWN]
        shown, marks, what = np.sort(strongest).tolist(), None, "hidden units listen to"
    return plots.signed_images(
        moves[shown].reshape(-1, height, width), marks=marks, label="weight x deviation", title=f"{name}: what {what}"
    )


def pixel_costs(lesson: Lesson, name: str) -> Figure:
    """Draw what each pixel costs, under the first few orderings."""
    costs = [lesson.site_costs(model) for model in lesson.orderings()[:ORDERS_SHOWN]]
    panels = [
        (f"ordering {m}: {cost.sum():.1f} nats" if len(costs) > 1 else f"together {cost.sum():.1f} nats", cost)
        for m, cost in enumerate(costs, start=1)
    ]
    return plots.site_costs(panels, title=f"{name}: what each pixel costs, given those before it")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    rows = [
        (
            "log-likelihood of test images (nats)",
            f"{figures['test_log_likelihood']:.2f} +- {figures['standard_error']:.2f}",
        ),
        ("  bits per pixel", f"{figures['test_bits_per_pixel']:.4f}"),
        ("  of training images (nats)", f"{figures['training_log_likelihood']:.2f}"),
    ]
    if arguments.orderings > 1:
        each = figures["ordering_log_likelihoods"]
        rows.append(("  under the best, the worst ordering", f"{max(each):.2f}, {min(each):.2f}"))
    rows += [
        ("parameters", f"{figures['parameters']:,}"),
        ("epochs", f"{figures['epochs']:.0f}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    title = f"{arguments.model} on {arguments.data}, {arguments.binarization} bits, seed {arguments.seed}"
    print(table(rows, title))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
