"""Rounding to whole numbers, and division with a remainder.

Rounded values are piecewise constant: no gradient flows through them. `straight_through` lets one pass where a model rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen.backend import Array, array_module
from minigen.engine import primitive

if TYPE_CHECKING:
    from jaxtyping import Num


@primitive()
def floor(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return the largest whole number that is not above x. No gradient flows through it.

    Example:
        >>> floor(-1.5)
        array(-2.)
    """
    return array_module(x).floor(x)


@primitive()
def ceil(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return the smallest whole number that is not below x. No gradient flows through it.

    Example:
        >>> ceil(1.5)
        array(2.)
    """
    return array_module(x).ceil(x)


@primitive()
def round(x: Num[Array, "*shape"] | float, *, decimals: int = 0) -> Num[Array, "*shape"]:
    """Return x rounded to a number of decimals, halves to the even neighbour. No gradient flows through it.

    Args:
        x: any shape.
        decimals: how many digits stay after the point; -1 rounds to tens.

    Example:
        >>> import numpy as np
        >>> round(np.array([0.5, 1.5, 2.6]))
        array([0., 2., 3.])
    """
    return array_module(x).round(x, decimals)


floor.vjp(x=None)
ceil.vjp(x=None)
round.vjp(x=None)


@primitive(broadcasts=True)
def floor_divide(a: Num[Array, "*#shape"] | float, b: Num[Array, "*#shape"] | float) -> Num[Array, "*shape"]:
    """Return the largest whole number that is not above a / b, broadcasting. `a // b` calls it; no gradient flows through it.

    Example:
        >>> floor_divide(-7.0, 2.0)
        array(-4.)
    """
    return array_module(a, b).floor_divide(a, b)


floor_divide.vjp(a=None, b=None)


@primitive(broadcasts=True)
def mod(a: Num[Array, "*#shape"] | float, b: Num[Array, "*#shape"] | float) -> Num[Array, "*shape"]:
    """Return the remainder a - b floor(a / b), broadcasting, which has the sign of b. `a % b` calls it.

    The gradients are 1 and -floor(a / b), and at multiples of b, where the remainder jumps, they are those of the value that it has there.

    Example:
        >>> mod(-7.0, 2.0)
        array(1.)
    """
    return array_module(a, b).mod(a, b)


mod.vjp(a=lambda g: g, b=lambda g, a, b: -g * floor_divide(a, b))
