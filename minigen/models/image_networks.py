"""The convolutional networks of autoencoders, plain and variational: from an image (H, W, C) to a few numbers, and back.

The way there halves the image twice by strided convolutions. The way back doubles it twice, by one of two rules:

    transposed    a convolution of stride 2, transposed, with a kernel of 4: a multiple of the stride, so that every pixel gets equally many
                  terms and no chequered pattern arises (Odena, Dumoulin & Olah 2016, "Deconvolution and checkerboard artifacts")
    upsampled     every pixel is repeated 2 x 2 times, and a plain convolution of kernel 3 follows (the same article)
"""

import math
from typing import Any

from minigen import nn
from minigen.random import Generator

Size = tuple[int, int, int]  # (H, W, C) of an image


def conv_encoder(*, size: Size, widths: tuple[int, int], outputs: int, rng: Generator) -> nn.Sequential:
    """Return a network that halves an image twice and says `outputs` numbers about it.

    Args:
        size: (H, W, C) of an image; H and W are multiples of 4.
        widths: channels after the first and the second convolution.
        outputs: how many numbers.
        rng: draws the initial weights.

    Raises:
        ValueError: H or W is not a multiple of 4.

    Example:
        >>> import numpy as np
        >>> conv_encoder(size=(28, 28, 1), widths=(4, 8), outputs=6, rng=Generator(0))(np.zeros((5, 28, 28, 1), "float32")).shape
        (5, 6)
    """
    small = _quarter(size, "conv_encoder")
    halve: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1, "rng": rng}
    return nn.Sequential(
        nn.Conv2d(size[2], widths[0], **halve), nn.ReLU(), nn.Conv2d(widths[0], widths[1], **halve), nn.ReLU(), nn.Flatten(),
        nn.Linear(math.prod(small) * widths[1], outputs, rng=rng),
    )  # fmt: skip


def conv_decoder(
    *, latent: int, widths: tuple[int, int], size: Size, upsample: bool = False, rng: Generator
) -> nn.Sequential:
    """Return a network that makes an image of a few numbers, the way back from `conv_encoder`.

    Args:
        latent: how many numbers.
        widths: as the encoder has them; here they come in reverse.
        size: (H, W, channels) of what it makes; H and W are multiples of 4.
        upsample: whether it enlarges by repetition and a plain convolution, not by a transposed convolution.
        rng: draws the initial weights.

    Raises:
        ValueError: H or W is not a multiple of 4.

    Example:
        >>> import numpy as np
        >>> conv_decoder(latent=6, widths=(4, 8), size=(28, 28, 1), rng=Generator(0))(np.zeros((5, 6), "float32")).shape
        (5, 28, 28, 1)
    """
    small = _quarter(size, "conv_decoder")

    def double(before: int, after: int) -> list[nn.Module]:
        if upsample:
            return [nn.Upsample2d(2), nn.Conv2d(before, after, kernel_size=3, padding="same", rng=rng)]
        return [nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1, rng=rng)]

    return nn.Sequential(
        nn.Linear(latent, math.prod(small) * widths[1], rng=rng), nn.ReLU(), nn.Reshape(*small, widths[1]),
        *double(widths[1], widths[0]), nn.ReLU(), *double(widths[0], size[2]),
    )  # fmt: skip


def _quarter(size: Size, function: str) -> tuple[int, int]:
    height, width, _ = size
    if height % 4 or width % 4:
        raise ValueError(
            f"{function}: images of {height} x {width} pixels cannot be halved twice; expected multiples of 4"
        )
    return height // 4, width // 4
