"""Making tensors, and moving them between devices."""

from typing import Any

import numpy as np

from minigen.backend import Array, array_module, device_of, module_of
from minigen.backend import to_device as moved
from minigen.engine import Tensor, primitive


def tensor(
    data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False, name: str = ""
) -> Tensor:
    """Return a Tensor holding a copy of the data.

    Args:
        data: a number, a nested list of numbers, an array or a Tensor.
        dtype: by default that of an array; of Python numbers float32, int64 or bool.
        device: "cpu" or "gpu"; by default where the data is.
        requires_grad: gradients are wanted with respect to this tensor.
        name: what error messages and pictures call it.

    Example:
        >>> tensor([1, 2.5])
        tensor([1. , 2.5], shape=(2,), dtype=float32, device=cpu, constant)
    """
    array = data.data if isinstance(data, Tensor) else data
    if device_of(array) is None:
        array = np.array(array)
        if array.dtype.kind not in "iufb":
            raise TypeError(
                f"tensor: the data makes an array of {array.dtype}; expected numbers in lists of equal lengths"
            )
        if dtype is None and array.dtype.kind == "f":
            dtype = "float32"
    array = array_module(array).array(array, dtype=dtype)  # a copy
    return Tensor(moved(array, device) if device else array, requires_grad, name=name)


def zeros(shape: int | tuple[int, ...], *, dtype: Any = "float32", device: str = "cpu") -> Tensor:
    """Return a tensor of zeros.

    Example:
        >>> zeros(2)
        tensor([0., 0.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).zeros(shape, dtype))


def ones(shape: int | tuple[int, ...], *, dtype: Any = "float32", device: str = "cpu") -> Tensor:
    """Return a tensor of ones.

    Example:
        >>> ones(2)
        tensor([1., 1.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).ones(shape, dtype))


def full(shape: int | tuple[int, ...], value: float, *, dtype: Any = "float32", device: str = "cpu") -> Tensor:
    """Return a tensor that holds one value everywhere.

    Example:
        >>> full(2, 7.0)
        tensor([7., 7.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).full(shape, value, dtype))


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str = "cpu"
) -> Tensor:
    """Return start, start + step, ... below stop; `arange(n)` counts from 0. Integers give int64, other numbers float32.

    Example:
        >>> arange(3)
        tensor([0, 1, 2], shape=(3,), dtype=int64, device=cpu, constant)
    """
    if stop is None:
        start, stop = 0, start
    whole = all(isinstance(number, int) for number in (start, stop, step))
    return Tensor(module_of(device).arange(start, stop, step, dtype=dtype or ("int64" if whole else "float32")))


def linspace(start: float, stop: float, count: int, *, dtype: Any = "float32", device: str = "cpu") -> Tensor:
    """Return `count` evenly spaced numbers from start to stop, both included.

    Example:
        >>> linspace(0, 1, 3)
        tensor([0. , 0.5, 1. ], shape=(3,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).linspace(start, stop, count, dtype=dtype))


@primitive(is_view=True)
def to_device(x: Array, *, device: str, source: str) -> Array:
    """Return x on `device`; its gradient goes back to `source`, where x is. `x.to(device)` calls it."""
    return moved(x, device)


to_device.vjp(x=lambda g, device, source: to_device(g, device=source, source=device))
