"""Lessons about images that a model describes by a vector z: what such codes can do, in pictures and figures.

reconstructions   D(E(x)) beside x
interpolations    D along the line from one code to another
arithmetic        D(E(x) - mean code of its class + mean code of another class)
traversals        D while one latent changes
the plane         D of a lattice of two latents, and where codes lie in it
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minigen import metrics, nn, plots
from minigen.lessons.images import ImageLesson, ImageOptions, ImageSettings, load_extractor
from minigen.lessons.settings import optional
from minigen.models import inpaint, interpolate
from minigen.random import Generator

SHOWN = 12  # images in a row
LATTICE = 20  # codes along each axis of the plane
PAIRS = ((4, 9), (3, 8), (7, 1), (5, 6))  # classes between which codes are moved
COMPARED = 1000  # samples and test images whose nearest training images are looked for
JUDGED = (10_000, 2_000)  # training and test images by whose codes the plane of two latents is judged

Images = NDArray[Any]  # (N, H, W, C)
Vectors = NDArray[Any]  # (N, d)


@dataclass(frozen=True, kw_only=True)
class LatentOptions(ImageOptions):
    """Where images are, where to compute and where results go."""

    extractor: Annotated[Path | None, *optional(Path, "FILE")] = None
    """the network that examples/digits_conv.py left, for the Fréchet distance of samples to test images"""


@dataclass(frozen=True, kw_only=True)
class LatentSettings(ImageSettings):
    """Settings of a lesson about codes."""

    run: LatentOptions = LatentOptions()


I = TypeVar("I", bound=LatentSettings)  # noqa: E741


class Plane(NamedTuple):
    """What two latents can show.

    Attributes:
        codes: of test images, with the distribution that new codes come from.
        drawn: images of such new codes.
        figures: continuity and completeness; see `metrics.regularity`.
    """

    codes: plots.Codes
    drawn: Images
    figures: dict[str, float]


class LatentLesson(ImageLesson[I]):
    """A lesson whose model has `encode` and `mean_images`.

    Attributes:
        model: has `latent`, the dimension of z.
        title: begins the titles of the pictures.
        seen: the test images as the model sees them, (N, H, W, C).
    """

    model: Any
    title: str
    seen: Images

    def __init__(self, settings: I) -> None:
        super().__init__(settings)
        self.extractor_file = settings.run.extractor
        self.extractor = load_extractor(self.extractor_file, self.size) if self.extractor_file else None

    def codes(self, images: Images) -> Vectors:
        """Return E(x), (N, H, W, C) -> (N, d), on the CPU."""
        return nn.in_batches(self.model.encode, images, device=self.device)

    def decode(self, z: Vectors) -> Images:
        """Return D(z), (..., d) -> (..., H, W, C), on the CPU."""
        images = nn.in_batches(self.model.mean_images, z.reshape(-1, self.model.latent), device=self.device)
        return images.reshape(*z.shape[:-1], *self.size)

    def prior_codes(self, n: int) -> Vectors:
        """Return codes from N(0, I), the same each time, (n, d)."""
        return Generator(self.evaluation_seed).normal((n, self.model.latent))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of classes between which codes are moved, out of the classes that the test images have."""
        present = np.unique(self.test.labels).tolist()
        return [pair for pair in PAIRS if set(pair) <= set(present)] or list(pairwise(present))[: len(PAIRS)]

    def first_of(self, k: int) -> Vectors:
        """Return the code of the first test image of class k, (d,)."""
        place = int(np.argmax(self.test.labels == k))
        return self.codes(self.seen[place : place + 1])[0]

    # ------------------------------------------------------------------------------------------------- figures

    def bound_figures(self, *, draws: int, k: int, levels: int) -> dict[str, Any]:
        """Measure bounds on log p(x) of the test images.

        Args:
            draws: of z for each image, in the ELBO.
            k: draws of z for each image in L_k, which estimates log p(x).
            levels: of a pixel, where densities are of grey values; 1 for bits.
        """
        seen = self.to_device(self.seen)
        bound = metrics.elbo(self.model, seen, draws=draws, rng=self.evaluation_rng())
        likelihood = metrics.importance_log_likelihood(
            self.model, seen, samples=k, rng=self.evaluation_rng(), progress=True
        )
        dimensions = self.seen[0].size
        return {
            "log_likelihood": likelihood.mean,
            "log_likelihood_standard_error": likelihood.standard_error,
            "bits_per_dimension": metrics.bits_per_dimension(likelihood.mean, dimensions=dimensions, levels=levels),
            "evaluation_k": likelihood.samples,
            "elbo": bound.elbo,
            "elbo_standard_error": bound.standard_error,
            "reconstruction_term": bound.log_likelihood,
            "divergence": bound.divergence,
            "unit_divergences": bound.unit_divergences.tolist(),
        }

    def code_figures(self) -> dict[str, Any]:
        """Measure which latents are used, reconstructions, and whether samples are copies."""
        codes = self.codes(self.seen)
        active = metrics.active_units(codes)
        figures = {
            "active_units": active.number,
            "activity": active.activity.tolist(),
            "squared_error": metrics.squared_error(self.decode(codes), self.seen),
            "nearest_training_image": self.nearest_distances(),
            "test_images": len(self.seen),
            "parameters": self.model.count_parameters(),
        }
        if self.extractor and self.extractor_file:
            real, generated = self.test.unit(), self.decode(self.prior_codes(len(self.seen) // 2))
            figures["frechet"] = self.frechet(self.extractor, self.extractor_file.name, real=real, generated=generated)
        return figures

    @staticmethod
    def rows(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the rows of a closing table for `bound_figures` and `code_figures`, and for "latent_space", the figures of planes."""
        likelihood, error = figures["log_likelihood"], figures["log_likelihood_standard_error"]
        distances = "{samples:.2f}, {test_images:.2f}".format(**figures["nearest_training_image"])
        rows = [
            (f"log p(x), by L_{figures['evaluation_k']} (nats per test image)", f"{likelihood:.2f} +- {error:.2f}"),
            ("ELBO", f"{figures['elbo']:.2f}"),
            ("  E[log p(x|z)]", f"{figures['reconstruction_term']:.2f}"),
            ("  KL(q(z|x) || p(z))", f"{figures['divergence']:.2f}"),
            ("bits per dimension", f"{figures['bits_per_dimension']:.4f}"),
            ("active latents", f"{figures['active_units']} of {len(figures['activity'])}"),
            ("squared error of reconstructions", f"{figures['squared_error']:.2f}"),
            ("nearest training image: of a sample, of a test image", distances),
            ("parameters", f"{figures['parameters']:,}"),
        ]
        if "frechet" in figures:
            distance = "{value:.2f}; {real_against_real:.2f}".format(**figures["frechet"])
            rows.append(("Fréchet distance; real against real", distance))
        for name, found in figures.get("latent_space", {}).items():
            judged = "{agreement:.2f}, {evenness:.2f}, {completeness:.2f} ({held_out:.2f})".format(**found)
            rows.append((f"{name}: agreement, evenness, completeness (test images)", judged))
        return rows

    def nearest_distances(self) -> dict[str, float]:
        """Return the median distance to the nearest training image, of samples and of test images: a copy has distance 0."""
        images = {"samples": self.decode(self.prior_codes(COMPARED)), "test_images": self.test.unit()[:COMPARED]}
        among = self.training.unit()
        return {name: float(np.median(metrics.nearest_images(x, among=among).distances)) for name, x in images.items()}

    # ------------------------------------------------------------------------------------------------- pictures

    def code_pictures(self, figures: Mapping[str, Any], *, as_bits: bool) -> Iterator[tuple[str, Figure]]:
        """Yield the pictures of codes of any length.

        Args:
            figures: of `bound_figures` and `code_figures`.
            as_bits: whether the model sees images as bits.
        """
        divergences = figures["unit_divergences"]
        yield "reconstructions", self.reconstructions(as_bits)
        if self.pairs:
            yield "interpolations", self.interpolations()
            yield "arithmetic", self.arithmetic()
        yield "traversal", self.traversals(divergences)
        yield "nearest", self.nearest(figures["nearest_training_image"]["test_images"])
        active, title = np.array(figures["activity"]) > 0.01, f"{self.title}: what each latent says of a test image"
        yield "latents", plots.unit_divergences(divergences, active=active, title=title)

    def inpainting(self) -> Figure:
        """Hide the lower half of test images, and let the model fill it in."""
        images, height = self.to_device(self.seen[:SHOWN]), self.size[0]
        visible = self.to_device(np.arange(height)[:, None, None] < height // 2)  # (H, 1, 1)
        rows = [("test images", images), ("what is visible", images * visible + 0.5 * ~visible)]
        for steps in (1, 10, 100):
            filled = inpaint(self.model, images, visible, steps=steps, rng=self.evaluation_rng())
            rows.append((f"{steps} step{'s' * (steps > 1)}", filled))
        on_cpu = [(label, self.to_cpu(row)) for label, row in rows]
        return plots.image_rows(on_cpu, title=f"{self.title}: the lower half filled in by a Markov chain")

    def reconstructions(self, as_bits: bool) -> Figure:
        """Draw test images, as bits if the model sees them so, and what becomes of them."""
        seen = self.seen[:SHOWN]
        bits = [("as bits", seen)] if as_bits else []
        rows = [("test images", self.test.unit()[:SHOWN]), *bits, ("reconstructions", self.decode(self.codes(seen)))]
        return plots.image_rows(rows, title=f"{self.title}: reconstructions")

    def interpolations(self) -> Figure:
        """Draw the way from one code to another, straight and along a great circle."""
        rows = []
        for a, b in self.pairs[:3]:
            for label, spherical in (("straight", False), ("spherical", True)):
                z = interpolate(self.first_of(a), self.first_of(b), steps=SHOWN, spherical=spherical)
                rows.append((label, self.decode(z)))
        return plots.image_rows(rows, title=f"{self.title}: from one code to another")

    def arithmetic(self) -> Figure:
        """Take the mean code of its class from an image's code, and add that of another class: the style stays."""
        codes = self.codes(self.seen)
        means = {k: codes[self.test.labels == k].mean(axis=0) for pair in self.pairs for k in pair}
        z = np.stack([self.first_of(a) for a, _ in self.pairs])  # (rows, d)
        minus, plus = (np.stack([means[pair[i]] for pair in self.pairs]) for i in (0, 1))
        terms = [("", "an image", z), ("-", "mean of its class", minus), ("+", "mean of another", plus)]
        return plots.vector_arithmetic(
            [(sign, name, self.decode(codes)) for sign, name, codes in terms],
            result=("decoded sum", self.decode(z - minus + plus)),
            title=f"{self.title}: sums of codes",
        )

    def traversals(self, unit_divergences: list[float]) -> Figure:
        """Change one latent of a test image's code at a time, those that say most about an image."""
        values = np.linspace(-3, 3, SHOWN + 1, dtype=np.float32)
        code, rows = self.codes(self.seen[:1])[0], []
        for j in np.argsort(unit_divergences)[::-1][:8]:
            z = np.repeat(code[None], len(values), axis=0)  # (values, d)
            z[:, j] = values
            rows.append((f"$z_{{{j + 1}}}$, {unit_divergences[j]:.1f} nats", self.decode(z)))
        return plots.image_rows(
            rows,
            columns=[f"{v:g}" for v in values],
            columns_label="value of the latent",
            title=f"{self.title}: traversals",
        )

    def nearest(self, typical: float) -> Figure:
        """Draw samples above the training images that they may be copies of.

        Args:
            typical: the distance from a test image to its nearest training image.
        """
        drawn = self.decode(self.prior_codes(SHOWN))
        found = metrics.nearest_images(drawn, among=self.training.unit())
        return plots.image_rows(
            [("samples", drawn), ("nearest\ntraining images", self.training.unit()[found.indices])],
            columns=[f"{distance:.1f}" for distance in found.distances],
            columns_label=f"distance; of a test image to its nearest: {typical:.1f} (median)",
            title=f"{self.title}: samples and what they may be copies of",
        )

    def manifold(self) -> Figure:
        """Decode the quantiles of N(0, I) along both axes of the plane."""
        shares = (np.arange(LATTICE) + 0.5) / LATTICE
        values = np.array([NormalDist().inv_cdf(share) for share in shares], np.float32)
        z = np.stack(np.meshgrid(values, values), axis=-1)  # (R, R, 2): z_1 along the columns
        return plots.latent_manifold(self.decode(z), values=values, title=f"{self.title}: images of the plane")

    # ------------------------------------------------------------------------------------------------- the plane

    def plane(
        self,
        observe: Callable[[Images], Images],
        encode: Callable[[Images], Vectors],
        decode: Callable[[Vectors], Images],
        *,
        has_prior: bool,
    ) -> Plane:
        """Judge codes of two numbers.

        Args:
            observe: makes of grey images what the model sees.
            encode: its codes of what it sees.
            decode: images of codes.
            has_prior: whether new codes come from N(0, I); otherwise they come from the normal distribution of the model's own codes.
        """
        rng = Generator(self.evaluation_seed)

        def encode_grey(images: Images) -> Vectors:
            return encode(observe(images))

        training, held_out = (
            (images.unit()[:most], images.labels[:most])
            for images, most in zip((self.training, self.test), JUDGED, strict=True)
        )
        own = encode_grey(training[0])  # (N, 2)
        places = rng.normal((COMPARED, 2)) if has_prior else metrics.normal_like(own, COMPARED, rng=rng)
        figures = metrics.regularity(encode_grey, decode, training=training, held_out=held_out, places=places, rng=rng)
        mean, covariance = (np.zeros(2), np.eye(2)) if has_prior else (own.mean(axis=0), np.cov(own.T))
        codes = plots.Codes(encode_grey(held_out[0]), mean, covariance)
        return Plane(codes, decode(places[:SHOWN]), figures._asdict())

    def codes_of_planes(self, planes: Mapping[str, Plane]) -> Figure:
        """Draw where models put test images in the plane, by the models' names."""
        labelled = {
            "{}: agreement {agreement:.2f},\nevenness {evenness:.2f}, completeness {completeness:.2f}".format(
                name, **found.figures
            ): found.codes
            for name, found in planes.items()
        }
        return plots.latent_codes(
            labelled,
            labels=self.test.labels[: JUDGED[1]],
            classes=self.test.classes,
            title=f"Codes of test images, {self.test.name}",
        )
