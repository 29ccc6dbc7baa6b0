"""What an encoder's features are good for: classifiers that learn from a few labelled examples.

    linear probe   log p(y|h) = log softmax(h W + b),        minimise  -mean log p(y|h) + decay/2 |W|^2  over W and b, from W = 0
    fine-tuning    log p(y|x) = log softmax(h(x) W + b),     minimise  -mean log p(y|x)  over W, b and the encoder's own weights

Both see the same few examples in every step of Adam, whose learning rate falls to 0 along half a cosine. The first loss is convex, so the
probe ends near its one minimum.
"""

import copy
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.distributions import Categorical
from minigen.engine import Tensor
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.nn.init import xavier_uniform
from minigen.optim import Adam, cosine
from minigen.random import Generator


def linear_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int = 10,
    weight_decay: float = 0.03,
    steps: int = 200,
    learning_rate: float = 3e-2,
    device: str = "cpu",
) -> nn.Linear:
    """Train a linear classifier: logistic regression with weight decay.

    Args:
        features: h, (n, F), on the CPU; about centred, and of a scale near 1.
        labels: y, (n,).
        classes: how many there are.
        weight_decay: decay, in the loss above.
        steps: of Adam.
        learning_rate: of the first step.
        device: where to compute.

    Returns:
        A layer on the device that maps features to the logits of the classes.

    Example:
        >>> features = np.array([[-1.0], [-2.0], [1.0], [2.0]], dtype=np.float32)
        >>> layer = linear_probe(features, np.array([0, 0, 1, 1]), classes=2)
        >>> nn.in_batches(layer, features).argmax(axis=1)
        array([0, 0, 1, 1])
    """
    layer = nn.Linear(features.shape[1], classes, rng=Generator(0, device=device))
    layer.weight.assign(ops.zeros(layer.weight.shape, device=device).data)
    h, y = ops.tensor(features, device=device), ops.tensor(labels, device=device)

    def loss() -> Tensor:
        penalty = 0.5 * weight_decay * ops.sum(layer.weight * layer.weight)
        return penalty - ops.mean(Categorical(logits=layer(h)).log_prob(y))

    _descend(layer, loss, steps=steps, learning_rate=learning_rate)
    return layer


def fine_tuned(
    encoder: nn.Sequential,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: int = 10,
    steps: int = 200,
    learning_rate: float = 3e-3,
    rng: Generator,
) -> nn.Sequential:
    """Train a classifier that begins as the hidden layers of an encoder, with a new last layer.

    Args:
        encoder: stays as it is; its last layer is linear.
        inputs: x, (n, ...), on the CPU.
        labels: y, (n,).
        classes: how many there are.
        steps: of Adam.
        learning_rate: of the first step.
        rng: draws the last layer's initial weights, on the encoder's device.

    Returns:
        A network on that device that maps inputs to the logits of the classes.

    Example:
        >>> encoder = nn.Sequential(nn.Linear(3, 8, rng=Generator(0)), nn.Tanh(), nn.Linear(8, 2, rng=Generator(1)))
        >>> x, y = np.eye(3, dtype=np.float32), np.array([2, 0, 1])
        >>> network = fine_tuned(encoder, x, y, classes=3, rng=Generator(2))
        >>> nn.in_batches(network, x).argmax(axis=1)
        array([2, 0, 1])
    """
    *hidden, last = encoder.layers
    width = cast(nn.Linear, last).weight.shape[0]
    new = nn.Linear(width, classes, rng=rng, initialize=xavier_uniform)
    network = nn.Sequential(*(copy.deepcopy(layer) for layer in hidden), new)
    x, y = ops.tensor(inputs, device=rng.device), ops.tensor(labels, device=rng.device)
    _descend(
        network,
        lambda: -ops.mean(Categorical(logits=network(x)).log_prob(y)),
        steps=steps,
        learning_rate=learning_rate,
    )
    return network


def _descend(network: nn.Module, loss: Callable[[], Tensor], *, steps: int, learning_rate: float) -> None:
    """Take steps of Adam, all on the same examples."""
    optimizer = Adam(network, learning_rate=cosine(learning_rate, steps=max(1, steps)))
    with one_blas_thread(), kept_memory():  # the matrices are so small that threads would only wait for each other
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
