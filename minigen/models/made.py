"""MADE, masked autoencoders for distribution estimation (Germain, Gregor, Murray & Larochelle 2015).

A fully connected network computes all D conditionals in one pass, since masks on its weights cut every path from a site to itself and to
those before it in the order. Each unit gets a *degree*, here from 0: a site's is its place in the order, r(d); a hidden unit's, m(k), is
the last place that it may see. Then

    unit k sees unit j of the layer below     where m(k) >= m(j)                                      equation 12
    the output of site d sees hidden unit k   where r(d) > m(k)                                       equation 13
    and, with direct connections, site e      where r(d) > r(e)                                       section 4.3

A hidden unit's degree is drawn from the least one of the layer below up to D - 2, the last of any use. Weights are shared by as many
orderings and masks as one likes (sections 4.1 and 4.2). M of them together are the mixture

    p(x) = 1/M sum_m p_m(x),       log p(x) = logsumexp_m log p_m(x) - log M

of whole densities: an average of the logits, or of the conditionals, would be no distribution with either order. It is trained under one
ordering a batch, drawn at random; by Jensen's inequality the mean of -log p_m(x), which that minimises, is no less than -log p(x).

A sample takes the products of one pass: with a new site, those hidden units become computable whose degree is its place, and each is
computed that once.
"""

import copy
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module, to_device
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike
from minigen.models.autoregressive import Autoregressive, checked_size
from minigen.models.conditionals import BernoulliConditional, Conditional
from minigen.nn.init import xavier_uniform
from minigen.random import Generator

ORDERINGS = ("natural", "random")


class MADE(Autoregressive):
    """A masked network with ReLUs over D sites, in one order.

    Args:
        size: the shape of an example, such as (H, W, C), of D sites.
        hidden: how many units each hidden layer has, in order; with none, each conditional is linear in the sites before.
        conditional: what p(x_i | ...) is; by default of bits.
        ordering: "natural", that of memory, or "random".
        direct: whether the outputs also see the sites directly.
        rng: draws the order, the degrees and the initial weights, which are put on its device.

    Attributes:
        degrees: of the sites, (D,), and of the units of each hidden layer.
        layers: the hidden layers.
        out: the layer of the outputs, (D P,), P for each site.
        direct: the layer from the sites to the outputs, or None.

    Raises:
        ValueError: an empty layer, or another ordering.

    Example:
        >>> made = MADE((8, 8, 1), hidden=(32, 32), ordering="random", rng=Generator(0))
        >>> made.log_prob(np.ones((2, 8, 8, 1), "float32")).shape, made.sample(3, rng=Generator(1)).shape
        ((2,), (3, 8, 8, 1))
    """

    def __init__(
        self,
        size: tuple[int, ...],
        *,
        hidden: tuple[int, ...],
        conditional: Conditional | None = None,
        ordering: str = "natural",
        direct: bool = False,
        rng: Generator,
    ) -> None:
        if min(hidden, default=1) < 1 or ordering not in ORDERINGS:
            raise ValueError(
                f"MADE: hidden = {hidden} must be at least 1 each, and ordering = {ordering!r} one of {', '.join(ORDERINGS)}"
            )
        self.size, self.conditional = checked_size("MADE", size), conditional or BernoulliConditional()
        self.hidden, self.ordering = hidden, ordering
        self.unit = 1 / (self.conditional.levels - 1)  # by which the network's inputs are from 0 to 1
        self.degrees = self._drawn_degrees(rng)
        *masks, out, direct_mask = self._masks()
        self.layers = [nn.MaskedLinear(mask, rng=rng, initialize=xavier_uniform) for mask in masks]
        self.out = nn.MaskedLinear(out, rng=rng, initialize=xavier_uniform)
        self.direct = nn.MaskedLinear(direct_mask, rng=rng, bias=False, initialize=xavier_uniform) if direct else None

    def redrawn(self, *, rng: Generator) -> "MADE":
        """Return a model with the same parameters, shared, and other degrees; under a random ordering in another order, too."""
        other = copy.copy(self)
        other.degrees = self._drawn_degrees(rng)
        *masks, out, direct = other._masks()
        other.layers = [layer.with_mask(mask) for layer, mask in zip(self.layers, masks, strict=True)]
        other.out = self.out.with_mask(out)
        other.direct = self.direct.with_mask(direct) if self.direct else None
        return other

    def _drawn_degrees(self, rng: Generator) -> list[nn.Buffer]:
        places = (
            rng.permutation(self.sites) if self.ordering == "random" else ops.arange(self.sites, device=rng.device).data
        )
        degrees = [places]
        for units in self.hidden:
            least = int(degrees[-1].min())
            degrees.append(rng.integers(least, max(least + 1, self.sites - 1), units))
        return [nn.Buffer(layer) for layer in degrees]

    def _masks(self) -> list[NDArray[np.bool_]]:
        """Return the masks of the hidden layers, of the outputs, and of the direct connections."""
        degrees = self._degrees_on_host()
        hidden = [below[:, None] <= layer for below, layer in pairwise(degrees)]
        places = np.repeat(degrees[0], self.conditional.outputs)  # (D P,)
        return [*hidden, degrees[-1][:, None] < places, degrees[0][:, None] < places]

    def _degrees_on_host(self) -> list[NDArray[np.int64]]:
        return [to_device(layer.data, "cpu") for layer in self.degrees]

    @property
    def order(self) -> NDArray[np.int64]:
        """The sites in the order of their visits, (D,)."""
        return np.argsort(self._degrees_on_host()[0])

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Tensor:
        """Return the parameters of all conditionals; see `Autoregressive.predict`. There is no condition."""
        self.check_unconditional(condition)
        sites = ops.reshape(self.as_floats(x), shape=(len(x), self.sites)) * self.unit  # (N, D), from 0 to 1
        units: Any = sites
        for layer in self.layers:
            units = ops.relu(layer(units))
        parameters = self.out(units)  # (N, D P)
        if self.direct:
            parameters = parameters + self.direct(sites)
        return ops.reshape(parameters, shape=(len(x), *self.size, self.conditional.outputs))

    def stepper(self, n: int, condition: TensorLike | None = None) -> "MADEStepper":
        """See `Autoregressive.stepper`."""
        return MADEStepper(self, n)


