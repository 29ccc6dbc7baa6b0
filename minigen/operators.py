"""What a Tensor has in common with a NumPy array: its shape, and its operators and methods, a line each.

The operations themselves are defined above the engine, in `ops`. So this file has a table of them, which `ops/__init__.py` fills in: the
one place where the engine reaches upwards.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from minigen.backend import Array, device_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jaxtyping import Bool, Float, Num

    from minigen.engine import Tensor, TensorLike

table = SimpleNamespace()
"""The primitives under the names that the methods below call them by, and the two that the engine needs: `astype` and `broadcast_to`."""

ELSEWHERE = {
    "view": "x.reshape(shape)", "permute": "x.transpose(axes)", "t": "x.T",
    "swapaxes": "mg.swapaxes(x, i, j)", "unsqueeze": "mg.expand_dims(x, axis)", "expand": "mg.broadcast_to(x, shape=shape)",
    "cat": "mg.concatenate(tensors, axis)", "pow": "x ** y", "mm": "x @ y", "dot": "x @ y",
    "inverse": "mg.inv(x)", "logdet": "mg.slogdet(x)[1]",
    "numel": "x.size", "cpu": 'x.to("cpu")', "cuda": 'x.to("gpu")', "float": 'x.astype("float32")', "double": 'x.astype("float64")',
    "long": 'x.astype("int64")', "int": 'x.astype("int64")', "type": "x.astype(dtype)", "copy": "mg.tensor(x)", "clone": "mg.tensor(x)",
    "tolist": "x.data.tolist()", "copy_": "x.assign(values)", "requires_grad_": "mg.tensor(x, requires_grad=True)",
}  # fmt: skip
"""What PyTorch's and NumPy's users look for among a tensor's attributes, and where it is."""

Axis: TypeAlias = int | tuple[int, ...] | None
"""One axis, several, or all of them."""


class Operators:
    """The part of a Tensor that is like a NumPy array.

    Example:
        >>> import minigen as mg
        >>> x = mg.tensor([1.0, 2.0])
        >>> (2.0 * x + 1.0).sum().item()
        8.0
    """

    __slots__ = ()
    data: Array
    __array_ufunc__ = None  # or ndarray * Tensor would loop over the elements and make an array of Tensors

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        """The elements' type."""
        return self.data.dtype

    @property
    def device(self) -> str:
        """Where the array is: "cpu" or "gpu"."""
        return str(device_of(self.data))

    def __add__(self, other: TensorLike | float) -> Tensor:
        return table.add(self, other)

    def __radd__(self, other: TensorLike | float) -> Tensor:
        return table.add(other, self)

    def __sub__(self, other: TensorLike | float) -> Tensor:
        return table.subtract(self, other)

    def __rsub__(self, other: TensorLike | float) -> Tensor:
        return table.subtract(other, self)

    def __mul__(self, other: TensorLike | float) -> Tensor:
        return table.multiply(self, other)

    def __rmul__(self, other: TensorLike | float) -> Tensor:
        return table.multiply(other, self)

    def __truediv__(self, other: TensorLike | float) -> Float[Tensor, "..."]:
        return table.divide(self, other)

    def __rtruediv__(self, other: TensorLike | float) -> Float[Tensor, "..."]:
        return table.divide(other, self)

    def __floordiv__(self, other: TensorLike | float) -> Tensor:
        return table.floor_divide(self, other)

    def __rfloordiv__(self, other: TensorLike | float) -> Tensor:
        return table.floor_divide(other, self)

    def __mod__(self, other: TensorLike | float) -> Tensor:
        return table.mod(self, other)

    def __rmod__(self, other: TensorLike | float) -> Tensor:
        return table.mod(other, self)

    def __pow__(self, other: TensorLike | float) -> Tensor:
        return table.power(self, other)

    def __rpow__(self, other: TensorLike | float) -> Tensor:
        return table.power(other, self)

    def __matmul__(self, other: TensorLike | float) -> Tensor:
        return table.matmul(self, other)

    def __rmatmul__(self, other: TensorLike | float) -> Tensor:
        return table.matmul(other, self)

    def __neg__(self) -> Tensor:
        return table.negative(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Tensor:
        return table.abs(self)

    def __eq__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:  # type: ignore[override]
        return table.equal(self, other)

    def __ne__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:  # type: ignore[override]
        return table.not_equal(self, other)

    def __lt__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:
        return table.less(self, other)

    def __le__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:
        return table.less_equal(self, other)

    def __gt__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:
        return table.greater(self, other)

    def __ge__(self, other: TensorLike | float) -> Bool[Tensor, "..."]:
        return table.greater_equal(self, other)

    __hash__ = object.__hash__  # `==` compares elements, so identity is what tells two tensors apart in a set or a dict

    def __getitem__(self, key: Any) -> Tensor:
        return table.index(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "a tensor's elements cannot be assigned, since a graph may have saved them; build a new tensor with mg.where(mask, new, old) "
            "or mg.scatter_add, or overwrite a whole leaf with x.assign(values)"
        )

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len(): a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # -- methods: the commonest operations

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return table.transpose(self)

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """See `ops.reshape`; the lengths may come one by one or as one tuple."""
        return table.reshape(self, shape=_as_one(shape))

    def ravel(self) -> Tensor:
        """Return the elements along one axis, in row-major order: `x.reshape(-1)`."""
        return table.reshape(self, shape=(-1,))

    def flatten(self) -> Tensor:
        """Return the same as `ravel`. NumPy's `flatten` copies; a Tensor need not, since nobody writes into it."""
        return table.reshape(self, shape=(-1,))

    def squeeze(self, axis: Axis = None) -> Tensor:
        """See `ops.squeeze`."""
        return table.squeeze(self, axis=axis)

    def transpose(self, *axes: int | tuple[int, ...] | None) -> Tensor:
        """See `ops.transpose`; the axes may come one by one or as one tuple."""
        return table.transpose(self, axes=_as_one(axes) or None)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Num[Tensor, "..."]:
        """See `ops.sum`."""
        return table.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Float[Tensor, "..."]:
        """See `ops.mean`."""
        return table.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.max`."""
        return table.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.min`."""
        return table.min(self, axis=axis, keepdims=keepdims)

    def astype(self, dtype: Any) -> Tensor:
        """See `ops.astype`."""
        return table.astype(self, dtype=dtype)

    def to(self, device: str) -> Tensor:
        """Return the tensor on a device: "cpu" or "gpu". The gradient comes back to where this tensor is."""
        return table.to_device(self, device=device, source=device_of(self.data))


def _as_one(numbers: tuple[Any, ...]) -> Any:
    """Return (2, 3), given by `*numbers` as 2, 3 or as one (2, 3)."""
    return numbers[0] if len(numbers) == 1 and (numbers[0] is None or hasattr(numbers[0], "__iter__")) else numbers


class _Elsewhere:
    """An attribute that Tensors do not have; whoever asks for it is told what to write. A `__getattr__` would slow every attribute down."""

    def __init__(self, name: str, hint: str) -> None:
        self.name, self.hint = name, hint

    def __get__(self, tensor: Any, owner: type) -> Any:
        raise AttributeError(f"a {owner.__name__} has no attribute {self.name!r}; write {self.hint}")


def hint_at(hints: Mapping[str, str]) -> None:
    """Let a Tensor that is asked for an attribute it does not have say what to write; names that it has are left alone.

    Args:
        hints: the name of the attribute, and the expression that takes its place.
    """
    for name, hint in hints.items():
        if name not in vars(Operators):  # where an earlier hint stands too
            setattr(Operators, name, _Elsewhere(name, hint))


hint_at(ELSEWHERE)
