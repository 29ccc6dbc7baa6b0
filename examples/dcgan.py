"""Train a GAN to draw images, and find out whether they are any good, and whether they are new.

A generator G makes images of noise z by transposed convolutions; a discriminator D tells them from real ones by convolutions (Goodfellow et
al. 2014; Radford, Metz & Chintala 2016, whose five guidelines stand in `minigen/models/dcgan.py`):

    for each round:                                                             algorithm 1
        k times, D's turn:   raise   E[log D(x)] + E[log(1 - D(G(z)))]          equation 1; `--loss` has others
        G's turn:            raise   E[log D(G(z))]

No likelihood says how good G is: it has none that could be measured. So samples are compared with real images by the features of a
classifier, always beside real images compared with each other; and with the nearest training images, which a G that has learnt by heart
would copy. On the drawn faces, whose factors can be read back from an image, sums of z are put to the test as well.

    python examples/dcgan.py                                          # 8 x 8 digits
    python examples/dcgan.py --loss hinge --out runs/dcgan-hinge      # with spectral normalization
    python examples/dcgan.py --data faces --out runs/dcgan-faces      # 32 x 32 pixels in colour; arithmetic with glasses and smiles
    python examples/dcgan.py --memorize 50 --out runs/dcgan-50        # only 50 images to learn from: copies
    python examples/dcgan.py --data mnist --out runs/dcgan-mnist
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from minigen import lessons, plots
from minigen.data import FACES, IMAGE_SETS, FaceFactors, Images
from minigen.lessons import Count, NonNegative, Share, Whole
from minigen.losses import ADVERSARIAL, adversarial, smoothed
from minigen.models import dcgan, interpolate
from minigen.training import fit_game

FILTERS, WAYS = 32, 3  # of D's first layer, from one z to another: in the pictures
POOL, SUMS, SHOWN = 4000, 200, 6  # faces from which terms are chosen, sums of z, sums in the picture
MEANS = (3, 50)  # z in each of the terms


class Sums(NamedTuple):
    """Sums of z on faces: images of the three terms and of the sum, (SUMS, H, W, C) each, and whether the sum's image is right, (SUMS,)."""

    images: list[np.ndarray]
    is_right: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.GANSettings):
    data: Literal[*IMAGE_SETS] = "digits"  # what to learn to draw
    noise: Literal["normal", "uniform"] = "normal"  # z ~ N(0, I), or U[-1, 1] as in Radford et al.
    smoothing: Share = 1.0  # D's target for real images; below 1, their label is smoothed
    gamma: NonNegative = 0.0  # twice the weight of R1, D's squared slope at real images; no batch normalization then
    r1_every: Count = 1  # rounds to one in which that penalty is computed, with so many times its weight
    pool: Whole = 0  # generated images that D is shown again later
    memorize: Whole = 0  # learn from so many images only; 0: from all
    steps: Count = 5000  # rounds


