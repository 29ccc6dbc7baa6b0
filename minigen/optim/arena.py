"""The arena: all parameters of an optimizer in one contiguous vector, and all their gradients in another.

    values     [ weight 0 ........ | bias 0 .. | weight 1 .......... | ... ]
    gradients  [ dL/d weight 0 ... | ...                                  ]

Every Parameter becomes a view of its slice, and the engine writes its gradient into the other slice. So one kernel over a flat vector is a
whole optimizer step, and clipping, averaging and norms are one vector operation. Each slice starts on a multiple of 64 bytes, a cache
line; what lies between stays 0.

What a user assigns, by `w.data = array` or `w.grad = tensor`, lies outside the vectors. So whoever reads a vector gathers first: what was
assigned is moved into the slices.
"""

import itertools
import operator
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minigen.backend import Array, array_module, device_of
from minigen.engine import Tensor
from minigen.guards import exclusive
from minigen.nn import Module, Parameter
from minigen.nn.module import misfit

ALIGNMENT = 64  # bytes

Parameters: TypeAlias = Module | Mapping[str, Parameter] | Iterable[Parameter]
"""What an optimizer is given."""


class Arena:
    """Moves parameters into one vector, and becomes their owner.

    Args:
        parameters: see `named`. All must have one dtype, one device, and no other living owner.

    If it is copied or pickled together with the network, its copy holds the parameters of the copied network.

    Attributes:
        parameters: by name, in order.

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

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = named(parameters)
        self._check()
        self._take_over()

    def _take_over(self) -> None:
        """Lay the vectors out and make every parameter a view of its slice."""
        first = next(iter(self.parameters.values())).data
        module, per_line = array_module(first), ALIGNMENT // first.dtype.itemsize
        self.starts = [0]
        for parameter in self.parameters.values():
            self.starts.append(self.starts[-1] + -(-parameter.size // per_line) * per_line)
        self._values = _aligned_zeros(module, self.starts[-1], first.dtype)
        self._gradients = _aligned_zeros(module, self.starts[-1], first.dtype)
        values, gradients = self.views(self._values), self.views(self._gradients)
        self._slices = [(name, w, values[name], gradients[name]) for name, w in self.parameters.items()]
        self._loan: _Loan | None = None
        self._is_copy = False
        for name, parameter, value, gradient in self._slices:
            value[...] = parameter.data
            parameter.data = value
            parameter.write_grad_into(gradient)
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

    # -- one truth

    @property
    def values(self) -> Array:
        """The vector of all parameters."""
        return self.gather()[0]

    @values.setter
    def values(self, vector: Array) -> None:
        if vector is not self._values:  # as it is after `values *= 2`
            self._values[...] = vector

    @property
    def gradients(self) -> Array:
        """The vector of all gradients; the slice of a parameter whose `.grad` is None has no meaning."""
        return self.gather()[1]

    def gather(self) -> tuple[Array, Array]:
        """Move the values and gradients that were assigned to parameters into the vectors; return both vectors.

        Raises:
            ValueError: one does not fit into its slice.
        """
        for name, parameter, value, gradient in self._slices:
            if parameter.data is not value:
                self._move_values(name, parameter, value)
            assigned = parameter.grad
            if assigned is not None and assigned.data is not gradient:
                if problem := misfit(assigned.data, gradient):
                    raise ValueError(f"optimizer: the array that was assigned to {name}.grad.data {problem}")
                gradient[...] = assigned.data
                assigned.data = gradient
        return self._values, self._gradients

    def _move_values(self, name: str, parameter: Parameter, value: Array) -> None:
        if problem := misfit(parameter.data, value):
            raise ValueError(f"optimizer: what was assigned to {name}.data {problem}")
        for other, _, theirs, _ in self._slices:
            if theirs is not value and _share_memory(parameter.data, theirs):
                raise ValueError(
                    f"optimizer: {name}.data was set to the memory of {other}; to start from the same values, write {name}.assign(values); "
                    f"to share a parameter, give both layers the same Parameter"
                )
        value[...] = parameter.data.copy()  # which may be a part of `value` in another order
        parameter.data = value
        parameter.mark_written()

    # -- weights of an average, for the time of a block

    def lend(self, vector: Array) -> None:
        """Give the parameters the values of a vector until `take_back`; blocks with the same vector may overlap.

        Raises:
            RuntimeError: the parameters have the values of another vector.
        """
        self.check_held("EMA.applied()")
        with exclusive():
            if self._loan is None:
                self._loan = _Loan(vector, self.values.copy())
                self._overwrite(vector)
            elif self._loan.vector is not vector:
                raise RuntimeError(
                    "EMA.applied(): the model has the weights of another average of the same optimizer; leave that block first"
                )
            self._loan.blocks += 1

    def take_back(self) -> bool:
        """End a block; the end of the last one gives the parameters their own values again.

        Returns:
            Whether the lent values were the same at the end as at the beginning.
        """
        with exclusive():
            loan = self._loan
            assert loan is not None
            loan.blocks -= 1
            if loan.blocks:
                return True
            self._loan = None
            was_unchanged = _same_bits(self._values, loan.vector)
            for _, parameter, value, _ in self._slices:
                was_unchanged = was_unchanged and parameter.data is value
                parameter.data = value
            self._overwrite(loan.own)
            return was_unchanged

    def _overwrite(self, vector: Array) -> None:
        self._values[...] = vector
        for parameter in self.parameters.values():
            parameter.mark_written()

    def check_own(self, caller: str) -> None:
        """Refuse to change or save parameters while they have the weights of an average.

        Raises:
            RuntimeError: they do.
        """
        if self._loan is not None:
            raise RuntimeError(
                f"{caller}: inside `with average.applied()` the model has the weights of the average, and its own come back when the "
                f"block ends; do this outside of it"
            )

    # -- copies

    def __getstate__(self) -> dict[str, Any]:
        self.check_own("copy or pickle of an optimizer or an average")
        self.gather()
        return {"parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.parameters = state["parameters"]
        self._check()
        self._take_over()
        self._is_copy = True

    def check_held(self, caller: str) -> None:
        """Refuse to work on the parameters of a copy whose network was not copied with it: no network would notice.

        Raises:
            RuntimeError: nothing else holds a parameter.
        """
        if self._is_copy:
            if all(parameter.grad is None for parameter in self.parameters.values()) and _are_alone(self.parameters):
                raise RuntimeError(
                    f"{caller}: this is a copy, and no network has its parameters; copy or pickle it together with the network: "
                    f"net, optimizer = copy.deepcopy((net, optimizer))"
                )
            self._is_copy = False

    # -- vectors

    @property
    def device(self) -> str:
        """Where the vectors are."""
        return str(device_of(self._values))

    def zeros(self) -> Array:
        """Return a vector of zeros like `values`, for a moment of every parameter."""
        return _aligned_zeros(array_module(self._values), self._values.size, self._values.dtype)

    def aligned(self, vector: Array) -> Array:
        """Return a copy of a vector of this layout that starts at a multiple of 64 bytes; copied and unpickled ones may start anywhere."""
        copied = self.zeros()
        copied[...] = vector
        return copied

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
        has_gradient = [gradient is not None for gradient in map(_gradient_of, self.parameters.values())]
        for (has, _), run in itertools.groupby(range(len(counts)), key=lambda i: (has_gradient[i], counts[i])):
            positions = list(run)
            if has:
                yield slice(self.starts[positions[0]], self.starts[positions[-1] + 1]), positions

    def written_gradients(self) -> list[Array]:
        """Return the written parts of `gradients`, as few runs as possible; between parameters they hold zeros."""
        gradients = self.gradients
        return [gradients[run] for run, _ in self.written([0] * len(self.parameters))]


def named(parameters: Parameters) -> dict[str, Parameter]:
    """Return parameters by name: those of a Module, of a dict, or of a list such as `net.parameters()`, named by their positions.

    Raises:
        TypeError: it is something else.

    Example:
        >>> w = Parameter(np.ones(3, "float32"))
        >>> list(named([w]))
        ['0']
    """
    if isinstance(parameters, Module):
        return parameters.named_parameters()
    if isinstance(parameters, Mapping):
        return dict(parameters)
    if isinstance(parameters, Iterable) and not isinstance(parameters, Tensor):
        listed = list(parameters)
        if not any(isinstance(entry, dict) for entry in listed):
            return {str(place): parameter for place, parameter in enumerate(listed)}
        raise TypeError("optimizer: got groups of parameters; make an optimizer for each group")
    raise TypeError(
        f"optimizer: got a {type(parameters).__name__}; expected a Module, a list such as net.parameters(), or a dict of them by name"
    )


_gradient_of = operator.attrgetter("grad")


@dataclass
class _Loan:
    """The values that the parameters have for a while, their own values, and the number of blocks that need the loan."""

    vector: Array
    own: Array
    blocks: int = 0


def _share_memory(a: Array, b: Array) -> bool:
    return a is b or (isinstance(a, np.ndarray) and bool(np.may_share_memory(a, b)))


def _same_bits(a: Array, b: Array) -> bool:
    """Whether two vectors of one dtype are equal, NaN and the sign of zero included."""
    as_integers = f"uint{8 * a.itemsize}"
    return bool((a.view(as_integers) == b.view(as_integers)).all())


def _are_alone(parameters: dict[str, Parameter]) -> bool:
    """Whether only their arena holds the parameters: each has as many references as an object that was made here."""
    alone = {"": object()}
    slices = [("", alone[""])]  # noqa: F841 - an arena has each parameter twice
    (count,) = [sys.getrefcount(value) for value in alone.values()]
    return all(sys.getrefcount(value) <= count for value in parameters.values())


def _aligned_zeros(module: object, size: int, dtype: np.dtype) -> Array:
    if module is not np:  # CuPy's memory is aligned to 512 bytes
        return module.zeros(size, dtype)  # type: ignore[attr-defined]
    memory = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size * dtype.itemsize].view(dtype)
