# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""Convolution for float32 NumPy arrays, compiled by Numba; `reference.py` says what is computed.

All three functions are sums of products of one form,

    out[m, l] = start[l] + sum over o and i of  a[row(m) + jump(o) + i a_step] b[jump'(o) + i b_step + l],                             (1)

for a few *rows* m and a few *lanes* l, which lie side by side in memory:

                           row m                lane l              o                           i
    convolve               an output pixel      an output channel   a live tap                  an input channel
    convolve_transposed    the same, in one phase, which is an ordinary convolution: see `geometry.Sweep`
    convolve_weight        a tap and a channel  an output channel   a row of pixels             a pixel in it

`tile.py` computes (1) for 6 rows and 16, 32 or 64 lanes. It holds the outcomes in vector registers, 24 of them if a register has 16
numbers, so that each number read from b serves 6 products and each read from a up to 64. As `row` and `jump` are tables, the image is
read where it lies: nothing is unrolled into columns, and a tap that is not live is in no table. What it does not spare is the zeros
around an image: a *band* of some rows of pixels is first copied between zeros, into a workspace small enough for the processor's second
cache. Where no tap reads beyond the image, it is read in place.

Memory moves 4 (H W C + P Q K) bytes for an image, twice the first if bands are copied; out of the cache come the weights, 4 T C K bytes for
every 6 pixels, against 12 T C K operations on them. Threads share out the bands.

A dense kernel of 2 x 2 or 3 x 3 taps, and one that falls into such, needs fewer products than (1) has: see `winograd.py`.

Three cases leave too many lanes idle. With few outputs the taps are made lanes too: see `few.py`. Where that would compute too much in
vain, as for a kernel as large as the image, and in the weight's gradient, the lanes are the input channels, and are added up in the end.
In a depthwise convolution, where each channel has its own outputs, the lanes are the channels, on both sides of the product. And images
of one pixel, from which a generator starts, meet each tap once: that is a product of matrices.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigen.backend import Array
from minigen.kernels import threads
from minigen.kernels.compiler import inner, loop
from minigen.kernels.convolution import few, reference, winograd
from minigen.kernels.convolution.geometry import Geometry, Pair, Sweep
from minigen.kernels.convolution.plan import Layout, Plan, plan_of
from minigen.kernels.memory import workspace
from minigen.kernels.tile import (
    ENOUGH,
    LANES,
    ROWS,
    lanes_of,
    multiply,
    multiply_channels,
    multiply_dots,
    multiply_scaled,
    six_rows,
    whole_vectors,
)
from minigen.kernels.vectors import copy

_CHUNK = 2**16
"""Floats of the weights that tiles use in turn: 256 kB, a part of a processor's second cache."""


# ------------------------------------------------------------------------------------------------------ bands


@inner
def _extent(layout, item, n):
    """Return the first image and row of a band, and how many images and rows it has; there are n images."""
    if layout.bands > 1:
        row = item % layout.bands * layout.rows
        return item // layout.bands, row, 1, min(layout.rows, layout.height - row)
    image = item * layout.images
    return image, 0, min(layout.images, n - image), layout.height


@inner
def _band(band, source, layout, image, row, images, rows):
    """Copy what a band of outputs reads into `band`, if need be; return where it begins, there or in the source."""
    top, left = row * layout.step + layout.low_row, layout.low_column
    c, pitch, pixel = layout.channels, layout.source_channels, layout.pixel
    if not layout.copied:
        row = image * layout.source_height + top
        return (row * layout.source_width + left) * pitch + layout.first_channel
    start, stop = (
        max(0, -left),
        min(layout.line // pixel, layout.source_width - left),
    )  # the band's columns in the image
    lines = (rows - 1) * layout.step + layout.reach
    for i in range(images * lines):
        line = band[i * layout.line : (i + 1) * layout.line]
        row = top + i % lines
        if not 0 <= row < layout.source_height or stop <= start:
            line[:] = 0
            continue
        row += (image + i // lines) * layout.source_height
        first = (row * layout.source_width + left + start) * pitch + layout.first_channel
        line[: start * pixel] = 0
        line[stop * pixel :] = 0
        if c == pitch == pixel:
            copy(line[start * c : stop * c], source[first : first + (stop - start) * c])
        else:
            for w in range(stop - start):
                at = (start + w) * pixel
                copy(line[at : at + c], source[first + w * pitch : first + w * pitch + c])
                line[at + c : at + pixel] = 0
    return 0


@inner
def _pad(padded, y, pixel, count, first, outputs, lanes):
    """Copy some channels of `count` pixels into lanes, and zeros into the rest: nobody looks at their sums, but they must not overflow."""
    for m in range(count):
        for k in range(outputs):
            padded[m * lanes + k] = y[pixel + m, first + k]
        for k in range(outputs, lanes):
            padded[m * lanes + k] = 0


# ------------------------------------------------------------------------------------------------------ loops over bands
#
# Tables of a sweep: `pixels`, where a band's outputs begin to read in it; `places`, where they are written; `jumps`, what a tap adds to
# the first. Neighbouring taps whose pixels lie side by side in the band are one *run*, which has `terms` numbers. A loop works on the
# bands from `first` up to `last`; a Layout goes in as its `fields`, a plain tuple, since Numba takes twice as long to read a named one.


@loop
def _sweep(out, source, matrix, start, n, outputs, pixels, places, jumps, terms, fields, band, first, last):
    """matrix: (T c, lanes), and start: (lanes,), the bias; the lanes are the outputs, padded to whole vectors."""
    layout = Layout(*fields)
    lanes = matrix.shape[1]
    a = band if layout.copied else source
    zeros, spill_rows = np.zeros(ROWS, np.int64), np.arange(0, ROWS * 64, 64)
    spill = np.empty((ROWS, 64), np.float32)
    some_pixels, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    weight_places = np.zeros(jumps.size + 1, np.int64)
    weight_places[1:] = np.cumsum(terms) * lanes
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, source, layout, image, row, images, rows)
        origin = image * layout.out_image + row * layout.out_line + layout.out_first
        count = images * rows * layout.width
        lane = 0
        while lane < lanes:
            wide = lanes_of(lanes - lane)
            whole = lane + wide <= outputs  # else the tile would write into the next pixel
            parts = -(-len(matrix) * wide // _CHUNK) if whole else 1
            chunk = max(1, -(-jumps.size // max(1, parts)))
            for t in range(0, max(1, jumps.size), chunk):  # so many runs that their weights stay in the cache
                for m in range(0, count, ROWS):
                    to, to_rows = out.ctypes.data + 4 * (origin + lane), six_rows(places, m, count, some_places)
                    if not whole:
                        to, to_rows = spill.ctypes.data, spill_rows.ctypes.data
                    begun, begun_rows = to, to_rows
                    if t == 0:
                        begun, begun_rows = start.ctypes.data + 4 * lane, zeros.ctypes.data
                    multiply(
                        wide, to, to_rows, begun, begun_rows, begin, six_rows(pixels, m, count, some_pixels), jumps.ctypes.data + 8 * t,
                        1, matrix.ctypes.data + 4 * lane, weight_places.ctypes.data + 8 * t, lanes, min(chunk, jumps.size - t),
                        terms.ctypes.data + 8 * t,
                    )  # fmt: skip
                    if not whole:
                        for i in range(min(ROWS, count - m)):
                            for k in range(lane, outputs):
                                out[origin + places[m + i] + k] = spill[i, k - lane]
            lane += wide


@loop
def _sweep_few(out, source, matrix, start, n, outputs, pixels, places, jumps, terms, fields, band, first, last):
    """matrix: (outputs, T, lanes); the lanes are the input channels, padded to whole vectors with zeros."""
    layout = Layout(*fields)
    _, taps, lanes = matrix.shape
    a = band if layout.copied else source
    zeros, ones = np.zeros(ROWS, np.int64), np.ones(taps, np.int64)
    some_pixels, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    weight_places = np.arange(0, taps * lanes, lanes)
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, source, layout, image, row, images, rows)
        origin = image * layout.out_image + row * layout.out_line + layout.out_first
        count = images * rows * layout.width
        for m in range(0, count, ROWS):
            a_rows, to_rows = six_rows(pixels, m, count, some_pixels), six_rows(places, m, count, some_places)
            for k in range(outputs):
                to = out.ctypes.data + 4 * (origin + k)
                begun, begun_rows = start.ctypes.data + 4 * k, zeros.ctypes.data
                lane = 0
                while lane < lanes:
                    wide = lanes_of(lanes - lane)
                    multiply_dots(
                        wide, to, to_rows, begun, begun_rows, begin + 4 * lane, a_rows, jumps.ctypes.data, 0,
                        matrix.ctypes.data + 4 * (k * taps * lanes + lane), weight_places.ctypes.data, 0, taps, ones.ctypes.data,
                    )  # fmt: skip
                    begun, begun_rows = to, to_rows
                    lane += wide


@loop
def _sweep_depthwise(out, source, matrix, start, n, outputs, pixels, places, jumps, terms, fields, band, first, last):
    """matrix: (T, lanes), and start: (lanes,), the bias; the lanes are the channels, padded to whole vectors."""
    layout = Layout(*fields)
    lanes = matrix.shape[1]
    a = band if layout.copied else source
    zeros, spill_rows = np.zeros(ROWS, np.int64), np.arange(0, ROWS * 64, 64)
    spill = np.empty((ROWS, 64), np.float32)
    some_pixels, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    weight_places = np.zeros(jumps.size + 1, np.int64)
    weight_places[1:] = np.cumsum(terms) * lanes
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, source, layout, image, row, images, rows)
        origin = image * layout.out_image + row * layout.out_line + layout.out_first
        count = images * rows * layout.width
        for m in range(0, count, ROWS):  # all lanes of a few pixels, whose neighbours stay in the first cache
            a_rows, out_rows = six_rows(pixels, m, count, some_pixels), six_rows(places, m, count, some_places)
            lane = 0
            while lane < lanes:
                wide = lanes_of(lanes - lane)
                whole = lane + wide <= outputs  # else the tile would write into the next pixel
                to, to_rows = out.ctypes.data + 4 * (origin + lane), out_rows
                if not whole:
                    to, to_rows = spill.ctypes.data, spill_rows.ctypes.data
                multiply_channels(
                    wide, to, to_rows, start.ctypes.data + 4 * lane, zeros.ctypes.data, begin + 4 * lane, a_rows, jumps.ctypes.data,
                    layout.pixel, matrix.ctypes.data + 4 * lane, weight_places.ctypes.data, lanes, jumps.size, terms.ctypes.data,
                )  # fmt: skip
                if not whole:
                    for i in range(min(ROWS, count - m)):
                        for k in range(lane, outputs):
                            out[origin + places[m + i] + k] = spill[i, k - lane]
                lane += wide


@loop
def _weight_gradient(total, x, y, n, outputs, y_first, pixels, jumps, step, fields, band, y_band, first, last):
    """total: (T, c, lanes), which is added to. step: from one pixel of a band to the next."""
    layout = Layout(*fields)
    taps, c, lanes = total.shape
    y_channels = y.shape[1]
    a = band if layout.copied else x
    padded = outputs < lanes
    rows_of = (jumps.reshape(-1, 1) + np.arange(c)).ravel()  # (T c,)
    some_rows, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    places = np.arange(0, total.size, lanes)
    pitch = lanes if padded else y_channels
    lines = np.ascontiguousarray(pixels[:: layout.width])  # where each row of outputs begins to read
    y_lines, terms = np.arange(lines.size) * (layout.width * pitch), np.full(lines.size, layout.width)
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, x, layout, image, row, images, rows)
        pixel = (image * layout.height + row) * layout.width
        factors = y.ctypes.data + 4 * (pixel * y_channels + y_first)
        if padded:
            factors = y_band.ctypes.data
            _pad(y_band, y, pixel, images * rows * layout.width, y_first, outputs, lanes)
        lane = 0
        while lane < lanes:
            wide = lanes_of(lanes - lane)
            for m in range(0, taps * c, ROWS):
                to, to_rows = total.ctypes.data + 4 * lane, six_rows(places, m, taps * c, some_places)
                multiply(
                    wide, to, to_rows, to, to_rows, begin, six_rows(rows_of, m, taps * c, some_rows), lines.ctypes.data, step,
                    factors + 4 * lane, y_lines.ctypes.data, pitch, images * rows, terms.ctypes.data,
                )  # fmt: skip
            lane += wide


@loop
def _weight_gradient_few(total, x, y, n, outputs, y_first, pixels, jumps, step, fields, band, y_band, first, last):
    """total: (outputs, T, lanes), which is added to; the lanes are the input channels, padded to whole vectors."""
    layout = Layout(*fields)
    _, taps, lanes = total.shape
    a = band if layout.copied else x
    some_jumps, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    places = np.arange(0, taps * lanes, lanes)
    lines = np.ascontiguousarray(pixels[:: layout.width])  # where each row of outputs begins to read
    y_channels = y.shape[1]
    y_lines, terms = np.arange(lines.size) * (layout.width * y_channels), np.full(lines.size, layout.width)
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, x, layout, image, row, images, rows)
        pixel = (image * layout.height + row) * layout.width
        for k in range(outputs):
            factors = y.ctypes.data + 4 * (pixel * y_channels + y_first + k)
            lane = 0
            while lane < lanes:
                wide = lanes_of(lanes - lane)
                for m in range(0, taps, ROWS):
                    to, to_rows = (
                        total.ctypes.data + 4 * (k * taps * lanes + lane),
                        six_rows(places, m, taps, some_places),
                    )
                    multiply_scaled(
                        wide, to, to_rows, to, to_rows, begin + 4 * lane, six_rows(jumps, m, taps, some_jumps), lines.ctypes.data, step,
                        factors, y_lines.ctypes.data, y_channels, images * rows, terms.ctypes.data,
                    )  # fmt: skip
                lane += wide


@loop
def _weight_gradient_depthwise(
    total, x, y, n, outputs, y_first, pixels, jumps, step, fields, band, y_band, first, last
):
    """total: (T, lanes), which is added to; the lanes are the channels, padded to whole vectors."""
    layout = Layout(*fields)
    taps, lanes = total.shape
    a = band if layout.copied else x
    padded = outputs < lanes
    some_jumps, some_places = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    places = np.arange(0, total.size, lanes)
    lines = np.ascontiguousarray(pixels[:: layout.width])  # where each row of outputs begins to read
    y_lines, terms = np.arange(lines.size) * (layout.width * lanes), np.full(lines.size, layout.width)
    for item in range(first, last):
        image, row, images, rows = _extent(layout, item, n)
        begin = a.ctypes.data + 4 * _band(band, x, layout, image, row, images, rows)
        pixel = (image * layout.height + row) * layout.width
        factors = y.ctypes.data + 4 * pixel * outputs
        if padded:
            factors = y_band.ctypes.data
            _pad(y_band, y, pixel, images * rows * layout.width, 0, outputs, lanes)
        lane = 0
        while lane < lanes:
            wide = lanes_of(lanes - lane)
            for m in range(0, taps, ROWS):
                to, to_rows = total.ctypes.data + 4 * lane, six_rows(places, m, taps, some_places)
                multiply_channels(
                    wide, to, to_rows, to, to_rows, begin + 4 * lane, six_rows(jumps, m, taps, some_jumps), lines.ctypes.data, step,
                    factors + 4 * lane, y_lines.ctypes.data, lanes, images * rows, terms.ctypes.data,
                )  # fmt: skip
            lane += wide


# ------------------------------------------------------------------------------------------------------ the functions

_MOST_OUTPUTS_FOR_INPUT_LANES = 4
"""Up to this many outputs, lanes over the input channels are faster than lanes over the outputs."""


def convolve(x: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    if weight.size == 0:  # no channels
        return reference.convolve(x, weight, bias, geometry=geometry)
    if _is_depthwise(geometry, weight):
        x = _repeated(x, weight.shape[3] // geometry.groups)
    return _swept(x, weight, bias, geometry, (geometry.forward,), geometry.size, geometry.out_size, transposed=False)


def convolve_transposed(y: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    if weight.size == 0:  # no channels
        return reference.convolve_transposed(y, weight, bias, geometry=geometry)
    multiplier = weight.shape[3] // geometry.groups
    if not _is_depthwise(geometry, weight) or multiplier == 1:
        return _swept(y, weight, bias, geometry, geometry.phases, geometry.out_size, geometry.size, transposed=True)
    out = _swept(y, weight, None, geometry, geometry.phases, geometry.out_size, geometry.size, transposed=True)
    out = out.reshape(*out.shape[:3], geometry.groups, multiplier).sum(axis=4)  # the outputs that share an input
    return out if bias is None else out + bias


def convolve_weight(x: Array, y: Array, *, geometry: Geometry) -> Array:
    if 0 in (x.shape[3], y.shape[3]):  # no channels
        return reference.convolve_weight(x, y, geometry=geometry)
    c, k = x.shape[3] // geometry.groups, y.shape[3] // geometry.groups
    gradient = np.zeros((*geometry.kernel, c, y.shape[3]), np.float32)
    live = gradient.reshape(-1, c, y.shape[3])  # (kh kw, c, K), a view
    taps = list(geometry.forward.taps)
    y = np.ascontiguousarray(y)
    if c == 1 and geometry.groups > 1:
        lanes = whole_vectors(y.shape[3])
        total = _weight_gradient_sum(_weight_gradient_depthwise, _repeated(x, k), y, geometry, 0, 0, (len(taps), lanes))
        live[taps, 0] = total[:, : y.shape[3]]
        return gradient
    x = np.ascontiguousarray(x)
    if geometry.groups == 1 and winograd.serves_weight_gradient(geometry.forward, len(x), c, k):
        return winograd.weight_gradient(x, y, geometry.forward, len(live)).reshape(gradient.shape)
    for g in range(geometry.groups):
        outputs = slice(g * k, g * k + k)
        if k <= _MOST_OUTPUTS_FOR_INPUT_LANES:
            shape = (k, len(taps), whole_vectors(c))
            total = _weight_gradient_sum(_weight_gradient_few, x, y, geometry, g * c, g * k, shape)
            total = total[:, :, :c].transpose(1, 2, 0)
        else:
            shape = (len(taps), c, whole_vectors(k))
            total = _weight_gradient_sum(_weight_gradient, x, y, geometry, g * c, g * k, shape)[:, :, :k]
        live[taps, :, outputs] = total  # (T, c, k)
    return gradient


def _is_depthwise(geometry: Geometry, weight: Array) -> bool:
    return geometry.groups > 1 and weight.shape[2] == 1


def _repeated(x: Array, multiplier: int) -> Array:
    """Return x with each channel as often as it has outputs, contiguous."""
    return np.ascontiguousarray(x) if multiplier == 1 else np.repeat(x, multiplier, axis=3)


def _swept(
    source: Array, weight: Array, bias: Array | None, geometry: Geometry, sweeps: tuple[Sweep, ...], size: Pair, out_size: Pair, *,
    transposed: bool,
) -> Array:  # fmt: skip
    """Return the outcome of some sweeps over a source of size (rows, columns), (N, rows, columns, channels)."""
    source = np.ascontiguousarray(source)
    groups, depthwise = geometry.groups, _is_depthwise(geometry, weight)
    if depthwise:
        groups, inputs, outputs = 1, source.shape[3], source.shape[3]
    else:
        outputs = weight.shape[2] if transposed else weight.shape[3] // groups
        inputs = source.shape[3] // groups
    loop = _sweep_depthwise if depthwise else _sweep_few if outputs <= _MOST_OUTPUTS_FOR_INPUT_LANES else _sweep
    out = np.empty((len(source), *out_size, groups * outputs), np.float32)
    flat_weight = weight.reshape(-1, *weight.shape[2:])  # (kh kw, c, K)
    if transposed and not depthwise:
        flat_weight = _transposed(flat_weight)  # (kh kw, K, c)
    if geometry.groups == 1 and size == (1, 1):
        _spread_one_pixel(out, source, flat_weight, bias, sweeps)
        return out
    if geometry.groups == 1 and few.serves(sweeps, size[0] * size[1], outputs):
        few.write(out, source, flat_weight, bias, sweeps)
        return out
    jobs: list[Job] = []
    by_fewer = [s for s in sweeps if geometry.groups == 1 and winograd.serves(s, len(source), inputs, outputs)]
    winograd.write(out, source, flat_weight, bias, by_fewer)
    for sweep in (s for s in sweeps if s not in by_fewer):
        live = flat_weight[list(sweep.taps)]  # (T, c, K), or (T, K, c)
        for g in range(groups):
            start = np.zeros(whole_vectors(outputs), np.float32)
            if bias is not None:
                start[:outputs] = bias[g * outputs : (g + 1) * outputs]
            if depthwise:
                matrix = live.reshape(len(sweep.taps), outputs)  # (T, lanes)
            else:
                block = slice(g * inputs, (g + 1) * inputs) if transposed else slice(g * outputs, (g + 1) * outputs)
                matrix = live[:, block] if transposed else live[:, :, block]  # (T, inputs, outputs)
                matrix = matrix.transpose(2, 0, 1) if loop is _sweep_few else matrix.reshape(-1, outputs)
            lanes = loop is not _sweep
            plan = plan_of(
                sweep, size=size, source_channels=source.shape[3], first_channel=g * inputs, channels=inputs, out_size=out_size,
                out_channels=out.shape[3], out_first=g * outputs, lanes=lanes,
            )  # fmt: skip
            jumps = plan.jumps if loop is _sweep_few else plan.runs
            matrix = np.ascontiguousarray(_padded(matrix))
            tables = (matrix, start, outputs, plan.pixels, plan.places, jumps, plan.terms, tuple(plan.layout))
            jobs.append(Job(functools.partial(_sweep_part, loop, out, source, tables), plan, matrix.size))
    _share_out(jobs, len(source))
    return out


def _spread_one_pixel(out: Array, source: Array, weight: Array, bias: Array | None, sweeps: tuple[Sweep, ...]) -> None:
    """Do sweeps over images of one pixel, as a generator's first layer does: at most one tap leads to an output, so it is a linear map."""
    matrix = np.zeros((source.shape[3], *out.shape[1:]), np.float32)  # (C, rows, columns, K)
    for sweep in sweeps:
        for tap, offset in zip(sweep.taps, sweep.offsets, strict=True):
            (a, skips_row), (b, skips_column) = (divmod(-o, s) for o, s in zip(offset, sweep.step, strict=True))
            if not skips_row and not skips_column and 0 <= a < sweep.extent[0] and 0 <= b < sweep.extent[1]:
                row, column = (r + s * n for r, s, n in zip(sweep.start, sweep.stride, (a, b), strict=True))
                matrix[:, row, column] = weight[tap]
    np.matmul(source.reshape(source.shape[0], -1), matrix.reshape(len(matrix), -1), out=out.reshape(len(out), -1))
    if bias is not None:
        out += bias


def _sweep_part(
    loop: Callable[..., None], out: Array, source: Array, tables: tuple[Any, ...], images: slice, band: Array, first: int, last: int
) -> None:  # fmt: skip
    matrix, start, *others = tables
    part = source[images]
    loop(out[images].reshape(-1), part.reshape(-1), matrix, start, len(part), *others, band, first, last)


def _weight_gradient_sum(
    loop: Callable[..., None], x: Array, y: Array, geometry: Geometry, first_input: int, first_output: int, shape: tuple[int, ...]
) -> Array:  # fmt: skip
    """Return what a loop sums up, of that shape: each thread sums over its part, then they are added up."""
    inputs = x.shape[3] // geometry.groups
    outputs = y.shape[3] // geometry.groups
    if loop is _weight_gradient_depthwise:
        inputs = outputs = y.shape[3]
    plan = plan_of(
        geometry.forward, size=geometry.size, source_channels=x.shape[3], first_channel=first_input, channels=inputs,
        out_size=geometry.out_size, out_channels=y.shape[3], out_first=first_output, lanes=loop is not _weight_gradient,
    )  # fmt: skip
    totals: dict[tuple[int, int], Array] = {}
    y_size = plan.pixels.size * shape[-1] if loop is not _weight_gradient_few and outputs < shape[-1] else 0

    def work(images: slice, band: Array, first: int, last: int) -> None:
        total = totals[images.start, first] = np.zeros(shape, np.float32)
        part, rows = x[images], y[images].reshape(-1, y.shape[3])
        loop(
            total, part.reshape(-1), rows, len(part), outputs, first_output, plan.pixels, plan.jumps, plan.step, tuple(plan.layout),
            band, workspace("y", y_size), first, last,
        )  # fmt: skip

    _share_out([Job(work, plan, math.prod(shape))], len(x))
    return functools.reduce(np.add, (totals[place] for place in sorted(totals)))  # always in the same order


class Job(NamedTuple):
    """A part of the work that is done image by image: `work(images, workspace, first band, last band)`."""

    work: Callable[[slice, Array, int, int], None]
    plan: Plan
    products: int  # for an output


def _share_out(jobs: list[Job], n: int) -> None:
    """Do jobs on n images, on several threads if that pays: each takes some images, or some bands where images are few."""
    whole = sum(job.products * job.plan.layout.height * job.plan.layout.width for job in jobs)  # products for an image

    def on_images(first: int, last: int) -> None:
        for job in jobs:
            layout = job.plan.layout
            bands = (last - first) * layout.bands if layout.bands > 1 else -(-(last - first) // layout.images)
            job.work(slice(first, last), workspace("band", job.plan.band_size), 0, bands)

    if n == 0 or n >= threads.get_threads():
        threads.in_pieces(on_images, n, -(-ENOUGH // max(1, whole)))
        return
    for job in jobs:
        worth = -(-ENOUGH // max(1, job.products * job.plan.pixels.size))
        bands = n * job.plan.layout.bands if job.plan.layout.bands > 1 else -(-n // job.plan.layout.images)
        threads.in_pieces(functools.partial(_on_bands, job, slice(0, n)), bands, worth)


def _on_bands(job: Job, images: slice, first: int, last: int) -> None:
    job.work(images, workspace("band", job.plan.band_size), first, last)


@loop
def _transpose(out, weight, first, last):
    """Block by block, so that what is read and what is written stays in the cache."""
    _, channels, outputs = weight.shape
    for tap in range(first, last):
        for c in range(0, channels, LANES):
            for k in range(0, outputs, LANES):
                for j in range(k, min(k + LANES, outputs)):
                    for i in range(c, min(c + LANES, channels)):
                        out[tap, j, i] = weight[tap, i, j]


def _transposed(weight: Array) -> Array:
    """Return a weight, (taps, C, K), as (taps, K, C)."""
    taps, c, k = weight.shape
    weight, out = np.ascontiguousarray(weight), np.empty((taps, k, c), np.float32)
    threads.in_pieces(lambda a, b: _transpose(out, weight, a, b), taps, -(-threads.SMALLEST_PIECE // max(1, c * k)))
    return out


def _padded(matrix: Array) -> Array:
    """Return a matrix with its last axis padded with zeros to whole vectors."""
    width = matrix.shape[-1]
    if width % LANES == 0:
        return matrix
    padded = np.zeros((*matrix.shape[:-1], whole_vectors(width)), np.float32)
    padded[..., :width] = matrix
    return padded
