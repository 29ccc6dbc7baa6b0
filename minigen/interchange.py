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

    def item(self) -> float | int | bool:
        """Return the value of a one-element tensor as a Python number. On the GPU this waits for the device."""
        if self.data.size != 1:
            raise ValueError(
                f"item(): the tensor has {self.data.size} elements, shape {self.data.shape}; only one element has one value"
            )
        return self.data.item()

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

    def __dlpack__(
        self,
        *,
        stream: int | Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Hand the memory to another library without a copy: `torch.from_dlpack(x)`, `numpy.from_dlpack(x)`, `cupy.from_dlpack(x)`.

        Both sides then see each other's writes, except that the version counter does not: after writing over there into memory that a
        graph has saved, call `x.mark_written()`. Read-only memory is marked as such; PyTorch takes no notice of the mark.

        Args:
            stream: the consumer's CUDA stream; None on the CPU.
            max_version: the newest version of DLPack that the consumer reads.
            dl_device: where the consumer wants the array, a pair as `__dlpack_device__` returns.
            copy: True for a copy, False for none in any case. All four are those of the array API standard, 2023.12.

        Raises:
            BufferError: the tensor requires grad; it is reversed (PyTorch would end the process over a negative stride); it is read-only
                and the consumer knows no such mark; or the array cannot be had on `dl_device`.

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
        except BufferError as error:
            raise BufferError(
                f"__dlpack__: {str(error).rstrip('.')}; hand over a copy, mg.tensor(x), or x.to('cpu') from the GPU"
            ) from error

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's number for the kind of device, 1 for the CPU and 2 for CUDA, and which of them it is."""
        return self.data.__dlpack_device__()
