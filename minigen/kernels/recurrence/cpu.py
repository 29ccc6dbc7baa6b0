# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""Recurrent networks for float32 NumPy arrays, compiled by Numba; `reference.py` says what is computed.

Threads share out the sequences, not the work of a step: each walks all of time with its own few sequences, and they meet once in the end.
A step is a product of the states with the recurrent weight, then the gates, sequence by sequence, while they are in the processor's
cache. The product is that of the convolutions, `tile.py`. It reads the weight in blocks of up to 64 columns, which are laid out one
after the other before the walk, unless that would take longer than the walk itself.

The loops over features are short and many. The compiled code runs a loop in vectors only after it has seen that no two of its arrays
overlap, and with many arrays there is no such code at all. So a loop has few, and what it overwrites is among them once.
"""

from collections.abc import Callable

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ONE
from minigen.kernels.compiler import inner, loop
from minigen.kernels.memory import APART
from minigen.kernels.recurrence import reference
from minigen.kernels.recurrence.gates import (
    add,
    between,
    candidates,
    lstm_cell,
    lstm_cell_backward,
    scale,
    sigmoids,
    tanhs,
    through_sigmoid,
    through_tanh,
)
from minigen.kernels.threads import in_pieces
from minigen.kernels.tile import ROWS, lanes_of, multiply, six_rows, whole_vectors
from minigen.kernels.vectors import copy

_ENOUGH_PRODUCTS = 2**21
"""Multiplications that are worth a thread."""

_ROWS_WORTH_BLOCKS = 48
"""Rows that the weight must serve before it is worth laying out in blocks, or transposing."""


# -------------------------------------------------------------------------------------------------------- the product


@loop
def _lay_out(blocks, weight):
    """Fill blocks, flat, with the columns of weight, (K, L): up to 64 at a time, zeros beyond the last."""
    k, outputs = weight.shape
    lanes = blocks.size // k
    lane = 0
    while lane < lanes:
        wide = lanes_of(lanes - lane)
        used = min(wide, outputs - lane)
        for i in range(k):
            row = blocks[k * lane + i * wide : k * lane + (i + 1) * wide]
            copy(row[:used], weight[i, lane : lane + used])
            row[used:] = 0
        lane += wide


def _blocks(weight: Array, rows: int) -> tuple[Array, int]:
    """Return the weight, (K, L), flat, and its pitch: from one of its rows to the next, or 0 if it lies in blocks."""
    weight = np.ascontiguousarray(weight)
    k, outputs = weight.shape
    if rows < _ROWS_WORTH_BLOCKS and outputs == whole_vectors(outputs):
        return weight.ravel(), outputs
    blocks = np.empty(k * whole_vectors(outputs), np.float32)
    _lay_out(blocks, weight)
    return blocks, 0


@inner
def _multiply(out, start, start_apart, a, k, blocks, pitch, tables):
    """out[m] = start[m] + a[m] W for the first k features of a; start has the same row for all m if `start_apart` is 0."""
    rows, lanes = len(out), blocks.size // k
    out_rows, start_rows, a_rows, short = tables[0], tables[1], tables[2], tables[3]
    zero, terms = tables[4], tables[5]
    for m in range(rows):
        out_rows[m] = m * (out.strides[0] // 4)
        start_rows[m] = m * start_apart
        a_rows[m] = m * (a.strides[0] // 4)
    zero[0] = 0
    terms[0] = k
    lane = 0
    while lane < lanes:
        wide = lanes_of(lanes - lane)
        first, step = (lane, pitch) if pitch > 0 else (k * lane, wide)
        for m in range(0, rows, ROWS):
            # Rows that repeat are looked up in the same piece of the table, one after the other.
            at_out = six_rows(out_rows, m, rows, short)
            at_start = six_rows(start_rows, m, rows, short[ROWS:])
            at_a = six_rows(a_rows, m, rows, short[2 * ROWS :])
            multiply(
                wide, out.ctypes.data + 4 * lane, at_out, start.ctypes.data + 4 * lane, at_start, a.ctypes.data, at_a,
                zero.ctypes.data, 1, blocks.ctypes.data + 4 * first, zero.ctypes.data, step, 1, terms.ctypes.data,
            )  # fmt: skip
        lane += wide


@inner
def _tables(rows):
    return np.empty((6, max(rows, 3 * ROWS)), np.int64)


def _in_sequences(work: Callable[[int, int], object], projected: Array, weight: Array) -> None:
    """Share out the sequences of `projected`, (N, T, G H)."""
    products = max(1, projected.shape[1] * weight.size)  # of a sequence
    in_pieces(work, len(projected), -(-_ENOUGH_PRODUCTS // products))


def _padded(*vectors: Array) -> Array:
    """Return the vectors as one, with zeros up to whole registers."""
    vector = np.concatenate(vectors)
    return np.concatenate([vector, np.zeros(whole_vectors(vector.size) - vector.size, np.float32)])


def _steps_of(mask: Array | None) -> Array:
    """Return the mask as a loop takes it: it has no elements if there is none."""
    return np.empty((0, 0), np.float32) if mask is None else np.ascontiguousarray(mask)


# ---------------------------------------------------------------------------------------------------------------- RNN


@loop
def _rnn_forward(states, blocks, pitch, bias, hidden, mask, reverse):
    rows, steps, features = states.shape
    total = np.empty((rows, bias.size + APART), np.float32)
    h = np.empty((rows, features + APART), np.float32)
    h[:, :features] = hidden
    tables = _tables(rows)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        _multiply(total, bias, 0, h, features, blocks, pitch, tables)
        for m in range(rows):
            new = h[m, :features]
            if mask.size == 0 or mask[m, t] > 0:
                copy(new, states[m, t])
                tanhs(new, total[m])
            copy(states[m, t], new)


def rnn_forward(
    projected: Array, weight: Array, bias: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> Array:
    blocks, pitch = _blocks(weight, projected.shape[0] * projected.shape[1])
    start, on, hidden = _padded(bias), _steps_of(mask), np.ascontiguousarray(hidden)

    def work(a: int, b: int) -> None:
        _rnn_forward(projected[a:b], blocks, pitch, start, hidden[a:b], on[a:b], reverse)

    _in_sequences(work, projected, weight)
    return projected


@loop
def _rnn_backward(out, first, g, states, blocks, pitch, mask, reverse):
    rows, steps, features = states.shape
    slopes = np.empty((rows, features + APART), np.float32)
    carried = np.zeros((rows, blocks.size // features + APART), np.float32)
    ones = np.ones(features, np.float32)
    tables = _tables(rows)
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        for m in range(rows):
            back, slope = carried[m, :features], slopes[m, :features]
            add(back, g[m, t])
            if mask.size == 0 or mask[m, t] > 0:
                through_tanh(slope, back, ones, states[m, t])
                back[:] = 0
            else:
                slope[:] = 0
            copy(out[m, t], slope)
        _multiply(carried, carried, carried.shape[1], slopes, features, blocks, pitch, tables)
    first[:] = carried[:, :features]


def rnn_backward(g: Array, states: Array, weight: Array, mask: Array | None, *, reverse: bool) -> tuple[Array, Array]:
    n, steps, features = states.shape
    if n * steps < _ROWS_WORTH_BLOCKS and mask is None:
        return reference.rnn_backward(g, states, weight, mask, reverse=reverse)
    blocks, pitch = _blocks(weight.T, n * steps)
    out, first = np.empty_like(states), np.empty((n, features), np.float32)
    g, on = np.ascontiguousarray(g), _steps_of(mask)

    def work(a: int, b: int) -> None:
        _rnn_backward(out[a:b], first[a:b], g[a:b], states[a:b], blocks, pitch, on[a:b], reverse)

    _in_sequences(work, states, weight)
    return out, first


# ---------------------------------------------------------------------------------------------------------------- GRU


@loop
def _gru_forward(states, gates, products, blocks, pitch, start, bias, hidden, mask, reverse):
    """start: the bias of r and z and that of q; bias: that of n, (H,)."""
    rows, steps, features = states.shape
    total = np.empty((rows, start.size + APART), np.float32)
    h = np.empty((rows, features + APART), np.float32)
    h[:, :features] = hidden
    tables = _tables(rows)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        _multiply(total, start, 0, h, features, blocks, pitch, tables)
        for m in range(rows):
            new = h[m, :features]
            if mask.size == 0 or mask[m, t] > 0:
                gate, q = gates[m, t], products[m, t]
                copy(q, total[m, 2 * features : 3 * features])
                both, n = gate[: 2 * features], gate[2 * features :]
                sigmoids(both, total[m])
                candidates(n, bias, both, q)
                between(new, both[features:], n)
            copy(states[m, t], new)


def gru_forward(
    projected: Array, weight: Array, bias: Array, bias_n: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    (n, steps, _), features = projected.shape, hidden.shape[1]
    blocks, pitch = _blocks(weight, n * steps)
    start, bias = _padded(bias[: 2 * features], bias_n), np.ascontiguousarray(bias[2 * features :])
    on, hidden = _steps_of(mask), np.ascontiguousarray(hidden)
    states, products = (np.empty((n, steps, features), np.float32) for _ in range(2))

    def work(a: int, b: int) -> None:
        _gru_forward(
            states[a:b], projected[a:b], products[a:b], blocks, pitch, start, bias, hidden[a:b], on[a:b], reverse
        )

    _in_sequences(work, projected, weight)
    return states, projected, products


@loop
def _gru_backward(out, out_q, first, g, states, gates, products, blocks, pitch, hidden, mask, reverse):
    rows, steps, features = states.shape
    slopes = np.empty((rows, 3 * features + APART), np.float32)
    carried = np.zeros((rows, blocks.size // (3 * features) + APART), np.float32)
    difference, rest = np.empty(features, np.float32), np.empty(features, np.float32)
    tables = _tables(rows)
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        before = t + 1 if reverse else t - 1
        for m in range(rows):
            back, slope = carried[m, :features], slopes[m, : 3 * features]
            add(back, g[m, t])
            if mask.size > 0 and not mask[m, t] > 0:
                slope[:] = 0
                out[m, t] = 0
                out_q[m, t] = 0
                continue
            old = states[m, before] if 0 <= before < steps else hidden[m]
            gate, q = gates[m, t], products[m, t]
            r, z, n = gate[:features], gate[features : 2 * features], gate[2 * features :]
            to_r, to_z, to_n = slope[:features], slope[features : 2 * features], slope[2 * features :]
            for k in range(features):
                difference[k] = old[k] - n[k]
            for k in range(features):
                rest[k] = ONE - z[k]
            through_sigmoid(to_z, back, difference, z)
            through_tanh(to_n, back, rest, n)
            through_sigmoid(to_r, to_n, q, r)
            copy(out[m, t], slope)
            scale(to_n, r)
            copy(out_q[m, t], to_n)
            scale(back, z)
        _multiply(carried, carried, carried.shape[1], slopes, 3 * features, blocks, pitch, tables)
    first[:] = carried[:, :features]


def gru_backward(
    g: Array, states: Array, gates: Array, products: Array, weight: Array, hidden: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:  # fmt: skip
    n, steps, features = states.shape
    if n * steps < _ROWS_WORTH_BLOCKS and mask is None:
        return reference.gru_backward(g, states, gates, products, weight, hidden, mask, reverse=reverse)
    blocks, pitch = _blocks(weight.T, n * steps)
    out, out_q, first = np.empty_like(gates), np.empty_like(states), np.empty((n, features), np.float32)
    g, on, hidden = np.ascontiguousarray(g), _steps_of(mask), np.ascontiguousarray(hidden)

    def work(a: int, b: int) -> None:
        _gru_backward(
            out[a:b], out_q[a:b], first[a:b], g[a:b], states[a:b], gates[a:b], products[a:b], blocks, pitch, hidden[a:b], on[a:b],
            reverse,
        )  # fmt: skip

    _in_sequences(work, gates, weight)
    return out, out_q, first


# --------------------------------------------------------------------------------------------------------------- LSTM


@loop
def _lstm_forward(states, gates, cells, blocks, pitch, bias, hidden, cell, mask, reverse):
    rows, steps, features = cells.shape
    total = np.empty((rows, bias.size + APART), np.float32)
    h = np.empty((rows, features + APART), np.float32)
    h[:, :features] = hidden
    c = cell.copy()
    tables = _tables(rows)
    for step in range(steps):
        t = steps - 1 - step if reverse else step
        _multiply(total, bias, 0, h, features, blocks, pitch, tables)
        for m in range(rows):
            new = h[m, :features]
            if mask.size == 0 or mask[m, t] > 0:
                lstm_cell(new, c[m], gates[m, t], total[m])
            copy(states[m, t], new)
            copy(cells[m, t], c[m])
    states[:, steps] = c


def lstm_forward(
    projected: Array, weight: Array, bias: Array, hidden: Array, cell: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    (n, steps, _), features = projected.shape, hidden.shape[1]
    blocks, pitch = _blocks(weight, n * steps)
    start, on = _padded(bias), _steps_of(mask)
    hidden, cell = np.ascontiguousarray(hidden), np.ascontiguousarray(cell)
    states, cells = np.empty((n, steps + 1, features), np.float32), np.empty((n, steps, features), np.float32)

    def work(a: int, b: int) -> None:
        _lstm_forward(
            states[a:b], projected[a:b], cells[a:b], blocks, pitch, start, hidden[a:b], cell[a:b], on[a:b], reverse
        )

    _in_sequences(work, projected, weight)
    return states, projected, cells


@loop
def _lstm_backward(out, first, first_cell, g, gates, cells, blocks, pitch, cell, mask, reverse):
    rows, steps, features = cells.shape
    slopes = np.empty((rows, 4 * features + APART), np.float32)
    carried = np.zeros((rows, blocks.size // (4 * features) + APART), np.float32)
    back_cells = g[:, steps].copy()
    bounded, ones = np.empty(features, np.float32), np.ones(features, np.float32)
    tables = _tables(rows)
    for step in range(steps):
        t = step if reverse else steps - 1 - step
        before = t + 1 if reverse else t - 1
        for m in range(rows):
            back, back_cell, slope = carried[m, :features], back_cells[m], slopes[m, : 4 * features]
            add(back, g[m, t])
            if mask.size > 0 and not mask[m, t] > 0:
                slope[:] = 0
                out[m, t] = 0
                continue
            old = cells[m, before] if 0 <= before < steps else cell[m]
            lstm_cell_backward(slope, back_cell, back, gates[m, t], cells[m, t], old, ones, bounded)
            copy(out[m, t], slope)
            back[:] = 0
        _multiply(carried, carried, carried.shape[1], slopes, 4 * features, blocks, pitch, tables)
    first[:] = carried[:, :features]
    first_cell[:] = back_cells


def lstm_backward(
    g: Array, gates: Array, cells: Array, weight: Array, cell: Array, mask: Array | None, *, reverse: bool
) -> tuple[Array, Array, Array]:
    rows = cells.shape[0] * cells.shape[1]
    if rows < _ROWS_WORTH_BLOCKS and mask is None:
        return reference.lstm_backward(g, gates, cells, weight, cell, mask, reverse=reverse)
    blocks, pitch = _blocks(weight.T, rows)
    out, first, first_cell = np.empty_like(gates), np.empty_like(cell, order="C"), np.empty_like(cell, order="C")
    g, on, cell = np.ascontiguousarray(g), _steps_of(mask), np.ascontiguousarray(cell)

    def work(a: int, b: int) -> None:
        _lstm_backward(
            out[a:b], first[a:b], first_cell[a:b], g[a:b], gates[a:b], cells[a:b], blocks, pitch, cell[a:b], on[a:b], reverse
        )  # fmt: skip

    _in_sequences(work, gates, weight)
    return out, first, first_cell
