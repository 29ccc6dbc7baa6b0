# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Fewer products for kernels of 2 x 2 or 3 x 3 neighbouring taps (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks").

In one dimension, two neighbouring outputs y of a convolution with r taps w read r + 1 numbers d. The algorithm of Winograd (1980) takes
r + 1 products for them, in place of 2 r:

    y = A^T [(G w) * (B^T d)].                                                                                            (1)

For r = 2, say: y1 = w1 d1 + w2 d2 = w1 (d1 - d2) + (w1 + w2) d2, and y2 = (w1 + w2) d2 + w2 (d3 - d2): the middle product serves both.
In two dimensions (1) is applied to rows and to columns. A *tile* of 2 x 2 outputs Y reads (r + 1)^2 pixels D, and with C input channels

    Y = A^T M A,    M = sum over c of  U_c * V_c,    U_c = G W_c G^T,    V_c = B^T D_c B.                                 (2)

Each of the (r + 1)^2 places of M is a product of two matrices, (tiles, C) @ (C, K), with 4/9 of the operations of a 3 x 3 convolution, and
9/16 of those of a 2 x 2 one. A and B hold 0, 1 and -1 only. The gradient for a cotangent H of Y, by the transposes of the same maps, is

    dW_c = G^T [sum over tiles of  V_c * (A H A^T)] G.                                                                    (3)

A convolution of stride s is a sum of s^2 convolutions, of the pixels with one remainder modulo s each: its *parts*. So a 4 x 4 kernel of
stride 2 has four parts of 2 x 2 taps, whose channels stand side by side in V. A transposed one has four phases of 2 x 2 taps.

The outcome is rounded otherwise than a plain sum, to about twice its error; and one pixel that is infinite or NaN makes NaN of its
whole tile, outputs among it that do not read the pixel.

Layout: U (Q, P C, K), V (Q, tiles, P C), M (Q, tiles, K), with Q = (r + 1)^2 and P parts. A *band* of tiles keeps its V and M in the
processor's second cache. Memory moves 4 (H W C + P Q K) bytes for an image, and the weights U for every band.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigen.backend import Array
from minigen.kernels import threads
from minigen.kernels.compiler import loop
from minigen.kernels.convolution.geometry import Pair, Sweep
from minigen.kernels.memory import workspace
from minigen.kernels.tile import ENOUGH, LANES, ROWS, lanes_of, multiply, six_rows

# ------------------------------------------------------------------------------------------------------ the matrices

B = {
    2: np.array([[1, 0, 0], [-1, 1, -1], [0, 0, 1]]),
    3: np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]]),
}
G = {2: np.array([[1, 0], [1, 1], [0, 1]]), 3: np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])}
A = {2: np.array([[1, 0], [1, 1], [0, 1]]), 3: np.array([[1, 0], [1, 1], [1, -1], [0, -1]])}
"""By r; signed so that all entries of A and B are 0, 1 or -1."""

_WORD, _FLOAT = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _transform(left: Array, *, shifted: bool = False):
    """Make the function that computes L D L^T, plus a shift, for a square D of vectors, over all channels.

    Its arguments are int64: the address of a table that says where in memory the numbers of the outcome stand for the first channel, row
    by row, and how many floats to go on from there; the same for D; the address of the shift; and how many vectors of channels there are.
    """

    def combined(builder, factors, vectors):  # sum of factor * vector
        total = None
        for factor, vector in zip(factors, vectors, strict=True):
            if abs(factor) not in (0, 1):
                vector = builder.fmul(vector, ir.Constant(_VECTOR, [abs(float(factor))] * LANES))
            if factor and total is None:
                total = vector if factor > 0 else builder.fneg(vector)
            elif factor:
                total = (builder.fadd if factor > 0 else builder.fsub)(total, vector)
        return total

    @intrinsic
    def transform(context, out, out_offset, source, source_offset, shift, vectors):
        def generate(target, builder, signature, arguments):
            out, out_offset, source, source_offset, shift, vectors = arguments
            rows, columns = left.shape

            def pointer(address, kind):
                return builder.inttoptr(address, kind.as_pointer())

            def place(table, i, offset):
                address = builder.load(builder.gep(pointer(table, _WORD), [ir.Constant(_WORD, i)]))
                return builder.bitcast(builder.gep(pointer(address, _FLOAT), [offset]), _VECTOR.as_pointer())

            with cgutils.for_range(builder, vectors) as v:
                channel = builder.mul(v.index, ir.Constant(_WORD, LANES))
                at = builder.add(source_offset, channel)
                block = [builder.load(place(source, i, at), align=4) for i in range(columns**2)]  # D
                half = [[combined(builder, row, block[j::columns]) for j in range(columns)] for row in left]  # L D
                to = builder.add(out_offset, channel)
                if shifted:
                    first = builder.bitcast(builder.gep(pointer(shift, _FLOAT), [channel]), _VECTOR.as_pointer())
                    more = builder.load(first, align=4)
                for i, j in itertools.product(range(rows), repeat=2):
                    outcome = combined(builder, left[j], half[i])
                    if shifted:
                        outcome = builder.fadd(outcome, more)
                    builder.store(outcome, place(out, rows * i + j, to), align=4)
            return target.get_dummy_value()

        return types.void(*[types.int64] * 6), generate

    return transform


