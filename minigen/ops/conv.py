"""Convolutions over images, (N, H, W, C), and lines, (N, W, C): plain, masked, transposed, dilated, in groups.

A convolution is bilinear in the image x and the weight W, and so are its gradients. With g in the place of the output's cotangent:

                               gradient by the first argument      gradient by the second
    y = convolve(x, W)         convolve_transposed(g, W)           convolve_weight(x, g)
    x = convolve_transposed(y, W)  convolve(g, W)                  convolve_weight(g, y)
    W = convolve_weight(x, y)  convolve_transposed(y, g)           convolve(x, g)

The three are closed: any derivative of one is made of the others. All of them compute with one `Geometry`, which lists the live taps; so a
masked tap costs nothing in any of them, in any order of derivative.

Sizes: with stride s, dilation d, kernel k, and t zeros before and b after an axis of length n (Dumoulin and Visin 2016),

    conv              n -> (n + t + b - d (k - 1) - 1) // s + 1
    conv_transpose    n -> (n - 1) s - t - b + d (k - 1) + 1 + output_padding,  with 0 <= output_padding < s

A stride over which several sizes lead to one has several ways back: `output_padding` chooses. With padding "same", the sizes are
n -> ceil(n / s) and n -> n s.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np  # noqa: F401 - for the examples

from minigen import kernels
from minigen.backend import Array, device_of
from minigen.engine import Tensor, TensorLike, primitive, sum_to
from minigen.kernels.convolution.geometry import Geometry
from minigen.ops.composite import composite
from minigen.ops.creation import to_device
from minigen.ops.elementwise import multiply
from minigen.ops.shape import astype, reshape
from minigen.sizes import Pair, pair, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Sides: TypeAlias = tuple[Pair, Pair]
"""Zeros (above, below) and (left, right)."""

Padding: TypeAlias = int | Pair | Sides | str
"""Zeros on all sides; above and below, left and right; on each side, ((above, below), (left, right)); or "same"."""


# ------------------------------------------------------------------------------------------------------ the triad


@primitive()
def convolve(
    x: Float[Array, "N H W C"],
    weight: Float[Array, "kh kw C//{geometry.groups} K"],
    bias: Float[Array, "K"] | None = None,
    *,
    geometry: Geometry,
) -> Float[Array, "N P Q K"]:
    """Return the convolution of x, (N, H, W, C), with weight, (kh, kw, C/G, K), plus bias, (K,): (N, P, Q, K)."""
    return kernels.convolve(x, weight, bias, geometry=geometry)


@primitive()
def convolve_transposed(
    y: Float[Array, "N P Q K"],
    weight: Float[Array, "kh kw C//{geometry.groups} K"],
    bias: Float[Array, "C"] | None = None,
    *,
    geometry: Geometry,
) -> Float[Array, "N H W C"]:
    """Return the transposed convolution of y, (N, P, Q, K), with weight, (kh, kw, C/G, K), plus bias, (C,): (N, H, W, C)."""
    return kernels.convolve_transposed(y, weight, bias, geometry=geometry)


@primitive()
def convolve_weight(
    x: Float[Array, "N H W C"], y: Float[Array, "N P Q K"], *, geometry: Geometry
) -> Float[Array, "kh kw C//{geometry.groups} K"]:
    """Return the gradient of sum(convolve(x, weight) * y) by weight, (kh, kw, C/G, K), zero at the dead taps."""
    return kernels.convolve_weight(x, y, geometry=geometry)


def _bias_vjp(g: Array) -> Array:
    rows = reshape(g, shape=(-1, g.shape[3])) if 0 not in g.shape else g
    return sum_to(rows, shape=g.shape[3:])


convolve.vjp(
    x=lambda g, weight, geometry: convolve_transposed(g, weight, geometry=geometry),
    weight=lambda g, x, geometry: convolve_weight(x, g, geometry=geometry),
    bias=_bias_vjp,
)
convolve_transposed.vjp(
    y=lambda g, weight, geometry: convolve(g, weight, geometry=geometry),
    weight=lambda g, y, geometry: convolve_weight(g, y, geometry=geometry),
    bias=_bias_vjp,
)
convolve_weight.vjp(
    x=lambda g, y, geometry: convolve_transposed(y, g, geometry=geometry),
    y=lambda g, x, geometry: convolve(x, g, geometry=geometry),
)


# ------------------------------------------------------------------------------------------------------ geometry


def _padding(name: str, padding: Padding) -> Sides | str:
    """Return the zeros on each side, or "same"."""
    if isinstance(padding, str):
        if padding != "same":
            raise ValueError(
                f'{name}: padding is {padding!r}, expected "same", a number, two, or ((above, below), (left, right))'
            )
        return padding
    if isinstance(padding, tuple | list) and len(padding) == 2 and all(isinstance(s, tuple | list) for s in padding):
        return pair(name, "padding", padding[0], 0), pair(name, "padding", padding[1], 0)
    rows, columns = pair(name, "padding", padding, 0)
    return (rows, rows), (columns, columns)


def _sides(padding: Sides | str, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Sides:
    """Return the zeros on each side of a convolution's input of that size."""
    if isinstance(padding, str):  # "same"
        total = [
            max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    return padding


@functools.lru_cache(maxsize=1024)
def _geometry(
    name: str, size: Pair, kernel: Pair, stride: Pair, padding: Sides | str, dilation: Pair, groups: int, mask: bytes | None
) -> Geometry:  # fmt: skip
    """Return the geometry of a convolution of an input of that size; the mask is the bytes of a (kh, kw) array of truth values."""
    sides = _sides(padding, size, kernel, stride, dilation)
    out_size = [
        (n + t + b - d * (k - 1) - 1) // s + 1
        for n, (t, b), d, k, s in zip(size, sides, dilation, kernel, stride, strict=True)
    ]
    if min(out_size) < 1:
        raise ValueError(
            f"{name}: the image (H, W) = {size} with padding {sides} is smaller than the kernel (kh, kw) = {kernel} with dilation "
            f"{dilation}, which covers {tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))}"
        )
    taps = tuple(itertools.product(range(kernel[0]), range(kernel[1])))
    if mask is not None:
        taps = tuple(tap for tap, live in zip(taps, mask, strict=True) if live)
    padding_before = (sides[0][0], sides[1][0])
    return Geometry(size, (out_size[0], out_size[1]), kernel, stride, padding_before, dilation, groups, taps)


@functools.lru_cache(maxsize=1024)
def _transposed_size(
    name: str, size: Pair, kernel: Pair, stride: Pair, padding: Sides | str, dilation: Pair, output_padding: Pair
) -> Pair:  # fmt: skip
    """Return the size of a transposed convolution's output; `size` is that of its input."""
    if any(m >= s for m, s in zip(output_padding, stride, strict=True)):
        raise ValueError(
            f"{name}: output_padding is {_in_short(output_padding)}, expected less than the stride, {stride}: the convolution "
            "from a larger image would have one more pixel"
        )
    if padding == "same":
        if output_padding != (0, 0):
            raise ValueError(
                f'{name}: output_padding is {_in_short(output_padding)}, but with padding "same" the size is known'
            )
        return size[0] * stride[0], size[1] * stride[1]
    sides = _sides(padding, size, kernel, stride, dilation)
    out = tuple(
        (n - 1) * s - t - b + d * (k - 1) + 1 + m
        for n, s, (t, b), d, k, m in zip(size, stride, sides, dilation, kernel, output_padding, strict=True)
    )
    if min(out) < 1:
        raise ValueError(
            f"{name}: an image (H, W) = {size} gives the size {out} with kernel (kh, kw) = {kernel}, stride {stride}, padding {sides}, "
            f"dilation {dilation}; expected at least 1"
        )
    return out[0], out[1]


def _in_short(numbers: Pair) -> int | Pair:
    return numbers[0] if numbers[0] == numbers[1] else numbers


def _masked(name: str, weight: TensorLike, mask: Array | None) -> tuple[TensorLike, bytes | None]:
    """Return the weight, zero where the mask is, and the live taps as bytes."""
    if mask is None:
        return weight, None
    if mask.dtype != bool or mask.shape not in (weight.shape[:2], weight.shape):
        raise ValueError(
            f"{name}: mask has shape {mask.shape} and dtype {mask.dtype}; expected bool, and (kh, kw) = {weight.shape[:2]} or the shape of "
            f"weight, {weight.shape}"
        )
    if mask.ndim == 2:
        return weight, mask.tobytes()
    there = to_device(mask, device=str(device_of(weight.data if isinstance(weight, Tensor) else weight)), source="cpu")
    return multiply(weight, astype(there, dtype=weight.dtype)), mask.any(axis=(2, 3)).tobytes()


def _check(
    name: str, x: TensorLike, weight: TensorLike, bias: TensorLike | None, groups: int, *, transposed: bool
) -> None:
    """Raise if the axes do not fit."""
    axes = ("C_out/G", "C_in") if transposed else ("C_in/G", "C_out")
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ValueError(
            f"{name}: x has shape {x.shape} and weight {weight.shape}; expected (N, H, W, C_in) and (kh, kw, {axes[0]}, {axes[1]})"
        )
    if x.dtype.kind != "f" or weight.dtype.kind != "f":
        raise TypeError(
            f"{name}: x is {x.dtype} and weight {weight.dtype}; expected floating-point numbers, e.g. x.astype('float32')"
        )
    if groups < 1 or weight.shape[3] % groups:
        raise ValueError(
            f"{name}: groups is {groups}, expected a whole number that divides the {weight.shape[3]} channels of the last axis of weight"
        )
    expected = weight.shape[3] if transposed else weight.shape[2] * groups
    if x.shape[3] != expected:
        shared = f" in {groups} groups" if groups > 1 else ""
        raise ValueError(
            f"{name}: x has {x.shape[3]} channels, (N, H, W, C) = {x.shape}, but weight (kh, kw, {axes[0]}, {axes[1]}) = {weight.shape} "
            f"expects {expected}{shared}"
        )
    outputs = weight.shape[2] * groups if transposed else weight.shape[3]
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"{name}: bias has shape {bias.shape}, expected (C_out,) = {(outputs,)}")


