"""The gated activation unit of PixelCNN and WaveNet (van den Oord et al. 2016b, equation 2; 2016c, "WaveNet", equation 2).

    y = t s,       t = tanh(a),  s = sigmoid(b),       a and b the two halves of the last axis
    dy/da = (1 - t^2) s                dy/db = t s (1 - s)

It is an operation of its own because a gated network has one behind every convolution: the halves are read where they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigen import kernels
from minigen.backend import Array
from minigen.engine import primitive
from minigen.ops.elementwise import sigmoid, tanh
from minigen.ops.shape import concatenate, split

if TYPE_CHECKING:
    from jaxtyping import Float


@primitive()
def gated_tanh(x: Float[Array, "*batch 2*p"]) -> Float[Array, "*batch p"]:
    """Return tanh(a) sigmoid(b), where x is a and b one behind the other along the last axis.

    Args:
        x: (..., 2p).

    Returns:
        (..., p).

    Raises:
        ValueError: the last axis has no halves.

    Example:
        >>> import numpy as np
        >>> gated_tanh(np.array([9.0, 9.0, 0.0, 9.0])).round(2)
        array([0.5, 1. ])
    """
    if x.ndim == 0 or x.shape[-1] % 2:
        raise ValueError(f"gated_tanh: x has shape {x.shape}, expected a last axis of even length, (..., 2p)")
    return kernels.gated_tanh(x)


@primitive()
def gated_tanh_backward(g: Float[Array, "*batch p"], x: Float[Array, "*batch 2*p"]) -> Float[Array, "*batch 2*p"]:
    """Return g (1 - t^2) s beside g t s (1 - s), the vjp of gated_tanh(x): g (..., p) and x (..., 2p) -> (..., 2p)."""
    return kernels.gated_tanh_backward(g, x)


def _parts(x: Any) -> tuple[Any, Any, Any, Any]:
    """Return t and s, and their slopes 1 - t^2 and s (1 - s)."""
    a, b = split(x, 2, axis=-1)
    t, s = tanh(a), sigmoid(b)
    return t, s, 1.0 - t * t, s * (1.0 - s)


def _along_g(h: Any, x: Any) -> Any:
    t, s, slope_t, slope_s = _parts(x)
    h_a, h_b = split(h, 2, axis=-1)
    return h_a * slope_t * s + h_b * t * slope_s


def _along_x(h: Any, g: Any, x: Any) -> Any:
    t, s, slope_t, slope_s = _parts(x)
    h_a, h_b = split(h, 2, axis=-1)
    along_a = slope_t * (h_b * slope_s - 2.0 * h_a * t * s)
    along_b = slope_s * (h_a * slope_t + h_b * t * (1.0 - 2.0 * s))
    return concatenate([g * along_a, g * along_b], axis=-1)


gated_tanh.vjp(x=lambda g, x: gated_tanh_backward(g, x))
gated_tanh_backward.vjp(g=lambda h, x: _along_g(h, x), x=lambda h, g, x: _along_x(h, g, x))
