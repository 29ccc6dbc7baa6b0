# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""What compiled loops do with numbers that lie side by side: written so that it becomes vector instructions."""

import numpy as np

from minigen.kernels.compiler import inner, summing

_ZERO, _LEAST = np.float32(0), np.float32(-np.inf).view(np.int32)
_SIGN_OFF = np.int32(0x7FFFFFFF)


@inner
def copy(to, source):
    """Copy numbers: three times as fast as an assignment of slices, which Numba does number by number.

    Example:
        >>> line = np.zeros(2)
        >>> copy(line, np.array([1.0, 2.0]))
        >>> line
        array([1., 2.])
    """
    for i in range(to.size):
        to[i] = source[i]


@inner
def _ordered(bits):
    """The bits of a float32 number as an integer of the same order, and back."""
    return bits ^ ((bits >> np.int32(31)) & _SIGN_OFF)


@inner
def largest(row):
    """Return the largest of float32 numbers, or -inf of none.

    As integers, which vectorise: a comparison of floats would have to say what becomes of NaN. It may get lost here.

    Example:
        >>> largest(np.array([-3.0, -0.5, -2.0], np.float32))
        -0.5
    """
    bits = row.view(np.int32)
    top = _ordered(_LEAST)
    for i in range(bits.size):
        top = max(top, _ordered(bits[i]))
    return np.int32(_ordered(top)).view(np.float32)


@inner
def times(a, b):
    """a b, for functions that are `summing`."""
    return a * b


@inner
def minus(a, b):
    """a - b, for functions that are `summing`."""
    return a - b


@summing
def sum_of(row):
    """Return the sum of float32 numbers.

    Example:
        >>> sum_of(np.array([1.0, 2.0, 4.0], np.float32))
        7.0
    """
    found = _ZERO
    for i in range(row.size):
        found += row[i]
    return found


@summing
def dot(a, b):
    """Return the sum of a[i] b[i], of float32 numbers.

    Example:
        >>> dot(np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float32))
        11.0
    """
    found = _ZERO
    for i in range(a.size):
        found += times(a[i], b[i])
    return found


@summing
def squares_of(row):
    """Return the sum of the squares of float32 numbers, in float64: none of them overflows or vanishes.

    Example:
        >>> squares_of(np.array([3.0, 4.0], np.float32))
        25.0
    """
    found = 0.0
    for i in range(row.size):
        found += times(np.float64(row[i]), np.float64(row[i]))
    return found
