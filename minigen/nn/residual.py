"""The residual block of images: what networks of generators, critics and diffusion models are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike
from minigen.nn.conv import Conv2d
from minigen.nn.dropout import Dropout
from minigen.nn.group_norm import AdaptiveGroupNorm, GroupNorm
from minigen.nn.layers import SiLU
from minigen.nn.module import Module
from minigen.nn.norm import BatchNorm
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Float


class ResidualBlock(Module):
    """The image, and what two convolutions add to it; normalized and activated before each of them, so that a way without either remains:

        h = conv1(resample(activation(norm1(x))))
        y = shortcut(resample(x)) + conv2(dropout(activation(norm2(h, embedding)))).

    (He et al. 2016, "Identity Mappings in Deep Residual Networks", figure 4e.) The convolutions are 3x3. The shortcut is a 1x1 convolution
    where the numbers of channels differ, and else the identity. Resampling, "up" by nearest neighbours or "down" by means of 2x2 pixels,
    comes before the first convolution (Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", appendix B;
    Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis", section 3).

    An embedding of a time or a class sets scale and shift of the second normalization, by `AdaptiveGroupNorm`, as in Dhariwal & Nichol
    2021; Ho et al. 2020, "Denoising Diffusion Probabilistic Models", add it to h. Both pass it through a nonlinearity first: let the
    network that makes the embedding end in one.

    Args:
        in_channels: C.
        out_channels: K.
        rng: draws the initial weights, which are put on its device, and the masks of dropout, as `Dropout` says.
        resample: None, "up" to twice the height and width, or "down" to half of them, rounded down.
        normalize: "group", "batch" or None, as for a critic with a gradient penalty.
        groups: of group normalization; they must divide C and K.
        embedding_features: E, with group normalization only; None for a block without an embedding.
        activation: makes the nonlinearity, such as `nn.ReLU`.
        dropout: the probability with which a value is dropped.
        zero_last: whether conv2 is zero at first, and so the block its shortcut, as in diffusion models (Ho et al. 2020, in the program;
            Dhariwal & Nichol 2021); BigGAN's is not.

    Raises:
        ValueError: a setting is out of range, or the groups do not divide the channels.

    Example:
        >>> import numpy as np
        >>> rng = Generator(0)
        >>> block = ResidualBlock(32, 64, rng=rng, resample="down", embedding_features=16)
        >>> block(np.zeros((2, 8, 8, 32), "float32"), np.zeros((2, 16), "float32")).shape
        (2, 4, 4, 64)

        A critic's, whose weights are kept small:

        >>> from minigen import nn
        >>> block = ResidualBlock(1, 8, rng=rng, resample="down", normalize=None, activation=nn.ReLU, zero_last=False)
        >>> for name in ("conv1", "conv2", "shortcut"):
        ...     setattr(block, name, nn.SpectralNorm(getattr(block, name), rng=rng))
        >>> block(np.zeros((2, 8, 8, 1), "float32")).shape
        (2, 4, 4, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        rng: Generator,
        resample: str | None = None,
        normalize: str | None = "group",
        groups: int = 32,
        embedding_features: int | None = None,
        activation: Callable[[], Module] = SiLU,
        dropout: float = 0.0,
        zero_last: bool = True,
    ) -> None:
        if resample not in (None, "up", "down") or normalize not in (None, "group", "batch"):
            raise ValueError(
                f'ResidualBlock: resample is {resample!r}, expected None, "up" or "down"; '
                f'normalize is {normalize!r}, expected None, "group" or "batch"'
            )
        in_channels, out_channels, groups = counts(
            "ResidualBlock", in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if normalize == "group" and (in_channels % groups or out_channels % groups):
            raise ValueError(
                f"ResidualBlock: groups {groups} must divide in_channels {in_channels} and out_channels {out_channels}"
            )
        if embedding_features is not None and normalize != "group":
            raise ValueError(
                f'ResidualBlock: an embedding acts by group normalization, but normalize is {normalize!r}; take "group"'
            )

        def norm(features: int) -> Module | None:
            if normalize == "group":
                return GroupNorm(groups, features)
            return BatchNorm(features) if normalize == "batch" else None

        self.resample = resample
        self.embedding_features = embedding_features
        self.activation = activation()
        self.norm1 = norm(in_channels)
        self.conv1 = Conv2d(in_channels, out_channels, kernel_size=3, padding="same", rng=rng)
        self.norm2 = (
            norm(out_channels)
            if embedding_features is None
            else AdaptiveGroupNorm(groups, out_channels, embedding_features, rng=rng)
        )
        self.dropout = Dropout(p=dropout, rng=rng)
        self.conv2 = Conv2d(out_channels, out_channels, kernel_size=3, padding="same", rng=rng)
        if zero_last:
            for parameter in self.conv2.parameters():
                parameter.data[...] = 0.0
        same = in_channels == out_channels
        self.shortcut = None if same else Conv2d(in_channels, out_channels, kernel_size=1, rng=rng)

    def forward(
        self, x: Float[TensorLike, "N H W C"], embedding: Float[TensorLike, "N E"] | None = None
    ) -> Float[Tensor, "N P Q K"]:
        """Return y, (N, H, W, C) and an embedding (N, E), if the block has one -> (N, P, Q, K).

        Raises:
            ValueError: an embedding is missing, or given to a block without one.
        """
        if (embedding is None) != (self.embedding_features is None):
            given = "no embedding was given" if embedding is None else f"an embedding {embedding.shape} was given"
            raise ValueError(
                f"ResidualBlock: {given}, but the block was made with embedding_features={self.embedding_features}"
            )
        h = self.activation(x if self.norm1 is None else self.norm1(x))
        if self.resample == "up":
            h = ops.upsample2d(h, factor=2)
        elif self.resample == "down":
            h, x = ops.avg_pool2d(h, kernel_size=2), ops.avg_pool2d(x, kernel_size=2)
        h = self.conv1(h)
        if self.norm2 is not None:
            h = self.norm2(h) if embedding is None else self.norm2(h, embedding)
        h = self.conv2(self.dropout(self.activation(h)))
        if self.shortcut is not None:
            x = self.shortcut(x)
        if (
            self.resample == "up"
        ):  # behind the 1x1 convolution, which then has a quarter of the pixels and the same outcome
            x = ops.upsample2d(x, factor=2)
        return x + h