class Lesson(lessons.GANLesson[Settings]):
    evaluation_seed = 20151119

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        loss = replace(adversarial(s.loss), r1=s.gamma, r1_every=s.r1_every)
        loss = smoothed(loss, s.smoothing) if s.smoothing != 1 else loss
        sizes = {"size": self.size, "latent": s.latent, "width": s.width, "critic_steps": s.critic_steps}
        gan = dcgan(**sizes, loss=loss, noise=s.noise, pool=s.pool, rng=self.rng)
        self.begin(gan, f"DCGAN, {self.training.name}, {s.loss} loss")

    def train(self) -> None:
        """Let the two play in turns."""
        averages = {"generator": self.average}
        fit_game(self.gan, self.real_batches(), self.optimizers, self.run, rng=self.rng, averages=averages)

    def load(self) -> tuple[Images, Images]:
        training, test = super().load()
        return (training.take(np.arange(self.settings.memorize)) if self.settings.memorize else training), test

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def measure(self) -> dict[str, Any]:
        figures = self.image_figures()
        if self.settings.data == "faces":
            z = self.latents(POOL)
            found = FACES.read(self.generate(z)).factors
            figures["arithmetic_chance"] = float((is_smiling(found) & (found.glasses == 1)).mean())
            for of in MEANS:
                self.sums = self.arithmetic(z, found, of=of)
                figures[f"arithmetic_right_of_{of}"] = float(self.sums.is_right.mean()) if self.sums else math.nan
            figures["arithmetic_right"] = figures[f"arithmetic_right_of_{MEANS[-1]}"]
        return figures

    def arithmetic(self, z: np.ndarray, found: FaceFactors, *, of: int) -> Sums | None:
        """Compute mean z with glasses - mean z without + mean z of a smile, and read back what G makes of the sums.

        Args:
            z: many, (POOL, latent).
            found: what was read from their images.
            of: how many z there are in each mean; Radford et al. 2016, section 6.3.2, took three.

        Returns:
            The sums; None if no face has glasses, or neither, or only a smile, as before the training.
        """
        plain, worn, rng = found.smile == 2, found.glasses == 1, self.evaluation_rng("cpu")
        groups = [np.flatnonzero(kind) for kind in (worn & plain, ~worn & plain, ~worn & is_smiling(found))]
        if not all(map(len, groups)):
            return None
        a, b, c = (z[group[rng.integers(0, len(group), (SUMS, of))]].mean(axis=1) for group in groups)
        images = [self.generate(codes) for codes in (a, b, c, a - b + c)]
        result = FACES.read(images[-1]).factors
        return Sums(images, (result.glasses == 1) & is_smiling(result))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield from self.image_pictures(figures)
        yield "interpolations", self.interpolations()
        filters = self.to_cpu(self.gan.discriminator.network.blocks[0][0].weight)  # (4, 4, C, F)
        filters = filters.mean(axis=2).transpose(2, 0, 1)[:FILTERS]
        yield "filters", plots.signed_images(filters, title=f"{self.title}: filters of D's first layer")
        if self.settings.data == "faces" and self.sums:
            names, images = ("glasses", "neither", "smile"), [part[:SHOWN] for part in self.sums.images]
            terms = list(zip(("", "-", "+"), names, images[:3], strict=True))
            title = f"Means of {MEANS[-1]} z: {figures['arithmetic_right']:.0%} of the sums are right"
            yield "arithmetic", plots.vector_arithmetic(terms, result=("both?", images[3]), title=title)

    def interpolations(self) -> lessons.Picture:
        """Draw the way from one z to another, straight and along a great circle."""
        z, rows = self.latents(2 * WAYS), []
        for a, b in zip(z[::2], z[1::2], strict=True):
            for label, spherical in (("straight", False), ("spherical", True)):
                rows.append((label, self.generate(interpolate(a, b, steps=lessons.SHOWN, spherical=spherical))))
        return plots.image_rows(rows, title=f"{self.title}: from one z to another")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, rows = self.settings, self.rows(figures)
        if "arithmetic_right" in figures:
            shares = ", ".join(f"{figures[f'arithmetic_right_of_{of}']:.0%}" for of in MEANS)
            label = f"sums right: glasses and a smile, of means of {', '.join(map(str, MEANS))} z"
            rows.append((label, f"{shares} (chance {figures['arithmetic_chance']:.0%})"))
        yield f"{self.title}, {s.steps} rounds, seed {s.seed}", rows


def is_smiling(face: FaceFactors) -> np.ndarray:
    return face.smile > FACES.values["smile"].index("straight mouth")


def defaults(
    data: Literal[*IMAGE_SETS] = "digits", loss: Literal[*ADVERSARIAL] = "nonsaturating", memorize: Whole = 0
) -> Settings:
    """Return the settings for a data set and a loss, and for so few images that they are less than a batch."""
    few = {"batch_size": memorize} if 0 < memorize < 64 else {}
    return Settings(data=data, loss=loss, memorize=memorize, **few, **lessons.gan_defaults(loss, data))


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