_pixels2, _pixels3 = (_transform(B[r].T) for r in (2, 3))
_outputs2, _outputs3 = (_transform(A[r].T, shifted=True) for r in (2, 3))
_cotangents2, _cotangents3 = (_transform(A[r]) for r in (2, 3))
_weights2, _weights3 = (_transform(G[r]) for r in (2, 3))
_gradients2, _gradients3 = (_transform(G[r].T) for r in (2, 3))

# ------------------------------------------------------------------------------------------------------ loops over bands of tiles


class Shape(NamedTuple):
    """What a loop has to know, counted in pixels if nothing else is said."""

    r: int
    parts: int
    inputs: int  # channels
    outputs: int  # channels
    band: int  # tiles
    high: int  # tiles to a column of an image
    wide: int  # tiles to a row
    height: int  # rows of outputs
    width: int
    step_row: int  # of the source, from one output to the next
    step_column: int
    source_height: int
    source_width: int
    out_height: int
    out_width: int
    start_row: int  # the first output that is written
    start_column: int
    stride_row: int  # the distance of those that are written
    stride_column: int


@loop
def _read_tiles(v, source, zeros, lows, fields, first, count):
    """Fill v, (Q, band, P C), for `count` tiles from `first` on."""
    shape = Shape(*fields)
    n, channels = shape.r + 1, shape.inputs
    step = shape.parts * channels
    addresses, places = np.empty(n * n, np.int64), np.empty(n * n, np.int64)
    for q in range(n * n):
        places[q] = v.ctypes.data + 4 * q * shape.band * step
    for t in range(count):
        rest, tile_column = divmod(first + t, shape.wide)
        image, tile_row = divmod(rest, shape.high)
        for p in range(shape.parts):
            top = shape.step_row * 2 * tile_row + lows[p, 0]
            left = shape.step_column * 2 * tile_column + lows[p, 1]
            for i in range(n):
                row = top + shape.step_row * i
                line = (image * shape.source_height + row) * shape.source_width
                for j in range(n):
                    column = left + shape.step_column * j
                    inside = 0 <= row < shape.source_height and 0 <= column < shape.source_width
                    addresses[n * i + j] = (
                        source.ctypes.data + 4 * channels * (line + column) if inside else zeros.ctypes.data
                    )
            to = step * t + channels * p
            if shape.r == 2:
                _pixels2(places.ctypes.data, to, addresses.ctypes.data, 0, 0, channels // LANES)
            else:
                _pixels3(places.ctypes.data, to, addresses.ctypes.data, 0, 0, channels // LANES)


@loop
def _find_outputs(addresses, array, elsewhere, fields, tile):
    """Enter the addresses of a tile's four outputs; those beyond the image lie elsewhere."""
    shape = Shape(*fields)
    rest, tile_column = divmod(tile, shape.wide)
    image, tile_row = divmod(rest, shape.high)
    for i in range(2):
        for j in range(2):
            a, b = 2 * tile_row + i, 2 * tile_column + j
            row, column = shape.start_row + shape.stride_row * a, shape.start_column + shape.stride_column * b
            pixel = (image * shape.out_height + row) * shape.out_width + column
            inside = a < shape.height and b < shape.width
            addresses[2 * i + j] = array.ctypes.data + 4 * shape.outputs * pixel if inside else elsewhere.ctypes.data


@loop
def _sweep(out, source, u, bias, zeros, spill, lows, v, m, fields, first, last):
    """Work on the tiles from `first` up to `last`. u: (Q, P C, K); v and m: workspaces, (Q, band, P C) and (Q, band, K)."""
    shape = Shape(*fields)
    n, inputs, outputs = shape.r + 1, shape.parts * shape.inputs, shape.outputs
    one, terms = np.zeros(1, np.int64), np.full(1, inputs)
    same, reads, writes = np.zeros(ROWS, np.int64), np.arange(shape.band) * inputs, np.arange(shape.band) * outputs
    some_reads, some_writes = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    addresses, places = np.empty(4, np.int64), np.empty(n * n, np.int64)
    for q in range(n * n):
        places[q] = m.ctypes.data + 4 * q * shape.band * outputs
    for begin in range(first, last, shape.band):
        count = min(shape.band, last - begin)
        _read_tiles(v, source, zeros, lows, fields, begin, count)
        for q in range(n * n):
            lane = 0
            while lane < outputs:
                wide = lanes_of(outputs - lane)
                for t in range(0, count, ROWS):
                    multiply(
                        wide, places[q] + 4 * lane, six_rows(writes, t, count, some_writes), zeros.ctypes.data, same.ctypes.data,
                        v.ctypes.data + 4 * q * shape.band * inputs, six_rows(reads, t, count, some_reads), one.ctypes.data, 1,
                        u.ctypes.data + 4 * (q * inputs * outputs + lane), one.ctypes.data, outputs, 1, terms.ctypes.data,
                    )  # fmt: skip
                lane += wide
        for t in range(count):
            _find_outputs(addresses, out, spill, fields, begin + t)
            if shape.r == 2:
                _outputs2(addresses.ctypes.data, 0, places.ctypes.data, outputs * t, bias.ctypes.data, outputs // LANES)
            else:
                _outputs3(addresses.ctypes.data, 0, places.ctypes.data, outputs * t, bias.ctypes.data, outputs // LANES)


@loop
def _weight_gradient(total, source, y, zeros, lows, v, m, fields, first, last):
    """Work on the tiles from `first` up to `last`. total: (Q, P C, K), the sum in (3), which is added to; v and m as for `_sweep`."""
    shape = Shape(*fields)
    n, inputs, outputs = shape.r + 1, shape.parts * shape.inputs, shape.outputs
    one, terms = np.zeros(1, np.int64), np.empty(1, np.int64)
    reads, writes = np.arange(inputs), np.arange(inputs) * outputs
    some_reads, some_writes = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    addresses, places = np.empty(4, np.int64), np.empty(n * n, np.int64)
    for q in range(n * n):
        places[q] = m.ctypes.data + 4 * q * shape.band * outputs
    for begin in range(first, last, shape.band):
        count = terms[0] = min(shape.band, last - begin)
        _read_tiles(v, source, zeros, lows, fields, begin, count)
        for t in range(count):
            _find_outputs(addresses, y, zeros, fields, begin + t)
            if shape.r == 2:
                _cotangents2(places.ctypes.data, outputs * t, addresses.ctypes.data, 0, 0, outputs // LANES)
            else:
                _cotangents3(places.ctypes.data, outputs * t, addresses.ctypes.data, 0, 0, outputs // LANES)
        for q in range(n * n):
            lane = 0
            while lane < outputs:
                wide = lanes_of(outputs - lane)
                to = total.ctypes.data + 4 * (q * inputs * outputs + lane)
                for c in range(0, inputs, ROWS):
                    to_rows = six_rows(writes, c, inputs, some_writes)
                    multiply(
                        wide, to, to_rows, to, to_rows, v.ctypes.data + 4 * q * shape.band * inputs,
                        six_rows(reads, c, inputs, some_reads), one.ctypes.data, inputs, places[q] + 4 * lane, one.ctypes.data, outputs,
                        1, terms.ctypes.data,
                    )  # fmt: skip
                lane += wide


@loop
def _transform_weights(u, weight, taps, r, is_back, first, last):
    """Fill rows of u, (Q, P C, K), from weight, (kh kw, C, K), as in (2), or the other way round, as in (3). taps: (P, r^2)."""
    parts, channels, outputs = len(taps), weight.shape[1], weight.shape[2]
    at_taps, at_places = np.empty(r * r, np.int64), np.empty((r + 1) ** 2, np.int64)
    for row in range(first, last):
        p, c = divmod(row, channels)
        for i in range(r * r):
            at_taps[i] = weight.ctypes.data + 4 * (taps[p, i] * channels + c) * outputs
        for q in range((r + 1) ** 2):
            at_places[q] = u.ctypes.data + 4 * (q * parts * channels + row) * outputs
        if is_back and r == 2:
            _gradients2(at_taps.ctypes.data, 0, at_places.ctypes.data, 0, 0, outputs // LANES)
        elif is_back:
            _gradients3(at_taps.ctypes.data, 0, at_places.ctypes.data, 0, 0, outputs // LANES)
        elif r == 2:
            _weights2(at_places.ctypes.data, 0, at_taps.ctypes.data, 0, 0, outputs // LANES)
        else:
            _weights3(at_places.ctypes.data, 0, at_taps.ctypes.data, 0, 0, outputs // LANES)


# ------------------------------------------------------------------------------------------------------ which sweeps, and the functions


class Parts(NamedTuple):
    """A sweep as a sum of parts, each of r x r neighbouring taps."""

    r: int
    taps: tuple[int, ...]  # (parts, r, r), flat
    lows: Array  # the (row, column) of the source that the first tap of each part reads for the first output


@functools.lru_cache(maxsize=512)
def parts_of(sweep: Sweep) -> Parts | None:
    """Return the parts of a sweep, or None if they are not all of 2 x 2 or all of 3 x 3 taps.

    Example:
        >>> offsets = tuple(itertools.product(range(-1, 3), repeat=2))
        >>> strided = Sweep(tuple(range(16)), offsets, (2, 2), (0, 0), (1, 1), (8, 8))
        >>> parts_of(strided).r, parts_of(strided).lows.tolist()
        (2, [[-1, -1], [-1, 0], [0, -1], [0, 0]])
    """
    r = next((r for r in A if len(sweep.taps) == r**2 * math.prod(sweep.step)), None)
    if r is None:
        return None
    tap_at = dict(zip(sweep.offsets, sweep.taps, strict=True))
    low = [min(offset[axis] for offset in sweep.offsets) for axis in (0, 1)]
    lows = list(itertools.product(*(range(a, a + s) for a, s in zip(low, sweep.step, strict=True))))
    reads = [
        (row + sweep.step[0] * i, column + sweep.step[1] * j)
        for row, column in lows
        for i, j in itertools.product(range(r), repeat=2)
    ]
    if not all(offset in tap_at for offset in reads):
        return None
    return Parts(r, tuple(tap_at[offset] for offset in reads), np.array(lows))


def serves(sweep: Sweep, images: int, inputs: int, outputs: int) -> bool:
    """Return whether a sweep over so many images, from so many channels to so many, is faster this way."""
    parts = parts_of(sweep)
    return (
        parts is not None
        and inputs % LANES == outputs % LANES == 0
        and len(parts.lows) * inputs + outputs >= _CHANNELS
        and images * math.prod(-(-n // 2) for n in sweep.extent) >= _TILES
    )


def serves_weight_gradient(sweep: Sweep, images: int, inputs: int, outputs: int) -> bool:
    """Return whether the gradient of a weight is faster this way, too: its sum must not be too large for the processor's cache."""
    parts = parts_of(sweep)
    if parts is None or not serves(sweep, images, inputs, outputs):
        return False
    return (parts.r + 1) ** 2 * len(parts.lows) * inputs * outputs <= _TOTAL


_CHANNELS = 3 * LANES
"""Channels, read and written, from which fewer products make up for the transforms of pixels."""

_TILES = 64
"""Tiles from which they make up for the transform of the weights."""

_TILE_BAND, _GRADIENT_TILE_BAND = 2**17, 2**18
"""Floats of V and M in a band of tiles: 512 kB, a part of a processor's second cache; for a gradient of weights, whose sum passes through
it too, 1 MB."""

_TOTAL = 2**19
"""Floats of a thread's sum: 2 MB."""


def _shape_of(sweep: Sweep, parts: Parts, inputs: int, outputs: int, size: Pair, out_size: Pair, band: int) -> Shape:
    places = (parts.r + 1) ** 2
    band = max(1, band // (places * (len(parts.lows) * inputs + outputs)) // ROWS) * ROWS
    return Shape(
        parts.r, len(parts.lows), inputs, outputs, band, -(-sweep.extent[0] // 2), -(-sweep.extent[1] // 2), *sweep.extent, *sweep.step,
        *size, *out_size, *sweep.start, *sweep.stride,
    )  # fmt: skip


def _spaces(shape: Shape) -> tuple[Array, Array]:
    places = (shape.r + 1) ** 2
    v = workspace("winograd pixels", places * shape.band * shape.parts * shape.inputs)
    return v, workspace("winograd outputs", places * shape.band * shape.outputs)


def _share_out(work: Callable[[int, int], None], shape: Shape, images: int) -> None:
    """Call work(first tile, last tile) for the tiles of so many images, on several threads if that pays; whole sixes of tiles to each."""
    tiles = images * shape.high * shape.wide
    products = ROWS * (shape.r + 1) ** 2 * shape.parts * shape.inputs * shape.outputs
    threads.in_pieces(lambda a, b: work(ROWS * a, min(ROWS * b, tiles)), -(-tiles // ROWS), -(-ENOUGH // products))


def _in_rows(u: Array, weight: Array, parts: Parts, *, is_back: bool) -> None:
    """Do all rows of `_transform_weights`."""
    taps = np.reshape(parts.taps, (len(parts.lows), -1))
    threads.in_pieces(
        lambda a, b: _transform_weights(u, weight, taps, parts.r, is_back, a, b), u.shape[1], -(-threads.SMALLEST_PIECE // u[:, 0].size)
    )  # fmt: skip


def write(out: Array, source: Array, weight: Array, bias: Array | None, sweeps: Sequence[Sweep]) -> None:
    """Write what sweeps yield into out, (N, rows, columns, K). source: (N, rows, columns, C); weight: (kh kw, C, K)."""
    jobs = [_job(out, source, weight, bias, sweep) for sweep in sweeps]
    images = len(source)
    if images < 4 * threads.get_threads():
        for work, shape in jobs:
            _share_out(work, shape, images)
        return

    def on_images(first: int, last: int) -> None:  # all sweeps, so that threads meet once
        for work, shape in jobs:
            work(first * shape.high * shape.wide, last * shape.high * shape.wide)

    products = sum(
        shape.high * shape.wide * (shape.r + 1) ** 2 * shape.parts * shape.inputs * shape.outputs for _, shape in jobs
    )  # for an image
    threads.in_pieces(on_images, images, -(-ENOUGH // max(1, products)))


def _job(
    out: Array, source: Array, weight: Array, bias: Array | None, sweep: Sweep
) -> tuple[Callable[[int, int], None], Shape]:
    """Return a function that works on tiles, from the first up to the last."""
    parts = parts_of(sweep)
    assert parts is not None
    inputs, outputs = weight.shape[1:]
    shape = _shape_of(sweep, parts, inputs, outputs, source.shape[1:3], out.shape[1:3], _TILE_BAND)
    u = np.empty(((parts.r + 1) ** 2, shape.parts * inputs, outputs), np.float32)
    _in_rows(u, np.ascontiguousarray(weight), parts, is_back=False)
    zeros = np.zeros(max(inputs, outputs), np.float32)
    start = zeros if bias is None else bias

    def work(first: int, last: int) -> None:
        spill = np.empty(outputs, np.float32)
        _sweep(out, source, u, start, zeros, spill, parts.lows, *_spaces(shape), tuple(shape), first, last)

    return work, shape


def weight_gradient(x: Array, y: Array, sweep: Sweep, taps: int) -> Array:
    """Return the gradient of a convolution's weight, (kh kw, C, K), for its input x and a cotangent y of its output."""
    parts = parts_of(sweep)
    assert parts is not None
    shape = _shape_of(sweep, parts, x.shape[3], y.shape[3], x.shape[1:3], y.shape[1:3], _GRADIENT_TILE_BAND)
    zeros = np.zeros(max(shape.inputs, shape.outputs), np.float32)
    totals: dict[int, Array] = {}

    def work(first: int, last: int) -> None:
        total = totals[first] = np.zeros(((parts.r + 1) ** 2, shape.parts * shape.inputs, shape.outputs), np.float32)
        _weight_gradient(total, x, y, zeros, parts.lows, *_spaces(shape), tuple(shape), first, last)

    _share_out(work, shape, len(x))
    total = functools.reduce(np.add, (totals.pop(first) for first in sorted(totals)))  # always in the same order
    gradient = np.empty((taps, shape.inputs, shape.outputs), np.float32)  # each tap is in one part
    _in_rows(total, gradient, parts, is_back=True)
    return gradient
