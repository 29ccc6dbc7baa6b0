"""See how two players learn: round in circles in the smallest game, and onto a few modes in a GAN that collapses.

First the bilinear game, min over x and max over y of x y. Gradient steps of both at once spiral away from the equilibrium, alternating
steps circle around it, and extragradient steps (Korpelevich 1976) reach it, each at a rate known exactly.

Then GANs on the two usual tests of mode collapse, 8 Gaussians on a ring and 25 on a grid (Lin et al. 2018, section 4.1): the ordinary GAN,
PacGAN, whose discriminator sees two examples at once, and the Wasserstein GAN with a gradient penalty. All have networks of the same size
and as many steps. Of 2,500 samples, those within three standard deviations of a mode are of high quality and cover it; the count of modes
stands beside that of Lin et al., whose networks are larger and learn for 400,000 steps.

    python examples/gan_dynamics.py                                # one seed: 3 minutes on two cores
    python examples/gan_dynamics.py --seeds 5 --out runs/gan_dynamics-5     # the whole table: a quarter of an hour
    python examples/gan_dynamics.py --data ring --methods gan wgan-gp --out runs/ring

It writes pictures, metrics.json and a checkpoint for each GAN into the folder `--out`. Ctrl-C ends it after the step under way; the same
command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen import metrics, nn, plots
from minigen.data import PlanarMixture, grid, ring
from minigen.losses import adversarial
from minigen.models import GAN, Packed
from minigen.optim import EMA, Adam, alternating_step, cosine, extragradient_step, simultaneous_step
from minigen.random import Generator
from minigen.training import (
    History,
    Run,
    at_least,
    device,
    fit_adversarial,
    plain_errors,
    run_program,
    table,
    versions,
    write_metrics,
)

GAME_RATE, GAME_STEPS = 0.2, 100  # eta, the learning rate of the bilinear game
WAYS = {"simultaneous": simultaneous_step, "alternating": alternating_step, "extragradient": extragradient_step}

WIDTH, LATENT, BATCH_SIZE = 64, 2, 256  # three hidden layers of this width in G and in D
DISCRIMINATOR_RATE, GENERATOR_RATE = 4e-3, 2e-3  # at first; they fall to 0 along half a cosine
SCALE = 2.0  # the data's standard deviation in the networks' own units
SETTINGS = {"width": WIDTH, "latent": LATENT, "batch_size": BATCH_SIZE}
HIGH_QUALITY = 1 - math.exp(-9 / 2)  # the share of exact samples within three standard deviations of their mode
EVALUATION_SEED, EVALUATION_SAMPLES = 20171204, 2_500
ROWS, DRAWN = 40, 500  # rows of the history; samples in a panel of the picture
PANELS = (0.025, 0.1, 0.25, 0.5, 1.0)  # the columns of the picture, as shares of the steps


class Method(NamedTuple):
    """How a GAN plays and is trained."""

    label: str
    loss: str = "nonsaturating"
    pack: int = 1  # examples that the discriminator sees at once
    penalty: float = 0.0
    beta1: float = 0.5  # of Adam
    beta2: float = 0.99


METHODS = {
    "gan": Method("GAN"),
    "pacgan2": Method("PacGAN2", pack=2),
    "wgan-gp": Method("WGAN-GP", loss="wasserstein-gp", penalty=0.3, beta1=0.0, beta2=0.9),
}
DATA = {"ring": ring, "grid": grid}
PUBLISHED = {"ring": {"gan": 6.3, "pacgan2": 7.9}, "grid": {"gan": 17.3, "pacgan2": 23.8}}  # Lin et al. 2018, table 1


def main() -> None:
    arguments = parse_arguments()
    names = tuple(DATA) if arguments.data == "both" else (arguments.data,)
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    games = {
        name: {method: [Game(DATA[name](), method, seed, arguments) for seed in seeds] for method in arguments.methods}
        for name in names
    }
    every_game = [game for methods in games.values() for runs in methods.values() for game in runs]
    with plain_errors():
        for game in every_game:
            game.begin(resume=arguments.resume, overwrite=arguments.overwrite)

    paths = {way: play_bilinear_game(way) for way in WAYS}
    for game in every_game:
        game.play()
    figures = measure(paths, games, arguments)
    if not arguments.no_plots:
        draw(paths, games, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, games, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=(*DATA, "both"), default="both", help="which modes to learn (both)")
    options.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=list(METHODS),
        metavar="METHOD",
        help="of gan, pacgan2, wgan-gp (all)",
    )
    options.add_argument("--seeds", type=at_least(1), default=1, help="how many runs of each method (1)")
    options.add_argument("--steps", type=at_least(1), default=15_000, help="steps of G in each run (15000)")
    options.add_argument(
        "--seed",
        type=at_least(0),
        default=0,
        help="the first seed, of weights, noise and data; same seed, same result (0)",
    )
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/gan_dynamics"), help="folder for all that is written (runs/gan_dynamics)"
    )
    options.add_argument(
        "--resume", action="store_true", help="go on with the runs in --out; begin those that are not there (off)"
    )
    options.add_argument("--overwrite", action="store_true", help="replace other runs in --out (off)")
    options.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the pictures (png)")
    options.add_argument("--no-plots", action="store_true", help="draw nothing (off)")
    arguments = parser.parse_args()
    arguments.methods = list(dict.fromkeys(arguments.methods))
    return arguments


# ------------------------------------------------------------------------------------------------------ the bilinear game


def play_bilinear_game(way: str) -> np.ndarray:
    """Play from (1, 0), and return the points (x, y), (steps + 1, 2)."""
    x, y = mg.tensor(np.array(1.0)), mg.tensor(np.array(0.0))
    path = [(1.0, 0.0)]
    for _ in range(GAME_STEPS):
        x, y = WAYS[way](lambda x, y: x * y, x, y, learning_rate=GAME_RATE)
        path.append((x.item(), y.item()))
    return np.array(path)


def exact_growth(way: str) -> float:
    """Return the factor by which the distance to (0, 0) grows in a step; of alternating steps, the ellipse does. See `optim.games`."""
    h = GAME_RATE
    return {
        "simultaneous": math.sqrt(1 + h**2),
        "alternating": 1.0,
        "extragradient": math.sqrt(1 - h**2 + h**4),
    }[way]


def exact_distance(way: str) -> np.ndarray:
    """Return the distance to (0, 0) after each step, (steps + 1,)."""
    t = np.arange(GAME_STEPS + 1)
    if way != "alternating":
        return exact_growth(way) ** t
    turn = 2 * math.asin(GAME_RATE / 2)
    return np.hypot(np.sin(turn * t) - np.sin(turn * (t - 1)), GAME_RATE * np.sin(turn * t)) / math.sin(turn)


def measured_growth(way: str, path: np.ndarray) -> float:
    """Return the same factor from first to last step."""
    x, y = path[[0, -1]].T
    squares = x**2 + y**2 - (GAME_RATE * x * y if way == "alternating" else 0.0)
    return float((squares[1] / squares[0]) ** (0.5 / GAME_STEPS))


# --------------------------------------------------------------------------------------------------------------- the GANs


class Game:
    """A GAN on a planar density: two networks, what trains them, and the run that counts their steps."""

    def __init__(self, density: PlanarMixture, name: str, seed: int, arguments: argparse.Namespace) -> None:
        method = METHODS[name]
        self.density, self.method, self.device = density, method, arguments.device
        self.unit = density.standard_deviation / SCALE
        self.rng = Generator(seed, device=self.device)
        self.data_rng = Generator(seed + 2**32)

        generator = perceptron(LATENT, 2, nn.ReLU(), rng=self.rng)
        discriminator: nn.Module = perceptron(2 * method.pack, 1, nn.LeakyReLU(slope=0.2), rng=self.rng)
        if method.pack > 1:
            discriminator = Packed(discriminator, size=method.pack)
        loss = replace(adversarial(method.loss), penalty=method.penalty)
        self.gan = GAN(generator, discriminator, latent=LATENT, loss=loss)

        def adam(player: nn.Module, rate: float) -> Adam:
            schedule = cosine(rate, steps=arguments.steps)
            return Adam(player, learning_rate=schedule, beta1=method.beta1, beta2=method.beta2)

        self.discriminator_optimizer = adam(discriminator, DISCRIMINATOR_RATE)
        self.generator_optimizer = adam(generator, GENERATOR_RATE)
        self.average = EMA(self.generator_optimizer, decay=0.999)

        self.frames = History()
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"{method.label}, {density.name}, seed {seed}",
            monitor=self.monitor,
            checkpoint=arguments.out / f"{density.name}-{name}-{seed}.safetensors",
            parts={
                "model": self.gan,
                "discriminator_optimizer": self.discriminator_optimizer,
                "generator_optimizer": self.generator_optimizer,
                "average": self.average,
                "noise": self.rng,
                "data": self.data_rng,
                "frames": self.frames,
            },
            configuration={"data": density.name, "seed": seed, "device": self.device, **SETTINGS, **method._asdict()},
        )

    def begin(self, *, resume: bool, overwrite: bool) -> None:
        """Look for an earlier run of this game."""
        self.run.begin(resume=resume and self.run.checkpoint.is_file(), overwrite=overwrite)

    def play(self) -> None:
        """Train until the run's last step."""
        fit_adversarial(
            self.gan,
            self.batches(),
            self.discriminator_optimizer,
            self.generator_optimizer,
            self.run,
            rng=self.rng,
            average=self.average,
        )

    def batches(self) -> Iterator[mg.Tensor]:
        """Draw fresh batches of real examples in the networks' units, (BATCH_SIZE, 2), and put them on the device."""
        while True:
            x = (self.density.sample(BATCH_SIZE, self.data_rng) - self.density.mean) / self.unit
            yield mg.tensor(x, dtype="float32", device=self.device)

    def samples(self) -> np.ndarray:
        """Generate points in the data's units with the averaged generator, from the same noise each time, (N, 2)."""
        z = Generator(EVALUATION_SEED, device=self.device).normal((EVALUATION_SAMPLES, LATENT))
        with self.average.applied(), mg.no_grad():
            return self.gan.generator(z).to("cpu").numpy() * self.unit + self.density.mean

    def monitor(self) -> dict[str, float]:
        """Count the modes covered, and keep some samples for the pictures."""
        generated = self.samples()
        self.frames.record(self.run.step, samples=[float(f"{number:.4g}") for number in generated[:DRAWN].ravel()])
        return metrics.mode_coverage(generated, self.density.centres, self.density.scale)._asdict()


