"""Train a GAN on a one-dimensional density, and see how close it comes.

A generator G turns normal noise z into numbers; a discriminator D tells them from the data's; both learn by playing against each other
(Goodfellow et al. 2014). In one dimension everything can be seen and measured: both densities, the best possible discriminator, the map
from z to G(z), and the exact Wasserstein distance to the target.

    python examples/gan_1d.py                              # two Gaussians, the non-saturating loss
    python examples/gan_1d.py --loss wasserstein-gp --out runs/wasserstein-gp
    python examples/gan_1d.py --loss minimax --show-saturation --out runs/minimax
    python examples/gan_1d.py --target faithful --latent 1 --out runs/faithful
    python examples/gan_1d.py --data my.csv --column height --out runs/height

It writes pictures (densities, training, the animation training.gif), metrics.json, the weights and a checkpoint into the folder `--out`.
Ctrl-C ends it after the step under way; the same command with --resume goes on from there, to the same result bit by bit. With --resume,
--steps may also grow: the learning rates, which fall to 0, are then those of the longer run from there on. A finished run that is resumed
only measures and draws again.
"""

import argparse
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigen as mg
from minigen import metrics, plots
from minigen.data import TARGETS, Density, density_batches, empirical_density, read_column, target
from minigen.losses import ADVERSARIAL, adversarial
from minigen.models import mlp_gan
from minigen.optim import EMA, Adam, cosine
from minigen.random import Generator
from minigen.training import (
    History,
    Run,
    at_least,
    device,
    fit_adversarial,
    plain_errors,
    run_program,
    save_state,
    table,
    train_discriminator_alone,
    versions,
    write_metrics,
)

WIDTH = 64  # units in each of the two hidden layers of G and of D
BATCH_SIZE = 256
SCALE = 2.0  # the target's standard deviation in the game's own units, for which the settings below were found
EVALUATION_SEED, EVALUATION_SAMPLES = 20140610, 50_000
MONITOR_SAMPLES = 5_000  # for the distance beside the progress bar
ROWS, FRAMES, FRAME_POINTS = 160, 60, 201  # rows of the history, frames of the animation, points of a curve in it


class Setting(NamedTuple):
    """How a loss is trained. The learning rates fall to 0 along half a cosine."""

    steps: int = 8000
    critic_steps: int = 1  # k: D's steps to each of G's
    discriminator_rate: float = 4e-3
    generator_rate: float = 2e-3
    beta1: float = 0.5  # with 0.9 the players overshoot each other
    beta2: float = 0.999
    constraint: dict[str, float] = {}


