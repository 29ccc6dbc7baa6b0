"""The file of a trained classifier: its weights and sizes, so that its features can be computed again later.

A Fréchet distance means something only beside the name of the network whose features it compares. So a network is saved under a name, and
every later script reads that file:

    classifier = load_classifier("runs/digits_conv/feature-extractor-digits.safetensors")
    real, generated = (classifier.features(images) for images in (real_images, generated_images))     # (N, F) each
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigen.models import ConvClassifier
from minigen.nn import check_whole
from minigen.random import Generator
from minigen.training.files import load_state, read_state, save_state

SIZES = "configuration"  # begins the names of the sizes in the file


class _Sizes:
    """A classifier's configuration as a part of a file."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def state(self) -> dict[str, Any]:
        return self._values

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._values = dict(state)


def save_classifier(path: str | Path, classifier: ConvClassifier) -> None:
    """Save a classifier's weights, running statistics and sizes; the same classifier gives the same bytes.

    Args:
        path: the file, by custom "feature-extractor-NAME.safetensors", NAME being that of the data.
        classifier: a trained one, on any device.
    """
    save_state(path, model=classifier, **{SIZES: _Sizes(classifier.configuration)})


def load_classifier(path: str | Path) -> ConvClassifier:
    """Build the classifier of a file, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or damaged, or does not hold a classifier.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> images = np.ones((3, 8, 8, 1), "float32")
        >>> trained = ConvClassifier(size=(8, 8), rng=Generator(7))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_classifier(Path(folder) / "feature-extractor-ones.safetensors", trained)
        ...     again = load_classifier(Path(folder) / "feature-extractor-ones.safetensors")
        >>> bool((again.features(images) == trained.features(images)).all())
        True
    """
    prefix = f"{SIZES}."
    sizes = {name.removeprefix(prefix): value for name, value in read_state(path).items() if name.startswith(prefix)}
    try:
        for name, value in sizes.items():
            if name != "dropout":
                for size in value if isinstance(value, list) else [value]:
                    check_whole(size, name, most=2**16)
        classifier = ConvClassifier(**sizes, rng=Generator(0))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"load_classifier: {path} holds no classifier: {error}") from error
    load_state(path, model=classifier, **{SIZES: _Sizes(sizes)})
    return classifier.eval()
