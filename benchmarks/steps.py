"""Whole training steps against the same model in PyTorch.

A step is all that training does between two batches: draw the noise, losses, gradients, optimizers, average of the weights. PyTorch runs
eagerly, at the better of one thread and `--threads`, with the fastest of its Adam implementations; the row says which that was.

    python benchmarks/steps.py [--threads 2] [--quick] [--json F] [--plot F]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import harness
import numpy as np

import minigen as mg
from minigen.kernels.threads import one_blas_thread
from minigen.models import mlp_gan
from minigen.optim import EMA, Adam
from minigen.random import Generator

BATCH_SIZE, LATENT, WIDTH = 256, 4, 64  # those of examples/gan_1d.py


def main() -> None:
    options = harness.arguments(__doc__)
    with one_blas_thread():  # as in every training loop
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Time the steps and report them."""
    rounds = 7 if options.quick else 61
    started = time.perf_counter()
    ours = gan_1d()
    ours()
    cold = time.perf_counter() - started

    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: its columns are left out")
        times = harness.milliseconds({"minigen": ours}, rounds=rounds)["minigen"]
        harness.finish([harness.row("gan_1d", times, None, peak_mb=harness.peak_mb(ours))], options, "Training steps")
        return

    candidates = {
        f"{threads} thread{'s' if threads > 1 else ''}, {adam} Adam": with_threads(
            torch, threads, torch_gan_1d(torch, adam)
        )
        for threads in sorted({1, options.threads})
        for adam in ("for-loop", "foreach", "fused")
    }
    trial = harness.milliseconds(candidates, rounds=max(3, rounds // 6))
    best = min(trial, key=lambda name: float(np.median(trial[name])))
    times = harness.milliseconds({"minigen": ours, "torch": candidates[best]}, rounds=rounds)
    result = harness.row(
        "gan_1d",
        times["minigen"],
        times["torch"],
        peak_mb=harness.peak_mb(ours),
        torch_peak_mb=harness.torch_peak_mb(candidates[best]),
        torch_setting=best,
        first_step_seconds=round(cold, 2),
        batch_size=BATCH_SIZE,
        latent=LATENT,
        width=WIDTH,
    )
    print(f"PyTorch's best: {best}")
    harness.finish([result], options, f"Training steps, {options.threads} threads")


def gan_1d() -> harness.Work:
    """Return one step of the example's GAN: D, then G, then the average."""
    rng = Generator(0)
    gan = mlp_gan(features=1, latent=LATENT, width=WIDTH, rng=rng)
    discriminator_optimizer = Adam(gan.discriminator, learning_rate=1e-3, beta1=0.5)
    generator_optimizer = Adam(gan.generator, learning_rate=1e-3, beta1=0.5)
    average = EMA(generator_optimizer)
    parameters = gan.generator.parameters()
    real = mg.tensor(rng.normal((BATCH_SIZE, 1)))

    def step() -> None:
        discriminator_optimizer.zero_grad()
        gan.discriminator_loss(real, rng=rng)[0].backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        gan.generator_loss(BATCH_SIZE, rng=rng)[0].backward(inputs=parameters)
        generator_optimizer.step()
        average.update()

    return step


def torch_gan_1d(torch: Any, adam: str) -> harness.Work:
    """Return the same step in PyTorch."""
    nn, softplus = torch.nn, torch.nn.functional.softplus
    torch.manual_seed(0)

    def mlp(features: int, out: int, activation: Callable[[], Any]) -> Any:
        hidden = [nn.Linear(features, WIDTH), activation(), nn.Linear(WIDTH, WIDTH), activation()]
        return nn.Sequential(*hidden, nn.Linear(WIDTH, out))

    generator = mlp(LATENT, 1, nn.ReLU)
    discriminator = mlp(1, 1, lambda: nn.LeakyReLU(0.2))
    kinds = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    discriminator_optimizer, generator_optimizer = (
        torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999), **kinds[adam])
        for net in (discriminator, generator)
    )
    parameters = list(generator.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    real = torch.randn(BATCH_SIZE, 1)

    def step() -> None:
        discriminator_optimizer.zero_grad()
        with torch.no_grad():
            fake = generator(torch.randn(BATCH_SIZE, LATENT))
        loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        loss = softplus(-discriminator(generator(torch.randn(BATCH_SIZE, LATENT)))).mean()
        loss.backward(inputs=parameters)
        generator_optimizer.step()
        torch._foreach_lerp_(average, [parameter.detach() for parameter in parameters], 0.001)

    return step


def with_threads(torch: Any, threads: int, work: harness.Work) -> harness.Work:
    """Return the work, run on a number of threads. Setting it costs less than a microsecond."""

    def run() -> None:
        torch.set_num_threads(threads)
        work()

    return run


if __name__ == "__main__":
    main()
