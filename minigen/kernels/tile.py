# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Sums of products in vector registers: the arithmetic of convolution, attention and recurrence in float32 on the CPU.

    out[m, l] = start[l] + sum over o and i of  a[row(m) + jump(o) + i a_step] b[jump'(o) + i b_step + l]                              (1)

for a few *rows* m and a few *lanes* l, which lie side by side in memory. What rows and lanes are,
`convolution/cpu.py`, `attention/cpu.py`, `recurrence/cpu.py`, `image_lstm/cpu.py` and `raster/cpu.py` say. Big products of matrices are
left to BLAS.
"""

import functools

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigen.backend import Array
from minigen.kernels.compiler import inner

ROWS = 6
"""Rows of a tile."""

LANES = 16
"""Numbers in a vector: what a tile reads and writes at once."""


def whole_vectors(channels: int) -> int:
    """Return the number of channels, padded to whole vectors.

    Example:
        >>> whole_vectors(1), whole_vectors(16), whole_vectors(17)
        (16, 16, 32)
    """
    return -(-channels // LANES) * LANES


ENOUGH = 2**20
"""Products that are worth a thread: some 20 microseconds."""

_WIDE = 64 if binding.get_host_cpu_features().get("avx512f") else 16
"""The most lanes of a tile: 6 x 64 fill the 32 registers of AVX-512, 6 x 16 the 16 of AVX2."""

_FLOAT, _WORD, _INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def _tile(vectors: int, *, a_lanes: bool = False, b_lanes: bool = True, dots: bool = False):
    """Make the function that computes (1) for `ROWS` rows and `vectors` times `LANES` lanes.

    With `a_lanes`, lane l reads a[... + l] instead, and without `b_lanes` all lanes read b[...]. With `dots`, the lanes are added up in
    the end, and out and start have one number to a row.

    Its arguments are int64. `out`, `start`, `a` and `b` are addresses; `out_rows`, `start_rows`, `a_rows`, `a_jumps` and `b_jumps` are the
    addresses of tables of int64, which count floats, as do the steps; there are `jumps` o, and the table `terms` says how many i there are
    to each. It is written in LLVM's language, since Numba has no vectors.
    """

    @intrinsic
    def tile(context, out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms):
        def generate(target, builder, signature, arguments):
            (out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms) = arguments
            word = functools.partial(ir.Constant, _WORD)
            reduce = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR]), f"llvm.vector.reduce.fadd.v{LANES}f32"
            )

            def place(base, offset):  # the address of a float
                return builder.gep(base, [offset])

            def pointer(address, kind=_FLOAT):
                return builder.inttoptr(address, kind.as_pointer())

            def entry(table, i):
                return builder.load(place(pointer(table, _WORD), i))

            def load(base, vector):
                address = builder.bitcast(place(base, word(LANES * vector)), _VECTOR.as_pointer())
                return builder.load(address, align=4)

            def spread(scalar):  # to all lanes
                single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, _INDEX(0))
                zeros = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
                return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), zeros)

            def read(base, has_lanes):
                return [load(base, v) for v in range(vectors)] if has_lanes else [spread(builder.load(base))] * vectors

            # LLVM turns these variables into registers.
            sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in range(ROWS)]
            rows, begun = [], []  # rows may repeat: all starts are read before the first outcome is written
            for m in range(ROWS):
                rows.append(place(pointer(a), entry(a_rows, word(m))))
                first = place(pointer(start), entry(start_rows, word(m)))
                begun.append(builder.load(first))
                for v in range(vectors):
                    builder.store(ir.Constant(_VECTOR, [0.0] * LANES) if dots else load(first, v), sums[m][v])

            with cgutils.for_range(builder, jumps) as o:
                jumped = [place(row, entry(a_jumps, o.index)) for row in rows]
                lanes = place(pointer(b), entry(b_jumps, o.index))
                with cgutils.for_range(builder, entry(terms, o.index)) as i:
                    right = place(lanes, builder.mul(i.index, b_step))
                    factors = read(right, b_lanes)
                    offset = builder.mul(i.index, a_step)
                    for m in range(ROWS):
                        left = read(place(jumped[m], offset), a_lanes)
                        for v in range(vectors):
                            product = builder.fmul(left[v], factors[v], flags=["contract"])
                            total = builder.fadd(builder.load(sums[m][v]), product, flags=["contract"])
                            builder.store(total, sums[m][v])

            for m in range(ROWS):
                last = place(pointer(out), entry(out_rows, word(m)))
                if dots:
                    total = builder.load(sums[m][0])
                    for v in range(1, vectors):
                        total = builder.fadd(total, builder.load(sums[m][v]))
                    builder.store(builder.call(reduce, [begun[m], total], fastmath=["reassoc"]), last)
                    continue
                for v in range(vectors):
                    target_address = builder.bitcast(place(last, word(LANES * v)), _VECTOR.as_pointer())
                    builder.store(builder.load(sums[m][v]), target_address, align=4)
            return target.get_dummy_value()

        return types.void(*[types.int64] * 13), generate

    return tile


def _multiplication(**settings: bool):
    """Make a function of the number of lanes, 16, 32 or 64, and of a tile's arguments, which runs the tile of that width."""
    narrow, middle, wide = (_tile(vectors, **settings) for vectors in (1, 2, 4))

    @inner
    def multiply(lanes, out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms):
        if lanes == 64:
            wide(out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms)
        elif lanes == 32:
            middle(out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms)
        else:
            narrow(out, out_rows, start, start_rows, a, a_rows, a_jumps, a_step, b, b_jumps, b_step, jumps, terms)

    return multiply


multiply = _multiplication()
multiply_channels = _multiplication(a_lanes=True)
multiply_scaled = _multiplication(a_lanes=True, b_lanes=False)
multiply_dots = _multiplication(a_lanes=True, dots=True)


@inner
def lanes_of(left):
    """Return how many lanes the next tile has, of those that are left."""
    if left >= 64 and _WIDE >= 64:
        return 64
    return 32 if left >= 32 and _WIDE >= 32 else LANES


@inner
def six_rows(table, first, count, short):
    """Return the address of six entries of a table from `first` on; where there are fewer, of a copy that repeats the last."""
    if first + ROWS <= count:
        return table.ctypes.data + 8 * first
    for m in range(ROWS):
        short[m] = table[min(first + m, count - 1)]
    return short.ctypes.data


@inner
def room_for_taps(rows, taps):
    """Return six tables for `multiply_taps`. The first three are the caller's: where the rows of out, start and a begin, in floats.

    Those of start are 0 until they are written.
    """
    size = max(rows, 3 * ROWS, taps)
    return (
        np.empty(size, np.int64), np.zeros(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64),
        np.empty(size, np.int64),
    )  # fmt: skip


@inner
def multiply_taps(rows, lanes, out, start, a, a_jumps, taps, channels, blocks, room):
    """out[m] = start[m] + the sum over taps t of a[m + jump t] W_t, for all rows m; W lies as `in_blocks` lays it.

    out, start, a, a_jumps and blocks are addresses; room is that of `room_for_taps`.
    """
    out_rows, start_rows, a_rows, short, b_jumps, terms = room
    for t in range(taps):
        terms[t] = channels
    lane = 0
    while lane < lanes:
        wide = lanes_of(lanes - lane)
        for t in range(taps):
            b_jumps[t] = t * channels * wide
        block = blocks + 4 * taps * channels * lane
        for m in range(0, rows, ROWS):
            # Rows that repeat are looked up in the same piece of the table, one after the other.
            at_out = six_rows(out_rows, m, rows, short)
            at_start = six_rows(start_rows, m, rows, short[ROWS:])
            at_a = six_rows(a_rows, m, rows, short[2 * ROWS :])
            multiply(
                wide, out + 4 * lane, at_out, start + 4 * lane, at_start, a, at_a, a_jumps, 1, block, b_jumps.ctypes.data, wide, taps,
                terms.ctypes.data,
            )  # fmt: skip
        lane += wide


def in_blocks(weight: Array) -> Array:
    """Return a weight, (T, C, K), flat: up to 64 channels of the output at a time, zeros beyond the last.

    So the rows that a tile reads lie one after the other.

    Example:
        >>> in_blocks(np.ones((2, 3, 5), np.float32)).size  # 5 is less than a vector
        96
    """
    taps, channels, outputs = weight.shape
    padded = np.zeros((taps, channels, whole_vectors(outputs)), np.float32)
    padded[..., :outputs] = weight
    blocks, lane = [], 0
    while lane < padded.shape[2]:
        wide = lanes_of(padded.shape[2] - lane)
        blocks.append(padded[..., lane : lane + wide].ravel())
        lane += wide
    return np.concatenate(blocks)
