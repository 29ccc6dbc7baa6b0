"""Sorting along an axis. The order is stable: equal elements keep theirs. NaNs come last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, primitive
from minigen.ops.composite import composite
from minigen.ops.index import gather
from minigen.ops.shape import checked_axes, reshape
from minigen.sizes import whole_number

if TYPE_CHECKING:
    from jaxtyping import Int, Shaped


@primitive()
def argsort(x: Shaped[Array, "..."], *, axis: int | None = -1) -> Int[Array, "..."]:
    """Return the indices that sort x along an axis, or the flattened array if it is None, in rising order.

    Example:
        >>> argsort(np.array([3.0, 1.0, 2.0]))
        array([1, 2, 0])
    """
    x = x.reshape(-1) if axis is None else x
    return x.argsort(axis=_sorted_axis("argsort", x.ndim, axis), kind="stable")


@composite
def sort(x: Shaped[TensorLike, "..."], axis: int | None = -1) -> Shaped[Tensor, "..."]:
    """Return x sorted along an axis, or flattened and sorted if it is None, in rising order.

    The gradient of each element goes to the place that it came from; among equals that is by their order in x.

    Args:
        x: at least one axis, unless `axis` is None.
        axis: the axis.

    Example:
        >>> sort(np.array([3.0, 1.0, 2.0]))
        array([1., 2., 3.])
    """
    x = reshape(x, shape=(-1,)) if axis is None else x
    axis = _sorted_axis("sort", x.ndim, axis)
    return gather(x, argsort(x, axis=axis), axis=axis)


def _sorted_axis(name: str, ndim: int, axis: int | None) -> int:
    """Return the axis as a number in range(ndim), 0 for None."""
    if ndim == 0:
        raise ValueError(
            f"{name}: x is a single number; expected at least one axis, or axis=None for an array of one element"
        )
    (axis,) = checked_axes(name, ndim, 0 if axis is None else whole_number(name, "axis", axis))
    return axis
