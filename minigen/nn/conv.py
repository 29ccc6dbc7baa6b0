"""Convolutional layers: plain, transposed, and masked, for models that predict each pixel from those before it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import minigen.ops as ops
from minigen.backend import Array, to_device
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Buffer, Module, Parameter
from minigen.ops.conv import Padding
from minigen.random import Generator
from minigen.sizes import Pair, counts, pair, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Initialize = Callable[[tuple[int, ...], Generator], Any]


def _channels(name: str, in_channels: int, out_channels: int, groups: int = 1) -> tuple[int, ...]:
    """Return the three as Python's ints."""
    in_channels, out_channels, groups = counts(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{name}: in_channels {in_channels} and out_channels {out_channels} must be divisible by groups, {groups}"
        )
    return in_channels, out_channels, groups


def _uniform(shape: tuple[int, ...], fan_in: float, rng: Generator, initialize: Initialize | None) -> Parameter:
    if initialize:
        return Parameter(initialize(shape, rng))
    bound = 1 / math.sqrt(max(fan_in, 1))
    return Parameter(rng.uniform(shape, low=-bound, high=bound))


class Conv2d(Module):
    """The convolution of images with a learned weight; see `ops.conv2d` for the settings.

    By default W and b are uniform in +-1/sqrt(fan_in), fan_in = kh kw C_in/G being the terms of an output's sum. With groups = in_channels,
    the convolution is depthwise: each channel has kernels of its own.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: (kh, kw), or one number for both.
        rng: draws the initial weights, which are put on its device.
        stride: of rows and columns.
        padding: zeros around the image: a number, two, one for each side, or "same".
        dilation: the distance of neighbouring taps.
        groups: G.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W, e.g. `init.kaiming_normal`.

    Attributes:
        weight: (kh, kw, C_in/G, C_out).
        bias: (C_out,), or None.

    Raises:
        ValueError: a size below 1, or groups that do not divide the channels.

    Example:
        >>> layer = Conv2d(3, 8, kernel_size=3, padding="same", rng=Generator(0))
        >>> layer(np.ones((2, 5, 5, 3), "float32")).shape
        (2, 5, 5, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | Pair,
        rng: Generator,
        stride: int | Pair = 1,
        padding: Padding = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        initialize: Initialize | None = None,
    ) -> None:
        in_channels, out_channels, groups = _channels("Conv2d", in_channels, out_channels, groups)
        kernel = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        fan_in = math.prod(kernel) * in_channels // groups
        self.weight = _uniform((*kernel, in_channels // groups, out_channels), fan_in, rng, initialize)
        self.bias = _uniform((out_channels,), fan_in, rng, None) if bias else None

    def forward(self, x: Float[TensorLike, "N H W C_in"]) -> Float[Tensor, "N P Q C_out"]:
        """Convolve, (N, H, W, C_in) -> (N, P, Q, C_out)."""
        return ops.conv2d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )  # fmt: skip


class ConvTranspose2d(Module):
    """The transposed convolution of images with a learned weight; see `ops.conv_transpose2d` for the settings.

    By default W and b are uniform in +-1/sqrt(fan_in). An output is reached by kh kw / (sh sw) taps on average, so that
    fan_in = kh kw C_in/G / (sh sw).

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: (kh, kw), or one number for both.
        rng: draws the initial weights, which are put on its device.
        stride: (sh, sw), by which the image grows.
        padding: what the convolution that is transposed pads.
        output_padding: additional rows and columns, less than the stride.
        dilation: the distance of neighbouring taps.
        groups: G.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W.

    Attributes:
        weight: (kh, kw, C_out/G, C_in), that of the convolution which it transposes.
        bias: (C_out,), or None.

    Raises:
        ValueError: a size below 1, or groups that do not divide the channels.

    Example:
        >>> layer = ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1, rng=Generator(0))
        >>> layer(np.ones((2, 5, 5, 8), "float32")).shape
        (2, 10, 10, 3)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | Pair,
        rng: Generator,
        stride: int | Pair = 1,
        padding: Padding = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        initialize: Initialize | None = None,
    ) -> None:
        in_channels, out_channels, groups = _channels("ConvTranspose2d", in_channels, out_channels, groups)
        kernel = pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.dilation, self.groups = dilation, groups
        fan_in = math.prod(kernel) * in_channels / groups / math.prod(pair("ConvTranspose2d", "stride", stride, 1))
        self.weight = _uniform((*kernel, out_channels // groups, in_channels), fan_in, rng, initialize)
        self.bias = _uniform((out_channels,), fan_in, rng, None) if bias else None

    def forward(self, x: Float[TensorLike, "N H W C_in"]) -> Float[Tensor, "N P Q C_out"]:
        """Convolve, (N, H, W, C_in) -> (N, P, Q, C_out)."""
        return ops.conv_transpose2d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding, output_padding=self.output_padding,
            dilation=self.dilation, groups=self.groups,
        )  # fmt: skip


class Conv1d(Module):
    """The convolution of lines with a learned weight; see `ops.conv1d`. The initial weights are as those of `Conv2d`.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: k.
        rng: draws the initial weights, which are put on its device.
        stride: the distance of neighbouring outputs.
        padding: zeros on both ends, (before, after), or "same".
        dilation: the distance of neighbouring taps.
        groups: G.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W.

    Attributes:
        weight: (k, C_in/G, C_out).
        bias: (C_out,), or None.

    Raises:
        ValueError: a size below 1, or groups that do not divide the channels.

    Example:
        >>> causal = Conv1d(1, 4, kernel_size=3, padding=(2, 0), rng=Generator(0))
        >>> causal(np.ones((2, 10, 1), "float32")).shape
        (2, 10, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        rng: Generator,
        stride: int = 1,
        padding: int | Pair | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        initialize: Initialize | None = None,
    ) -> None:
        in_channels, out_channels, groups = _channels("Conv1d", in_channels, out_channels, groups)
        kernel = (whole_number("Conv1d", "kernel_size", kernel_size, 1),)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        fan_in = kernel[0] * in_channels // groups
        self.weight = _uniform((*kernel, in_channels // groups, out_channels), fan_in, rng, initialize)
        self.bias = _uniform((out_channels,), fan_in, rng, None) if bias else None

    def forward(self, x: Float[TensorLike, "N W C_in"]) -> Float[Tensor, "N Q C_out"]:
        """Convolve, (N, W, C_in) -> (N, Q, C_out)."""
        return ops.conv1d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups
        )  # fmt: skip


class ConvTranspose1d(Module):
    """The transposed convolution of lines with a learned weight; see `ops.conv_transpose1d`.

    The initial weights are as those of `ConvTranspose2d`.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: k.
        rng: draws the initial weights, which are put on its device.
        stride: by which the line grows.
        padding: what the convolution that is transposed pads.
        output_padding: additional outputs at the end, less than the stride.
        dilation: the distance of neighbouring taps.
        groups: G.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W.

    Attributes:
        weight: (k, C_out/G, C_in).
        bias: (C_out,), or None.

    Raises:
        ValueError: a size below 1, or groups that do not divide the channels.

    Example:
        >>> layer = ConvTranspose1d(4, 1, kernel_size=2, stride=2, rng=Generator(0))
        >>> layer(np.ones((2, 5, 4), "float32")).shape
        (2, 10, 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        rng: Generator,
        stride: int = 1,
        padding: int | Pair | str = 0,
        output_padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        initialize: Initialize | None = None,
    ) -> None:
        in_channels, out_channels, groups = _channels("ConvTranspose1d", in_channels, out_channels, groups)
        kernel = (whole_number("ConvTranspose1d", "kernel_size", kernel_size, 1),)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.dilation, self.groups = dilation, groups
        fan_in = kernel[0] * in_channels / groups / stride
        self.weight = _uniform((*kernel, out_channels // groups, in_channels), fan_in, rng, initialize)
        self.bias = _uniform((out_channels,), fan_in, rng, None) if bias else None

    def forward(self, x: Float[TensorLike, "N W C_in"]) -> Float[Tensor, "N Q C_out"]:
        """Convolve, (N, W, C_in) -> (N, Q, C_out)."""
        return ops.conv_transpose1d(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding, output_padding=self.output_padding,
            dilation=self.dilation, groups=self.groups,
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ masked

STACKS = ("raster", "vertical", "horizontal")


def tap_mask(kernel: Pair, *, kind: str, stack: str = "raster") -> Bool[Array, "kh kw"]:
    """Return which taps of a kernel centred on a pixel look back from it: (kh, kw), bool.

    Pixels are ordered row by row, each from left to right (van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", section 3.4):

        raster      all pixels before this one                with kind "B" this one too
        vertical    all rows above, whole                     with kind "B" this row too, whole
        horizontal  this row, to the left                     with kind "B" this pixel too

    The last two are the two stacks of the gated PixelCNN (van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders",
    section 2.2), which together see all that comes before: a raster mask alone, layer upon layer, has a blind spot to the right above.

    Args:
        kernel: (kh, kw), odd.
        kind: "A" without the pixel itself, for the layer that sees the image; "B" with it, for layers that see features.
        stack: "raster", "vertical" or "horizontal".

    Example:
        >>> tap_mask((3, 3), kind="A").astype(int)
        array([[1, 1, 1],
               [1, 0, 0],
               [0, 0, 0]])
        >>> tap_mask((3, 3), kind="B", stack="vertical").astype(int)
        array([[1, 1, 1],
               [1, 1, 1],
               [0, 0, 0]])
    """
    if kind not in ("A", "B") or stack not in STACKS or any(k % 2 == 0 for k in kernel):
        raise ValueError(
            f'tap_mask: kernel {kernel}, kind {kind!r} and stack {stack!r}; expected odd sizes, "A" or "B", and one of {STACKS}'
        )
    rows, columns = np.arange(kernel[0])[:, None] - kernel[0] // 2, np.arange(kernel[1]) - kernel[1] // 2
    last = 1 if kind == "B" else 0
    if stack == "vertical":
        return np.broadcast_to(rows < last, kernel).copy()
    left = (rows == 0) & (columns < last)
    return left if stack == "horizontal" else (rows < 0) | left


def channel_mask(in_channels: int, out_channels: int, *, kind: str, colours: int) -> Bool[Array, "C_in C_out"]:
    """Return which input channels an output channel sees of its own pixel: (C_in, C_out), bool.

    The channels are `colours` blocks of equal size, red before green before blue. A block sees the blocks before it, and with kind "B"
    itself too: p(r) p(g | r) p(b | r, g) (van den Oord et al. 2016a, section 3.4).

    Args:
        in_channels: C_in, a multiple of colours.
        out_channels: C_out, a multiple of colours.
        kind: "A" or "B".
        colours: blocks.

    Example:
        >>> channel_mask(3, 3, kind="A", colours=3).astype(int)
        array([[0, 1, 1],
               [0, 0, 1],
               [0, 0, 0]])
    """
    if in_channels % colours or out_channels % colours:
        raise ValueError(
            f"channel_mask: {in_channels} input and {out_channels} output channels are not whole blocks of {colours} colours"
        )
    block_in, block_out = (
        np.arange(in_channels) * colours // in_channels,
        np.arange(out_channels) * colours // out_channels,
    )
    return block_in[:, None] <= block_out if kind == "B" else block_in[:, None] < block_out


class MaskedConv2d(Module):
    """A convolution that looks only at pixels before each pixel; of the image's size. See `tap_mask` and `channel_mask` for the order.

    The taps that look ahead are not computed. By default W and b are uniform in +-1/sqrt(fan_in), fan_in being the terms that are left of
    an output's sum.

    Args:
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: (kh, kw), odd, or one number for both.
        kind: "A" for the layer that sees the image, "B" for layers that see its features.
        rng: draws the initial weights, which are put on its device.
        stack: "raster", "vertical" or "horizontal".
        colours: the blocks of channels that are in an order of their own, 3 for red, green and blue; with 1, channels of a pixel are
            seen together or not at all.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W.

    Attributes:
        weight: (kh, kw, C_in, C_out); where it is masked it has no effect and gets no gradient.
        bias: (C_out,), or None.
        taps: the mask of taps, (kh, kw), bool.
        mask: with several colours, a buffer of the weight's shape, 0 where the weight is masked; else None.

    Raises:
        ValueError: an even kernel size, an unknown kind or stack, or channels that are not whole blocks of colours.

    Warns:
        UserWarning: kind "A" on what looks like features.

    Example:
        >>> layer = MaskedConv2d(1, 8, kernel_size=3, kind="A", rng=Generator(0))
        >>> image = np.zeros((1, 3, 3, 1), "float32")
        >>> before = layer(image).data
        >>> image[0, 1, 1] = 1.0
        >>> (layer(image).data != before).any(axis=-1)[0].astype(int)  # which pixels have seen the middle one
        array([[0, 0, 0],
               [0, 0, 1],
               [1, 1, 1]])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | Pair,
        kind: str,
        rng: Generator,
        stack: str = "raster",
        colours: int = 1,
        bias: bool = True,
        initialize: Initialize | None = None,
    ) -> None:
        in_channels, out_channels, _ = _channels("MaskedConv2d", in_channels, out_channels)
        kernel = pair("MaskedConv2d", "kernel_size", kernel_size, 1)
        self.taps = tap_mask(kernel, kind=kind, stack=stack)
        if kind == "A" and in_channels > max(colours, 4):
            warnings.warn(
                f'MaskedConv2d: kind "A" on {in_channels} channels, which look like features of an earlier layer. Those have not seen '
                'their own pixel; to hide them too loses the pixels next to it. Only the layer that sees the image needs "A", others "B"',
                stacklevel=2,
            )
        shape = (*kernel, in_channels, out_channels)
        terms = np.full(out_channels, int(self.taps.sum()) * in_channels)
        self.mask: Buffer | None = None
        if colours > 1:
            whole = np.broadcast_to(self.taps[:, :, None, None], shape).copy()
            if stack != "vertical":
                centre = channel_mask(in_channels, out_channels, kind=kind, colours=colours)
                whole[kernel[0] // 2, kernel[1] // 2] = centre
                self.taps[kernel[0] // 2, kernel[1] // 2] = centre.any()
            terms = whole.sum(axis=(0, 1, 2))
            self.mask = Buffer(to_device(whole.astype(np.float32), rng.device))
        bound = to_device((1 / np.sqrt(np.maximum(terms, 1))).astype(np.float32), rng.device)  # (C_out,)
        self.weight = Parameter(initialize(shape, rng) if initialize else bound * rng.uniform(shape, low=-1, high=1))
        self.bias = Parameter(bound * rng.uniform(out_channels, low=-1, high=1)) if bias else None

    def forward(self, x: Float[TensorLike, "N H W C_in"]) -> Float[Tensor, "N H W C_out"]:
        """Convolve, (N, H, W, C_in) -> (N, H, W, C_out)."""
        weight = self.weight if self.mask is None else self.weight * self.mask
        return ops.conv2d(x, weight, self.bias, padding="same", mask=self.taps)
