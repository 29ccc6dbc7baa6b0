"""The data sets of images by name, each as images to learn from and images to test on: what `--data` of the examples means."""

import os

from minigen.data.emoji import load_emoji
from minigen.data.faces import FACES
from minigen.data.images import Images, load_digits, split
from minigen.data.mnist import load_fashion_mnist, load_mnist
from minigen.data.shapes import SHAPES

IMAGE_SETS = ("digits", "mnist", "fashion", "shapes", "faces", "emoji")


def load_images(name: str, *, folder: str | os.PathLike[str] | None = None) -> tuple[Images, Images]:
    """Load images to learn from and images to test on, by the name of the data set.

    Args:
        name: "digits", the package's own, a fifth of them held out, the same ones always; "mnist"; "fashion", for Fashion-MNIST; "shapes"
            and "faces", drawn in colour, 32 x 32 pixels, the test images being other pictures of the same combinations of factors; "emoji",
            in colour, 64 x 64 pixels, a fifth of them held out.
        folder: of the files of mnist, fashion or emoji; see `load_mnist` and `load_emoji`.

    Raises:
        ValueError: there is none of that name; a folder for images that need none; or what `load_mnist` and `load_emoji` raise.
        FileNotFoundError: the folder lacks a file.

    Example:
        >>> training, test = load_images("digits")
        >>> len(training.images), len(test.images)
        (1438, 359)
    """
    if name in ("digits", "shapes", "faces") and folder is not None:
        raise ValueError(
            f"load_images: the {name} are part of the package; the folder {folder} is for mnist, fashion and emoji"
        )
    match name:
        case "digits":
            return split(load_digits(), seed=0)
        case "mnist":
            return load_mnist("train", folder=folder), load_mnist("test", folder=folder)
        case "fashion":
            return load_fashion_mnist("train", folder=folder), load_fashion_mnist("test", folder=folder)
        case "shapes":
            return SHAPES.load("train"), SHAPES.load("test")
        case "faces":
            return FACES.load("train"), FACES.load("test")
        case "emoji":
            return split(load_emoji(folder=folder).images, seed=0)
    raise ValueError(f"load_images: data set {name!r} is unknown; it is one of {', '.join(IMAGE_SETS)}")
