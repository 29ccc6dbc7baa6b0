"""Layers whose weight is a function of what is learned.

Each class here wraps a layer. It takes the layer's parameter `weight` over as its own `raw_weight`, and lends the layer a weight computed
from it during a call, in the thread of that call only:

    rng = Generator(0)
    critic = nn.Sequential(nn.SpectralNorm(nn.Linear(2, 64, rng=rng), rng=rng), nn.ReLU(), nn.Linear(64, 1, rng=rng))

The function sees the weight as the matrix (fan_in, out) by which the layer multiplies: column k makes output k. In it, what a
`MaskedConv2d` masks is 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import minigen.ops as ops
from minigen.backend import Array, array_module, to_device
from minigen.engine import Tensor
from minigen.guards import exclusive
from minigen.nn.conv import ConvTranspose1d, ConvTranspose2d, MaskedConv2d
from minigen.nn.module import Buffer, Module, Parameter, in_this_thread
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Float


class Reparametrized(Module):
    """The base class: a subclass defines `of_matrix`, the function of the raw weight.

    Args:
        layer: a module with a parameter `weight` of two axes or more; the last one must count the outputs, but for the transposed
            convolutions, whose axes are known.

    Attributes:
        raw_weight: the parameter that was the layer's weight.
        layer: the wrapped layer. Outside a call it has no weight.

    Raises:
        TypeError: the layer has no such weight, or was wrapped before.
        ValueError: the weight is all zero, and so has neither direction nor scale.

    Example:
        >>> from minigen.nn.layers import Linear
        >>> class Doubled(Reparametrized):
        ...     def of_matrix(self, matrix):
        ...         return 2.0 * matrix
        >>> layer = Doubled(Linear(2, 3, rng=Generator(0)))
        >>> list(layer.named_parameters())
        ['raw_weight', 'layer.bias']
        >>> bool((layer.weight.data == 2.0 * layer.raw_weight.data).all())
        True
    """

    def __init__(self, layer: Module) -> None:
        name, kind = type(self).__name__, type(layer).__name__
        if isinstance(layer, Reparametrized):
            raise TypeError(
                f"{name}: the layer is a {kind}, so its weight is a function already; wrap the layer inside"
            )
        weight = vars(layer).get("weight")
        if not isinstance(weight, Parameter) or weight.ndim < 2:
            found = f"a weight of shape {weight.shape}" if isinstance(weight, Parameter) else "no weight of its own"
            raise TypeError(f"{name}: {kind} has {found}; expected a layer that multiplies by a matrix, such as Linear")
        self.raw_weight = weight
        self.live = _live(layer)
        self.layer: Any = layer
        if not self._matrix().data.any():
            raise ValueError(
                f"{name}: the weight of {kind}, shape {weight.shape}, is all zero, and so has neither direction nor scale"
            )
        del self.layer.weight

    def of_matrix(self, matrix: Float[Tensor, "fan_in out"]) -> Float[Tensor, "fan_in out"]:
        """Return the weight that the layer computes with, as a matrix like that of the raw weight, (fan_in, out)."""
        raise NotImplementedError(f"{type(self).__name__} defines no of_matrix()")

    @property
    def weight(self) -> Float[Tensor, "..."]:
        """The weight that the layer computes with, in the layer's own shape."""
        return self._shaped(self.of_matrix(self._matrix()))

    def forward(self, *inputs: Any, **keywords: Any) -> Any:
        """Call the layer with the weight of this moment."""
        lent, place = (
            in_this_thread.lent,
            (id(self.layer), "weight"),
        )  # other threads may be calling the layer, each with a weight of its own
        outer = lent.get(place)  # of a call around this one
        lent[place] = self._weight_for_call()
        try:
            return self.layer(*inputs, **keywords)
        finally:
            if outer is None:
                del lent[place]
            else:
                lent[place] = outer

    def _weight_for_call(self) -> Tensor:
        return self.weight

    def _matrix(self) -> Tensor:
        """The raw weight as (fan_in, out), with 0 where it is masked."""
        weight = self.raw_weight if self.live is None else self.raw_weight * self.live
        if isinstance(self.layer, ConvTranspose1d | ConvTranspose2d):
            # (*taps, C_out/G, C_in), the groups outermost in C_in
            outs, ins = weight.shape[-2], weight.shape[-1] // self.layer.groups
            weight = ops.reshape(weight, shape=(-1, outs, self.layer.groups, ins))
            weight = ops.transpose(weight, axes=(0, 3, 2, 1))  # (taps, C_in/G, G, C_out/G)
            return ops.reshape(weight, shape=(-1, self.layer.groups * outs))
        return ops.reshape(weight, shape=(-1, weight.shape[-1]))

    def _shaped(self, matrix: Tensor) -> Tensor:
        """The way back from `_matrix`."""
        shape = self.raw_weight.shape
        if isinstance(self.layer, ConvTranspose1d | ConvTranspose2d):
            groups = self.layer.groups
            matrix = ops.reshape(matrix, shape=(-1, shape[-1] // groups, groups, shape[-2]))
            matrix = ops.transpose(matrix, axes=(0, 3, 2, 1))
        return ops.reshape(matrix, shape=shape)


def _live(layer: Module) -> Buffer | None:
    """Return 1 where a masked convolution's weight has an effect and 0 elsewhere, or None for other layers."""
    if not isinstance(layer, MaskedConv2d):
        return None
    if layer.mask is not None:
        return layer.mask
    return Buffer(to_device(layer.taps[:, :, None, None].astype("float32"), layer.weight.device))


class WeightNorm(Reparametrized):
    """Length and direction of the weights of each output, learned apart:

        w_k = g_k v_k / |v_k|,    k one output, w_k and v_k all the weights that lead to it.

    (Salimans & Kingma 2016, "Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks",
    equation 2.) The gradient of v_k is orthogonal to v_k, and the smaller, the longer v_k is. At first g_k = |v_k|, so that the weight is
    the layer's.

    Args:
        layer: a linear layer, a convolution, or another as `Reparametrized` says.

    Attributes:
        raw_weight: v, of the shape of the layer's weight.
        magnitude: g, (out,).
        layer: the wrapped layer.

    Raises:
        TypeError: the layer has no weight to wrap, or was wrapped before.
        ValueError: the weight is all zero.

    Example:
        >>> import numpy as np
        >>> from minigen.nn.layers import Linear
        >>> layer = WeightNorm(Linear(2, 3, rng=Generator(0)))
        >>> layer.magnitude.assign(np.array([1.0, 2.0, 3.0], "float32"))
        >>> ops.norm(layer.weight, axis=0).data.round(3)
        array([1., 2., 3.], dtype=float32)
    """

    def __init__(self, layer: Module) -> None:
        super().__init__(layer)
        self.magnitude = Parameter(ops.norm(self._matrix().data, axis=0))

    def of_matrix(self, matrix: Float[Tensor, "fan_in out"]) -> Float[Tensor, "fan_in out"]:
        """Return the matrix with columns of the lengths g."""
        length = ops.norm(matrix, axis=0)  # (out,)
        return matrix * (self.magnitude / ops.where(length > 0, length, 1.0))  # a mask may leave an output no weight


class SpectralNorm(Reparametrized):
    """The weight divided by its largest singular value, so that the layer as a map of vectors stretches none:

        W = R / s,    s = u^T R v.

    For the leading singular vectors u (fan_in,) and v (out,) of the raw weight's matrix R, s is that value. They are found by the power
    iteration, one step at each call in training, since R moves little from call to call:

        v <- R^T u / |R^T u|,    u <- R v / |R v|.

    (Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1; the paper's matrix is the transposed
    one, so its u is v here.) u and v count as constants in the gradient. In evaluation they stay as they are. For a convolution the matrix
    is that of its kernel, as in the paper; the convolution as a whole may stretch an image more.

    Args:
        layer: a linear layer, a convolution, or another as `Reparametrized` says.
        rng: draws the first u, on the weight's device.
        iterations: steps at each call in training.

    Attributes:
        raw_weight: R, of the shape of the layer's weight.
        left: u, (fan_in,), a buffer.
        right: v, (out,), a buffer.
        layer: the wrapped layer.

    Raises:
        TypeError: the layer has no weight to wrap, or was wrapped before.
        ValueError: the weight is all zero, rng is on another device, or iterations is below 1.

    Example:
        >>> import numpy as np
        >>> from minigen.nn.layers import Linear
        >>> layer = SpectralNorm(Linear(3, 2, rng=Generator(0)), rng=Generator(1))
        >>> np.linalg.svd(layer.weight.data, compute_uv=False).round(3)
        array([1.  , 0.64], dtype=float32)
    """

    def __init__(self, layer: Module, *, rng: Generator, iterations: int = 1) -> None:
        (iterations,) = counts("SpectralNorm", iterations=iterations)
        super().__init__(layer)
        if rng.device != self.raw_weight.device:
            raise ValueError(f"SpectralNorm: rng draws on {rng.device}, but the weight is on {self.raw_weight.device}")
        self.iterations = iterations
        matrix = self._matrix().data
        self.left = Buffer(rng.normal(len(matrix), dtype=matrix.dtype))
        self.right = Buffer(self.left.data @ matrix)
        self._iterate(15)  # as PyTorch: a start from which one step a call keeps up

    def _weight_for_call(self) -> Tensor:
        """Return the normalized weight; in training, move u and v first."""
        with exclusive():  # another thread's call must not move u and v between this one's step and its weight
            if self.training:
                self._iterate(self.iterations)
            return self.weight

    def of_matrix(self, matrix: Float[Tensor, "fan_in out"]) -> Float[Tensor, "fan_in out"]:
        """Return the matrix divided by s."""
        # Copies, which the graph keeps: the next call in training, of the same graph perhaps, overwrites the buffers.
        with exclusive():
            left, right = self.left.data.copy(), self.right.data.copy()
        return matrix / ops.matmul(ops.matmul(left, matrix), right)

    def _iterate(self, steps: int) -> None:
        matrix, left, right = self._matrix().data, self.left.data, self.right.data
        for _ in range(steps):
            right = _unit(left @ matrix)
            left = _unit(matrix @ right)
        self.left.assign(left)
        self.right.assign(right)


def _unit(x: Array) -> Array:
    return x / array_module(x).maximum(ops.norm(x), 1e-12)


class EqualizedLearningRate(Reparametrized):
    """Raw weights of variance 1, scaled where they are used:

        W = R gain / sqrt(fan_in).

    An optimizer whose steps do not depend on the scale of the gradient, such as Adam, then moves the weights of all layers at one relative
    speed (Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", section 4.1).

    R is the layer's initial weight, brought to mean square 1. The paper's is normal, which `initialize=nn.init.kaiming_normal` makes the
    layer's. Where masks or strides leave the outputs different numbers of terms, fan_in is their mean.

    Args:
        layer: a linear layer, a convolution, or another as `Reparametrized` says.
        gain: what makes up for the nonlinearity behind; see `init.gain`.

    Attributes:
        raw_weight: R, of the shape of the layer's weight.
        scale: gain / sqrt(fan_in).
        layer: the wrapped layer.

    Raises:
        TypeError: the layer has no weight to wrap, or was wrapped before.
        ValueError: the weight is all zero.

    Example:
        >>> from minigen.nn.layers import Linear
        >>> layer = EqualizedLearningRate(Linear(200, 3, rng=Generator(0)))
        >>> layer.scale, round((layer.raw_weight**2.0).mean().item(), 3)
        (0.1, 1.0)
    """

    def __init__(self, layer: Module, *, gain: float = math.sqrt(2)) -> None:
        super().__init__(layer)
        matrix = self._matrix().data
        count = matrix.size if self.live is None else matrix.size * self.live.data.mean().item()  # weights not masked
        fan_in = count / matrix.shape[1]
        if isinstance(layer, ConvTranspose1d | ConvTranspose2d):
            stride = layer.stride if isinstance(layer.stride, tuple) else (layer.stride,) * (self.raw_weight.ndim - 2)
            fan_in /= math.prod(stride)
        self.scale = gain / math.sqrt(fan_in)
        self.raw_weight.assign(self.raw_weight.data * (math.sqrt(count) / ops.norm(matrix).item()))

    def of_matrix(self, matrix: Float[Tensor, "fan_in out"]) -> Float[Tensor, "fan_in out"]:
        """Return the matrix times the scale."""
        return matrix * self.scale
