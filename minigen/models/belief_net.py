"""The fully visible sigmoid belief net (Neal 1992, "Connectionist learning of belief networks"; Frey, Hinton & Dayan 1996, "Does the
wake-sleep algorithm produce good density estimators?").

Each bit is a logistic regression on the bits before it; with s the sigmoid,

    p(x) = prod_i p(x_i | x_1, ..., x_i-1),      p(x_i = 1 | x_1, ..., x_i-1) = s(b_i + sum_{j < i} W_ji x_j)

so all logits are one product with a strictly triangular matrix. -log p(x) is convex in W and b: whatever the start, training leads to the
same place, and weights begin at 0. What the bits of an image say about each other only in threes or more stays out of reach.

A sample takes the products of one pass: the logit of site i, from column i of W, when the bits before it are known.
"""

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike
from minigen.models.autoregressive import Autoregressive, checked_size
from minigen.models.conditionals import BernoulliConditional


class BeliefNet(Autoregressive):
    """A fully visible sigmoid belief net of D bits, in the order of memory.

    Args:
        size: the shape of an example, such as (H, W, C), of D bits.

    Attributes:
        weight: W, (D, D), of which the part above the diagonal counts; zeros at first.
        bias: b, (D,); zeros at first.
        before: a buffer, (D, D): 1 where j < i.

    Example:
        >>> from minigen.random import Generator
        >>> net = BeliefNet((8, 8, 1))
        >>> net.log_prob(np.ones((2, 8, 8, 1), "float32")).detach().numpy().round(2)  # 64 fair coins
        array([-44.36, -44.36], dtype=float32)
        >>> net.sample(3, rng=Generator(1)).shape
        (3, 8, 8, 1)
    """

    def __init__(self, size: tuple[int, ...]) -> None:
        self.size, self.conditional = checked_size("BeliefNet", size), BernoulliConditional()
        self.weight = nn.Parameter(np.zeros((self.sites, self.sites), np.float32))
        self.bias = nn.Parameter(np.zeros(self.sites, np.float32))
        self.before = nn.Buffer(1 - np.tri(self.sites, dtype=np.float32))

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Tensor:
        """Return the logits of all sites; see `Autoregressive.predict`. There is no condition."""
        self.check_unconditional(condition)
        bits = ops.reshape(self.as_floats(x), shape=(len(x), self.sites))
        return ops.reshape(ops.linear(bits, self.weight * self.before, self.bias), shape=(len(x), *self.size, 1))

    def stepper(self, n: int, condition: TensorLike | None = None) -> "BeliefNetStepper":
        """See `Autoregressive.stepper`."""
        return BeliefNetStepper(self)


class BeliefNetStepper:
    """Computes one logistic regression after the other."""

    def __init__(self, net: BeliefNet) -> None:
        self.weight, self.bias = net.weight.data, net.bias.data

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        return x[:, :i] @ self.weight[:i, i : i + 1] + self.bias[i]
