"""Batch normalization (Ioffe & Szegedy 2015), and the running statistics by which it judges single examples."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import minigen.ops as ops
from minigen.backend import Array
from minigen.engine import Tensor, TensorLike
from minigen.nn.module import Buffer, Module, Parameter
from minigen.ops.norm import moments, normalize_by


class BatchNorm(Module):
    """Every channel brought to mean 0 and variance 1 over the batch, then scaled and shifted:

        y = w (x - mu) / sqrt(v + epsilon) + b.

    In training mu and v are the mean and the variance of the batch, over all axes of x but the last. In evaluation they are the running
    statistics, so that an example's outcome does not depend on its company. Each batch in training moves those by

        running <- (1 - momentum) running + momentum (batch's),

    with the unbiased variance, the sum of squares over n - 1, where v divides by n. `frozen_statistics` leaves them alone.

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
        if features < 1 or not 0 <= momentum <= 1 or epsilon <= 0:
            raise ValueError(
                f"BatchNorm: features {features} must be at least 1, momentum {momentum} lie in [0, 1], and epsilon {epsilon} be positive"
            )
        self.features = features
        self.momentum = momentum
        self.epsilon = epsilon
        self.weight = Parameter(np.ones(features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(features, np.float32)) if affine else None
        self.running_mean = Buffer(np.zeros(features, np.float32))
        self.running_var = Buffer(np.ones(features, np.float32))
        self.is_frozen = False

    def forward(self, x: TensorLike) -> Tensor:
        """Normalize, (..., C) -> (..., C)."""
        if x.shape[-1:] != (self.features,):
            raise ValueError(f"BatchNorm: x (..., C) has shape {x.shape}, but the layer has {self.features} features")
        if not self.training:
            scale = 1.0 / ops.sqrt(self.running_var + self.epsilon)
            y = (x - self.running_mean) * (scale if self.weight is None else scale * self.weight)
            return y if self.bias is None else y + self.bias
        count = math.prod(x.shape[:-1])
        if count < 2:
            raise ValueError(
                f"BatchNorm: x (..., C) = {x.shape} has {count} value(s) of each channel, and training needs the variance of at least 2; "
                "take a larger batch, or call eval() to use the running statistics"
            )
        rows = ops.reshape(x, shape=(count, self.features))
        mean, variance = moments(rows, axes=(0,))  # (1, C)
        if not self.is_frozen:
            self._record(mean[0], variance[0] * (count / (count - 1)))
        y = normalize_by(rows, self.weight, self.bias, mean, variance, axes=(0,), epsilon=self.epsilon)
        return ops.reshape(y, shape=x.shape)

    def _record(self, mean: Array, variance: Array) -> None:
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            running.assign((1 - self.momentum) * running.data + self.momentum * new)


@contextmanager
def frozen_statistics(module: Module) -> Iterator[None]:
    """Inside the block, batch normalization in training mode normalizes by the batch, but leaves the running statistics alone.

    For passes that are no part of what the statistics describe, such as a discriminator's over generated examples.

    Example:
        >>> layer = BatchNorm(1)
        >>> with frozen_statistics(layer):
        ...     _ = layer(np.array([[1.0], [3.0]], "float32"))
        >>> layer.running_mean.data
        array([0.], dtype=float32)
    """
    layers = [part for part in module.named_modules().values() if isinstance(part, BatchNorm)]
    before = [layer.is_frozen for layer in layers]
    for layer in layers:
        layer.is_frozen = True
    try:
        yield
    finally:
        for layer, was_frozen in zip(layers, before, strict=True):
            layer.is_frozen = was_frozen
