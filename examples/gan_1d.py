"""Train a GAN on a one-dimensional density, and see how close it comes.

A generator G turns normal noise z into numbers; a discriminator D tells them from the data's; both learn by playing against each other
(Goodfellow et al. 2014). In one dimension everything can be seen and measured: both densities, the best possible discriminator, the map
from z to G(z), and the exact Wasserstein distance to the target.

    python examples/gan_1d.py                              # two Gaussians, the non-saturating loss
    python examples/gan_1d.py --loss minimax --show-saturation
    python examples/gan_1d.py --target faithful --latent 1

It writes densities.png, training.png, metrics.json, the weights and a checkpoint into the folder `--out`. Ctrl-C ends it after
the step under way, and the checkpoint keeps what was learned.
"""

import argparse
import copy
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import minigen as mg
from minigen import metrics, plots
from minigen.data import TARGETS, Density, density_batches, target
from minigen.losses import ADVERSARIAL
from minigen.models import GAN, mlp_gan
from minigen.optim import EMA, Adam, cosine
from minigen.random import Generator
from minigen.training import (
    History,
    Run,
    at_least,
    device,
    fit_adversarial,
    save_state,
    table,
    train_discriminator_alone,
    versions,
    write_metrics,
)

WIDTH = 64  # units in each of the two hidden layers of G and of D
BATCH_SIZE = 256
LEARNING_RATES = {"discriminator": 4e-3, "generator": 2e-3}  # fall to 0 along half a cosine
BETA1 = 0.5  # Adam's; with 0.9 the players overshoot each other
EVALUATION_SEED, EVALUATION_SAMPLES = 20140610, 50_000
MONITOR_SAMPLES = 5_000  # for the distance beside the progress bar


def main() -> None:
    arguments = parse_arguments()
    started = time.perf_counter()
    density = target(arguments.target)
    rng = Generator(arguments.seed, device=arguments.device)
    gan = mlp_gan(features=1, latent=arguments.latent, width=WIDTH, rng=rng, loss=arguments.loss)
    batches = data_batches(density, arguments.seed + 2**32, arguments)

    if arguments.show_saturation:
        show_saturation(gan, density, arguments)
    history, average = train(gan, density, batches, rng, arguments)
    with average.applied():  # the averaged generator is the result
        generated = samples(gan, EVALUATION_SAMPLES)
        figures = measure(gan, generated, density, arguments)
        draw(gan, generated, density, history, arguments)
        save_state(arguments.out / "weights.safetensors", model=gan)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, density, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--target", choices=TARGETS, default="mixture", help="the density to learn (mixture)")
    options.add_argument(
        "--loss", choices=ADVERSARIAL, default="nonsaturating", help="what the players minimise (nonsaturating)"
    )
    options.add_argument("--critic-steps", type=at_least(1), default=1, help="k: D's steps to each of G's (1)")
    options.add_argument("--steps", type=at_least(1), default=8000, help="steps of G (8000)")
    options.add_argument(
        "--latent", type=at_least(1), default=4, help="dimension of z; 1 draws the lecture's picture (4)"
    )
    options.add_argument(
        "--seed", type=at_least(0), default=0, help="of weights, noise and data; same seed, same result (0)"
    )
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/gan_1d"), help="folder for pictures and figures (runs/gan_1d)"
    )
    options.add_argument(
        "--show-saturation",
        action="store_true",
        help="first draw the generator's gradient under both losses against a discriminator trained to be strong (off)",
    )
    return parser.parse_args()


def data_batches(density: Density, seed: int, arguments: argparse.Namespace) -> Iterator[mg.Tensor]:
    """Draw fresh batches of real examples, (BATCH_SIZE, 1), and put them on the device."""
    for batch in density_batches(density, batch_size=BATCH_SIZE, rng=Generator(seed)):
        yield mg.tensor(batch, device=arguments.device)


