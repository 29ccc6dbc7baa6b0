"""How probable data are to a model that says so exactly, in bounded memory.

The mean of -log p over a test set is an unbiased estimate of the cross-entropy H(data) + KL(data || p): no bound, and no sampling but that
of the test set itself. Its standard error is the values' standard deviation over sqrt(N).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.backend import Array, to_device
from minigen.distributions.distribution import raw
from minigen.engine import no_grad


def exact_log_likelihood(
    model: Any, x: Array, *, condition: Array | None = None, batch_size: int = 200
) -> NDArray[np.float64]:
    """Return log p(x) of every example in nats, (N, *size) -> (N,).

    Args:
        model: has `log_prob(x, condition)` and parameters, which say where to compute.
        x: on the CPU, of any dtype: whole numbers for an autoregressive model. A batch of them is moved at a time.
        condition: of each example, (N,) or (N, E); None for a model without.
        batch_size: examples computed at once; memory grows with it, and not with N.

    Raises:
        ValueError: batch_size is below 1.

    Example:
        >>> from minigen.models import BernoulliConditional, PixelCNN
        >>> from minigen.random import Generator
        >>> model = PixelCNN((4, 4, 1), BernoulliConditional(), features=4, blocks=1, rng=Generator(0))
        >>> exact_log_likelihood(model, np.zeros((5, 4, 4, 1), "uint8"), batch_size=2).shape
        (5,)
    """
    if batch_size < 1:
        raise ValueError(f"exact_log_likelihood: batch_size = {batch_size} must be at least 1")
    first = model.parameters()[0]
    found = []
    with no_grad():
        for start in range(0, len(x), batch_size):
            here = slice(start, start + batch_size)
            batch = to_device(x[here].astype(first.dtype), first.device)
            given = None if condition is None else to_device(condition[here], first.device)
            found.append(to_device(raw(model.log_prob(batch, given)), "cpu"))
    return np.concatenate(found, dtype=np.float64) if found else np.zeros(0)


def site_costs(model: Any, x: Array, *, batch_size: int = 200) -> NDArray[np.float64]:
    """Return what each site costs in nats: the mean of -log p(x_i | the sites before it) over the examples, (N, *size) -> size.

    Its sum is the mean of -log p(x).

    Args:
        model: has `predict`, `conditional` and `size`, as `models.Autoregressive` has, and parameters, which say where to compute.
        x: at least one example on the CPU, of any dtype.
        batch_size: examples computed at once.

    Raises:
        ValueError: batch_size is below 1, or there is no example.

    Example:
        >>> from minigen.models import BeliefNet
        >>> site_costs(BeliefNet((2, 1)), np.zeros((5, 2, 1))).round(4).tolist()  # fair coins at first: log 2 each
        [[0.6931], [0.6931]]
    """
    if batch_size < 1 or not len(x):
        raise ValueError(f"site_costs: batch_size = {batch_size} and {len(x)} examples must be at least 1")
    first = model.parameters()[0]
    total = np.zeros(model.size)
    with no_grad():
        for start in range(0, len(x), batch_size):
            batch = to_device(x[start : start + batch_size].astype(first.dtype), first.device)
            each = raw(model.conditional.log_prob(model.predict(batch), batch))  # (N, *size)
            total -= to_device(each, "cpu").sum(axis=0, dtype=np.float64)
    return total / len(x)
