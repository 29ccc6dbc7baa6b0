"""Cases of windows in images: pooling, upsampling, pixel shuffling."""

from typing import Any

import numpy as np

import minigen as mg
from minigen.ops.pool import Windows, window_max, window_pick, window_put, window_spread, window_sum
from ops.cases.case import case, distinct, normal


def seen_by_windows(x: np.ndarray, size: Any, stride: Any, padding: Any, fill: float) -> np.ndarray:
    """What every window sees, (N, H', W', C, K_H, K_W), with a number outside the image; settings are pairs or numbers."""
    (height, width), (down, right), (above, left) = (
        (n, n) if isinstance(n, int) else n for n in (size, stride, padding)
    )
    padded = np.pad(x, ((0, 0), (above, above), (left, left), (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))[:, ::down, ::right]


def max_pooled(x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0) -> np.ndarray:
    return seen_by_windows(x, kernel_size, stride or kernel_size, padding, -np.inf).max((-2, -1))


def avg_pooled(
    x: np.ndarray, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> np.ndarray:
    outside = 0.0 if count_include_pad else np.nan
    return np.nanmean(seen_by_windows(x, kernel_size, stride or kernel_size, padding, outside), (-2, -1))


side_by_side = {"kernel_size": 2}
overlapping = {"kernel_size": 3, "stride": 2, "padding": 1}
oblong = {"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 1)}
apart = {"kernel_size": 1, "stride": 2}
for settings in (side_by_side, overlapping, oblong, apart):
    label = ",".join(f"{name}={value}" for name, value in settings.items()).replace(" ", "")
    case(mg.max_pool2d, distinct(2, 5, 4, 2), label=label, expected=max_pooled, **settings)
    case(mg.avg_pool2d, normal(2, 5, 4, 2), label=label, expected=avg_pooled, **settings)
case(mg.max_pool2d, distinct(0, 4, 4, 1), label="no images", expected=max_pooled, **side_by_side)
case(
    mg.avg_pool2d,
    normal(2, 4, 5, 2),
    label="count_include_pad=False",
    count_include_pad=False,
    expected=avg_pooled,
    **overlapping,
)


def added_by_windows(y: np.ndarray, windows: Windows, weights: Any, length: int) -> np.ndarray:
    """One value after the other, `weights` a sequence or an array (K, *y.shape)."""
    y = np.moveaxis(y, windows.axis, 0)
    out = np.zeros((length, *y.shape[1:]))
    for o, k in np.ndindex(len(y), windows.size):
        i = windows.stride * o + k - windows.padding
        if 0 <= i < length:
            out[i] += y[o] * (weights[k] if isinstance(weights, tuple) else np.moveaxis(weights[k], windows.axis, 0)[o])
    return np.moveaxis(out, 0, windows.axis)


def along(windows: Windows, x: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """What every window along one axis sees, (N, H', W', C, K)."""
    pairs = [(n, other) if windows.axis == 1 else (other, n) for n, other in zip(
        (windows.size, windows.stride, windows.padding), (1, 1, 0), strict=True)]  # fmt: skip
    return seen_by_windows(x, *pairs, fill).reshape(*windows.output_shape(x.shape), windows.size)


for windows in (Windows(1, 2, 2, 0), Windows(2, 3, 2, 1), Windows(2, 1, 2, 0), Windows(1, 4, 3, 2)):
    weights = (1.0, 0.5, -2.0, 0.25)[: windows.size]
    x = distinct(2, 5, 6, 2)
    length, y = x.shape[windows.axis], normal(*windows.output_shape(x.shape))
    choice = np.argmax(along(windows, x, -np.inf), -1)
    label = f"{windows.axis},{windows.size},{windows.stride},{windows.padding}"
    case(
        window_sum,
        x,
        windows=windows,
        weights=weights,
        label=label,
        expected=lambda x, windows, weights: along(windows, x) @ np.array(weights),
    )
    case(window_spread, y, windows=windows, weights=weights, length=length, label=label, expected=added_by_windows)
    case(window_max, x, windows=windows, label=label, expected=lambda x, windows: along(windows, x, -np.inf).max(-1))
    case(
        window_put,
        y,
        choice,
        windows=windows,
        length=length,
        label=label,
        expected=lambda y, choice, windows, length: added_by_windows(
            y, windows, np.stack([choice == k for k in range(windows.size)]), length
        ),
    )
    case(
        window_pick,
        normal(*x.shape),
        choice,
        windows=windows,
        label=label,
        expected=lambda x, choice, windows: np.take_along_axis(along(windows, x), choice[..., None], -1)[..., 0],
    )


def upsampled(x: np.ndarray, factor: int, mode: str = "nearest") -> np.ndarray:
    if mode == "nearest":
        return x.repeat(factor, 1).repeat(factor, 2)
    for axis in (1, 2):  # the middle of output o, in units of pixels whose middles are whole numbers
        at = np.clip((np.arange(factor * x.shape[axis]) + 0.5) / factor - 0.5, 0, x.shape[axis] - 1)
        left = np.floor(at).astype(int)
        right = np.minimum(left + 1, x.shape[axis] - 1)
        share = (at - left).reshape(-1, *(1 for _ in x.shape[axis + 1 :]))
        x = (1 - share) * x.take(left, axis) + share * x.take(right, axis)
    return x


for factor in (1, 2, 3):
    for mode in ("nearest", "bilinear"):
        label = f"factor={factor},{mode}"
        case(mg.upsample2d, normal(2, 2, 3, 2), factor=factor, mode=mode, label=label, expected=upsampled)
case(mg.upsample2d, normal(1, 1, 1, 1), factor=4, mode="bilinear", label="one pixel", expected=upsampled)


def shuffled(x: np.ndarray, factor: int) -> np.ndarray:
    """Shi et al. 2016, equation 4, with PyTorch's order of the channels, pixel by pixel."""
    n, height, width, channels = x.shape
    out = np.zeros((n, factor * height, factor * width, channels // factor**2))
    for row, column, c in np.ndindex(*out.shape[1:]):
        place = c * factor**2 + factor * (row % factor) + column % factor
        out[:, row, column, c] = x[:, row // factor, column // factor, place]
    return out


def unshuffled(x: np.ndarray, factor: int) -> np.ndarray:
    places = shuffled(
        np.arange(x[0].size, dtype=float).reshape(1, x.shape[1] // factor, x.shape[2] // factor, -1), factor
    )
    order = np.argsort(places.ravel())
    return x.reshape(len(x), -1)[:, order].reshape(len(x), x.shape[1] // factor, x.shape[2] // factor, -1)


case(mg.pixel_shuffle, normal(2, 2, 3, 8), factor=2, expected=shuffled)
case(mg.pixel_shuffle, normal(1, 2, 1, 9), factor=3, expected=shuffled, label="one channel")
case(mg.pixel_unshuffle, normal(2, 4, 6, 2), factor=2, expected=unshuffled)
