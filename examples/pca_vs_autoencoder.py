"""Principal components against autoencoders: planes, and curved surfaces.

PCA describes an image by its coordinates in the plane nearest to all images. A linear autoencoder learns the same plane by gradient
descent, whether or not its decoder's weights are its encoder's (Baldi & Hornik 1989); a deep one bends it, and with as many numbers makes
better images (Hinton & Salakhutdinov 2006). The same can be seen in space: points on a curved surface are described by two numbers each.

    python examples/pca_vs_autoencoder.py                               # 8 x 8 digits, 8 numbers for each
    python examples/pca_vs_autoencoder.py --data mnist --out runs/pca_vs_autoencoder-mnist     # 784-1000-500-250-30; a quarter of an hour
    python examples/pca_vs_autoencoder.py --sample 40                   # images of codes drawn from a normal distribution

Errors are squared differences of pixels in [0, 1], summed over an image. What they are worth is the last picture's question: a digit is far
from itself, moved by a pixel, and may be nearer to another digit.

It writes pictures, metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same
command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigen as mg
from minigen import nn, plots
from minigen.data import IMAGE_SETS, Batches, Images, load_images
from minigen.metrics import PCA, pca
from minigen.models import Autoencoder, Together, mlp_autoencoder
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

EVALUATION_SEED = 1989
MONITORED = 2000  # test images whose error is recorded during training
ROWS = 100  # of the history
POINTS = 1000  # on the bent sheet
BEND, WIDTH = 1.3 * np.pi, 2.0  # the angle by which it turns, and how far it reaches, to each side
SHOWN = 12  # images in a row
SHIFTS = (0, 1, 2, 3)  # pixels
COMPARED = 500  # images whose nearest others are looked for
LABELS = {"linear": "linear", "tied": "linear, tied", "deep": "deep"}  # autoencoders

SETTINGS = ("data", "hidden", "code", "batch_size", "learning_rate", "seed")
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": [128, 64], "code": 8, "steps": 6000, "batch_size": 64, "learning_rate": 1e-2},
    "mnist": {"hidden": [1000, 500, 250], "code": 30, "steps": 36_000, "batch_size": 100, "learning_rate": 1e-3},
    "fashion": {"hidden": [1000, 500, 250], "code": 30, "steps": 36_000, "batch_size": 100, "learning_rate": 1e-3},
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
    principal = pca(training.unit(), arguments.code)
    distances = pixel_distances(test)
    figures = measure(lesson, principal, distances, arguments)
    if not arguments.no_plots:
        draw(lesson, principal, distances, figures, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to describe (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument("--code", type=at_least(1), metavar="D", help="numbers for each image (8; mnist, fashion: 30)")
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the deep encoder's hidden layers; its decoder has them in reverse (128 64; mnist, fashion: 1000 500 250)",
    )
    options.add_argument("--steps", type=at_least(1), help="of Adam (6,000; mnist, fashion: 36,000)")
    options.add_argument("--batch-size", type=at_least(1), help="images per step (64; mnist, fashion: 100)")
    options.add_argument(
        "--learning-rate",
        type=positive,
        help="at first; it falls to 0 along half a cosine (0.01; mnist, fashion: 0.001)",
    )
    add_run_options(parser, out="runs/pca_vs_autoencoder")
    arguments = parser.parse_args()
    for name, value in DEFAULTS[arguments.data].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def bent_sheet(along: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points of a sheet that is bent like an S, (n,) each -> (n, 1, 1, 3): each is an image of one pixel with three channels."""
    points = np.stack([np.sin(along), across, np.sign(along) * (np.cos(along) - 1)], axis=-1)
    return points.reshape(-1, 1, 1, 3).astype(np.float32)


