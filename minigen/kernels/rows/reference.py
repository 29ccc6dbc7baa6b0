"""Adding rows into a matrix: the gradient of picking them."""

import numpy as np

from minigen.backend import Array, array_module


def put_rows(values: Array, indices: Array, *, count: int) -> Array:
    """Return the matrix whose row i is the sum of the values[m] with indices[m] = i, added up in the same order each time.

    Args:
        values: (M, width).
        indices: (M,), integers in [-count, count); negative ones count from the end.
        count: rows of the result.

    Returns:
        (count, width).

    Example:
        >>> import numpy as np
        >>> put_rows(np.array([[1.0, 2.0], [10.0, 20.0], [5.0, 5.0]]), np.array([2, 0, 2]), count=3)
        array([[10., 20.],
               [ 0.,  0.],
               [ 6.,  7.]])
    """
    if array_module(values) is not np:
        return _put_sorted(values, indices, count)
    out = np.zeros((count, *values.shape[1:]), values.dtype)
    np.add.at(out, indices, values)
    return out


def _put_sorted(values: Array, indices: Array, count: int) -> Array:
    """`put_rows` where `add.at` would let threads add in whatever order they come, and so round differently each time.

    Values of one index lie side by side once they are sorted. Then log2(M) steps add up the last 1, 2, 4, ... values of each index: the
    sum of 2s values that end at m is that of the s values that end at m, and that of the s values that end at m - s.
    """
    module = array_module(values)
    if len(indices) == 0:
        return module.zeros((count, *values.shape[1:]), values.dtype)
    places = indices.astype("int64") % count  # negative ones count from the end
    order = places.argsort(kind="stable")
    places, sums = places[order], values[order]
    step = 1
    while step < len(places):
        is_same = places[step:] == places[:-step]
        sums[step:] += module.where(is_same[:, None], sums[:-step], 0)
        step *= 2
    rows = module.arange(count)
    last = module.searchsorted(places, rows, side="right") - 1  # -1, which reads the largest index, if all are larger
    return module.where((places[last] == rows)[:, None], sums[last], 0)
