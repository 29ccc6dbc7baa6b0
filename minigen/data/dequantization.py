"""Grey levels as real numbers: noise that fills the gap between one level and the next.

A pixel is one of L levels, v = 0 ... L - 1. A density on the numbers v/(L-1) alone can grow without bound, by narrow peaks on the levels,
and means nothing. With u ~ U(0, 1) for each pixel,

    x = (v + u) / L            in [0, 1)
    log P(v) >= E_u[log p(x)] - log L                  for each pixel, where P(v) is the integral of p over the share [v/L, (v+1)/L)

so a log-likelihood of x bounds that of the levels from below (Theis, van den Oord & Bethge 2016, "A note on the evaluation of generative
models", section 3.1); `metrics.bits_per_dimension` takes L into account.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.data.batches import Batches
from minigen.data.images import Images
from minigen.random import Generator


def dequantize(data: Images, *, rng: Generator) -> NDArray[np.float32]:
    """Return images with noise between the levels, once: x = (v + u) / L.

    Args:
        data: N images.
        rng: a Generator on the CPU, which draws u.

    Returns:
        (N, H, W, C), float32, from 0 to 1.

    Example:
        >>> from minigen.data import load_digits
        >>> digits = load_digits()
        >>> x = dequantize(digits, rng=Generator(0))
        >>> bool((np.floor(17 * x) == digits.images).all())
        True
    """
    return _spread(data.images, data.levels, rng)


class DequantizedBatches(Batches):
    """An endless iterator of shuffled minibatches of grey images, with fresh noise between the levels each time.

    Args:
        data: N images.
        batch_size: examples per batch, at most N.
        rng: a Generator on the CPU, for the order and the noise.

    Yields:
        (batch_size, H, W, C), float32, from 0 to 1.

    Example:
        >>> from minigen.data import load_digits
        >>> next(DequantizedBatches(load_digits(), batch_size=32, rng=Generator(0))).shape
        (32, 8, 8, 1)
    """

    def __init__(self, data: Images, *, batch_size: int, rng: Generator) -> None:
        super().__init__(data.images, batch_size=batch_size, rng=rng)
        self.levels = data.levels

    def __next__(self) -> Any:
        return _spread(super().__next__(), self.levels, self._rng)


def _spread(images: NDArray[np.uint8], levels: int, rng: Generator) -> NDArray[np.float32]:
    return (images + rng.uniform(images.shape)) / levels
