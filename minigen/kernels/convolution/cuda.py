# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and pointers Numba's.
"""Convolution for float32 CuPy arrays: pixels packed by a kernel of Numba's, multiplied by cuBLAS; `reference.py` says what is computed.

A sweep, see `geometry.Sweep`, is a matrix product. Each of its pixels is a row, each live tap with each input channel a column:

    packed         columns (pixels, T c) @ live weights (T c, k) -> outputs (pixels, k), written to the places of the sweep
    weight         columns^T (T c, pixels) @ outputs (pixels, k) -> live weights (T c, k)
    weight, c > k  the same with the two images swapped: the phases pack y, into T k columns, and x is read where it lies

Here c and k are the channels of a group, and k the written ones: in a transposed convolution the letters change places. The kernel
`_pack` fills the columns, zeros where a tap leaves the image. Neighbouring threads fill neighbouring columns: channels, which lie side by
side in the image too, so that whole cache lines are read and written. A dead tap has no column. A 1x1 convolution of step 1 packs nothing,
the image is the columns. As many images as fit are packed at a time, into at most `WORKSPACE` floats, or the rows of one if it is large;
CuPy's memory pool hands out the same workspace each time.

Columns are worth their memory if each is used for many outputs. In narrow groups (`_MOST_CHANNELS_UNPACKED`), depthwise ones above all,
`_direct` computes each output with one thread, and `_direct_weight_gradient` each weight's gradient with several, which share out the
rows of pixels; a second pass adds up their sums. Without atomic operations nothing depends on which thread comes first, and the outcome
is the same each time.

    kernel                   memory moved, bytes                                  from caches, bytes    operations
    _pack                    4 (T + 1) c a pixel: columns, image                  4 T c a pixel         none
    cuBLAS                   4 (T c + k) a pixel, 4 T c k once                    its own               2 T c k a pixel
    the places               8 k a pixel if strided, of a group, or with a bias   none                  k a pixel with a bias
    _direct                  4 (c + k) a pixel and group                          8 T c k               2 T c k a pixel and group
    _direct_weight_gradient  4 (c + k) a pixel and group                          8 T c k               2 T c k a pixel and group

Columns are written and read, 8 T c bytes for 2 T c k operations. An H200 computes 14 operations of float32 while it moves a byte, so from
k = 56 on it is the product that takes the time. Which taps a sweep has is a table in the GPU's memory, written at the first call and kept:
later calls wait for nothing.

The launches, the need for numba-cuda and the simulator are those of `minigen/kernels/cuda.py`.
"""

import functools
import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np
from numba import cuda
from numba.core.types import UniTuple, float32, int32

from minigen.backend import Array, array_module
from minigen.kernels.convolution import reference
from minigen.kernels.convolution.geometry import Geometry, Pair, Sweep
from minigen.kernels.cuda import _SIMULATED, ZERO, _device, _kernel, _split

WORKSPACE = 2**26
"""Floats of the columns that are packed at a time: 256 MB."""

_MOST_CHANNELS_UNPACKED = 4
"""Channels of a group up to which columns are used too rarely to be packed."""

_PIXELS = 4
"""Pixels that a thread packs, for each of which it need not divide anew."""

_ENOUGH = 2**17
"""Threads that keep a GPU busy with sums: those of a big one, with 132 processors, hold a thousand of them each."""

# --------------------------------------------------------------------------------------------------- kernels

_pair = UniTuple(int32, 2)

# A GPU multiplies and divides 64 bits several times as slowly as 32, but Numba widens the outcome of int32 unless it is told. So positions
# inside an image, the weight and a workspace are int32, each of them below 2^31 floats; only the place where an image begins is int64.


@_device
def _sum(first, step, count):
    return np.int32(first + step * count)


@_device
def _image_size(size, channels):
    return size[0] * np.int64(size[1]) * channels


@_kernel((float32, float32, int32), int32, int32, int32, int32, int32, int32, _pair, _pair, _pair)
def _pack(columns, source, table, threads, pixels, first_row, taps, channels, first, pitch, size, count, step):
    """columns: (pixels, taps, channels); source: (images, *size, pitch), of which `channels` are packed from the `first` on."""
    i = cuda.grid(1)
    if i < threads:
        rest, channel = _split(i, channels)
        block, tap = _split(rest, taps)
        pixel = _sum(0, block, _PIXELS)
        line, column = _split(pixel, count[1])
        image, row = _split(line, count[0])
        down, right = table[_sum(1, tap, 3)], table[_sum(2, tap, 3)]
        place = _sum(channel, _sum(tap, pixel, taps), channels)
        channel = _sum(channel, first, 1)
        for _ in range(min(_PIXELS, pixels - pixel)):
            h, w = _sum(down, step[0], _sum(row, first_row, 1)), _sum(right, step[1], column)
            value = ZERO
            if 0 <= h < size[0] and 0 <= w < size[1]:
                value = source[image * _image_size(size, pitch) + _sum(channel, _sum(w, h, size[1]), pitch)]
            columns[place] = value
            place, column = _sum(place, taps, channels), _sum(column, 1, 1)
            if column == count[1]:
                column, row = np.int32(0), _sum(row, 1, 1)
                if row == count[0]:
                    row, image = np.int32(0), _sum(image, 1, 1)


