"""Tell a GAN which digit to draw, and find out whether it does, and how quality is bought with variety.

Generator and discriminator are told the class y beside z and x, and learn p(x | y) by the usual game (Mirza & Osindero 2014):

    for each round:
        k times, D's turn:   raise   E[log D(x, y)] + E[log(1 - D(G(z, y), y))]
        G's turn:            raise   E[log D(G(z, y), y)]

y enters G as a scale and a shift of each class in every normalization, and D by an inner product of its features with a vector of each
class; `minigen/models/dcgan.py` has the equations and the older way, concatenation. Whether G draws what it is told is measured by
classifiers (Shmelkov, Schmid & Alahari 2018):

    GAN-train   taught on generated images, tested on real ones: low where images are poor or lack variety
    GAN-test    taught on real images, tested on generated ones: low where images are poor or of another class

both beside a classifier that is taught and tested on real images. If z is drawn from a truncated normal distribution, |z| <= tau, images
become better and more alike as tau falls (Brock et al. 2019, section 3.1): precision rises, where it can still rise, and recall falls.

    python examples/conditional_gan.py                                          # 8 x 8 digits
    python examples/conditional_gan.py --tell-generator concatenation --tell-discriminator concatenation --out runs/conditional_gan-concat
    python examples/conditional_gan.py --data mnist --steps 8000 --out runs/conditional_gan-mnist      # 28 x 28 pixels, by concatenation
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigen import lessons, metrics, plots
from minigen.data import IMAGE_SETS
from minigen.lessons import Count
from minigen.losses import ADVERSARIAL
from minigen.models import dcgan
from minigen.training import fit_game

THRESHOLDS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)  # tau of the truncated normal distribution of z
COLUMNS = 12  # images of each class in the picture


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.GANSettings):
    data: Literal[*IMAGE_SETS] = "digits"  # what to learn to draw
    tell_generator: Literal["concatenation", "normalization"] = "normalization"  # how the class enters G
    tell_discriminator: Literal["concatenation", "projection"] = "projection"  # how it enters D
    steps: Count = 5000  # rounds


class Lesson(lessons.GANLesson[Settings]):
    evaluation_seed = 20141106
    is_told = True

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        sizes = {"size": self.size, "latent": s.latent, "width": s.width, "critic_steps": s.critic_steps}
        told = {"tell_generator": s.tell_generator, "tell_discriminator": s.tell_discriminator}
        gan = dcgan(**sizes, **told, classes=len(self.training.classes), loss=s.loss, noise="normal", rng=self.rng)
        self.begin(gan, f"conditional DCGAN, {self.training.name}, {s.loss} loss")

    def train(self) -> None:
        """Let the two play in turns."""
        averages = {"generator": self.average}
        fit_game(self.gan, self.real_batches(), self.optimizers, self.run, rng=self.rng, averages=averages)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def measure(self) -> dict[str, Any]:
        figures = self.image_figures()
        real, test = ((images.unit(), images.labels) for images in (self.training, self.test))
        drawn = (self.generated, self.labels(len(self.generated)))

        def teach(known: tuple[np.ndarray, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
            return self.taught(known, label="classifier").predict

        figures |= metrics.class_accuracies(drawn, real, test, teach=teach)._asdict()
        figures["neighbour_accuracy"] = metrics.neighbour_accuracy(drawn, test)
        few = (real[0][: len(drawn[0])], real[1][: len(drawn[0])])
        figures["neighbour_accuracy_real"] = metrics.neighbour_accuracy(few, test)
        self.sweep = [self.truncated(tau) for tau in THRESHOLDS]
        figures["truncation"] = dict(zip(map(str, THRESHOLDS), self.sweep, strict=True))
        return figures

    def truncated(self, tau: float) -> dict[str, float]:
        """Return precision and recall of images whose z is drawn from [-tau, tau]."""
        n = len(self.real_features) // 2
        z = self.to_cpu(self.gan.draw_latent(n, truncation=tau, rng=self.evaluation_rng()))
        features = self.extractor.network.features(self.generate(z))
        found = metrics.precision_recall(self.real_features[:n], features)
        return {"precision": found.precision, "recall": found.recall}

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield from self.image_pictures(figures)
        yield "classes", self.classes()
        n = len(self.real_features) // 2
        figure = plots.fidelity_and_variety(
            THRESHOLDS,
            precision=[found["precision"] for found in self.sweep],
            recall=[found["recall"] for found in self.sweep],
            reference=(figures["precision_real"], figures["recall_real"]),
            title=f"{self.title}: z truncated at tau, {n:,} images",
        )
        yield "truncation", figure

    def classes(self) -> lessons.Picture:
        """Draw each class of the same z: a class is a row, a z a column."""
        z, names = self.latents(COLUMNS), self.training.classes
        rows = [(name, self.generate(z, np.full(COLUMNS, k))) for k, name in enumerate(names)]
        labels = [f"z{i + 1}" for i in range(COLUMNS)]
        return plots.image_rows(rows, columns=labels, title=f"{self.title}: each class of the same z")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s = self.settings
        names = {
            "gan_train_accuracy": "GAN-train: taught by generated images, tested on real ones",
            "gan_test_accuracy": "GAN-test: taught by real images, tested on generated ones",
            "real_accuracy": "  taught and tested on real images",
            "neighbour_accuracy": "nearest generated image, of test images",
            "neighbour_accuracy_real": "  nearest of as many real images",
        }
        rows = [(label, f"{100 * figures[name]:.1f} %") for name, label in names.items()]
        yield f"{self.title}, {s.steps} rounds, seed {s.seed}", [*rows, *self.rows(figures)]


def defaults(data: Literal[*IMAGE_SETS] = "digits", loss: Literal[*ADVERSARIAL] = "nonsaturating") -> Settings:
    """Return the settings for a data set and a loss. On larger images labels beside z and x are obeyed sooner."""
    told = {} if data == "digits" else {"tell_generator": "concatenation", "tell_discriminator": "concatenation"}
    return Settings(data=data, loss=loss, **told, **lessons.gan_defaults(loss, data))


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
