"""Does a conditional model draw what it is told, as well and as variously as the data? Classifiers answer.

(Shmelkov, Schmid & Alahari 2018, "How good is my GAN?")

    GAN-train    the accuracy on real images of a classifier taught on generated ones, (G(z, y), y)
    GAN-test     the accuracy on generated images of a classifier taught on real ones
    real         the accuracy on real images of a classifier taught on real ones; those it is tested on are others

GAN-train is lowered by poor images, by images of the wrong class, and by lack of variety; GAN-test only by the first two, and it is above
the accuracy on real images for a model that draws nothing but typical examples, or copies its training images. For a perfect model all
three are equal on average, if it draws as many images of each class as there are real ones: GAN-train rises with their number. For a given
classifier each accuracy a is an unbiased estimate from N images, with the standard deviation sqrt(a (1 - a) / N); how the classifier was
taught adds to that. A classifier by the nearest neighbour needs no training; see `neighbour_accuracy`.
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
        teach: trains a new classifier on labelled images, and returns it. It is called twice, and should do the same for both.

    Raises:
        ValueError: images without a label each, a class of the real images that has no generated ones, or a generated or test image of
            another class.

    Example:
        >>> x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
        >>> def teach(pairs):  # the nearest mean
        ...     means = np.array([pairs[0][pairs[1] == k].mean() for k in (0, 1)])
        ...     return lambda images: -abs(images - means)
        >>> class_accuracies((1 - x, y), (x, y), (x, y), teach=teach)  # a model that draws the other class
        ClassAccuracies(gan_train_accuracy=0.0, gan_test_accuracy=0.0, real_accuracy=1.0)
    """
    for name, labelled in (("generated", generated), ("real", real), ("test", test)):
        _check_labels("class_accuracies", name, labelled)
    _check_taught("class_accuracies", generated, real)
    if others := sorted(set(np.unique(generated[1]).tolist()) - set(np.unique(real[1]).tolist())):
        raise ValueError(
            f"class_accuracies: there are generated images of the classes {others}, which the real ones do not have"
        )
    if others := sorted(set(np.unique(test[1]).tolist()) - set(np.unique(real[1]).tolist())):
        raise ValueError(
            f"class_accuracies: there are test images of the classes {others}, which the real ones do not have"
        )
    of_generated, of_real = teach(generated), teach(real)
    pairs = ((of_generated, test), (of_real, generated), (of_real, test))
    return ClassAccuracies(
        *(float((predict(images).argmax(axis=1) == labels).mean()) for predict, (images, labels) in pairs)
    )


def neighbour_accuracy(known: Labelled, test: Labelled) -> float:
    """Return the share of test images whose nearest known image, by pixels, is of their class.

    The accuracy rises with the number of known images: compare at equal numbers. Of equally near ones the first counts.

    Args:
        known: images that the classes are told by, such as generated ones.
        test: images to be classified.

    Raises:
        ValueError: images without a label each, or a class of the test images is not among the known ones.

    Example:
        >>> neighbour_accuracy((np.array([[0.0], [1.0]]), np.array([0, 1])), (np.array([[0.2], [0.9], [0.4]]), np.array([0, 1, 1])))
        0.6666666666666666
    """
    for name, labelled in (("known", known), ("test", test)):
        _check_labels("neighbour_accuracy", name, labelled)
    _check_taught("neighbour_accuracy", known, test)
    nearest = nearest_images(test[0], among=known[0]).indices
    return float((known[1][nearest] == test[1]).mean())


def _check_labels(owner: str, name: str, labelled: Labelled) -> None:
    images, labels = labelled
    if not len(images) or labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{owner}: {name} images {images.shape} and labels {labels.shape} of {labels.dtype}, expected at least one image, and a whole "
            "number for each"
        )


def _check_taught(owner: str, given: Labelled, expected: Labelled) -> None:
    found, wanted = (set(np.unique(labels).tolist()) for _, labels in (given, expected))
    if missing := sorted(wanted - found):
        raise ValueError(f"{owner}: there are no images of the classes {missing} to learn them from")
