"""Whole training steps against the same model in PyTorch.

A step is all that training does between two of the generator's: draw the noise, losses, gradients, optimizers, average of the weights.

    gan_1d     examples/gan_1d.py with its default loss: one step of D, one of G
    wgan_gp    the same networks with a gradient penalty, which differentiates a gradient: five steps of D, one of G

and the models of images of `image_steps.py`, the GANs of images of `gan_steps.py`, the diffusion model of `unet_step.py`, the PixelCNNs of
`pixelcnn_steps.py`, the PixelRNNs of `pixelrnn_step.py` and the models of text of `sequence_steps.py`.

PyTorch runs eagerly, with the fastest of its Adam implementations; the first two at the better of one thread and `--threads`, the others
with as many threads as minigen, those of images in the better layout, NCHW or channels_last. The row says which that was. Peak memory is
what a step holds at a time beyond what it began with. Where there is a GPU, minigen's time on it stands in a column of its own, and
PyTorch's if it was built for one; every call then ends with waiting for the GPU.

    python benchmarks/steps.py [--models NAME ...] [--threads 2] [--quick] [--json F] [--plot F]
"""

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import gan_steps
import harness
import image_steps
import numpy as np
import pixelcnn_steps
import pixelrnn_step
import players
import sequence_steps
import unet_step

import minigen as mg
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.models import mlp_gan
from minigen.optim import EMA, Adam
from minigen.random import Generator

BATCH_SIZE, LATENT, WIDTH = 256, 4, 64  # those of examples/gan_1d.py
STEPS = {"gan_1d": ("nonsaturating", 1), "wgan_gp": ("wasserstein-gp", 5)}  # the loss, D's steps to one of G's
BETAS, PENALTY = (0.5, 0.999), 10.0
MODELS = {
    name: module
    for module in (image_steps, gan_steps, unet_step, pixelcnn_steps, pixelrnn_step, sequence_steps)
    for name in module.BATCH_SIZES
}
"""The other models -> the module that has them."""
NAMES = (*STEPS, *MODELS)


def main() -> None:
    options = harness.arguments(__doc__, add=add_options)
    with one_blas_thread(), kept_memory():  # as in every training loop
        rows = [compare(name, options) for name in options.models]
    harness.finish(rows, options, f"Training steps, {options.threads} threads")
    for what, key in (("Time", "ratio"), ("Peak memory", "peak_ratio")):
        found = [row[key] for row in rows if key in row]
        if found:
            print(f"{what} relative to PyTorch's, geometric mean: {harness.geometric_mean(found):.2f}")


def add_options(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(NAMES)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=f"of {names} (all)")


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time one kind of step and return its row."""
    started = time.perf_counter()
    ours = ours_on(name, "cpu")
    ours()
    more: dict[str, Any] = {"first_step_seconds": round(time.perf_counter() - started, 2)}
    works = {"minigen": ours}
    if harness.gpu():
        works["gpu"] = harness.awaited(ours_on(name, "gpu"))

    torch = harness.torch()
    if torch:
        candidates = torch_candidates(torch, name, options.threads)
        trial = harness.milliseconds(candidates, harness.QUICK if options.quick else harness.TRIAL)
        more["torch_setting"] = best = min(trial, key=lambda setting: float(np.median(trial[setting])))
        more["torch_peak_mb"] = harness.torch_peak_mb(candidates[best])
        works["torch"] = candidates[best]
        if harness.gpu() and torch.cuda.is_available():
            works["torch_gpu"] = harness.awaited(torch_on_gpu(torch, name))
    times = harness.milliseconds(works, options.effort)
    more["peak_mb"] = harness.peak_mb(ours)
    if torch:
        more["peak_ratio"] = harness.rounded(more["peak_mb"] / more["torch_peak_mb"])
    gpu = {f"{work}_ms": harness.median(times[work]) for work in ("gpu", "torch_gpu") if work in times}
    sizes: dict[str, Any] = {"batch_size": MODELS[name].BATCH_SIZES[name] if name in MODELS else BATCH_SIZE}
    if name in STEPS:
        sizes |= {"latent": LATENT, "width": WIDTH, "critic_steps": STEPS[name][1]}
    return harness.row(name, times["minigen"], times.get("torch"), **gpu, **more, **sizes)


def ours_on(name: str, device: str) -> harness.Work:
    if name in STEPS:
        return minigen_step(name, device)
    return players.minigen_step(MODELS[name].minigen_players(name, device))


def torch_candidates(torch: Any, name: str, threads: int) -> dict[str, harness.Work]:
    """Return PyTorch's settings -> the step with each."""
    if name not in STEPS:
        return {
            f"{layout}, {adam} Adam": with_threads(torch, threads, torch_model_step(torch, name, layout, adam, "cpu"))
            for layout, adam in itertools.product(MODELS[name].LAYOUTS, ("foreach", "fused"))
        }
    return {
        f"{count} thread{'s' if count > 1 else ''}, {adam} Adam": with_threads(
            torch, count, torch_step(torch, name, adam)
        )
        for count, adam in itertools.product(sorted({1, threads}), players.ADAMS)
    }


