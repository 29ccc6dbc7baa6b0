"""Lessons about images that a GAN draws: the players and their optimizers, what is measured, and the pictures that all of them have.

training       losses, the Fréchet distance and the generator's gradient
samples        by the averaged generator
growing up     the same z through the training, as a moving picture
the game       who learns from what, drawn from the model's turns
nearest        samples above the training images that they may be copies of, with the distances of all

A GAN has no likelihood that could be measured: G's images lie on a surface of `latent` dimensions, on which a density is not defined, and
D says nothing of it. What is reported are distances between samples, each of which sees something and misses something.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import minigen.ops as ops
from minigen import metrics, nn, plots
from minigen.data import Batches
from minigen.data import Images as Data
from minigen.engine import no_grad
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.lessons.frame import CHECKPOINT, Picture, Samples
from minigen.lessons.images import ImageLesson, ImageOptions, ImageSettings, load_extractor
from minigen.lessons.settings import Count, Positive, Share, optional
from minigen.lessons.snapshots import Snapshots
from minigen.losses import ADVERSARIAL
from minigen.models import GAN, ConvClassifier
from minigen.optim import EMA, Adam, cosine
from minigen.random import Generator
from minigen.training import save_state

Images = NDArray[Any]  # (N, H, W, C), pixels in [0, 1]

SHOWN, SHEET = 12, 100  # images in a row, and on a sheet of samples
ROWS = 60  # of the history
DIAGRAM = 4  # images in the batch by which the diagram of the game is traced
FRAMES, FRAME_IMAGES = 40, 25  # of the moving picture
MONITORED, JUDGED = 500, 5000  # generated images that are compared with real ones: in training, at the end at most
COMPARED = 1000  # samples and test images whose nearest training images are looked for
STATISTICS = 100  # images of a batch over which batch normalization's statistics are collected
FEWEST = 16  # images, with which generated ones are compared
EXTRACTOR_STEPS, EXTRACTOR_SEED, EXTRACTOR_BATCH = 900, 0, 64


@dataclass(frozen=True, kw_only=True)
class GANOptions(ImageOptions):
    """Where images are, where to compute and where results go."""

    extractor: Annotated[Path | None, *optional(Path, "FILE")] = None
    """the network that examples/digits_conv.py left, whose features are compared; without it a small one is trained first"""


@dataclass(frozen=True, kw_only=True)
class GANSettings(ImageSettings):
    """Settings of a lesson about a GAN of images."""

    loss: Literal[*ADVERSARIAL] = "nonsaturating"  # type: ignore[valid-type]
    """what the players minimise"""
    latent: Count = 64  # dimension of z
    width: Count = 64  # filters next to the image; twice as many in each layer further in
    critic_steps: Count = 1  # k: turns of D before each of G's
    learning_rate: Positive = 1e-3  # Adam's of G at the start; both fall to 0 along half a cosine
    two_scales: Positive = 1.0  # D's learning rate as a multiple of G's
    beta1: Share = 0.5  # Adam's momentum
    average: Share = 0.999  # decay of the average of G's weights
    run: GANOptions = GANOptions()


G = TypeVar("G", bound=GANSettings)


class Extractor(NamedTuple):
    """A network whose features tell images apart, and its name, which belongs beside every distance between them."""

    network: ConvClassifier
    name: str


class GANLesson(ImageLesson[G]):
    """A lesson whose model is a GAN of images.

    Attributes:
        gan: the model.
        title: the model and the data, in words; begins the titles of the pictures.
        is_told: whether the networks are given the labels.
        optimizers: by player.
        average: of G's weights.
        snapshots: what the averaged G draws in the course of the training.
        whole: all training images that there are, of which a lesson may learn from some only.
        generated: images that were judged, once they are; those of the pictures.
    """

    gan: GAN
    title: str
    is_told = False

    def load(self) -> tuple[Data, Data]:
        """Return the images to learn from and the test images.

        Raises:
            ValueError: there are fewer than are needed to compare the GAN's images with.
        """
        training, test = super().load()
        if len(training.images) + len(test.images) < FEWEST:
            raise ValueError(
                f"{training.name}: {len(training.images)} training and {len(test.images)} test images; expected at least {FEWEST} in all, "
                "with which generated ones can be compared"
            )
        self.whole = training
        return training, test

    def begin(self, gan: GAN, title: str, *, file: str = CHECKPOINT) -> None:
        """Set everything up around a GAN, whose first weights are drawn already.

        Args:
            gan: the model.
            title: begins the titles of the pictures.
            file: the checkpoint in the run's folder.
        """
        s = self.settings
        self.gan, self.title = gan.to(self.device), title
        self.optimizers = {
            "discriminator": self.player(gan.discriminator, s.two_scales * s.learning_rate, s.steps * gan.critic_steps),
            "generator": self.player(gan.generator, s.learning_rate, s.steps),
        }
        self.average = EMA(self.optimizers["generator"], decay=s.average)
        pixels = 2 * self.training.unit() - 1  # G's are between -1 and 1
        data = (pixels, self.training.labels) if self.is_told else pixels
        self.batches = Batches(data, batch_size=s.batch_size, rng=self.order)
        self.copied_after = -1
        if s.run.extractor:
            _ = self.extractor  # one that does not fit is refused before the training
        # At first the frames follow each other quickly.
        steps = sorted({round(s.steps * (i / FRAMES) ** 2) for i in range(FRAMES)})
        self.snapshots = Snapshots(
            lambda: self.images_in_training(FRAME_IMAGES), (FRAME_IMAGES, *self.size), epochs=steps, unit="step"
        )
        parts: dict[str, Any] = {f"{player}_optimizer": optimizer for player, optimizer in self.optimizers.items()}
        parts |= {"model": gan, "average": self.average, "batches": self.batches, "snapshots": self.snapshots}
        self.run = self.new_run(title, rows=ROWS, monitor=self.monitor, parts=parts, file=file)

    def player(self, network: nn.Module, rate: float, turns: int) -> Adam:
        """Return Adam for a player who begins at this learning rate and has so many turns in all."""
        return Adam(network, learning_rate=cosine(rate, steps=turns), beta1=self.settings.beta1)

    def real_batches(self) -> Iterator[Any]:
        """Return endless batches of real images, pixels in [-1, 1], with their labels where the networks are told them, on the device."""
        return self.on_device(self.batches)

    # ------------------------------------------------------------------------------------------------- what G draws

    def latents(self, n: int) -> NDArray[Any]:
        """Return z of n images, (n, latent): the same numbers each time."""
        return self.to_cpu(self.gan.draw_latent(n, rng=self.evaluation_rng()))

    def labels(self, n: int) -> NDArray[np.int64]:
        """Return the classes of the training images in turn, (n,)."""
        found = np.unique(self.training.labels)
        return found[np.arange(n) % len(found)]

    def generate(self, z: NDArray[Any], labels: NDArray[Any] | None = None) -> Images:
        """Return images by the averaged generator, (N, latent) -> (N, H, W, C), pixels in [0, 1].

        Args:
            z: noise.
            labels: (N,), for a G that is told a class; None for the classes in turn.
        """
        labels = self.labels(len(z)) if labels is None else labels
        given = [ops.tensor(part, device=self.device) for part in ((z, labels) if self.is_told else (z,))]
        generator = self.averaged_generator()
        rows = np.arange(len(z))
        return nn.in_batches(lambda n: to_unit(generator(*(part[n] for part in given))), rows, device=self.device)

    def averaged_generator(self) -> nn.Module:
        """Return a copy of G with the averaged weights and the statistics that go with them, in evaluation mode."""
        if self.copied_after != self.run.step:
            conditions = self.to_device(self.labels(STATISTICS)) if self.is_told else None
            with self.gan.averaged(self.average, rng=self.evaluation_rng(), conditions=conditions):
                self.averaged, self.copied_after = copy.deepcopy(self.gan.generator), self.run.step
        return self.averaged

    def images_in_training(self, n: int) -> Images:
        """Return n images of the averaged weights, of the same z each time, normalized by this batch itself, which is quickest."""
        given = [ops.tensor(self.latents(n), device=self.device)]
        if self.is_told:
            given.append(ops.tensor(self.labels(n), device=self.device))
        with self.average.applied(), nn.frozen_statistics(self.gan.generator), no_grad():
            return self.to_cpu(to_unit(self.gan.generate(*given)))

    # ------------------------------------------------------------------------------------------------- figures

    @cached_property
    def extractor(self) -> Extractor:
        """The network whose features are compared: the one that is given, or a small one that is trained when it is first asked for."""
        given = self.settings.run.extractor
        if given:
            return Extractor(load_extractor(given, self.size), given.name)
        network = self.taught((self.whole.unit(), self.whole.labels), label="feature extractor")
        return Extractor(network, f"a ConvClassifier, {EXTRACTOR_STEPS} steps on these images")

    def taught(self, known: tuple[Images, NDArray[np.int64]], *, label: str) -> ConvClassifier:
        """Return a small classifier that has learnt from labelled images; the same ones give the same classifier."""
        height, width, channels = self.size
        rng, size = Generator(EXTRACTOR_SEED), min(EXTRACTOR_BATCH, len(known[0]))
        classes = len(self.whole.classes)
        network = ConvClassifier(size=(height, width), channels=channels, classes=classes, rng=rng)
        optimizer = Adam(network, learning_rate=cosine(3e-3, steps=EXTRACTOR_STEPS))
        batches = Batches(known, batch_size=size, rng=rng)
        with one_blas_thread(), kept_memory():
            for _ in tqdm(range(EXTRACTOR_STEPS), desc=label, unit="step", leave=False, dynamic_ncols=True):
                optimizer.zero_grad()
                network.loss(next(batches))[0].backward()
                optimizer.step()
        return network.eval()

    @cached_property
    def real_features(self) -> NDArray[Any]:
        """Features of real images, training and test images mixed, (N, F): what the GAN's are compared with, in two halves."""
        everything = np.concatenate([self.whole.unit(), self.test.unit()])
        order = Generator(self.evaluation_seed).permutation(len(everything))
        return self.extractor.network.features(everything[order[: 2 * JUDGED]])

    def monitor(self) -> dict[str, float]:
        """Keep a frame of the moving picture, and measure how far some images are from real ones."""
        self.snapshots.look(self.run.step)
        features = self.extractor.network.features(self.images_in_training(MONITORED))
        return {"frechet": metrics.frechet_distance(features, self.real_features)}

    def image_figures(self) -> dict[str, Any]:
        """Measure how good and how varied the averaged generator's images are, and whether they are copies.

        Beside each figure stands that of real images, `_real`: what a perfect model would score with as many.
        """
        extractor, real, rng = self.extractor, self.real_features, Generator(self.evaluation_seed)
        n = len(real) // 2
        self.generated = self.generate(self.latents(n))
        fake = extractor.network.features(self.generated)
        score = metrics.frechet_score(real, fake, extractor=extractor.name, rng=rng)
        subsets: dict[str, Any] = {"extractor": extractor.name, "subset_size": n // 4, "rng": rng}
        kernel, kernel_real = (metrics.kernel_distance(real[:n], x, **subsets) for x in (fake, real[n : 2 * n]))
        found, found_real = (metrics.precision_recall(real[:n], x) for x in (fake, real[n : 2 * n]))
        samples, held_out = self.generated[:COMPARED], self.test.unit()[:COMPARED]
        copying = metrics.copying_auroc(samples, training=self.training.unit(), held_out=held_out)
        figures = {
            "frechet": score.value,
            "frechet_real": score.real_against_real,
            "kernel_distance": kernel.value,
            "kernel_distance_real": kernel_real.value,
            "kernel_distance_error": kernel.standard_error,
            "kernel_distance_error_real": kernel_real.standard_error,
            "copying_auroc": copying,
            "judged_images": n,
            "extractor": extractor.name,
            "parameters": self.gan.generator.count_parameters(),
            "discriminator_parameters": self.gan.discriminator.count_parameters(),
        }
        for name in ("precision", "recall", "density", "coverage"):
            figures |= {name: getattr(found, name), f"{name}_real": getattr(found_real, name)}
        return figures

    def rows(self, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the rows of a closing table for `image_figures`."""

        def beside(name: str, digits: int) -> str:
            return f"{figures[name]:.{digits}f} ({figures[f'{name}_real']:.{digits}f})"

        return [
            (f"Fréchet distance of {figures['judged_images']:,} images (real against real)", beside("frechet", 2)),
            ("kernel distance", beside("kernel_distance", 2)),
            ("  its standard error", beside("kernel_distance_error", 2)),
            ("precision, of 3 neighbours", beside("precision", 3)),
            ("recall", beside("recall", 3)),
            ("density", beside("density", 3)),
            ("coverage", beside("coverage", 3)),
            ("copying: AUROC of nearest distances (1/2: none)", f"{figures['copying_auroc']:.3f}"),
            NO_LIKELIHOOD,
            ("parameters of G, of D", f"{figures['parameters']:,}, {figures['discriminator_parameters']:,}"),
        ]

    # ------------------------------------------------------------------------------------------------- files and pictures

    def keep(self) -> None:
        """Write the averaged generator's weights."""
        save_state(self.out / "generator.safetensors", generator=self.averaged_generator())

    def samples(self, n: int) -> Samples:
        """Draw images of new z, of the classes in turn where G is told a class."""
        z = self.latents(n)
        images = self.generate(z)
        arrays = {"images": images, "z": z} | ({"labels": self.labels(n)} if self.is_told else {})
        return Samples(arrays, plots.image_grid(images[:400], title=f"{self.title}: samples"))

    def image_pictures(self, figures: Mapping[str, Any]) -> Iterator[tuple[str, Picture]]:
        """Yield the pictures that all lessons about GANs of images have."""
        history, rules = self.run.history, self.gan.discriminator.adversarial_loss
        figure = plots.training_curves(
            history.column("step"),
            losses={"D": history.column("discriminator"), "G": history.column("generator")},
            equilibrium=dict(zip("DG", rules.equilibrium, strict=True)),
            distance=history.column("frechet"),
            distance_label="Fréchet distance",
            gradient_norm=history.column("generator_gradient"),
            title=self.title,
        )
        yield "training", figure
        yield "samples", plots.image_grid(self.generated[:SHEET], columns=10, title=f"{self.title}: samples")
        yield "training", plots.moving_images(self.snapshots.rows(), title=f"{self.title}: the same z")
        yield "nearest", self.nearest(figures["copying_auroc"])
        few = [ops.tensor(2 * self.training.unit()[:DIAGRAM] - 1, device=self.device)]
        if self.is_told:
            few.append(ops.tensor(self.training.labels[:DIAGRAM], device=self.device))
        batch = tuple(few) if self.is_told else few[0]
        yield "game", plots.game_diagram(self.gan, batch, rng=self.evaluation_rng(), title=f"{self.title}: the game")

    def nearest(self, copying: float) -> Figure:
        """Draw samples above the training images nearest to them, and the distances of many such pairs beside those of test images."""
        training = self.training.unit()
        drawn, held_out = self.generated[:COMPARED], self.test.unit()[:COMPARED]
        near = metrics.nearest_images(drawn, among=training)
        return plots.nearest_training_images(
            drawn[:SHOWN],
            training[near.indices[:SHOWN]],
            distances={
                "samples": near.distances,
                "test images": metrics.nearest_images(held_out, among=training).distances,
            },
            title=f"{self.title}: is it learnt by heart? AUROC {copying:.2f}",
        )


def to_unit(images: Any) -> Any:
    """Return images of [-1, 1] with pixels in [0, 1]."""
    return 0.5 * (images + 1.0)


NO_LIKELIHOOD = ("log-likelihood", "a GAN has none that can be measured")
"""A row of every closing table about a GAN."""


def gan_defaults(loss: str, data: str = "digits") -> dict[str, Any]:
    """Return the settings of a loss and a data set that differ from those of the others.

    A Wasserstein critic should be near its best at each of G's turns, and momentum harms it (Arjovsky et al. 2017, section 4). A spectrally
    normalized discriminator needs no momentum either (Miyato et al. 2018, section 4), and learns faster than G (Heusel et al. 2017).

    Example:
        >>> gan_defaults("wasserstein-gp")
        {'critic_steps': 5, 'beta1': 0.0}
    """
    size: dict[str, Any] = {} if data == "digits" else {"width": 32}  # larger images, of more layers
    if loss.startswith("wasserstein"):
        return size | {"critic_steps": 5, "beta1": 0.0}
    if loss == "hinge":
        return size | {"beta1": 0.0, "two_scales": 4.0}
    return size
