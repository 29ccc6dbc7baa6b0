"""What all autoregressive models are: a distribution of D numbers, one conditional after the other.

    p(x) = prod_i p(x_o(i) | x_o(1), ..., x_o(i-1)),       o the order in which the D sites are visited

A *site* is a channel of a pixel, or a character. A model computes the parameters of all D conditionals from x in one pass, and site o(i)'s
must not depend on x at o(i), o(i+1), ...: that is all that makes the product a distribution. So log p(x) costs one pass. A sample costs D
steps, since every site waits for the ones before it (ancestral sampling); the *plain* stepper computes the whole pass at each of them and
uses one site's numbers, the *cached* one of a model computes only what is new (Ramachandran et al. 2017, "Fast generation for
convolutional autoregressive models"). Both give the same numbers, but for rounding, and both take x_o(i) to be the conditional's
quantile at u_i, with all u drawn before the first step: from one seed they draw the same samples, unless a u comes within rounding of a
probability.

A completion draws only the sites that are not known. Each of those is conditioned on what lies *before* it in the order: known sites
behind it have no say. Where the known sites are the first ones in the order, this is a draw from p(x | known); otherwise it is not, since
that would need the sum over all that may come.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module, device_of
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike, grad, is_debugging, no_grad
from minigen.models.conditionals import Conditional, as_floats
from minigen.random import Generator


def checked_size(owner: str, size: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of an example as a tuple.

    Args:
        owner: opens the message.
        size: (H, W, C), or any other of at least one axis.

    Raises:
        ValueError: there is no axis, or an empty one.
    """
    if not size or min(size) < 1:
        raise ValueError(
            f"{owner}: size is {tuple(size)}, expected the shape of an example, such as (H, W, C), of at least 1 each"
        )
    return tuple(size)


class Stepper(Protocol):
    """Gives the parameters of one conditional after the other while x is being drawn."""

    def parameters(self, x: Array, i: int) -> Array:
        """Return those of the i-th site in the order, (N, P).

        It is called for i = 0, 1, 2, ... in turn; x, (N, D) in the order of memory, holds all sites before the i-th.
        """


class PlainStepper:
    """Computes the whole model at each step: the readable twin of every cached stepper, at D times the cost of one pass."""

    def __init__(self, model: "Autoregressive", condition: TensorLike | None) -> None:
        self.model, self.condition = model, condition

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        every = raw(self.model.predict(x.reshape(-1, *self.model.size), self.condition))  # (N, *size, P)
        return every.reshape(len(x), self.model.sites, every.shape[-1])[:, int(self.model.order[i])]