@_kernel((float32, float32, float32, float32, int32), int32, int32, _pair, _pair, UniTuple(int32, 4), *(_pair,) * 6)
def _direct(
    out, source, weight, bias, table, threads, first_row, taps, channels, group, steps, size, out_size, count, step, start, stride
):  # fmt: skip
    """channels: of source and out; group: the inputs and outputs of one; steps: in weight, of a tap, a group, an output and an input."""
    i = cuda.grid(1)
    if i < threads:
        pixel, output = _split(i, channels[1])
        line, column = _split(pixel, count[1])
        image, row = _split(line, count[0])
        row = _sum(row, first_row, 1)
        g, local = _split(output, group[1])
        seen = image * _image_size(size, channels[0]) + g * group[0]
        first_weight = _sum(_sum(0, g, steps[1]), local, steps[2])
        total = bias[output]
        for tap in range(0, 3 * taps, 3):
            h, w = _sum(table[tap + 1], step[0], row), _sum(table[tap + 2], step[1], column)
            if 0 <= h < size[0] and 0 <= w < size[1]:
                first = seen + _sum(0, _sum(w, h, size[1]), channels[0])
                entry = _sum(first_weight, table[tap], steps[0])
                for j in range(group[0]):
                    total += source[first + j] * weight[entry]
                    entry = _sum(entry, steps[3], 1)
        h, w = _sum(start[0], stride[0], row), _sum(start[1], stride[1], column)
        out[image * _image_size(out_size, channels[1]) + _sum(output, _sum(w, h, out_size[1]), channels[1])] = total


@_kernel((float32, float32, float32, int32), int32, int32, int32, *(_pair,) * 5)
def _direct_weight_gradient(
    partial, x, y, table, threads, lines, lines_each, taps, channels, group, size, out_size, step
):
    """partial: (parts, taps, inputs of a group, outputs); each part sums over some of the lines, which are rows of pixels of y."""
    i = cuda.grid(1)
    if i < threads:
        rest, output = _split(i, channels[1])
        rest, j = _split(rest, group[0])
        part, tap = _split(rest, taps)
        g, _ = _split(output, group[1])
        channel = _sum(j, g, group[0])
        down, right = table[_sum(1, tap, 3)], table[_sum(2, tap, 3)]
        # In these columns 0 <= w < size[1]. The loop needs no condition, so that several of its loads are under way at a time.
        first, _ = _split(max(0, -right) + step[1] - 1, step[1])
        stop, _ = _split(max(0, size[1] - right) + step[1] - 1, step[1])
        stop = min(stop, out_size[1])
        total = ZERO
        for line in range(part * lines_each, min(part * lines_each + lines_each, lines)):
            image, row = _split(line, out_size[0])
            h = _sum(down, step[0], row)
            if 0 <= h < size[0]:
                w = _sum(right, step[1], first)
                seen = image * _image_size(size, channels[0]) + _sum(channel, _sum(w, h, size[1]), channels[0])
                given = (line * np.int64(out_size[1]) + first) * channels[1] + output
                for _ in range(first, stop):
                    total += x[seen] * y[given]
                    seen += _sum(0, step[1], channels[0])
                    given += channels[1]
        partial[i] = total


# ------------------------------------------------------------------------------------------------- functions


