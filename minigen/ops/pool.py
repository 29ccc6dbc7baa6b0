"""Pooling, upsampling and pixel shuffling of images (N, H, W, C).

A rectangular window is a window along W and then one along H: the largest of four values is the larger of two larger ones, the sum of four
the sum of two sums. So everything here works along one axis at a time. For a window of K places, stride s and padding p, output o sees the
pixels

    i = s o + k - p,    k = 0, ..., K - 1,

as far as they exist. Taken place by place, k = 0 of all windows, then k = 1 of all, these are K strided slices of the image. Five
primitives are closed under differentiation:

| primitive                | computes                                            | its vjp           |
|--------------------------|-----------------------------------------------------|-------------------|
| window_sum(x), weights w | y_o = sum over k of w_k x_i                         | window_spread(g)  |
| window_spread(y)         | x_i = sum of w_k y_o over the windows o that see i  | window_sum(g)     |
| window_max(x)            | y_o = max over k of x_i, found at k = c_o           | window_put(g, c)  |
| window_put(y, c)         | x_i = sum of y_o over the windows o that chose i    | window_pick(g, c) |
| window_pick(x, c)        | y_o = x_i at k = c_o                                | window_put(g, c)  |

Average pooling is window_sum. Upsampling is window_spread: with weights 1 a pixel becomes a block; with weights that fall off linearly it
fades into its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive
from minigen.kernels.reference import window_places
from minigen.ops.composite import composite
from minigen.ops.elementwise import divide, multiply
from minigen.ops.shape import concatenate, reshape, transpose
from minigen.sizes import Pair, pair, whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Integer, Num, Shaped

H, W = 1, 2  # the axes of an image along which windows lie
Size = int | Pair


@dataclass(frozen=True)
class Windows:
    """Windows along one axis.

    Attributes:
        axis: H or W.
        size: K, the places of a window.
        stride: s, from one window to the next.
        padding: p, how far before the image the first window begins.
    """

    axis: int
    size: int
    stride: int
    padding: int

    def places(self, length: int, count: int) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
        """Yield each k with two keys: of those of the `count` windows whose place k lies inside, and of the pixels that lie there."""
        before = (slice(None),) * self.axis
        for k, seers, pixels in window_places(length, count, self.size, self.stride, self.padding):
            yield k, (*before, seers), (*before, pixels)

    @property
    def settings(self) -> dict[str, int]:
        """What a kernel takes."""
        return {"size": self.size, "stride": self.stride, "padding": self.padding}

    def along(self, x: Array) -> Array:
        """Return images as (A, L, B), with L along the windows' axis."""
        before, behind = math.prod(x.shape[: self.axis]), math.prod(x.shape[self.axis + 1 :])
        return x.reshape(before, x.shape[self.axis], behind)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of images of a shape with the whole windows, padding included, in place of the pixels."""
        return self.resized(shape, (shape[self.axis] + 2 * self.padding - self.size) // self.stride + 1)

    def resized(self, shape: tuple[int, ...], length: int) -> tuple[int, ...]:
        """Return a shape with another length along the axis."""
        return (*shape[: self.axis], length, *shape[self.axis + 1 :])


# ---------------------------------------------------------------------------------------------- weighted sums and their adjoint


@primitive()
def window_sum(x: Float[Array, "N H W C"], *, windows: Windows, weights: tuple[float, ...]) -> Float[Array, "N P Q C"]:
    """Return the weighted sum over every window; outside the image there are zeros."""
    out = array_module(x).zeros(windows.output_shape(x.shape), x.dtype)
    for k, seers, pixels in windows.places(x.shape[windows.axis], out.shape[windows.axis]):
        part = out[seers]
        part += _weighted(x[pixels], weights[k])
    return out


@primitive()
def window_spread(
    y: Float[Array, "N P Q C"], *, windows: Windows, weights: tuple[float, ...], length: int
) -> Float[Array, "N H W C"]:
    """Return images of a length along the axis, to which every window has added its value, weighted."""
    out = array_module(y).zeros(windows.resized(y.shape, length), y.dtype)
    for k, seers, pixels in windows.places(length, y.shape[windows.axis]):
        part = out[pixels]
        part += _weighted(y[seers], weights[k])
    return out


def _weighted(values: Array, weight: float) -> Array:
    return values if weight == 1.0 else weight * values


window_sum.vjp(
    x=lambda g, x_shape, windows, weights: window_spread(
        g, windows=windows, weights=weights, length=x_shape[windows.axis]
    )
)
window_spread.vjp(y=lambda g, windows, weights: window_sum(g, windows=windows, weights=weights))

# ---------------------------------------------------------------------------------------------- the largest value of a window


@primitive(residuals=("choice",))
def window_max(
    x: Num[Array, "N H W C"], *, windows: Windows
) -> tuple[Num[Array, "N P Q C"], Integer[Array, "N P Q C"]]:
    """Return the largest value of every window; the residual is its place k: that of the first of equal ones, or of the last NaN."""
    shape = windows.output_shape(x.shape)
    largest, choice = kernels.window_max(windows.along(x), **windows.settings, count=shape[windows.axis])
    return largest.reshape(shape), choice.reshape(shape)


@primitive()
def window_put(
    y: Num[Array, "N P Q C"], choice: Integer[Array, "N P Q C"], *, windows: Windows, length: int
) -> Num[Array, "N H W C"]:
    """Return images of a length along the axis, to which every window has added its value at the place it chose."""
    out = kernels.window_put(windows.along(y), windows.along(choice), **windows.settings, length=length)
    return out.reshape(windows.resized(y.shape, length))


@primitive()
def window_pick(
    x: Num[Array, "N H W C"], choice: Integer[Array, "N P Q C"], *, windows: Windows
) -> Num[Array, "N P Q C"]:
    """Return from every window the value at the place it chose."""
    out = array_module(x).zeros(choice.shape, x.dtype)
    for k, seers, pixels in windows.places(x.shape[windows.axis], choice.shape[windows.axis]):
        part = out[seers]
        part += x[pixels] * (choice[seers] == k)
    return out


def _put_back(g: Array, x_shape: tuple[int, ...], choice: Array, windows: Windows) -> Array:
    return window_put(g, choice, windows=windows, length=x_shape[windows.axis])


window_max.vjp(x=_put_back)
window_pick.vjp(x=_put_back, choice=None)
window_put.vjp(y=lambda g, choice, windows: window_pick(g, choice, windows=windows), choice=None)

# ---------------------------------------------------------------------------------------------------------------- pooling


@composite
def max_pool2d(
    x: Num[TensorLike, "N H W C"], *, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Num[Tensor, "N P Q C"]:
    """Return the largest value of every window and channel. Of equal ones the first, row by row, gets the gradient.

    A window with NaN in it gives NaN, and its last NaN gets the gradient, as in PyTorch.

    Args:
        x: images (N, H, W, C).
        kernel_size: of the window, K or (K_H, K_W).
        stride: from one window to the next, s or (s_H, s_W); by default the kernel size, so that windows lie side by side.
        padding: how far windows reach over each edge, p or (p_H, p_W), at most half of the kernel size. Nothing out there is ever the
            largest.

    Returns:
        (N, P, Q, C) with P = floor((H + 2p - K) / s) + 1, and Q likewise.

    Raises:
        ValueError: x is not a batch of images, no window fits, or a setting is out of range.

    Example:
        >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), kernel_size=2)[0, :, :, 0]
        array([[ 5.,  7.],
               [13., 15.]])
    """
    for windows in _windows("max_pool2d", x, kernel_size, stride, padding):
        x = window_max(x, windows=windows)
    return x


@composite
def avg_pool2d(
    x: Float[TensorLike, "N H W C"],
    *,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Float[Tensor, "N P Q C"]:
    """Return the mean of every window and channel.

    Args:
        x: images (N, H, W, C).
        kernel_size, stride, padding: as in `max_pool2d`; what lies over the edge is 0.
        count_include_pad: whether those zeros count, so that every sum is divided by K_H K_W, or else by the number of pixels that it has.

    Returns:
        (N, P, Q, C) with P = floor((H + 2p - K) / s) + 1, and Q likewise.

    Raises:
        ValueError: x is not a batch of images, no window fits, or a setting is out of range.

    Example:
        >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), kernel_size=2)[0, :, :, 0]
        array([[ 2.5,  4.5],
               [10.5, 12.5]])
    """
    along_axes = _windows("avg_pool2d", x, kernel_size, stride, padding)
    if count_include_pad:
        return multiply(_sums(x, along_axes), 1.0 / (along_axes[0].size * along_axes[1].size))
    module = array_module(x.data if isinstance(x, Tensor) else x)
    pixel_counts = _sums(module.ones((1, x.shape[H], x.shape[W], 1), x.dtype), along_axes)
    return divide(_sums(x, along_axes), pixel_counts)


def _sums(x: TensorLike, along_axes: list[Windows]) -> TensorLike:
    for windows in along_axes:
        x = window_sum(x, windows=windows, weights=(1.0,) * windows.size)
    return x


def _windows(name: str, x: TensorLike, kernel_size: Size, stride: Size | None, padding: Size) -> list[Windows]:
    """Return the windows along W and along H; this order makes the first of equal values the first row by row."""
    _check_images(name, x)
    sizes = pair(name, "kernel_size", kernel_size, 1)
    strides = sizes if stride is None else pair(name, "stride", stride, 1)
    paddings = pair(name, "padding", padding, 0)
    along_axes = []
    for i, axis in ((1, W), (0, H)):
        windows = Windows(axis, sizes[i], strides[i], paddings[i])
        if 2 * windows.padding > windows.size:
            raise ValueError(
                f"{name}: padding {padding} is more than half of kernel_size {kernel_size}, so that a window could hold no pixel"
            )
        if x.shape[axis] + 2 * windows.padding < windows.size:
            raise ValueError(
                f"{name}: no window of kernel_size {kernel_size} fits into x, (N, H, W, C) = {x.shape}, with padding {padding}"
            )
        along_axes.append(windows)
    return along_axes


def _check_images(name: str, x: TensorLike) -> None:
    if len(x.shape) != 4:
        raise ValueError(f"{name}: x has shape {x.shape}; expected images (N, H, W, C)")


# -------------------------------------------------------------------------------------------------------------- upsampling


@composite
def upsample2d(
    x: Float[TensorLike, "N H W C"], *, factor: int, mode: str = "nearest"
) -> Float[Tensor, "N {factor}*H {factor}*W C"]:
    """Return images `factor` times as high and as wide.

    Args:
        x: images (N, H, W, C).
        factor: f, a whole number.
        mode: "nearest" makes a block of every pixel. "bilinear" takes a pixel's value for that at the middle of its block, between middles
            interpolates linearly along W and along H, and beyond the outermost ones keeps their values (PyTorch's align_corners=False).

    Returns:
        (N, f H, f W, C).

    Raises:
        ValueError: x is not a batch of images, the factor is below 1, or the mode unknown.

    Example:
        >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
        >>> upsample2d(x, factor=2)[0, 0, :, 0]
        array([0., 0., 4., 4.])
        >>> upsample2d(x, factor=2, mode="bilinear")[0, 0, :, 0]
        array([0., 1., 3., 4.])
    """
    _check_images("upsample2d", x)
    factor = whole_number("upsample2d", "factor", factor, 1)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"upsample2d: mode {mode!r} is unknown; it is 'nearest' or 'bilinear'")
    for axis in (W, H):
        length = factor * x.shape[axis]
        if mode == "nearest":
            weights, padding = (1.0,) * factor, 0
        else:
            # A triangle of half-width f around each middle; one more pixel at either end, whose block is cut off, keeps the last value.
            size = 2 * factor - factor % 2
            weights = tuple(1.0 - abs(k - (size - 1) / 2) / factor for k in range(size))
            padding = factor + (size - factor) // 2
            before = (slice(None),) * axis
            x = concatenate([x[(*before, slice(0, 1))], x, x[(*before, slice(-1, None))]], axis=axis)
        windows = Windows(axis, len(weights), factor, padding)
        x = window_spread(x, windows=windows, weights=weights, length=length)
    return x


# ---------------------------------------------------------------------------------------------------------- pixel shuffling


@composite
def pixel_shuffle(
    x: Shaped[TensorLike, "N H W C"], *, factor: int
) -> Shaped[Tensor, "N {factor}*H {factor}*W C//{factor}**2"]:
    """Return images r times as high and as wide, whose r x r blocks were the channels of one pixel (Shi et al. 2016, equation 4).

        out[n, r h + i, r w + j, c] = x[n, h, w, c r^2 + i r + j]

    Args:
        x: (N, H, W, C), r^2 a divisor of C.
        factor: r.

    Returns:
        (N, r H, r W, C / r^2).

    Raises:
        ValueError: x is not a batch of images, or r^2 does not divide its channels.

    Example:
        >>> pixel_shuffle(np.arange(4.0).reshape(1, 1, 1, 4), factor=2)[0, :, :, 0]
        array([[0., 1.],
               [2., 3.]])
    """
    _check_images("pixel_shuffle", x)
    factor = whole_number("pixel_shuffle", "factor", factor, 1)
    n, h, w, channels = x.shape
    r = factor
    if channels % r**2:
        raise ValueError(
            f"pixel_shuffle: the {channels} channels of x {x.shape} do not divide into blocks of {r} x {r}"
        )
    blocks = reshape(x, shape=(n, h, w, channels // r**2, r, r))  # (N, H, W, C, i, j)
    return reshape(transpose(blocks, axes=(0, 1, 4, 2, 5, 3)), shape=(n, r * h, r * w, channels // r**2))


@composite
def pixel_unshuffle(
    x: Shaped[TensorLike, "N H W C"], *, factor: int
) -> Shaped[Tensor, "N H//{factor} W//{factor} C*{factor}**2"]:
    """Return images whose pixels hold in their channels what was an r x r block: the inverse of `pixel_shuffle`.

    Args:
        x: (N, H, W, C), r a divisor of H and W.
        factor: r.

    Returns:
        (N, H / r, W / r, r^2 C).

    Raises:
        ValueError: x is not a batch of images, or r does not divide its height and width.

    Example:
        >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2, 1), factor=2)
        array([[[[0., 1., 2., 3.]]]])
    """
    _check_images("pixel_unshuffle", x)
    factor = whole_number("pixel_unshuffle", "factor", factor, 1)
    n, height, width, channels = x.shape
    r = factor
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: x, (N, H, W, C) = {x.shape}, does not divide into blocks of {r} x {r}")
    h, w = height // r, width // r
    blocks = reshape(x, shape=(n, h, r, w, r, channels))  # (N, H, i, W, j, C)
    return reshape(transpose(blocks, axes=(0, 1, 3, 5, 2, 4)), shape=(n, h, w, channels * r**2))
