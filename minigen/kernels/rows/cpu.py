# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstring is the reference's, the types of scalars and arrays Numba's.
"""The kernel for float32 NumPy arrays, compiled by Numba; `reference.py` says what it computes.

`np.add.at` takes each element by itself; here a whole row is added at once. Threads share out the columns, so that no two of them write
to one place.
"""

import numpy as np

from minigen.backend import Array
from minigen.kernels.compiler import loop
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces


@loop
def _put_rows(out, values, indices, first, last):
    out[:, first:last] = 0
    for m in range(len(indices)):
        row, value = out[indices[m]], values[m]  # a negative index counts from the end, as in NumPy
        for c in range(first, last):
            row[c] += value[c]


def put_rows(values: Array, indices: Array, *, count: int) -> Array:
    if indices.size and not -count <= indices.min() <= indices.max() < count:  # the loop would write elsewhere
        raise IndexError(
            f"put_rows: indices in [{indices.min()}, {indices.max()}], expected them in [{-count}, {count})"
        )
    values, indices = np.ascontiguousarray(values), np.ascontiguousarray(indices, np.int64)
    out = np.empty((count, values.shape[1]), np.float32)
    enough = max(16, -(-SMALLEST_PIECE // max(1, len(values))))  # columns worth a thread, and whole cache lines
    in_pieces(lambda first, last: _put_rows(out, values, indices, first, last), values.shape[1], enough)
    return out
