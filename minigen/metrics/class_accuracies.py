"""Does a conditional model draw what it is told, as well and as variously as the data? Classifiers answer.

(Shmelkov, Schmid & Alahari 2018, "How good is my GAN?")

    GAN-train    the accuracy on real images of a classifier taught on generated ones, (G(z, y), y)
    GAN-test     the accuracy on generated images of a classifier taught on real ones
    real         the accuracy on real images of a classifier taught on real ones; those it is tested on are others

GAN-train is lowered by poor images, by images of the wrong class, and by lack of variety; GAN-test only by the first two, and it is above
the accuracy on real images for a model that draws nothing but typical examples. Each is a share of finitely many images, with the standard
error of one. A classifier by the nearest neighbour needs no training; see `neighbour_accuracy`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.metrics.nearest import nearest_images

Labelled = tuple[NDArray[Any], NDArray[np.int64]]
"""Images (N, ...) and their classes, (N,)."""
Predict = Callable[[NDArray[Any]], NDArray[Any]]
"""From images (N, ...) to a score for each class, (N, K)."""


class ClassAccuracies(NamedTuple):
    """Accuracies of three pairs of teaching and testing; see the module's docstring."""

    gan_train_accuracy: float
    gan_test_accuracy: float
    real_accuracy: float


def class_accuracies(
    generated: Labelled, real: Labelled, test: Labelled, *, teach: Callable[[Labelled], Predict]
) -> ClassAccuracies:
    """Return GAN-train and GAN-test accuracy, and that of real images.

    Args:
        generated: images of the model, with the classes that it was told.
        real: the images that it learnt from.
        test: other real images.
        teach: trains a classifier on labelled images, and returns it.

    Raises:
        ValueError: a class of the real images has no generated ones, or the generated ones have another class.

    Example:
        >>> x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
        >>> def teach(pairs):  # the nearest mean
        ...     means = np.array([pairs[0][pairs[1] == k].mean() for k in (0, 1)])
        ...     return lambda images: -abs(images - means)
        >>> class_accuracies((1 - x, y), (x, y), (x, y), teach=teach)  # a model that draws the other class
        ClassAccuracies(gan_train_accuracy=0.0, gan_test_accuracy=0.0, real_accuracy=1.0)
    """
    _check_classes("class_accuracies", generated, real)
    of_generated, of_real = teach(generated), teach(real)
    pairs = ((of_generated, test), (of_real, generated), (of_real, test))
    return ClassAccuracies(
        *(float((predict(images).argmax(axis=1) == labels).mean()) for predict, (images, labels) in pairs)
    )


def neighbour_accuracy(known: Labelled, test: Labelled) -> float:
    """Return the share of test images whose nearest known image, by pixels, is of their class.

    Args:
        known: images that the classes are told by, such as generated ones.
        test: images to be classified.

    Raises:
        ValueError: a class of the test images is not among the known ones, or the other way round.

    Example:
        >>> neighbour_accuracy((np.array([[0.0], [1.0]]), np.array([0, 1])), (np.array([[0.2], [0.9], [0.4]]), np.array([0, 1, 1])))
        0.6666666666666666
    """
    _check_classes("neighbour_accuracy", known, test)
    nearest = nearest_images(test[0], among=known[0]).indices
    return float((known[1][nearest] == test[1]).mean())


def _check_classes(owner: str, given: Labelled, expected: Labelled) -> None:
    found, wanted = (set(np.unique(labels).tolist()) for _, labels in (given, expected))
    if missing := sorted(wanted - found):
        raise ValueError(f"{owner}: there are no images of the classes {missing} to learn them from")
    if others := sorted(found - wanted):
        raise ValueError(
            f"{owner}: there are images of the classes {others}, which the others do not have: {sorted(wanted)}"
        )
