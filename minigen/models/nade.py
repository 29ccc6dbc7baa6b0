"""NADE, the neural autoregressive distribution estimator (Larochelle & Murray 2011).

Each bit has a network of its own with H hidden units, which sees the bits before it; but the networks share their weights: what x_j says to
the hidden units is the same row W_j in all of them. With s the sigmoid,

    h_i = s(c + sum_{j < i} x_j W_j),    p(x_i = 1 | x_1, ..., x_i-1) = s(b_i + h_i V_i)              equations 4 and 5

The sums inside s grow by one row from site to site, so that all of log p(x) costs O(D H), as much as one pass through a network with H
hidden units, and no more than a sample.
"""

import math

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike
from minigen.models.autoregressive import Autoregressive, checked_size
from minigen.models.conditionals import BernoulliConditional
from minigen.ops.nade import nade_logits
from minigen.random import Generator


class NADE(Autoregressive):
    """A neural autoregressive distribution estimator of D bits, in the order of memory.

    The initial weights W and V are uniform in +-1/sqrt(D) and +-1/sqrt(H), the biases 0.

    Args:
        size: the shape of an example, such as (H, W, C), of D bits.
        hidden: H, how many hidden units.
        rng: draws the initial weights, which are put on its device.

    Attributes:
        weight: W, (D, H).
        hidden_bias: c, (H,).
        out_weight: V, (D, H).
        bias: b, (D,).

    Raises:
        ValueError: hidden < 1.

    Example:
        >>> import numpy as np
        >>> nade = NADE((8, 8, 1), hidden=16, rng=Generator(0))
        >>> nade.log_prob(np.ones((2, 8, 8, 1), "float32")).shape, nade.sample(3, rng=Generator(1)).shape
        ((2,), (3, 8, 8, 1))
    """

    def __init__(self, size: tuple[int, ...], *, hidden: int, rng: Generator) -> None:
        if hidden < 1:
            raise ValueError(f"NADE: hidden = {hidden} must be at least 1")
        self.size, self.conditional = checked_size("NADE", size), BernoulliConditional()
        shape = (self.sites, hidden)
        into, out_of = 1 / math.sqrt(self.sites), 1 / math.sqrt(hidden)
        self.weight = nn.Parameter(rng.uniform(shape, low=-into, high=into))
        self.hidden_bias = nn.Parameter(ops.zeros(hidden, device=rng.device).data)
        self.out_weight = nn.Parameter(rng.uniform(shape, low=-out_of, high=out_of))
        self.bias = nn.Parameter(ops.zeros(self.sites, device=rng.device).data)

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Tensor:
        """Return the logits of all sites; see `Autoregressive.predict`. There is no condition."""
        self.check_unconditional(condition)
        bits = ops.reshape(self.as_floats(x), shape=(len(x), self.sites))
        logits = nade_logits(bits, self.weight, self.hidden_bias, self.out_weight, self.bias)  # (N, D)
        return ops.reshape(logits, shape=(len(x), *self.size, 1))

    def stepper(self, n: int, condition: TensorLike | None = None) -> "NADEStepper":
        """See `Autoregressive.stepper`."""
        return NADEStepper(self, n)


class NADEStepper:
    """Keeps the hidden units' sums."""

    def __init__(self, nade: NADE, n: int) -> None:
        self.weight, self.out_weight, self.bias = nade.weight.data, nade.out_weight.data, nade.bias.data
        hidden_bias = nade.hidden_bias.data
        self.sums = array_module(hidden_bias).tile(hidden_bias, (n, 1))  # (N, H)

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        if i > 0:
            self.sums += x[:, i - 1 : i] * self.weight[i - 1]
        logits = ops.sigmoid(self.sums) @ self.out_weight[i] + self.bias[i]  # (N,)
        return logits[:, None]
