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
alternating steps keep |x|^2 + |y|^2 - eta x^T A y. `training.fit_game` alternates.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

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


WAYS = {"simultaneous": simultaneous_step, "alternating": alternating_step, "extragradient": extragradient_step}


def play_bilinear_game(way: str, *, learning_rate: float, steps: int) -> NDArray[np.float64]:
    """Play V = x y from (1, 0), and return the points (x, y), (steps + 1, 2).

    Args:
        way: one of WAYS.
        learning_rate: eta, which is h here.
        steps: of both players.

    Example:
        >>> play_bilinear_game("simultaneous", learning_rate=0.5, steps=1)
        array([[1. , 0. ],
               [1. , 0.5]])
    """
    x, y = ops.tensor(np.array(1.0)), ops.tensor(np.array(0.0))
    path = [(1.0, 0.0)]
    for _ in range(steps):
        x, y = WAYS[way](lambda x, y: x * y, x, y, learning_rate=learning_rate)
        path.append((float(x.item()), float(y.item())))
    return np.array(path)


def bilinear_growth(way: str, h: float) -> float:
    """Return the factor by which a step multiplies the distance to (0, 0); of alternating steps, the size of their ellipse.

    Example:
        >>> bilinear_growth("simultaneous", 0.75), bilinear_growth("alternating", 0.75)
        (1.25, 1.0)
    """
    return {"simultaneous": math.sqrt(1 + h**2), "alternating": 1.0, "extragradient": math.sqrt(1 - h**2 + h**4)}[way]


def bilinear_distances(way: str, h: float, steps: int) -> NDArray[np.float64]:
    """Return the exact distance to (0, 0) after each step from (1, 0), (steps + 1,); alternating steps need h < 2.

    Example:
        >>> path = play_bilinear_game("alternating", learning_rate=0.3, steps=5)
        >>> np.allclose(bilinear_distances("alternating", 0.3, 5), np.hypot(*path.T), rtol=1e-12)
        True
    """
    t = np.arange(steps + 1)
    if way != "alternating":
        return np.power(bilinear_growth(way, h), t, dtype=np.float64)
    turn = 2 * math.asin(h / 2)
    return np.hypot(np.sin(turn * t) - np.sin(turn * (t - 1)), h * np.sin(turn * t)) / math.sin(turn)


def measured_growth(way: str, path: NDArray[np.float64], h: float) -> float:
    """Return the factor of `bilinear_growth` that a path has per step, from its first point to its last.

    Example:
        >>> path = play_bilinear_game("extragradient", learning_rate=0.2, steps=50)
        >>> abs(measured_growth("extragradient", path, 0.2) - bilinear_growth("extragradient", 0.2)) < 1e-12
        True
    """
    x, y = path[[0, -1]].T
    squares = x**2 + y**2 - (h * x * y if way == "alternating" else 0.0)
    return float((squares[1] / squares[0]) ** (0.5 / (len(path) - 1)))


def _slopes(value: Value, x: TensorLike, y: TensorLike) -> tuple[Tensor, Tensor]:
    """Return the gradients of V with respect to x and to y."""
    x, y = ops.tensor(x, requires_grad=True), ops.tensor(y, requires_grad=True)
    return grad(value(x, y), (x, y))
