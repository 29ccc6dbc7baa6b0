# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""The walk for float32 CuPy arrays: one launch computes all layers at a pixel, or all those of a whole row.

Where the numbers stand, `tables.py` says. Examples are independent, so each has a block of threads of its own, and nobody waits for another
block. Inside of it the layers follow one another, with a barrier between them, and threads share out a layer's *units*, each of which is a
channel of the target at a column: with a gate it takes 2 totals, with an LSTM 4. Neighbouring threads have neighbouring channels and read
neighbouring weights. A pixel has fewer units than a block has threads, down to one, the logit of a bit; so some threads compute *parts* of
the same totals, each every so many products. The parts meet in shared memory, where one thread adds them up and does the rest. Their order
is fixed: the outcome is the same each time.

A total's products go through a table of jumps, one to a product, in place of a division for each to find its tap. For T taps, C channels
and K outputs an example and pixel read

    weights               4 T C K bytes, which lie in the level 2 cache: all blocks want the same
    jumps and channels    12 T C bytes, each for a whole warp at once

for 2 T C K operations, few to a byte. So the time goes into waiting for numbers, and it counts how many threads wait at a time: hence the
parts.

The launches, the need for numba-cuda and the simulator are those of `minigen/kernels/cuda.py`.
"""

import math

import numpy as np
from numba import cuda
from numba.core.types import float32, int64

from minigen.backend import Array, array_module
from minigen.kernels.cuda import _THREADS, ZERO, _above, _device, _kernel, _logistic, _split
from minigen.kernels.raster import tables
from minigen.kernels.raster.network import Layer, Network
from minigen.kernels.raster.tables import Group, TableWalk

_PARTS = 32
"""The most parts of a total: one thread adds them up, while the others wait."""

_SUMS = 4 * _THREADS
"""Numbers in shared memory: each thread's parts of the totals of its unit."""

# Two tuples go through the functions: `walk`, the vectors that `_walk` is given, and `pixel`: row, column, example, examples.


@_device
def _ring_row(planes, plane, row):
    rows = planes[plane * tables.PLANE_COLUMNS + tables.RING]
    return _split(row + rows, rows)[1]  # the row before the first is -1


@_device
def _place(walk, plane, pixel):
    """Where an example's channels at a pixel stand in the memory."""
    planes, (row, column, example, examples) = walk[3], pixel
    entry = plane * tables.PLANE_COLUMNS
    start = planes[entry + tables.START] + _ring_row(planes, plane, row) * planes[entry + tables.PITCH]
    return start + (column * examples + example) * planes[entry + tables.CHANNELS]


@_device
def _sum_part(sums, walk, layer, target, pixel, part, parts):
    """Add up every so many products of a unit's totals."""
    memory, weights, _, planes, jumps, layers = walk
    row, column, example, examples = pixel
    source, outputs = layers[layer + tables.SOURCE], layers[layer + tables.OUTPUTS]
    entry = source * tables.PLANE_COLUMNS
    channels = planes[entry + tables.CHANNELS]
    products = layers[layer + tables.TAPS] * channels
    # The ring is in the jumps: they lead from the first row of the plane.
    seen = planes[entry + tables.START] + (column * examples + example) * channels
    jump = layers[layer + tables.JUMPS] + _ring_row(planes, source, row) * products
    output, place = target, cuda.threadIdx.x
    while output < outputs:
        total, weight, i = ZERO, layers[layer + tables.WEIGHT] + part * outputs + output, part
        while i < products:
            total += memory[seen + jumps[jump + i]] * weights[weight]
            weight += parts * outputs
            i += parts
        sums[place] = total
        output += layers[layer + tables.WRITTEN]
        place += cuda.blockDim.x


@_device
def _add_parts(sums, walk, layer, length, target, pixel, parts, apart):
    """Turn the parts of a unit's totals, every `apart` numbers, into the totals."""
    (memory, _, biases, _, _, layers), (_, _, example, _) = walk, pixel
    bias = layers[layer + tables.BIAS] + example * layers[layer + tables.BIAS_APART]
    output, place = target, cuda.threadIdx.x
    while output < layers[layer + tables.OUTPUTS]:
        total, channel = biases[bias + output], layers[layer + tables.CHANNEL] + output
        for part in range(parts):
            total += sums[place + part * apart]
        for n in range(layer + tables.ADDED, layer + length):
            if layers[n] != tables.NONE:
                total += memory[_place(walk, layers[n], pixel) + channel]
        if layers[layer + tables.KEPT] != tables.NONE:
            memory[_place(walk, layers[layer + tables.KEPT], pixel) + channel] = total
        sums[place] = total
        output += layers[layer + tables.WRITTEN]
        place += cuda.blockDim.x


