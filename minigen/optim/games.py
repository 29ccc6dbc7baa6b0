r"""How two players learn by gradients, and why it matters in which order: min over x, max over y of V(x, y).

    simultaneous    x' = x - eta V_x(x, y),    y' = y + eta V_y(x, y)
    alternating     x' = x - eta V_x(x, y),    y' = y + eta V_y(x', y)
    extragradient   a step to (x^, y^), taken back;    x' = x - eta V_x(x^, y^),    y' = y + eta V_y(x^, y^)      Korpelevich 1976

with V_x, V_y the gradients. The bilinear game V = x A y is the smallest that shows what a GAN's players do near an equilibrium: its
gradients turn around the equilibrium (0, 0) and never point at it. For numbers x, y and A, with h = eta A, a step is linear:

    simultaneous    |(x', y')|^2 = (1 + h^2) |(x, y)|^2                       spirals out, whatever eta
    alternating     x'^2 + y'^2 - h x' y' = x^2 + y^2 - h x y                 circles on this ellipse, for h < 2, by 2 arcsin(h/2) a step
    extragradient   |(x', y')|^2 = (1 - h^2 + h^4) |(x, y)|^2                 spirals in, for h < 1; fastest at h = 1/sqrt(2)

For vectors and a matrix, V = x^T A y, each pair of singular vectors of A is such a game of its own, with its singular value for A; the
alternating steps keep |x|^2 + |y|^2 - eta x^T A y. `training.fit_adversarial` alternates.
"""

from collections.abc import Callable
from typing import TypeAlias

import minigen.ops as ops
from minigen.engine import Tensor, TensorLike, grad

Value: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def simultaneous_step(value: Value, x: TensorLike, y: TensorLike, *, learning_rate: float) -> tuple[Tensor, Tensor]:
    """Move both players at once, each along its gradient at the point where they are.

    Args:
        value: V, maps x and y to a scalar.
        x: the player who minimises, any shape.
        y: the player who maximises, any shape.
        learning_rate: eta.

    Returns:
        The new x and y, constants.

    Example:
        >>> x, y = simultaneous_step(lambda x, y: x * y, ops.tensor(1.0), ops.tensor(1.0), learning_rate=0.5)
        >>> x.item(), y.item()
        (0.5, 1.5)
    """
    slope_x, slope_y = _slopes(value, x, y)
    return x - learning_rate * slope_x, y + learning_rate * slope_y


def alternating_step(value: Value, x: TensorLike, y: TensorLike, *, learning_rate: float) -> tuple[Tensor, Tensor]:
    """Move x, then y, which sees where x now is. The arguments are those of `simultaneous_step`.

    Example:
        >>> x, y = alternating_step(lambda x, y: x * y, ops.tensor(1.0), ops.tensor(1.0), learning_rate=0.5)
        >>> x.item(), y.item()
        (0.5, 1.25)
    """
    moved = x - learning_rate * _slopes(value, x, y)[0]
    return moved, y + learning_rate * _slopes(value, moved, y)[1]


def extragradient_step(value: Value, x: TensorLike, y: TensorLike, *, learning_rate: float) -> tuple[Tensor, Tensor]:
    """Look where a simultaneous step leads, and take the gradients from there. The arguments are those of `simultaneous_step`.

    Example:
        >>> x, y = extragradient_step(lambda x, y: x * y, ops.tensor(1.0), ops.tensor(1.0), learning_rate=0.5)
        >>> x.item(), y.item()
        (0.25, 1.25)
    """
    ahead = simultaneous_step(value, x, y, learning_rate=learning_rate)
    slope_x, slope_y = _slopes(value, *ahead)
    return x - learning_rate * slope_x, y + learning_rate * slope_y


def _slopes(value: Value, x: TensorLike, y: TensorLike) -> tuple[Tensor, Tensor]:
    """Return the gradients of V with respect to x and to y."""
    x, y = ops.tensor(x, requires_grad=True), ops.tensor(y, requires_grad=True)
    return grad(value(x, y), (x, y))