# ------------------------------------------------------------------------------------------------------ the operations


@composite
def conv2d(
    x: Float[TensorLike, "N H W C_in"],
    weight: Float[TensorLike, "kh kw C_in//{groups} C_out"],
    bias: Float[TensorLike, "C_out"] | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    mask: Bool[Array, "kh kw ..."] | None = None,
) -> Float[Tensor, "N P Q C_out"]:
    """Return the convolution (as in deep learning: without turning the kernel around) of images with a weight.

    Args:
        x: (N, H, W, C_in).
        weight: (kh, kw, C_in/G, C_out).
        bias: (C_out,), or None.
        stride: of rows and columns.
        padding: zeros around the image: a number, (rows, columns), ((above, below), (left, right)), or "same", which gives
            ceil(H / stride) rows; where that takes an odd number of zeros, the last goes below or to the right.
        dilation: the distance of neighbouring taps.
        groups: G; output group i sees input group i only. With G = C_in, the convolution is depthwise.
        mask: a NumPy array of truth values, (kh, kw) or the weight's shape. Where it is False the weight counts as 0 and gets no
            gradient; taps that are False for all channels are not computed at all.

    Returns:
        (N, P, Q, C_out), see the sizes above.

    Raises:
        ValueError: shapes that do not fit, a kernel larger than the padded image, or a setting out of range.
        TypeError: integers.

    Example:
        >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d(image, np.ones((2, 2, 1, 1)))[0, :, :, 0]
        array([[ 8., 12.],
               [20., 24.]])
        >>> conv2d(image, np.ones((2, 2, 1, 1)), mask=np.array([[True, True], [True, False]]))[0, :, :, 0]
        array([[ 4.,  7.],
               [13., 16.]])
    """
    groups = whole_number("conv2d", "groups", groups)
    _check("conv2d", x, weight, bias, groups, transposed=False)
    weight, taps = _masked("conv2d", weight, mask)
    strides, dilations = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    sides = _padding("conv2d", padding)
    geometry = _geometry("conv2d", x.shape[1:3], weight.shape[:2], strides, sides, dilations, groups, taps)
    return convolve(x, weight, bias, geometry=geometry)


