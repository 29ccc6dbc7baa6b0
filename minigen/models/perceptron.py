"""The multilayer perceptron: layer by layer a = f(a W + b), and a W + b at the end."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from minigen import nn
from minigen.nn.init import xavier_uniform
from minigen.random import Generator


def mlp(
    sizes: tuple[int, ...],
    *,
    rng: Generator,
    activation: Callable[[], nn.Module] = nn.Tanh,
    initialize: Callable[[tuple[int, ...], Generator], Any] | None = xavier_uniform,
) -> list[nn.Module]:
    """Return linear layers of the given sizes, with an activation after each but the last.

    Args:
        sizes: of the input, of each hidden layer and of the output.
        rng: draws the initial weights.
        activation: makes f, a new one for each place.
        initialize: maps (shape, rng) to an initial W; None for the default of `nn.Linear`.

    Example:
        >>> [type(layer).__name__ for layer in mlp((4, 8, 2), rng=Generator(0))]
        ['Linear', 'Tanh', 'Linear']
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after, rng=rng, initialize=initialize), activation()]
    return layers[:-1]