class Models(nn.Module):
    """What learns in one run: the autoencoders of images, and the one of points."""

    def __init__(self, of_images: Together, of_points: Autoencoder) -> None:
        self.of_images, self.of_points = of_images, of_points

    def loss(self, batch: tuple[mg.Tensor, mg.Tensor], *, rng: Generator) -> tuple[mg.Tensor, dict[str, mg.Tensor]]:
        """Return the sum of all losses, for a batch of images and one of points, and the terms of each."""
        images, points = batch
        loss, terms = self.of_images.loss(images, rng=rng)
        points_loss, points_terms = self.of_points.loss(points, rng=rng)
        return loss + points_loss, terms | {"points_squared_error": points_terms["squared_error"]}


class Lesson:
    """The models, what trains them, and the run that counts the steps."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.training, self.test, self.device = training, test, arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        size = training.images.shape[1:]
        linear: dict[str, Any] = {
            "size": size,
            "hidden": (),
            "code": arguments.code,
            "likelihood": "gaussian",
            "rng": self.rng,
        }
        self.models = Models(
            Together(
                linear=mlp_autoencoder(**linear),
                tied=mlp_autoencoder(**linear, tied=True),
                deep=mlp_autoencoder(
                    size=size, hidden=tuple(arguments.hidden), code=arguments.code, activation=nn.ELU, rng=self.rng
                ),
            ),
            mlp_autoencoder(
                size=(1, 1, 3), hidden=(32, 32), code=2, likelihood="gaussian", activation=nn.Tanh, rng=self.rng
            ),
        )
        self.models.to(self.device)
        place = Generator(EVALUATION_SEED)
        self.points = bent_sheet(
            place.uniform(POINTS, low=-BEND, high=BEND), place.uniform(POINTS, low=-WIDTH, high=WIDTH)
        )
        self.optimizer = Adam(self.models, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        orders = [Generator(arguments.seed + 2**32 + i) for i in range(2)]
        self.image_batches = Batches(training.unit(), batch_size=arguments.batch_size, rng=orders[0])
        self.point_batches = Batches(self.points, batch_size=min(arguments.batch_size, POINTS), rng=orders[1])
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"autoencoders, {training.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "models": self.models, "optimizer": self.optimizer, "noise": self.rng, "images": self.image_batches,
                "points": self.point_batches, "order": orders[0], "order_of_points": orders[1],
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )  # fmt: skip

    def on_device(self) -> Iterator[tuple[mg.Tensor, mg.Tensor]]:
        """Yield images and points."""
        for images, points in zip(self.image_batches, self.point_batches, strict=True):
            yield mg.tensor(images, device=self.device), mg.tensor(points, device=self.device)

    def monitor(self) -> dict[str, float]:
        """Return the errors on some test images."""
        images = self.test.unit()[:MONITORED]
        return {
            f"test_{name}": error(model.reconstruct(images), images)
            for name, model in self.models.of_images.models.items()
        }


def flat(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every image as a row, (N, H, W, C) -> (N, H W C)."""
    return images.reshape(len(images), -1)


def error(reconstructed: NDArray[Any], images: NDArray[Any]) -> float:
    """Return the squared error summed over pixels, mean over images."""
    return float((flat(reconstructed - images).astype(np.float64) ** 2).sum(axis=1).mean())


# ------------------------------------------------------------------------------------------------------ figures


class Distances(NamedTuple):
    """Squared distances between images of different kinds; means over test images.

    Attributes:
        shifted: to itself, moved to the right by each of SHIFTS.
        same: to the nearest other image of the same class.
        other: to the nearest image of another class.
        example: the indices of an image and of the nearest one of another class: a pair that is closer than the shifted image is, if any.
    """

    shifted: list[float]
    same: float
    other: float
    example: tuple[int, int]


def moved(images: NDArray[np.float32], pixels: int) -> NDArray[np.float32]:
    """Return images moved to the right, paper coming in from the left."""
    return np.pad(images, ((0, 0), (0, 0), (pixels, 0), (0, 0)))[:, :, : images.shape[2]]


