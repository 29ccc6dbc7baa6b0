"""How many classes are told rightly: by a classifier, or by a conditional model and Bayes' rule."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigen.ops as ops
from minigen.backend import device_of
from minigen.distributions.distribution import raw
from minigen.metrics.likelihood import importance_log_likelihood
from minigen.random import Generator


def accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of examples whose own class has the highest score.

    Args:
        scores: (N, K), such as logits or log-probabilities of K classes.
        labels: (N,), from 0 to K - 1.

    Raises:
        ValueError: the shapes do not fit together, or there is no example.

    Example:
        >>> accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]], [1, 0, 0, 1])
        0.75
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not scores.size:
        raise ValueError(
            f"accuracy: scores of shape {scores.shape} and labels of shape {labels.shape}, expected (N, K) and (N,)"
        )
    return float((scores.argmax(axis=1) == labels).mean())


def class_log_joint(
    model: Any, images: Any, *, prior: ArrayLike, samples: int, make_rng: Callable[[], Generator]
) -> NDArray[np.float64]:
    """Return log p(y, class) = log p(y|class) + log p(class). By Bayes' rule the most probable class of y is the one with the largest.

    log p(y|class) is estimated by importance sampling, with the same noise for every class, so that part of the error is common to all.

    Args:
        model: has `log_weights(batch, k, rng=...)` for batches (y, c), as `models.CVAE` has; c is a 1 in the place of the class.
        images: y, (N, H, W, C), on the device of the model.
        prior: p(class), (K,), above 0.
        samples: draws of z for each image and class.
        make_rng: makes a generator on that device; each class starts with a new one, so that they share their noise.

    Returns:
        (N, K).

    Example:
        >>> from minigen.models import mlp_cvae
        >>> cvae = mlp_cvae(size=(8, 8, 1), condition=3, hidden=(16,), latent=2, rng=Generator(0))
        >>> images = np.zeros((5, 8, 8, 1), np.float32)
        >>> class_log_joint(cvae, images, prior=[0.5, 0.3, 0.2], samples=4, make_rng=lambda: Generator(1)).shape
        (5, 3)
    """
    log_prior = np.log(np.asarray(prior, dtype=np.float64))
    device = device_of(raw(images)) or "cpu"
    n, classes = len(images), len(log_prior)
    found = np.empty((n, classes))
    for k, one_hot in enumerate(np.eye(classes, dtype=np.float32)):
        c = ops.tensor(np.tile(one_hot, (n, 1)), device=device)
        likelihood = importance_log_likelihood(model, (images, c), samples=samples, rng=make_rng())
        found[:, k] = likelihood.values + log_prior[k]
    return found