# The Wasserstein critic should be near its best at each of G's steps, and momentum harms it (Arjovsky et al. 2017, section 4). The usual
# penalty of 10 is a trap in one dimension: slopes of +1 and -1 are two wells, and a critic that has the wrong sign cannot climb out of one,
# which takes a gain in E[l(x)] - E[l(G(z))] larger than the penalty of slope 0. With 0.1 it can; the price is a slope above 1.
CRITIC = Setting(steps=2000, critic_steps=5, discriminator_rate=2e-3, generator_rate=1e-3, beta1=0.0)
SETTINGS = dict.fromkeys(ADVERSARIAL, Setting()) | {
    "wasserstein": CRITIC._replace(beta2=0.99, constraint={"weight_bound": 0.1}),
    "wasserstein-gp": CRITIC._replace(beta2=0.9, constraint={"penalty": 0.1}),
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        density = target_density(arguments)
        game = Game(density, arguments)
        game.run.begin(resume=arguments.resume, overwrite=arguments.overwrite)

    if arguments.show_saturation and not arguments.no_plots:
        show_saturation(Game(density, arguments), arguments)
    game.play()
    with game.average.applied():  # the averaged generator is the result
        generated = game.samples(EVALUATION_SAMPLES)
        figures = measure(game, generated, arguments)
        if not arguments.no_plots:
            draw(game, generated, arguments)
        save_state(arguments.out / "weights.safetensors", model=game.gan)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, density, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    source = options.add_mutually_exclusive_group()
    source.add_argument("--target", choices=TARGETS, default="mixture", help="the density to learn (mixture)")
    source.add_argument("--data", type=Path, metavar="FILE.csv", help="or numbers of your own to learn from")
    options.add_argument("--column", metavar="NAME", help="of --data; may be left out where there is one only")
    options.add_argument(
        "--loss", choices=ADVERSARIAL, default="nonsaturating", help="what the players minimise (nonsaturating)"
    )
    options.add_argument("--critic-steps", type=at_least(1), help="k: D's steps to each of G's (1; Wasserstein: 5)")
    options.add_argument("--steps", type=at_least(1), help="steps of G (8000; Wasserstein: 2000)")
    options.add_argument(
        "--latent", type=at_least(1), default=4, help="dimension of z; 1 draws the lecture's picture (4)"
    )
    options.add_argument(
        "--seed", type=at_least(0), default=0, help="of weights, noise and data; same seed, same result (0)"
    )
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/gan_1d"), help="folder for all that is written (runs/gan_1d)"
    )
    options.add_argument("--resume", action="store_true", help="go on with the run in --out (off)")
    options.add_argument("--overwrite", action="store_true", help="replace another run in --out (off)")
    options.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the pictures (png)")
    options.add_argument("--no-plots", action="store_true", help="draw nothing (off)")
    options.add_argument(
        "--show-saturation",
        action="store_true",
        help="first draw the generator's gradient under both losses against a discriminator trained to be strong (off)",
    )
    arguments = parser.parse_args()
    if arguments.column and not arguments.data:
        parser.error("--column names a column of --data FILE.csv, which is not given")
    setting = SETTINGS[arguments.loss]
    arguments.steps = arguments.steps or setting.steps
    arguments.critic_steps = arguments.critic_steps or setting.critic_steps
    return arguments


def target_density(arguments: argparse.Namespace) -> Density:
    """Return the target of that name, or one made of the user's numbers."""
    if arguments.data is None:
        return target(arguments.target)
    name = arguments.column or arguments.data.stem
    return empirical_density(read_column(arguments.data, arguments.column), name=name)


