"""Values as JSON has them: Python's own numbers, strings, lists and dicts.

What is recorded and saved passes through here when it is given, not when it is written: a NumPy number becomes Python's number,
and what JSON cannot hold is refused while the line that gave it is still in sight.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigen.backend import device_of
from minigen.engine import Tensor


def plain(value: Any, name: str) -> Any:
    """Return a value with NumPy's numbers turned into Python's, arrays and tuples into lists, and the keys of dicts into strings.

    Args:
        value: numbers, strings, booleans, None, arrays and tensors of numbers, and lists, tuples and dicts of all these.
        name: what the value is called; opens the message.

    Raises:
        TypeError: JSON cannot hold the value, or a part of it; the message names it.

    Example:
        >>> plain({"loss": np.float32(0.5), "counts": np.array([1, 2]), 3: (True, None)}, "figures")
        {'loss': 0.5, 'counts': [1, 2], '3': [True, None]}
        >>> plain({"model": [1, object]}, "figures")
        Traceback (most recent call last):
        TypeError: figures.model[1] is a type; JSON has numbers, strings, booleans, None, lists and dicts
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {_key(key, name): plain(part, f"{name}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{name}[{i}]") for i, part in enumerate(value)]
    array = value.data if isinstance(value, Tensor) else value
    if device_of(array) and array.dtype.kind in "biufU":
        return array.tolist()
    if isinstance(value, bool | int | float | str):  # a subclass, such as an enumeration's
        return value
    raise TypeError(f"{name} is a {type(value).__name__}; JSON has numbers, strings, booleans, None, lists and dicts")


def _key(key: Any, name: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return str(int(key))
    raise TypeError(f"{name} has the key {key!r}; JSON's keys are strings")


def not_finite(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers in a plain value that are NaN or infinite, each with its name.

    Example:
        >>> list(not_finite({"loss": [1.0, math.inf]}, "figures"))
        [('figures.loss[1]', inf)]
    """
    if isinstance(value, float) and not math.isfinite(value):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from not_finite(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from not_finite(part, f"{name}[{i}]")
