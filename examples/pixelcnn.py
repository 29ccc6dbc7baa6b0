"""Draw digits pixel by pixel: PixelCNN and gated PixelCNN, whose log-likelihood is exact.

    p(x) = prod_i p(x_i | the pixels above and to the left)                     van den Oord et al. 2016a, equation 1
    p(x|y), the same for the class y                                            van den Oord et al. 2016b, section 2.3

A network of convolutions that only look back says at each pixel how probable its values are. It learns all conditionals of an image in one
pass. A sample is drawn one pixel after the other; it takes the time of a few such passes, since nothing is computed twice.

A model of classes, p(x|y), draws the digit that it is asked for. By Bayes' rule it also reads digits: p(y|x) is p(x|y) over its sum over y.

    python examples/pixelcnn.py                                                  # gated, with classes, 8 x 8 digits
    python examples/pixelcnn.py --model plain --no-classes --kernel-size 3 --out runs/pixelcnn-plain         # its blind spot shows
    python examples/pixelcnn.py --pixels logistics --out runs/pixelcnn-grey      # grey values, not bits
    python examples/pixelcnn.py --pixels logistics --coloured --out runs/pixelcnn-coloured
    python examples/pixelcnn.py --data mnist --no-classes --out runs/pixelcnn-mnist
    python examples/pixelcnn.py --sample 100 --out runs/pixelcnn                 # 100 images of a finished run; Ctrl-C keeps what is drawn
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from minigen import lessons, metrics, nn
from minigen.data import Batches, Images, coloured
from minigen.lessons import Count, Range
from minigen.models import (
    BernoulliConditional,
    CategoricalConditional,
    GatedPixelCNN,
    LogisticMixtureConditional,
    PixelCNN,
)
from minigen.models.autoregressive import Autoregressive
from minigen.models.raster import RasterModel
from minigen.random import Generator
from minigen.training import fit_likelihood

Model = Literal["plain", "gated"]
MIXED = 5  # logistics in a mixture
FEATURES = {"plain": 48, "gated": 24}


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.PixelSettings):
    pixels: Literal["bits", "categorical", "logistics"] = "bits"
    """bits; or grey values, with a probability for each or by a mixture of logistics"""
    coloured: bool = False  # give each class a colour; not with bits
    model: Model = "gated"  # PixelCNN or gated PixelCNN
    classes: bool = True  # learn p(x|y); without classes, p(x)
    features: Count = 24  # channels of the layers
    layers: Count = 5  # gated layers, or residual blocks
    kernel_size: Annotated[int, Range(3)] = 7  # of the first convolution: odd; 7 covers 8 x 8 digits
    steps: Count = 600  # steps of Adam

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coloured and self.pixels == "bits":
            raise ValueError("--coloured: colours have grey values; take --pixels categorical or --pixels logistics")


class Lesson(lessons.PixelLesson[Settings]):
    evaluation_seed = 20160616

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{s.model} PixelCNN on {s.data}"
        self.model = self.build(s.model, s.features, s.kernel_size, self.rng).to(self.device)
        self.optimizer = self.adam(self.model)
        self.batches = self.new_batches()
        self.run = self.new_run(
            f"{s.model} PixelCNN, {self.training.name}", rows=50, monitor=self.monitor,
            parts={"model": self.model, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip

    def train(self) -> None:
        """Raise log p(x), or log p(x|y), one batch of images after the other."""
        fit_likelihood(self.model, self.examples(self.batches), self.optimizer, self.run, rng=self.rng)

    def build(self, kind: str, features: int, kernel_size: int, rng: Generator) -> RasterModel:
        """Return a network with its initial weights."""
        s, levels = self.settings, self.training.levels
        conditional: Any = BernoulliConditional()
        if s.pixels == "categorical":
            conditional = CategoricalConditional(levels)
        if s.pixels == "logistics":
            conditional = LogisticMixtureConditional(levels, components=MIXED)
        classes = len(self.training.classes) if s.classes else None
        network: dict[str, Any] = {"features": features, "kernel_size": kernel_size, "classes": classes, "rng": rng}
        if kind == "gated":
            return GatedPixelCNN(self.size, conditional, layers=s.layers, **network)
        return PixelCNN(self.size, conditional, blocks=s.layers, **network)

    # ------------------------------------------------------------------------------------- what it learns from

    def load(self) -> tuple[Images, Images]:
        training, test = super().load()
        if self.settings.coloured:
            return coloured(training, by="class"), coloured(test, by="class")
        return training, test

    def observe(self, images: Images, *, key: int) -> np.ndarray:
        return super().observe(images, key=key) if self.settings.pixels == "bits" else images.images

    def new_batches(self) -> Batches:
        if self.settings.pixels == "bits":
            return super().new_batches()
        pairs = (self.training.images, self.training.labels)
        return Batches(pairs, batch_size=self.settings.batch_size, rng=self.order)

    # ------------------------------------------------------------------------------- what is measured and shown

    def measure(self) -> dict[str, Any]:
        figures = self.likelihood_figures()
        if self.settings.classes:
            x, read = self.seen.astype(np.float32), self.model.class_log_probabilities
            scores = nn.in_batches(read, x, device=self.device, batch_size=100)
            figures["accuracy"] = metrics.accuracy(scores, self.test.labels)
        return figures

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield from super().pictures(figures)
        yield "receptive_field", self.receptive_field(self.both_kinds())

    def both_kinds(self) -> list[tuple[str, Autoregressive]]:
        """Return the network and one of the other kind with its first weights, with labels.

        A first convolution of 7 x 7 sees most of an 8 x 8 image by itself. The other network has a smaller one there, so that its blind
        spot shows.
        """
        s, kernel_size = self.settings, 3 if self.settings.data == "digits" else 7
        other = "plain" if s.model == "gated" else "gated"
        untrained = self.build(other, FEATURES[other], kernel_size, Generator(0)).to(self.device)
        return [(s.model, self.model), (f"{other} {kernel_size}x{kernel_size}, untrained", untrained)]

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, own = self.settings, []
        if s.classes:
            own = [("test images read correctly by Bayes' rule", f"{figures['accuracy']:.1%}")]
        kind = f"{s.binarization} bits" if s.pixels == "bits" else s.pixels
        yield f"{self.title}, {kind}, seed {s.seed}", self.rows(figures, own)


def defaults(data: lessons.ImageSet = "digits", model: Model = "gated") -> Settings:
    """Return the settings for a data set and a kind of network."""
    steps = 600 if data == "digits" else 6000
    bits = lessons.PROTOCOLS[data]
    return Settings(data=data, binarization=bits, model=model, features=FEATURES[model], steps=steps)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