def convolve(x: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    if weight.size == 0:  # no channels
        return reference.convolve(x, weight, bias, geometry=geometry)
    c, k = weight.shape[2], weight.shape[3] // geometry.groups  # of a group
    _check("convolve", x, "x", (len(x), *geometry.size, geometry.groups * c))
    _check("convolve", weight, "weight", (*geometry.kernel, c, geometry.groups * k))
    _check("convolve", bias, "bias", (geometry.groups * k,))
    return _swept(x, weight, bias, geometry, (geometry.forward,), geometry.out_size, transposed=False)


def convolve_transposed(y: Array, weight: Array, bias: Array | None, *, geometry: Geometry) -> Array:
    if weight.size == 0:  # no channels
        return reference.convolve_transposed(y, weight, bias, geometry=geometry)
    c, k = weight.shape[2], weight.shape[3] // geometry.groups
    _check("convolve_transposed", y, "y", (len(y), *geometry.out_size, geometry.groups * k))
    _check("convolve_transposed", weight, "weight", (*geometry.kernel, c, geometry.groups * k))
    _check("convolve_transposed", bias, "bias", (geometry.groups * c,))
    return _swept(y, weight, bias, geometry, geometry.phases, geometry.size, transposed=True)


def convolve_weight(x: Array, y: Array, *, geometry: Geometry) -> Array:
    if 0 in (x.shape[3], y.shape[3]):  # no channels
        return reference.convolve_weight(x, y, geometry=geometry)
    module, groups = array_module(x), geometry.groups
    c, k = x.shape[3] // groups, y.shape[3] // groups
    _check("convolve_weight", x, "x", (len(x), *geometry.size, groups * c))
    _check("convolve_weight", y, "y", (len(x), *geometry.out_size, groups * k))
    x, y = module.ascontiguousarray(x), module.ascontiguousarray(y)
    gradient = module.zeros((geometry.kernel[0] * geometry.kernel[1], c, groups * k), "float32")
    swapped = groups == 1 and c > k
    for sweep in geometry.phases if swapped else (geometry.forward,):
        if not sweep.taps:
            continue
        if groups > 1 and min(c, k) <= _MOST_CHANNELS_UNPACKED:
            live = _direct_weight_gradient_sum(x, y, sweep, (c, k))
        else:
            live = (
                _weight_gradient_sum(y, x, sweep, groups).swapaxes(1, 2)
                if swapped
                else _weight_gradient_sum(x, y, sweep, groups)
            )
        gradient[_table(x, sweep)[:, 0]] = live
    return gradient.reshape(*geometry.kernel, c, groups * k)


def _check(function: str, array: Array | None, name: str, shape: tuple[int, ...]) -> None:
    """Refuse an array that a kernel would read beyond its end."""
    if array is not None and (array.shape != shape or array.dtype != np.float32):
        raise ValueError(
            f"{function}: {name} is {array.dtype} of shape {array.shape}; expected float32 of shape {shape}"
        )


def _table(array: Array, sweep: Sweep) -> Array:
    """Return (T, 3) int32 on the array's device: each tap's place in the weight, and the offset that it reads, down and right."""
    return _uploaded(array_module(array), 0 if _SIMULATED else array.device.id, sweep)


@functools.cache
def _uploaded(module: ModuleType, device: int, sweep: Sweep) -> Array:
    rows = [(tap, *offset) for tap, offset in zip(sweep.taps, sweep.offsets, strict=True)]
    table = module.asarray(np.array(rows, np.int32).reshape(-1, 3))
    if not _SIMULATED:
        module.cuda.get_current_stream().synchronize()  # other streams will read it too
    return table


def _chunks(images: int, rows: int, row_size: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of images and of their rows that need at most `WORKSPACE` floats, or are one row."""
    if rows * row_size <= WORKSPACE:
        each = WORKSPACE // (rows * row_size)
        for image in range(0, images, each):
            yield slice(image, min(image + each, images)), slice(0, rows)
        return
    each = max(1, WORKSPACE // row_size)
    for image in range(images):
        for row in range(0, rows, each):
            yield slice(image, image + 1), slice(row, min(row + each, rows))


def _places(image: Array, sweep: Sweep) -> Array:
    """Return a view of those pixels that a sweep writes."""
    (top, left), (down, right) = sweep.start, sweep.stride
    return image[:, top::down, left::right]


def _columns(source: Array, sweep: Sweep, images: slice, rows: slice, channels: slice) -> Array:
    """Return what the live taps read, (pixels, T c), of some images, rows of a sweep, and channels."""
    part, size = source[images], source.shape[1:3]
    c = channels.stop - channels.start
    if sweep.offsets == ((0, 0),) and sweep.step == (1, 1) and sweep.extent == size:
        return part[:, rows, :, channels].reshape(-1, c)
    pixels = len(part) * (rows.stop - rows.start) * sweep.extent[1]
    columns = array_module(source).empty((pixels, len(sweep.taps) * c), "float32")
    _pack.queue(
        -(-pixels // _PIXELS) * columns.shape[1], [columns.ravel(), part.ravel(), _table(source, sweep).ravel()],
        pixels, rows.start, len(sweep.taps), c, channels.start, source.shape[3], size, (rows.stop - rows.start, sweep.extent[1]),
        sweep.step,
    )  # fmt: skip
    return columns


def _swept(
    source: Array, weight: Array, bias: Array | None, geometry: Geometry, sweeps: tuple[Sweep, ...], out_size: Pair, *, transposed: bool
) -> Array:  # fmt: skip
    """Return the outcome of some sweeps over (N, rows, columns, channels)."""
    module, groups = array_module(source), geometry.groups
    c, k = weight.shape[2], weight.shape[3] // groups
    inputs, outputs = (k, c) if transposed else (c, k)
    narrow = outputs <= _MOST_CHANNELS_UNPACKED or (groups > 1 and inputs <= _MOST_CHANNELS_UNPACKED)
    source, weight = module.ascontiguousarray(source), module.ascontiguousarray(weight)
    out = module.empty((len(source), *out_size, groups * outputs), "float32")
    for sweep in sweeps:
        if narrow:
            steps = (c * groups * k, k, groups * k, 1) if transposed else (c * groups * k, k, 1, groups * k)
            start = module.zeros(groups * outputs, "float32") if bias is None else module.ascontiguousarray(bias)
            _sweep_direct(out, source, weight, start, sweep, (inputs, outputs), steps)
        elif sweep.taps:
            live = weight.reshape(-1, c, groups * k)
            if len(sweep.taps) < len(live):
                live = live[_table(source, sweep)[:, 0]]
            blocks = [live[:, :, g * k : (g + 1) * k] for g in range(groups)]  # (T, c, k)
            matrices = [(block.swapaxes(1, 2) if transposed else block).reshape(-1, outputs) for block in blocks]
            _sweep_packed(out, source, matrices, bias, sweep)
        else:
            _places(out, sweep)[...] = 0 if bias is None else bias
    return out


def _sweep_packed(out: Array, source: Array, matrices: list[Array], bias: Array | None, sweep: Sweep) -> None:
    """Write a sweep's outcome; matrices: (T inputs, outputs) for each group."""
    module, places = array_module(source), _places(out, sweep)
    for g, matrix in enumerate(matrices):
        inputs, outputs = len(matrix) // len(sweep.taps), matrix.shape[1]
        read, written = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
        for images, rows in _chunks(len(source), sweep.extent[0], sweep.extent[1] * max(matrix.shape)):
            columns = _columns(source, sweep, images, rows, read)
            part = places[images, rows, :, written]
            if len(matrices) == 1 and sweep.stride == (1, 1):  # contiguous
                module.matmul(columns, matrix, out=part.reshape(len(columns), outputs))
                if bias is not None:
                    part += bias
                continue
            product = module.matmul(columns, matrix).reshape(part.shape)  # (pixels, T inputs) @ (T inputs, outputs)
            if bias is None:
                part[...] = product
            else:
                module.add(product, bias[written], out=part)


def _sweep_direct(
    out: Array, source: Array, weight: Array, bias: Array, sweep: Sweep, group: Pair, steps: tuple[int, int, int, int]
) -> None:
    """Write a sweep's outcome; for `group` and `steps` see `_direct`."""
    rows_size = sweep.extent[1] * out.shape[3]
    for images, rows in _chunks(len(source), sweep.extent[0], rows_size):
        part, written, count = source[images], out[images], (rows.stop - rows.start, sweep.extent[1])
        _direct.queue(
            len(part) * count[0] * rows_size,
            [written.ravel(), part.ravel(), weight.ravel(), bias, _table(source, sweep).ravel()],
            rows.start, len(sweep.taps), (source.shape[3], out.shape[3]), group, steps, source.shape[1:3], out.shape[1:3], count,
            sweep.step, sweep.start, sweep.stride,
        )  # fmt: skip


def _weight_gradient_sum(source: Array, other: Array, sweep: Sweep, groups: int) -> Array:
    """Return what the live taps of a sweep over `source` sum up with its places in `other`: (T, inputs of a group, outputs)."""
    module, places = array_module(source), _places(other, sweep)
    taps, inputs, outputs = len(sweep.taps), source.shape[3] // groups, other.shape[3] // groups
    total = module.zeros((taps, inputs, groups * outputs), "float32")
    for g in range(groups):
        read, seen = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
        part = total[:, :, seen]
        for images, rows in _chunks(len(source), sweep.extent[0], sweep.extent[1] * max(taps * inputs, outputs)):
            columns = _columns(source, sweep, images, rows, read)
            y = places[images, rows, :, seen].reshape(len(columns), outputs)
            part += module.matmul(columns.T, y).reshape(part.shape)  # (T inputs, pixels) @ (pixels, outputs)
    return total


def _direct_weight_gradient_sum(x: Array, y: Array, sweep: Sweep, group: Pair) -> Array:
    """Return the gradient of the live taps' weights, (T, c, K)."""
    taps, lines = len(sweep.taps), len(y) * y.shape[1]
    shape = (taps, group[0], y.shape[3])
    parts = max(1, min(lines, _ENOUGH // math.prod(shape)))
    partial = array_module(x).empty((parts, *shape), "float32")
    _direct_weight_gradient.queue(
        partial.size, [partial.ravel(), x.ravel(), y.ravel(), _table(x, sweep).ravel()],
        lines, -(-lines // parts), taps, (x.shape[3], y.shape[3]), group, x.shape[1:3], y.shape[1:3], sweep.step,
    )  # fmt: skip
    return partial.sum(axis=0)
