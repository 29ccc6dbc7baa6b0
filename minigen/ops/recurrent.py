"""Recurrent networks over whole sequences: each kind of cell is one primitive, from the inputs of all steps to the states of all steps.

`kernels/recurrence/reference.py` has the equations. Backpropagation through time (Werbos 1990) makes one walk: with g_t the cotangent of
the states, it finds the cotangents d_t of the gates' sums a_t = x_t W_x + h_{t-1} W_h + b from the last step to the first, since the
share of h_{t-1} is d_t W_h^T. All gradients then are products over all N T steps at once,

    dx = d W_x^T,    dW_x = x^T d,    dW_h = h_before^T d,    db = sum of d,

and so the three cells have a joint vjp. It keeps the gates and the cells, and no sums: the gates are written where the sums stood. The
gradient of a gradient is that of the steps written out in other operations, as they stand in `rnn_steps`, `gru_steps` and `lstm_steps`.

Arguments of all three: x, (N, T, C), for N sequences of T steps; weight_x, (C, G H), and weight_h, (H, G H), for G gates and H features;
bias, (G H,); the state before the first step, (N, H); and a mask, (N, T) of bool, or None: where it is False, the state stays as it was.
With `reverse` the walk begins at the last step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigen import kernels
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, primitive, sum_to
from minigen.kernels.recurrence.reference import times
from minigen.ops.elementwise import sigmoid, tanh, where
from minigen.ops.gradients import gradients_of
from minigen.ops.linalg import linear, matrix_product
from minigen.ops.shape import concatenate, expand_dims, reshape, split, stack

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

# ------------------------------------------------------------------------------------------------- what the three share


def _projected(x: Array, weight: Array) -> Array:
    """Return x weight of all steps, (N, T, C) -> (N, T, G H), as an array of its own."""
    return kernels.matmul(x.reshape(-1, x.shape[2]), weight).reshape(*x.shape[:2], weight.shape[1])


def _as_factors(mask: Array | None, like: Array) -> Array | None:
    return None if mask is None else mask.astype(like.dtype)


def _rows(sequences: Array) -> Array:
    """Every step as a row of one matrix, (N, T, C) -> (N T, C)."""
    return reshape(sequences, shape=(sequences.shape[0] * sequences.shape[1], sequences.shape[2]))


def _before(states: Array, first: Array, reverse: bool) -> Array:
    """The states from which the steps began, (N T, H)."""
    first = expand_dims(first, 1)
    return _rows(concatenate([states[:, 1:], first] if reverse else [first, states[:, :-1]], axis=1))


def _through_projection(slopes: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of x, weight_x and bias, for the cotangents of the gates' sums, (N T, G H)."""
    to_x = reshape(matrix_product(slopes, weight, transpose_b=True), shape=x.shape)
    return to_x, matrix_product(_rows(x), slopes, transpose_a=True), sum_to(slopes, shape=slopes.shape[1:])


def _chosen(mask: Array | None, t: int, new: Tensor, old: Tensor) -> Tensor:
    return new if mask is None else where(mask[:, t, None], new, old)


def _in_time(states: list[Tensor], reverse: bool) -> list[Tensor]:
    return states[::-1] if reverse else states


# ------------------------------------------------------------------------------------------------------------------ RNN


@primitive()
def rnn_sequence(
    x: Float[Array, "N T C"],
    weight_x: Float[Array, "C H"],
    weight_h: Float[Array, "H H"],
    bias: Float[Array, "H"],
    hidden: Float[Array, "N H"],
    mask: Bool[Array, "N T"] | None = None,
    *,
    reverse: bool = False,
) -> Float[Array, "N T H"]:
    """Return the states of a simple recurrent network, (N, T, H)."""
    return kernels.rnn_forward(_projected(x, weight_x), weight_h, bias, hidden, _as_factors(mask, x), reverse=reverse)


def rnn_steps(
    x: Float[TensorLike, "N T C"],
    weight_x: Float[TensorLike, "C H"],
    weight_h: Float[TensorLike, "H H"],
    bias: Float[TensorLike, "H"],
    hidden: Float[TensorLike, "N H"],
    mask: Bool[Array, "N T"] | None,
    *,
    reverse: bool,
) -> Float[Tensor, "N T H"]:
    """Return the same, step by step."""
    projected, states = linear(x, weight_x, bias), []
    for t in times(x.shape[1], reverse):
        hidden = _chosen(mask, t, tanh(projected[:, t] + hidden @ weight_h), hidden)
        states.append(hidden)
    return stack(_in_time(states, reverse), axis=1)


rnn_sequence.joint_vjp(gradients_of(rnn_steps))


@rnn_sequence.fused_vjp
def _rnn_sequence_vjp(
    g: Array, x: Array, weight_x: Array, weight_h: Array, bias: Array, hidden: Array, mask: Array | None, out: Array, reverse: bool
) -> tuple[Any, ...]:  # fmt: skip
    slopes, to_hidden = kernels.rnn_backward(g, out, weight_h, _as_factors(mask, x), reverse=reverse)
    rows = _rows(slopes)
    to_x, to_weight_x, to_bias = _through_projection(rows, x, weight_x)
    to_weight_h = matrix_product(_before(out, hidden, reverse), rows, transpose_a=True)
    return to_x, to_weight_x, to_weight_h, to_bias, to_hidden, None


# ------------------------------------------------------------------------------------------------------------------ GRU


