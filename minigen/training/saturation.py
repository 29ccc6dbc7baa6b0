"""The saturation experiment (Goodfellow et al. 2014, section 3): what reaches a generator from a discriminator trained to be strong."""

from collections.abc import Iterator, Sequence
from typing import Any

import minigen.ops as ops
from minigen.engine import grad
from minigen.losses import adversarial
from minigen.models import GAN
from minigen.optim import Optimizer
from minigen.random import Generator
from minigen.training.loops import next_batch
from minigen.training.run import Run


def train_discriminator_alone(
    model: GAN,
    batches: Iterator[Any],
    discriminator_optimizer: Optimizer,
    run: Run,
    *,
    rng: Generator,
    losses: Sequence[str] = ("minimax", "nonsaturating"),
) -> None:
    """Train D against a generator that stands still, and record the gradient that G would get.

    Args:
        model: its generator is not changed.
        batches: yields real examples.
        discriminator_optimizer: over D's parameters.
        run: counts D's steps; records the norm of G's gradient under each loss's name, and the mean D(G(z)) as
            `discriminator_on_fake`.
        rng: draws the noise.
        losses: the generator's losses to compare; see `minigen.losses`.
    """
    parameters = model.generator.parameters()
    for step in run:
        real = next_batch(batches, step)
        discriminator_optimizer.zero_grad()
        loss, _ = model.discriminator_loss(real, rng=rng)
        loss.backward()
        discriminator_optimizer.step()
        if run.is_due(step):
            logits = model.discriminator(model.sample(len(real), rng=rng))
            norms = {}
            for name in losses:
                gradients = grad(adversarial(name).generator(logits), parameters, retain_graph=True)
                norms[name] = ops.sqrt(sum(ops.sum(g * g) for g in gradients)).item()
            run.record(step, **norms, discriminator_on_fake=ops.mean(ops.sigmoid(logits)).item())