class Game:
    """Two networks, what trains them, and the run that counts their steps.

    The networks see the data in units of their own, in which it has mean 0 and standard deviation 2; whatever leaves the game is in the
    data's units.
    """

    def __init__(self, density: Density, arguments: argparse.Namespace) -> None:
        setting = SETTINGS[arguments.loss]
        self.density, self.device, self.critic_steps = density, arguments.device, arguments.critic_steps
        self.unit = density.standard_deviation / SCALE
        self.rng = Generator(arguments.seed, device=arguments.device)
        self.data_rng = Generator(arguments.seed + 2**32)
        loss = replace(adversarial(arguments.loss), **setting.constraint)
        self.gan = mlp_gan(features=1, latent=arguments.latent, width=WIDTH, rng=self.rng, loss=loss)

        def adam(player: mg.nn.Module, rate: float, steps: int) -> Adam:
            return Adam(player, learning_rate=cosine(rate, steps=steps), beta1=setting.beta1, beta2=setting.beta2)

        critic_steps = arguments.steps * arguments.critic_steps
        self.discriminator_optimizer = adam(self.gan.discriminator, setting.discriminator_rate, critic_steps)
        self.generator_optimizer = adam(self.gan.generator, setting.generator_rate, arguments.steps)
        self.average = EMA(self.generator_optimizer, decay=0.999)

        self.x = np.linspace(*density.support, FRAME_POINTS)  # where the curves of the animation are computed
        self.quantiles = density.quantile((np.arange(MONITOR_SAMPLES) + 0.5) / MONITOR_SAMPLES)
        self.frames = History()
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"GAN, {density.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / "checkpoint.safetensors",
            parts={
                "model": self.gan,
                "discriminator_optimizer": self.discriminator_optimizer,
                "generator_optimizer": self.generator_optimizer,
                "average": self.average,
                "noise": self.rng,
                "data": self.data_rng,
                "frames": self.frames,
            },
            configuration=configuration(density, arguments),
        )

    def play(self) -> None:
        """Train until the run's last step."""
        fit_adversarial(
            self.gan,
            self.batches(self.data_rng),
            self.discriminator_optimizer,
            self.generator_optimizer,
            self.run,
            rng=self.rng,
            critic_steps=self.critic_steps,
            average=self.average,
        )

    def batches(self, rng: Generator) -> Iterator[mg.Tensor]:
        """Draw fresh batches of real examples in the game's units, (BATCH_SIZE, 1), and put them on the device."""
        for batch in density_batches(self.density, batch_size=BATCH_SIZE, rng=rng):
            yield mg.tensor((batch - self.density.mean) / self.unit, dtype="float32", device=self.device)

    def monitor(self) -> dict[str, float]:
        """Measure the distance to the target, and keep the curves for the animation."""
        with self.average.applied():
            generated = self.samples(MONITOR_SAMPLES)
        bandwidth = metrics.matching_bandwidth(self.density)
        p_generator = metrics.binned_kernel_density(generated, self.x, bandwidth=bandwidth)
        curves = {"p_generator": p_generator, "discriminator": self.discriminator_at(self.x)}
        self.frames.record(self.run.step, **{name: [float(f"{y:.4g}") for y in c] for name, c in curves.items()})
        return {"W1": metrics.wasserstein1_to_quantile(generated, lambda u: self.quantiles)}

    def samples(self, n: int) -> np.ndarray:
        """Generate n numbers in the data's units, from the same noise each time, (n,)."""
        return self.generate(Generator(EVALUATION_SEED, device=self.device).normal((n, self.gan.latent)))

    def generate(self, z: np.ndarray) -> np.ndarray:
        """Return G(z) in the data's units, (n, latent) -> (n,)."""
        with mg.no_grad():
            return self.gan.generator(z).to("cpu").numpy().ravel() * self.unit + self.density.mean

    def discriminator_at(self, x: np.ndarray) -> np.ndarray:
        """Return D at points of the data axis, (M,): a probability, or a score where the loss makes it none."""
        points = mg.tensor((x[:, None] - self.density.mean) / self.unit, dtype="float32", device=self.device)
        return mg.Tensor(self.gan.discriminate(points)).to("cpu").numpy().ravel()


def configuration(density: Density, arguments: argparse.Namespace) -> dict:
    """Return all that a run's result depends on, but for its steps."""
    if arguments.data:
        digest = hashlib.sha256(density.values.tobytes()).hexdigest()
        source = {"target": density.name, "data": arguments.data.name, "sha256": digest}
    else:
        source = {"target": arguments.target}
    names = ("loss", "critic_steps", "latent", "seed", "device")
    settings = {name: getattr(arguments, name) for name in names}
    return source | settings | {"width": WIDTH, "batch_size": BATCH_SIZE}


def measure(game: Game, generated: np.ndarray, arguments: argparse.Namespace) -> dict:
    """Compare the generator with the exact target; add the settings."""
    is_probability = game.gan.adversarial_loss.is_probability
    figures = metrics.compare_with_density(
        generated, game.density, discriminator=game.discriminator_at if is_probability else None
    )
    settings = game.run.configuration | {"steps": arguments.steps}
    return figures | settings | {"seconds": round(game.run.seconds, 1), "versions": versions()}


