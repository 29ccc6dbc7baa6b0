# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""The gated activation unit for float32 CuPy arrays: a thread for each pair of a and b, in one launch."""

import math

from numba import cuda
from numba.core.types import float32, int64

from minigen.backend import Array, array_module
from minigen.kernels.cuda import ONE, _device, _kernel, _logistic, _split


@_device
def _place(i, half):
    """Where the i-th a stands in x; its b stands `half` numbers behind it."""
    row, k = _split(i, half)
    return 2 * half * row + k


@_kernel((float32, float32), int64)
def _gated_tanh(out, x, threads, half):
    i = cuda.grid(1)
    if i < threads:
        a = _place(i, half)
        out[i] = math.tanh(x[a]) * _logistic(x[a + half])


@_kernel((float32, float32, float32), int64)
def _gated_tanh_backward(out, g, x, threads, half):
    i = cuda.grid(1)
    if i < threads:
        a = _place(i, half)
        t, s = math.tanh(x[a]), _logistic(x[a + half])
        out[a] = g[i] * s * (ONE - t) * (ONE + t)
        out[a + half] = g[i] * t * s * (ONE - s)


def gated_tanh(x: Array) -> Array:
    half = x.shape[-1] // 2
    out = array_module(x).empty((*x.shape[:-1], half), x.dtype)
    _gated_tanh.queue(out.size, [out.ravel(), x.ravel()], half)
    return out


def gated_tanh_backward(g: Array, x: Array) -> Array:
    out = array_module(x).empty(x.shape, x.dtype)
    _gated_tanh_backward.queue(g.size, [out.ravel(), g.ravel(), x.ravel()], x.shape[-1] // 2)
    return out
