"""What a case is, how its arguments are drawn, and the list that every case joins.

To add a case, open the file here that has the same name as the operation's file in `minigen/ops/`. Call `case` with the operation, its
arguments, and a function of NumPy or SciPy that gives the same values; `unary`, `binary` and `backward` add several cases at once. The
helpers below draw the arguments. A new file also needs its name in `__init__.py`, last in the list.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import minigen as mg
from minigen.backend import device_of, to_device
from minigen.engine import Primitive


@dataclass(frozen=True)
class Case:
    """A call of an operation on arrays.

    Attributes:
        function: takes the arguments and the keywords.
        arguments: arrays; the float64 ones are differentiated.
        keywords: passed by name.
        expected: a function of NumPy or SciPy with the same arguments that gives the same values.
        differentiable: False where the output is piecewise constant, and so has no gradient.
        label: tells the cases of one function apart.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    expected: Callable[..., Any]
    differentiable: bool
    label: str

    @property
    def name(self) -> str:
        return self.function.__name__

    def __str__(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    @property
    def floats(self) -> list[np.ndarray]:
        """The arguments that are differentiated."""
        return [a for a in self.arguments if is_float(a)]

    def outputs(self, floats: Sequence[Any]) -> tuple[Any, ...]:
        """Call the function with other values in place of the floats."""
        values = iter(floats)
        results = self.function(*(next(values) if is_float(a) else a for a in self.arguments), **self.keywords)
        return tuple(results) if isinstance(results, list | tuple) else (results,)

    def on(self, device: str) -> "Case":
        """The same call with its arrays on another device."""
        keywords = {n: value if n == "mask" else moved(value, device) for n, value in self.keywords.items()}
        if self.function is mg.ops.to_device:
            keywords["source"] = device
        return replace(self, arguments=moved(self.arguments, device), keywords=keywords)


def is_float(argument: Any) -> bool:
    return device_of(argument) is not None and argument.dtype.kind == "f"


def moved(value: Any, device: str) -> Any:
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    return to_device(value, device) if isinstance(value, np.ndarray | np.generic) else value


def package_primitives() -> dict[str, Primitive]:
    """The registered primitives that minigen itself defines, not those of a test or an example."""
    return {name: p for name, p in Primitive.registry.items() if p.forward.__module__.startswith("minigen.")}


# ------------------------------------------------------------------------------------------------------ arguments

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def away(*shape: int) -> np.ndarray:
    """Numbers of both signs, at least 0.2 away from 0."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 2.0, shape)


def positive(*shape: int) -> np.ndarray:
    return rng.uniform(0.3, 2.5, shape)


def distinct(*shape: int) -> np.ndarray:
    """Numbers at least 0.1 apart from each other."""
    count = math.prod(shape)
    return (rng.permutation(count) * 0.15 - 0.07 * count + rng.uniform(0.0, 0.05, count)).reshape(shape)


def fixed(*shape: int) -> np.ndarray:
    """Numbers at least 0.1 apart from each other and 0.04 away from 0, from a generator of their own.

    A case with such numbers may join a file without a change of the arguments that are drawn after it.
    """
    count = math.prod(shape)
    own = np.random.default_rng(count)
    return ((own.permutation(count) - count // 2) * 0.2 + own.uniform(0.04, 0.14, count)).reshape(shape)


def whole(*shape: int) -> np.ndarray:
    """Few different numbers, so that some are equal."""
    return rng.integers(-1, 2, shape).astype(float)


# ------------------------------------------------------------------------------------------------------ the list

CASES: list[Case] = []


def case(
    function: Callable[..., Any], *arguments: Any, expected: Any, label: str = "", flows: bool = True, **keywords: Any
) -> None:
    """Add a call of a function to the list; see `Case` for what belongs to it (`flows` is `differentiable`)."""
    CASES.append(Case(function, arguments, keywords, expected, flows, label))


def labelled(shape: tuple[int, ...], **keywords: Any) -> str:
    """A label without blanks, such as form=tanh,(3,4)."""
    note = "".join(f"{key}={value}," for key, value in keywords.items())
    return f"{note}{shape}".replace(" ", "")


def unary(
    function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, flows: bool = True, **keywords: Any
) -> None:
    """An elementwise function of one array: on a matrix, on a single number, and on an empty array."""
    for shape in ((3, 4), (), (2, 0)):
        label = labelled(shape, **keywords)
        case(function, draw(*shape), expected=expected, label=label, flows=flows, **keywords)


def binary(function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, flows: bool = True) -> None:
    """An elementwise function of two arrays: equal shapes, broadcast ones, single numbers, empty arrays, and Python numbers."""
    for first, second in (((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), ()), ((3,), ()), ((0, 3), (3,))):
        label = f"{first},{second}".replace(" ", "")
        cut = math.prod(first)
        both = draw(cut + math.prod(second))  # in one draw, so that distinct numbers are distinct across the two
        case(
            function, both[:cut].reshape(first), both[cut:].reshape(second), expected=expected, label=label, flows=flows
        )
    case(function, draw(2, 3), 0.7, expected=expected, label="array,number", flows=flows)
    case(function, 0.7, draw(2, 3), expected=expected, label="number,array", flows=flows)


def backward(function: Callable[..., Any], draw: Callable[..., np.ndarray], expected: Any, **keywords: Any) -> None:
    """The gradient of an elementwise function, as a function of (g, what was saved): on matrices, single numbers, and empty arrays."""
    for shape in ((2, 3), (), (0, 3)):
        label = labelled(shape, **keywords)
        case(function, normal(*shape), draw(*shape), expected=expected, label=label, **keywords)