class MADEStepper:
    """Keeps the values of all sites and units known, and computes each unit once: when all that it sees is known.

    The units of a layer are sorted by degree, and the sites by their place. So those that become known together lie side by side, and
    what a unit sees are those of the layer below up to a place.
    """

    def __init__(self, made: MADE, n: int) -> None:
        self.order, self.unit = made.order.tolist(), made.unit
        self.outputs = made.conditional.outputs  # P
        degrees = made._degrees_on_host()
        sortings = [np.argsort(layer, kind="stable") for layer in degrees]
        by_site = (made.order[:, None] * self.outputs + np.arange(self.outputs)).ravel()  # of the outputs, (D P,)
        device = made.out.weight.device
        layers = list(zip([*made.layers, made.out], sortings, [*sortings[1:], by_site], strict=True))
        self.weights = [_sorted(layer, rows, columns) for layer, rows, columns in layers]
        self.biases = [raw(layer.bias)[to_device(columns, device)] for layer, _, columns in layers]
        self.direct = _sorted(made.direct, made.order, by_site) if made.direct else None
        zeros = array_module(self.weights[0]).zeros
        self.known = [zeros((n, len(weight)), weight.dtype) for weight in self.weights]  # (N, D), then (N, units)
        # Of the sites and of each hidden layer, where those of degree 0, 1, ..., D - 1 begin, and where the last ones end.
        self.begins = [np.searchsorted(np.sort(layer), np.arange(made.sites + 1)).tolist() for layer in degrees]

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        if i > 0:
            self.known[0][:, i - 1] = x[:, self.order[i - 1]] * self.unit
            self._compute_units(i - 1)
        site, last = slice(i * self.outputs, (i + 1) * self.outputs), self.begins[-1][i]
        found = self.known[-1][:, :last] @ self.weights[-1][:last, site] + self.biases[-1][site]
        if self.direct is not None:
            found += self.known[0][:, :i] @ self.direct[:i, site]
        return found

    def _compute_units(self, degree: int) -> None:
        """Compute the hidden units of a degree, layer by layer."""
        for k in range(1, len(self.known)):
            last, (begin, end) = self.begins[k - 1][degree + 1], self.begins[k][degree : degree + 2]
            if begin < end:
                sums = self.known[k - 1][:, :last] @ self.weights[k - 1][:last, begin:end]
                self.known[k][:, begin:end] = ops.relu(sums + self.biases[k - 1][begin:end])


