"""Powers, and exponentials and logarithms to other bases than e."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from minigen.backend import Array, array_module
from minigen.engine import primitive
from minigen.ops.elementwise import sigmoid, where

if TYPE_CHECKING:
    from jaxtyping import Float, Num

LOG_2, LOG_10 = math.log(2.0), math.log(10.0)


@primitive()
def square(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return x^2.

    Example:
        >>> square(3.0)
        array(9.)
    """
    return array_module(x).square(x)


square.vjp(x=lambda g, x: 2.0 * g * x)


@primitive()
def reciprocal(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return 1 / x; at 0 it and its gradient are infinite. Of an integer it is an integer, as in NumPy: 0 for all but 1 and -1.

    Example:
        >>> reciprocal(4.0)
        array(0.25)
    """
    return array_module(x).reciprocal(x)


reciprocal.vjp(x=lambda g, out: -g * out * out)


@primitive()
def exp2(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return 2^x.

    Example:
        >>> exp2(3.0)
        array(8.)
    """
    return array_module(x).exp2(x)


exp2.vjp(x=lambda g, out: g * (LOG_2 * out))


@primitive()
def log2(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the logarithm to base 2; -inf at 0 and NaN below, as in NumPy.

    Example:
        >>> log2(8.0)
        array(3.)
    """
    return array_module(x).log2(x)


log2.vjp(x=lambda g, x: g / (LOG_2 * x))


@primitive()
def log10(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the logarithm to base 10; -inf at 0 and NaN below, as in NumPy.

    Example:
        >>> log10(1000.0)
        array(3.)
    """
    return array_module(x).log10(x)


log10.vjp(x=lambda g, x: g / (LOG_10 * x))


@primitive(broadcasts=True)
def logaddexp(a: Num[Array, "*#shape"] | float, b: Num[Array, "*#shape"] | float) -> Float[Array, "*shape"]:
    """Return log(e^a + e^b), broadcasting, without overflow: the log of a sum of two probabilities that are given as logs.

    The gradients are the shares of the two in the sum. That of an argument at -inf is 0, that of the other argument 1, or 0 if it is -inf
    as well. Where both are +inf, the gradients are NaN, like those of `logsumexp`.

    Example:
        >>> logaddexp(float("-inf"), 1000.0)
        array(1000.)
    """
    return array_module(a, b).logaddexp(a, b)


def _logaddexp_vjp(g: Array, a: Array, b: Array) -> Array:
    """Return g e^a / (e^a + e^b) = g sigmoid(a - b); the difference is -inf at a = -inf, whatever b is."""
    return g * sigmoid(a - where(a == float("-inf"), -a, b))


logaddexp.vjp(a=lambda g, a, b: _logaddexp_vjp(g, a, b), b=lambda g, a, b: _logaddexp_vjp(g, b, a))
