"""Indexing, in one pair of primitives: `take` reads elements, `put` adds elements into zeros, and each is the other's vjp.

Both take NumPy's indexing expression in two parts: the index arrays positionally, and a `pattern` in which `ARRAY` stands for each of them
among slices, integers, None and Ellipsis. Where an element is read twice, its gradient is the sum of both cotangents.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen import kernels
from minigen.backend import Array, array_module, device_of
from minigen.engine import Tensor, TensorLike, is_debugging, primitive
from minigen.ops.composite import composite
from minigen.sizes import whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Integer, Num, Shaped

ARRAY = "array"
"""In a pattern, the place of an index array."""


def _key(pattern: tuple[Any, ...], indices: tuple[Array, ...]) -> tuple[Any, ...]:
    arrays = iter(indices)
    return tuple(next(arrays) if item is ARRAY else item for item in pattern)


@primitive(is_view=True)
def take(
    x: Shaped[Array, "..."], *indices: Integer[Array, "..."] | Bool[Array, "..."], pattern: tuple[Any, ...]
) -> Shaped[Array, "..."]:
    """Return x[key], the key given as a pattern and index arrays. `x[key]` on a Tensor calls it."""
    return x[_key(pattern, indices)]


@primitive()
def put(
    values: Num[Array, "..."],
    *indices: Integer[Array, "..."] | Bool[Array, "..."],
    pattern: tuple[Any, ...],
    shape: tuple[int, ...],
) -> Num[Array, "..."]:
    """Return zeros of a shape with the values added at [key]; values that fall on one place are summed."""
    if pattern == (ARRAY,) and indices[0].dtype.kind in "iu":  # whole rows, as an embedding's
        flat = values.reshape(indices[0].size, math.prod(shape[1:]))
        return kernels.put_rows(flat, indices[0].ravel(), count=shape[0]).reshape(shape)
    if indices:
        return kernels.put_elements(values, _key(pattern, indices), shape=shape)
    out = array_module(values).zeros(shape, values.dtype)
    out[pattern] = values  # slices and integers name every element once
    return out


take.vjp(x=lambda g, x_shape, indices, pattern: put(g, *indices, pattern=pattern, shape=x_shape), indices=None)
put.vjp(values=lambda g, indices, pattern: take(g, *indices, pattern=pattern), indices=None)


def index(x: Shaped[TensorLike, "..."], key: Any) -> Shaped[Tensor, "..."]:
    """Return x[key] for NumPy's whole indexing language: integers, slices, None, Ellipsis, and integer or boolean arrays.

    On the GPU the integers of an index array wrap around at the ends, where the CPU raises: to look at them would make the CPU wait.
    For a boolean array it must wait, since the shape of the result depends on it.

    Example:
        >>> index(np.array([1.0, 2.0, 3.0]), [2, 0])
        array([3., 1.])
    """
    pattern: list[Any] = []
    indices: list[Any] = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, list):
            item = array_module(x.data if isinstance(x, Tensor) else x).asarray(item, dtype=None if item else "int64")
        if isinstance(item, slice | int | None | type(Ellipsis)) and not isinstance(item, bool):
            pattern.append(item)
        elif isinstance(item, np.integer):
            pattern.append(int(item))
        else:
            if getattr(item, "dtype", np.dtype(object)).kind not in "iub":
                found = getattr(item, "dtype", type(item).__name__)
                raise TypeError(
                    f"index: {found} is not an index; expected integers, slices, None, ..., or integer or boolean arrays"
                )
            pattern.append(ARRAY)
            indices.append(item)
    return take(x, *indices, pattern=tuple(pattern))


@composite
def gather(x: Shaped[TensorLike, "..."], indices: Integer[TensorLike, "*shape"], axis: int) -> Shaped[Tensor, "*shape"]:
    """Return out[..., i, ...] = x[..., indices[..., i, ...], ...]: along one axis each place picks its own element.

    Args:
        x: (..., n, ...).
        indices: integers in [0, n), (..., m, ...) with x's other lengths; see `check_indices`.
        axis: the axis that is picked from.

    Raises:
        TypeError: the indices are not integers.
        IndexError: an index is outside [0, n); there is no counting from the end.
        ValueError: there is no such axis, or the other lengths differ.

    Example:
        >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)
        array([[2.],
               [3.]])
    """
    return take(x, *_grid("gather", x.shape, indices, axis), pattern=(ARRAY,) * x.ndim)


@composite
def scatter_add(
    x: Num[TensorLike, "*shape"], indices: Integer[TensorLike, "*places"], values: Num[TensorLike, "*places"], axis: int
) -> Num[Tensor, "*shape"]:
    """Return x with values[..., i, ...] added at indices[..., i, ...] along an axis; repeated places sum up.

    Args:
        x: (..., n, ...).
        indices: integers in [0, n), (..., m, ...) with x's other lengths; see `check_indices`.
        values: the shape of `indices`.
        axis: the axis that is added to.

    Raises:
        TypeError, IndexError, ValueError: as in `gather`; or values and indices have different shapes.

    Example:
        >>> scatter_add(np.zeros(3), np.array([0, 2, 2]), np.array([1.0, 1.0, 1.0]), axis=0)
        array([1., 0., 2.])
    """
    if values.shape != indices.shape:
        raise ValueError(f"scatter_add: values have shape {values.shape}, indices {indices.shape}; they must agree")
    return x + put(
        values, *_grid("scatter_add", x.shape, indices, axis), pattern=(ARRAY,) * len(x.shape), shape=x.shape
    )


def check_indices(owner: str, indices: TensorLike, count: int, *, name: str = "indices") -> None:
    """Refuse indices outside [0, count): -1 would count from the end, which is not what was meant.

    Indices on the GPU are checked inside `mg.debug()` only, since the CPU has to wait for them; unchecked, one out of range wraps around.

    Args:
        owner: who asks; opens the message.
        indices: of any shape.
        count: how many things they number.
        name: what the owner calls them.

    Raises:
        TypeError: the indices are not an array of integers.
        IndexError: one is outside [0, count).

    Example:
        >>> check_indices("gather", np.array([0, -1]), 3)
        Traceback (most recent call last):
        IndexError: gather: indices in [-1, 0]; expected integers in [0, 3)
    """
    array = indices.data if isinstance(indices, Tensor) else indices
    device = device_of(array)
    if device is None or array.dtype.kind not in "iu":
        found = array.dtype if device else type(array).__name__
        raise TypeError(f"{owner}: {name} of {found}; expected an array or a Tensor of integers in [0, {count})")
    if array.size and (device == "cpu" or is_debugging()) and not 0 <= array.min() <= array.max() < count:
        raise IndexError(f"{owner}: {name} in [{array.min()}, {array.max()}]; expected integers in [0, {count})")


def _grid(name: str, shape: tuple[int, ...], indices: TensorLike, axis: int) -> list[TensorLike]:
    """Return the index arrays of every axis: the given ones along `axis`, a counting one along each other."""
    ndim = len(shape)
    axis = whole_number(name, "axis", axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: axis {axis} is out of range for shape {shape}")
    axis %= ndim
    expected = tuple(n for i, n in enumerate(shape) if i != axis)
    if len(indices.shape) != ndim or tuple(n for i, n in enumerate(indices.shape) if i != axis) != expected:
        raise ValueError(f"{name}: indices of shape {indices.shape} must agree with {shape} except along axis {axis}")
    check_indices(name, indices, shape[axis])
    module = array_module(indices.data if isinstance(indices, Tensor) else indices)
    return [
        indices if i == axis else module.arange(n).reshape(tuple(n if j == i else 1 for j in range(ndim)))
        for i, n in enumerate(shape)
    ]