def train(
    gan: GAN, density: Density, batches: Iterator[mg.Tensor], rng: Generator, arguments: argparse.Namespace
) -> tuple[History, EMA]:
    """Play the game; return the recorded figures and the averaged generator."""

    def adam(player: str, steps: int) -> Adam:
        rate = cosine(LEARNING_RATES[player], steps=steps)
        return Adam(getattr(gan, player), learning_rate=rate, beta1=BETA1)

    discriminator_optimizer = adam("discriminator", arguments.steps * arguments.critic_steps)
    generator_optimizer = adam("generator", arguments.steps)
    average = EMA(generator_optimizer, decay=0.999)
    quantiles = density.quantile((np.arange(MONITOR_SAMPLES) + 0.5) / MONITOR_SAMPLES)

    def monitor() -> dict[str, float]:
        with average.applied():
            return {"W1": metrics.wasserstein1_to_quantile(samples(gan, MONITOR_SAMPLES), lambda u: quantiles)}

    run = Run(
        steps=arguments.steps,
        every=max(1, arguments.steps // 160),
        label=f"GAN, {density.name}",
        monitor=monitor,
        checkpoint=arguments.out / "checkpoint.safetensors",
        parts={
            "model": gan,
            "discriminator_optimizer": discriminator_optimizer,
            "generator_optimizer": generator_optimizer,
            "average": average,
            "noise": rng,
        },
    )
    fit_adversarial(
        gan,
        batches,
        discriminator_optimizer,
        generator_optimizer,
        run,
        rng=rng,
        critic_steps=arguments.critic_steps,
        average=average,
    )
    return run.history, average


def samples(gan: GAN, n: int) -> np.ndarray:
    """Generate n numbers, the same noise each time, (n,)."""
    with mg.no_grad():
        rng = Generator(EVALUATION_SEED, device=gan.parameters()[0].device)
        return gan.sample(n, rng=rng).to("cpu").numpy().ravel()


def discriminator_at(gan: GAN, x: np.ndarray) -> np.ndarray:
    """Return D at points of the data axis, (M,): a probability, or a score for the least-squares loss."""
    points = mg.tensor(x[:, None], dtype="float32", device=gan.parameters()[0].device)
    return mg.Tensor(gan.discriminate(points)).to("cpu").numpy().ravel()


def measure(gan: GAN, generated: np.ndarray, density: Density, arguments: argparse.Namespace) -> dict:
    """Compare the generator with the exact target; add the settings."""
    is_probability = gan.adversarial_loss.is_probability
    figures = metrics.compare_with_density(
        generated,
        density,
        discriminator=(lambda x: discriminator_at(gan, x)) if is_probability else None,
    )
    names = ("target", "loss", "critic_steps", "latent", "seed", "steps", "device")
    return figures | {name: getattr(arguments, name) for name in names} | {"versions": versions()}


def draw(gan: GAN, generated: np.ndarray, density: Density, history: History, arguments: argparse.Namespace) -> None:
    """Write densities.png and training.png."""
    x = np.linspace(*density.support, 1001)
    bandwidth = metrics.matching_bandwidth(density)
    p_data = density.pdf(x)
    p_generator = metrics.binned_kernel_density(generated, x, bandwidth=bandwidth)
    z = np.zeros((301, arguments.latent), np.float32)
    z[:, 0] = np.linspace(-3, 3, len(z))
    with mg.no_grad():
        mapped = gan.generator(mg.tensor(z, device=arguments.device)).to("cpu").numpy()
    figure = plots.gan_densities(
        x,
        p_data=p_data,
        p_generator=p_generator,
        discriminator=discriminator_at(gan, x),
        discriminator_label="$D(x)$" if gan.adversarial_loss.is_probability else "$D(x)$, a score",
        optimal=metrics.optimal_discriminator(p_data, p_generator),
        latent=z[:, 0],
        generated=mapped.ravel(),
        latent_dimension=arguments.latent,
        title=f"{density.name}, {arguments.loss} loss, {arguments.steps:,} steps",
    )
    plots.save(figure, arguments.out / "densities.png")

    best = gan.adversarial_loss.equilibrium
    figure = plots.training_curves(
        history.column("step"),
        losses={"D": history.column("discriminator"), "G": history.column("generator")},
        equilibrium=dict(zip("DG", best, strict=True)),
        wasserstein=history.column("W1"),
        wasserstein_floor=metrics.wasserstein1_floor(density, MONITOR_SAMPLES, rng=Generator(EVALUATION_SEED)),
        gradient_norm=history.column("generator_gradient"),
        title=f"{density.name}, {arguments.loss} loss",
    )
    plots.save(figure, arguments.out / "training.png")


def show_saturation(gan: GAN, density: Density, arguments: argparse.Namespace) -> None:
    """Write saturation.png: how G's gradient fares while the discriminator alone learns. The networks themselves are left as they are."""
    gan = copy.deepcopy(gan)
    batches = data_batches(density, EVALUATION_SEED, arguments)
    optimizer = Adam(gan.discriminator, learning_rate=LEARNING_RATES["discriminator"], beta1=BETA1)
    run = Run(steps=400, every=5, label="saturation")
    rng = Generator(EVALUATION_SEED, device=arguments.device)
    train_discriminator_alone(gan, batches, optimizer, run, rng=rng)
    names = {"minimax": "minimax", "nonsaturating": "non-saturating"}
    figure = plots.saturation(
        run.history.column("step"),
        norms={label: run.history.column(name) for name, label in names.items()},
        discriminator_on_fake=run.history.column("discriminator_on_fake"),
        title="The generator's gradient against an ever stronger discriminator",
    )
    plots.save(figure, arguments.out / "saturation.png")


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
        ("seconds", f"{figures['seconds']:.1f}"),
    ]
    print(
        table(rows, f"GAN on {arguments.target}, {arguments.loss} loss, {arguments.steps} steps, seed {arguments.seed}")
    )
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt as interruption:
        sys.exit(f"\n{interruption}")
