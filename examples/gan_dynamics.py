"""See how two players learn: round in circles in the smallest game, and onto a few modes in a GAN that collapses.

The smallest game is bilinear, and its equilibrium is (0, 0). With h the learning rate, a step changes the distance from it by a factor that
is known exactly (Korpelevich 1976 for the third):

    min over x, max over y of x y
    simultaneous steps       sqrt(1 + h^2)              spiral away
    alternating steps        1                          circle around it, on an ellipse
    extragradient steps      sqrt(1 - h^2 + h^4)        reach it

Then GANs play on the two usual tests of mode collapse, 8 Gaussians on a ring and 25 on a grid (Lin et al. 2018, section 4.1): the ordinary
GAN, PacGAN, whose discriminator sees two examples at once, and the Wasserstein GAN with a gradient penalty. All have networks of the same
size and as many steps. Of 2,500 samples, those within three standard deviations of a mode are of high quality and cover it. The number of
modes stands beside that of Lin et al., whose networks are larger and learn for 400,000 steps.

    python examples/gan_dynamics.py                                          # one seed: 3 minutes on two cores
    python examples/gan_dynamics.py --seeds 5 --out runs/gan_dynamics-5      # the whole table: a quarter of an hour
    python examples/gan_dynamics.py --data ring --methods gan wgan-gp --out runs/ring
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import minigen as mg
from minigen import lessons, plots
from minigen.data import PlanarMixture, grid, ring
from minigen.lessons import Count
from minigen.losses import adversarial
from minigen.models import mlp_gan
from minigen.optim import EMA, Adam, cosine
from minigen.optim.games import WAYS, bilinear_distances, bilinear_growth, measured_growth, play_bilinear_game
from minigen.training import fit_game, read_state

RATE, STEPS = 0.2, 100  # h and the steps of the bilinear game
WIDTH, LATENT, BATCH_SIZE = 64, 2, 256  # of each of the three hidden layers of G and D, of z, of a batch
DISCRIMINATOR_RATE, GENERATOR_RATE = 4e-3, 2e-3  # at first; they fall to 0 along half a cosine
DATA = {"ring": ring, "grid": grid}
PUBLISHED = {"ring": {"gan": 6.3, "pacgan2": 7.9}, "grid": {"gan": 17.3, "pacgan2": 23.8}}  # Lin et al. 2018, table 1


class Method(NamedTuple):
    """How a GAN plays and is trained."""

    label: str
    loss: str = "nonsaturating"
    pack: int = 1  # examples that the discriminator sees at once
    penalty: float = 0.0  # weight of the gradient penalty
    beta1: float = 0.5  # of Adam
    beta2: float = 0.99


METHODS = {
    "gan": Method("GAN"),
    "pacgan2": Method("PacGAN2", pack=2),
    "wgan-gp": Method("WGAN-GP", loss="wasserstein-gp", penalty=0.3, beta1=0.0, beta2=0.9),
}


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.TrainingSettings):
    data: Literal["ring", "grid", "both"] = "both"  # which modes to learn
    methods: tuple[Literal[*METHODS], ...] = tuple(METHODS)  # how to play, each in runs of its own
    seeds: Count = 1  # runs of each method; the first has --seed, the next the number after it
    steps: Count = 15_000  # turns of G in each run

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ValueError(f"--methods: name some of {', '.join(METHODS)}, each once")
        if self.seed + self.seeds > 2**63:
            raise ValueError(f"--seeds: {self.seeds} seeds from {self.seed} on go beyond {2**63 - 1}, the largest")


class Game(lessons.PlanarLesson[Settings]):
    """One GAN on a mixture in the plane."""

    evaluation_seed = 20171204

    def __init__(self, density: PlanarMixture, name: str, s: Settings) -> None:
        super().__init__(s, density)
        m = METHODS[name]
        loss, sizes = replace(adversarial(m.loss), penalty=m.penalty), {"latent": LATENT, "width": WIDTH, "depth": 3}
        self.gan = mlp_gan(features=2, **sizes, pack=m.pack, loss=loss, rng=self.rng)

        def adam(player: mg.nn.Module, rate: float) -> Adam:
            return Adam(player, learning_rate=cosine(rate, steps=s.steps), beta1=m.beta1, beta2=m.beta2)

        self.optimizers = {
            "discriminator": adam(self.gan.discriminator, DISCRIMINATOR_RATE),
            "generator": adam(self.gan.generator, GENERATOR_RATE),
        }
        self.average = EMA(self.optimizers["generator"], decay=0.999)  # of G's weights: this generator is judged
        trained = {f"{player}_optimizer": optimizer for player, optimizer in self.optimizers.items()}
        own = {"data": density.name, "seed": s.seed, "width": WIDTH, "latent": LATENT, "batch_size": BATCH_SIZE}
        self.run = self.new_run(
            f"{m.label}, {density.name}, seed {s.seed}", rows=40, monitor=self.monitor, configuration=own | m._asdict(),
            file=f"{density.name}-{name}-{s.seed}.safetensors",
            parts={"model": self.gan, **trained, "average": self.average, "frames": self.frames},
        )  # fmt: skip

    def train(self) -> None:
        """Let the two play in turns."""
        batches, averages = self.batches(BATCH_SIZE, self.order), {"generator": self.average}
        fit_game(self.gan, batches, self.optimizers, self.run, rng=self.rng, averages=averages)

    def generated(self, n: int) -> np.ndarray:
        with self.average.applied(), mg.no_grad():
            return self.from_network(self.gan.generator(self.evaluation_rng().normal((n, LATENT))))


class Lesson(lessons.TrainingLesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        names, seeds = tuple(DATA) if s.data == "both" else (s.data,), range(s.seed, s.seed + s.seeds)
        self.paths = {way: play_bilinear_game(way, learning_rate=RATE, steps=STEPS) for way in WAYS}
        self.games = {
            (name, method): [Game(DATA[name](), method, replace(s, seed=seed, seeds=1)) for seed in seeds]
            for name in names
            for method in s.methods
        }
        self.runs = [game.run for games in self.games.values() for game in games]

    def train(self) -> None:
        for games in self.games.values():
            for game in games:
                game.train()

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    @classmethod
    def settings_of(cls, folder: Path, settings: Settings) -> Settings:
        """Return the settings that the names of the games in the folder tell."""
        named = (re.fullmatch(r"(ring|grid)-(.+)-(\d+)\.safetensors", path.name) for path in folder.iterdir())
        found = [match.groups() for match in named if match]
        if not found:
            raise ValueError(f"{folder} belongs to another program: it does not hold games on a ring or a grid")
        names, methods, seeds = (set(column) for column in zip(*found, strict=True))
        first = min(map(int, seeds))
        state = read_state(folder / "{}-{}-{}.safetensors".format(*found[0]))
        return replace(
            settings, data="both" if len(names) > 1 else names.pop(), methods=tuple(m for m in METHODS if m in methods),
            seed=first, seeds=max(map(int, seeds)) - first + 1, steps=state["run.steps"],
        )  # fmt: skip

    def of(self, name: str) -> dict[str, list[Game]]:
        """Return the games on one data set, by the method's name."""
        return {method: games for (data, method), games in self.games.items() if data == name}

    def measure(self) -> dict[str, Any]:
        coverage: dict[str, dict[str, dict[str, list[float]]]] = {}
        for (name, method), games in self.games.items():
            found = [game.coverage() for game in games]
            coverage.setdefault(name, {})[method] = {key: [one[key] for one in found] for key in found[0]}
        growth = {way: measured_growth(way, path, RATE) for way, path in self.paths.items()}
        bilinear = {way: {"growth": growth[way], "exact": bilinear_growth(way, RATE)} for way in WAYS}
        return {"bilinear": bilinear, "coverage": coverage}

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        s = self.settings
        figure = plots.game_trajectories(
            self.paths,
            field=lambda points: np.stack([-points[:, 1], points[:, 0]], axis=1),  # -dV/dx and dV/dy of V = x y
            exact={way: bilinear_distances(way, RATE, STEPS) for way in WAYS},
            limit=3.0,
            title=f"The bilinear game, min over x and max over y of xy, learning rate {RATE}",
        )
        yield "bilinear", figure
        for name in figures["coverage"]:
            games = {METHODS[method].label: found for method, found in self.of(name).items()}
            title, first = f"{name}, {s.steps:,} steps", {label: found[0] for label, found in games.items()}
            yield f"{name}-samples", lessons.sample_panels(first, title=f"{title}, seed {s.seed}")
            yield f"{name}-training", lessons.coverage_curves(games, title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s = self.settings
        rows = [(way, f"{found['growth']:.6f} ({found['exact']:.6f})") for way, found in figures["bilinear"].items()]
        yield f"Bilinear game, learning rate {RATE}: growth of the distance per step (exact)", rows
        seeds = f"seed {s.seed}" if s.seeds == 1 else f"seeds {s.seed} to {s.seed + s.seeds - 1}"
        for name, methods in figures["coverage"].items():
            rows = []
            for method, found in methods.items():
                rows.append((f"{METHODS[method].label}: modes covered", lessons.spread(found["modes"])))
                if method in PUBLISHED[name]:
                    rows.append(("  of Lin et al. 2018", f"{PUBLISHED[name][method]}"))
                share = f"{lessons.spread(100 * np.array(found['high_quality']))}%"
                rows.append((f"  samples at a mode (exact {lessons.HIGH_QUALITY:.1%})", share))
                seconds = np.mean([game.run.seconds for game in self.games[name, method]])
                rows.append(("  seconds a run", f"{seconds:.1f}"))
            rows.append(lessons.NO_LIKELIHOOD)
            yield f"{name}: {len(DATA[name]().centres)} modes, {s.steps} steps, {seeds}", rows


if __name__ == "__main__":
    lessons.teach(Lesson, Settings, __doc__)
