"""Modules that are imported when one of their functions is first needed."""

import functools
import importlib
from collections.abc import Callable
from typing import Any


class LazyModule:
    """Stands for a module that is slow to import. Its attributes stand for those of the module; `imported` returns the real ones.

    Args:
        name: of the module, with its package.

    Example:
        >>> stand_in = LazyModule("calendar").isleap
        >>> imported(stand_in)(2024)  # `calendar` is imported here
        True
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> "LazyAttribute":
        found = self.__dict__[name] = LazyAttribute(self._name, name)
        return found


class LazyAttribute:
    """Stands for a function or class of a module that may not have been imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @functools.cached_property
    def itself(self) -> Any:
        """The real one."""
        return getattr(importlib.import_module(self.module), self.name)


def imported(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the real function that an attribute of a `LazyModule` stands for, importing its module; return any other function as it is.

    Example:
        >>> import math
        >>> imported(LazyModule("math").sqrt) is imported(math.sqrt) is math.sqrt
        True
    """
    return function.itself if isinstance(function, LazyAttribute) else function
