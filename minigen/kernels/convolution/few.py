# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Sweeps with few output channels, such as those of a generator's last layer: multiply first, then gather.

With K outputs a tile of `tile.py` would leave most of its 16 lanes idle. But each pixel of the source meets all T taps sooner or later, so
take the taps of all sweeps as lanes too, and after one product of matrices for an image add up what belongs together:

    columns[h, w, (tap, k)] = sum over c of  source[h, w, c] weight[tap, c, k]                                            (1)
    out[p, q, k] = bias[k] + sum over taps of  columns[h(p, tap), w(q, tap), (tap, k)]                                    (2)

(1) takes 2 H W C T K operations, those at the image's edges and, if the convolution is strided, those for pixels that a tap skips in vain.
The columns of an image, 4 H W T K bytes, stay in a processor's cache if the image is not large. Threads share out the images.
"""

from collections.abc import Sequence

import numpy as np

from minigen.backend import Array
from minigen.kernels import threads
from minigen.kernels.compiler import loop
from minigen.kernels.convolution.geometry import Sweep
from minigen.kernels.memory import workspace
from minigen.kernels.tile import ENOUGH, LANES, ROWS, lanes_of, multiply, six_rows, whole_vectors


@loop
def _sweep(out, source, matrix, bias, columns, writes, sweeps, jumps, line, first, last):
    """Write the images from `first` up to `last`.

    matrix: (C, lanes). columns: flat, with zeros around an image. writes: where in it a pixel's stand. sweeps: for each its taps, from the
    first up to the last, step, start, stride and extent. jumps: where a tap reads for the first output. line: from one row to the next.
    """
    _, height, width, channels = source.shape
    outputs = out.shape[3]
    lanes, pixels = matrix.shape[1], height * width
    one, terms, same = np.zeros(1, np.int64), np.full(1, channels), np.zeros(ROWS, np.int64)
    zeros, reads = np.zeros(lanes, np.float32), np.arange(pixels) * channels
    some_reads, some_writes = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    for n in range(first, last):
        begin = source.ctypes.data + 4 * n * pixels * channels
        for m in range(0, pixels, ROWS):
            rows, to_rows = six_rows(reads, m, pixels, some_reads), six_rows(writes, m, pixels, some_writes)
            lane = 0
            while lane < lanes:
                lanes_here = lanes_of(lanes - lane)
                multiply(
                    lanes_here, columns.ctypes.data + 4 * lane, to_rows, zeros.ctypes.data, same.ctypes.data, begin, rows,
                    one.ctypes.data, 1, matrix.ctypes.data + 4 * lane, one.ctypes.data, lanes, 1, terms.ctypes.data,
                )  # fmt: skip
                lane += lanes_here
        for s in range(len(sweeps)):
            tap, stop, step_row, step_column, start_row, start_column, stride_row, stride_column, high, wide = sweeps[s]
            for a in range(high):
                to = out[n, start_row + stride_row * a]
                for b in range(wide):
                    at = step_row * a * line + step_column * b * lanes
                    for k in range(outputs):
                        total = bias[k]
                        for t in range(tap, stop):
                            total += columns[at + jumps[t] + k]
                        to[start_column + stride_column * b, k] = total


def serves(sweeps: Sequence[Sweep], pixels: int, outputs: int) -> bool:
    """Return whether sweeps from images of so many pixels to so many channels are faster this way."""
    if outputs > _MOST_OUTPUTS_WITH_TAPS_AS_LANES:
        return False
    wanted = sum(len(sweep.taps) * sweep.extent[0] * sweep.extent[1] for sweep in sweeps) * outputs
    return 0 < pixels * whole_vectors(sum(len(sweep.taps) for sweep in sweeps) * outputs) <= _VAIN * wanted


_MOST_OUTPUTS_WITH_TAPS_AS_LANES = LANES // 2
"""Up to this many outputs, lanes over taps and outputs are faster than a tile with lanes over the outputs."""

_VAIN = 3
"""Operations, in vain and not, to a wanted one: as many as dot products take the time of."""


def write(out: Array, source: Array, weight: Array, bias: Array | None, sweeps: Sequence[Sweep]) -> None:
    """Write what sweeps yield into out, (N, rows, columns, K). source: (N, rows, columns, C); weight: (kh kw, C, K)."""
    outputs = out.shape[3]
    order = [tap for sweep in sweeps for tap in sweep.taps]
    lanes = whole_vectors(len(order) * outputs)
    matrix = np.zeros((source.shape[3], lanes), np.float32)
    matrix[:, : len(order) * outputs] = weight[order].swapaxes(0, 1).reshape(source.shape[3], -1)
    offsets = np.array([offset for sweep in sweeps for offset in sweep.offsets]).reshape(-1, 2)
    lasts = [np.multiply(sweep.step, np.subtract(sweep.extent, 1)) for sweep in sweeps]
    ends = np.max(lasts, axis=0)  # where the last outputs read, offsets aside
    size = np.array(source.shape[1:3])
    before = np.maximum(0, -offsets.min(axis=0, initial=0))  # rows and columns of zeros
    rows, columns = before + np.maximum(size, ends + 1 + offsets.max(axis=0, initial=0))
    line = int(columns) * lanes
    row, column = np.ix_(np.arange(size[0]) + before[0], np.arange(size[1]) + before[1])
    writes = (row * line + column * lanes).ravel()
    jumps = (offsets + before) @ [line, lanes] + outputs * np.arange(len(offsets))
    stops = np.cumsum([len(sweep.taps) for sweep in sweeps])
    table = np.array(
        [
            (stop - len(sweep.taps), stop, *sweep.step, *sweep.start, *sweep.stride, *sweep.extent)
            for sweep, stop in zip(sweeps, stops, strict=True)
        ]
    )
    start = np.zeros(outputs, np.float32) if bias is None else bias

    def work(first: int, last: int) -> None:
        space = workspace("columns", rows * line)
        space.fill(0)
        _sweep(out, source, matrix, start, space, writes, table, jumps, line, first, last)

    threads.in_pieces(work, len(source), -(-ENOUGH // max(1, len(writes) * matrix.size)))
