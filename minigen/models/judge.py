"""Judges: a network that tells real examples from made ones, and the loss by which it learns and makers are judged.

A judge plays against *makers*, such as a GAN's generator. For its own turn it gives `loss(real, fake)`, for a maker's turn the `verdict` on
what was made. All that belongs to the judging stands here, so that every adversarial model has it: the loss with its penalties
(`minigen.losses`) and the pool of images.

A *condition*, such as a label for each example, is the network's second argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.losses import AdversarialLoss, adversarial, gradient_penalty, r1_penalty
from minigen.random import Generator
from minigen.sizes import as_shape, counts


class Judge(nn.Module):
    """A discriminator or critic with its loss.

    Args:
        network: maps examples, (N, ...), and a condition where there is one, to scores, (N, ...): logits, or unbounded numbers, as the loss
            has it.
        loss: one of `minigen.losses.ADVERSARIAL`, or its name.
        pool: made examples that are shown again later; None for none.

    Raises:
        ValueError: the loss has a gradient penalty, and the network batch normalization.

    Example:
        >>> judge, x = Judge(nn.Linear(2, 1, rng=Generator(0)), loss="wasserstein"), ops.ones((3, 2))
        >>> loss, terms = judge.loss(x, x, rng=Generator(1))
        >>> loss.item(), list(terms)
        (0.0, ['discriminator'])
    """

    def __init__(
        self, network: nn.Module, *, loss: str | AdversarialLoss = "nonsaturating", pool: ImagePool | None = None
    ) -> None:
        self.network = network
        self.adversarial_loss = adversarial(loss) if isinstance(loss, str) else loss
        self.pool = pool
        if self.adversarial_loss.penalty or self.adversarial_loss.r1:
            for name, part in network.named_modules().items():
                if isinstance(part, nn.BatchNorm):
                    raise ValueError(
                        f"Judge: the loss {self.adversarial_loss.name} penalizes the slope at each example on its own, but the network's "
                        f"{name} is a BatchNorm, by which one example's score depends on all others'; leave it out"
                    )

    def forward(self, x: TensorLike, condition: Any = None) -> Tensor:
        """Return the scores of examples, (N, ...)."""
        return self.network(x) if condition is None else self.network(x, condition)

    def loss(
        self, real: TensorLike, fake: TensorLike, condition: Any = None, *, rng: Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the judge's loss on real examples and as many made ones, which are constants to it.

        Penalties are terms of their own; the term "discriminator" is without them. R1 is left to `r1_loss` if some rounds are without it.

        Args:
            real: (N, ...).
            fake: the same shape.
            condition: of both.
            rng: draws what the pool and the penalty need.
        """
        rules = self.adversarial_loss
        if self.pool is not None:
            fake = self.pool.exchange(fake, rng=rng)
        loss = rules.discriminator(self(real, condition), self(fake, condition))
        terms = {"discriminator": loss.detach()}
        if rules.penalty:
            penalty = gradient_penalty(lambda x: self(x, condition), real, fake, rng=rng)
            terms["gradient_penalty"] = penalty.detach()
            loss = loss + rules.penalty * penalty
        if rules.r1 and rules.r1_every == 1:
            penalty, r1_terms = self.r1_loss(real, condition)
            loss, terms = loss + penalty, terms | r1_terms
        return loss, terms

    def r1_loss(self, real: TensorLike, condition: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return R1 with its weight, times the number of rounds that it stands for (Karras et al. 2020, appendix B)."""
        penalty = r1_penalty(lambda x: self(x, condition), real)
        rules = self.adversarial_loss
        return (0.5 * rules.r1 * rules.r1_every) * penalty, {"r1": penalty.detach()}

    def verdict(self, fake: TensorLike, condition: Any = None) -> Tensor:
        """Return the loss of whoever made these examples, a scalar whose gradient flows through the judge's network."""
        return self.adversarial_loss.generator(self(fake, condition))

    def discriminate(self, x: TensorLike, condition: Any = None) -> Array:
        """Return, without a graph, D(x), (N, ...): a probability, or the bare score where the loss makes it none."""
        with no_grad():
            scores = self(x, condition)
            return (ops.sigmoid(scores) if self.adversarial_loss.is_probability else scores).data


class ImagePool(nn.Module):
    """A pool of examples made earlier, so that a judge does not forget what makers no longer make (Shrivastava et al. 2017, section 2.3).

    The pool is filled first. Once it is full, each new example is, with probability 1/2, exchanged for one of the pool: that one is shown,
    and the new one takes its place. No two of a batch are exchanged for the same one.

    Args:
        capacity: how many examples it holds.
        size: the shape of one.

    Attributes:
        examples: a buffer, (capacity, *size).
        count: a buffer, (), how many of them there are.

    Example:
        >>> pool, rng = ImagePool(2, (1,)), Generator(0)
        >>> [pool.exchange(np.full((1, 1), i, np.float32), rng=rng).item() for i in range(7)]
        [0.0, 1.0, 2.0, 3.0, 1.0, 5.0, 6.0]
    """

    def __init__(self, capacity: int, size: tuple[int, ...]) -> None:
        (capacity,) = counts("ImagePool", capacity=capacity)
        self.examples = nn.Buffer(np.zeros((capacity, *as_shape("ImagePool", size, "size")), np.float32))
        self.count = nn.Buffer(np.zeros((), np.int64))

    def exchange(self, fake: TensorLike, *, rng: Generator) -> Tensor:
        """Return as many examples as are given, some of them from the pool; they are constants.

        Args:
            fake: (N, *size).
            rng: draws which are exchanged, and for which.

        Raises:
            ValueError: the examples have another size.
        """
        given = fake.data if isinstance(fake, Tensor) else fake
        held, count = self.examples.data, self.count.data
        n, capacity, module = len(given), len(held), array_module(given)
        if given.shape[1:] != held.shape[1:]:
            raise ValueError(
                f"ImagePool: examples of shape {given.shape[1:]}, but those of the pool have {held.shape[1:]}"
            )
        is_full = count == capacity
        free = count + module.arange(n)
        is_kept = module.where(is_full, rng.uniform((n,)) < 0.5, free < capacity)
        # Different places; one at the capacity or beyond it is not a place of the pool, and whatever is sent there is not kept.
        places = module.where(is_full, rng.permutation(max(n, capacity))[:n], free)
        places = module.where(is_kept, module.minimum(places, capacity), capacity)  # (N,)
        comes_from = module.full(capacity + 1, -1)
        comes_from[places] = module.arange(n)
        comes_from = comes_from[:-1]

        ones = (1,) * (given.ndim - 1)
        is_exchanged = (is_full & (places < capacity)).reshape(n, *ones)
        shown = module.where(is_exchanged, held[module.minimum(places, capacity - 1)], given)
        is_replaced = (comes_from >= 0).reshape(capacity, *ones)
        self.examples.assign(module.where(is_replaced, given[comes_from], held))
        self.count.assign(module.minimum(count + n, capacity))
        return Tensor(shown)
