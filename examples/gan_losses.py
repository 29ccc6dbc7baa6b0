"""Train one GAN with several losses and seeds, on one budget, and find out which differences between losses exceed those between seeds.

A loss decides which distance between p_G and the data the generator lowers, once the discriminator is at its best (`minigen/losses.py`):

    nonsaturating     close to the Jensen-Shannon divergence           Goodfellow et al. 2014
    least-squares     Pearson's chi^2                                  Mao et al. 2017
    hinge             total variation                                  Lim & Ye 2017; Miyato et al. 2018
    wasserstein-gp    Wasserstein's distance W1                        Gulrajani et al. 2017

In practice no discriminator is at its best, and with as much tuning and computation most models reach similar scores (Lucic et al. 2018,
"Are GANs Created Equal? A Large-Scale Study"). So each loss plays several times here. All have the same convolutions; what normalizes the
discriminator is what its loss allows. Each has as many optimizer steps in all, those of a critic with several turns included.

    python examples/gan_losses.py                                         # four losses, two seeds: 3 minutes on two cores
    python examples/gan_losses.py --all --seeds 5 --out runs/gan_losses-all
    python examples/gan_losses.py --losses hinge wasserstein --steps 20000 --out runs/two-losses
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from minigen import lessons, plots
from minigen.data import IMAGE_SETS
from minigen.lessons import Count
from minigen.losses import ADVERSARIAL
from minigen.models import dcgan
from minigen.training import fit_game, read_state

FOUR = ("nonsaturating", "least-squares", "hinge", "wasserstein-gp")
COLUMNS = 20  # samples of each loss in the picture


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.TrainingSettings):
    data: Literal[*IMAGE_SETS] = "digits"  # what to learn to draw
    losses: tuple[Literal[*ADVERSARIAL], ...] = FOUR  # to compare
    all: bool = False  # compare all losses there are
    seeds: Count = 2  # runs of each loss; the first has --seed, the next the number after it
    width: Count = 32  # filters next to the image
    batch_size: Count = 64  # images in a step
    steps: Count = 3000  # of both optimizers together, in each run
    run: lessons.GANOptions = lessons.GANOptions()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.losses or len(set(self.losses)) < len(self.losses):
            raise ValueError(f"--losses: name some of {', '.join(ADVERSARIAL)}, each once")
        if self.seed + self.seeds > 2**63:
            raise ValueError(f"--seeds: {self.seeds} seeds from {self.seed} on go beyond {2**63 - 1}, the largest")


class Game(lessons.GANLesson[lessons.GANSettings]):
    """One GAN with one loss and one seed."""

    evaluation_seed = 20171128

    def __init__(self, loss: str, seed: int, s: Settings) -> None:
        chosen = lessons.gan_defaults(loss)
        rounds = max(1, s.steps // (chosen.get("critic_steps", 1) + 1))
        shared = {"data": s.data, "width": s.width, "batch_size": s.batch_size, "run": s.run}
        super().__init__(lessons.GANSettings(loss=loss, seed=seed, steps=rounds, **chosen, **shared))
        own = self.settings
        sizes = {"size": self.size, "latent": own.latent, "width": own.width, "critic_steps": own.critic_steps}
        gan = dcgan(**sizes, loss=loss, noise="normal", rng=self.rng)
        self.begin(gan, f"{loss}, seed {seed}", file=f"{loss}-{seed}.safetensors")

    def train(self) -> None:
        """Let the two play in turns."""
        averages = {"generator": self.average}
        fit_game(self.gan, self.real_batches(), self.optimizers, self.run, rng=self.rng, averages=averages)


class Lesson(lessons.TrainingLesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        seeds, losses = range(s.seed, s.seed + s.seeds), tuple(ADVERSARIAL) if s.all else s.losses
        self.games = {loss: [Game(loss, seed, s) for seed in seeds] for loss in losses}
        self.runs = [game.run for games in self.games.values() for game in games]
        self.first = next(iter(self.games.values()))[0]

    def train(self) -> None:
        for games in self.games.values():
            for game in games:
                if game is not self.first:  # which trains it, unless one is given
                    game.extractor = self.first.extractor
                game.train()

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    @classmethod
    def settings_of(cls, folder: Path, settings: Settings) -> Settings:
        """Return the settings that the games in the folder tell."""
        named = (re.fullmatch(r"(.+)-(\d+)\.safetensors", path.name) for path in folder.iterdir())
        found = [(match[1], int(match[2])) for match in named if match and match[1] in ADVERSARIAL]
        if not found:
            raise ValueError(f"{folder} belongs to another program: it does not hold games with several losses")
        losses, seeds = (set(column) for column in zip(*found, strict=True))
        state = read_state(folder / "{}-{}.safetensors".format(*found[0]))
        own = state["run.configuration"]
        turns = state["run.steps"] * (own["critic_steps"] + 1)
        named_there = tuple(loss for loss in ADVERSARIAL if loss in losses)
        known = {name: own[name] for name in ("data", "width", "batch_size")} | {"losses": named_there, "all": False}
        return replace(settings, **known, seed=min(seeds), seeds=max(seeds) - min(seeds) + 1, steps=turns)

    def measure(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {}
        for loss, games in self.games.items():
            for game in games:
                game.extractor = self.first.extractor
            found[loss] = [game.image_figures() for game in games]
        distances = {loss: [figures["frechet"] for figures in runs] for loss, runs in found.items()}
        return {
            "frechet": distances,
            "frechet_real": found[next(iter(found))][0]["frechet_real"],
            "precision": {loss: [figures["precision"] for figures in runs] for loss, runs in found.items()},
            "recall": {loss: [figures["recall"] for figures in runs] for loss, runs in found.items()},
            "spread_of_seeds": spread_of_seeds(distances),
            "judged_images": found[next(iter(found))][0]["judged_images"],
            "extractor": self.first.extractor.name,
        }

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        rows = [(loss, games[0].generated[:COLUMNS]) for loss, games in self.games.items()]
        title = f"{self.first.training.name}, {self.settings.steps:,} optimizer steps"
        yield "samples", plots.image_rows(rows, title=f"{title}: samples, seed {self.settings.seed}")
        figure = plots.loss_comparison(
            {loss: [self.course(game) for game in games] for loss, games in self.games.items()},
            final=figures["frechet"],
            floor=figures["frechet_real"],
            title=title,
        )
        yield "comparison", figure

    def course(self, game: Game) -> tuple[list[float], list[float]]:
        """Return at which optimizer steps of both players together the Fréchet distance was measured, and what it was."""
        history = game.run.history
        return [step * (game.gan.critic_steps + 1) for step in history.column("step")], history.column("frechet")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, spread = self.settings, figures["spread_of_seeds"]
        rows = []
        for loss in self.games:
            seconds = np.mean([game.run.seconds for game in self.games[loss]])
            precision, recall = (np.mean(figures[name][loss]) for name in ("precision", "recall"))
            shares = f"precision {precision:.2f}, recall {recall:.2f}, {seconds:.0f} s a run"
            rows.append((f"{loss}: Fréchet distance", f"{lessons.spread(figures['frechet'][loss])}; {shares}"))
        rows.append(("real against real", f"{figures['frechet_real']:.1f}"))
        rows.append(
            ("standard deviation between seeds, pooled", "one seed has none" if spread is None else f"{spread:.1f}")
        )
        means = {loss: float(np.mean(values)) for loss, values in figures["frechet"].items()}
        order = sorted(means, key=means.__getitem__)
        for better, worse in pairwise(order):
            gap = means[worse] - means[better]
            chance = 0.0 if spread is None else 2 * spread * np.sqrt(2 / s.seeds)  # two standard errors of a difference
            said = f"; {'more' if gap > chance else 'no more'} than by chance ({chance:.1f})" if chance else ""
            rows.append((f"{better} better than {worse} by", f"{gap:.1f}{said}"))
        rows.append(lessons.NO_LIKELIHOOD)
        seeds = f"seed {s.seed}" if s.seeds == 1 else f"seeds {s.seed} to {s.seed + s.seeds - 1}"
        yield f"GANs on {s.data} with {len(self.games)} losses, {s.steps} optimizer steps each, {seeds}", rows


def spread_of_seeds(values: dict[str, list[float]]) -> float | None:
    """Return the standard deviation between seeds, pooled over the losses; None for one seed."""
    counts = sum(len(runs) - 1 for runs in values.values())
    return float(np.sqrt(sum(np.var(runs) * len(runs) for runs in values.values()) / counts)) if counts else None


if __name__ == "__main__":
    lessons.teach(Lesson, Settings, __doc__)
