# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""Attention for float32 NumPy arrays, compiled by Numba; `reference.py` says what is computed.

The products run in the tile of the convolutions, six rows at a time. Forward, six queries are compared with all keys that they see, and
their six rows of scores, in the processor's first cache, become shares and fetch values before the next six come: no (T, S) array arises.
Backward, shares p and slopes ds of a *block* of queries, which fits the second cache, are kept until dk and dv have taken their part of it.
Where attention is causal, keys that none of six queries sees are left out of all products.

Keys and values, of one head of one example at a time, are first copied into workspaces: keys as columns, since the lanes of the scores are
keys, and padded to whole vectors. Memory moves the inputs, the outputs and these copies, against 2 T S (D + E) operations forward and 5/2
times as many backward.
Threads share out the pairs of an example and a head.

Fewer than six queries, as when a sequence is sampled place by place, are not worth the copies: they take the reference.
"""

import math

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from minigen.backend import Array
from minigen.kernels import threads
from minigen.kernels.approximations import ONE, ZERO, exp, select
from minigen.kernels.attention import reference
from minigen.kernels.compiler import inner, loop, summing
from minigen.kernels.memory import workspace
from minigen.kernels.tile import ENOUGH, LANES, ROWS, lanes_of, multiply, whole_vectors
from minigen.kernels.vectors import dot, largest

_BLOCK = 2**16
"""Floats of p, and of ds, in a block: 256 kB each."""

_UNSEEN = np.float32(-np.inf)

_whole = inner(whole_vectors)


# ------------------------------------------------------------------------------------------------------ memory


@intrinsic
def _float_at(context, address):
    """The float32 at an address. With it, loops read arrays of any strides, and are compiled once."""

    def generate(target, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], ir.FloatType().as_pointer()), align=4)

    return numba.float32(numba.int64), generate


@inner
def _copy(to, pitch, source, stride, rows, length, factor):
    """Copy rows of `length` numbers, times a factor, into lines of `pitch`, the rest of each 0."""
    for t in range(rows):
        line, begin = to[t * pitch : (t + 1) * pitch], source + t * stride
        for d in range(length):
            line[d] = factor * _float_at(begin + 4 * d)
        line[length:] = 0


@inner
def _copy_transposed(to, pitch, source, stride, rows, length):
    """Copy rows of `length` numbers into columns, of lines of `pitch`, the rest of each 0; a few rows at a time, which the cache holds."""
    for first in range(0, rows, LANES):
        count, begin = min(LANES, rows - first), source + first * stride
        for d in range(length):
            line, place = to[d * pitch + first : d * pitch + first + LANES], begin + 4 * d
            for s in range(count):
                line[s] = _float_at(place + s * stride)
            line[count:] = 0


@inner
def _line(vector, strides, n, t, h):
    return vector[n * strides[0] + t * strides[1] + h * strides[2] :]


# ------------------------------------------------------------------------------------------------------ six rows


@inner
def _product(out, out_rows, start, start_rows, a, a_rows, a_step, b, pitch, lanes, terms, zero_and_terms):
    """out[m, l] = start[m, l] + sum over i < terms of a[row(m) + i a_step] b[i pitch + l]; see `tile.py`. All are addresses."""
    zero_and_terms[0], zero_and_terms[1] = 0, terms
    zero, count = zero_and_terms.ctypes.data, zero_and_terms.ctypes.data + 8
    lane = 0
    while lane < lanes:
        wide = lanes_of(lanes - lane)
        multiply(
            wide, out + 4 * lane, out_rows, start + 4 * lane, start_rows, a, a_rows, zero, a_step, b + 4 * lane, zero, pitch, 1, count
        )  # fmt: skip
        lane += wide


@inner
def _hide(row, mask, count):
    for s in range(count):
        row[s] = select(mask[s] != 0, row[s], _UNSEEN)


@inner
def _exponential(x, shift):
    return exp(x - shift)


@summing
def _exponentials(row, count, shift):
    """Put exp(row - shift) in the place of row; return the sum."""
    total = ZERO
    for s in range(count):
        row[s] = _exponential(row[s], shift)
        total += row[s]
    return total


@inner
def _slopes(slope, share, count, shift, mean):
    """Put p = exp(s - shift) in the place of s, and ds = p (dp - mean) in that of dp."""
    for s in range(count):
        p = exp(share[s] - shift)
        share[s] = p
        slope[s] = p * (slope[s] - mean)


@inner
def _visible(queries, keys, causal, t):
    """Return how many keys query t sees, masks aside."""
    return max(0, t + 1 + keys - queries) if causal else keys


# ------------------------------------------------------------------------------------------------------ loops over pairs
#
# Arrays that the caller gave come as an address and strides, in bytes; the last axis lies side by side in memory.


@loop
def _forward(
    out, logarithm, query, query_strides, key, key_strides, value, value_strides, mask, sizes, causal, scale,
    columns, values, rows, scores, fetched, first, last,
):  # fmt: skip
    """columns: (D, pitch), values: (S, wide); of six queries rows: (6, D), scores: (6, pitch), fetched: (6, wide)."""
    queries, keys, heads, features, outputs = sizes
    pitch, wide = _whole(keys), _whole(outputs)
    zero_and_terms, zero = np.zeros(2, np.int64), np.zeros(max(pitch, wide), np.float32)
    no_rows, of_features = np.zeros(ROWS, np.int64), np.arange(ROWS) * features
    of_keys, of_outputs = np.arange(ROWS) * pitch, np.arange(ROWS) * wide
    factors = np.empty(ROWS, np.float32)
    for pair in range(first, last):
        n, h = pair // heads, pair % heads
        _copy_transposed(columns, pitch, key + n * key_strides[0] + h * key_strides[2], key_strides[1], keys, features)
        _copy(values, wide, value + n * value_strides[0] + h * value_strides[2], value_strides[1], keys, outputs, ONE)
        for t in range(0, queries, ROWS):
            count = min(ROWS, queries - t)
            begin = query + n * query_strides[0] + t * query_strides[1] + h * query_strides[2]
            _copy(rows, features, begin, query_strides[1], count, features, scale)
            most = _visible(queries, keys, causal, t + count - 1)
            stop = _whole(most)
            _product(
                scores.ctypes.data, of_keys.ctypes.data, zero.ctypes.data, no_rows.ctypes.data, rows.ctypes.data, of_features.ctypes.data,
                1, columns.ctypes.data, pitch, stop, features, zero_and_terms,
            )  # fmt: skip
            for m in range(count):
                row, seen = scores[m * pitch : m * pitch + stop], _visible(queries, keys, causal, t + m)
                if mask.size > 0:
                    _hide(row, mask[n % mask.shape[0], (t + m) % mask.shape[1]], seen)
                top = largest(row[:seen])
                factors[m], logarithm[n, h, t + m] = ZERO, _UNSEEN
                if top == _UNSEEN:
                    row[:] = 0
                else:
                    total = _exponentials(row, seen, top)
                    row[seen:] = 0
                    factors[m], logarithm[n, h, t + m] = ONE / total, top + np.float32(math.log(total))
            _product(
                fetched.ctypes.data, of_outputs.ctypes.data, zero.ctypes.data, no_rows.ctypes.data, scores.ctypes.data, of_keys.ctypes.data,
                1, values.ctypes.data, wide, wide, most, zero_and_terms,
            )  # fmt: skip
            for m in range(count):
                to, line = out[n, t + m, h], fetched[m * wide : (m + 1) * wide]
                for e in range(outputs):
                    to[e] = factors[m] * line[e]


@loop
def _backward(
    d_query, d_key, d_value, d_strides, g, g_strides, query, query_strides, key, key_strides, value, value_strides, out, out_strides,
    logarithm, mask, sizes, causal, scale, block, key_columns, value_columns, keys_read, rows, g_rows, out_rows, shares, slopes, slope_rows,
    key_sums, value_sums, first, last,
):  # fmt: skip
    """d_query, d_key and d_value are vectors, and d_strides says for each, in floats, how far apart its examples, places and heads lie.

    key_columns: (D, pitch), value_columns: (E, pitch), keys_read and key_sums: (S, deep), value_sums: (S, wide), where sums have S up to
    a multiple of six. Of a block of queries rows: (block, deep), g_rows: (block, wide), shares and slopes: (block, pitch) and a vector
    more; of six queries out_rows: (6, wide), slope_rows: (6, deep).
    """
    queries, keys, heads, features, outputs = sizes
    pitch, deep, wide = _whole(keys), _whole(features), _whole(outputs)
    zero_and_terms, zero = np.zeros(2, np.int64), np.zeros(max(pitch, deep, wide), np.float32)
    no_rows, side_by_side, of_keys = np.zeros(ROWS, np.int64), np.arange(ROWS), np.arange(ROWS) * pitch
    of_features, of_outputs = np.arange(ROWS) * deep, np.arange(ROWS) * wide
    for pair in range(first, last):
        n, h = pair // heads, pair % heads
        k, v = key + n * key_strides[0] + h * key_strides[2], value + n * value_strides[0] + h * value_strides[2]
        _copy_transposed(key_columns, pitch, k, key_strides[1], keys, features)
        _copy_transposed(value_columns, pitch, v, value_strides[1], keys, outputs)
        _copy(keys_read, deep, k, key_strides[1], keys, features, ONE)
        key_sums[:] = 0
        value_sums[:] = 0
        for begin in range(0, queries, block):
            end = min(begin + block, queries)
            for t in range(begin, end, ROWS):
                count, at = min(ROWS, queries - t), t - begin
                q = query + n * query_strides[0] + t * query_strides[1] + h * query_strides[2]
                _copy(rows[at * deep :], deep, q, query_strides[1], count, features, scale)
                there = g + n * g_strides[0] + t * g_strides[1] + h * g_strides[2]
                _copy(g_rows[at * wide :], wide, there, g_strides[1], count, outputs, ONE)
                there = out + n * out_strides[0] + t * out_strides[1] + h * out_strides[2]
                _copy(out_rows, wide, there, out_strides[1], count, outputs, ONE)
                most = _visible(queries, keys, causal, t + count - 1)
                stop = _whole(most)
                share, slope = shares[at * pitch : (at + ROWS) * pitch], slopes[at * pitch : (at + ROWS) * pitch]
                _product(
                    share.ctypes.data, of_keys.ctypes.data, zero.ctypes.data, no_rows.ctypes.data, rows.ctypes.data + 4 * at * deep,
                    of_features.ctypes.data, 1, key_columns.ctypes.data, pitch, stop, features, zero_and_terms,
                )  # fmt: skip
                _product(
                    slope.ctypes.data, of_keys.ctypes.data, zero.ctypes.data, no_rows.ctypes.data, g_rows.ctypes.data + 4 * at * wide,
                    of_outputs.ctypes.data, 1, value_columns.ctypes.data, pitch, stop, outputs, zero_and_terms,
                )  # fmt: skip
                for m in range(count):
                    line = m * pitch
                    p, ds = share[line : line + pitch], slope[line : line + pitch]
                    seen = _visible(queries, keys, causal, t + m)
                    if mask.size > 0:
                        _hide(p, mask[n % mask.shape[0], (t + m) % mask.shape[1]], seen)
                    shift = logarithm[n, h, t + m]
                    if shift == _UNSEEN:
                        seen = 0
                    mean = dot(g_rows[(at + m) * wide : (at + m) * wide + outputs], out_rows[m * wide :])
                    _slopes(ds, p, seen, shift, mean)
                    p[seen : stop + LANES] = 0  # six keys are summed at a time, of which the query may see a few only
                    ds[seen : stop + LANES] = 0
                _product(
                    slope_rows.ctypes.data, of_features.ctypes.data, zero.ctypes.data, no_rows.ctypes.data, slope.ctypes.data,
                    of_keys.ctypes.data, 1, keys_read.ctypes.data, deep, deep, most, zero_and_terms,
                )  # fmt: skip
                for m in range(count):
                    to, sums = _line(d_query, d_strides[0], n, t + m, h), slope_rows[m * deep :]
                    for d in range(features):
                        to[d] = scale * sums[d]
            for s in range(0, keys, ROWS):
                # From the block's first query on that sees key s.
                at = max(0, s - (keys - queries) - begin) if causal else 0
                count = end - begin - at
                if count <= 0:
                    break
                to, corner = value_sums.ctypes.data + 4 * s * wide, 4 * (at * pitch + s)
                _product(
                    to, of_outputs.ctypes.data, to, of_outputs.ctypes.data, shares.ctypes.data + corner, side_by_side.ctypes.data, pitch,
                    g_rows.ctypes.data + 4 * at * wide, wide, wide, count, zero_and_terms,
                )  # fmt: skip
                to = key_sums.ctypes.data + 4 * s * deep
                _product(
                    to, of_features.ctypes.data, to, of_features.ctypes.data, slopes.ctypes.data + corner, side_by_side.ctypes.data, pitch,
                    rows.ctypes.data + 4 * at * deep, deep, deep, count, zero_and_terms,
                )  # fmt: skip
        for s in range(keys):
            to, sums = _line(d_key, d_strides[1], n, s, h), key_sums[s * deep :]
            for d in range(features):
                to[d] = sums[d]
            to, sums = _line(d_value, d_strides[2], n, s, h), value_sums[s * wide :]
            for e in range(outputs):
                to[e] = sums[e]


# ------------------------------------------------------------------------------------------------------ the functions


def _readable(array: Array) -> Array:
    """The array itself if its last axis lies side by side in memory, else a copy."""
    return array if array.strides[-1] == array.itemsize else np.ascontiguousarray(array)


def _mask_bytes(mask: Array | None) -> Array:
    return np.empty((0, 0, 0), np.uint8) if mask is None else np.array(mask, np.uint8, order="C")


def _places(*sizes: int) -> list[Array]:
    """Return vectors of these sizes in this thread's workspace, each at the start of a line of the processor's cache."""
    padded = [whole_vectors(size) for size in sizes]
    space = workspace("attention", sum(padded) + LANES)
    start = -space.ctypes.data % 64 // 4
    places = []
    for size, room in zip(sizes, padded, strict=True):
        places.append(space[start : start + size])
        start += room
    return places


def attend(
    query: Array, key: Array, value: Array, *, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array]:
    n, queries, heads, features = query.shape
    keys, outputs = value.shape[1], value.shape[3]
    if queries < ROWS or query.size == 0 or value.size == 0:
        return reference.attend(query, key, value, mask=mask, causal=causal, scale=scale)
    query, key, value, mask = _readable(query), _readable(key), _readable(value), _mask_bytes(mask)
    out, logarithm = np.empty((n, queries, heads, outputs), np.float32), np.empty((n, heads, queries), np.float32)
    pitch, wide = whole_vectors(keys), whole_vectors(outputs)
    given = [part for array in (query, key, value) for part in (array.ctypes.data, array.strides)]
    sizes = (queries, keys, heads, features, outputs)

    def work(first: int, last: int) -> None:
        places = _places(features * pitch, keys * wide, ROWS * features, ROWS * pitch, ROWS * wide)
        _forward(out, logarithm, *given, mask, sizes, causal, np.float32(scale), *places, first, last)

    threads.in_pieces(work, n * heads, -(-ENOUGH // (queries * keys * (features + outputs))))
    return out, logarithm


def attend_backward(
    g: Array, query: Array, key: Array, value: Array, out: Array, logarithm: Array, *, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array, Array]:  # fmt: skip
    if query.shape[1] < ROWS or query.size == 0 or value.size == 0:
        return reference.attend_backward(g, query, key, value, out, logarithm, mask=mask, causal=causal, scale=scale)
    gradients = [np.empty(array.shape, np.float32) for array in (query, key, value)]
    vectors = [gradient.reshape(-1) for gradient in gradients]
    _put_gradients(vectors, gradients, [g, query, key, value, out], logarithm, _mask_bytes(mask), causal, scale)
    return gradients[0], gradients[1], gradients[2]


def attend_packed_backward(
    g: Array, packed: Array, out: Array, logarithm: Array, *, mask: Array | None, causal: bool, scale: float
) -> Array:  # fmt: skip
    if packed.shape[1] < ROWS or packed.size == 0:
        return reference.attend_packed_backward(g, packed, out, logarithm, mask=mask, causal=causal, scale=scale)
    gradient = np.empty(packed.shape, np.float32)
    parts, inputs = [gradient[:, :, i] for i in range(3)], [packed[:, :, i] for i in range(3)]
    vectors = [gradient.reshape(-1)[gradient[0, 0, :i].size :] for i in range(3)]
    _put_gradients(vectors, parts, [g, *inputs, out], logarithm, _mask_bytes(mask), causal, scale)
    return gradient


def _put_gradients(
    vectors: list[Array], gradients: list[Array], inputs: list[Array], logarithm: Array, mask: Array, causal: bool, scale: float
) -> None:  # fmt: skip
    """Write the gradients, each of which is a part of its vector. inputs: g, query, key, value, out."""
    arrays = [_readable(array) for array in inputs]
    (n, queries, heads, features), (_, keys, _, outputs) = arrays[1].shape, arrays[3].shape
    given = [part for array in arrays for part in (array.ctypes.data, array.strides)]
    strides = tuple(tuple(stride // 4 for stride in gradient.strides[:3]) for gradient in gradients)
    sizes = (queries, keys, heads, features, outputs)
    pitch, deep, wide = whole_vectors(keys), whole_vectors(features), whole_vectors(outputs)
    block = ROWS * max(1, min(-(-queries // ROWS), _BLOCK // (ROWS * pitch)))
    all_keys = ROWS * -(-keys // ROWS)

    def work(first: int, last: int) -> None:
        places = _places(
            features * pitch, outputs * pitch, keys * deep, block * deep, block * wide, ROWS * wide,
            block * pitch + LANES, block * pitch + LANES, ROWS * deep, all_keys * deep, all_keys * wide,
        )  # fmt: skip
        _backward(
            *vectors, strides, *given, logarithm, mask, sizes, causal, np.float32(scale), block, *places, first, last
        )

    threads.in_pieces(work, n * heads, -(-ENOUGH // (2 * queries * keys * (features + outputs))))