@composite
def conv_transpose2d(
    x: Float[TensorLike, "N H W C_in"],
    weight: Float[TensorLike, "kh kw C_out//{groups} C_in"],
    bias: Float[TensorLike, "C_out"] | None = None,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    mask: Bool[Array, "kh kw ..."] | None = None,
) -> Float[Tensor, "N P Q C_out"]:
    """Return the transposed convolution of images with a weight: what the gradient of `conv2d` with these settings does.

    Args:
        x: (N, H, W, C_in).
        weight: (kh, kw, C_out/G, C_in), the weight of the convolution that it transposes.
        bias: (C_out,), or None.
        stride: by which the image grows.
        padding: what the convolution pads, so the transposed one cuts it off; "same" gives H * stride rows.
        output_padding: additional rows and columns below and to the right, less than the stride.
        dilation: the distance of neighbouring taps.
        groups: G; output group i sees input group i only.
        mask: as for `conv2d`, in the weight's order of axes.

    Returns:
        (N, P, Q, C_out), see the sizes above.

    Raises:
        ValueError: shapes that do not fit, no pixel left, or a setting out of range.
        TypeError: integers.

    Example:
        >>> spread = conv_transpose2d(np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.ones((1, 2, 1, 1)), stride=(1, 2))
        >>> spread.ravel()
        array([1., 1., 2., 2.])
    """
    groups = whole_number("conv_transpose2d", "groups", groups)
    _check("conv_transpose2d", x, weight, bias, groups, transposed=True)
    weight, taps = _masked("conv_transpose2d", weight, mask)
    kernel = weight.shape[:2]
    name, sides = "conv_transpose2d", _padding("conv_transpose2d", padding)
    strides, dilations = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    more = pair(name, "output_padding", output_padding, 0)
    size = _transposed_size(name, x.shape[1:3], kernel, strides, sides, dilations, more)
    geometry = _geometry(name, size, kernel, strides, sides, dilations, groups, taps)
    return convolve_transposed(x, weight, bias, geometry=geometry)


