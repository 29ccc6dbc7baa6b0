"""Layers for networks that play against each other; they have no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Module
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class MinibatchStdDev(Module):
    """One more channel, which says how much the examples of a group differ, so that a discriminator sees a generator's lack of variety.

    For a group of G examples x_1 ... x_G it holds, at every place of every example of the group, the one number

        mean over places and channels of sqrt(mean_g (x_g - mean_g x_g)^2 + 1e-8)

    (Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", section 3). Of N examples every
    (N/G)-th is in one group. A batch smaller than a group is a group. The examples of a group depend on each other: not for critics with a
    gradient penalty, which is one of single examples.

    Args:
        group_size: G.

    Raises:
        ValueError: group_size is below 1.

    Example:
        >>> import numpy as np
        >>> MinibatchStdDev(group_size=2)(np.array([[1.0], [5.0], [3.0], [5.0]])).round(3)
        array([[1., 1.],
               [5., 0.],
               [3., 1.],
               [5., 0.]])
    """

    def __init__(self, *, group_size: int = 4) -> None:
        (self.group_size,) = counts("MinibatchStdDev", group_size=group_size)

    def forward(self, x: Float[TensorLike, "N *places C"]) -> Float[Tensor, "N *places C+1"]:
        """Append the channel, (N, ..., C) -> (N, ..., C + 1).

        Raises:
            ValueError: the examples are not whole groups.
        """
        n, *places, _ = x.shape
        size = max(1, min(self.group_size, n))
        if n % size:
            raise ValueError(
                f"MinibatchStdDev: {n} examples, x (N, ..., C) = {x.shape}, are not whole groups of {size}; take a multiple of it"
            )
        groups = ops.reshape(x, shape=(size, n // size, *x.shape[1:]))
        centred = groups - ops.mean(groups, axis=0, keepdims=True)
        deviation = ops.root_mean_square(centred, axis=0, keepdims=True, epsilon=1e-8)  # (1, N/G, ..., C)
        mean = ops.mean(deviation, axis=tuple(range(2, len(x.shape) + 1)), keepdims=True)
        channel = ops.reshape(ops.broadcast_to(mean, shape=(size, n // size, *places, 1)), shape=(n, *places, 1))
        return ops.concatenate([x, channel], axis=-1)


class GradientReversal(Module):
    """The identity, whose gradient is reversed; see `ops.gradient_reversal`.

    Attributes:
        scale: what the gradient is multiplied by, after the change of sign; it may be set anew in the course of training.

    Example:
        >>> import minigen as mg
        >>> x = mg.tensor([1.0], requires_grad=True)
        >>> GradientReversal(scale=0.5)(x).backward()
        >>> x.grad.item()
        -0.5
    """

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def forward(self, x: Shaped[TensorLike, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Return x."""
        return ops.gradient_reversal(x, scale=self.scale)
