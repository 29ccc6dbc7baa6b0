"""An LSTM over an image as one primitive: from what the input says at all pixels to the states of all pixels.

`kernels/image_lstm/reference.py` has the equations, `lines.py` there the three walks: down the rows, and along the diagonals to the right
or to the left. Backpropagation makes the walk back, from the last line to the first, and finds the cotangents d of the gates' sums: those
are the inputs' gradient, and with them the weight's is that of a convolution of all states at once. The gradient of a gradient is that of
the lines written out in other operations, as they stand in `image_lstm_lines`.

There a diagonal is made a column by *skewing* the image: each row is shifted by one against the row above (van den Oord et al. 2016a,
section 3.2, figure 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen import kernels
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, primitive
from minigen.kernels.image_lstm.lines import geometry, margin, steps
from minigen.ops.elementwise import sigmoid, tanh
from minigen.ops.gradients import gradients_of
from minigen.ops.shape import concatenate, flip, pad, reshape, split, stack

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


@primitive(residuals=("gates", "cells"))
def image_lstm(
    inputs: Float[Array, "N H W 4*F"], weight: Float[Array, "K F 4*F"], *, direction: str
) -> tuple[Float[Array, "N H W F"], Float[Array, "N H W 4*F"], Float[Array, "N H W F"]]:
    """Return the states, (N, H, W, F), for the inputs of the gates, (N, H, W, 4F), and the weight of K taps, (K, F, 4F)."""
    return kernels.image_lstm_forward(inputs, weight, direction=direction)


def image_lstm_lines(
    inputs: Float[TensorLike, "N H W 4*F"], weight: Float[TensorLike, "K F 4*F"], *, direction: str
) -> Float[Tensor, "N H W F"]:
    """Return the same, line by line."""
    (taps, features, _), beyond = weight.shape, margin(direction, weight.shape[0])
    matrix = reshape(weight, shape=(taps * features, 4 * features))
    if direction == "left":
        return flip(image_lstm_lines(flip(inputs, axis=2), weight, direction="right"), axis=2)
    if direction == "right":
        inputs = skew(inputs)
    axis = 1 if direction == "down" else 2
    each = [inputs[:, t] if axis == 1 else inputs[:, :, t] for t in range(inputs.shape[axis])]  # (N, L, 4F)
    length = each[0].shape[1]
    hidden, cell, states = None, 0.0, []
    for a in each:
        if hidden is not None:
            around = pad(hidden, width=((0, 0), (beyond, beyond), (0, 0)))
            seen = concatenate([around[:, beyond + e : beyond + e + length] for e in steps(direction, taps)], axis=2)
            a = a + seen @ matrix  # (N, L, K F) @ (K F, 4F)
        i, f, g, o = split(a, 4, axis=2)
        cell = sigmoid(f) * cell + sigmoid(i) * tanh(g)
        hidden = sigmoid(o) * tanh(cell)
        states.append(hidden)
    found = stack(states, axis=axis)
    return found if direction == "down" else unskew(found)


image_lstm.joint_vjp(gradients_of(image_lstm_lines))


@image_lstm.fused_vjp
def _image_lstm_vjp(
    g: Array, weight: Array, out: Array, gates: Array, cells: Array, direction: str
) -> tuple[Array, Array]:
    slopes = kernels.image_lstm_backward(g, gates, cells, weight, direction=direction)
    shape = geometry(out.shape[1:3], direction, len(weight))
    every = kernels.convolve_weight(out, slopes, geometry=shape)  # (kh, kw, F, 4F), of which K taps are alive
    return slopes, stack([every[tap] for tap in shape.taps])


# ----------------------------------------------------------------------------------------------------------- skewing


def skew(x: Shaped[TensorLike, "N H W C"]) -> Shaped[Tensor, "N H W+H-1 C"]:
    """Shift each row of an image by one against the row above, (N, H, W, C) -> (N, H, W + H - 1, C): diagonals become columns.

    Row i is shifted by i: flat, each row but the last ends one pixel later than it would, and so the next one begins later.

    Example:
        >>> import numpy as np
        >>> skew(np.array([[1, 2], [3, 4], [5, 6]]).reshape(1, 3, 2, 1))[0, :, :, 0]
        array([[1, 2, 0, 0],
               [0, 3, 4, 0],
               [0, 0, 5, 6]])
    """
    n, height, width, channels = x.shape
    long = pad(x, width=((0, 0), (0, 0), (0, height), (0, 0)))  # (N, H, W + H, C)
    flat = reshape(long, shape=(n, height * (width + height), channels))[:, : height * (width + height - 1)]
    return reshape(flat, shape=(n, height, width + height - 1, channels))


def unskew(x: Shaped[TensorLike, "N H W+H-1 C"]) -> Shaped[Tensor, "N H W C"]:
    """Undo `skew`, (N, H, W + H - 1, C) -> (N, H, W, C).

    Example:
        >>> import numpy as np
        >>> image = np.arange(12).reshape(1, 3, 4, 1)
        >>> bool((unskew(skew(image)) == image).all())
        True
    """
    n, height, longer, channels = x.shape
    flat = reshape(x, shape=(n, height * longer, channels))
    whole = pad(flat, width=((0, 0), (0, height), (0, 0)))
    return reshape(whole, shape=(n, height, longer + 1, channels))[:, :, : longer + 1 - height]
