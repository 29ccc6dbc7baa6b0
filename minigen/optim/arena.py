"""The arena: all parameters of an optimizer in one contiguous vector, and all their gradients in another.

    values     [ weight 0 ........ | bias 0 .. | weight 1 .......... | ... ]
    gradients  [ dL/d weight 0 ... | ...                                  ]

Every Parameter becomes a view of its slice, and the engine writes its gradient into the other slice. So one kernel over a flat vector is a
whole optimizer step, and clipping, averaging and norms are one vector operation. Each slice starts on a multiple of 64 bytes, a cache
line; what lies between stays 0.
"""

import itertools
import weakref
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minigen.backend import Array, array_module, device_of
from minigen.nn import Module, Parameter

ALIGNMENT = 64  # bytes


class Arena:
    """Moves parameters into one vector, and becomes their owner.

    Args:
        parameters: a Module, or parameters by name. All must have one dtype, one device, and no other living owner.

    Attributes:
        parameters: by name, in order.
        values: the vector of all parameters.
        gradients: the vector of all gradients; the slice of a parameter whose `.grad` is None holds nothing of meaning.

    Raises:
        ValueError: there are no parameters, another optimizer owns one, or dtypes or devices differ.

    Example:
        >>> import numpy as np
        >>> w = Parameter(np.ones(3, "float32"))
        >>> arena = Arena({"w": w})
        >>> arena.values[:3] = 7
        >>> w.data
        array([7., 7., 7.], dtype=float32)
    """

    def __init__(self, parameters: Module | Mapping[str, Parameter]) -> None:
        self.parameters = dict(parameters.named_parameters() if isinstance(parameters, Module) else parameters)
        self._check()
        first = next(iter(self.parameters.values())).data
        module, per_line = array_module(first), ALIGNMENT // first.dtype.itemsize
        self.starts = [0]
        for parameter in self.parameters.values():
            self.starts.append(self.starts[-1] + -(-parameter.size // per_line) * per_line)
        self.values = _aligned_zeros(module, self.starts[-1], first.dtype)
        self.gradients = _aligned_zeros(module, self.starts[-1], first.dtype)
        for (name, parameter), start in zip(self.parameters.items(), self.starts, strict=False):
            place = slice(start, start + parameter.size)
            self.values[place] = parameter.data.ravel()
            parameter.data = self.values[place].reshape(parameter.shape)
            parameter.write_grad_into(self.gradients[place].reshape(parameter.shape))
            parameter.name = parameter.name or name
            parameter.owner = weakref.ref(self)

    def _check(self) -> None:
        if not self.parameters:
            raise ValueError("optimizer: there are no parameters to optimize")
        for name, parameter in self.parameters.items():
            if not isinstance(parameter, Parameter):
                raise TypeError(f"optimizer: {name} is a {type(parameter).__name__}, not a Parameter")
            if parameter.is_owned:
                raise ValueError(f"optimizer: parameter {name} already belongs to another optimizer")
        if len({id(parameter) for parameter in self.parameters.values()}) < len(self.parameters):
            raise ValueError("optimizer: a parameter is given twice, under two names")
        kinds = {f"{parameter.dtype} on {device_of(parameter.data)}" for parameter in self.parameters.values()}
        if len(kinds) > 1:
            raise ValueError(f"optimizer: the parameters must have one dtype and one device; found {sorted(kinds)}")

    @property
    def device(self) -> str:
        """Where the vectors are."""
        return str(device_of(self.values))

    def zeros(self) -> Array:
        """Return a vector of zeros like `values`, for a moment of every parameter."""
        return _aligned_zeros(array_module(self.values), self.values.size, self.values.dtype)

    def views(self, vector: Array) -> dict[str, Array]:
        """Return each parameter's part of a vector that is laid out as `values`, in the parameter's shape."""
        return {
            name: vector[start : start + parameter.size].reshape(parameter.shape)
            for (name, parameter), start in zip(self.parameters.items(), self.starts, strict=False)
        }

    def written(self, counts: Sequence[int]) -> Iterator[tuple[slice, list[int]]]:
        """Yield the longest runs of neighbours that all have a gradient and one count of updates so far.

        Args:
            counts: the number of updates of each parameter.

        Yields:
            The run as a slice of the vectors, and the positions of its parameters.
        """
        has_gradient = [parameter.grad is not None for parameter in self.parameters.values()]
        for (has, _), run in itertools.groupby(range(len(counts)), key=lambda i: (has_gradient[i], counts[i])):
            positions = list(run)
            if has:
                yield slice(self.starts[positions[0]], self.starts[positions[-1] + 1]), positions

    def written_gradients(self) -> list[Array]:
        """Return the written parts of `gradients`, as few runs as possible; between parameters they hold zeros."""
        return [self.gradients[run] for run, _ in self.written([0] * len(self.parameters))]


def _aligned_zeros(module: object, size: int, dtype: np.dtype) -> Array:
    if module is not np:  # CuPy's memory is aligned to 512 bytes
        return module.zeros(size, dtype)  # type: ignore[attr-defined]
    memory = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size * dtype.itemsize].view(dtype)
