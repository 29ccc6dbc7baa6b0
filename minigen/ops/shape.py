"""Operations that move, repeat, join or convert elements without computing on them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: F401 - for the examples

from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike, primitive, sum_to
from minigen.operators import Axis
from minigen.ops.composite import composite
from minigen.sizes import as_shape, is_whole, shown, whole_number, whole_numbers

if TYPE_CHECKING:
    from jaxtyping import Shaped

# ----------------------------------------------------------------------------------------------- dtype


@primitive(is_view=True)
def astype(x: Shaped[Array, "*shape"], *, dtype: Any) -> Shaped[Array, "*shape"]:
    """Return x converted to a dtype; x itself where it has that dtype already. The gradient is converted back.

    Example:
        >>> astype(np.array([1, 2]), dtype="float32").dtype
        dtype('float32')
    """
    return x.astype(dtype, copy=False)


# The engine itself converts every cotangent to its argument's dtype.
astype.vjp(x=lambda g: g)

# ----------------------------------------------------------------------------------------------- axes


@primitive(is_view=True)
def reshape(x: Shaped[Array, "..."], *, shape: tuple[int, ...]) -> Shaped[Array, "..."]:
    """Return x with another shape of the same size, in row-major order; one length may be -1.

    Example:
        >>> reshape(np.arange(6), shape=(2, -1))
        array([[0, 1, 2],
               [3, 4, 5]])
    """
    return x.reshape(shape)


reshape.vjp(x=lambda g, x_shape: reshape(g, shape=x_shape))


@primitive(is_view=True)
def transpose(x: Shaped[Array, "..."], *, axes: tuple[int, ...] | None = None) -> Shaped[Array, "..."]:
    """Return x with its axes in the given order, by default reversed.

    Example:
        >>> transpose(np.zeros((2, 3, 4)), axes=(0, 2, 1)).shape
        (2, 4, 3)
    """
    return x.transpose(axes)


def _transpose_vjp(g: Array, axes: tuple[int, ...] | None) -> Array:
    if axes is None:
        return transpose(g)
    order = [a % len(axes) for a in axes]
    return transpose(g, axes=tuple(order.index(i) for i in range(len(order))))


transpose.vjp(x=_transpose_vjp)


@composite
def moveaxis(x: Shaped[TensorLike, "..."], source: Axis, destination: Axis) -> Shaped[Tensor, "..."]:
    """Return x with the `source` axes moved to the `destination` positions, the others keeping their order.

    Example:
        >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    origins = checked_axes("moveaxis", x.ndim, source)
    targets = checked_axes("moveaxis", x.ndim, destination)
    if len(origins) != len(targets):
        raise ValueError(f"moveaxis: {len(origins)} source axes {source} for {len(targets)} destinations {destination}")
    order = [i for i in range(x.ndim) if i not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return transpose(x, axes=tuple(order))


@composite
def swapaxes(x: Shaped[TensorLike, "..."], axis1: int, axis2: int) -> Shaped[Tensor, "..."]:
    """Return x with two axes swapped.

    Example:
        >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
        (4, 3, 2)
    """
    order = list(range(x.ndim))
    (first,) = checked_axes("swapaxes", x.ndim, whole_number("swapaxes", "axis1", axis1))
    (second,) = checked_axes("swapaxes", x.ndim, whole_number("swapaxes", "axis2", axis2))
    order[first], order[second] = second, first
    return transpose(x, axes=tuple(order))


@composite
def squeeze(x: Shaped[TensorLike, "..."], axis: Axis = None) -> Shaped[Tensor, "..."]:
    """Return x without its axes of length 1, or without the given ones, which must have length 1.

    Example:
        >>> squeeze(np.zeros((1, 3, 1)), axis=0).shape
        (3, 1)
    """
    axes = checked_axes("squeeze", x.ndim, axis)
    if axis is not None and any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} does not have length 1")
    return reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if not (i in axes and n == 1)))


@composite
def expand_dims(x: Shaped[TensorLike, "..."], axis: int | tuple[int, ...]) -> Shaped[Tensor, "..."]:
    """Return x with new axes of length 1 that have the given positions in the result.

    Example:
        >>> expand_dims(np.zeros((3, 4)), axis=(0, -1)).shape
        (1, 3, 4, 1)
    """
    ndim = x.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)
    axes = checked_axes("expand_dims", ndim, axis)
    lengths = iter(x.shape)
    return reshape(x, shape=tuple(1 if i in axes else next(lengths) for i in range(ndim)))


def checked_axes(name: str, ndim: int, axis: Axis | Sequence[int]) -> tuple[int, ...]:
    """Return axes as distinct numbers in range(ndim)."""
    if axis is None:
        return tuple(range(ndim))
    try:
        axes = whole_numbers(axis)
    except TypeError:
        raise ValueError(
            f"{name}: axis is {shown(axis)}, expected a whole number or a tuple of whole numbers"
        ) from None
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"{name}: axis {axis} must name distinct axes from {-ndim} to {ndim - 1}")
    return tuple(a % ndim for a in axes)