def pixel_distances(test: Images) -> Distances:
    """Compare some test images with themselves, shifted, and with all others."""
    images, labels = test.unit(), test.labels
    some, all_rows = flat(images[:COMPARED]), flat(images)
    squared = (some**2).sum(axis=1)[:, None] - 2 * some @ all_rows.T + (all_rows**2).sum(axis=1)  # (COMPARED, N)
    itself = np.arange(len(some))
    squared[itself, itself] = np.inf
    alike = labels[: len(some), None] == labels
    to_same, to_other = np.where(alike, squared, np.inf), np.where(alike, np.inf, squared)
    by_one = (flat(moved(images[:COMPARED], 1)) - some).astype(np.float64) ** 2
    chosen = int(np.argmax(by_one.sum(axis=1) / to_other.min(axis=1)))
    return Distances(
        [error(moved(images[:COMPARED], pixels), images[:COMPARED]) for pixels in SHIFTS],
        float(to_same.min(axis=1).mean()),
        float(to_other.min(axis=1).mean()),
        (chosen, int(to_other[chosen].argmin())),
    )


def principal_angle(model: Autoencoder, principal: PCA) -> float:
    """Return the largest angle between the span of a linear decoder's weights and that of the principal components, in degrees."""
    codes = np.eye(len(principal.components), dtype=np.float32)
    device = model.parameters()[0].device
    at = [mg.tensor(model.mean_images(mg.tensor(z, device=device))).to("cpu").numpy() for z in (codes, 0 * codes)]
    learnt = np.linalg.qr(flat(at[0] - at[1]).astype(np.float64).T)[0]  # (pixels, D): the columns span the plane
    cosines = np.linalg.svd(principal.components @ learnt, compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1))))


