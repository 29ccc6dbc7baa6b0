"""Layers that shrink, enlarge and rearrange images (N, H, W, C), and have no weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Module
from minigen.ops.pool import Size

if TYPE_CHECKING:
    from jaxtyping import Float, Num, Shaped


class MaxPool2d(Module):
    """The largest value of every window; see `ops.max_pool2d`.

    Example:
        >>> import minigen as mg
        >>> MaxPool2d(2)(mg.zeros((1, 28, 28, 3))).shape
        (1, 14, 14, 3)
    """

    def __init__(self, kernel_size: Size, *, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Num[TensorLike, "N H W C"]) -> Num[Tensor, "N P Q C"]:
        """Pool, (N, H, W, C) -> (N, P, Q, C)."""
        return ops.max_pool2d(x, kernel_size=self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(Module):
    """The mean of every window; see `ops.avg_pool2d`.

    Example:
        >>> import minigen as mg
        >>> AvgPool2d(3, stride=2, padding=1)(mg.zeros((1, 28, 28, 3))).shape
        (1, 14, 14, 3)
    """

    def __init__(
        self, kernel_size: Size, *, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.count_include_pad = count_include_pad

    def forward(self, x: Float[TensorLike, "N H W C"]) -> Float[Tensor, "N P Q C"]:
        """Pool, (N, H, W, C) -> (N, P, Q, C)."""
        return ops.avg_pool2d(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )


class Upsample2d(Module):
    """Images `factor` times as high and as wide; see `ops.upsample2d`.

    Example:
        >>> import minigen as mg
        >>> Upsample2d(2, mode="bilinear")(mg.zeros((1, 7, 7, 3))).shape
        (1, 14, 14, 3)
    """

    def __init__(self, factor: int, *, mode: str = "nearest") -> None:
        self.factor, self.mode = factor, mode

    def forward(self, x: Float[TensorLike, "N H W C"]) -> Float[Tensor, "N {self.factor}*H {self.factor}*W C"]:
        """Enlarge, (N, H, W, C) -> (N, f H, f W, C)."""
        return ops.upsample2d(x, factor=self.factor, mode=self.mode)


class PixelShuffle(Module):
    """Channels spread out over r x r blocks; see `ops.pixel_shuffle`.

    Example:
        >>> import minigen as mg
        >>> PixelShuffle(2)(mg.zeros((1, 7, 7, 12))).shape
        (1, 14, 14, 3)
    """

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def forward(
        self, x: Shaped[TensorLike, "N H W C"]
    ) -> Shaped[Tensor, "N {self.factor}*H {self.factor}*W C//{self.factor}**2"]:
        """Rearrange, (N, H, W, C) -> (N, r H, r W, C / r^2)."""
        return ops.pixel_shuffle(x, factor=self.factor)


class Flatten(Module):
    """Every example as one vector: of images, pixel by pixel with its channels.

    Example:
        >>> import minigen as mg
        >>> Flatten()(mg.zeros((5, 7, 7, 3))).shape
        (5, 147)
    """

    def forward(self, x: Shaped[TensorLike, "N ..."]) -> Shaped[Tensor, "N features"]:
        """Reshape, (N, ...) -> (N, features)."""
        return ops.reshape(x, shape=(x.shape[0], math.prod(x.shape[1:])))


class Reshape(Module):
    """Every example in another shape: the way back from `Flatten`.

    Args:
        *shape: that of one example.

    Raises:
        ValueError: an example has another number of values.

    Example:
        >>> import minigen as mg
        >>> Reshape(7, 7, 3)(mg.zeros((5, 147))).shape
        (5, 7, 7, 3)
    """

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def forward(self, x: Shaped[TensorLike, "N ..."]) -> Shaped[Tensor, "N *shape"]:
        """Reshape, (N, ...) -> (N, *shape)."""
        return ops.reshape(x, shape=(x.shape[0], *self.shape))
