"""Operations on a parameter that may be a Python number.

`ops.exp(2.0)` is a float64 array, which would widen the float32 data that it meets. Here a Python number gives a Python
number, which widens nothing.
"""

from collections.abc import Callable
from typing import Any

import minigen.ops as ops
from minigen.engine import TensorLike


def is_number(x: Any) -> bool:
    """Return whether x is a Python number; NumPy's scalars are not, since they have a dtype.

    Example:
        >>> is_number(2.0), is_number(ops.full((), 2.0))
        (True, False)
    """
    return type(x) in (int, float)


def keeping_numbers(operation: Callable[[TensorLike], Any]) -> Callable[[TensorLike], Any]:
    """Return an elementwise operation that gives a Python number for a Python number.

    Example:
        >>> keeping_numbers(ops.exp)(0.0)
        1.0
    """
    return lambda x: operation(x).item() if is_number(x) else operation(x)


erfinv = keeping_numbers(ops.erfinv)
exp = keeping_numbers(ops.exp)
expm1 = keeping_numbers(ops.expm1)
log = keeping_numbers(ops.log)
log_ndtr = keeping_numbers(ops.log_ndtr)
sigmoid = keeping_numbers(ops.sigmoid)
silu = keeping_numbers(ops.silu)
softplus = keeping_numbers(ops.softplus)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds and b elsewhere; a condition on Python numbers is a bool.

    Example:
        >>> where(2.0 > 1.0, 3.0, 4.0)
        3.0
    """
    if isinstance(condition, bool):
        return a if condition else b
    return ops.where(condition, a, b)


def magnitude(x: Any) -> Any:
    """Return |x|, whose slope at 0 is taken as 1 instead of 0: even functions of x then have the right curvature at 0.

    Example:
        >>> magnitude(-2.0)
        2.0
    """
    return where(x < 0, -x, x)


def check_positive(owner: str, **values: TensorLike) -> None:
    """Refuse a Python number that is not positive.

    Arrays pass: to look at their values would make the CPU wait for the GPU. A negative scale in one shows as NaN at
    its logarithm.

    Example:
        >>> check_positive("Normal", scale=-1.0)
        Traceback (most recent call last):
        ValueError: Normal: scale is -1.0; it must be positive
    """
    for name, value in values.items():
        if is_number(value) and not value > 0:
            raise ValueError(f"{owner}: {name} is {value}; it must be positive")