@_device
def _activate(sums, walk, layer, target, pixel):
    """Write a unit, from its totals."""
    memory, _, _, _, _, layers = walk
    channel, activation = layers[layer + tables.FIRST] + target, layers[layer + tables.ACTIVATION]
    place, apart = cuda.threadIdx.x, cuda.blockDim.x
    out = sums[place]
    if activation == tables.RELU:
        out = _above(out, ZERO)
    elif activation == tables.GATE:
        out = math.tanh(out) * _logistic(sums[place + apart])
    elif activation == tables.LSTM:
        cell, (row, column, example, examples) = layers[layer + tables.CELL], pixel
        down, right = layers[layer + tables.BEFORE_ROW], layers[layer + tables.BEFORE_COLUMN]
        before = row + down, column + right, example, examples
        f, g, o = sums[place + apart], sums[place + 2 * apart], sums[place + 3 * apart]
        c = _logistic(f) * memory[_place(walk, cell, before) + channel] + _logistic(out) * math.tanh(g)
        memory[_place(walk, cell, pixel) + channel] = c
        out = _logistic(o) * math.tanh(c)
    memory[_place(walk, layers[layer + tables.TARGET], pixel) + channel] = out


@_kernel((float32, float32, float32, int64, int64, int64), int64, int64, int64, int64, int64)
def _walk(memory, weights, biases, planes, jumps, layers, threads, count, length, row, first, last):
    """Compute `count` layers, `length` numbers of the table to each, at the columns from `first` up to `last`; an example to a block."""
    walk = memory, weights, biases, planes, jumps, layers
    sums = cuda.shared.array(_SUMS, float32)
    example, examples = cuda.blockIdx.x, _split(threads, cuda.blockDim.x)[0]
    if example >= examples:
        return
    for l in range(count):  # noqa: E741 -- a layer
        layer = l * length
        leftwards, targets = layers[layer + tables.LEFTWARDS] != 0, layers[layer + tables.WRITTEN]
        columns = 1 if leftwards else last - first
        at_once = min(columns * targets, cuda.blockDim.x)
        parts = min(_split(cuda.blockDim.x, at_once)[0], _PARTS)
        part, mine = _split(cuda.threadIdx.x, at_once)
        start = last - 1 if leftwards else first
        while start >= first and (row > 0 or not leftwards):  # once, or column after column
            for begin in range(0, columns * targets, at_once):  # for all threads, since all meet at the barriers
                right, target = _split(begin + mine, targets)
                pixel = row, start + right, example, examples
                if right < columns and part < parts:
                    _sum_part(sums, walk, layer, target, pixel, part, parts)
                cuda.syncthreads()
                if right < columns and part == 0:
                    _add_parts(sums, walk, layer, length, target, pixel, parts, at_once)
                    _activate(sums, walk, layer, target, pixel)
                cuda.syncthreads()
            start -= columns


class Walk(TableWalk):
    """See `reference.Walk`."""

    def __init__(self, network: Network, *, n: int, width: int) -> None:
        super().__init__(network, n=n, width=width)
        asarray = array_module(self.memory).asarray
        self.rows, *self.colours = (group._replace(table=asarray(group.table)) for group in (self.rows, *self.colours))
        self.plane_table, self.jumps = asarray(self.plane_table.ravel()), asarray(self.jumps)

    def compute(self, group: Group, row: int, first: int, last: int) -> None:
        """See `TableWalk.compute`."""
        vectors = [self.memory, self.weights, self.biases, self.plane_table, self.jumps, group.table.ravel()]
        _walk.queue(self.n * _THREADS, vectors, *group.table.shape, row, first, last)

    def jumps_of(self, layer: Layer, source: int, n: int) -> Array:
        """Return where the channels of the taps are in place of the taps, (R, T C)."""
        taps = super().jumps_of(layer, source, n)
        return (taps[..., None] + np.arange(layer.weight.shape[1])).reshape(len(taps), -1)