@primitive(is_view=True)
def flip(x: Shaped[Array, "*shape"], *, axis: Axis = None) -> Shaped[Array, "*shape"]:
    """Return x with its order reversed along the axes.

    Example:
        >>> flip(np.array([1, 2, 3]))
        array([3, 2, 1])
    """
    return array_module(x).flip(x, axis=axis)


flip.vjp(x=lambda g, axis: flip(g, axis=axis))


@primitive()
def roll(x: Shaped[Array, "*shape"], *, shift: int | tuple[int, ...], axis: Axis = None) -> Shaped[Array, "*shape"]:
    """Return x with its elements moved along an axis; those that leave at one end come in at the other.

    Args:
        x: any shape.
        shift: by how many places; for several axes one number for all, or a tuple with one for each.
        axis: the axis or axes; None moves the elements of the flattened array, which gets its shape back.

    Example:
        >>> roll(np.array([1, 2, 3, 4]), shift=1)
        array([4, 1, 2, 3])
    """
    try:
        places = whole_numbers(shift)
    except TypeError:
        raise ValueError(
            f"roll: shift is {shown(shift)}, expected a whole number or a tuple of whole numbers"
        ) from None
    return array_module(x).roll(x, places, axis=axis)


roll.vjp(x=lambda g, shift, axis: roll(g, shift=tuple(-places for places in whole_numbers(shift)), axis=axis))

# ----------------------------------------------------------------------------------------------- repetition


@primitive(is_view=True)
def broadcast_to(x: Shaped[Array, "..."], *, shape: tuple[int, ...]) -> Shaped[Array, "..."]:
    """Return a read-only view of x repeated to `shape` by NumPy's rules of broadcasting.

    Example:
        >>> broadcast_to(np.array([1, 2]), shape=(2, 2))
        array([[1, 2],
               [1, 2]])
    """
    return array_module(x).broadcast_to(x, shape)


broadcast_to.vjp(x=lambda g, x_shape: sum_to(g, shape=x_shape))


@composite
def repeat(x: Shaped[TensorLike, "..."], repeats: int, axis: int | None = None) -> Shaped[Tensor, "..."]:
    """Return x with every element repeated `repeats` times in a row along an axis, or in the flattened array if it is None.

    Example:
        >>> repeat(np.array([1, 2]), 2, axis=0)
        array([1, 1, 2, 2])
    """
    repeats = whole_number("repeat", "repeats", repeats, 0)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    (axis,) = checked_axes("repeat", x.ndim, axis)
    before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
    spread = broadcast_to(reshape(x, shape=(*before, 1, *after)), shape=(*before, repeats, *after))
    return reshape(spread, shape=(*before[:-1], before[-1] * repeats, *after))


@composite
def tile(x: Shaped[TensorLike, "..."], repetitions: int | tuple[int, ...]) -> Shaped[Tensor, "..."]:
    """Return copies of x laid side by side, `repetitions[i]` of them along axis i.

    Missing axes of x, or missing repetitions, are 1 and stand in front.

    Example:
        >>> tile(np.array([1, 2]), (2, 2))
        array([[1, 2, 1, 2],
               [1, 2, 1, 2]])
    """
    counts = as_shape("tile", repetitions, "repetitions")
    ndim = max(x.ndim, len(counts))
    lengths = (1,) * (ndim - x.ndim) + x.shape
    counts = (1,) * (ndim - len(counts)) + counts
    pairs = list(zip(counts, lengths, strict=True))
    single = reshape(x, shape=tuple(n for _, length in pairs for n in (1, length)))
    spread = broadcast_to(single, shape=tuple(n for pair in pairs for n in pair))  # (count, length, count, length, ...)
    return reshape(spread, shape=tuple(count * length for count, length in pairs))


# ----------------------------------------------------------------------------------------------- joining, parting


@primitive(residuals=("ends",))
def join(*arrays: Shaped[Array, "..."], axis: int) -> tuple[Shaped[Array, "..."], list[int]]:
    """Return the arrays one after the other along an existing axis: the primitive behind `concatenate` and `stack`.

    The residual `ends` says where each array ends along the axis.
    """
    out = array_module(*arrays).concatenate(arrays, axis=axis)
    return out, list(itertools.accumulate(array.shape[axis] for array in arrays))


def _join_vjp(g: Array, ends: list[int], axis: int, position: int) -> Array:
    start = ends[position - 1] if position else 0
    return g[(slice(None),) * (axis % len(g.shape)) + (slice(start, ends[position]),)]


join.vjp(arrays=_join_vjp)


@composite
def concatenate(arrays: Sequence[Shaped[TensorLike, "..."]], axis: int = 0) -> Shaped[Tensor, "..."]:
    """Return the arrays one after the other along an existing axis.

    Example:
        >>> concatenate([np.array([1, 2]), np.array([3])])
        array([1, 2, 3])
    """
    _check_listed("concatenate", arrays, axis)
    return join(*arrays, axis=operator.index(axis))


