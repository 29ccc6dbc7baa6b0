"""Module: a model as an ordinary, mutable Python object.

Nothing is registered. A module's parameters are the `Parameter`s found by walking its attributes, and the lists, tuples and
dicts among them, in the order in which they were set; a parameter that two modules share is found once, under its first name.
Parts in other containers, such as sets and arrays of objects, are refused; so are two parts whose dotted names are equal.
"""

from __future__ import annotations

import difflib
import threading
import weakref
from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minigen.backend import Array, device_of, to_device
from minigen.engine import Tensor
from minigen.guards import attribute_set, guard
from minigen.sizes import is_whole

if TYPE_CHECKING:
    from jaxtyping import Float, Num, Shaped


class Parameter(Tensor):
    """A leaf that a model learns.

    Values and gradient may be assigned, `w.data = array` and `w.grad = tensor`: an optimizer that holds the parameter moves them into its
    own memory before it uses them. A copied or unpickled parameter has no gradient and belongs to no optimizer.

    Attributes:
        owner: the optimizer's arena that holds the values, as a weak reference, or None.

    Example:
        >>> import numpy as np
        >>> Parameter(np.zeros(2, "float32")).requires_grad
        True
    """

    __slots__ = ("_gradient", "owner")

    def __init__(self, data: Float[Array, "..."], *, name: str = "") -> None:
        self._gradient: Tensor | None = None
        # A copy: a graph counts the writes to a parameter's memory, and nobody else may write there unseen.
        super().__init__(data.copy() if device_of(data) else data, requires_grad=True, name=name)
        self.owner: Callable[[], Any] | None = None

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        del slots["grad"]
        return attributes, {**slots, "_gradient": None, "_grad_memory": None, "owner": None}

    @property
    def grad(self) -> Float[Tensor, "..."] | None:
        """The gradient that `backward` summed into this parameter, or the Tensor that was assigned; None where there is none.

        A Tensor that you hold keeps its values when another, or None, takes its place. Its array does not: the next gradient of a parameter
        that an optimizer holds is written into the same memory.

        Raises:
            TypeError: what is assigned is neither a Tensor nor None.
            ValueError: its shape, dtype or device are not those of the parameter.
        """
        return self._gradient

    @grad.setter
    def grad(self, gradient: Float[Tensor, "..."] | None) -> None:
        if gradient is not None and (type(gradient) is not Tensor or gradient.data is not self._grad_memory):
            gradient = self._checked_gradient(gradient)
        former, self._gradient = self._gradient, gradient
        if former is not None and former is not gradient and former.data is self._grad_memory:
            still_held = weakref.ref(former)
            del former
            kept = still_held()
            if kept is not None:
                kept.data = kept.data.copy()

    def _checked_gradient(self, gradient: Any) -> Tensor:
        """Return a gradient that the user assigned, or a copy if others may compute with its memory; raise if it does not fit."""
        called = f"{self.name or 'parameter'}.grad"
        if not isinstance(gradient, Tensor):
            raise TypeError(
                f"{called}: cannot be a value of type {type(gradient).__name__}; a gradient is a Tensor of the parameter's shape "
                f"{self.shape}, such as mg.tensor(values), or None"
            )
        if problem := misfit(gradient.data, self.data):
            raise ValueError(f"{called}: the gradient assigned {problem}")
        is_private = type(gradient) is Tensor and not gradient.requires_grad
        is_computed = gradient.storage is None or gradient.storage.is_computed
        return gradient if is_private and not is_computed else Tensor(gradient.data.copy())

    @property
    def is_owned(self) -> bool:
        """Whether a living optimizer holds the values."""
        return self.owner is not None and self.owner() is not None

    def assign(self, values: Num[Array, "..."]) -> None:
        """Overwrite the values in place and raise the version.

        Args:
            values: an array of the same shape, on the same device.

        Raises:
            RuntimeError: the model has the weights of an average, inside `with average.applied():`.
            ValueError: the shapes differ.
        """
        self.check_own("assign()")
        if isinstance(self.data, np.generic):  # w.data = 2 * w.data assigns one where w is 0-d
            self.data = np.asarray(self.data)
        super().assign(values)

    def check_own(self, caller: str) -> None:
        """Refuse to go on inside `with average.applied():`, where what is written to the parameters would be lost."""
        arena = None if self.owner is None else self.owner()
        if arena is not None:
            arena.check_own(caller)


