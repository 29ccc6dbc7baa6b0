"""Functions composed of primitives: what they need beyond Python's own `def` is a good word when they are given the wrong thing."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from minigen import diagnosis
from minigen.backend import device_of
from minigen.engine import Tensor

Signature = ParamSpec("Signature")
Result = TypeVar("Result")


def composite(function: Callable[Signature, Result]) -> Callable[Signature, Result]:
    """Let a function's failure name the function, not only the primitive in which it came to light."""

    @functools.wraps(function)
    def checked(*arguments: Signature.args, **keywords: Signature.kwargs) -> Result:
        try:
            return function(*arguments, **keywords)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            if str(error).startswith(f"{function.__name__}: "):
                raise
            for argument in arguments:
                for value in argument if isinstance(argument, list | tuple) else (argument,):
                    if isinstance(value, list | float | bool) or _is_foreign(value):
                        raise TypeError(diagnosis.not_admitted(function.__name__, value)) from error
            raise diagnosis.kind_of(error)(f"{function.__name__}: {error}") from error

    return checked


def _is_foreign(value: Any) -> bool:
    return not isinstance(value, Tensor | int | str | slice | None) and device_of(value) is None