def torch_on_gpu(torch: Any, name: str) -> harness.Work:
    if name in STEPS:
        return torch_step(torch, name, "fused", device="cuda")
    torch.backends.cudnn.allow_tf32 = False  # float32 in both libraries
    return torch_model_step(torch, name, MODELS[name].LAYOUTS[-1], "fused", "cuda")


def torch_model_step(torch: Any, name: str, layout: str, adam: str, device: str) -> harness.Work:
    """Return the step of one of `MODELS` in PyTorch."""
    return players.torch_step(torch, MODELS[name].torch_players(torch, name, layout, device), adam)


def minigen_step(name: str, device: str = "cpu") -> harness.Work:
    """Return a step: D's, as often as it has to, then G's, then the average."""
    loss, critic_steps = STEPS[name]
    rng = Generator(0, device=device)
    gan = mlp_gan(features=1, latent=LATENT, width=WIDTH, rng=rng, loss=loss)
    discriminator_optimizer, generator_optimizer = (
        Adam(player, learning_rate=1e-3, beta1=BETAS[0], beta2=BETAS[1])
        for player in (gan.discriminator, gan.generator)
    )
    average = EMA(generator_optimizer)
    parameters = gan.generator.parameters()
    real = mg.tensor(rng.normal((BATCH_SIZE, 1)))

    def step() -> None:
        for _ in range(critic_steps):
            discriminator_optimizer.zero_grad()
            gan.discriminator_loss(real, rng=rng)[0].backward()
            discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        gan.generator_loss(real, rng=rng)[0].backward(inputs=parameters)
        generator_optimizer.step()
        average.update()

    return step


def torch_step(torch: Any, name: str, adam: str, device: str = "cpu") -> harness.Work:
    """Return the same step in PyTorch."""
    nn, softplus = torch.nn, torch.nn.functional.softplus
    critic_steps = STEPS[name][1]
    torch.manual_seed(0)

    def mlp(features: int, out: int, activation: Callable[[], Any]) -> Any:
        hidden = [nn.Linear(features, WIDTH), activation(), nn.Linear(WIDTH, WIDTH), activation()]
        return nn.Sequential(*hidden, nn.Linear(WIDTH, out)).to(device)

    generator = mlp(LATENT, 1, nn.ReLU)
    discriminator = mlp(1, 1, lambda: nn.LeakyReLU(0.2))
    discriminator_optimizer, generator_optimizer = (
        torch.optim.Adam(net.parameters(), lr=1e-3, betas=BETAS, **players.ADAMS[adam])
        for net in (discriminator, generator)
    )
    parameters = list(generator.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    real = torch.randn(BATCH_SIZE, 1, device=device)

    def noise() -> Any:
        return torch.randn(BATCH_SIZE, LATENT, device=device)

    def gan_loss(fake: Any) -> Any:
        return softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()

    def critic_loss(fake: Any) -> Any:
        share = torch.rand(BATCH_SIZE, 1, device=device)
        between = (share * real + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        return discriminator(fake).mean() - discriminator(real).mean() + PENALTY * penalty

    discriminator_loss, generator_loss = {
        "gan_1d": (gan_loss, lambda scores: softplus(-scores).mean()),
        "wgan_gp": (critic_loss, lambda scores: -scores.mean()),
    }[name]

    def step() -> None:
        for _ in range(critic_steps):
            discriminator_optimizer.zero_grad()
            with torch.no_grad():
                fake = generator(noise())
            discriminator_loss(fake).backward()
            discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        generator_loss(discriminator(generator(noise()))).backward(inputs=parameters)
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