@composite
def stack(arrays: Sequence[Shaped[TensorLike, "*shape"]], axis: int = 0) -> Shaped[Tensor, "..."]:
    """Return arrays of one shape side by side along a new axis.

    Example:
        >>> stack([np.array([1, 2]), np.array([3, 4])], axis=1)
        array([[1, 3],
               [2, 4]])
    """
    _check_listed("stack", arrays, axis)
    return join(*(expand_dims(array, axis) for array in arrays), axis=operator.index(axis))


@composite
def vstack(arrays: Sequence[Shaped[TensorLike, "..."]]) -> Shaped[Tensor, "..."]:
    """Return arrays joined along their first axis, one below the other; a vector counts as a row.

    Example:
        >>> vstack([np.array([1, 2]), np.array([[3, 4], [5, 6]])])
        array([[1, 2],
               [3, 4],
               [5, 6]])
    """
    _check_listed("vstack", arrays, 0)
    return join(*(reshape(x, shape=(1, x.size)) if len(x.shape) < 2 else x for x in arrays), axis=0)


@composite
def hstack(arrays: Sequence[Shaped[TensorLike, "..."]]) -> Shaped[Tensor, "..."]:
    """Return arrays joined along their second axis, side by side; vectors and single numbers are joined end to end.

    Example:
        >>> hstack([np.array([[1], [2]]), np.array([[3, 4], [5, 6]])])
        array([[1, 3, 4],
               [2, 5, 6]])
    """
    _check_listed("hstack", arrays, 0)
    parts = [reshape(x, shape=(1,)) if len(x.shape) == 0 else x for x in arrays]
    return join(*parts, axis=0 if len(parts[0].shape) == 1 else 1)


def _check_listed(name: str, arrays: Sequence[TensorLike], axis: int) -> None:
    if not is_whole(axis):
        raise ValueError(
            f"{name}: axis is {shown(axis)}, expected a whole number; the arrays come in one list, {name}([x, y], axis=0)"
        )
    if len(arrays) == 0:
        raise ValueError(f"{name}: the list is empty, expected at least one array")


@composite
def split(x: Shaped[TensorLike, "..."], sections: int | Sequence[int], axis: int = 0) -> list[Shaped[Tensor, "..."]]:
    """Return the parts of x along an axis.

    Args:
        x: at least one axis.
        sections: the number of equal parts, or the indices at which to cut.
        axis: the axis to cut.

    Example:
        >>> split(np.array([1, 2, 3, 4]), 2)
        [array([1, 2]), array([3, 4])]
    """
    (axis,) = checked_axes("split", x.ndim, axis)
    if is_whole(sections):
        count, length = whole_number("split", "sections", sections), x.shape[axis]
        if count < 1 or length % count:
            raise ValueError(f"split: axis {axis} of length {length} has no {count} equal parts")
    return _parts("split", x, sections, axis)


@composite
def array_split(
    x: Shaped[TensorLike, "..."], sections: int | Sequence[int], axis: int = 0
) -> list[Shaped[Tensor, "..."]]:
    """Return the parts of x along an axis, as `split` does; where they cannot all be equal, the first ones are longer by 1.

    Args:
        x: at least one axis.
        sections: the number of parts, or the indices at which to cut.
        axis: the axis to cut.

    Example:
        >>> array_split(np.array([1, 2, 3]), 2)
        [array([1, 2]), array([3])]
    """
    (axis,) = checked_axes("array_split", x.ndim, axis)
    return _parts("array_split", x, sections, axis)


def _parts(name: str, x: TensorLike, sections: int | Sequence[int], axis: int) -> list[TensorLike]:
    if is_whole(sections):
        count = whole_number(name, "sections", sections, 1)
        length, remainder = divmod(x.shape[axis], count)
        ends = [i * length + min(i, remainder) for i in range(1, count)]
    else:
        try:
            ends = list(whole_numbers(sections))
        except TypeError:
            raise ValueError(
                f"{name}: sections is {shown(sections)}, expected the number of parts, or the indices at which to cut"
            ) from None
    before = (slice(None),) * axis
    return [x[(*before, slice(start, stop))] for start, stop in itertools.pairwise([0, *ends, x.shape[axis]])]


@primitive()
def pad(x: Shaped[Array, "..."], *, width: tuple[tuple[int, int], ...], value: float = 0.0) -> Shaped[Array, "..."]:
    """Return x with a border of one value.

    Args:
        x: any shape.
        width: for every axis how many elements to add before and after.
        value: what the border holds.

    Example:
        >>> pad(np.array([1.0, 2.0]), width=((1, 2),))
        array([0., 1., 2., 0., 0.])
    """
    if not isinstance(width, tuple | list) or not all(isinstance(p, tuple | list) and len(p) == 2 for p in width):
        raise ValueError(
            f"pad: width is {shown(width)}, expected a pair (before, after) for each of the {x.ndim} axes of x"
        )
    if len(width) != x.ndim:
        raise ValueError(f"pad: width {width} has {len(width)} pairs for the {x.ndim} axes of shape {x.shape}")
    return array_module(x).pad(x, width, constant_values=value)


pad.vjp(x=lambda g, x_shape, width: g[tuple(slice(a, a + n) for (a, _), n in zip(width, x_shape, strict=True))])
