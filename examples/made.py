"""Train a density of binary images whose log-likelihood is exact: a belief net, NADE, or MADE.

All three say p(x) = prod_i p(x_i | the pixels before x_i). They differ in what a conditional can be:

    belief-net   a logistic regression on the pixels before (Neal 1992; Frey, Hinton & Dayan 1996)
    nade         a network with one hidden layer, whose weights all pixels share (Larochelle & Murray 2011)
    made         a network of any depth, with masks that cut the paths that look ahead (Germain et al. 2015)

    python examples/made.py                                                     # MADE on 8 x 8 digits
    python examples/made.py --model belief-net --out runs/belief-net
    python examples/made.py --orderings 8 --hidden 500 --steps 6000 --out runs/made-8      # one set of weights under 8 orderings, mixed
    python examples/made.py --model belief-net --data mnist --out runs/belief-net-mnist
    python examples/made.py --data mnist --binarization static --ordering random --steps 9000 --out runs/made-mnist
    python examples/made.py --sample 100 --out runs/made                        # 100 images of a finished run; Ctrl-C keeps what is drawn

Row by row, the best clue to a pixel is the one just before it, but few hidden units have a degree, the last pixel that they may see, that
reaches exactly that far. This may be why, in trials, MADE without --direct did better under a random ordering, and with --direct better
still row by row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from minigen import lessons, metrics, plots
from minigen.lessons import Count, NonNegative, Positive
from minigen.lessons.pixels import TRAINING_KEY
from minigen.models import MADE, NADE, BeliefNet, OrderingMixture, ordering_mixture
from minigen.models.autoregressive import Autoregressive
from minigen.models.made import ORDERINGS
from minigen.random import Generator
from minigen.training import fit_likelihood

Model = Literal["belief-net", "nade", "made"]
MEASURED = 10_000  # training images whose log-likelihood is measured, at most
FIELDS_SHOWN, ORDERINGS_SHOWN = 18, 3


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.PixelSettings):
    model: Model = "made"  # what a conditional is
    hidden: tuple[Count, ...] = (128,)  # units of the hidden layers; nade has one layer, a belief net has none
    orderings: Count = 1  # that share made's weights; the model is their mixture
    ordering: Literal[*ORDERINGS] = "natural"
    """made's order of the pixels: row by row, or random; several natural orderings differ only in their masks"""
    direct: bool = False  # connect made's outputs directly to the pixels, too
    steps: Count = 3000  # steps of Adam
    batch_size: Count = 100  # images in a step
    learning_rate: Positive = 3e-3  # Adam's at the start; it falls to 0 along half a cosine
    weight_decay: NonNegative = 0.0  # Adam's, for all parameters

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model != "made" and (self.orderings > 1 or self.ordering != "natural" or self.direct):
            raise ValueError(f"--orderings, --ordering and --direct belong to made, but --model {self.model} is given")
        if self.model == "belief-net" and self.hidden:
            raise ValueError("--hidden is about hidden layers, and a belief net has none")
        if self.model == "nade" and len(self.hidden) != 1:
            raise ValueError("--hidden: nade has one hidden layer")
        if self.model == "made" and not self.hidden:
            raise ValueError("--hidden: made has at least one hidden layer; without any it would be a belief net")


