# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""The walk for float32 NumPy arrays: one compiled call computes all layers at a pixel, or all those of a whole row.

Where the numbers stand, `tables.py` says. A sum of products is that of `tile.py`: its rows are examples, or pairs of a column and an
example; its lanes are channels of the output; a jump leads to a tap. Nothing is gathered, and nothing is computed twice. Threads share out
the examples.
"""

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import ZERO, above
from minigen.kernels.compiler import inner, loop
from minigen.kernels.gated.cpu import gated
from minigen.kernels.memory import APART
from minigen.kernels.raster import tables
from minigen.kernels.raster.network import Network
from minigen.kernels.raster.tables import Group, TableWalk
from minigen.kernels.recurrence.gates import add, lstm_cell
from minigen.kernels.threads import in_pieces
from minigen.kernels.tile import LANES, in_blocks, multiply_taps, room_for_taps, whole_vectors
from minigen.kernels.vectors import copy

_ENOUGH_PRODUCTS = 2**21
"""Multiplications that are worth a thread, which has to be woken up for each pixel."""

_AT_ONCE = 96
"""Rows of a product: what is computed of them stays in the cache until it has been activated."""


@inner
def _positive(out, total):
    for k in range(out.size):
        out[k] = above(total[k], ZERO)


@inner
def _place(planes, plane, row, column, example, examples):
    """Where an example's channels at a pixel stand in the memory."""
    start = planes[plane, tables.START] + (row % planes[plane, tables.RING]) * planes[plane, tables.PITCH]
    return start + (column * examples + example) * planes[plane, tables.CHANNELS]


@inner
def _sums(totals, first, last, a, b, row, layer, memory, weights, biases, planes, jumps, examples, room):
    """totals[m] = the sum of products and the bias, for each pair m of a column and an example."""
    out_rows, bias_rows, source_rows, _, _, _ = room
    source, taps = layer[tables.SOURCE], layer[tables.TAPS]
    channels = planes[source, tables.CHANNELS]
    m = 0
    for column in range(first, last):
        for example in range(a, b):
            out_rows[m] = m * (totals.strides[0] // 4)
            bias_rows[m] = example * layer[tables.BIAS_APART]
            # The ring is in the jumps: they lead from the first row of the plane.
            source_rows[m] = (column * examples + example) * channels
            m += 1
    multiply_taps(
        m, -(-layer[tables.OUTPUTS] // LANES) * LANES, totals.ctypes.data, biases.ctypes.data + 4 * layer[tables.BIAS],
        memory.ctypes.data + 4 * planes[source, tables.START],
        jumps.ctypes.data + 8 * (layer[tables.JUMPS] + (row % planes[source, tables.RING]) * taps), taps, channels,
        weights.ctypes.data + 4 * layer[tables.WEIGHT], room,
    )  # fmt: skip


@inner
def _finish(total, nothing, layer, memory, planes, row, column, example, examples):
    """What comes after the sums, for one example at one pixel; total has K numbers, `nothing` as many zeros."""
    channel, k = layer[tables.CHANNEL], total.size
    for n in range(tables.ADDED, layer.size):
        if layer[n] != tables.NONE:
            at = channel + _place(planes, layer[n], row, column, example, examples)
            add(total, memory[at : at + k])
    if layer[tables.KEPT] != tables.NONE:
        at = channel + _place(planes, layer[tables.KEPT], row, column, example, examples)
        copy(memory[at : at + k], total)
    first = layer[tables.FIRST]
    at = first + _place(planes, layer[tables.TARGET], row, column, example, examples)
    written = memory[at : at + layer[tables.WRITTEN]]
    if layer[tables.ACTIVATION] == tables.GATE:
        gated(written, total[: written.size], total[written.size :])
    elif layer[tables.ACTIVATION] == tables.LSTM:
        here = first + _place(planes, layer[tables.CELL], row, column, example, examples)
        before_row, before_column = row + layer[tables.BEFORE_ROW], column + layer[tables.BEFORE_COLUMN]
        before = first + _place(planes, layer[tables.CELL], before_row, before_column, example, examples)
        cell = memory[here : here + written.size]
        copy(cell, memory[before : before + written.size])
        lstm_cell(written, cell, total, nothing)
    elif layer[tables.ACTIVATION] == tables.RELU:
        _positive(written, total)
    else:
        copy(written, total)


@loop
def _compute(memory, weights, biases, planes, jumps, layers, widest, examples, row, first, last, a, b):
    """Compute layers at the columns from first up to last of a row, for the examples from a up to b."""
    step = max(1, _AT_ONCE // (b - a))  # columns at once
    most = min(step, last - first) * (b - a)
    totals, nothing = np.empty((most, widest + APART), np.float32), np.zeros(widest, np.float32)
    room = room_for_taps(most, layers[:, tables.TAPS].max())
    for l in range(len(layers)):  # noqa: E741 -- a layer
        layer = layers[l]
        leftwards = layer[tables.LEFTWARDS] != 0
        if leftwards and row == 0:
            continue
        at_once = 1 if leftwards else step
        for piece in range(0, last - first, at_once):
            start = last - 1 - piece if leftwards else first + piece
            end = min(start + at_once, last)
            _sums(totals, start, end, a, b, row, layer, memory, weights, biases, planes, jumps, examples, room)
            m = 0
            for column in range(start, end):
                for example in range(a, b):
                    _finish(
                        totals[m, : layer[tables.OUTPUTS]],
                        nothing,
                        layer,
                        memory,
                        planes,
                        row,
                        column,
                        example,
                        examples,
                    )
                    m += 1


def _padded(bias: Array) -> Array:
    """Return a bias with zeros up to whole vectors."""
    return np.pad(bias, ((0, 0), (0, whole_vectors(bias.shape[1]) - bias.shape[1])))


class Walk(TableWalk):
    """See `reference.Walk`."""

    laid_out_weight, laid_out_bias = staticmethod(in_blocks), staticmethod(_padded)

    def __init__(self, network: Network, *, n: int, width: int) -> None:
        super().__init__(network, n=n, width=width)
        self.widest = max(whole_vectors(layer.weight.shape[2]) for layer in network.layers)

    def compute(self, group: Group, row: int, first: int, last: int) -> None:
        """See `TableWalk.compute`."""

        def work(a: int, b: int) -> None:
            _compute(
                self.memory, self.weights, self.biases, self.plane_table, self.jumps, group.table, self.widest, self.n, row, first, last,
                a, b,
            )  # fmt: skip

        in_pieces(work, self.n, 1 + _ENOUGH_PRODUCTS // (group.products * (last - first)))
