# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""The log-probability of a row of bits for float32 NumPy arrays, compiled by Numba.

The logits are read once, and nothing of their size is written. Bits that stand for several rows of logits are read again for each, from
the cache. Broadcasting of another kind is left to the reference.
"""

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ONE, ZERO, exp, log1p, logistic, select
from minigen.kernels.bits import reference
from minigen.kernels.compiler import inner, loop, summing
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces


@inner
def _bit_log_prob(x, logit):
    miss = select(logit > ZERO, ONE - x, x)
    return ZERO - select(miss == ZERO, ZERO, miss * abs(logit)) - log1p(exp(-abs(logit)))


@summing
def _row_log_prob(x, logits):
    total = ZERO
    for k in range(logits.size):
        total += _bit_log_prob(x[k], logits[k])
    return total


@loop
def _bits_log_prob(out, x, logits, first, last):
    for r in range(first, last):
        out[r] = _row_log_prob(x[r % len(x)], logits[r])


@loop
def _bits_log_prob_backward(out, g, x, logits, first, last):
    for r in range(first, last):
        to, bits, row, scale = out[r], x[r % len(x)], logits[r], g[r]
        for k in range(to.size):
            to[k] = scale * (bits[k] - logistic(row[k]))


def _is_repeated(x: Array, logits: Array) -> bool:
    """Return whether the rows of x, over and over, are those of the logits."""
    return x.size > 0 and logits.size > 0 and x.ndim > 0 and x.shape == logits.shape[logits.ndim - x.ndim :]


def _rows(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def _pieces(length: int) -> int:
    """Return how many rows are worth a thread."""
    return -(-SMALLEST_PIECE // length)


def bits_log_prob(x: Array, logits: Array) -> Array:
    if not _is_repeated(x, logits):
        return reference.bits_log_prob(x, logits)
    bits, rows, out = _rows(x), _rows(logits), np.empty(logits.shape[:-1], np.float32)
    flat = out.reshape(-1)  # a view
    in_pieces(lambda a, b: _bits_log_prob(flat, bits, rows, a, b), len(rows), _pieces(x.shape[-1]))
    return out


def bits_log_prob_backward(g: Array, x: Array, logits: Array) -> Array:
    if not _is_repeated(x, logits) or g.shape != logits.shape[:-1]:
        return reference.bits_log_prob_backward(g, x, logits)
    factors, bits, rows = np.ascontiguousarray(g).reshape(-1), _rows(x), _rows(logits)
    out = np.empty(rows.shape, np.float32)
    in_pieces(lambda a, b: _bits_log_prob_backward(out, factors, bits, rows, a, b), len(rows), _pieces(x.shape[-1]))
    return out.reshape(logits.shape)
