"""MNIST and Fashion-MNIST: 60,000 images to learn from and 10,000 to test on, 28 x 28 pixels of 256 grey values, ten classes.

MNIST: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner (1998), "Gradient-based learning applied to document recognition", Proceedings of the
IEEE 86, 2278-2324; the files by Y. LeCun, C. Cortes and C. Burges, licence CC BY-SA 3.0. Fashion-MNIST: H. Xiao, K. Rasul and R. Vollgraf
(2017), "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", arXiv:1708.07747, licence MIT.

The package does not carry them. They are read from a folder, and downloaded into it where they are missing:

    the argument `folder`       the files themselves; nothing is ever downloaded into it
    $MINIGEN_DATA/NAME          if the variable is set; NAME is "mnist" or "fashion-mnist"
    ~/.cache/minigen/NAME       otherwise

Both data sets use the same four file names, so they need two folders. The sums of the downloads are those that TensorFlow Datasets and
torchvision's prototype data sets both record. Files found in a folder are not held against them, since one may have compressed them anew.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.data.download import download
from minigen.data.idx import read_idx
from minigen.data.images import DIGITS, Images

PARTS = {"train": "train", "test": "t10k"}  # by split, how the names of its files begin


class Source(NamedTuple):
    """Where a data set of MNIST's form comes from: by file name, the size of the compressed file in bytes and its SHA-256 sum."""

    name: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    files: dict[str, tuple[int, str]]


MNIST = Source(
    name="mnist",
    classes=DIGITS,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files={
        "train-images-idx3-ubyte": (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        "train-labels-idx1-ubyte": (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        "t10k-images-idx3-ubyte": (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        "t10k-labels-idx1-ubyte": (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    },
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    classes=("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    files={
        "train-images-idx3-ubyte": (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        "train-labels-idx1-ubyte": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        "t10k-images-idx3-ubyte": (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        "t10k-labels-idx1-ubyte": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    },
)


def load_mnist(split: str = "train", *, folder: str | os.PathLike[str] | None = None) -> Images:
    """Load MNIST's handwritten digits, downloading 11 MB if need be; the module says from where, and into which folder.

    Args:
        split: "train", 60,000 images, or "test", 10,000, by other writers.
        folder: where the IDX files lie, each plain or with ".gz" behind its name; None takes `MINIGEN_DATA` or the cache.

    Returns:
        Images (N, 28, 28, 1), uint8, 0 the paper and 255 full ink.

    Raises:
        FileNotFoundError: `folder` lacks a file.
        OSError: a file could not be downloaded; the message says what was tried, and where to put it by hand.
        ValueError: another split, or a file is damaged or does not hold what its name says.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:  # two images of one pixel in place of 10,000 of 784
        ...     images, labels = Path(folder) / "t10k-images-idx3-ubyte", Path(folder) / "t10k-labels-idx1-ubyte"
        ...     _ = images.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 255, 51]))
        ...     _ = labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 2]))
        ...     test = load_mnist("test", folder=folder)
        >>> test.labels, test.unit().shape
        (array([7, 2]), (2, 1, 1, 1))
    """
    return _load(MNIST, split, folder)


def load_fashion_mnist(split: str = "train", *, folder: str | os.PathLike[str] | None = None) -> Images:
    """Load Fashion-MNIST's photographs of clothes, downloading 31 MB if need be; else as `load_mnist`.

    Args:
        split: "train", 60,000 images, or "test", 10,000.
        folder: where the IDX files lie, each plain or with ".gz" behind its name; None takes `MINIGEN_DATA` or the cache.

    Returns:
        Images (N, 28, 28, 1), uint8, 0 the background.

    Raises:
        FileNotFoundError: `folder` lacks a file.
        OSError: a file could not be downloaded; the message says what was tried, and where to put it by hand.
        ValueError: another split, or a file is damaged or does not hold what its name says.

    Example:
        >>> load_fashion_mnist("validation")
        Traceback (most recent call last):
        ValueError: load_fashion_mnist: split is 'validation', expected 'train' or 'test'
    """
    return _load(FASHION_MNIST, split, folder)


def _load(source: Source, split: str, folder: str | os.PathLike[str] | None) -> Images:
    function = f"load_{source.name.replace('-', '_')}"
    if split not in PARTS:
        raise ValueError(f"{function}: split is {split!r}, expected 'train' or 'test'")
    images_path = _find(source, f"{PARTS[split]}-images-idx3-ubyte", folder, function)
    labels_path = _find(source, f"{PARTS[split]}-labels-idx1-ubyte", folder, function)
    images = _checked(read_idx(images_path), 3, images_path, function)  # (N, H, W)
    labels = _checked(read_idx(labels_path), 1, labels_path, function)  # (N,)
    if len(images) != len(labels):
        raise ValueError(
            f"{function}: {images_path} has {len(images):,} images, but {labels_path} has {len(labels):,} labels"
        )
    if labels.max() >= len(source.classes):
        raise ValueError(
            f"{function}: {labels_path} has the label {labels.max()}, expected 0 to {len(source.classes) - 1}"
        )
    return Images(source.name, images[..., None], labels.astype(np.int64), source.classes, levels=256)


def _find(source: Source, name: str, folder: str | os.PathLike[str] | None, function: str) -> Path:
    """Return where a file lies, after downloading it if it lies nowhere."""
    root = Path(os.environ.get("MINIGEN_DATA") or "~/.cache/minigen").expanduser()
    place = root / source.name if folder is None else Path(folder)
    plain, compressed = place / name, place / f"{name}.gz"
    for path in (plain, compressed):
        if path.is_file():
            return path
    if folder is not None:
        raise FileNotFoundError(f"{function}: {place} has neither {plain.name} nor {compressed.name}")
    size, sha256 = source.files[name]
    try:
        download(compressed, mirrors=source.mirrors, size=size, sha256=sha256)
    except OSError as error:
        raise OSError(
            f"{function}: {compressed} is missing and cannot be downloaded. Put it there by hand, as {plain.name} or "
            f"{compressed.name}; or, where you have the files already, name their folder: {function}(folder=...), or the environment "
            f"variable MINIGEN_DATA for the folder around {source.name}/.\n{error}"
        ) from error
    return compressed


def _checked(array: NDArray[Any], ndim: int, path: Path, function: str) -> NDArray[np.uint8]:
    if array.ndim != ndim or array.dtype != np.uint8:
        raise ValueError(
            f"{function}: {path} has shape {array.shape} and type {array.dtype}, expected {ndim} axes of uint8"
        )
    return array
