# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""The gated activation unit for float32 NumPy arrays, compiled by Numba. Nothing is cut in halves: each row is read where it stands."""

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ONE, TANH, logistic, saturating
from minigen.kernels.compiler import inner, loop
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces


@inner
def gated(out, a, b):
    """out <- tanh(a) sigmoid(b)."""
    for k in range(out.size):
        out[k] = saturating(a[k], TANH) * logistic(b[k])


@inner
def _both(t, s, a, b):
    """t <- tanh(a), s <- sigmoid(b)."""
    for k in range(t.size):
        t[k] = saturating(a[k], TANH)
        s[k] = logistic(b[k])


@inner
def _through(t, s, g):
    """t <- g (1 - t^2) s, s <- g t s (1 - s)."""
    for k in range(t.size):
        gs, shown = g[k] * s[k], t[k]
        t[k] = gs * (ONE - shown) * (ONE + shown)
        s[k] = gs * shown * (ONE - s[k])


@loop
def _gated_tanh(out, x, first, last):
    p = out.shape[1]
    for r in range(first, last):
        gated(out[r], x[r, :p], x[r, p:])


@loop
def _gated_tanh_backward(out, g, x, first, last):
    p = g.shape[1]
    for r in range(first, last):
        t, s = out[r, :p], out[r, p:]
        _both(t, s, x[r, :p], x[r, p:])
        _through(t, s, g[r])


def _rows(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def _pieces(length: int) -> int:
    """Return how many rows are worth a thread."""
    return -(-SMALLEST_PIECE // max(1, length))


def gated_tanh(x: Array) -> Array:
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    out = np.empty(shape, np.float32)
    if out.size:
        to, rows = _rows(out), _rows(x)
        in_pieces(lambda a, b: _gated_tanh(to, rows, a, b), len(rows), _pieces(shape[-1]))
    return out


def gated_tanh_backward(g: Array, x: Array) -> Array:
    out = np.empty(x.shape, np.float32)
    if out.size:
        to, factors, rows = _rows(out), _rows(g), _rows(x)
        in_pieces(lambda a, b: _gated_tanh_backward(to, factors, rows, a, b), len(rows), _pieces(x.shape[-1]))
    return out