def draw(game: Game, generated: np.ndarray, arguments: argparse.Namespace) -> None:
    """Write the densities, the course of the training, and the animation."""
    density, history, loss = game.density, game.run.history, game.gan.adversarial_loss
    label = "$D(x)$" if loss.is_probability else "$D(x)$, a score"
    title = f"{density.name}, {arguments.loss} loss"

    x = np.linspace(*density.support, 1001)
    p_data = density.pdf(x)
    p_generator = metrics.binned_kernel_density(generated, x, bandwidth=metrics.matching_bandwidth(density))
    z = np.zeros((301, arguments.latent), np.float32)
    z[:, 0] = np.linspace(-3, 3, len(z))
    figure = plots.gan_densities(
        x,
        p_data=p_data,
        p_generator=p_generator,
        discriminator=game.discriminator_at(x),
        discriminator_label=label,
        optimal=metrics.optimal_discriminator(p_data, p_generator) if loss.is_probability else None,
        latent=z[:, 0],
        generated=game.generate(mg.tensor(z, device=arguments.device)),
        latent_dimension=arguments.latent,
        title=f"{title}, {arguments.steps:,} steps",
    )
    plots.save(figure, arguments.out / f"densities.{arguments.format}")

    figure = plots.training_curves(
        history.column("step"),
        losses={"D": history.column("discriminator"), "G": history.column("generator")},
        equilibrium=dict(zip("DG", loss.equilibrium, strict=True)),
        wasserstein=history.column("W1"),
        wasserstein_floor=metrics.wasserstein1_floor(density, MONITOR_SAMPLES, rng=Generator(EVALUATION_SEED)),
        gradient_norm=history.column("generator_gradient"),
        title=title,
    )
    plots.save(figure, arguments.out / f"training.{arguments.format}")

    rows = game.frames.rows
    rows = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, FRAMES).round().astype(int))]
    animation = plots.gan_animation(
        game.x,
        p_data=density.pdf(game.x),
        steps=[row["step"] for row in rows],
        p_generator=[row["p_generator"] for row in rows],
        discriminator=[row["discriminator"] for row in rows],
        is_probability=loss.is_probability,
        title=title,
    )
    plots.save_animation(animation, arguments.out / "training.gif")


def show_saturation(game: Game, arguments: argparse.Namespace) -> None:
    """Draw how G's gradient fares while the discriminator alone learns, on a copy of the untrained networks."""
    gan = copy.deepcopy(game.gan)
    setting = SETTINGS[arguments.loss]
    optimizer = Adam(gan.discriminator, learning_rate=setting.discriminator_rate, beta1=setting.beta1)
    run = Run(steps=400, every=5, label="saturation")
    batches = game.batches(Generator(EVALUATION_SEED))
    rng = Generator(EVALUATION_SEED, device=arguments.device)
    train_discriminator_alone(gan, batches, optimizer, run, rng=rng)
    names = {"minimax": "minimax", "nonsaturating": "non-saturating"}
    figure = plots.saturation(
        run.history.column("step"),
        norms={label: run.history.column(name) for name, label in names.items()},
        discriminator_on_fake=run.history.column("discriminator_on_fake"),
        title="The generator's gradient against an ever stronger discriminator",
    )
    plots.save(figure, arguments.out / f"saturation.{arguments.format}")


def report(figures: dict, density: Density, arguments: argparse.Namespace) -> None:
    def percentages(masses: list[float]) -> str:
        return " ".join(f"{100 * mass:.1f}%" for mass in masses)

    gap = figures["discriminator_gap"]
    rows = [
        ("Wasserstein distance W1", f"{figures['wasserstein1']:.4f}"),
        ("  of an exact sampler", f"{figures['wasserstein1_floor']:.4f}"),
        ("  in standard deviations", f"{figures['wasserstein1'] / density.standard_deviation:.4f}"),
        ("Jensen-Shannon divergence (nats)", f"{figures['jensen_shannon']:.4f}"),
        ("mean |D - D*|", "no probability" if gap is None else f"{gap:.4f}"),
        ("mass of the modes", percentages(figures["mode_mass"])),
        ("  exact", percentages(figures["mode_mass_exact"])),
        ("mean (exact)", f"{figures['mean']:.3f} ({density.mean:.3f})"),
        ("standard deviation (exact)", f"{figures['standard_deviation']:.3f} ({density.standard_deviation:.3f})"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    print(table(rows, f"GAN on {density.name}, {arguments.loss} loss, {arguments.steps} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
