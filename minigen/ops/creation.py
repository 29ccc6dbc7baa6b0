"""Making tensors, and moving them between devices."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen.backend import Array, array_module, device_of, module_of
from minigen.backend import to_device as moved
from minigen.engine import Tensor, primitive
from minigen.sizes import as_shape, is_whole, whole_number

if TYPE_CHECKING:
    from jaxtyping import Num, Shaped


def tensor(
    data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False, name: str = ""
) -> Shaped[Tensor, "..."]:
    """Return a Tensor holding a copy of the data.

    Args:
        data: a number, an array, a Tensor, or a nested list of numbers and constant Tensors.
        dtype: by default that of an array, or of the Tensors in a list; of Python numbers float32, int64 or bool.
        device: "cpu" or "gpu"; by default where the data is.
        requires_grad: gradients are wanted with respect to this tensor.
        name: what error messages and pictures call it.

    Raises:
        TypeError: the data holds something other than numbers.
        ValueError: the lists have different lengths, or a Tensor in them requires grad or is not on the device of the others.

    Example:
        >>> tensor([1, 2.5])
        tensor([1. , 2.5], shape=(2,), dtype=float32, device=cpu, constant)
    """
    array = data.data if isinstance(data, Tensor) else data
    if device_of(array) is None:
        parts = list(_tensors_in(data))
        _check_parts(parts)
        floats = [part.dtype for part in parts if part.dtype.kind == "f"]
        if dtype is None and floats:
            dtype = np.result_type(*floats)
        try:
            array = _stacked(data, array_module(*(part.data for part in parts))) if parts else np.array(data)
        except ValueError:
            raise ValueError(
                "tensor: the data does not make an array; expected numbers in lists of equal lengths"
            ) from None
        if array.dtype.kind not in "iufb":
            raise TypeError(
                f"tensor: the data makes an array of {array.dtype}; expected numbers in lists of equal lengths"
            )
        if dtype is None and array.dtype.kind == "f":
            dtype = "float32"
    array = array_module(array).array(array, dtype=dtype)  # a copy
    return Tensor(moved(array, device) if device else array, requires_grad, name=name)


def _tensors_in(data: Any) -> Iterator[Tensor]:
    """Yield the Tensors in nested lists."""
    if not isinstance(data, list | tuple) or set(map(type, data)) <= {float, int, bool}:
        return  # the usual case, settled quickly
    for part in data:
        if isinstance(part, Tensor):
            yield part
        else:
            yield from _tensors_in(part)


def _check_parts(parts: list[Tensor]) -> None:
    if any(part.requires_grad for part in parts):
        raise ValueError(
            "tensor: a tensor in the list requires grad, and copied values would lose its graph; "
            "mg.stack(tensors) keeps it, x.detach() gives it up"
        )
    if len({part.device for part in parts}) > 1:
        raise ValueError(
            "tensor: the tensors in the list are on different devices; move one with .to('gpu') or .to('cpu')"
        )


def _stacked(data: Any, module: ModuleType) -> Array:
    """Return nested lists of numbers and Tensors as one array."""
    if isinstance(data, list | tuple):
        return module.stack([_stacked(part, module) for part in data])
    return module.asarray(data.data if isinstance(data, Tensor) else data)


_DLPACK_DEVICES = {1: "cpu", 3: "cpu", 2: "gpu", 13: "gpu"}
"""Our device for DLPack's number: CPU, its memory pinned for CUDA, CUDA, and memory that CUDA manages for both (dlpack.h)."""


def from_dlpack(x: Any) -> Shaped[Tensor, "..."]:
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


def zeros(shape: int | tuple[int, ...], *, dtype: Any = "float32", device: str = "cpu") -> Shaped[Tensor, "..."]:
    """Return a tensor of zeros.

    Example:
        >>> zeros(2)
        tensor([0., 0.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).zeros(as_shape("zeros", shape), dtype))


def ones(shape: int | tuple[int, ...], *, dtype: Any = "float32", device: str = "cpu") -> Shaped[Tensor, "..."]:
    """Return a tensor of ones.

    Example:
        >>> ones(2)
        tensor([1., 1.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).ones(as_shape("ones", shape), dtype))


def full(
    shape: int | tuple[int, ...], value: float, *, dtype: Any = "float32", device: str = "cpu"
) -> Shaped[Tensor, "..."]:
    """Return a tensor that holds one value everywhere.

    Example:
        >>> full(2, 7.0)
        tensor([7., 7.], shape=(2,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).full(as_shape("full", shape), value, dtype))


def eye(
    n: int, m: int | None = None, k: int = 0, *, dtype: Any = "float32", device: str = "cpu"
) -> Shaped[Tensor, "{n} _"]:
    """Return a matrix with ones on a diagonal and zeros elsewhere.

    Args:
        n: the number of rows.
        m: the number of columns; by default as many as rows.
        k: which diagonal: 1 is the one above the main diagonal, -1 the one below.
        dtype: the elements' type.
        device: "cpu" or "gpu".

    Example:
        >>> eye(2)
        tensor([[1., 0.],
                [0., 1.]], shape=(2, 2), dtype=float32, device=cpu, constant)
    """
    rows = whole_number("eye", "n", n, 0)
    columns = rows if m is None else whole_number("eye", "m", m, 0)
    return Tensor(module_of(device).eye(rows, columns, whole_number("eye", "k", k), dtype=dtype))


def arange(
    start: float, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: str = "cpu"
) -> Num[Tensor, "n"]:
    """Return start, start + step, ... below stop; `arange(n)` counts from 0. Integers give int64, other numbers float32.

    Example:
        >>> arange(3)
        tensor([0, 1, 2], shape=(3,), dtype=int64, device=cpu, constant)
    """
    if stop is None:
        start, stop = 0, start
    kind = "int64" if all(map(is_whole, (start, stop, step))) else "float32"
    return Tensor(module_of(device).arange(start, stop, step, dtype=dtype or kind))


def linspace(
    start: float, stop: float, count: int, *, dtype: Any = "float32", device: str = "cpu"
) -> Num[Tensor, "{count}"]:
    """Return `count` evenly spaced numbers from start to stop, both included.

    Example:
        >>> linspace(0, 1, 3)
        tensor([0. , 0.5, 1. ], shape=(3,), dtype=float32, device=cpu, constant)
    """
    return Tensor(module_of(device).linspace(start, stop, whole_number("linspace", "count", count, 0), dtype=dtype))


@primitive(is_view=True)
def to_device(x: Shaped[Array, "*shape"], *, device: str, source: str) -> Shaped[Array, "*shape"]:
    """Return x on `device`; its gradient goes back to `source`, where x is. `x.to(device)` calls it."""
    return moved(x, device)


to_device.vjp(x=lambda g, device, source: to_device(g, device=source, source=device))
