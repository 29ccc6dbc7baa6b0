"""The data sets of images by name, each as images to learn from and images to test on: what `--data` of the examples means."""

import os

from minigen.data.images import Images, load_digits, split
from minigen.data.mnist import load_fashion_mnist, load_mnist

IMAGE_SETS = ("digits", "mnist", "fashion")


def load_images(name: str, *, folder: str | os.PathLike[str] | None = None) -> tuple[Images, Images]:
    """Load images to learn from and images to test on, by the name of the data set.

    Args:
        name: "digits", the package's own, a fifth of them held out, the same ones always; "mnist"; "fashion", for Fashion-MNIST.
        folder: of the files of the latter two; see `load_mnist`.

    Raises:
        ValueError: there is none of that name; or what `load_mnist` raises.

    Example:
        >>> training, test = load_images("digits")
        >>> len(training.images), len(test.images)
        (1438, 359)
    """
    if name == "digits":
        if folder is not None:
            raise ValueError(
                f"load_images: the digits are part of the package; the folder {folder} is for mnist and fashion"
            )
        return split(load_digits(), seed=0)
    if name == "mnist":
        return load_mnist("train", folder=folder), load_mnist("test", folder=folder)
    if name == "fashion":
        return load_fashion_mnist("train", folder=folder), load_fashion_mnist("test", folder=folder)
    raise ValueError(f"load_images: data set {name!r} is unknown; it is one of {', '.join(IMAGE_SETS)}")
