"""Module: a model as an ordinary, mutable Python object.

Nothing is registered. A module's parameters are the `Parameter`s found by walking its attributes, and the lists, tuples and
dicts among them, in the order in which they were set; a parameter that two modules share is found once, under its first name.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from minigen.backend import Array, to_device
from minigen.engine import Tensor


class Parameter(Tensor):
    """A leaf that a model learns.

    Attributes:
        owner: the optimizer's arena that holds the values, as a weak reference, or None.

    Example:
        >>> import numpy as np
        >>> Parameter(np.zeros(2, "float32")).requires_grad
        True
    """

    __slots__ = ("owner",)

    def __init__(self, data: Array, *, name: str = "") -> None:
        super().__init__(data, requires_grad=True, name=name)
        self.owner: Callable[[], Any] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        copied = Parameter(self.data.copy(), name=self.name)  # without a gradient, and free of the optimizer
        memo[id(self)] = copied
        return copied

    @property
    def is_owned(self) -> bool:
        """Whether a living optimizer holds the values."""
        return self.owner is not None and self.owner() is not None


class Buffer(Tensor):
    """A part of a model's state that is saved but not learned, such as a running mean.

    Example:
        >>> import numpy as np
        >>> Buffer(np.zeros(2, "float32")).requires_grad
        False
    """

    __slots__ = ()


class Module:
    """The base class of layers and models: define `forward`, and set attributes in `__init__`.

    Attributes:
        training: True in training mode, False after `eval()`; layers such as dropout look at it.

    Example:
        >>> import minigen as mg
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         self.factor = Parameter(mg.ones(()).data)
        ...
        ...     def forward(self, x):
        ...         return self.factor * x
        >>> scale = Scale()
        >>> list(scale.named_parameters())
        ['factor']
        >>> scale(3.0).item()
        3.0
    """

    training: bool = True

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """Compute the output; every subclass that is called defines its own."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *inputs: Any, **keywords: Any) -> Any:
        """Return what `forward` returns."""
        output = self.forward(*inputs, **keywords)
        for observe in _observers:
            observe(self, output)
        return output

    def __getattr__(self, name: str) -> Any:
        near = difflib.get_close_matches(name, [n for n in dir(self) if not n.startswith("_")])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    # -- what the module is made of

    def named_modules(self) -> dict[str, "Module"]:
        """Return this module (under "") and all modules inside it by their dotted names."""
        return {name: part for name, part in _walk(self, "", set()) if isinstance(part, Module)}

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by their dotted names, each parameter once."""
        return {name: part for name, part in _walk(self, "", set()) if isinstance(part, Parameter)}

    def named_buffers(self) -> dict[str, Buffer]:
        """Return the buffers by their dotted names."""
        return {name: part for name, part in _walk(self, "", set()) if isinstance(part, Buffer)}

    def parameters(self) -> list[Parameter]:
        """Return the parameters, each once."""
        return list(self.named_parameters().values())

    def count_parameters(self) -> int:
        """Return how many numbers are learned: the sizes of all parameters together, each counted once."""
        return sum(parameter.size for parameter in self.parameters())

    # -- modes and places

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and in all modules inside; return the module."""
        for module in self.named_modules().values():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and in all modules inside; return the module."""
        return self.train(False)

    def to(self, device: str) -> Self:
        """Move all parameters and buffers to a device, in place; return the module.

        Raises:
            RuntimeError: an optimizer already holds the parameters.
        """
        parameters = self.named_parameters()
        owned = [name for name, parameter in parameters.items() if parameter.is_owned]
        if owned:
            raise RuntimeError(
                f"to({device!r}): an optimizer holds {owned[0]!r}; move the model first, then make the optimizer"
            )
        for tensor in [*parameters.values(), *self.named_buffers().values()]:
            tensor.data = to_device(tensor.data, device)
            tensor.write_grad_into(None)  # an optimizer that is gone may have left a place on the old device
        return self

    # -- state

    def state(self) -> dict[str, Array]:
        """Return the arrays of all parameters and buffers by name (the arrays themselves, not copies)."""
        return {name: tensor.data for name, tensor in {**self.named_parameters(), **self.named_buffers()}.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Copy arrays into all parameters and buffers.

        Raises:
            ValueError: names or shapes differ; the message lists every difference, and nothing has been changed.
        """
        tensors: dict[str, Tensor] = {**self.named_parameters(), **self.named_buffers()}
        check_state(self.state(), state, what=type(self).__name__)
        for name, tensor in tensors.items():
            tensor.assign(to_device(state[name], tensor.device))

    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        return f"{type(self).__name__}({count:,} parameters)"


_observers: list[Callable[[Module, Any], None]] = []
"""Called with every module and its output; `nn.summary` listens here."""


def _walk(part: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Module | Tensor]]:
    """Yield every Module, Parameter and Buffer below `part` with its dotted name, depth first, each object once."""
    if isinstance(part, Module | Parameter | Buffer):
        if id(part) in seen:
            return
        seen.add(id(part))
        yield name, part
    if isinstance(part, Module):
        children: Iterable[tuple[Any, Any]] = vars(part).items()
    elif isinstance(part, dict):
        children = part.items()
    elif isinstance(part, list | tuple):
        children = ((str(i), child) for i, child in enumerate(part))
    else:
        return
    for key, child in children:
        yield from _walk(child, f"{name}.{key}" if name else str(key), seen)


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Inside the block the module and all its parts are in evaluation mode; afterwards each is in its own again.

    Args:
        module: any.

    Example:
        >>> from minigen import nn
        >>> from minigen.random import Generator
        >>> dropout = nn.Dropout(p=0.5, rng=Generator(0))
        >>> with evaluating(dropout):
        ...     dropout.training
        False
        >>> dropout.training
        True
    """
    modes = [(part, part.training) for part in module.named_modules().values()]
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def check_state(expected: Mapping[str, Any], found: Mapping[str, Any], *, what: str) -> None:
    """Compare two states by name and, for arrays, by shape and dtype.

    Raises:
        ValueError: they differ; one message lists all missing, unexpected and mismatched entries.
    """
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in expected]
    for name in (name for name in expected if name in found):
        ours, theirs = (_kind(value) for value in (expected[name], found[name]))
        if ours != theirs:
            problems.append(f"{name} is {theirs}, expected {ours}")
    if problems:
        raise ValueError(f"{what}: the state does not fit ({len(problems)} differences): " + "; ".join(problems))


def _kind(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if hasattr(value, "shape") else "no array"
