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


_DLPACK_DEVICES = {1: "cpu", 3: "cpu", 2: "gpu", 13: "gpu"}
"""Our device for DLPack's number: CPU, its memory pinned for CUDA, CUDA, and memory that CUDA manages for both (dlpack.h)."""


def from_dlpack(x: Any) -> Tensor:
    """Return a constant Tensor that shares the memory of another library's array: PyTorch's, NumPy's, CuPy's, JAX's.

    Nothing is copied, so each side sees what the other writes. The version counter does not: if the memory is overwritten over there
    between forward and backward, gradients are silently those of the new values, unless you call `mark_written()` on the Tensor.
    `mg.tensor` copies and is safe. Strides are kept; memory that is marked as read-only stays so, and NumPy 2.0 marks all.

    Args:
        x: an object with `__dlpack__` and `__dlpack_device__`, on the CPU or on a CUDA GPU, of real numbers or bools.

    Raises:
        TypeError: x has no such methods, or holds values that NumPy (CuPy) has no type for, such as bfloat16, or complex ones.
        BufferError: x cannot be handed over: it requires grad (use `x.detach()`), or is on another kind of device.
        RuntimeError: x is on the GPU and CuPy is missing.

    Source: the DLPack protocol of the array API standard, 2023.12, https://data-apis.org/array-api/2023.12/design_topics/data_interchange.html

    Example:
        >>> theirs = np.zeros(2)
        >>> ours = from_dlpack(theirs)
        >>> theirs[0] = 7.0
        >>> ours
        tensor([7., 0.], shape=(2,), dtype=float64, device=cpu, constant)
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: a {type(x).__name__} has no __dlpack__; mg.tensor copies lists and numbers")
    kind, _ = x.__dlpack_device__()
    if kind not in _DLPACK_DEVICES:
        raise BufferError(
            f"from_dlpack: the {type(x).__name__} is on DLPack's device {kind!r}; move it to the CPU (1) or a CUDA GPU (2) first"
        )
    module = module_of(_DLPACK_DEVICES[kind])
    refused = f"{module.__name__} does not take this {type(x).__name__} of {getattr(x, 'dtype', 'unknown type')}"
    try:
        array = module.from_dlpack(x)
    except (RuntimeError, TypeError) as error:
        raise TypeError(f"from_dlpack: {refused} ({error}); convert it first, for example to float32") from error
    if array.dtype.kind not in "iufb":
        raise TypeError(f"from_dlpack: {refused}; expected real numbers or bools")
    return Tensor(array)


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
