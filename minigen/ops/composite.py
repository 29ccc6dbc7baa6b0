"""Functions composed of primitives: what they need beyond Python's own `def` is a good word when they are given the wrong thing."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from minigen import diagnosis
from minigen.backend import device_of
from minigen.binding import Binding
from minigen.engine import Tensor, without_underflow

Signature = ParamSpec("Signature")
Result = TypeVar("Result")


def composite(function: Callable[Signature, Result]) -> Callable[Signature, Result]:
    """Make the errors of a function name it, and not only the primitive that raised them.

    As with a primitive, further positional arguments are keywords in the order of the signature: `var(x, 0)` is `var(x, axis=0)`.
    """
    binding = Binding(function)
    most = sys.maxsize if binding.variadic else len(binding.arguments)

    @functools.wraps(function)
    def checked(*arguments: Signature.args, **keywords: Signature.kwargs) -> Result:
        if len(arguments) > most:
            arguments, keywords = binding.bind(function.__name__, arguments, keywords)  # type: ignore[assignment]
        try:
            return function(*arguments, **keywords)
        except FloatingPointError:
            return without_underflow(function, *arguments, **keywords)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            if str(error).startswith(f"{function.__name__}: "):
                raise
            if isinstance(error, AttributeError) or diagnosis.is_not_admitted(error):
                for value in _not_arrays((*arguments, *keywords.values())):
                    raise TypeError(diagnosis.not_admitted(function.__name__, value)) from error
            raise diagnosis.kind_of(error)(f"{function.__name__}: {error}") from error

    return checked


def _not_arrays(arguments: Iterable[Any]) -> Iterator[Any]:
    """Yield what an operation cannot compute with: values that are not arrays, alone or in a list of arrays, and lists themselves."""
    for argument in arguments:
        is_list = isinstance(argument, list | tuple)
        for value in argument if is_list and not _is_data(argument) else (argument,):
            if isinstance(value, list | float | bool) or _is_foreign(value):
                yield value
        if is_list:
            yield argument


def _is_data(value: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether a list is given in place of an array, rather than as a list of arrays."""
    return any(isinstance(part, float | list) for part in value) and all(_is_foreign(part) for part in value)


def _is_foreign(value: Any) -> bool:
    return not isinstance(value, Tensor | int | str | slice | None) and device_of(value) is None