@primitive(residuals=("gates", "products"))
def gru_sequence(
    x: Float[Array, "N T C"],
    weight_x: Float[Array, "C 3*H"],
    weight_h: Float[Array, "H 3*H"],
    bias: Float[Array, "3*H"],
    bias_n: Float[Array, "H"],
    hidden: Float[Array, "N H"],
    mask: Bool[Array, "N T"] | None = None,
    *,
    reverse: bool = False,
) -> tuple[Float[Array, "N T H"], Float[Array, "N T 3*H"], Float[Array, "N T H"]]:
    """Return the states of a network of gated recurrent units, (N, T, H). `bias_n`, (H,), is added to the product that r multiplies."""
    return kernels.gru_forward(
        _projected(x, weight_x), weight_h, bias, bias_n, hidden, _as_factors(mask, x), reverse=reverse
    )


def gru_steps(
    x: Float[TensorLike, "N T C"],
    weight_x: Float[TensorLike, "C 3*H"],
    weight_h: Float[TensorLike, "H 3*H"],
    bias: Float[TensorLike, "3*H"],
    bias_n: Float[TensorLike, "H"],
    hidden: Float[TensorLike, "N H"],
    mask: Bool[Array, "N T"] | None,
    *,
    reverse: bool,
) -> Float[Tensor, "N T H"]:
    """Return the same, step by step."""
    projected, states = linear(x, weight_x, bias), []
    for t in times(x.shape[1], reverse):
        a_r, a_z, a_n = split(projected[:, t], 3, axis=1)
        of_r, of_z, of_n = split(hidden @ weight_h, 3, axis=1)
        r, z = sigmoid(a_r + of_r), sigmoid(a_z + of_z)
        n = tanh(a_n + r * (of_n + bias_n))
        hidden = _chosen(mask, t, (1.0 - z) * n + z * hidden, hidden)
        states.append(hidden)
    return stack(_in_time(states, reverse), axis=1)


gru_sequence.joint_vjp(gradients_of(gru_steps))


@gru_sequence.fused_vjp
def _gru_sequence_vjp(
    g: Array, x: Array, weight_x: Array, weight_h: Array, bias: Array, bias_n: Array, hidden: Array, mask: Array | None, out: Array,
    gates: Array, products: Array, reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    slopes, slopes_q, to_hidden = kernels.gru_backward(
        g, out, gates, products, weight_h, hidden, _as_factors(mask, x), reverse=reverse
    )
    rows, rows_q, before = _rows(slopes), _rows(slopes_q), _before(out, hidden, reverse)
    to_x, to_weight_x, to_bias = _through_projection(rows, x, weight_x)
    of_gates = matrix_product(before, rows[:, : 2 * hidden.shape[1]], transpose_a=True)
    to_weight_h = concatenate([of_gates, matrix_product(before, rows_q, transpose_a=True)], axis=1)
    return to_x, to_weight_x, to_weight_h, to_bias, sum_to(rows_q, shape=rows_q.shape[1:]), to_hidden, None


# ----------------------------------------------------------------------------------------------------------------- LSTM


@primitive(residuals=("gates", "cells"))
def lstm_sequence(
    x: Float[Array, "N T C"],
    weight_x: Float[Array, "C 4*H"],
    weight_h: Float[Array, "H 4*H"],
    bias: Float[Array, "4*H"],
    hidden: Float[Array, "N H"],
    cell: Float[Array, "N H"],
    mask: Bool[Array, "N T"] | None = None,
    *,
    reverse: bool = False,
) -> tuple[Float[Array, "N T+1 H"], Float[Array, "N T 4*H"], Float[Array, "N T H"]]:
    """Return the T hidden states of a network with long short-term memory, and after them the cell at the end, (N, T + 1, H)."""
    return kernels.lstm_forward(
        _projected(x, weight_x), weight_h, bias, hidden, cell, _as_factors(mask, x), reverse=reverse
    )


def lstm_steps(
    x: Float[TensorLike, "N T C"],
    weight_x: Float[TensorLike, "C 4*H"],
    weight_h: Float[TensorLike, "H 4*H"],
    bias: Float[TensorLike, "4*H"],
    hidden: Float[TensorLike, "N H"],
    cell: Float[TensorLike, "N H"],
    mask: Bool[Array, "N T"] | None,
    *,
    reverse: bool,
) -> Float[Tensor, "N T+1 H"]:
    """Return the same, step by step."""
    projected, states = linear(x, weight_x, bias), []
    for t in times(x.shape[1], reverse):
        a_i, a_f, a_g, a_o = split(projected[:, t] + hidden @ weight_h, 4, axis=1)
        new = sigmoid(a_f) * cell + sigmoid(a_i) * tanh(a_g)
        hidden = _chosen(mask, t, sigmoid(a_o) * tanh(new), hidden)
        cell = _chosen(mask, t, new, cell)
        states.append(hidden)
    return stack([*_in_time(states, reverse), cell], axis=1)


lstm_sequence.joint_vjp(gradients_of(lstm_steps))


@lstm_sequence.fused_vjp
def _lstm_sequence_vjp(
    g: Array, x: Array, weight_x: Array, weight_h: Array, bias: Array, hidden: Array, cell: Array, mask: Array | None, out: Array,
    gates: Array, cells: Array, reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    slopes, to_hidden, to_cell = kernels.lstm_backward(
        g, gates, cells, weight_h, cell, _as_factors(mask, x), reverse=reverse
    )
    rows = _rows(slopes)
    to_x, to_weight_x, to_bias = _through_projection(rows, x, weight_x)
    to_weight_h = matrix_product(_before(out[:, :-1], hidden, reverse), rows, transpose_a=True)
    return to_x, to_weight_x, to_weight_h, to_bias, to_hidden, to_cell, None
