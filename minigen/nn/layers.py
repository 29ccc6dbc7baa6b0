"""Layers: the affine map, whole and masked, the activations as modules, and the composition of modules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import minigen.ops as ops
from minigen.backend import Array, to_device
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Buffer, Module, Parameter
from minigen.random import Generator
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped


class Linear(Module):
    """The affine map y = x W + b along the last axis.

    By default W and b are uniform in +-1/sqrt(in_features), so that inputs of variance 1 give outputs of variance about 1/3.

    Args:
        in_features: length of the last axis of x.
        out_features: length of the last axis of y.
        rng: draws the initial weights, which are put on its device.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W, e.g. `init.xavier_uniform`.

    Attributes:
        weight: (in, out).
        bias: (out,), or None.

    Example:
        >>> import numpy as np
        >>> layer = Linear(2, 3, rng=Generator(0))
        >>> layer(np.ones((4, 2), "float32")).shape
        (4, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: Generator,
        bias: bool = True,
        initialize: Callable[[tuple[int, ...], Generator], Any] | None = None,
    ) -> None:
        in_features, out_features = counts("Linear", in_features=in_features, out_features=out_features)
        bound = 1 / math.sqrt(in_features)
        shape = (in_features, out_features)
        self.weight = Parameter(initialize(shape, rng) if initialize else rng.uniform(shape, low=-bound, high=bound))
        self.bias = Parameter(rng.uniform(out_features, low=-bound, high=bound)) if bias else None

    def forward(self, x: Float[TensorLike, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return x W + b, (..., in) -> (..., out)."""
        return ops.linear(x, self.weight, self.bias)


class MaskedLinear(Module):
    """The affine map y = x (W * M) + b along the last axis, in which the mask M says which output sees which input.

    The mask multiplies the weight inside the graph: an entry that it hides has no effect and gets no gradient. By default W and b are
    uniform in +-1/sqrt(fan_in), fan_in being the inputs that an output sees.

    Args:
        mask: M, (in, out), of bool, on any device.
        rng: draws the initial weights, which are put on its device.
        bias: whether there is a b.
        initialize: maps (shape, rng) to the initial W.

    Attributes:
        weight: (in, out).
        bias: (out,), or None.
        mask: a buffer of the weight's shape, 0 where the weight is hidden.

    Raises:
        ValueError: the mask is not a matrix of bool.

    Example:
        >>> import numpy as np
        >>> layer = MaskedLinear(np.tri(3, dtype=bool).T, rng=Generator(0))
        >>> x = np.zeros((1, 3), "float32")
        >>> before = layer(x).data
        >>> x[0, 1] = 1.0
        >>> (layer(x).data != before)[0]  # which outputs have seen the middle one
        array([False,  True,  True])
    """

    def __init__(
        self,
        mask: Bool[Array, "in out"],
        *,
        rng: Generator,
        bias: bool = True,
        initialize: Callable[[tuple[int, ...], Generator], Any] | None = None,
    ) -> None:
        _check_mask(mask, mask.shape)
        self.mask = Buffer(to_device(mask.astype("float32"), rng.device))
        bound = 1 / ops.sqrt(ops.maximum(ops.sum(self.mask.data, axis=0), 1.0))  # (out,)
        shape = mask.shape
        self.weight = Parameter(initialize(shape, rng) if initialize else bound * rng.uniform(shape, low=-1, high=1))
        self.bias = Parameter(bound * rng.uniform(shape[1], low=-1, high=1)) if bias else None

    def with_mask(self, mask: Bool[Array, "in out"]) -> MaskedLinear:
        """Return a layer that shares this one's parameters and has another mask."""
        _check_mask(mask, self.mask.shape)
        other = copy.copy(self)
        other.mask = Buffer(to_device(mask.astype("float32"), self.mask.device))
        return other

    def forward(self, x: Float[TensorLike, "*batch in"]) -> Float[Tensor, "*batch out"]:
        """Return x (W * M) + b, (..., in) -> (..., out)."""
        return ops.linear(x, self.weight * self.mask, self.bias)


def _check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    if mask.ndim != 2 or mask.dtype != bool or mask.shape != shape:
        expected = shape if len(shape) == 2 else "(in, out)"
        raise ValueError(f"MaskedLinear: mask is {mask.dtype} of shape {mask.shape}, expected bool, {expected}")


class Sequential(Module):
    """Modules, or plain functions, applied one after the other.

    Example:
        >>> import numpy as np
        >>> net = Sequential(Linear(2, 8, rng=Generator(0)), ReLU(), Linear(8, 1, rng=Generator(1)))
        >>> net(np.ones((4, 2), "float32")).shape
        (4, 1)
        >>> list(net.named_parameters())
        ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias']
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.layers = list(layers)

    def forward(self, x: Shaped[TensorLike, "..."]) -> Any:
        """Return the output of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Callable[..., Any]:
        return self.layers[i]

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.layers)


class ReLU(Module):
    """max(x, 0); see `ops.relu`."""

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.relu(x)


class LeakyReLU(Module):
    """x or slope * x; see `ops.leaky_relu`."""

    def __init__(self, *, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.leaky_relu(x, slope=self.slope)


class ELU(Module):
    """x or alpha (e^x - 1); see `ops.elu`."""

    def __init__(self, *, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.elu(x, alpha=self.alpha)


class Tanh(Module):
    """The hyperbolic tangent; see `ops.tanh`."""

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x); see `ops.sigmoid`."""

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.sigmoid(x)


class Softplus(Module):
    """log(1 + e^x); see `ops.softplus`."""

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.softplus(x)


class SiLU(Module):
    """x sigmoid(x); see `ops.silu`."""

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.silu(x)


class GELU(Module):
    """x Phi(x); see `ops.gelu`."""

    def __init__(self, *, form: str = "exact") -> None:
        self.form = form

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it elementwise."""
        return ops.gelu(x, form=self.form)


class Softmax(Module):
    """exp(x) / sum exp(x) along an axis; see `ops.softmax`."""

    def __init__(self, *, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Float[TensorLike, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply it along the axis."""
        return ops.softmax(x, axis=self.axis)
