"""Batch normalization (Ioffe & Szegedy 2015), the running statistics by which it judges single examples, and its conditional form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

import minigen.ops as ops
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.guards import attribute_set, guard
from minigen.nn.embedding import checked_indices
from minigen.nn.module import Buffer, Module, Parameter
from minigen.ops.norm import mean_and_deviation, normalize_by, scale_of
from minigen.sizes import counts

if TYPE_CHECKING:
    from jaxtyping import Float, Integer


class BatchNorm(Module):
    """Every channel brought to mean 0 and variance 1 over the batch, then scaled and shifted:

        y = w (x - mu) / sqrt(v + epsilon) + b.

    In training mu and v are the mean and the variance of the batch, over all axes of x but the last. In evaluation they are the running
    statistics, so that an example's outcome does not depend on its company. Each batch in training moves those by

        running <- (1 - momentum) running + momentum (batch's),

    with the unbiased variance, the sum of squares over n - 1, where v divides by n. `frozen_statistics` leaves them alone. In training
    float32 is normalized correctly up to deviations of 1e30, but the running variance only up to 1e19: a larger one makes it infinite.

    Args:
        features: the channels, C.
        momentum: the share of the new batch.
        epsilon: keeps the division finite where all values of a channel are equal.
        affine: whether there are w and b.

    Attributes:
        weight: w, (C,), at first 1, or None.
        bias: b, (C,), at first 0, or None.
        running_mean: a buffer, (C,), at first 0.
        running_var: a buffer, (C,), at first 1.
        is_frozen: whether the running statistics stay as they are.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> layer = BatchNorm(2)
        >>> layer(np.array([[1.0, 10.0], [3.0, 50.0]], "float32")).data.round(3)
        array([[-1., -1.],
               [ 1.,  1.]], dtype=float32)
        >>> layer.running_mean.data
        array([0.2, 3. ], dtype=float32)
    """

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5, affine: bool = True) -> None:
        (features,) = counts("BatchNorm", features=features)
        if not 0 <= momentum <= 1 or epsilon <= 0:
            raise ValueError(f"BatchNorm: momentum {momentum} must lie in [0, 1], and epsilon {epsilon} be positive")
        self.features = features
        self.momentum = momentum
        self.epsilon = epsilon
        self.weight = Parameter(np.ones(features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(features, np.float32)) if affine else None
        self.running_mean = Buffer(np.zeros(features, np.float32))
        self.running_var = Buffer(np.ones(features, np.float32))
        self.is_frozen = False

    def forward(self, x: Float[TensorLike, "*batch C"]) -> Float[Tensor, "*batch C"]:
        """Normalize, (..., C) -> (..., C)."""
        return self.normalize(x, self.weight, self.bias)

    def normalize(
        self,
        x: Float[TensorLike, "*shape"],
        weight: Float[Tensor, "*#shape"] | None,
        bias: Float[Tensor, "*#shape"] | None,
    ) -> Float[Tensor, "*shape"]:
        """Normalize, (..., C) -> (..., C), with a w and a b that broadcast to x."""
        if x.shape[-1:] != (self.features,):
            raise ValueError(f"BatchNorm: x (..., C) has shape {x.shape}, but the layer has {self.features} features")
        if not self.training:
            scale = 1.0 / ops.sqrt(self.running_var + self.epsilon)
            y = (x - self.running_mean) * (scale if weight is None else scale * weight)
            return y if bias is None else y + bias
        count = math.prod(x.shape[:-1])
        if count < 2:
            raise ValueError(
                f"BatchNorm: x (..., C) = {x.shape} has {count} value(s) of each channel, and training needs the variance of at least 2; "
                "take a larger batch, or call eval() to use the running statistics"
            )
        axes = tuple(range(len(x.shape) - 1))
        mean, deviation = mean_and_deviation(x, axes=axes)  # (1, ..., C)
        if not self.is_frozen:
            self._record(mean.reshape(-1), deviation.reshape(-1), count)
        return normalize_by(x, weight, bias, mean, scale_of(deviation, self.epsilon), axes=axes, epsilon=self.epsilon)

    def _record(self, mean: Array, deviation: Array, count: int) -> None:
        unbiased = deviation * deviation * (count / (count - 1))
        for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
            running.assign((1 - self.momentum) * running.data + self.momentum * new)


class ConditionalBatchNorm(Module):
    """Batch normalization with a scale and a shift for each class:

        y = w_c (x - mu) / sqrt(v + epsilon) + b_c,    c the example's class.

    The statistics are the whole batch's, of all classes together (Dumoulin et al. 2017, "A Learned Representation for Artistic Style";
    de Vries et al. 2017, "Modulating early visual processing by language").

    Args:
        features: the channels, C.
        classes: how many, K.
        momentum, epsilon: as of `BatchNorm`.

    Attributes:
        weight: (K, C), at first 1.
        bias: (K, C), at first 0.
        norm: the `BatchNorm` that keeps the running statistics; `frozen_statistics` finds it.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> layer = ConditionalBatchNorm(1, 2)
        >>> layer.bias.assign(np.array([[0.0], [10.0]], "float32"))
        >>> layer(np.array([[1.0], [3.0]], "float32"), np.array([0, 1])).data.round(3)
        array([[-1.],
               [11.]], dtype=float32)
    """

    def __init__(self, features: int, classes: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        features, classes = counts("ConditionalBatchNorm", features=features, classes=classes)
        self.weight = Parameter(np.ones((classes, features), np.float32))
        self.bias = Parameter(np.zeros((classes, features), np.float32))
        self.norm = BatchNorm(features, momentum=momentum, epsilon=epsilon, affine=False)

    def forward(
        self, x: Float[TensorLike, "N *places C"], labels: Integer[TensorLike, "N"]
    ) -> Float[Tensor, "N *places C"]:
        """Normalize, (N, ..., C) -> (N, ..., C).

        Args:
            x: (N, ..., C).
            labels: the classes, integers (N,).

        Raises:
            TypeError: the labels are not integers.
            IndexError: a label is outside [0, K); those on the GPU already are looked at inside `mg.debug()` only.
            ValueError: x has other channels, or the labels are not one for each example.
        """
        rows = checked_indices("ConditionalBatchNorm", labels, self.weight)
        if rows.shape != x.shape[:1]:
            raise ValueError(
                f"ConditionalBatchNorm: labels have shape {rows.shape}, but x (N, ..., C) = {x.shape} needs one for each example, "
                f"{x.shape[:1]}"
            )
        shape = (len(rows), *(1 for _ in x.shape[1:-1]), self.norm.features)  # (N, 1, ..., C)
        weight, bias = (ops.reshape(ops.index(table, rows), shape=shape) for table in (self.weight, self.bias))
        return self.norm.normalize(x, weight, bias)


@guard
def frozen_statistics(module: Module) -> Iterator[None]:
    """Inside the block, batch normalization in training mode normalizes by the batch, but leaves the running statistics alone.

    For passes that are not part of what the statistics describe, such as a discriminator's over generated examples.

    Example:
        >>> layer = BatchNorm(1)
        >>> with frozen_statistics(layer):
        ...     _ = layer(np.array([[1.0], [3.0]], "float32"))
        >>> layer.running_mean.data
        array([0.], dtype=float32)
    """
    layers = [part for part in module.named_modules().values() if isinstance(part, BatchNorm)]
    with attribute_set(layers, "is_frozen", True):
        yield


@guard
def statistics_of(module: Module, inputs: Iterable[tuple[Any, ...]]) -> Iterator[None]:
    """Inside the block, batch normalization has the running statistics of the given inputs; afterwards each layer has its own again.

    For a module whose weights are not those with which the statistics were collected, such as the average of a training's weights. The
    module runs on the inputs in training mode, each input counting the same.

    Args:
        module: any; without batch normalization nothing is computed.
        inputs: the arguments of each pass; at least one, if there is batch normalization.

    Raises:
        ValueError: there are no inputs.

    Example:
        >>> layer = BatchNorm(1)
        >>> with statistics_of(layer, [(np.array([[1.0], [3.0]], "float32"),), (np.array([[3.0], [5.0]], "float32"),)]):
        ...     print(layer.running_mean.data, layer.running_var.data)
        [3.] [2.]
        >>> layer.running_mean.data
        array([0.], dtype=float32)
    """
    parts = list(module.named_modules().values())
    layers = [part for part in parts if isinstance(part, BatchNorm)]
    passes = 0
    with ExitStack() as blocks:
        for buffer in (buffer for layer in layers for buffer in (layer.running_mean, layer.running_var)):
            blocks.enter_context(attribute_set([buffer], "data", buffer.data.copy()))
        if layers:
            with no_grad(), attribute_set(parts, "training", True), attribute_set(layers, "is_frozen", False):
                for passes, arguments in enumerate(inputs, 1):
                    with attribute_set(layers, "momentum", 1 / passes):
                        module(*arguments)
            if not passes:
                raise ValueError("statistics_of: there are no inputs; batch normalization needs at least one batch")
        yield
