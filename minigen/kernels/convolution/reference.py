"""Convolution, its transpose and the gradient of its weight, by their definitions: one matrix product for each live tap.

With x (N, H, W, C), weight (kh, kw, C, K), y (N, P, Q, K), and tap (i, j) reading the input row h = s p + d i - t as `geometry` says:

    convolve             y[n, p, q, :] = sum over taps of x[n, h, w, :] @ weight[i, j]
    convolve_transposed  x[n, h, w, :] = sum over taps of y[n, p, q, :] @ weight[i, j]^T
    convolve_weight      weight[i, j]  = sum over n, p, q of x[n, h, w, :]^T y[n, p, q, :]

The three are one trilinear form, sum over taps of x[n, h, w, c] weight[i, j, c, k] y[n, p, q, k], differentiated by y, by x and by weight:
so each is the gradient of the others. With G groups, weight is (kh, kw, C/G, K), and channels fall into G blocks that do not meet.

NumPy and CuPy, any float dtype. A tap moves N P Q (C + K) numbers for 2 N P Q C K operations.
"""

import math
from types import ModuleType

from minigen.backend import Array, array_module
from minigen.kernels.convolution.geometry import Geometry


def convolve(x: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    """Return the convolution of x with weight, plus bias.

    Args:
        x: (N, H, W, C).
        weight: (kh, kw, C/G, K).
        bias: (K,) or None.
        geometry: sizes, taps, groups G.

    Returns:
        (N, P, Q, K).

    Example:
        >>> import numpy as np
        >>> line = Geometry((1, 3), (1, 2), (1, 2), (1, 1), (0, 0), (1, 1), 1, ((0, 0), (0, 1)))
        >>> convolve(np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1), np.array([1.0, 10.0]).reshape(1, 2, 1, 1), None, geometry=line).ravel()
        array([21., 42.])
    """
    module = array_module(x, weight)
    out = module.zeros((len(x), *geometry.out_size, weight.shape[3]), x.dtype)
    padded = _padded(x, geometry, module)
    for i, j in geometry.taps:
        seen = padded[_window(i, j, geometry)]  # (N, P, Q, C)
        for inputs, outputs in _groups(geometry, x.shape[3], weight.shape[3]):
            out[..., outputs] += seen[..., inputs] @ weight[i, j][:, outputs]
    return out if bias is None else out + bias


def convolve_transposed(y: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    """Return the transposed convolution of y with weight, plus bias; the arguments are named as in the convolution that it transposes.

    Args:
        y: (N, P, Q, K).
        weight: (kh, kw, C/G, K).
        bias: (C,) or None.
        geometry: sizes, taps, groups G.

    Returns:
        (N, H, W, C).

    Example:
        >>> import numpy as np
        >>> line = Geometry((1, 3), (1, 2), (1, 2), (1, 1), (0, 0), (1, 1), 1, ((0, 0), (0, 1)))
        >>> y, weight = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
        >>> convolve_transposed(y, weight, None, geometry=line).ravel()
        array([ 1., 12., 20.])
    """
    module = array_module(y, weight)
    (top, left), (height, width) = geometry.padding, geometry.size
    channels = weight.shape[2] * geometry.groups
    rows, columns = _padded_size(geometry)
    padded = module.zeros((len(y), rows, columns, channels), y.dtype)
    for i, j in geometry.taps:
        seen = padded[_window(i, j, geometry)]  # (N, P, Q, C), a view
        for inputs, outputs in _groups(geometry, channels, weight.shape[3]):
            seen[..., inputs] += y[..., outputs] @ weight[i, j][:, outputs].T
    out = padded[:, top : top + height, left : left + width]
    return out.copy() if bias is None else out + bias


def convolve_weight(x: Array, y: Array, *, geometry: Geometry) -> Array:
    """Return the gradient of sum(convolve(x, weight) * y) by weight; it is zero at taps that are not live.

    Args:
        x: (N, H, W, C).
        y: (N, P, Q, K).
        geometry: sizes, taps, groups G.

    Returns:
        (kh, kw, C/G, K).

    Example:
        >>> import numpy as np
        >>> line = Geometry((1, 3), (1, 2), (1, 2), (1, 1), (0, 0), (1, 1), 1, ((0, 0), (0, 1)))
        >>> x, y = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1), np.array([1.0, 10.0]).reshape(1, 1, 2, 1)
        >>> convolve_weight(x, y, geometry=line).ravel()
        array([21., 42.])
    """
    module = array_module(x, y)
    channels, outputs = x.shape[3], y.shape[3]
    weight = module.zeros((*geometry.kernel, channels // geometry.groups, outputs), x.dtype)
    padded = _padded(x, geometry, module)
    for i, j in geometry.taps:
        seen = padded[_window(i, j, geometry)]  # (N, P, Q, C)
        for inputs, group in _groups(geometry, channels, outputs):
            rows = seen[..., inputs].reshape(math.prod(y.shape[:3]), weight.shape[2])  # (N*P*Q, C/G)
            weight[i, j][:, group] = rows.T @ y[..., group].reshape(
                len(rows), outputs // geometry.groups
            )  # (C/G, N*P*Q) @ (N*P*Q, K/G)
    return weight


def _groups(geometry: Geometry, inputs: int, outputs: int) -> list[tuple[slice, slice]]:
    """Return each group's input and output channels."""
    c, k = inputs // geometry.groups, outputs // geometry.groups
    return [(slice(g * c, g * c + c), slice(g * k, g * k + k)) for g in range(geometry.groups)]


def _padded_size(geometry: Geometry) -> tuple[int, int]:
    """Return the rows and columns from the first to the last that a tap may read, or more if the image is larger."""
    reach = [
        d * (k - 1) + s * (p - 1) + 1
        for d, k, s, p in zip(geometry.dilation, geometry.kernel, geometry.stride, geometry.out_size, strict=True)
    ]
    image = [t + n for t, n in zip(geometry.padding, geometry.size, strict=True)]
    return max(reach[0], image[0]), max(reach[1], image[1])


def _padded(x: Array, geometry: Geometry, module: ModuleType) -> Array:
    (top, left), (height, width) = geometry.padding, geometry.size
    padded = module.zeros((len(x), *_padded_size(geometry), x.shape[3]), x.dtype)
    padded[:, top : top + height, left : left + width] = x
    return padded


def _window(i: int, j: int, geometry: Geometry) -> tuple[slice, ...]:
    """Return what tap (i, j) sees of the padded image: P rows and Q columns."""
    starts = (geometry.dilation[0] * i, geometry.dilation[1] * j)
    ends = [a + s * (p - 1) + 1 for a, s, p in zip(starts, geometry.stride, geometry.out_size, strict=True)]
    return (
        slice(None),
        slice(starts[0], ends[0], geometry.stride[0]),
        slice(starts[1], ends[1], geometry.stride[1]),
    )