def _sorted(layer: nn.MaskedLinear, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """Return the weight, masked, with its rows and columns in another order."""
    device = layer.weight.device
    weight = layer.weight.data * layer.mask.data
    return weight[to_device(rows, device)][:, to_device(columns, device)]


class OrderingMixture(Autoregressive):
    """The mixture, in equal parts, of autoregressive models of the same sites, such as one MADE under several orderings.

    It is sampled, and completed, under an ordering drawn for each example, all of them equally likely. So a completion is conditioned on
    the known sites that come before in the ordering drawn for it. It is not a draw from the mixture's p(x | known): for that, orderings
    under which the known sites are more probable would have to be drawn more often.

    Args:
        models: the M models; their parameters may be shared.

    Raises:
        ValueError: no model, or models of several sizes or conditionals.

    Example:
        >>> mixture = ordering_mixture((8, 8, 1), orderings=4, hidden=(32,), rng=Generator(0))
        >>> mixture.log_prob(np.ones((2, 8, 8, 1), "float32")).shape, mixture.sample(3, rng=Generator(1)).shape
        ((2,), (3, 8, 8, 1))
    """

    def __init__(self, models: list[Autoregressive]) -> None:
        kinds = {(model.size, type(model.conditional), model.conditional.levels) for model in models}
        if len(kinds) != 1:
            raise ValueError(
                f"OrderingMixture: {len(models)} models of {len(kinds)} kinds {kinds or ''}; expected at least one, and all alike"
            )
        self.models = models
        self.size, self.conditional = models[0].size, models[0].conditional

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """Raise: each site has another conditional in each of the models."""
        raise NotImplementedError(
            "OrderingMixture.predict: a mixture has no one conditional for a site; ask its `models`"
        )

    @property
    def order(self) -> NDArray[np.int64]:
        """Raise: there are several."""
        raise NotImplementedError("OrderingMixture.order: a mixture has several orders; ask its `models`")

    def log_probs(self, x: TensorLike) -> Any:
        """Return log p_m(x) in nats under each model, (N, *size) -> (M, N)."""
        return ops.stack([model.log_prob(x) for model in self.models], axis=0)

    def log_prob(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """See `Autoregressive.log_prob`. There is no condition."""
        self.check_condition(condition, len(x))
        return ops.logsumexp(self.log_probs(x), axis=0) - math.log(len(self.models))

    def loss(self, batch: Any, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p_m(x) over a batch, in nats per example, with m drawn for the batch.

        Args:
            batch: (N, *size).
            rng: draws m.

        Raises:
            ValueError: there is no rng.
        """
        if rng is None:
            raise ValueError("OrderingMixture.loss: an ordering is drawn for each batch: rng=...")
        return self.models[int(rng.integers(0, len(self.models)))].loss(batch, rng=rng)

    def fill(
        self, x: Array, known: Array | None = None, *, rng: Generator, condition: TensorLike | None = None, cached: bool = True
    ) -> Iterator[int]:  # fmt: skip
        """See `Autoregressive.fill`. The models fill their examples side by side. There is no condition."""
        self.check_fill(x, known, condition)
        chosen = rng.integers(0, len(self.models), len(x))  # (N,)
        parts = []
        for m, model in enumerate(self.models):
            rows = chosen == m
            part = x[rows]
            stays = None if known is None else array_module(x).broadcast_to(known, x.shape)[rows]
            parts.append((rows, part, model.fill(part, stays, rng=rng, cached=cached)))
        for i in range(self.sites):
            for rows, part, steps in parts:
                next(steps)
                x[rows] = part
            yield i + 1


def ordering_mixture(size: tuple[int, ...], *, orderings: int, rng: Generator, **settings: Any) -> OrderingMixture:
    """Return the mixture of one MADE's weights under several orderings and masks.

    Args:
        size: the shape of an example, such as (H, W, C).
        orderings: M. Under the natural ordering the models differ in their masks alone.
        rng: draws orders, degrees and initial weights, which are put on its device.
        **settings: of `MADE`.

    Raises:
        ValueError: orderings < 1, and what `MADE` refuses.
    """
    if orderings < 1:
        raise ValueError(f"ordering_mixture: orderings = {orderings} must be at least 1")
    first = MADE(size, rng=rng, **settings)
    return OrderingMixture([first, *(first.redrawn(rng=rng) for _ in range(orderings - 1))])
