"""Adding rows into a matrix: the gradient of picking them."""

from minigen.backend import Array, array_module


def put_rows(values: Array, indices: Array, *, count: int) -> Array:
    """Return the matrix whose row i is the sum of the values[m] with indices[m] = i.

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
    module = array_module(values)
    out = module.zeros((count, *values.shape[1:]), values.dtype)
    module.add.at(out, indices, values)
    return out
