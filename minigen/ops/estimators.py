"""Gradient estimators: the straight-through estimator, and the reversed gradient of adversarial training.

Each passes on a gradient that is not the derivative of its value. So `testing.gradcheck`, which compares gradients with finite
differences of the value, is meant to fail for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np  # noqa: F401 - for the examples

from minigen.backend import Array, device_of
from minigen.engine import primitive

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


@primitive(is_view=True)
def gradient_reversal(x: Shaped[Array, "*shape"], *, scale: float = 1.0) -> Shaped[Array, "*shape"]:
    """Return x as it is, and pass the gradient on times -scale.

    What lies before it ascends the loss that what lies behind it descends: one backward pass serves two players (Ganin & Lempitsky 2015,
    "Unsupervised Domain Adaptation by Backpropagation", equations 7 and 8). Each pass reverses anew, so the second derivative of f(x)
    taken through it is scale^2 f''.

    Args:
        x: any shape.
        scale: the paper's lambda.

    Returns:
        x.

    Example:
        >>> from minigen.engine import Tensor, grad
        >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
        >>> grad(gradient_reversal(x, scale=0.5), x, np.array([10.0, 20.0])).data
        array([ -5., -10.])
    """
    return x


gradient_reversal.vjp(x=lambda g, scale: g * -scale)


@primitive(is_view=True)
def straight_through(hard: Shaped[Array, "*shape"], soft: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the value of `hard` with the gradient of `soft`: the straight-through estimator.

    A step has a slope of 0 wherever it has one, so nothing before it would learn. The gradient of a smooth stand-in is taken in its place,
    which is biased (Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation",
    section 4). None reaches `hard`.

    Args:
        hard: any shape and dtype; it is converted to the dtype of `soft`.
        soft: the same shape, floating-point.

    Returns:
        The shape and dtype of `soft`.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> from minigen.engine import Tensor, grad
        >>> p = Tensor(np.array([0.2, 0.9]), requires_grad=True)
        >>> bits = straight_through(p > 0.5, p)
        >>> bits.data
        array([0., 1.])
        >>> grad(bits, p, np.array([3.0, 4.0])).data
        array([3., 4.])
    """
    if hard.shape != soft.shape or device_of(hard) != device_of(soft):
        raise ValueError("hard and soft must have one shape")
    return hard.astype(soft.dtype, copy=False)


straight_through.vjp(hard=None, soft=lambda g: g)
