"""Train autoencoders to restore damaged images, one for each kind of damage, and let every one of them try all kinds.

A denoising autoencoder sees a damaged image x' and has to return the image x as it was (Vincent et al. 2008):

    x' ~ q(x'|x)                               noise, missing pixels, or a missing block
    loss = E_q(x'|x)[-log p(x | D(E(x')))]     in nats per image; p is Bernoulli, the encoder is E, the decoder D

To do so it must know what images look like, since no pixel can be copied blindly. It is trained side by side with a plain autoencoder,
which has never seen damage. For every kind of damage, the table shows how far each model's restored images are from the originals.

Alternating damage and repair, with pixels drawn from p, gives a Markov chain whose images come to resemble the data (Bengio et al. 2013,
"Generalized denoising auto-encoders as generative models"): --sample N draws N images from it, beginning with noise.

    python examples/denoising_autoencoder.py                                    # four kinds of damage to 8 x 8 digits
    python examples/denoising_autoencoder.py --data mnist --corruption block --conv --out runs/inpainting
    python examples/denoising_autoencoder.py --sample 40                        # from noise to images
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

import minigen as mg
from minigen import lessons, metrics, plots
from minigen.data import CORRUPTIONS, Batches, corruption
from minigen.lessons import Count
from minigen.models import Together, conv_autoencoder, mlp_autoencoder
from minigen.training import fit_likelihood

MONITORED = 500  # test images whose error is recorded during training
ROUNDS = 100  # of damage and repair that make a sample
PLAIN = "none"  # stands for the autoencoder that sees no damage, and for images without damage
KINDS = (PLAIN, *CORRUPTIONS)


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    data: lessons.ImageSet = "digits"  # images to restore
    corruption: tuple[Literal[*CORRUPTIONS], ...] = tuple(CORRUPTIONS)  # kinds of damage, each for a model of its own
    conv: bool = False  # strided and transposed convolutions in place of fully connected layers
    hidden: tuple[Count, ...] = (256,)  # units of the encoder's hidden layers; the decoder has them in reverse
    code: Count = 64  # numbers that the encoder keeps of an image
    steps: Count = 3000  # steps of Adam

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conv and self.hidden:
            raise ValueError("--hidden is about fully connected layers, but --conv is given")
        if not self.corruption:
            raise ValueError(f"--corruption: name at least one of {', '.join(CORRUPTIONS)}")


class Lesson(lessons.ImageLesson[Settings]):
    evaluation_seed = 2008

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        build = conv_autoencoder if s.conv else partial(mlp_autoencoder, hidden=s.hidden)
        self.models = {
            kind: build(
                size=self.size, code=s.code, corrupt=None if kind == PLAIN else corruption(kind), rng=self.rng
            ).to(self.device)
            for kind in (PLAIN, *s.corruption)
        }
        self.together = Together(**self.models)  # the sum of their losses, so each learns as it would alone
        self.optimizer = self.adam(self.together)
        self.batches = Batches(self.training.unit(), batch_size=s.batch_size, rng=self.order)
        self.run = self.new_run(
            f"denoising autoencoders, {self.training.name}", rows=100, monitor=self.monitor,
            parts={"models": self.together, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip

    def train(self) -> None:
        """Minimise the losses of all models on the same batches of undamaged images; each damages them in its own way."""
        fit_likelihood(self.together, self.on_device(self.batches), self.optimizer, self.run, rng=self.rng)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def damaged(self, images: np.ndarray, kind: str) -> np.ndarray:
        """Return images with one kind of damage, the same at each call, (N, H, W, C)."""
        return images if kind == PLAIN else corruption(kind)(images, rng=self.evaluation_rng("cpu"))

    def monitor(self) -> dict[str, float]:
        """Return the error of each model on test images with the damage that it is trained on."""
        images = self.test.unit()[:MONITORED]
        return {
            f"test_{kind}": metrics.squared_error(model.reconstruct(self.damaged(images, kind)), images)
            for kind, model in self.models.items()
        }

    def measure(self) -> dict[str, Any]:
        images = self.test.unit()
        damaged = {kind: self.damaged(images, kind) for kind in KINDS}
        return {
            "spoiled_error": {kind: metrics.squared_error(seen, images) for kind, seen in damaged.items()},
            "test_error": {
                name: {kind: metrics.squared_error(model.reconstruct(seen), images) for kind, seen in damaged.items()}
                for name, model in self.models.items()
            },
            "parameters": self.models[PLAIN].count_parameters(),
            "training_images": len(self.training.images),
            "test_images": len(images),
        }

    def samples(self, n: int) -> lessons.Samples:
        """Damage and restore by turns, beginning with noise, and keep the last restored images."""
        kind = self.settings.corruption[0]
        model, damage, rng = self.models[kind], corruption(kind), self.evaluation_rng()
        images = rng.bernoulli(0.5, (n, *self.size))
        with mg.no_grad():
            for _ in range(ROUNDS):
                p = model.decode(model.encode(damage(images, rng=rng)))
                images = p.sample(rng=rng)
        last = self.to_cpu(p.mean)
        title = f"{ROUNDS} rounds of damage ({kind}) and repair, from noise"
        return lessons.Samples({"images": last}, plots.image_grid(last, title=title))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        labels = {kind: kind.replace("-and-", "\nand ") for kind in self.models}
        images, name = self.test.unit()[: lessons.SHOWN], self.test.name
        rows = [("originals", images)]
        for kind in self.settings.corruption:
            seen = self.damaged(images, kind)
            rows += [(labels[kind], seen), ("restored", self.models[kind].reconstruct(seen))]
        yield "mended", plots.image_rows(rows, title=f"{name}: damaged images and restored ones")
        if not self.settings.conv:
            weights = {labels[kind]: self.to_cpu(model.encoder[1].weight) for kind, model in self.models.items()}
            title = f"{name}: strongest units of the first layer, by the damage in training; grey is 0"
            yield "filters", plots.strongest_units(weights, size=self.size, most=lessons.SHOWN, title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, width = self.settings, max(map(len, KINDS)) + 2
        errors = {"not restored": figures["spoiled_error"]}
        errors |= {f"restored, trained on {name}": by_kind for name, by_kind in figures["test_error"].items()}
        rows = [("", "".join(kind.rjust(width) for kind in KINDS))]
        rows += [(label, "".join(f"{found[kind]:{width}.2f}" for kind in KINDS)) for label, found in errors.items()]
        rows.append(("parameters of each", f"{figures['parameters']:,}"))
        yield f"Squared error of {s.data} by damage, {s.steps:,} steps, seed {s.seed}", rows


def defaults(data: lessons.ImageSet = "digits", conv: bool = False) -> Settings:
    """Return the settings for a data set."""
    larger = {} if data == "digits" else {"hidden": (1000,), "code": 250, "steps": 9000, "batch_size": 100}
    return Settings(**{"data": data, "conv": conv} | larger | ({"hidden": ()} if conv else {}))


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
