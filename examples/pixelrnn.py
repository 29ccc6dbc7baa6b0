"""Draw digits pixel by pixel with LSTMs that walk over the image: PixelRNN, whose log-likelihood is exact.

    p(x) = prod_i p(x_i | the pixels above and to the left)                     van den Oord et al. 2016, equation 1

    row        Row LSTMs walk down the image and see a triangle above each pixel                                              section 3.1
    diagonal   Diagonal BiLSTMs walk along its diagonals from both upper corners, and see all that comes before but for one pixel, at
               the end of the row above                                                                                       section 3.2

All pixels of a line are computed at once, so an image of 28 x 28 pixels takes 28 steps or 55, and all conditionals come from one pass. A
sample is drawn one pixel after the other, with one cell of each layer to a pixel.

    python examples/pixelrnn.py                                                  # 3 Diagonal BiLSTMs, 8 x 8 digits
    python examples/pixelrnn.py --model row --out runs/pixelrnn-row              # compare the receptive fields
    python examples/pixelrnn.py --data mnist --binarization static --layers 7 --steps 120000 --batch-size 16 --out runs/pixelrnn-mnist
    python examples/pixelrnn.py --sample 100 --out runs/pixelrnn                 # 100 images of a finished run; Ctrl-C keeps what is drawn

The third is the network and the batch size of the paper, which reports 79.20 nats (7 layers of h = 16, static bits). Run it with --device
gpu, or let two cores work for about three hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from minigen import lessons
from minigen.lessons import Count, Range
from minigen.models import BernoulliConditional, PixelRNN
from minigen.models.autoregressive import Autoregressive
from minigen.models.pixelrnn import KINDS
from minigen.random import Generator
from minigen.training import fit_likelihood

NAMES = {"row": "Row LSTM", "diagonal": "Diagonal BiLSTM"}


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.PixelSettings):
    model: Literal[*KINDS] = "diagonal"  # Row LSTMs or Diagonal BiLSTMs
    layers: Count = 3  # of LSTMs
    features: Count = 32  # 2h, channels between the layers: even
    kernel_size: Annotated[int, Range(3)] = 3  # of the first convolution, odd; 3 leaves the LSTMs something to do
    steps: Count = 1200  # steps of Adam


class Lesson(lessons.PixelLesson[Settings]):
    evaluation_seed = 20160125

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{NAMES[s.model]} on {s.data}"
        self.model = self.build(s.model, self.rng)
        self.optimizer = self.adam(self.model)
        self.batches = self.new_batches()
        self.run = self.new_run(
            f"{NAMES[s.model]}, {self.training.name}", rows=50, monitor=self.monitor,
            parts={"model": self.model, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip

    def train(self) -> None:
        """Raise log p(x), one batch of bits after the other."""
        fit_likelihood(self.model, self.examples(self.batches), self.optimizer, self.run, rng=self.rng)

    def build(self, kind: str, rng: Generator) -> PixelRNN:
        """Return a network with its initial weights, on the device."""
        s = self.settings
        layers = {"features": s.features, "layers": s.layers, "kernel_size": s.kernel_size}
        return PixelRNN(self.size, BernoulliConditional(), kind=kind, rng=rng, **layers).to(self.device)

    def measure(self) -> dict[str, Any]:
        return self.likelihood_figures()

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield from super().pictures(figures)
        yield "receptive_field", self.receptive_field(self.both_kinds())

    def both_kinds(self) -> list[tuple[str, Autoregressive]]:
        """Return the network and one of the other kind with its first weights, with labels."""
        untrained = Generator(self.settings.seed, device=self.device)
        return [
            (name, self.model) if kind == self.settings.model else (f"{name}, untrained", self.build(kind, untrained))
            for kind, name in NAMES.items()
        ]

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s = self.settings
        layers = f"{s.layers} {NAMES[s.model]}{'s' if s.layers > 1 else ''}"
        yield f"{layers} on {s.data}, {s.binarization} bits, seed {s.seed}", self.rows(figures)


def defaults(data: lessons.ImageSet = "digits") -> Settings:
    """Return the settings for a data set."""
    if data == "digits":
        return Settings()
    return Settings(data=data, binarization=lessons.PROTOCOLS[data], kernel_size=7, steps=12_000)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