def perceptron(inputs: int, outputs: int, activation: nn.Module, *, rng: Generator) -> nn.Sequential:
    """Return a network with three hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, WIDTH, rng=rng),
        activation,
        nn.Linear(WIDTH, WIDTH, rng=rng),
        activation,
        nn.Linear(WIDTH, WIDTH, rng=rng),
        activation,
        nn.Linear(WIDTH, outputs, rng=rng),
    )


# ------------------------------------------------------------------------------------------------------- what is reported

Games = dict[str, dict[str, list[Game]]]  # by the data's name, by the method's, for each seed


def measure(paths: dict[str, np.ndarray], games: Games, arguments: argparse.Namespace) -> dict:
    """Return the rates of the bilinear game, and what each GAN covers at its end."""

    def last(runs: Sequence[Game], name: str) -> list[float]:
        return [game.run.history.column(name)[-1] for game in runs]

    bilinear = {way: {"growth": measured_growth(way, path), "exact": exact_growth(way)} for way, path in paths.items()}
    coverage = {
        name: {
            method: {figure: last(runs, figure) for figure in ("modes", "high_quality")}
            for method, runs in methods.items()
        }
        for name, methods in games.items()
    }
    seconds = sum(game.run.seconds for methods in games.values() for runs in methods.values() for game in runs)
    settings = {name: getattr(arguments, name) for name in ("seed", "seeds", "steps", "device")}
    return {
        "bilinear": bilinear,
        "coverage": coverage,
        **settings,
        "seconds": round(seconds, 1),
        "versions": versions(),
    }


def draw(paths: dict[str, np.ndarray], games: Games, arguments: argparse.Namespace) -> None:
    """Write the picture of the bilinear game, and for each data set the samples and the modes over the training."""
    figure = plots.game_trajectories(
        paths,
        field=lambda points: np.stack([-points[:, 1], points[:, 0]], axis=1),  # -dV/dx and dV/dy of V = x y
        exact={way: exact_distance(way) for way in paths},
        limit=3.0,
        title=f"The bilinear game $\\min_x \\max_y \\; x y$, learning rate {GAME_RATE}",
    )
    plots.save(figure, arguments.out / f"bilinear.{arguments.format}")

    for name, methods in games.items():
        density = DATA[name]()
        modes = len(density.centres)
        title = f"{name}, {arguments.steps:,} steps"
        first = {METHODS[method].label: runs[0] for method, runs in methods.items()}
        columns = {label: panel_rows(game) for label, game in first.items()}
        captions = {
            label: [f"{row['modes']:.0f} of {modes}, {100 * row['high_quality']:.0f}%" for row in rows]
            for label, (rows, _) in columns.items()
        }
        figure = plots.sample_panels(
            {label: drawn for label, (_, drawn) in columns.items()},
            headings=[f"step {row['step'] + 1:,}" for row in next(iter(columns.values()))[0]],
            captions=captions,
            centres=density.centres,
            limits=density.limits,
            title=f"{title}, seed {arguments.seed}: modes covered, samples at a mode",
        )
        plots.save(figure, arguments.out / f"{name}-samples.{arguments.format}")

        histories = {METHODS[method].label: [game.run.history for game in runs] for method, runs in methods.items()}
        steps = shared_steps([run for runs in histories.values() for run in runs])
        curves = {
            figure_name: {
                label: [[row[figure_name] for row in run.rows if row["step"] in steps] for run in runs]
                for label, runs in histories.items()
            }
            for figure_name in ("modes", "high_quality")
        }
        figure = plots.coverage_curves(steps, **curves, total=modes, ceiling=HIGH_QUALITY, title=title)
        plots.save(figure, arguments.out / f"{name}-training.{arguments.format}")


def shared_steps(histories: Sequence[History]) -> list[int]:
    """Return the steps that all have recorded; a run that was resumed with more steps than at first may have others."""
    return sorted(set.intersection(*(set(history.column("step")) for history in histories)))


def panel_rows(game: Game) -> tuple[list[dict], list[np.ndarray]]:
    """Return the rows of the history that are drawn, and the samples of each, (DRAWN, 2)."""
    steps = np.array(game.run.history.column("step"))
    chosen = [int(np.abs(steps + 1 - share * game.run.steps).argmin()) for share in PANELS]
    drawn = [np.reshape(game.frames.rows[i]["samples"], (-1, 2)) for i in chosen]
    return [game.run.history.rows[i] for i in chosen], drawn


def report(figures: dict, games: Games, arguments: argparse.Namespace) -> None:
    """Print a table for the bilinear game and one for each data set."""
    rows = [(way, f"{found['growth']:.6f} ({found['exact']:.6f})") for way, found in figures["bilinear"].items()]
    print(table(rows, f"Bilinear game, learning rate {GAME_RATE}: growth of the distance per step (exact)"))
    last = arguments.seed + arguments.seeds - 1
    seeds = f"seed {last}" if arguments.seeds == 1 else f"seeds {arguments.seed} to {last}"
    for name, methods in figures["coverage"].items():
        rows = []
        for method, found in methods.items():
            rows.append((f"{METHODS[method].label}: modes covered", spread(found["modes"])))
            if method in PUBLISHED[name]:
                rows.append(("  of Lin et al. 2018", f"{PUBLISHED[name][method]}"))
            rows.append(
                (f"  samples at a mode (exact {HIGH_QUALITY:.1%})", f"{spread(100 * np.array(found['high_quality']))}%")
            )
            rows.append(("  seconds a run", f"{np.mean([game.run.seconds for game in games[name][method]]):.1f}"))
        print()
        print(table(rows, f"{name}: {len(DATA[name]().centres)} modes, {arguments.steps} steps, {seeds}"))
    print(f"\nwritten to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


def spread(values: Sequence[float]) -> str:
    """Return the mean, and the standard deviation where there are several values."""
    mean = f"{np.mean(values):.1f}"
    return f"{mean} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else mean


if __name__ == "__main__":
    run_program(main)
