"""Normalization within an example: each is as it is, whatever else is in the batch, and training is as evaluation.

With mu and v the mean and the variance over a group of one example's values,

    y = w (x - mu) / sqrt(v + epsilon) + b,

and the layers differ in what a group is: all channels of a pixel or of an example (layer), some channels over all pixels (group), or one
channel over all pixels (instance).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike
from minigen.nn.layers import Linear
from minigen.nn.module import Module, Parameter
from minigen.random import Generator
from minigen.sizes import as_shape, counts

if TYPE_CHECKING:
    from jaxtyping import Float


class LayerNorm(Module):
    """Normalize over the last axis, or the last few (Ba, Kiros & Hinton 2016, "Layer Normalization").

    Args:
        features: the length of the last axis, or the lengths of the last axes.
        epsilon: keeps the division finite where all values are equal.
        affine: whether there are w and b.

    Attributes:
        weight: w, of shape `features`, at first 1, or None.
        bias: b, alike, at first 0, or None.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> LayerNorm(2)(np.array([[1.0, 3.0], [10.0, 50.0]], "float32")).data.round(3)
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    def __init__(self, features: int | tuple[int, ...], *, epsilon: float = 1e-5, affine: bool = True) -> None:
        self.shape = as_shape("LayerNorm", features, "features")
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"LayerNorm: features {features} must be one or more lengths of at least 1")
        _check_epsilon("LayerNorm", epsilon)
        self.epsilon = epsilon
        self.weight, self.bias = _factors(self.shape, affine)

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalize, (..., *features) -> (..., *features)."""
        if x.shape[-len(self.shape) :] != self.shape:
            raise ValueError(f"LayerNorm: x has shape {x.shape}, but the layer's last axes are {self.shape}")
        axes = tuple(range(-len(self.shape), 0))
        return ops.normalize(x, self.weight, self.bias, axes=axes, epsilon=self.epsilon)


class GroupNorm(Module):
    """Normalize groups of channels that lie side by side, over all pixels of an example (Wu & He 2018, "Group Normalization").

    Args:
        groups: how many, G.
        features: the channels, C, a multiple of G.
        epsilon: keeps the division finite where all values are equal.
        affine: whether there are w and b.

    Attributes:
        weight: w, (C,), at first 1, or None.
        bias: b, (C,), at first 0, or None.

    Raises:
        ValueError: the groups do not divide the channels, or a setting is out of range.

    Example:
        >>> GroupNorm(2, 4)(np.array([[1.0, 3.0, 10.0, 50.0]], "float32")).data.round(3)
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(self, groups: int, features: int, *, epsilon: float = 1e-5, affine: bool = True) -> None:
        groups, features = counts("GroupNorm", groups=groups, features=features)
        if features % groups:
            raise ValueError(f"GroupNorm: {groups} groups do not divide {features} features into parts of one size")
        _check_epsilon("GroupNorm", epsilon)
        self.groups = groups
        self.features = features
        self.epsilon = epsilon
        self.weight, self.bias = _factors((features,), affine)

    def forward(self, x: Float[TensorLike, "N *places C"]) -> Float[Tensor, "N *places C"]:
        """Normalize, (N, ..., C) -> (N, ..., C)."""
        return self.normalize(x, self.weight, self.bias)

    def normalize(
        self,
        x: Float[TensorLike, "N *places C"],
        weight: Float[Tensor, "N C"] | Float[Tensor, "C"] | None,
        bias: Float[Tensor, "N C"] | Float[Tensor, "C"] | None,
    ) -> Float[Tensor, "N *places C"]:
        """Normalize, (N, ..., C) -> (N, ..., C), with a w and a b of one row for each example, (N, C), or of one for all, (C,)."""
        if len(x.shape) < 2 or x.shape[-1] != self.features:
            raise ValueError(
                f"GroupNorm: x (N, ..., C) has shape {x.shape}, but the layer has {self.features} features"
            )
        in_groups = (self.groups, self.features // self.groups)

        def split(factor: Tensor | None) -> Tensor | None:
            if factor is None:
                return None
            return ops.reshape(factor, shape=in_groups if len(factor.shape) == 1 else (len(factor), 1, *in_groups))

        pixels = math.prod(x.shape[1:-1])
        y = ops.normalize(
            ops.reshape(x, shape=(x.shape[0], pixels, *in_groups)),
            split(weight),
            split(bias),
            axes=(1, 3),
            epsilon=self.epsilon,
        )
        return ops.reshape(y, shape=x.shape)


class AdaptiveGroupNorm(Module):
    """Group normalization whose scale and shift depend on an embedding of the example's time or class:

        y = (1 + s) GN(x) + t,    (s, t) = e W + b.                Dhariwal & Nichol 2021, "Diffusion Models Beat GANs", section 4.3

    Args:
        groups, features: as of `GroupNorm`.
        embedding_features: the length of e, E.
        rng: draws the initial W and b, which are put on its device.
        epsilon: keeps the division finite where all values are equal.

    Attributes:
        linear: the map from e to s and t, (E,) -> (2 C,).
        norm: the `GroupNorm`, without w and b of its own.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> layer = AdaptiveGroupNorm(2, 8, 16, rng=Generator(0))
        >>> layer(np.ones((5, 4, 4, 8), "float32"), np.ones((5, 16), "float32")).shape
        (5, 4, 4, 8)
    """

    def __init__(
        self, groups: int, features: int, embedding_features: int, *, rng: Generator, epsilon: float = 1e-5
    ) -> None:
        self.norm = GroupNorm(groups, features, epsilon=epsilon, affine=False)
        self.linear = Linear(embedding_features, 2 * self.norm.features, rng=rng)

    def forward(
        self, x: Float[TensorLike, "N *places C"], embedding: Float[TensorLike, "N E"]
    ) -> Float[Tensor, "N *places C"]:
        """Normalize, (N, ..., C) and (N, E) -> (N, ..., C)."""
        expected = (x.shape[0], self.linear.weight.shape[0])
        if embedding.shape != expected:
            raise ValueError(
                f"AdaptiveGroupNorm: the embedding has shape {embedding.shape}, but x (N, ..., C) = {x.shape} needs (N, E) = {expected}"
            )
        factors = self.linear(embedding)  # (N, 2 C)
        scale, shift = factors[:, : self.norm.features], factors[:, self.norm.features :]
        return self.norm.normalize(x, 1.0 + scale, shift)


class InstanceNorm(Module):
    """Normalize each channel of each example over its pixels (Ulyanov et al. 2017, "Improved Texture Networks").

    Args:
        features: the channels, C.
        epsilon: keeps the division finite where all values are equal.
        affine: whether there are w and b.

    Attributes:
        weight: w, (C,), at first 1, or None.
        bias: b, (C,), at first 0, or None.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> InstanceNorm(1)(np.array([[[1.0], [3.0]], [[10.0], [50.0]]], "float32"))[..., 0].round(3)
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    def __init__(self, features: int, *, epsilon: float = 1e-5, affine: bool = False) -> None:
        (features,) = counts("InstanceNorm", features=features)
        _check_epsilon("InstanceNorm", epsilon)
        self.features = features
        self.epsilon = epsilon
        self.weight, self.bias = _factors((features,), affine)

    def forward(self, x: Float[TensorLike, "N *places C"]) -> Float[Tensor, "N *places C"]:
        """Normalize, (N, ..., C) -> (N, ..., C)."""
        if len(x.shape) < 3 or x.shape[-1] != self.features:
            raise ValueError(
                f"InstanceNorm: x has shape {x.shape}, expected (N, ..., C) with pixels between N and C = {self.features}"
            )
        if math.prod(x.shape[1:-1]) < 2:
            raise ValueError(
                f"InstanceNorm: x (N, ..., C) = {x.shape} has fewer than 2 pixels, of which normalization would leave 0; "
                "leave the layer out, or normalize over channels too, by GroupNorm or LayerNorm"
            )
        axes = tuple(range(1, len(x.shape) - 1))
        return ops.normalize(x, self.weight, self.bias, axes=axes, epsilon=self.epsilon)


class PixelNorm(Module):
    """Every pixel's vector of C channels brought to the length sqrt(C):

        y = x / sqrt(mean over channels of x^2 + epsilon).         Karras et al. 2018, "Progressive Growing of GANs", section 4.2

    No square overflows or vanishes on the way.

    Args:
        epsilon: keeps the division finite where all channels are 0.

    Raises:
        ValueError: epsilon is not positive.

    Example:
        >>> PixelNorm()(np.array([[3.0, 4.0]], "float32")).round(3)
        array([[0.849, 1.131]], dtype=float32)
    """

    def __init__(self, *, epsilon: float = 1e-8) -> None:
        _check_epsilon("PixelNorm", epsilon)
        self.epsilon = epsilon

    def forward(self, x: Float[TensorLike, "*batch C"]) -> Float[Tensor, "*batch C"]:
        """Normalize, (..., C) -> (..., C)."""
        return x / ops.root_mean_square(x, axis=-1, keepdims=True, epsilon=self.epsilon)


def _check_epsilon(layer: str, epsilon: float) -> None:
    if epsilon <= 0:
        raise ValueError(f"{layer}: epsilon is {epsilon}, expected a positive number")


def _factors(shape: tuple[int, ...], affine: bool) -> tuple[Parameter | None, Parameter | None]:
    """Return the initial w and b."""
    if not affine:
        return None, None
    return Parameter(np.ones(shape, np.float32)), Parameter(np.zeros(shape, np.float32))