def misfit(values: Any, like: Array) -> str:
    """Return why something cannot take the place of a parameter's array, or an empty string if it can.

    Example:
        >>> import numpy as np
        >>> misfit(np.zeros(3, "float32"), like=np.zeros(2, "float32"))
        'has shape (3,), but the parameter has (2,)'
    """
    if isinstance(values, np.generic):  # NumPy returns one in place of a 0-d array
        values = np.asarray(values)
    if isinstance(values, Tensor):
        return "is a Tensor, not an array; write tensor.data"
    if device_of(values) is None:
        return f"is of type {type(values).__name__}, not an array"
    if values.shape != like.shape:
        return f"has shape {values.shape}, but the parameter has {like.shape}"
    if values.dtype != like.dtype:
        return f"is {values.dtype}, but the parameter is {like.dtype}; convert it by .astype({str(like.dtype)!r})"
    if device_of(values) != device_of(like):
        return f"is on {device_of(values)}, but the parameter is on {device_of(like)}"
    return ""


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
        for observe in in_this_thread.observers:
            observe(self, (*inputs, *keywords.values()), output)
        return output

    def __getattr__(self, name: str) -> Any:
        lent = in_this_thread.lent.get((id(self), name))
        if lent is not None:
            return lent
        if name.startswith("__"):  # what Python itself looks for, such as __deepcopy__
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        near = difflib.get_close_matches(name, [n for n in dir(self) if not n.startswith("_")])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    # -- what the module is made of

    def named_modules(self) -> dict[str, Module]:
        """Return this module (under "") and all modules inside it by their dotted names."""
        return {name: part for name, part in _parts(self).items() if isinstance(part, Module)}

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by their dotted names, each parameter once."""
        return {name: part for name, part in _parts(self).items() if isinstance(part, Parameter)}

    def named_buffers(self) -> dict[str, Buffer]:
        """Return the buffers by their dotted names."""
        return {name: part for name, part in _parts(self).items() if isinstance(part, Buffer)}

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

    def state(self) -> dict[str, Shaped[Array, "..."]]:
        """Return the arrays of all parameters and buffers by name (the arrays themselves, not copies)."""
        return {name: tensor.data for name, tensor in {**self.named_parameters(), **self.named_buffers()}.items()}

    def load_state(self, state: Mapping[str, Shaped[Array, "..."]]) -> None:
        """Copy arrays into all parameters and buffers.

        Raises:
            ValueError: names or shapes differ; the message lists every difference, and nothing has been changed.
            RuntimeError: the module has the weights of an average, inside `with average.applied():`.
        """
        tensors: dict[str, Tensor] = {**self.named_parameters(), **self.named_buffers()}
        check_state(self.state(), state, what=type(self).__name__)
        for parameter in self.parameters():
            parameter.check_own(f"{type(self).__name__}.load_state()")
        for name, tensor in tensors.items():
            tensor.assign(to_device(state[name], tensor.device))

    def __repr__(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        return f"{type(self).__name__}({count:,} parameters)"


class _InThisThread(threading.local):
    """What holds for the calls of one thread while other threads call the same modules.

    Attributes:
        observers: called with every module, all that it was given, and its output, the innermost module first; `nn.summary` and
            `plots.game_diagram` listen here.
        lent: attributes that a module has during a call, by the module's id and the attribute's name.
    """

    def __init__(self) -> None:
        self.observers: list[Callable[[Module, tuple[Any, ...], Any], None]] = []
        self.lent: dict[tuple[int, str], Any] = {}


in_this_thread = _InThisThread()


_VIEWS = tuple(map(type, ({}.keys(), {}.values(), {}.items())))
_OTHER_CONTAINERS = frozenset({set, frozenset, deque, UserList, UserDict, MappingProxyType, *_VIEWS})


def _parts(module: Module) -> dict[str, Module | Tensor]:
    """Return every Module, Parameter and Buffer of a module by its dotted name, depth first, each object once.

    Raises:
        ValueError: two parts have the same name.
        TypeError: a part is found only in a container that is not walked, such as a set.
    """
    found: dict[str, Module | Tensor] = {}
    seen: set[int] = set()
    hidden: list[tuple[str, object, Any]] = []
    _walk(module, "", found, seen, hidden)
    for name, container, part in hidden:
        if id(part) not in seen:
            what = "an array of objects" if isinstance(container, np.ndarray) else f"a {type(container).__name__}"
            raise TypeError(
                f"{type(module).__name__}.{name} is {what} with a {type(part).__name__} in it, which parameters() would not find; "
                "keep modules and parameters in a list, a tuple, or the values of a dict"
            )
    return found


def _walk(
    part: Any, name: str, found: dict[str, Module | Tensor], seen: set[int], hidden: list[tuple[str, object, Any]]
) -> None:
    """Add a part and those below it to `found`; add what stands in other containers to `hidden`, as name, container and part."""
    if isinstance(part, Module | Parameter | Buffer):
        if id(part) in seen:
            return
        seen.add(id(part))
        if name in found:
            raise ValueError(
                f"two parts of the module have the same name, {name!r}, as those under the keys 0 and '0' of a dict do, or under 'a.b' and "
                "in 'a' under 'b'; rename one"
            )
        found[name] = part
    if isinstance(part, Module):
        children: Iterable[tuple[Any, Any]] = vars(part).items()
    elif isinstance(part, dict):
        children = part.items()
        hidden += [(name, part.keys(), key) for key in part if isinstance(key, Module | Parameter | Buffer)]
    elif isinstance(part, list | tuple):
        children = ((str(i), child) for i, child in enumerate(part))
    else:
        if type(part) in _OTHER_CONTAINERS or (type(part) is np.ndarray and part.dtype == object):
            inside: dict[str, Module | Tensor] = {}
            contents: Any = (
                part.flat if isinstance(part, np.ndarray) else part.values() if isinstance(part, Mapping) else part
            )
            _walk(list(contents), "", inside, set(), hidden)
            hidden += [(name, part, child) for child in inside.values()]
        return
    for key, child in children:
        _walk(child, f"{name}.{key}" if name else str(key), found, seen, hidden)


@guard
def evaluating(module: Module) -> Iterator[None]:
    """Put a module and all its parts into evaluation mode inside the block; afterwards each is in its own mode again.

    All threads share the mode, and their blocks may overlap.

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
    with attribute_set(list(module.named_modules().values()), "training", False):
        yield


