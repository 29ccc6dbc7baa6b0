"""The neural autoregressive distribution estimator as one primitive: from all sites of N examples to the logits of all sites.

`kernels/nade/reference.py` has the equations. Written out in other operations, the sums of all hidden units at all sites, (N, D, H), would
be kept for the gradient: at N = 100 examples, D = 784 sites and H = 500 units, 157 MB, and their sigmoids once more. The primitive keeps
nothing but its arguments, and its gradient walks the sites back, with the sums of one site at a time. The gradient of a gradient is that of
the sums written out, as they stand in `nade_sums`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigen import kernels
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, primitive, sum_to
from minigen.ops.elementwise import sigmoid
from minigen.ops.gradients import gradients_of
from minigen.ops.reduce import cumsum, sum
from minigen.ops.shape import broadcast_to, concatenate, expand_dims

if TYPE_CHECKING:
    from jaxtyping import Float


@primitive()
def nade_logits(
    x: Float[Array, "N D"],
    weight: Float[Array, "D H"],
    hidden_bias: Float[Array, "H"],
    out_weight: Float[Array, "D H"],
    bias: Float[Array, "D"],
) -> Float[Array, "N D"]:
    """Return the logits of all sites, (N, D), for x (N, D), weight (D, H), hidden_bias (H,), out_weight (D, H) and bias (D,)."""
    return kernels.nade_forward(x, weight, hidden_bias, out_weight, bias)


def nade_sums(
    x: Float[TensorLike, "N D"],
    weight: Float[TensorLike, "D H"],
    hidden_bias: Float[TensorLike, "H"],
    out_weight: Float[TensorLike, "D H"],
    bias: Float[TensorLike, "D"],
) -> Float[Tensor, "N D"]:
    """Return the same from the hidden units of all sites at once."""
    terms = expand_dims(x, 2) * weight  # (N, D, H): x_i W_i
    first = broadcast_to(hidden_bias, shape=(terms.shape[0], 1, terms.shape[2]))  # c
    sums = cumsum(concatenate([first, terms[:, :-1]], axis=1), axis=1)
    return sum(sigmoid(sums) * out_weight, axis=2) + bias


nade_logits.joint_vjp(gradients_of(nade_sums))


@nade_logits.fused_vjp
def _nade_logits_vjp(
    g: Array, x: Array, weight: Array, hidden_bias: Array, out_weight: Array, bias: Array
) -> tuple[Array, ...]:
    return *kernels.nade_backward(g, x, weight, hidden_bias, out_weight), sum_to(g, shape=bias.shape)
