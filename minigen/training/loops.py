"""The two training loops, as they stand on a lecture's slide."""

from collections.abc import Iterator, Mapping
from typing import Any

from minigen.models import GAN
from minigen.nn import Module
from minigen.optim import EMA, Optimizer
from minigen.optim.schedules import Schedule
from minigen.random import Generator
from minigen.training.run import Run


def fit_likelihood(
    model: Module,
    batches: Iterator[Any],
    optimizer: Optimizer,
    run: Run,
    *,
    rng: Generator,
    average: EMA | None = None,
    anneal: Mapping[str, Schedule] | None = None,
) -> None:
    """Descend on a model's loss, such as its negative log-likelihood.

        for each step:
            take a batch x
            theta <- optimizer step along the gradient of loss(x; theta)

    Args:
        model: has `loss(batch, rng=...)`, which returns a scalar and a dict of named terms.
        batches: yields what the loss takes.
        optimizer: over the model's parameters.
        run: counts the steps and records the terms.
        rng: the model's noise.
        average: is updated after every step.
        anneal: attributes of the model that change in the course of training, by name: {"beta": linear_warmup(1.0, steps=1000)}.

    Raises:
        AttributeError: the model has no attribute of that name.
        FloatingPointError: the loss or a term of it is not finite; see `Run.stop_if_diverged`.
        ValueError: the batches end before the run does.
    """
    schedules = dict(anneal or {})
    for name in schedules:
        getattr(model, name)
    for step in run:
        for name, schedule in schedules.items():
            setattr(model, name, schedule(step))
        optimizer.zero_grad()
        loss, terms = model.loss(next_batch(batches, step), rng=rng)
        run.stop_if_diverged(step, loss, terms)
        loss.backward()
        optimizer.step()
        if average:
            average.update()
        run.log(step, terms)


def next_batch(batches: Iterator[Any], step: int) -> Any:
    """Return the next of the batches, which must not end before the run does.

    Raises:
        TypeError: the batches are not an iterator.
        ValueError: there are none left.

    Example:
        >>> next_batch(iter([]), step=7)
        Traceback (most recent call last):
        ValueError: the batches ended before step 7; give an endless iterator, such as data.Batches or itertools.cycle(batches)
    """
    try:
        return next(batches)
    except StopIteration:
        raise ValueError(
            f"the batches ended before step {step}; give an endless iterator, such as data.Batches or itertools.cycle(batches)"
        ) from None
    except TypeError as error:
        if isinstance(batches, Iterator):
            raise
        raise TypeError(
            f"the batches are a {type(batches).__name__}, expected an endless iterator, such as data.Batches"
        ) from error


def fit_adversarial(
    model: GAN,
    batches: Iterator[Any],
    discriminator_optimizer: Optimizer,
    generator_optimizer: Optimizer,
    run: Run,
    *,
    rng: Generator,
    critic_steps: int = 1,
    average: EMA | None = None,
) -> None:
    """Let two networks play: Goodfellow et al. 2014, algorithm 1.

        for each step:
            k times:
                take a batch of real examples x and a batch of noise z
                D <- optimizer step along the gradient of D's loss on x and G(z)
                clip D's weights to [-c, c], where the loss asks for it (Arjovsky et al. 2017, algorithm 1)
            take a batch of noise z
            G <- optimizer step along the gradient of G's loss on G(z)

    Args:
        model: has `discriminator_loss(real, rng=...)`, `generator_loss(n, rng=...)`, and an `adversarial_loss` with c, its `weight_bound`.
        batches: yields real examples.
        discriminator_optimizer: over D's parameters.
        generator_optimizer: over G's parameters.
        run: counts the steps and records both losses and the norm of G's gradient, `generator_gradient`.
        rng: draws the noise.
        critic_steps: k, the discriminator's steps to one of the generator's.
        average: of G's parameters; is updated after every step.
    """
    if critic_steps < 1:
        raise ValueError(f"fit_adversarial: critic_steps = {critic_steps} must be at least 1")
    generator_parameters = model.generator.parameters()
    weight_bound = model.adversarial_loss.weight_bound
    for step in run:
        for _ in range(critic_steps):
            real = next_batch(batches, step)
            discriminator_optimizer.zero_grad()
            loss, discriminator_terms = model.discriminator_loss(real, rng=rng)
            loss.backward()
            discriminator_optimizer.step()
            if weight_bound is not None:
                discriminator_optimizer.clip_values(weight_bound)

        generator_optimizer.zero_grad()
        loss, generator_terms = model.generator_loss(len(real), rng=rng)
        loss.backward(inputs=generator_parameters)  # through D, but D's own gradients are not computed
        generator_optimizer.step()
        if average:
            average.update()

        if run.is_due(step):
            terms = discriminator_terms | generator_terms
            run.record(step, **terms, generator_gradient=generator_optimizer.gradient_norm())