class Lesson(lessons.PixelLesson[Settings]):
    evaluation_seed = 19920713
    monitored = 1000

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{s.model} on {s.data}"
        self.learned = self.observe(self.training, key=TRAINING_KEY)[:MEASURED]  # training images, to be measured
        self.model = build(self.size, s, self.rng).to(self.device)
        self.optimizer = self.adam(self.model, weight_decay=s.weight_decay)
        self.batches = self.new_batches()
        self.run = self.new_run(
            f"{s.model}, {self.training.name}", rows=100, monitor=self.monitor,
            parts={"model": self.model, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip

    def train(self) -> None:
        """Raise log p(x), one batch of bits after the other."""
        fit_likelihood(self.model, self.examples(self.batches), self.optimizer, self.run, rng=self.rng)

    # ------------------------------------------------------------------------------- what is measured and shown

    def under_orderings(self) -> list[Autoregressive]:
        """Return the models, each under one ordering, that the model consists of."""
        return self.model.models if isinstance(self.model, OrderingMixture) else [self.model]

    def measure(self) -> dict[str, Any]:
        self.costs = [metrics.site_costs(model, self.seen) for model in self.under_orderings()]  # (H, W, 1) each
        figures = self.likelihood_figures()
        return figures | {
            "test_bits_per_pixel": figures["bits_per_dimension"],
            "training_log_likelihood": float(metrics.exact_log_likelihood(self.model, self.learned).mean()),
            "ordering_log_likelihoods": [-float(cost.sum()) for cost in self.costs],
        }

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield from super().pictures(figures)
        yield "weights", self.weights()
        panels = [
            (f"ordering {m}: {cost.sum():.1f} nats" if len(self.costs) > 1 else f"together {cost.sum():.1f} nats", cost[..., 0])
            for m, cost in enumerate(self.costs[:ORDERINGS_SHOWN], start=1)
        ]  # fmt: skip
        yield "pixels", plots.site_costs(panels, title=f"{self.title}: what each pixel costs, given those before it")
        if self.settings.orderings > 1:
            yield (
                "orderings",
                plots.ordering_costs(
                    [-each for each in figures["ordering_log_likelihoods"]],
                    mixture=-figures["test_log_likelihood"],
                    title=f"{self.title}: one set of weights under {self.settings.orderings} orderings",
                ),
            )

    def weights(self) -> lessons.Picture:
        """Draw what single pixels listen to, or what single hidden units do, as images.

        Each weight is multiplied by the standard deviation of the pixel that it is about: large weights of pixels that are hardly ever ink,
        such as those near the border, have little effect.
        """
        (model, *_), (height, width, _) = self.under_orderings(), self.size
        if isinstance(model, BeliefNet):
            weight = model.weight * model.before
        elif isinstance(model, NADE):
            weight = model.weight
        else:
            weight = model.layers[0].weight * model.layers[0].mask
        deviation = self.learned.reshape(len(self.learned), -1).std(axis=0)  # (D,)
        effects = self.to_cpu(weight).T * deviation  # (units, D)
        if isinstance(model, BeliefNet):
            rows, columns = (np.linspace(0, end - 1, n + 2)[1:-1].round() for end, n in ((height, 3), (width, 6)))
            marks = [(int(row), int(column)) for row in rows for column in columns]
            shown, what = [row * width + column for row, column in marks], "the pixel in the frame listens to"
        else:
            strongest = np.argsort(-np.square(effects).sum(axis=1), kind="stable")[:FIELDS_SHOWN]
            shown, marks, what = np.sort(strongest).tolist(), None, "hidden units listen to"
        images, title = effects[shown].reshape(-1, height, width), f"{self.title}: what {what}"
        return plots.signed_images(images, marks=marks, label="weight x deviation", title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, each = self.settings, figures["ordering_log_likelihoods"]
        own = [("  of training images (nats)", f"{figures['training_log_likelihood']:.2f}")]
        if s.orderings > 1:
            own.append(("  under the best, the worst ordering", f"{max(each):.2f}, {min(each):.2f}"))
        yield f"{self.title}, {s.binarization} bits, seed {s.seed}", self.rows(figures, own)


def build(size: tuple[int, ...], s: Settings, rng: Generator) -> Autoregressive:
    """Return the model with its initial weights."""
    if s.model == "belief-net":
        return BeliefNet(size)
    if s.model == "nade":
        return NADE(size, hidden=s.hidden[0], rng=rng)
    network = {"hidden": s.hidden, "ordering": s.ordering, "direct": s.direct, "rng": rng}
    return MADE(size, **network) if s.orderings == 1 else ordering_mixture(size, orderings=s.orderings, **network)


def defaults(data: lessons.ImageSet = "digits", model: Model = "made", orderings: Count = 1) -> Settings:
    """Return the settings for a data set and a model."""
    hidden = (128,) if data == "digits" else (500,)
    return Settings(
        data=data,
        binarization=lessons.PROTOCOLS[data],
        model=model,
        hidden=() if model == "belief-net" else hidden,
        orderings=orderings,
        ordering="random" if orderings > 1 else "natural",
        steps=3000 if data == "digits" else 30_000,
        learning_rate=3e-3 if model == "made" else 1e-2,
    )


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
