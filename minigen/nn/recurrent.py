"""Recurrent networks: a state that goes from step to step, and what each kind of cell makes of it.

With x_t the input of step t, h the state before it and h' the state after it (* is elementwise, s the sigmoid):

    RNN     h' = tanh(x_t W_x + h W_h + b)                                            Elman 1990, "Finding structure in time"

    GRU     r = s(x_t W_xr + h W_hr + b_r)                                            Cho et al. 2014, "Learning phrase representations
            z = s(x_t W_xz + h W_hz + b_z)                                            using RNN encoder-decoder for statistical machine
            n = tanh(x_t W_xn + b_n + r * (h W_hn + b_hn))                            translation"
            h' = (1 - z) * n + z * h

    LSTM    i = s(x_t W_xi + h W_hi + b_i)                                            Hochreiter & Schmidhuber 1997, "Long short-term
            f = s(x_t W_xf + h W_hf + b_f)                                            memory"; with the forget gate f of Gers et al. 2000,
            g = tanh(x_t W_xg + h W_hg + b_g)                                         as in Graves 2013, "Generating sequences with
            o = s(x_t W_xo + h W_ho + b_o)                                            recurrent neural networks", but no peepholes
            c' = f * c + i * g,    h' = o * tanh(c')

The matrices of the gates stand side by side in this order, as in PyTorch: W_x is (in, G H), W_h (H, G H), and b (G H,) for G gates. In
Cho's paper r multiplies h, before the product with W_hn; here, as in PyTorch, it multiplies the product.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import minigen.ops as ops
from minigen.backend import Array, array_module, device_of
from minigen.engine import Tensor, TensorLike
from minigen.nn.dropout import Dropout
from minigen.nn.module import Module, Parameter
from minigen.ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

State: TypeAlias = 'Float[TensorLike, "L N features"] | tuple[Float[TensorLike, "L N features"], ...]'
"""h, or for an LSTM (h, c). L is the number of layers times that of directions."""


class _Recurrent(Module):
    """What the three have in common: layers one upon the other, each walked in one direction or in both."""

    gates: ClassVar[int]
    parts: ClassVar[tuple[str, ...]] = ("h",)  # of the state

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        rng: Generator,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        kind = type(self).__name__
        in_features, features, layers = counts(kind, in_features=in_features, features=features, layers=layers)
        if dropout and layers == 1:
            raise ValueError(f"{kind}: dropout {dropout} acts between layers, but there is only one; make it 0")
        self.in_features = in_features
        self.features = features
        self.layers = layers
        self.directions = 2 if bidirectional else 1
        self.weights_x: list[Parameter] = []
        self.weights_h: list[Parameter] = []
        self.biases: list[Parameter] = []
        for k in range(layers * self.directions):
            inputs = in_features if k < self.directions else self.directions * features
            self.weights_x.append(self._drawn(rng, inputs, self.gates * features))
            self.weights_h.append(self._drawn(rng, features, self.gates * features))
            self.biases.append(self._drawn(rng, self.gates * features))
        self.dropout = Dropout(p=dropout, rng=rng) if dropout else None

    def _drawn(self, rng: Generator, *shape: int) -> Parameter:
        bound = 1 / math.sqrt(self.features)
        return Parameter(rng.uniform(shape, low=-bound, high=bound))

    def _walk(self, k: int, x: TensorLike, state: list[Any], mask: Array | None, reverse: bool) -> tuple[Tensor, ...]:
        """Return the hidden states of all steps, (N, T, H), and the parts of the last state; `k` counts layers and directions."""
        raise NotImplementedError

    def forward(
        self,
        x: Float[TensorLike, "N T in_features"],
        state: State | None = None,
        mask: Bool[TensorLike, "N T"] | None = None,
    ) -> tuple[Float[Tensor, "N T {self.directions}*{self.features}"], State]:
        """Walk through sequences; return (output, state).

        Args:
            x: (N, T, in_features): N sequences of T >= 1 steps.
            state: the state before the first step, as an earlier call returned it; None for zeros. (L, N, features), or for an
                LSTM a pair (h, c) of these. L is layers D, with D directions: layer by layer, in each first forwards, then backwards.
            mask: (N, T) of bool, True where a sequence has a step; None for everywhere. At any other step its state stays as it was and
                its output is 0, so that sequences of different lengths can be filled up on either side, with anything finite.

        Returns:
            The last layer's hidden states, (N, T, D features), the backward direction's after the forward one's; and the state after the
            last step, in the form of the argument. For the backward direction that is the state after the first step.

        Raises:
            ValueError: a shape does not fit, or there is no step.
            TypeError: the mask is not of bool.
        """
        states = self._checked_state(x, state)
        steps = None if mask is None else self._checked_mask(x, mask)
        last: list[tuple[Tensor, ...]] = []
        for layer in range(self.layers):
            if layer and self.dropout:
                x = self.dropout(x)
            outputs = []
            for direction in range(self.directions):
                k = layer * self.directions + direction
                output, *parts = self._walk(k, x, [part[k] for part in states], steps, direction == 1)
                outputs.append(output if steps is None else ops.where(steps[:, :, None], output, 0.0))
                last.append(tuple(parts))
            x = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=2)
        ends = tuple(ops.stack(part, axis=0) for part in zip(*last, strict=True))
        return x, ends if len(ends) > 1 else ends[0]

    def _checked_state(self, x: TensorLike, state: State | None) -> tuple[Any, ...]:
        """Return the parts of the state, zeros for None."""
        kind = type(self).__name__
        if len(x.shape) != 3 or x.shape[2] != self.in_features:
            raise ValueError(
                f"{kind}: x (N, T, in_features) has shape {x.shape}; expected three axes, the last of length {self.in_features}"
            )
        if x.shape[1] == 0:
            raise ValueError(f"{kind}: x (N, T, in_features) = {x.shape} has no step; expected T >= 1")
        expected = (self.layers * self.directions, x.shape[0], self.features)
        if state is None:
            data = x.data if isinstance(x, Tensor) else x
            zeros = array_module(data).zeros(expected, data.dtype)
            return (zeros,) * len(self.parts)
        parts = (state,) if len(self.parts) == 1 else state
        what = f"{kind}: the state {' and '.join(self.parts)}, (layers * directions, N, features),"
        if not isinstance(parts, tuple | list) or len(parts) != len(self.parts):
            raise ValueError(f"{what} is a pair ({', '.join(self.parts)}) of shape {expected} each")
        for part in parts:
            if not isinstance(part, Tensor) and device_of(part) is None:
                raise TypeError(f"{what} holds a {type(part).__name__}; expected Tensors or arrays of shape {expected}")
            if part.shape != expected:
                raise ValueError(
                    f"{what} has shape {part.shape}; for x (N, T, in_features) = {x.shape} expected {expected}"
                )
        return tuple(parts)

    def _checked_mask(self, x: TensorLike, mask: TensorLike) -> Array:
        kind = type(self).__name__
        steps = mask.data if isinstance(mask, Tensor) else mask
        if steps.dtype != bool:
            raise TypeError(f"{kind}: the mask is {steps.dtype}; expected bool, True where a sequence has a step")
        if steps.shape != x.shape[:2]:
            raise ValueError(
                f"{kind}: the mask (N, T) has shape {steps.shape}; for x (N, T, in_features) = {x.shape} expected {x.shape[:2]}"
            )
        return steps


class RNN(_Recurrent):
    """The simple recurrent network, h' = tanh(x_t W_x + h W_h + b).

    Its gradients pass through W_h once for every step, and so vanish or explode over long times (Bengio et al. 1994).

    The initial weights and biases are uniform in +-1/sqrt(features). PyTorch has two biases here, of which only the sum matters; this is
    one.

    Args:
        in_features: length of the last axis of x.
        features: H, of the state.
        rng: draws the initial weights, which are put on its device, and the masks of dropout.
        layers: how many stand one upon the other; each takes the hidden states of the one below.
        bidirectional: whether every layer is walked in both directions, by weights of their own (Schuster & Paliwal 1997).
        dropout: the probability by which a value between two layers is zero in training.

    Attributes:
        weights_x: (in, G features) for each layer and direction; `in` is D features above the first layer, and G = 1 gate here.
        weights_h: (features, G features), alike.
        biases: (G features,), alike.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> layer = RNN(3, 8, rng=Generator(0), bidirectional=True)
        >>> output, state = layer(np.ones((2, 5, 3), "float32"))
        >>> output.shape, state.shape
        ((2, 5, 16), (2, 2, 8))
    """

    gates = 1

    def _walk(self, k: int, x: TensorLike, state: list[Any], mask: Array | None, reverse: bool) -> tuple[Tensor, ...]:
        states = rnn_sequence(x, self.weights_x[k], self.weights_h[k], self.biases[k], state[0], mask, reverse=reverse)
        return states, states[:, 0 if reverse else -1]


class GRU(_Recurrent):
    """The gated recurrent unit: z says how much of the state stays, r how much of it the new proposal n sees. See the file's equations.

    The initial weights and biases are uniform in +-1/sqrt(features). Of PyTorch's two biases b_hn is kept apart, since r multiplies it; for
    r and z only the sum of two matters, and here they have one.

    Args:
        in_features: length of the last axis of x.
        features: H, of the state.
        rng: draws the initial weights, which are put on its device, and the masks of dropout.
        layers: how many stand one upon the other.
        bidirectional: whether every layer is walked in both directions.
        dropout: the probability by which a value between two layers is zero in training.

    Attributes:
        weights_x, weights_h, biases: as those of `RNN`, with G = 3 gates r, z, n.
        biases_n: b_hn, (features,) for each layer and direction.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> import numpy as np
        >>> layer = GRU(3, 8, rng=Generator(0), layers=2)
        >>> output, state = layer(np.ones((2, 5, 3), "float32"))
        >>> output.shape, state.shape
        ((2, 5, 8), (2, 2, 8))
        >>> bool((output.data[:, -1] == state.data[1]).all())
        True
    """

    gates = 3

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        rng: Generator,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_features, features, rng=rng, layers=layers, bidirectional=bidirectional, dropout=dropout)
        self.biases_n = [self._drawn(rng, features) for _ in self.biases]

    def _walk(self, k: int, x: TensorLike, state: list[Any], mask: Array | None, reverse: bool) -> tuple[Tensor, ...]:
        states = gru_sequence(
            x, self.weights_x[k], self.weights_h[k], self.biases[k], self.biases_n[k], state[0], mask, reverse=reverse
        )
        return states, states[:, 0 if reverse else -1]


class LSTM(_Recurrent):
    """Long short-term memory: a cell c that changes by sums, so that gradients last, and gates that write, keep and show it.

    See the file's equations. The initial weights and biases are uniform in +-1/sqrt(features). PyTorch has two biases here, of which only
    the sum matters; this is one.

    Args:
        in_features: length of the last axis of x.
        features: H, of the hidden state and of the cell.
        rng: draws the initial weights, which are put on its device, and the masks of dropout.
        layers: how many stand one upon the other.
        bidirectional: whether every layer is walked in both directions.
        dropout: the probability by which a value between two layers is zero in training.
        forget_bias: is added to the initial b_f. 1 lets the cell remember from the start (Jozefowicz et al. 2015).

    Attributes:
        weights_x, weights_h, biases: as those of `RNN`, with G = 4 gates i, f, g, o.

    Raises:
        ValueError: a setting is out of range.

    Example:
        One long sequence in pieces (truncated backpropagation through time, Williams & Peng 1990). The values are those of one walk
        through it all; the gradient stays within a piece.

        >>> import numpy as np
        >>> layer = LSTM(3, 8, rng=Generator(0))
        >>> x, state = np.ones((2, 100, 3), "float32"), None
        >>> for start in range(0, 100, 20):
        ...     output, state = layer(x[:, start : start + 20], state)
        ...     (output * output).mean().backward()
        ...     state = detached(state)
        >>> [part.shape for part in state]
        [(1, 2, 8), (1, 2, 8)]
    """

    gates = 4
    parts = ("h", "c")

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        rng: Generator,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        forget_bias: float = 0.0,
    ) -> None:
        super().__init__(in_features, features, rng=rng, layers=layers, bidirectional=bidirectional, dropout=dropout)
        for bias in self.biases:
            bias.data[features : 2 * features] += forget_bias

    def _walk(self, k: int, x: TensorLike, state: list[Any], mask: Array | None, reverse: bool) -> tuple[Tensor, ...]:
        states = lstm_sequence(
            x, self.weights_x[k], self.weights_h[k], self.biases[k], state[0], state[1], mask, reverse=reverse
        )  # (N, T + 1, H): the last is the cell
        hidden = states[:, :-1]
        return hidden, hidden[:, 0 if reverse else -1], states[:, -1]


def detached(state: State) -> State:
    """Return a recurrent network's state as a constant: no gradient goes back into the steps that it came from.

    Example:
        >>> import minigen as mg
        >>> state = (mg.ones((1, 4, 2)) * Parameter(mg.ones((1, 4, 2)).data), mg.ones((1, 4, 2)))
        >>> [part.requires_grad for part in detached(state)]
        [False, False]
    """
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
