# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""LSTMs over images for float32 NumPy arrays, compiled by Numba; `reference.py` says what is computed.

Threads share out the images, not the work of a line: each walks over all lines with its own few images. A line is one product of the line
before with the weight, whose rows are pairs of an image and a position and whose lanes are the gates' features; a jump leads to a tap.
Nothing is skewed and nothing gathered: the line before stands in a buffer with zeros beyond its ends, which stays in the cache. No more
than one line is kept there: what has been read of the line before is overwritten by the line itself.
"""

import numpy as np

from minigen.backend import Array
from minigen.kernels.compiler import inner, loop
from minigen.kernels.image_lstm.lines import lines, margin, steps
from minigen.kernels.memory import APART
from minigen.kernels.recurrence.gates import add, lstm_cell, lstm_cell_backward
from minigen.kernels.threads import in_pieces
from minigen.kernels.tile import in_blocks, multiply_taps, room_for_taps
from minigen.kernels.vectors import copy

_ENOUGH_PRODUCTS = 2**21
"""Multiplications that are worth a thread."""


@inner
def _products(totals, line, first, last, around, blocks, k, jumps, room):
    """totals[m] = sum over taps of line[image, position + margin + tap] W_tap, for each pair m of an image and a position.

    line: (images, L + 2 margin, C and more); k: C; jumps: of the taps, in floats.
    """
    out_rows, _, rows_of_line, _, _, _ = room
    m = 0
    for image in range(len(line)):
        for position in range(first, last):
            out_rows[m] = m * (totals.strides[0] // 4)
            rows_of_line[m] = image * (line.strides[0] // 4) + (position + around) * (line.strides[1] // 4)
            m += 1
    lanes = blocks.size // (jumps.size * k)
    nothing = np.zeros(lanes, np.float32)  # where all sums start
    multiply_taps(
        m, lanes, totals.ctypes.data, nothing.ctypes.data, line.ctypes.data, jumps.ctypes.data, jumps.size, k, blocks.ctypes.data, room
    )  # fmt: skip


@loop
def _forward(states, gates, cells, inputs, blocks, jumps, walk, length, around):
    """All arrays but the last are of a few images, flat in their pixels: (M, H W, ...)."""
    images, features = len(states), states.shape[2]
    line = np.zeros((images, length + 2 * around, features + APART), np.float32)
    totals = np.empty((images * length, blocks.size // (jumps.size * features) + APART), np.float32)
    carried = np.zeros((images, length, features), np.float32)
    apart = line.strides[1] // 4
    room = room_for_taps(images * length, jumps.size)
    for t in range(len(walk)):
        first, last, start, step = walk[t]
        _products(totals, line, first, last, around, blocks, features, jumps * apart, room)
        m = 0
        for n in range(images):
            for position in range(first, last):
                pixel = start + (position - first) * step
                h, c = line[n, position + around, :features], carried[n, position]
                copy(gates[n, pixel], inputs[n, pixel])
                lstm_cell(h, c, gates[n, pixel], totals[m])
                copy(states[n, pixel], h)
                copy(cells[n, pixel], c)
                m += 1


def image_lstm_forward(inputs: Array, weight: Array, *, direction: str) -> tuple[Array, Array, Array]:
    n, height, width, _ = inputs.shape
    taps, features, _ = weight.shape
    inputs = np.ascontiguousarray(inputs)
    gates = np.empty_like(inputs)
    states, cells = (np.empty((n, height, width, features), np.float32) for _ in range(2))
    flat = [array.reshape(n, height * width, array.shape[3]) for array in (states, gates, cells, inputs)]
    blocks, jumps = in_blocks(weight), np.array(steps(direction, taps), np.int64)
    walk, length, around = _walk(height, width, direction), _length(height, width, direction), margin(direction, taps)

    def work(a: int, b: int) -> None:
        _forward(*(array[a:b] for array in flat), blocks, jumps, walk, length, around)

    _in_images(work, n, height * width, weight)
    return states, gates, cells


@loop
def _backward(out, g, gates, cells, blocks, jumps, walk, length, around):
    images, features = len(cells), cells.shape[2]
    line = np.zeros((images, length + 2 * around, 4 * features + APART), np.float32)
    totals = np.empty((images * length, blocks.size // (jumps.size * 4 * features) + APART), np.float32)
    back_cells = np.zeros((images, length, features), np.float32)
    none, ones, bounded = np.zeros(features, np.float32), np.ones(features, np.float32), np.empty(features, np.float32)
    apart = line.strides[1] // 4
    room = room_for_taps(images * length, jumps.size)
    for t in range(len(walk) - 1, -1, -1):
        first, last, start, step = walk[t]
        before = walk[max(t - 1, 0)]
        _products(totals, line, first, last, around, blocks, 4 * features, jumps * apart, room)
        m = 0
        for n in range(images):
            for position in range(first, last):
                pixel = start + (position - first) * step
                back, back_cell = totals[m, :features], back_cells[n, position]
                slope = line[n, position + around, : 4 * features]
                has_before = t > 0 and before[0] <= position < before[1]
                old = cells[n, before[2] + (position - before[0]) * before[3]] if has_before else none
                add(back, g[n, pixel])
                lstm_cell_backward(slope, back_cell, back, gates[n, pixel], cells[n, pixel], old, ones, bounded)
                copy(out[n, pixel], slope)
                m += 1


def image_lstm_backward(g: Array, gates: Array, cells: Array, weight: Array, *, direction: str) -> Array:
    n, height, width, _ = cells.shape
    taps = len(weight)
    out = np.empty_like(gates)
    flat = [np.ascontiguousarray(a).reshape(n, height * width, a.shape[3]) for a in (out, g, gates, cells)]
    blocks = in_blocks(weight.swapaxes(1, 2))  # (K, 4F, F)
    jumps = -np.array(steps(direction, taps), np.int64)
    walk, length, around = _walk(height, width, direction), _length(height, width, direction), margin(direction, taps)

    def work(a: int, b: int) -> None:
        _backward(*(array[a:b] for array in flat), blocks, jumps, walk, length, around)

    _in_images(work, n, height * width, weight)
    return out


def _in_images(work, images, pixels, weight) -> None:
    """Share out the images."""
    in_pieces(work, images, 1 + _ENOUGH_PRODUCTS // max(1, pixels * weight.size))


def _length(height: int, width: int, direction: str) -> int:
    return width if direction == "down" else height


def _walk(height: int, width: int, direction: str) -> Array:
    """Return the lines as numbers, (T, 4): first, last, the first pixel, and how far it is to the next."""
    return np.array(
        [
            (line.first, line.last, line.pixels.start, line.pixels.step or 1)
            for line in lines((height, width), direction)
        ],
        np.int64,
    ).reshape(-1, 4)
