# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""The walk for float32 NumPy arrays: one compiled call computes all layers at a pixel, or all those of a whole row.

All planes are pieces of one array, and so are all weights and all biases: tables of whole numbers say where. A plane is laid out as
(R, W + margins, N, C), so that a tap's channels lie side by side, and a sum of products is that of `tile.py`: its rows are examples, or
pairs of a column and an example; its lanes are channels of the output; a jump leads to a tap. Nothing is gathered, and nothing is computed
twice. Threads share out the examples.
"""

from collections.abc import Sequence

import numpy as np

from minigen.backend import Array
from minigen.kernels.approximations import TANH, ZERO, above, logistic, saturating
from minigen.kernels.compiler import inner, loop
from minigen.kernels.raster.network import IMAGE, Layer, Network, Plane, planes
from minigen.kernels.recurrence.gates import add, new_cell, shown
from minigen.kernels.threads import in_pieces
from minigen.kernels.tile import LANES, ROWS, in_blocks, lanes_of, multiply, six_rows, whole_vectors
from minigen.kernels.vectors import copy

_APART = 16
"""Floats between the rows of a buffer. A row length that is a power of two would put all rows into one place of the cache."""

_ENOUGH_PRODUCTS = 2**21
"""Multiplications that are worth a thread, which has to be woken up for each pixel."""

_AT_ONCE = 96
"""Rows of a product: what is computed of them stays in the cache until it has been activated."""

_NONE = -1
_ACTIVATIONS = {"": 0, "relu": 1, "gate": 2, "lstm": 3}
_RELU, _GATE, _LSTM = (_ACTIVATIONS[name] for name in ("relu", "gate", "lstm"))

# Columns of the table of planes: where a plane's first pixel stands, floats to a pixel of one example, to a row; rows of the ring
_START, _CHANNELS, _PITCH, _RING = range(4)
# Columns of the table of layers: four planes; the first channel; taps; where jumps, weights and biases begin; K; from the bias of one
# example to the next; activation; row and column of the pixel that the cell comes from; whether from right to left; the planes added, as
# many as there are
_SOURCE, _TARGET, _CELL, _KEPT, _CHANNEL, _TAPS, _JUMPS, _WEIGHT, _BIAS, _OUTPUTS, _BIAS_APART, _ACTIVATION = range(12)
_BEFORE_ROW, _BEFORE_COLUMN, _LEFTWARDS, _ADDED = range(12, 16)


@inner
def _positive(out, total):
    for k in range(out.size):
        out[k] = above(total[k], ZERO)


@inner
def _gated(out, a, b):
    """out <- tanh(a) sigmoid(b)."""
    for k in range(out.size):
        out[k] = saturating(a[k], TANH) * logistic(b[k])


@inner
def _sigmoids(a):
    for k in range(a.size):
        a[k] = logistic(a[k])


@inner
def _tanhs(a):
    for k in range(a.size):
        a[k] = saturating(a[k], TANH)


@inner
def _remembered(h, c, old, gates):
    """c <- f old + i g,  h <- o tanh(c); the gates' sums become the gates."""
    k = h.size
    both, g, o = gates[: 2 * k], gates[2 * k : 3 * k], gates[3 * k :]
    _sigmoids(both)
    _tanhs(g)
    _sigmoids(o)
    copy(c, old)
    new_cell(c, both[k:], both, g)
    shown(h, o, c)


@inner
def _place(planes, plane, row, column, example, examples):
    """Where an example's channels at a pixel stand in the memory."""
    start = planes[plane, _START] + (row % planes[plane, _RING]) * planes[plane, _PITCH]
    return start + (column * examples + example) * planes[plane, _CHANNELS]


