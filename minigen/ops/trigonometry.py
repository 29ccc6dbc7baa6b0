"""Trigonometric and hyperbolic functions and their inverses, beyond the sine, the cosine and `tanh` of `elementwise`.

Angles are in radians. The gradients of the inverses have the form g / sqrt(1 + x^2) or g / sqrt(1 - x^2). Where the square could overflow,
`hypot` takes the root without it; where it could cancel, 1 - x^2 is written as (1 - x)(1 + x), which is exact next to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigen.backend import Array, array_module
from minigen.engine import primitive
from minigen.ops.elementwise import clip, sqrt, where

if TYPE_CHECKING:
    from jaxtyping import Float, Num

# ------------------------------------------------------------------------------------------ angles of a right triangle


@primitive()
def tan(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the tangent of x radians.

    Its poles lie at odd multiples of pi/2. No float is one of them, so values and gradients next to them are large and finite.

    Example:
        >>> tan(0.0)
        array(0.)
    """
    return array_module(x).tan(x)


tan.vjp(x=lambda g, out: g * (1.0 + out * out))


@primitive()
def arcsin(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1], and at both ends the gradient is infinite.

    Example:
        >>> arcsin(0.0)
        array(0.)
    """
    return array_module(x).arcsin(x)


arcsin.vjp(x=lambda g, x: g / sqrt((1.0 - x) * (1.0 + x)))


@primitive()
def arccos(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the angle in [0, pi] whose cosine is x; NaN outside [-1, 1], and at both ends the gradient is minus infinity.

    Example:
        >>> arccos(1.0)
        array(0.)
    """
    return array_module(x).arccos(x)


arccos.vjp(x=lambda g, x: -g / sqrt((1.0 - x) * (1.0 + x)))


@primitive()
def arctan(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the angle in (-pi/2, pi/2) whose tangent is x.

    Example:
        >>> arctan(0.0)
        array(0.)
    """
    return array_module(x).arctan(x)


def _arctan_vjp(g: Array, x: Array) -> Array:
    length = hypot(x, 1.0)
    return g / length / length


arctan.vjp(x=_arctan_vjp)


@primitive(broadcasts=True)
def arctan2(y: Num[Array, "*#shape"] | float, x: Num[Array, "*#shape"] | float) -> Float[Array, "*shape"]:
    """Return the angle in [-pi, pi] from the first axis to the point (x, y), broadcasting. The ordinate y comes first, as in NumPy.

    The angle jumps by 2 pi across the negative half of the first axis, where its gradient is that of either side. At the origin, where
    there is no angle, the gradients of every order are taken as 0; at infinity they are 0.

    Example:
        >>> arctan2(0.0, 1.0)
        array(0.)
    """
    return array_module(y, x).arctan2(y, x)


def _arctan2_vjp(g: Array, y: Array, x: Array, other: Array) -> Array:
    """Return g other / (x^2 + y^2)."""
    length = hypot(x, y)
    is_apart = where(length == 0, True, length == float("inf"))
    if not isinstance(other, int | float):
        other = where(is_apart, 0.0, other)
    length = where(is_apart, 1.0, length)
    return where(is_apart, 0.0, g) * (other / length / length)


arctan2.vjp(y=lambda g, y, x: _arctan2_vjp(g, y, x, x), x=lambda g, y, x: -_arctan2_vjp(g, y, x, y))


@primitive(broadcasts=True)
def hypot(a: Num[Array, "*#shape"] | float, b: Num[Array, "*#shape"] | float) -> Float[Array, "*shape"]:
    """Return sqrt(a^2 + b^2), broadcasting, where no square overflows.

    At a = b = 0 its gradients of every order are taken as 0; where one of the two is infinite, its own is 1 or -1, and the other's 0.

    Example:
        >>> hypot(3.0, 4.0)
        array(5.)
    """
    return array_module(a, b).hypot(a, b)


def _hypot_vjp(g: Array, out: Array, leg: Array) -> Array:
    """Return g leg / out, infinity counting as the largest number."""
    largest = float(np.finfo(out.dtype).max)
    leg, length = clip(leg, -largest, largest), clip(out, None, largest)
    return where(out == 0, 0.0, g) * (leg / where(out == 0, 1.0, length))


hypot.vjp(a=lambda g, a, out: _hypot_vjp(g, out, a), b=lambda g, b, out: _hypot_vjp(g, out, b))

# ------------------------------------------------------------------------------------------ hyperbolic functions


@primitive()
def sinh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the hyperbolic sine, (e^x - e^-x) / 2.

    Example:
        >>> sinh(0.0)
        array(0.)
    """
    return array_module(x).sinh(x)


@primitive()
def cosh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the hyperbolic cosine, (e^x + e^-x) / 2.

    Example:
        >>> cosh(0.0)
        array(1.)
    """
    return array_module(x).cosh(x)


sinh.vjp(x=lambda g, x: g * cosh(x))
cosh.vjp(x=lambda g, x: g * sinh(x))


@primitive()
def arcsinh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the number whose hyperbolic sine is x, log(x + sqrt(x^2 + 1)).

    Example:
        >>> arcsinh(0.0)
        array(0.)
    """
    return array_module(x).arcsinh(x)


arcsinh.vjp(x=lambda g, x: g / hypot(x, 1.0))


@primitive()
def arccosh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the number of at least 0 whose hyperbolic cosine is x; NaN below 1, where the gradient is infinite.

    Example:
        >>> arccosh(1.0)
        array(0.)
    """
    return array_module(x).arccosh(x)


arccosh.vjp(x=lambda g, x: g / sqrt(x - 1.0) / sqrt(x + 1.0))


@primitive()
def arctanh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the number whose hyperbolic tangent is x, log((1 + x) / (1 - x)) / 2.

    At -1 and 1 it is infinite, and so is its gradient; beyond, it is NaN.

    Example:
        >>> arctanh(0.0)
        array(0.)
    """
    return array_module(x).arctanh(x)


arctanh.vjp(x=lambda g, x: g / ((1.0 - x) * (1.0 + x)))
