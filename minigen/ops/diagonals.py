"""Diagonals of matrices, and what lies above and below them.

In row-major order the elements of a diagonal are evenly spaced: in a matrix of m columns, (i + 1, j + 1) comes m + 1 places after (i, j).
So a diagonal is read, and written, with one slice of the flattened matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen.backend import array_module
from minigen.engine import Tensor, TensorLike
from minigen.ops.composite import composite
from minigen.ops.elementwise import where
from minigen.ops.index import put
from minigen.ops.reduce import sum
from minigen.ops.shape import checked_axes, moveaxis, reshape
from minigen.sizes import whole_number

if TYPE_CHECKING:
    from jaxtyping import Num, Shaped


@composite
def diagonal(x: Shaped[TensorLike, "..."], offset: int = 0, axis1: int = 0, axis2: int = 1) -> Shaped[Tensor, "..."]:
    """Return a diagonal of a matrix, or of each matrix in a stack.

    Args:
        x: at least two axes.
        offset: which diagonal: 1 is the one above the main diagonal, -1 the one below.
        axis1: the axis of the rows.
        axis2: the axis of the columns.

    Returns:
        The other axes of x, followed by the diagonal's.

    Raises:
        ValueError: x has fewer than two axes, or axis1 and axis2 do not name two of them.

    Example:
        >>> import numpy as np
        >>> diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([1., 4.])
    """
    return _diagonal("diagonal", x, offset, axis1, axis2)


@composite
def diag(x: Num[TensorLike, "n"] | Num[TensorLike, "n m"], k: int = 0) -> Num[Tensor, "..."]:
    """Return a diagonal of a matrix or, given a vector, the matrix with the vector on that diagonal and zeros elsewhere.

    Args:
        x: (n, m), or (n,).
        k: which diagonal: 1 is the one above the main diagonal, -1 the one below.

    Returns:
        The diagonal, or a square matrix of n + |k| rows.

    Raises:
        ValueError: x has neither one axis nor two.

    Example:
        >>> import numpy as np
        >>> diag(np.array([1.0, 2.0]))
        array([[1., 0.],
               [0., 2.]])
    """
    if len(x.shape) not in (1, 2):
        raise ValueError(
            f"diag: x has shape {x.shape}, expected a vector or a matrix; for a stack of matrices use diagonal"
        )
    k = whole_number("diag", "k", k)
    if len(x.shape) == 2:
        return diagonal(x, k)
    n = len(x) + max(k, -k)
    return reshape(put(x, pattern=(_every(n, n, k),), shape=(n * n,)), shape=(n, n))


@composite
def trace(x: Num[TensorLike, "..."], offset: int = 0, axis1: int = 0, axis2: int = 1) -> Num[Tensor, "..."]:
    """Return the sum along a diagonal of a matrix, or of each matrix in a stack; the arguments are those of `diagonal`.

    Example:
        >>> import numpy as np
        >>> trace(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array(5.)
    """
    return sum(_diagonal("trace", x, offset, axis1, axis2), axis=-1)


@composite
def tril(x: Shaped[TensorLike, "*batch n m"], k: int = 0) -> Shaped[Tensor, "*batch n m"]:
    """Return matrices with zeros in place of all that is above a diagonal; where a zero was put, no gradient flows.

    Args:
        x: (..., n, m).
        k: the last diagonal that is kept: 1 is the one above the main diagonal, -1 the one below.

    Raises:
        ValueError: x has fewer than two axes.

    Example:
        >>> import numpy as np
        >>> tril(np.ones((2, 2)))
        array([[1., 0.],
               [1., 1.]])
    """
    _check_matrices("tril", x)
    return where(_triangle(x, whole_number("tril", "k", k)), x, False)  # a False is a 0 of every dtype


@composite
def triu(x: Shaped[TensorLike, "*batch n m"], k: int = 0) -> Shaped[Tensor, "*batch n m"]:
    """Return matrices with zeros in place of all that is below a diagonal; where a zero was put, no gradient flows.

    Args:
        x: (..., n, m).
        k: the first diagonal that is kept: 1 is the one above the main diagonal, -1 the one below.

    Raises:
        ValueError: x has fewer than two axes.

    Example:
        >>> import numpy as np
        >>> triu(np.ones((2, 2)))
        array([[1., 1.],
               [0., 1.]])
    """
    _check_matrices("triu", x)
    return where(_triangle(x, whole_number("triu", "k", k) - 1), False, x)


def _diagonal(name: str, x: TensorLike, offset: int, axis1: int, axis2: int) -> TensorLike:
    _check_matrices(name, x)
    axes = checked_axes(name, len(x.shape), (axis1, axis2))
    stack = moveaxis(x, axes, (-2, -1))
    *rest, rows, columns = stack.shape
    places = _every(rows, columns, whole_number(name, "offset", offset))
    return reshape(stack, shape=(*rest, rows * columns))[..., places]


def _every(rows: int, columns: int, offset: int) -> slice:
    """Return where a diagonal's elements stand in a flattened matrix."""
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    start = offset if offset >= 0 else -offset * columns
    return slice(start, start + length * (columns + 1), columns + 1)


def _triangle(x: TensorLike, k: int) -> TensorLike:
    """Return, for the last two axes of x, which elements are not above the k-th diagonal."""
    return array_module(x.data if isinstance(x, Tensor) else x).tri(*x.shape[-2:], k, dtype=bool)


def _check_matrices(name: str, x: TensorLike) -> None:
    if len(x.shape) < 2:
        raise ValueError(f"{name}: x has shape {x.shape}, expected a matrix or a stack of them")