@inner
def _sums(totals, first, last, a, b, row, layer, memory, weights, biases, planes, jumps, examples, tables):
    """totals[m] = the sum of products and the bias, for each pair m of a column and an example."""
    out_rows, bias_rows, source_rows, short, b_jumps, terms = tables
    source, taps = layer[_SOURCE], layer[_TAPS]
    channels = planes[source, _CHANNELS]
    m = 0
    for column in range(first, last):
        for example in range(a, b):
            out_rows[m] = m * (totals.strides[0] // 4)
            bias_rows[m] = example * layer[_BIAS_APART]
            # The ring is in the jumps: they lead from the first row of the plane.
            source_rows[m] = (column * examples + example) * channels
            m += 1
    rows = m
    a_jumps = jumps.ctypes.data + 8 * (layer[_JUMPS] + (row % planes[source, _RING]) * taps)
    for t in range(taps):
        terms[t] = channels
    lane, lanes = 0, -(-layer[_OUTPUTS] // LANES) * LANES
    while lane < lanes:
        wide = lanes_of(lanes - lane)
        for t in range(taps):
            b_jumps[t] = t * channels * wide
        block = weights.ctypes.data + 4 * (layer[_WEIGHT] + taps * channels * lane)
        for m in range(0, rows, ROWS):
            # Rows that repeat are looked up in the same piece of the table, one after the other.
            at_out = six_rows(out_rows, m, rows, short)
            at_bias = six_rows(bias_rows, m, rows, short[ROWS:])
            at_source = six_rows(source_rows, m, rows, short[2 * ROWS :])
            multiply(
                wide, totals.ctypes.data + 4 * lane, at_out, biases.ctypes.data + 4 * (layer[_BIAS] + lane), at_bias,
                memory.ctypes.data + 4 * planes[source, _START], at_source, a_jumps, 1, block, b_jumps.ctypes.data, wide, taps,
                terms.ctypes.data,
            )  # fmt: skip
        lane += wide


@inner
def _finish(total, layer, memory, planes, row, column, example, examples):
    """What comes after the sums, for one example at one pixel; total has K numbers."""
    channel, k = layer[_CHANNEL], total.size
    for n in range(_ADDED, layer.size):
        if layer[n] != _NONE:
            at = channel + _place(planes, layer[n], row, column, example, examples)
            add(total, memory[at : at + k])
    if layer[_KEPT] != _NONE:
        at = channel + _place(planes, layer[_KEPT], row, column, example, examples)
        copy(memory[at : at + k], total)
    at = _place(planes, layer[_TARGET], row, column, example, examples)
    if layer[_ACTIVATION] == _GATE:
        half = k // 2
        at += channel // 2
        _gated(memory[at : at + half], total[:half], total[half:])
    elif layer[_ACTIVATION] == _LSTM:
        quarter, first = k // 4, channel // 4
        at += first
        cell = first + _place(planes, layer[_CELL], row, column, example, examples)
        before_row, before_column = row + layer[_BEFORE_ROW], column + layer[_BEFORE_COLUMN]
        old = first + _place(planes, layer[_CELL], before_row, before_column, example, examples)
        _remembered(memory[at : at + quarter], memory[cell : cell + quarter], memory[old : old + quarter], total)
    elif layer[_ACTIVATION] == _RELU:
        _positive(memory[at + channel : at + channel + k], total)
    else:
        copy(memory[at + channel : at + channel + k], total)


@loop
def _compute(memory, weights, biases, planes, jumps, layers, widest, examples, row, first, last, a, b):
    """Compute layers at the columns from first up to last of a row, for the examples from a up to b."""
    step = max(1, _AT_ONCE // (b - a))  # columns at once
    most = min(step, last - first) * (b - a)
    totals = np.empty((most, widest + _APART), np.float32)
    rows = max(most, 3 * ROWS, layers[:, _TAPS].max())
    tables = (
        np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows, np.int64),
        np.empty(rows, np.int64), np.empty(rows, np.int64),
    )  # fmt: skip
    for l in range(len(layers)):  # noqa: E741 -- a layer
        layer = layers[l]
        leftwards = layer[_LEFTWARDS] != 0
        if leftwards and row == 0:
            continue
        at_once = 1 if leftwards else step
        for piece in range(0, last - first, at_once):
            start = last - 1 - piece if leftwards else first + piece
            end = min(start + at_once, last)
            _sums(totals, start, end, a, b, row, layer, memory, weights, biases, planes, jumps, examples, tables)
            m = 0
            for column in range(start, end):
                for example in range(a, b):
                    _finish(totals[m, : layer[_OUTPUTS]], layer, memory, planes, row, column, example, examples)
                    m += 1


# ------------------------------------------------------------------------------------------------------ tables


def _bias(layer: Layer) -> Array:
    """Return the bias, (1, K) or (N, K), with zeros up to whole vectors."""
    bias = layer.bias.reshape(-1, layer.weight.shape[2])
    return np.pad(bias, ((0, 0), (0, whole_vectors(bias.shape[1]) - bias.shape[1])))


class _Pieces:
    """Arrays that are laid one after the other.

    Example:
        >>> pieces = _Pieces()
        >>> pieces.append(np.zeros(3)), pieces.append(np.ones(2)), pieces.joined()
        (0, 3, array([0., 0., 0., 1., 1.]))
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.size = 0

    def append(self, array: Array) -> int:
        """Lay an array behind the others, and return where it begins."""
        self.arrays.append(array.ravel())
        self.size += array.size
        return self.size - array.size

    def joined(self) -> Array:
        """Return all of them as one."""
        return np.concatenate(self.arrays)


class Walk:
    """See `reference.Walk`."""

    def __init__(self, network: Network, *, n: int, width: int) -> None:
        sizes = planes(network)
        numbers = {name: i for i, name in enumerate(sizes)} | {"": _NONE}
        self.planes = np.empty((len(sizes), 4), np.int64)
        size = 0
        for entry, (channels, rows, margin) in zip(self.planes, sizes.values(), strict=True):
            pitch = (width + 2 * margin) * n * channels
            entry[:] = size + margin * n * channels, channels, pitch, rows
            size += rows * pitch
        self.memory = np.zeros(size, np.float32)
        weights, biases, jumps = _Pieces(), _Pieces(), _Pieces()

        def table(layers: Sequence[Layer]) -> Array:
            most = max([1, *(len(layer.added) for layer in layers)])
            entries = np.full((len(layers), _ADDED + most), _NONE, np.int64)
            for entry, layer in zip(entries, layers, strict=True):
                bias = _bias(layer)
                entry[:_ADDED] = (
                    numbers[layer.source], numbers[layer.target], numbers[layer.cell], numbers[layer.kept], layer.channel,
                    len(layer.offsets), jumps.append(self._jumps(layer, numbers[layer.source], n)),
                    weights.append(in_blocks(layer.weight)), biases.append(bias), layer.weight.shape[2],
                    bias.shape[1] if len(bias) > 1 else 0, _ACTIVATIONS[layer.activation], *layer.before, layer.leftwards,
                )  # fmt: skip
                entry[_ADDED : _ADDED + len(layer.added)] = [numbers[name] for name in layer.added]
            return entries

        self.rows, self.colours = table(network.rows), [table(layers) for layers in network.colours]
        self.weights, self.biases, self.jumps = weights.joined(), biases.joined(), jumps.joined()
        self.n, self.width = n, width
        self.widest = max(whole_vectors(layer.weight.shape[2]) for layer in network.layers)
        self.image = self._plane(sizes[IMAGE], numbers[IMAGE])
        self.outcomes = []
        for *_, last in network.colours:
            channel, channels = last.target_channels
            whole = self._plane(sizes[last.target], numbers[last.target])
            self.outcomes.append(whole[..., channel : channel + channels])
        self.enough, self.enough_in_rows = (
            1 + _ENOUGH_PRODUCTS // max(1, sum(layer.weight.size for layer in layers) * columns)
            for layers, columns in ((network.colours[0], 1), (network.rows, width))
        )  # examples that are worth a thread

    def row(self, row: int) -> None:
        """See `reference.Walk.row`."""
        if len(self.rows):
            in_pieces(lambda a, b: self._compute(self.rows, row, 0, self.width, a, b), self.n, self.enough_in_rows)

    def parameters(self, row: int, column: int, colour: int) -> Array:
        """See `reference.Walk.parameters`."""
        layers = self.colours[colour]
        in_pieces(lambda a, b: self._compute(layers, row, column, column + 1, a, b), self.n, self.enough)
        outcome = self.outcomes[colour]
        return outcome[row % len(outcome), column].copy()

    def put(self, row: int, column: int, colour: int, values: Array) -> None:
        """See `reference.Walk.put`."""
        self.image[row % len(self.image), column, :, colour] = values

    def _compute(self, layers: Array, row: int, first: int, last: int, a: int, b: int) -> None:
        _compute(
            self.memory, self.weights, self.biases, self.planes, self.jumps, layers, self.widest, self.n, row, first, last, a, b
        )  # fmt: skip

    def _jumps(self, layer: Layer, source: int, n: int) -> Array:
        """Return where the taps are from the first row of the ring, in floats, for each row of the ring that the pixel is in: (R, T)."""
        _, channels, pitch, rows = self.planes[source]
        row, column = np.array(layer.offsets).T  # (T,) each
        return (np.arange(rows)[:, None] + row) % rows * pitch + column * n * channels

    def _plane(self, plane: Plane, number: int) -> Array:
        """Return a plane without its margins as a view, (R, W, N, C)."""
        start, channels, pitch, rows = self.planes[number]
        from_start = start - plane.margin * self.n * channels
        whole = self.memory[from_start : from_start + rows * pitch].reshape(rows, -1, self.n, channels)
        return whole[:, plane.margin : plane.margin + self.width]
