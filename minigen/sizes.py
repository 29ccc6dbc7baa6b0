"""What counts as a whole number, wherever one is given: a size, a count, an axis, a stride.

Python's int is one, and so are NumPy's integers of any width and 0-d arrays of them: whatever `operator.index` takes, as Python itself
does for an index. Floats are not, even whole ones: 2.0 would pass for 2 in the key of a cache. What is given is turned into a Python int
once, since NumPy's integers overflow where Python's grow, and JSON does not know them.
"""

import math
import operator
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[int, int]

LONGEST = 80  # characters of a value in an error message
LARGEST = 2**60
"""Elements of an array; beyond it, NumPy's own sizes overflow in one place or another."""


def whole_number(owner: str, setting: str, value: Any, least: int | None = None) -> int:
    """Return a whole number as Python's int.

    Args:
        owner: the operation or the layer that was given the number; opens the message.
        setting: what the owner calls the number.
        value: the number.
        least: the smallest that makes sense, if there is one.

    Raises:
        ValueError: the value is not a whole number, or too small.

    Example:
        >>> import numpy as np
        >>> whole_number("upsample2d", "factor", np.int64(2), least=1)
        2
        >>> whole_number("upsample2d", "factor", 2.0, least=1)
        Traceback (most recent call last):
        ValueError: upsample2d: factor is 2.0, expected a whole number of at least 1
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        raise ValueError(f"{owner}: {setting} is {shown(value)}, expected a whole number{_bound(least)}")
    return number


def counts(owner: str, **numbers: Any) -> tuple[int, ...]:
    """Return whole numbers of at least 1 as Python's ints, in their order.

    Raises:
        ValueError: a value is not one; the message has them all.

    Example:
        >>> import numpy as np
        >>> counts("Linear", in_features=np.int64(2), out_features=3)
        (2, 3)
        >>> counts("Linear", in_features=0, out_features=3)
        Traceback (most recent call last):
        ValueError: Linear: in_features 0 and out_features 3 must be at least 1
    """
    for name, number in numbers.items():
        if not is_whole(number):
            raise ValueError(f"{owner}: {name} is {shown(number)}, expected a whole number")
    if min(numbers.values()) < 1:
        *others, last = numbers.items()
        if not others:
            raise ValueError(f"{owner}: {last[0]} is {last[1]}, expected at least 1")
        listed = ", ".join(f"{name} {number}" for name, number in others)
        raise ValueError(f"{owner}: {listed} and {last[0]} {last[1]} must be at least 1")
    return tuple(map(operator.index, numbers.values()))


def pair(owner: str, setting: str, value: Any, least: int) -> Pair:
    """Return two whole numbers, for rows and columns, as a tuple; a single one is taken for both.

    Raises:
        ValueError: the value is not one or two whole numbers, or a number is too small.

    Example:
        >>> import numpy as np
        >>> pair("conv2d", "stride", np.int64(2), least=1), pair("conv2d", "stride", [2, 1], least=1)
        ((2, 2), (2, 1))
    """
    if type(value) is int and value >= least:
        return value, value
    try:
        numbers = whole_numbers(value)
    except TypeError:
        numbers = ()
    if is_whole(value):
        numbers *= 2
    if len(numbers) != 2 or min(numbers) < least:
        raise ValueError(
            f"{owner}: {setting} is {shown(value)}, expected a whole number{_bound(least)}, or two of them"
        )
    return numbers


def as_shape(owner: str, shape: Any, setting: str = "shape") -> tuple[int, ...]:
    """Return a shape, given as a whole number or as a sequence of them, as a tuple of Python's ints.

    Args:
        owner: the operation or the layer that was given the shape; opens the message.
        shape: the sizes.
        setting: what the owner calls the shape.

    Raises:
        ValueError: a size is not a whole number, or negative.
        MemoryError: an array of this shape cannot exist.

    Example:
        >>> import numpy as np
        >>> as_shape("normal", np.int64(3)), as_shape("normal", np.array([2, 3])), as_shape("normal", ())
        ((3,), (2, 3), ())
    """
    try:
        sizes = whole_numbers(shape)
    except TypeError:
        raise ValueError(
            f"{owner}: {setting} is {shown(shape)}, expected a whole number or a tuple of whole numbers"
        ) from None
    if sizes and min(sizes) < 0:
        raise ValueError(f"{owner}: {setting} {sizes} has a negative size")
    if math.prod(sizes) > LARGEST:
        raise MemoryError(f"{owner}: {setting} {sizes} has {math.prod(sizes):,} elements, more than any memory holds")
    return sizes


def whole_numbers(value: Any) -> tuple[int, ...]:
    """Return one whole number, or each of a sequence, as a tuple of Python's ints.

    Raises:
        TypeError: the value, or a part of it, is not a whole number.

    Example:
        >>> whole_numbers(3), whole_numbers((0, -1))
        ((3,), (0, -1))
    """
    if type(value) is not tuple and is_whole(value):
        return (operator.index(value),)
    return tuple([operator.index(number) for number in value])


def is_whole(value: Any) -> bool:
    """Return whether a value is one whole number.

    Example:
        >>> import numpy as np
        >>> is_whole(3), is_whole(np.int32(3)), is_whole(np.array(3)), is_whole(3.0), is_whole((3,))
        (True, True, True, False, False)
    """
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def shown(value: Any) -> str:
    """Return a value as an error message shows it: what has a shape by its shape, anything else by its beginning.

    Example:
        >>> import numpy as np
        >>> shown(2.0), shown(np.float32(2.0)), shown(np.zeros((2, 3))), shown("x" * 1000)[-10:]
        ('2.0', 'np.float32(2.0)', 'an array of shape (2, 3)', 'xxxxxxx...')
    """
    if getattr(value, "shape", ()):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _bound(least: int | None) -> str:
    return "" if least is None else f" of at least {least}"