@composite
def conv1d(
    x: Float[TensorLike, "N W C_in"],
    weight: Float[TensorLike, "k C_in//{groups} C_out"],
    bias: Float[TensorLike, "C_out"] | None = None,
    *,
    stride: int = 1,
    padding: int | Pair | str = 0,
    dilation: int = 1,
    groups: int = 1,
    mask: Bool[Array, "k ..."] | None = None,
) -> Float[Tensor, "N Q C_out"]:
    """Return the convolution of lines with a weight: `conv2d` of images one pixel high.

    Args:
        x: (N, W, C_in).
        weight: (k, C_in/G, C_out).
        bias: (C_out,), or None.
        stride: the distance of neighbouring outputs.
        padding: zeros on both ends, (before, after), or "same".
        dilation: the distance of neighbouring taps.
        groups: G; output group i sees input group i only.
        mask: (k,) or the weight's shape, as for `conv2d`.

    Returns:
        (N, Q, C_out).

    Example:
        >>> conv1d(np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1), np.array([-1.0, 1.0]).reshape(2, 1, 1)).ravel()
        array([1., 2.])
    """
    _check_line("conv1d", x, weight)
    out = conv2d(
        _as_image(x), reshape(weight, shape=(1, *weight.shape)), bias, stride=(1, whole_number("conv1d", "stride", stride, 1)),
        padding=_as_sides("conv1d", padding), dilation=(1, whole_number("conv1d", "dilation", dilation, 1)), groups=groups,
        mask=None if mask is None else mask[None],
    )  # fmt: skip
    return reshape(out, shape=(out.shape[0], *out.shape[2:]))


@composite
def conv_transpose1d(
    x: Float[TensorLike, "N W C_in"],
    weight: Float[TensorLike, "k C_out//{groups} C_in"],
    bias: Float[TensorLike, "C_out"] | None = None,
    *,
    stride: int = 1,
    padding: int | Pair | str = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    mask: Bool[Array, "k ..."] | None = None,
) -> Float[Tensor, "N Q C_out"]:
    """Return the transposed convolution of lines with a weight: `conv_transpose2d` of images one pixel high.

    Args:
        x: (N, W, C_in).
        weight: (k, C_out/G, C_in).
        bias: (C_out,), or None.
        stride: by which the line grows.
        padding: what the convolution pads on both ends, (before, after), or "same".
        output_padding: additional outputs at the end, less than the stride.
        dilation: the distance of neighbouring taps.
        groups: G; output group i sees input group i only.
        mask: (k,) or the weight's shape, as for `conv2d`.

    Returns:
        (N, Q, C_out).

    Example:
        >>> conv_transpose1d(np.array([1.0, 2.0]).reshape(1, 2, 1), np.ones((2, 1, 1)), stride=2).ravel()
        array([1., 1., 2., 2.])
    """
    name = "conv_transpose1d"
    _check_line(name, x, weight)
    out = conv_transpose2d(
        _as_image(x), reshape(weight, shape=(1, *weight.shape)), bias, stride=(1, whole_number(name, "stride", stride, 1)),
        padding=_as_sides(name, padding), output_padding=(0, whole_number(name, "output_padding", output_padding, 0)),
        dilation=(1, whole_number(name, "dilation", dilation, 1)), groups=groups, mask=None if mask is None else mask[None],
    )  # fmt: skip
    return reshape(out, shape=(out.shape[0], *out.shape[2:]))


def _check_line(name: str, x: TensorLike, weight: TensorLike) -> None:
    if len(x.shape) != 3 or len(weight.shape) != 3:
        raise ValueError(
            f"{name}: x has shape {x.shape} and weight {weight.shape}; expected three axes each, channels last"
        )


def _as_image(x: TensorLike) -> TensorLike:
    return reshape(x, shape=(x.shape[0], 1, *x.shape[1:]))


def _as_sides(name: str, padding: int | Pair | str) -> Padding:
    return padding if isinstance(padding, str) else ((0, 0), pair(name, "padding", padding, 0))
