"""Dropout (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import TensorLike
from minigen.nn.module import Module
from minigen.random import Generator

if TYPE_CHECKING:
    from jaxtyping import Float


class Dropout(Module):
    """In training every value is 0 with probability p, and x / (1 - p) otherwise, so that its mean is x; in evaluation it is x.

    Each call draws from the generator, whose state is not part of the module's. So give the layer the generator that the run's checkpoint
    keeps anyway, `Run(..., parts={"noise": rng, ...})`: a resumed run then goes on with the very masks of an unbroken one.

    Args:
        p: the probability of a zero, in [0, 1).
        rng: draws the masks, on its device, where x must be too.

    Raises:
        ValueError: p is outside [0, 1).

    Example:
        >>> import minigen as mg
        >>> layer = Dropout(p=0.5, rng=Generator(0))
        >>> sorted(set(layer(mg.ones(100)).data.tolist()))
        [0.0, 2.0]
        >>> x = mg.ones(3)
        >>> layer.eval()(x) is x
        True
    """

    def __init__(self, *, p: float, rng: Generator) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p = {p} is not a probability in [0, 1)")
        self.p = p
        self.rng = rng

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[TensorLike, "*shape"]:
        """Drop values, each on its own; any shape."""
        if not self.training or self.p == 0:
            return x
        mask = self.rng.bernoulli(1 - self.p, x.shape)
        mask *= 1 / (1 - self.p)
        return ops.multiply(x, mask)
