"""How the values of a Tensor leave it: as a Python number, as text, as a NumPy array, and to other libraries by DLPack.

DLPack is the protocol by which array libraries share memory without a copy (https://dmlc.github.io/dlpack); `ops.from_dlpack` is the
way in.
"""

from typing import Any

import numpy as np

from minigen.backend import Array, device_of


class Interchange:
    """The part of a Tensor that Python and other libraries see.

    Example:
        >>> import minigen as mg
        >>> np.asarray(mg.tensor([1.0, 2.0])) + 1.0
        array([2., 3.], dtype=float32)
    """

    __slots__ = ()
    data: Array
    requires_grad: bool
    node: Any

    def __getstate__(self) -> Any:
        if self.node is not None:
            raise TypeError(
                f"a tensor computed by {self.node.primitive.name}, shape {self.data.shape}, cannot be copied or pickled with its graph; "
                f"copy its values: mg.tensor(x.data)"
            )
        return super().__getstate__()

    def item(self) -> float | int | bool:
        """Return the value of a one-element tensor as a Python number. On the GPU this waits for the device."""
        if self.data.size != 1:
            raise ValueError(
                f"item(): the tensor has {self.data.size} elements, shape {self.data.shape}; only one element has one value"
            )
        return self.data.item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.data.size != 1 or self.data.dtype.kind not in "iu":
            raise TypeError(f"a tensor of shape {self.data.shape} and {self.data.dtype} is not one whole number")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(
                f"a tensor of shape {self.data.shape} has no single truth value; reduce it first, e.g. (x > 0).data.all()"
            )
        return bool(self.data)

    def __repr__(self) -> str:
        device = device_of(self.data)
        values = np.array2string(
            self.data if device == "cpu" else self.data.get(), separator=", ", prefix="tensor(", threshold=100
        )
        if self.node is not None:
            origin = f"from {self.node.primitive.name}"
        else:
            origin = "leaf that requires grad" if self.requires_grad else "constant"
        return f"tensor({values}, shape={self.data.shape}, dtype={self.data.dtype}, device={device}, {origin})"

    def numpy(self) -> np.ndarray:
        """Return the NumPy array behind the tensor, sharing its memory.

        Raises:
            RuntimeError: the tensor requires grad (use `.detach().numpy()`) or sits on the GPU (use `.to("cpu").numpy()`).
        """
        if self.requires_grad:
            raise RuntimeError(
                "numpy(): what NumPy computes leaves no graph, and this tensor requires grad; call .detach() first"
            )
        if device_of(self.data) == "gpu":
            raise RuntimeError("numpy(): this tensor sits on the GPU; call .to('cpu') first, which copies it")
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        """Let NumPy's functions see arrays: `np.mean(x)` is `np.mean(np.asarray(x))`."""

        def seen(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(map(seen, value))
            if not isinstance(value, Interchange):
                return value
            if function in (np.shape, np.ndim, np.size):
                return value.data
            if value.requires_grad:
                raise RuntimeError(
                    f"np.{function.__name__}: what NumPy computes leaves no graph, and a tensor among the arguments requires grad; "
                    f"call minigen's operation, such as mg.mean in place of np.mean, or pass x.detach()"
                )
            return value.numpy()

        return function(*map(seen, arguments), **{name: seen(value) for name, value in keywords.items()})

    def __dlpack__(
        self,
        *,
        stream: int | Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Hand the memory to another library without a copy: `torch.from_dlpack(x)`, `numpy.from_dlpack(x)`, `cupy.from_dlpack(x)`.

        Both sides then see each other's writes, but the version counter does not: after the other library has written into memory that
        a graph has saved, call `x.mark_written()`. Read-only memory is marked as such; PyTorch ignores the mark.

        Args:
            stream: the consumer's CUDA stream; None on the CPU.
            max_version: the newest version of DLPack that the consumer reads.
            dl_device: where the consumer wants the array, a pair as `__dlpack_device__` returns.
            copy: True for a copy, False to fail rather than copy. All four are those of the array API standard, 2023.12.

        Raises:
            BufferError: the tensor requires grad; an axis runs backwards (PyTorch would end the process); the memory is
                read-only and the consumer does not know the mark; or the array cannot be had on `dl_device`.

        Example:
            >>> import minigen as mg
            >>> x = mg.tensor(np.array([1.0, 2.0]))
            >>> np.from_dlpack(x)[0] = 7.0
            >>> x.data
            array([7., 2.])
        """
        if self.requires_grad:
            raise BufferError(
                "__dlpack__: another library's operations leave no graph, and this tensor requires grad; call .detach() first"
            )
        if not copy and any(n > 1 and stride < 0 for n, stride in zip(self.data.shape, self.data.strides, strict=True)):
            raise BufferError(
                f"__dlpack__: an axis runs backwards, the strides are {self.data.strides}; hand over a copy, mg.tensor(x)"
            )
        wishes = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        try:
            return self.data.__dlpack__(**{name: wish for name, wish in wishes.items() if wish is not None})
        except (
            BufferError,
            ValueError,
        ) as error:  # CuPy's is a ValueError where copy=False forbids the copy to the CPU
            raise BufferError(
                f"__dlpack__: {str(error).rstrip('.')}; hand over a copy, mg.tensor(x), or x.to('cpu') from the GPU"
            ) from error

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's number for the kind of device, 1 for the CPU and 2 for CUDA, and the index of the device."""
        return self.data.__dlpack_device__()
