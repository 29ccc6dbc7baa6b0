"""Binary images from grey ones, by the three protocols of the literature.

    "static"     each pixel is drawn once, 1 with its grey value as the probability, and stays: one fixed binary data set (Salakhutdinov &
                 Murray 2008, "On the quantitative analysis of deep belief networks"; Larochelle & Murray 2011, "NADE")
    "dynamic"    the same draw anew each time that an image is shown (Burda, Grosse & Salakhutdinov 2016, "Importance weighted
                 autoencoders")
    "threshold"  1 where the grey value is at least 1/2: no chance at all

They make different data with different entropies: dynamic noise cannot be learnt by heart, thresholded images have none. Log-likelihoods
under different protocols are therefore never compared, and each figure stands beside the name of its protocol. A static figure depends on
its draw, too: the published one of Larochelle & Murray is another than those made here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.data.batches import Batches
from minigen.random import Generator

BINARIZATIONS = ("static", "dynamic", "threshold")


def binarize(pixels: NDArray[Any], *, protocol: str, rng: Generator | None = None, key: int = 0) -> NDArray[np.float32]:
    """Return binary images, once.

    The static protocol is about a whole data set: give it all images in their order, not a batch, and the same key every time.

    Args:
        pixels: grey values in [0, 1], of any shape, as `Images.unit` gives them.
        protocol: "static", "dynamic" or "threshold"; the module says what they are.
        rng: for "dynamic", a Generator on the CPU.
        key: for "static", the seed of the one draw; note it beside the figure.

    Returns:
        Zeros and ones of the same shape, float32.

    Raises:
        ValueError: another protocol, "dynamic" without a generator, or pixels outside [0, 1].

    Example:
        >>> grey = np.full((2, 1000), 0.3, dtype=np.float32)
        >>> fixed, again = binarize(grey, protocol="static"), binarize(grey, protocol="static")
        >>> bool((fixed == again).all()), round(float(fixed.mean()), 1), float(binarize(grey, protocol="threshold").mean())
        (True, 0.3, 0.0)
    """
    _check(protocol, pixels, "binarize")
    if protocol == "threshold":
        return (pixels >= 0.5).astype(np.float32)
    if protocol == "static":
        rng = Generator(key)
    if rng is None:
        raise ValueError("binarize: the dynamic protocol draws anew each time, and needs a generator: rng=...")
    return rng.bernoulli(pixels)


class BinaryBatches(Batches):
    """An endless iterator of shuffled minibatches of binary images: `Batches`, under one of the protocols.

    Args:
        data: grey images in [0, 1] with N along the first axis, or a tuple of them and arrays that go with them (labels, say), which are
            left as they are.
        protocol: "static", "dynamic" or "threshold"; the module says what they are.
        batch_size: examples per batch, at most N.
        rng: a Generator on the CPU, for the order and the dynamic draws.
        key: for "static", the seed of the one draw; note it beside the figure.

    Yields:
        float32 images of zeros and ones, (batch_size, ...), or a tuple that begins with them.

    Raises:
        ValueError: what `Batches` and `binarize` refuse.

    Example:
        >>> from minigen.data import load_digits
        >>> digits = load_digits()
        >>> batches = BinaryBatches((digits.unit(), digits.labels), protocol="dynamic", batch_size=32, rng=Generator(0))
        >>> x, labels = next(batches)
        >>> x.shape, np.unique(x), labels.shape
        ((32, 8, 8, 1), array([0., 1.], dtype=float32), (32,))
    """

    def __init__(
        self,
        data: NDArray[Any] | tuple[NDArray[Any], ...],
        *,
        protocol: str,
        batch_size: int,
        rng: Generator,
        key: int = 0,
    ) -> None:
        super().__init__(data, batch_size=batch_size, rng=rng)
        _check(protocol, self._arrays[0], "BinaryBatches")
        self.protocol = protocol
        if protocol != "dynamic":
            self._arrays = (binarize(self._arrays[0], protocol=protocol, key=key), *self._arrays[1:])

    def __next__(self) -> Any:
        batch = super().__next__()
        if self.protocol != "dynamic":
            return batch
        if isinstance(batch, tuple):
            return (self._rng.bernoulli(batch[0]), *batch[1:])
        return self._rng.bernoulli(batch)


def _check(protocol: str, pixels: NDArray[Any], function: str) -> None:
    if protocol not in BINARIZATIONS:
        raise ValueError(f"{function}: protocol is {protocol!r}, expected one of {', '.join(BINARIZATIONS)}")
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"{function}: pixels from {pixels.min()} to {pixels.max()}, expected grey values in [0, 1], as Images.unit gives them"
        )