def measure(lesson: Lesson, principal: PCA, distances: Distances, arguments: argparse.Namespace) -> dict:
    """Compute errors on the training and the test images, and on the points."""
    images = {"training": lesson.training.unit(), "test": lesson.test.unit()}
    figures: dict[str, Any] = dict(lesson.run.configuration)
    for part, x in images.items():
        figures[f"{part}_error"] = {"pca": principal.reconstruction_error(x)} | {
            name: error(model.reconstruct(x), x) for name, model in lesson.models.of_images.models.items()
        }
    return figures | {
        "principal_angle": {
            name: principal_angle(lesson.models.of_images.models[name], principal) for name in ("linear", "tied")
        },
        "points_error": {
            "pca": pca(lesson.points, 2).reconstruction_error(lesson.points),
            "autoencoder": error(lesson.models.of_points.reconstruct(lesson.points), lesson.points),
        },
        "pixel_distances": distances._asdict(),
        "parameters": {
            name: sum(parameter.size for parameter in model.parameters())
            for name, model in lesson.models.of_images.models.items()
        },
        "training_images": len(images["training"]),
        "test_images": len(images["test"]),
        "steps": arguments.steps,
        "device": arguments.device,
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def sample(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Decode codes drawn from a normal distribution with the mean and covariance of the training images' codes.

    An autoencoder knows nothing of how its codes are distributed, so many of the images are no digits: a VAE's prior mends that.
    """
    model, rng = lesson.models.of_images.models["deep"], Generator(EVALUATION_SEED)
    codes = model.codes(lesson.training.unit()).astype(np.float64)
    factor = np.linalg.cholesky(np.cov(codes.T).reshape(arguments.code, -1) + 1e-9 * np.eye(arguments.code))
    drawn = codes.mean(axis=0) + rng.normal((arguments.sample, arguments.code)) @ factor.T
    z = mg.tensor(drawn.astype(np.float32), device=lesson.device)
    images = mg.tensor(model.mean_images(z)).to("cpu").numpy()
    write_arrays(arguments.out / "samples.npz", images=images)
    plots.save(
        plots.image_grid(images, title="codes drawn from one normal distribution, decoded"),
        arguments.out / f"samples.{arguments.format}",
    )
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


# ------------------------------------------------------------------------------------------------------ pictures


def draw(lesson: Lesson, principal: PCA, distances: Distances, figures: dict, arguments: argparse.Namespace) -> None:
    def keep(figure: Any, name: str) -> None:
        plots.save(figure, arguments.out / f"{name}.{arguments.format}")

    test, models, name = lesson.test.unit(), lesson.models.of_images.models, lesson.test.name
    shown, errors = test[:SHOWN], figures["test_error"]
    rows = [
        ("originals", shown),
        (f"PCA\n{errors['pca']:.2f}", principal.reconstruct(principal.project(shown)).reshape(shown.shape)),
    ]
    rows += [(f"{LABELS[key]}\n{errors[key]:.2f}", model.reconstruct(shown)) for key, model in models.items()]
    title = f"{name}: images made again of {arguments.code} numbers, and the mean squared error of all test images"
    keep(plots.image_rows(rows, title=title), "reconstructions")

    history = lesson.run.history
    curves = {LABELS[key]: history.column(f"test_{key}") for key in models}
    exact = {"PCA": principal.reconstruction_error(test[:MONITORED])}
    title = f"{name}: error on test images"
    keep(plots.error_curves(history.column("step"), errors=curves, exact=exact, title=title), "training")

    keep(
        plots.fitted_surfaces(lesson.points.reshape(-1, 3), surfaces=surfaces(lesson), title="Two numbers for a point"),
        "surface",
    )

    first, other = distances.example
    ink = test.mean(axis=3)  # (N, H, W)
    classes = [lesson.test.classes[label] for label in lesson.test.labels[[first, other]]]
    pictures = [(f"a {classes[0]}", ink[first])]
    pictures += [
        (f"shifted by {pixels}", moved(test[first : first + 1], pixels).mean(axis=3)[0]) for pixels in SHIFTS[1:3]
    ]
    pictures += [(f"a {classes[1]}", ink[other])]
    levels = {"nearest of another class": distances.other, "nearest of its class": distances.same}
    title = "What a distance of pixels sees"
    figure = plots.pixel_distances(pictures, shifts=SHIFTS, distances=distances.shifted, levels=levels, title=title)
    keep(figure, "pixel_distances")


def surfaces(lesson: Lesson) -> dict[str, NDArray[np.float64]]:
    """Return what becomes of a net on the bent sheet that is made again of two numbers a point, (R, S, 3)."""
    along, across = np.meshgrid(np.linspace(-BEND, BEND, 40), np.linspace(-WIDTH, WIDTH, 12), indexing="ij")
    net, plane = bent_sheet(along, across), pca(lesson.points, 2)
    found = {
        "PCA: flattened into a plane": plane.reconstruct(plane.project(net)),
        "autoencoder: a curved surface": lesson.models.of_points.reconstruct(net),
    }
    return {label: made.reshape(40, 12, 3) for label, made in found.items()}


def report(figures: dict, arguments: argparse.Namespace) -> None:
    training, test = figures["training_error"], figures["test_error"]
    rows = [("", "training      test")]
    rows += [
        (label, f"{training[name]:8.3f}  {test[name]:8.3f}")
        for name, label in {
            "pca": f"PCA, {arguments.code} components",
            "linear": "linear autoencoder",
            "tied": "  with tied weights",
            "deep": "deep autoencoder",
        }.items()
    ]
    angles, points = figures["principal_angle"], figures["points_error"]
    shifted = figures["pixel_distances"]["shifted"]
    rows += [
        ("linear autoencoder above PCA", f"{100 * (test['linear'] / test['pca'] - 1):.3f} %"),
        ("  tied", f"{100 * (test['tied'] / test['pca'] - 1):.3f} %"),
        ("its plane and PCA's, largest angle; tied", f"{angles['linear']:.2f}, {angles['tied']:.2f} degrees"),
        ("points on a curved surface: PCA; autoencoder", f"{points['pca']:.4f}; {points['autoencoder']:.4f}"),
        ("a digit shifted by one pixel", f"{shifted[1]:.2f}"),
        ("  the nearest digit of another class", f"{figures['pixel_distances']['other']:.2f}"),
        ("parameters of the deep autoencoder", f"{figures['parameters']['deep']:,}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    print(table(rows, f"Squared errors on {arguments.data}, {arguments.steps:,} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
