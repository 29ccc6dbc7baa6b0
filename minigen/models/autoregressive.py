"""What all autoregressive models are: a distribution of D numbers, one conditional after the other.

    p(x) = prod_i p(x_o(i) | x_o(1), ..., x_o(i-1)),       o the order in which the D sites are visited

A *site* is a channel of a pixel, or a character. A model computes the parameters of all D conditionals from x in one pass, and site o(i)'s
must not depend on x at o(i), o(i+1), ...: that is all that makes the product a distribution. So log p(x) costs one pass. A sample costs D
steps, since every site waits for the ones before it (ancestral sampling); the *plain* stepper computes the whole pass at each of them and
uses one site's numbers, the *cached* one of a model computes only what is new (Ramachandran et al. 2017, "Fast generation for
convolutional autoregressive models"). Both give the same numbers, and both take x_o(i) to be the conditional's quantile at u_i, with all u
drawn before the first step: from one seed they draw the same samples.

A completion draws only the sites that are not known. Each of those is conditioned on what lies *before* it in the order: known sites behind
it have no say. Where the known sites are the first ones in the order, this is a draw from p(x | known); otherwise it is not, since that would
need the sum over all that may come.
"""

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.models.conditionals import Conditional
from minigen.random import Generator


class Stepper(Protocol):
    """Gives the parameters of one conditional after the other while x is being drawn."""

    def parameters(self, x: Array, i: int) -> Array:
        """Return those of the i-th site in the order, (N, P).

        It is called for i = 0, 1, 2, ... in turn; x, (N, D) in the order of memory, holds all sites before the i-th.
        """


class PlainStepper:
    """Computes the whole model at each step: the readable twin of every cached stepper, and D times as slow as it need be."""

    def __init__(self, model: "Autoregressive", condition: TensorLike | None) -> None:
        self.model, self.condition = model, condition

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        every = raw(self.model.predict(x.reshape(-1, *self.model.size), self.condition))  # (N, *size, P)
        return every.reshape(len(x), self.model.sites, -1)[:, self.model.order[i]]


class Autoregressive(nn.Module):
    """The base class. A subclass sets `size` and `conditional`, and defines `predict`; for speed also `stepper`.

    Attributes:
        size: the shape of an example: (H, W, C), or (T,).
        conditional: what p(x_i | ...) is.
        order: o, the positions of the sites in the order of their visits, (D,); by default that of memory.
    """

    size: tuple[int, ...]
    conditional: Conditional

    @property
    def sites(self) -> int:
        """D."""
        return math.prod(self.size)

    @property
    def order(self) -> NDArray[np.int64]:
        """The sites in the order of their visits, (D,)."""
        return np.arange(self.sites)

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Return the parameters of all conditionals from one pass, (N, *size) -> (N, *size, P).

        Args:
            x: whole numbers from 0 to levels - 1; at places whose value no conditional needs, anything.
            condition: what the model is conditioned on: classes, (N,), or embeddings, (N, E); None for a model without.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no predict")

    def stepper(self, n: int, condition: TensorLike | None = None) -> Stepper:
        """Return what computes the conditionals of n examples one after the other."""
        return PlainStepper(self, condition)

    def log_prob(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Return log p(x) in nats for each example, (N, *size) -> (N,).

        Raises:
            ValueError: another size, or values that are no levels.
        """
        self._check(x)
        each = self.conditional.log_prob(self.predict(x, condition), x)  # (N, *size)
        return ops.sum(each, axis=tuple(range(1, 1 + len(self.size))))

    def loss(self, batch: Any, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p(x) over a batch, in nats per example; of a pair (x, condition), that of -log p(x | condition)."""
        x, condition = batch if isinstance(batch, tuple) else (batch, None)
        loss = -ops.mean(self.log_prob(x, condition))
        return loss, {"negative_log_likelihood": loss.detach()}

    # -- sampling

    def sample(
        self, n: int, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Array:  # fmt: skip
        """Return n examples drawn from p(x), (n, *size).

        Args:
            n: how many.
            rng: draws u, on the model's device.
            condition: of each example, as for `predict`.
            cached: whether to compute only what is new; without, the same samples come D passes later.
        """
        x = raw(ops.zeros((n, *self.size), device=rng.device))
        for _ in self.fill(x, rng=rng, condition=condition, cached=cached):
            pass
        return x

    def complete(
        self, x: Array, known: Array, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Array:  # fmt: skip
        """Return copies of x whose unknown sites are drawn anew; the module says what is conditioned on what.

        Args:
            x: (N, *size).
            known: bool, of a shape that broadcasts to x's: which sites stay.
            rng, condition, cached: as for `sample`.
        """
        x = x.copy()
        for _ in self.fill(x, known, rng=rng, condition=condition, cached=cached):
            pass
        return x

    def fill(
        self, x: Array, known: Array | None = None, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Iterator[int]:  # fmt: skip
        """Draw the unknown sites of x in place, and say after each step how many sites are done.

        For a progress bar, for pictures of images that grow, and for long samplings that may be broken off: what is drawn by then is in x.

        Args:
            x: (N, *size), contiguous; changed in place.
            known: bool, of a shape that broadcasts to x's: which sites stay; None for none.
            rng, condition, cached: as for `sample`.

        Yields:
            1, 2, ..., D.

        Raises:
            ValueError: another size, or known values that are no levels.
        """
        n, module = len(x), array_module(x)
        if x.shape[1:] != self.size or not x.flags.c_contiguous:
            raise ValueError(
                f"{type(self).__name__}.fill: x has shape {x.shape}, expected a contiguous (N, {self.size})"
            )
        stays = None if known is None else module.broadcast_to(known, x.shape).reshape(n, -1)  # (N, D)
        if stays is not None:
            x[~stays.reshape(x.shape)] = 0
            self._check(x)
        flat = x.reshape(n, -1)  # a view
        u = rng.uniform((self.sites, n))
        with no_grad():
            stepper = self.stepper(n, condition) if cached else PlainStepper(self, condition)
            for i, site in enumerate(self.order):
                drawn = self.conditional.quantile(stepper.parameters(flat, i), u[i])  # (N,)
                flat[:, site] = drawn if stays is None else module.where(stays[:, site], flat[:, site], drawn)
                yield i + 1

    def _check(self, x: TensorLike) -> None:
        if x.shape[1:] != self.size:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}, expected (N, {', '.join(map(str, self.size))})"
            )
        self.conditional.check(x, type(self).__name__)