def check_state(expected: Mapping[str, Any], found: Mapping[str, Any], *, what: str) -> None:
    """Compare two states by name and by kind: arrays by shape and dtype, values by their JSON type; a whole number is also a number.

    Raises:
        ValueError: they differ; one message lists all missing, unexpected and mismatched entries.
    """
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in expected]
    for name in (name for name in expected if name in found):
        ours, theirs = (_kind(value) for value in (expected[name], found[name]))
        if ours != theirs and (ours, theirs) != ("a number", "a whole number"):
            problems.append(f"{name} is {theirs}, expected {ours}")
    if problems:
        raise ValueError(f"{what}: the state does not fit ({len(problems)} differences): " + "; ".join(problems))


def check_whole(value: Any, what: str, *, most: int = 2**63 - 1) -> int:
    """Return a value of a state that must be a whole number, neither negative nor too large.

    Args:
        value: as it was read.
        what: opens the message.
        most: the largest that makes sense.

    Raises:
        ValueError: it is something else.

    Example:
        >>> check_whole(-3, "Adam: steps")
        Traceback (most recent call last):
        ValueError: Adam: steps is -3 in the state, expected a whole number that is not negative
        >>> check_whole(3, "Adam: the count of 'weight'", most=2)
        Traceback (most recent call last):
        ValueError: Adam: the count of 'weight' is 3 in the state, expected a whole number from 0 to 2
    """
    if isinstance(value, bool) or not is_whole(value) or not 0 <= value <= most:
        expected = "that is not negative" if most == 2**63 - 1 else f"from 0 to {most}"
        raise ValueError(f"{what} is {value!r:.100} in the state, expected a whole number {expected}")
    return int(value)


_JSON = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null", list: "a list", tuple: "a list",
    dict: "an object",
}  # fmt: skip


def _kind(value: Any) -> str:
    return f"{value.shape} {value.dtype}" if hasattr(value, "shape") else _JSON.get(type(value), type(value).__name__)
