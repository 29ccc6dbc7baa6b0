# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""Sums of exponentials, and exponentials normalised by them, along the last axis of float32 NumPy arrays, compiled by Numba.

One row after the other is read, and read again, while it lies in the cache. Along another axis the reference serves.
"""

import math
from collections.abc import Callable

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ONE, ZERO, exp, log
from minigen.kernels.compiler import inner, loop, summing
from minigen.kernels.exponentials import reference
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces
from minigen.kernels.vectors import dot, largest, sum_of


@inner
def _exp_from(x, top):
    return exp(x - top)


@summing
def _write_exp(to, row, top):
    """Write exp(x - top), and return its sum."""
    total = ZERO
    for k in range(row.size):
        share = _exp_from(row[k], top)
        to[k] = share
        total += share
    return total


@summing
def _sum_exp(row, top):
    total = ZERO
    for k in range(row.size):
        total += _exp_from(row[k], top)
    return total


@loop
def _softmax(out, x, first, last):
    for r in range(first, last):
        to, row = out[r], x[r]
        scale = ONE / _write_exp(to, row, largest(row))
        for k in range(to.size):
            to[k] *= scale


@loop
def _softmax_backward(out, g, y, first, last):
    for r in range(first, last):
        to, factors, row = out[r], g[r], y[r]
        mean = dot(factors, row)
        for k in range(to.size):
            to[k] = row[k] * (factors[k] - mean)


@loop
def _log_softmax(out, x, first, last):
    for r in range(first, last):
        to, row = out[r], x[r]
        top = largest(row)
        total = _sum_exp(row, top)
        log_total = log(total) + (total - total)  # infinite or NaN, it leaves nothing else
        for k in range(to.size):
            to[k] = (row[k] - top) - log_total


@loop
def _log_softmax_backward(out, g, y, first, last):
    for r in range(first, last):
        to, factors, row = out[r], g[r], y[r]
        total = sum_of(factors)
        for k in range(to.size):
            to[k] = factors[k] - exp(row[k]) * total


@loop
def _logsumexp(out, x, first, last):
    for r in range(first, last):
        top = largest(x[r])
        top = top if abs(top) < np.inf else ZERO  # so that inf - inf does not arise
        out[r] = top + np.float32(math.log(_sum_exp(x[r], top)))


def _along_rows(plain: Callable[..., Array], compiled: Callable[..., None], piece: int) -> Callable[..., Array]:
    """Make a kernel of a loop that fills the rows of its first matrix from those of the others; `piece` numbers are worth a thread."""

    def kernel(*arrays: Array, axis: int) -> Array:
        shape = arrays[0].shape
        if arrays[0].size == 0 or not shape or any(array.shape != shape for array in arrays):
            return plain(*arrays, axis=axis)
        if type(axis) is not int or axis not in (-1, len(shape) - 1):
            return plain(*arrays, axis=axis)
        rows = [np.ascontiguousarray(array).reshape(-1, shape[-1]) for array in arrays]
        out = np.empty(rows[0].shape, np.float32)
        in_pieces(lambda first, last: compiled(out, *rows, first, last), len(out), -(-piece // shape[-1]))
        return out.reshape(shape)

    return kernel


softmax = _along_rows(reference.softmax, _softmax, 4 * SMALLEST_PIECE)
softmax_backward = _along_rows(reference.softmax_backward, _softmax_backward, 8 * SMALLEST_PIECE)
log_softmax = _along_rows(reference.log_softmax, _log_softmax, 4 * SMALLEST_PIECE)
log_softmax_backward = _along_rows(reference.log_softmax_backward, _log_softmax_backward, 8 * SMALLEST_PIECE)


def logsumexp(x: Array, *, axes: tuple[int, ...]) -> Array:
    if x.size == 0 or axes not in ((-1,), (x.ndim - 1,)):
        return reference.logsumexp(x, axes=axes)
    rows, out = np.ascontiguousarray(x).reshape(-1, x.shape[-1]), np.empty((*x.shape[:-1], 1), np.float32)
    flat = out.ravel()  # a view
    in_pieces(lambda a, b: _logsumexp(flat, rows, a, b), len(rows), -(-4 * SMALLEST_PIECE // x.shape[-1]))
    return out
