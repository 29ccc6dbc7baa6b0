"""How well a language model guesses what comes next: -log p of each character given all before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen.backend import to_device
from minigen.engine import no_grad
from minigen.models import LanguageModel


def surprise(model: LanguageModel, characters: NDArray[np.int64], *, device: str = "cpu") -> NDArray[Any]:
    """Return -log p of each character of a text given all before it, in nats, (T,), by a model in evaluation mode.

    Args:
        model: on the device; it is in the same mode afterwards as before.
        characters: the text as numbers, (T,).
        device: where the model is.

    Example:
        >>> from minigen.models import NGram
        >>> counts = NGram(np.array([0, 1, 0, 1]), characters=2, n=1)
        >>> bool(np.allclose(surprise(counts, np.array([0, 1, 1])), np.log(2)))
        True
    """
    was_training = model.training
    with no_grad():
        nats = model.eval().surprise(ops.tensor(characters[None], device=device))[0]
    model.train(was_training)
    return to_device(getattr(nats, "data", nats), "cpu")


def nats_per_character(model: LanguageModel, characters: NDArray[np.int64], *, device: str = "cpu") -> float:
    """Return the mean of `surprise` over a text. Its exponential is the perplexity; over log 2 it is in bits.

    Example:
        >>> from minigen.models import NGram
        >>> counts = NGram(np.array([0, 1, 0, 1]), characters=2, n=1)
        >>> round(float(nats_per_character(counts, np.array([0, 1, 1])) / np.log(2)), 6)
        1.0
    """
    return float(surprise(model, characters, device=device).mean(dtype=np.float64))
