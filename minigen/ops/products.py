"""NumPy's older products, each of them a product of two matrices (`linalg`) after their axes have been brought into order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minigen.engine import Tensor, TensorLike
from minigen.ops.composite import composite
from minigen.ops.elementwise import multiply
from minigen.ops.linalg import matmul, matrix_product
from minigen.ops.shape import checked_axes, reshape, transpose
from minigen.sizes import is_whole, shown, whole_number

if TYPE_CHECKING:
    from jaxtyping import Num

Axes = int | tuple[int | Sequence[int], int | Sequence[int]]
"""The axes that `tensordot` sums over: a number n, for the last n of one factor and the first n of the other, or the axes of each."""


@composite
def dot(a: Num[TensorLike, "..."] | float, b: Num[TensorLike, "..."] | float) -> Num[Tensor, "..."]:
    """Return the sums of products over the last axis of a and the last but one of b, or its only one.

    Of matrices and vectors it is `a @ b`, of a single number and anything else the product. Of stacks of matrices it is not `a @ b`: each
    matrix of a meets each of b.

    Args:
        a: (..., k), or a single number.
        b: (..., k, m), (k,), or a single number.

    Returns:
        a's axes but its last, followed by b's but the one that was summed over.

    Raises:
        ValueError: the axes that are summed over differ in length.

    Example:
        >>> import numpy as np
        >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        array(11.)
    """
    ndim_a, ndim_b = len(_shape(a)), len(_shape(b))
    if 0 in (ndim_a, ndim_b):
        return multiply(a, b)
    axes = (ndim_a - 1,), (max(ndim_b - 2, 0),)
    _check_lengths("dot", a, b, *axes)
    return matmul(a, b) if ndim_b < 3 else _contracted(a, b, *axes)


@composite
def inner(a: Num[TensorLike, "..."] | float, b: Num[TensorLike, "..."] | float) -> Num[Tensor, "..."]:
    """Return the sums of products over the last axes of a and b; of a single number and anything else it is the product.

    Args:
        a: (..., k), or a single number.
        b: (..., k), or a single number.

    Returns:
        a's axes but its last, followed by b's but its last.

    Raises:
        ValueError: the last axes differ in length.

    Example:
        >>> import numpy as np
        >>> inner(np.ones((2, 3)), np.ones((4, 3))).shape
        (2, 4)
    """
    ndim_a, ndim_b = len(_shape(a)), len(_shape(b))
    if 0 in (ndim_a, ndim_b):
        return multiply(a, b)
    axes = (ndim_a - 1,), (ndim_b - 1,)
    _check_lengths("inner", a, b, *axes)
    return _contracted(a, b, *axes)


@composite
def outer(a: Num[TensorLike, "*n"] | float, b: Num[TensorLike, "*m"] | float) -> Num[Tensor, "_ _"]:
    """Return the products of every element of a with every element of b, as a matrix of a's size by b's size.

    Example:
        >>> import numpy as np
        >>> outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        array([[3., 4.],
               [6., 8.]])
    """
    size_a, size_b = math.prod(_shape(a)), math.prod(_shape(b))
    if () in (_shape(a), _shape(b)):
        return reshape(multiply(a, b), shape=(size_a, size_b))
    return matrix_product(reshape(a, shape=(size_a, 1)), reshape(b, shape=(1, size_b)))


@composite
def tensordot(
    a: Num[TensorLike, "..."] | float, b: Num[TensorLike, "..."] | float, axes: Axes = 2
) -> Num[Tensor, "..."]:
    """Return the sums of products over some axes of a and as many of b.

    Args:
        a: any shape.
        b: any shape.
        axes: n for the last n axes of a and the first n of b, in order; or a pair: the axes of a, and those of b that go with them.

    Returns:
        The axes of a that were not summed over, followed by those of b.

    Raises:
        ValueError: the axes differ in number or in length, or do not exist.

    Example:
        >>> import numpy as np
        >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
        (2, 5)
    """
    ndim_a, ndim_b = len(_shape(a)), len(_shape(b))
    if is_whole(axes):
        count = whole_number("tensordot", "axes", axes, 0)
        if count > min(ndim_a, ndim_b):
            raise ValueError(f"tensordot: axes is {count}, but a has {ndim_a} axes and b has {ndim_b}")
        axes = tuple(range(ndim_a - count, ndim_a)), tuple(range(count))
    elif not isinstance(axes, tuple | list) or len(axes) != 2:
        raise ValueError(
            f"tensordot: axes is {shown(axes)}, expected a number of axes, or a pair: axes of a, axes of b"
        )
    axes_a, axes_b = checked_axes("tensordot", ndim_a, axes[0]), checked_axes("tensordot", ndim_b, axes[1])
    _check_lengths("tensordot", a, b, axes_a, axes_b)
    if 0 in (ndim_a, ndim_b):
        return multiply(a, b)
    return _contracted(a, b, axes_a, axes_b)


@composite
def kron(a: Num[TensorLike, "..."] | float, b: Num[TensorLike, "..."] | float) -> Num[Tensor, "..."]:
    """Return the Kronecker product: a with each of its elements replaced by its product with the whole of b.

    Args:
        a: any shape.
        b: any shape; the one with fewer axes gets axes of length 1 in front.

    Returns:
        The Kronecker product; each of its axes has the length of a's times that of b's.

    Example:
        >>> import numpy as np
        >>> kron(np.array([1.0, 10.0]), np.array([1.0, 2.0]))
        array([ 1.,  2., 10., 20.])
    """
    if () in (_shape(a), _shape(b)):
        return multiply(a, b)
    ndim = max(len(_shape(a)), len(_shape(b)))
    shape_a, shape_b = ((1,) * (ndim - len(_shape(x))) + _shape(x) for x in (a, b))
    spread_a = reshape(a, shape=tuple(length for n in shape_a for length in (n, 1)))
    spread_b = reshape(b, shape=tuple(length for n in shape_b for length in (1, n)))
    return reshape(multiply(spread_a, spread_b), shape=tuple(n * m for n, m in zip(shape_a, shape_b, strict=True)))


def _shape(x: TensorLike | float) -> tuple[int, ...]:
    return () if isinstance(x, int | float) else x.shape


def _check_lengths(
    name: str, a: TensorLike | float, b: TensorLike | float, axes_a: tuple[int, ...], axes_b: tuple[int, ...]
) -> None:
    shape_a, shape_b = _shape(a), _shape(b)
    lengths_a, lengths_b = tuple(shape_a[axis] for axis in axes_a), tuple(shape_b[axis] for axis in axes_b)
    if lengths_a != lengths_b:
        raise ValueError(
            f"{name}: axes {axes_a} of a {shape_a} have lengths {lengths_a}, but axes {axes_b} of b {shape_b} have {lengths_b}"
        )


def _contracted(a: TensorLike, b: TensorLike, axes_a: Sequence[int], axes_b: Sequence[int]) -> TensorLike:
    """Return the sums of products over these axes, as one product of matrices (free, summed) and (free, summed), the second transposed."""
    rows_a, free_a = _with_last(a, axes_a)
    rows_b, free_b = _with_last(b, axes_b)
    return reshape(matrix_product(rows_a, rows_b, transpose_b=True), shape=(*free_a, *free_b))


def _with_last(x: TensorLike, axes: Sequence[int]) -> tuple[TensorLike, tuple[int, ...]]:
    """Return a matrix (free, summed) with the given axes of x merged into the last, and the lengths of the other, free axes."""
    free = [axis for axis in range(len(x.shape)) if axis not in axes]
    lengths = tuple(x.shape[axis] for axis in free)
    ordered = transpose(x, axes=(*free, *axes))
    return reshape(ordered, shape=(math.prod(lengths), math.prod(x.shape[axis] for axis in axes))), lengths
