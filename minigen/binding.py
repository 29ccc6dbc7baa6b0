"""How the arguments of an operation may be given: arrays also by name, and settings also by position, after the arrays.

`linear(x, weight=w)` is `linear(x, w)`, and `sum(x, 0)` is `sum(x, axis=0)`: users of other array libraries write both forms.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Binding:
    """The parameters of a function that takes arrays by position and settings by keyword.

    Args:
        function: the function.

    Attributes:
        arguments: the names of its arrays, in the order of the signature.
        variadic: the name of its `*arrays`, or None.
        defaults: the arrays that may be left out, each with the value that then takes its place.
        keywords: its settings with their defaults, in the order of the signature.

    Example:
        >>> binding = Binding(lambda x, mask=None, *, axis=None, keepdims=False: x)
        >>> binding.bind("total", [7.0], {"keepdims": True})
        ([7.0, None], {'keepdims': True})
        >>> binding.bind("total", [7.0, None, 0], {"keepdims": True})
        ([7.0, None], {'axis': 0, 'keepdims': True})
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = inspect.signature(function).parameters.values()
        placed = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        self.arguments = [p.name for p in placed]
        self.variadic = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), None)
        self.defaults = {p.name: p.default for p in placed if p.default is not p.empty}
        self.keywords = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}

    def bind(
        self, operation: str, given: Sequence[Any], keywords: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return the arrays in their places and the settings by keyword, for a function without `*arrays`.

        Args:
            operation: what error messages call the function.
            given: what was given by position.
            keywords: what was given by keyword; names that the function does not know are passed on.

        Raises:
            TypeError: there are more values than names, one is given twice, or an array is missing.
        """
        names = [*self.arguments, *self.keywords]
        if len(given) > len(names):
            raise TypeError(
                f"{operation}: {len(given)} arguments were given by position; it takes {len(names)}: {', '.join(names)}"
            )
        found = dict(zip(names, given, strict=False))
        for name in found:
            if name in keywords:
                raise TypeError(f"{operation}: {name} is given twice, by position and by keyword")
        found |= keywords
        for name in self.arguments:
            if name not in found and name not in self.defaults:
                raise TypeError(f"{operation}: {name} is missing; it takes {', '.join(names)}")
        placed = [found.pop(name) if name in found else self.defaults[name] for name in self.arguments]
        return placed, found
