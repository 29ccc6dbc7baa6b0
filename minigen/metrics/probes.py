"""How well classes are told after learning from a few labelled examples, drawn anew several times."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen import nn
from minigen.metrics.classification import accuracy
from minigen.models import fine_tuned, linear_probe
from minigen.random import Generator

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Examples (N, ...) on the CPU, and their classes, (N,)."""


def probe_accuracies(
    features: Callable[[Any], Any],
    training: Labelled,
    test: Labelled,
    draws: Sequence[NDArray[np.int64]],
    *,
    classes: int = 10,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Train a linear classifier on features of each draw, and return its accuracies on the test examples.

    The features are centred and divided by one number, the root mean square of their standard deviations, all of which come from the
    training examples; labels are not needed for it. A scale for each feature would blow up the noise in those that hardly vary.

    Args:
        features: maps a batch of examples to its features, (B, ...) -> (B, F).
        training: all training examples and their labels, of which only those drawn are used.
        test: the test examples and their labels.
        draws: the indices of the labelled training examples, (n,), of each draw.
        classes: how many there are.
        device: where to compute.

    Returns:
        (draws,).

    Example:
        >>> from minigen.data import balanced_draw, load_images
        >>> training, test = ((images.unit(), images.labels) for images in load_images("digits"))
        >>> draws = [balanced_draw(training[1], 100, classes=10, rng=Generator(seed)) for seed in (0, 1)]
        >>> bool((probe_accuracies(nn.Flatten(), training, test, draws) > 0.85).all())
        True
    """
    known, unknown = (nn.in_batches(features, examples, device=device) for examples, _ in (training, test))  # (N, F)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    scale = np.sqrt((deviation * deviation).mean()) or 1.0  # if all features are constant
    known, unknown = (known - mean) / scale, (unknown - mean) / scale
    probes = (linear_probe(known[i], training[1][i], classes=classes, device=device) for i in draws)
    return np.array([_accuracy(probe, unknown, test[1], device) for probe in probes])


def tuning_accuracies(
    encoder: Callable[[Generator], nn.Sequential],
    training: Labelled,
    test: Labelled,
    draws: Sequence[NDArray[np.int64]],
    *,
    classes: int = 10,
    seed: int = 0,
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Fine-tune a network on the examples of each draw, and return its accuracies on the test examples.

    Args:
        encoder: returns the network whose hidden layers the classifier begins with; a new one may draw its weights from the generator.
        training: as for `probe_accuracies`.
        test: likewise.
        draws: likewise.
        classes: how many there are.
        seed: of the generator for the first draw; the next draw has the next seed.
        device: where to compute, that of the encoder.

    Returns:
        (draws,).

    Example:
        >>> from minigen.data import balanced_draw, load_images
        >>> from minigen.models import mlp_vae
        >>> training, test = ((images.unit(), images.labels) for images in load_images("digits"))
        >>> draws = [balanced_draw(training[1], 100, classes=10, rng=Generator(0))]
        >>> found = tuning_accuracies(
        ...     lambda rng: mlp_vae(size=(8, 8, 1), hidden=(64,), latent=2, rng=rng).encoder, training, test, draws
        ... )
        >>> bool(found[0] > 0.85)
        True
    """
    found = []
    for i, chosen in enumerate(draws):
        rng = Generator(seed + i, device=device)
        network = fine_tuned(encoder(rng), training[0][chosen], training[1][chosen], classes=classes, rng=rng)
        found.append(_accuracy(network, test[0], test[1], device))
    return np.array(found)


def _accuracy(network: nn.Module, examples: NDArray[Any], labels: NDArray[np.int64], device: str) -> float:
    return accuracy(nn.in_batches(network, examples, device=device), labels)
