"""Compare principal components with autoencoders, which find planes and curved surfaces.

PCA describes an image x by its coordinates in the plane that is nearest to all images; an autoencoder describes it by a code z of as many
numbers, and learns encoder E and decoder D by gradient descent:

    PCA              x' = m + U U^T (x - m)       the plane of the D largest variances, with the least |x - x'|^2
    linear, tied     x' = W' (W x + b) + b'       the same plane, with or without W' = W^T (Baldi & Hornik 1989)
    deep             x' = D(E(x))                 a curved surface, and better images (Hinton & Salakhutdinov 2006)

The same can be seen in space: two numbers describe each point of a curved surface.

    python examples/pca_vs_autoencoder.py                               # 8 x 8 digits, 8 numbers for each
    python examples/pca_vs_autoencoder.py --data mnist --out runs/pca_vs_autoencoder-mnist     # 784-1000-500-250-30; a quarter of an hour
    python examples/pca_vs_autoencoder.py --sample 40                   # images of codes drawn from a normal distribution

Errors are squared differences of pixels in [0, 1], summed over an image. The last picture asks what such errors are worth: a digit that is
shifted by one pixel is far from itself, and may be nearer to another digit.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import minigen as mg
from minigen import lessons, metrics, nn, plots
from minigen.data import Batches, bent_sheet, bent_sheet_net
from minigen.lessons import Count, Positive
from minigen.models import Autoencoder, Together, mlp_autoencoder
from minigen.random import Generator
from minigen.training import fit_likelihood

MONITORED = 2000  # test images whose error is recorded during training
POINTS = 1000  # on the bent sheet
SHIFTS = (0, 1, 2, 3)  # pixels


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    data: lessons.ImageSet = "digits"  # images to describe
    code: Count = 8  # numbers for each image
    hidden: tuple[Count, ...] = (128, 64)  # units of the deep encoder's hidden layers; the decoder has them in reverse
    steps: Count = 6000  # steps of Adam
    learning_rate: Positive = 1e-2  # Adam's at the start; it falls to 0 along half a cosine


class Lesson(lessons.ImageLesson[Settings]):
    evaluation_seed = 1989

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        if s.code > (most := math.prod(self.size)):
            raise ValueError(f"--code: an image has {most} principal components, not {s.code}")
        build = partial(mlp_autoencoder, rng=self.rng)
        linear = partial(build, size=self.size, hidden=(), code=s.code, likelihood="gaussian")
        self.models = {
            "linear": linear(),
            "tied": linear(tied=True),
            "deep": build(size=self.size, hidden=s.hidden, code=s.code, activation=nn.ELU),
        }
        # A point is an image of one pixel with three channels.
        self.of_points = build(size=(1, 1, 3), hidden=(32, 32), code=2, likelihood="gaussian", activation=nn.Tanh)
        self.points = bent_sheet(POINTS, rng=self.evaluation_rng("cpu")).reshape(-1, 1, 1, 3)
        # The loss is the sum of all, so each learns as it would alone.
        self.together = Together(**self.models, points=self.of_points).to(self.device)
        self.optimizer = self.adam(self.together)
        order_of_points = Generator(s.seed + lessons.ORDER + 1)
        self.image_batches = Batches(self.training.unit(), batch_size=s.batch_size, rng=self.order)
        self.point_batches = Batches(self.points, batch_size=min(s.batch_size, POINTS), rng=order_of_points)
        self.run = self.new_run(
            f"autoencoders, {self.training.name}", rows=100, monitor=self.monitor,
            parts={
                "models": self.together, "optimizer": self.optimizer, "images": self.image_batches, "points": self.point_batches,
                "order_of_points": order_of_points,
            },
        )  # fmt: skip

    def train(self) -> None:
        """Minimise the losses of all models, three on batches of images and one on batches of points."""
        pairs = self.on_device(zip(self.image_batches, self.point_batches, strict=True))
        batches = (dict.fromkeys(self.models, images) | {"points": points} for images, points in pairs)
        fit_likelihood(self.together, batches, self.optimizer, self.run, rng=self.rng)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def errors(self, images: np.ndarray) -> dict[str, float]:
        """Return the squared error of each autoencoder."""
        return {name: metrics.squared_error(model.reconstruct(images), images) for name, model in self.models.items()}

    def monitor(self) -> dict[str, float]:
        """Return the errors on some test images."""
        return {f"test_{name}": error for name, error in self.errors(self.test.unit()[:MONITORED]).items()}

    def principal_angle(self, model: Autoencoder) -> float:
        """Return the largest angle between the plane of a linear decoder's images and that of the principal components, in degrees."""
        d = self.settings.code
        units_and_zero = mg.tensor(np.eye(d + 1, d, dtype=np.float32), device=self.device)
        images = self.to_cpu(model.mean_images(units_and_zero))
        return self.principal.largest_angle(images[:d] - images[d])

    def measure(self) -> dict[str, Any]:
        training, test = self.training.unit(), self.test.unit()
        self.principal = metrics.pca(training, self.settings.code)
        self.plane = metrics.pca(self.points, 2)
        classes = len(np.unique(self.test.labels))
        self.distances = metrics.pixel_distances(self.test, shifts=SHIFTS) if classes > 1 else None
        return {
            f"{part}_error": {"pca": self.principal.reconstruction_error(images)} | self.errors(images)
            for part, images in (("training", training), ("test", test))
        } | {
            "principal_angle": {name: self.principal_angle(self.models[name]) for name in ("linear", "tied")},
            "points_error": {
                "pca": self.plane.reconstruction_error(self.points),
                "autoencoder": metrics.squared_error(self.of_points.reconstruct(self.points), self.points),
            },
            "pixel_distances": self.distances._asdict() if self.distances else None,
            "parameters": {name: model.count_parameters() for name, model in self.models.items()},
            "training_images": len(training),
            "test_images": len(test),
        }

    def samples(self, n: int) -> lessons.Samples:
        """Decode codes drawn from a normal distribution with the mean and covariance of the training images' codes.

        An autoencoder learns nothing about how its codes are distributed, so many of the images are not digits; a VAE has a prior for that.
        """
        model = self.models["deep"]
        z = metrics.normal_like(model.codes(self.training.unit()), n, rng=self.evaluation_rng("cpu"))
        images = self.to_cpu(model.mean_images(mg.tensor(z, device=self.device)))
        picture = plots.image_grid(images, title="codes drawn from one normal distribution, decoded")
        return lessons.Samples({"images": images}, picture)

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        test, name, errors = self.test.unit(), self.test.name, figures["test_error"]
        shown, labels = test[: lessons.SHOWN], {"linear": "linear", "tied": "linear, tied", "deep": "deep"}
        projected = self.principal.reconstruct(self.principal.project(shown)).reshape(shown.shape)
        rows = [("originals", shown), (f"PCA\n{errors['pca']:.2f}", projected)]
        rows += [(f"{labels[key]}\n{errors[key]:.2f}", model.reconstruct(shown)) for key, model in self.models.items()]
        title = f"{name}: images from {self.settings.code} numbers, and the mean squared error of all test images"
        yield "reconstructions", plots.image_rows(rows, title=title)

        column, title = self.run.history.column, f"{name}: error on test images"
        curves = {labels[key]: column(f"test_{key}") for key in self.models}
        exact = {"PCA": self.principal.reconstruction_error(test[:MONITORED])}
        yield "training", plots.error_curves(column("step"), errors=curves, exact=exact, title=title)
        title = "Two numbers for each point"
        yield "surface", plots.fitted_surfaces(self.points.reshape(-1, 3), surfaces=self.surfaces(), title=title)
        if self.distances:
            yield "pixel_distances", self.pixel_distances()

    def surfaces(self) -> dict[str, np.ndarray]:
        """Return a net on the bent sheet as each method rebuilds it from two numbers for each point, (R, S, 3)."""
        net = bent_sheet_net(40, 12)
        points = net.reshape(-1, 1, 1, 3)
        found = {
            "PCA: flattened into a plane": self.plane.reconstruct(self.plane.project(points)),
            "autoencoder: a curved surface": self.of_points.reconstruct(points),
        }
        return {label: rebuilt.reshape(net.shape) for label, rebuilt in found.items()}

    def pixel_distances(self) -> lessons.Picture:
        """Draw an image, the same one shifted, and one of another class, which may be nearer than that."""
        found, ink = self.distances, self.test.unit().mean(axis=3)  # (N, H, W)
        first, other = found.example
        a, b = (f"a {self.test.classes[self.test.labels[i]]}" for i in found.example)
        moved = [(f"shifted by {k}", metrics.shifted(ink[[first]], k)[0]) for k in SHIFTS[1:3]]
        images = [(a, ink[first]), *moved, (b, ink[other])]
        levels = {"nearest of another class": found.other, "nearest of its class": found.same}
        title = "What a distance of pixels sees"
        return plots.pixel_distances(images, shifts=SHIFTS, distances=found.shifted, levels=levels, title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, training, test = self.settings, figures["training_error"], figures["test_error"]
        angles, points, distances = figures["principal_angle"], figures["points_error"], figures["pixel_distances"]
        labels = {"pca": f"PCA, {s.code} components", "linear": "linear autoencoder", "tied": "  with tied weights"}
        labels["deep"] = "deep autoencoder"
        above = {key: f"{100 * (test[key] / test['pca'] - 1):.3f} %" if test["pca"] else "-" for key in self.models}
        rows = [("", "training      test")]
        rows += [(label, f"{training[name]:8.3f}  {test[name]:8.3f}") for name, label in labels.items()]
        rows += [
            ("linear autoencoder above PCA", above["linear"]),
            ("  tied", above["tied"]),
            ("its plane and PCA's, largest angle; tied", f"{angles['linear']:.2f}, {angles['tied']:.2f} degrees"),
            ("points on a curved surface: PCA; autoencoder", f"{points['pca']:.4f}; {points['autoencoder']:.4f}"),
        ]
        if distances:
            rows.append(("a digit shifted by one pixel", f"{distances['shifted'][1]:.2f}"))
            rows.append(("  the nearest digit of another class", f"{distances['other']:.2f}"))
        rows.append(("parameters of the deep autoencoder", f"{figures['parameters']['deep']:,}"))
        yield f"Squared errors on {s.data}, {s.steps:,} steps, seed {s.seed}", rows


def defaults(data: lessons.ImageSet = "digits") -> Settings:
    """Return the settings for a data set."""
    if data == "digits":
        return Settings(data=data)
    return Settings(data=data, hidden=(1000, 500, 250), code=30, steps=36_000, batch_size=100, learning_rate=1e-3)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