class Autoregressive(nn.Module):
    """The base class. A subclass sets `size` and `conditional`, and defines `predict`; for speed also `stepper`.

    Attributes:
        size: the shape of an example: (H, W, C), or (T,).
        conditional: what p(x_i | ...) is.
        order: o, the positions of the sites in the order of their visits, (D,); by default that of memory.
        classes: how many, if the model is one of p(x|y) with classes y; else None.
        embedding_features: E, if it is one of p(x|s) with embeddings s; else None.
    """

    size: tuple[int, ...]
    conditional: Conditional
    classes: int | None = None
    embedding_features: int | None = None

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

    def as_floats(self, x: TensorLike) -> Any:
        """Return x as numbers that a network takes: integers become floats of the parameters' dtype."""
        return x if raw(x).dtype.kind == "f" else as_floats(x, self.parameters()[0].dtype)

    def stepper(self, n: int, condition: TensorLike | None = None) -> Stepper:
        """Return what computes the conditionals of n examples one after the other."""
        return PlainStepper(self, condition)

    def log_prob(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Return log p(x) in nats for each example, (N, *size) -> (N,).

        Raises:
            ValueError: another size, or values that are not levels.
        """
        self._check(x)
        self.check_condition(condition, len(x))
        each = self.conditional.log_prob(self.predict(x, condition), x)  # (N, *size)
        return ops.sum(each, axis=tuple(range(1, 1 + len(self.size))))

    def loss(self, batch: Any, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p(x) over a batch, in nats per example; of a pair (x, condition), that of -log p(x | condition)."""
        x, condition = batch if isinstance(batch, tuple) else (batch, None)
        loss = -ops.mean(self.log_prob(x, condition))
        return loss, {"negative_log_likelihood": loss.detach()}

    # -- classes

    def class_log_probabilities(self, x: TensorLike, *, log_prior: Array | None = None) -> Array:
        """Return log p(y|x) in nats by Bayes' rule, p(y|x) = p(x|y) p(y) / sum_k p(x|k) p(k), for a model of p(x|y): (N, K).

        A model of p(y|x) alone could say this with much less effort, but it could draw no x.

        Args:
            x: (N, *size).
            log_prior: log p(y), (K,), up to a constant; by default all classes are equally likely.

        Raises:
            ValueError: the model has no classes, or the prior is not one number for each.
        """
        name = f"{type(self).__name__}.class_log_probabilities"
        if self.classes is None:
            raise ValueError(f"{name}: the model has no classes, it is one of p(x)")
        if log_prior is not None and log_prior.shape != (self.classes,):
            raise ValueError(
                f"{name}: log_prior has shape {log_prior.shape}, expected ({self.classes},), one number for each class"
            )
        module = array_module(raw(x))
        with no_grad():
            each = [raw(self.log_prob(x, module.full(len(x), k))) for k in range(self.classes)]  # (N,) each
        log_p = module.stack(each, axis=1)  # (N, K), of x given y
        return ops.log_softmax(log_p if log_prior is None else log_p + log_prior)

    def check_condition(self, condition: TensorLike | None, n: int) -> None:
        """Refuse a condition that the model is not made for. On a GPU classes are looked at only while debugging.

        Args:
            condition: what is given for n examples.
            n: N.

        Raises:
            ValueError: it is missing, of another shape, given to a model of p(x), or a class is out of range.
            TypeError: classes are not integers, or embeddings not of the parameters' dtype.
        """
        name, k, features = type(self).__name__, self.classes, self.embedding_features
        if k is None and features is None:
            self.check_unconditional(condition)
            return
        if condition is not None and device_of(raw(condition)) is None:
            raise TypeError(f"{name}: the condition is a {type(condition).__name__}, expected an array")
        expected = (n,) if k is not None else (n, features)
        if condition is None or condition.shape != expected:
            found = "no condition is given" if condition is None else f"the condition has shape {condition.shape}"
            what = f"classes from 0 to {k - 1}" if k is not None else "embeddings"
            raise ValueError(f"{name}: {found}, expected {what}, {expected}, one for each of {n} examples")
        array = raw(condition)
        if k is None:
            dtype = self.parameters()[0].dtype
            if array.dtype != dtype:
                raise TypeError(f"{name}: embeddings are of {array.dtype}, expected {dtype}, as the parameters are")
        else:
            if array.dtype.kind not in "iu":
                raise TypeError(f"{name}: classes are of {array.dtype}, expected integers")
            looked_at = array.size and (device_of(array) == "cpu" or is_debugging())
            if looked_at and not 0 <= array.min() <= array.max() < k:
                raise ValueError(
                    f"{name}: classes lie in [{array.min()}, {array.max()}], expected them in [0, {k - 1}]"
                )

    # -- what sees what

    def dependence(self, x: Array, site: int, condition: TensorLike | None = None) -> Array:
        """Return how much the parameters of a site's conditional depend on each site, (N, *size) -> (*size).

        It is the mean of |d parameter / d x| over the batch, summed over the site's P parameters. Where it is 0 on a generic batch, the
        conditional does not see; in an autoregressive model that is so at least for the site and all after it.

        Args:
            x: (N, *size).
            site: position in the order of memory, from 0 to D - 1.
            condition: as for `predict`.

        Raises:
            TypeError: x holds no floats, of which alone there are derivatives.
        """
        leaf = Tensor(x, requires_grad=True)
        every = ops.reshape(self.predict(leaf, condition), shape=(len(x), self.sites, -1))[:, site]  # (N, P)
        total = array_module(x).zeros(self.size, x.dtype)
        for p in range(every.shape[1]):
            slope = grad(ops.sum(every[:, p]), leaf, retain_graph=True)  # (N, *size)
            total += abs(raw(slope)).mean(axis=0)
        return total

    # -- sampling

    def sample(
        self, n: int, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Array:  # fmt: skip
        """Return n examples drawn from p(x), (n, *size).

        A long sampling is better done by `fill` or `training.drawing`, which show how far it is, and keep what is drawn when broken off.

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
            ValueError: another size, an array that cannot be filled in place, a mask of another shape, or known values that are not levels.
            TypeError: no arrays, a mask that is not one of truth values, or what `check_condition` refuses.
        """
        self.check_fill(x, known, condition)
        n, module = len(x), array_module(x)
        stays = None if known is None else module.broadcast_to(known, x.shape).reshape(n, self.sites)  # (N, D)
        x[...] = 0.0 if stays is None else module.where(stays.reshape(x.shape), x, 0.0)
        self._check(x)
        flat = x.reshape(n, self.sites)  # a view
        # In float32 a u of 0 is no rarity, under which whatever has a probability at all may be drawn.
        u = rng.uniform((self.sites, n), dtype="float64")
        with no_grad():
            stepper = self.stepper(n, condition) if cached else PlainStepper(self, condition)
        for i, site in enumerate(self.order.tolist()):
            with no_grad():  # left before each yield: what the caller computes in between is none of its business
                drawn = self.conditional.quantile(stepper.parameters(flat, i), u[i])  # (N,)
            flat[:, site] = drawn if stays is None else module.where(stays[:, site], flat[:, site], drawn)
            yield i + 1

    def check_fill(self, x: Array, known: Array | None, condition: TensorLike | None) -> None:
        """Refuse what `fill` cannot fill.

        Args:
            x, known, condition: as of `fill`.

        Raises:
            ValueError, TypeError: as `fill` says.
        """
        name = f"{type(self).__name__}.fill"
        for what, array in (("x", x), ("known", known)):
            if array is not None and device_of(array) is None:
                raise TypeError(f"{name}: {what} is a {type(array).__name__}, expected an array of NumPy or CuPy")
        self.check_condition(condition, len(x))
        self._check_size(x, name)
        if not x.flags.c_contiguous:
            raise ValueError(
                f"{name}: x, {x.shape}, is filled in place and must be contiguous, as np.ascontiguousarray makes it"
            )
        if known is None:
            return
        if known.dtype != bool:
            raise TypeError(f"{name}: known is of {known.dtype}, expected bool: True for the sites that stay")
        pairs = zip(known.shape[::-1], x.shape[::-1], strict=False)
        if known.ndim > x.ndim or any(mine not in (1, its) for mine, its in pairs):
            raise ValueError(
                f"{name}: known has shape {known.shape}, expected one that broadcasts to that of x, {x.shape}"
            )

    def check_unconditional(self, condition: TensorLike | None) -> None:
        """Refuse a condition, for models that take none.

        Raises:
            ValueError: there is one.
        """
        if condition is not None:
            raise ValueError(
                f"{type(self).__name__}: there is a condition, but this model is of p(x) alone; leave it out"
            )

    def _check(self, x: TensorLike) -> None:
        self._check_size(x, type(self).__name__)
        self.conditional.check(x, type(self).__name__)

    def _check_size(self, x: TensorLike, owner: str) -> None:
        if x.shape[1:] != self.size:
            raise ValueError(f"{owner}: x has shape {x.shape}, expected (N, {', '.join(map(str, self.size))})")
