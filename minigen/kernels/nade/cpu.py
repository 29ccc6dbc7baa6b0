# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""NADE for float32 NumPy arrays, compiled by Numba; `reference.py` says what is computed.

Threads share out the examples, and each walks all sites with its own. A few examples at a time go through a site together, so that their
sums stay in the cache while the site's weights serve all of them. Where x_i is 0, as most bits are, there is nothing to add.
"""

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ONE, ZERO, logistic
from minigen.kernels.compiler import inner, loop, summing
from minigen.kernels.threads import in_pieces
from minigen.kernels.vectors import copy, dot

_TOGETHER = 16
"""Examples that go through a site together."""

_ENOUGH_UNITS = 2**17
"""Hidden units, over all sites, that are worth a thread."""


@inner
def _weighted(v, a):
    return v * logistic(a)


@summing
def _logit(v, a):
    """The sum of v s(a)."""
    found = ZERO
    for k in range(v.size):
        found += _weighted(v[k], a[k])
    return found


@inner
def _add_scaled(to, factor, row):
    for k in range(to.size):
        to[k] += factor * row[k]


@inner
def _hide(h, a):
    """h <- s(a)."""
    for k in range(h.size):
        h[k] = logistic(a[k])


@inner
def _hand_down(behind, g, v, h):
    """d <- d + g v h (1 - h)."""
    for k in range(behind.size):
        behind[k] += g * v[k] * h[k] * (ONE - h[k])


@loop
def _forward(logits, x, weight, hidden_bias, out_weight, bias, first, last):
    sums = np.empty((_TOGETHER, hidden_bias.size), np.float32)
    for start in range(first, last, _TOGETHER):
        rows = min(_TOGETHER, last - start)
        for m in range(rows):
            copy(sums[m], hidden_bias)
        for i in range(x.shape[1]):
            w, v = weight[i], out_weight[i]
            for m in range(rows):
                logits[start + m, i] = _logit(v, sums[m]) + bias[i]
                if x[start + m, i] != ZERO:
                    _add_scaled(sums[m], x[start + m, i], w)


def nade_forward(x: Array, weight: Array, hidden_bias: Array, out_weight: Array, bias: Array) -> Array:
    logits = np.empty(x.shape, np.float32)
    weight, hidden_bias, out_weight = (np.ascontiguousarray(a) for a in (weight, hidden_bias, out_weight))
    in_pieces(
        lambda first, last: _forward(logits, x, weight, hidden_bias, out_weight, bias, first, last),
        len(x),
        -(-_ENOUGH_UNITS // max(1, weight.size)),
    )
    return logits


@loop
def _backward(to_x, to_weight, to_bias, to_out_weight, sums, behind, hidden, g, x, weight, out_weight):
    """The rows of sums end as those before the first site; behind is 0 at first; hidden is one row to work in."""
    for start in range(0, len(x), _TOGETHER):
        stop = min(start + _TOGETHER, len(x))
        for i in range(x.shape[1] - 1, -1, -1):
            w, v, to_w, to_v = weight[i], out_weight[i], to_weight[i], to_out_weight[i]
            for m in range(start, stop):
                to_x[m, i] = dot(behind[m], w)
                if x[m, i] != ZERO:
                    _add_scaled(to_w, x[m, i], behind[m])
                    _add_scaled(sums[m], -x[m, i], w)
                _hide(hidden, sums[m])
                _add_scaled(to_v, g[m, i], hidden)
                _hand_down(behind[m], g[m, i], v, hidden)
        for m in range(start, stop):
            _add_scaled(to_bias, ONE, behind[m])


def nade_backward(
    g: Array, x: Array, weight: Array, hidden_bias: Array, out_weight: Array
) -> tuple[Array, Array, Array, Array]:
    weight, out_weight = np.ascontiguousarray(weight), np.ascontiguousarray(out_weight)
    sums = x @ weight + hidden_bias  # (N, H), after the last site
    to_x, behind = np.empty(x.shape, np.float32), np.zeros_like(sums)
    shares = []  # of each piece, its cotangents of W, c and V

    def work(first: int, last: int) -> None:
        share = tuple(np.zeros(shape, np.float32) for shape in (weight.shape, hidden_bias.shape, weight.shape))
        hidden = np.empty(hidden_bias.shape, np.float32)
        rows = slice(first, last)
        _backward(to_x[rows], *share, sums[rows], behind[rows], hidden, g[rows], x[rows], weight, out_weight)
        shares.append((first, share))

    in_pieces(work, len(x), -(-_ENOUGH_UNITS // max(1, weight.size)))
    totals, *others = (share for _, share in sorted(shares, key=lambda piece: piece[0]))
    for share in others:  # in the order of the pieces, so that every run adds alike
        for total, part in zip(totals, share, strict=True):
            total += part
    to_weight, to_bias, to_out_weight = totals
    return to_x, to_weight, to_bias, to_out_weight
