"""An encoder and a decoder that say of every pixel whether it belongs to an object (Ronneberger, Fischer & Brox 2015, "U-Net").

With h_0 = x, an image of H x W pixels, and two 3 x 3 convolutions with rectifiers as f and g,

    e_l = f_l(h_l),   h_l+1 = pool(e_l),      l = 0 ... L-1     pool halves the height and the width: what is where becomes coarser
    u_L = f_L(h_L)
    u_l = g_l([up(u_l+1), e_l]),              l = L-1 ... 0     up doubles them; e_l, by the *skip connection*, says where exactly
    p(mask_i = 1 | x) = sigmoid(w u_0,i + b)                    for each pixel i

    loss = -sum_i log p(mask_i | x)                             the cross-entropy, in nats per image

Without the skips the same network must keep all places in its smallest layer, as an autoencoder does. A segmentation is judged by the
intersection over the union of the pixels P that it finds and those M of the mask, |P and M| / |P or M|; accuracy would praise an empty P.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigen.ops as ops
from minigen import nn
from minigen.distributions import Bernoulli
from minigen.engine import Tensor, TensorLike
from minigen.random import Generator


def intersection_over_union(found: ArrayLike, masks: ArrayLike) -> NDArray[np.float64]:
    """Return |P and M| / |P or M| of each image.

    Args:
        found: P, (N, ...), true or 1 where the object was found.
        masks: M, of the same shape.

    Returns:
        (N,), in [0, 1]; 1 where there is nothing, and nothing was found.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> intersection_over_union([[1, 1, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 0]])
        array([0.33333333, 1.        ])
    """
    p, m = (np.asarray(array) != 0 for array in (found, masks))
    if p.shape != m.shape:
        raise ValueError(
            f"intersection_over_union: found {p.shape} and masks {m.shape} must have the same shape (N, ...)"
        )
    axes = tuple(range(1, p.ndim))
    both, either = (p & m).sum(axis=axes), (p | m).sum(axis=axes)
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


class Segmenter(nn.Module):
    """A network of L levels for masks of one object.

    Args:
        size: (H, W), multiples of 2^L.
        channels: C of an image.
        widths: channels of the layers of each level, from the image's own to the smallest: L + 1 of them.
        skips: whether there are skip connections.
        rng: draws the initial weights.

    Raises:
        ValueError: the images cannot be halved L times.

    Example:
        >>> segmenter = Segmenter(size=(16, 16), widths=(4, 8), rng=Generator(0))
        >>> images, masks = np.zeros((5, 16, 16, 1), "float32"), np.ones((5, 16, 16, 1), "float32")
        >>> loss, terms = segmenter.loss((images, masks))
        >>> loss.shape, list(terms), segmenter.predict(images).shape
        ((), ['cross_entropy'], (5, 16, 16, 1))
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        channels: int = 1,
        widths: tuple[int, ...] = (16, 32, 64),
        skips: bool = True,
        rng: Generator,
    ) -> None:
        factor = 2 ** (len(widths) - 1)
        if not widths or size[0] % factor or size[1] % factor:
            raise ValueError(
                f"Segmenter: images of size {tuple(size)} and widths {tuple(widths)}; expected at least one width, and sides that are "
                f"multiples of {factor}"
            )
        self.size, self.skips = tuple(size), skips
        self.down = [_two_convolutions(before, after, rng) for before, after in pairwise((channels, *widths))]
        self.up = [
            _two_convolutions(after + before if skips else after, before, rng) for before, after in pairwise(widths)
        ]
        self.last = nn.Conv2d(widths[0], 1, kernel_size=1, rng=rng)

    def forward(self, x: TensorLike) -> Tensor:
        """Return the logits of the mask, (N, H, W, C) -> (N, H, W, 1)."""
        if x.shape[1:3] != self.size:
            raise ValueError(f"Segmenter: images of shape {x.shape}, expected (N, {self.size[0]}, {self.size[1]}, C)")
        passed = []
        *halved, smallest = self.down
        for block in halved:
            passed.append(block(x))  # e_l
            x = ops.max_pool2d(passed[-1], kernel_size=2)
        x = smallest(x)
        for block, e in zip(reversed(self.up), reversed(passed), strict=True):
            x = ops.upsample2d(x, factor=2)
            x = block(ops.concatenate([x, e], axis=-1) if self.skips else x)
        return self.last(x)

    def loss(
        self, batch: tuple[TensorLike, TensorLike], *, rng: Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the cross-entropy of masks, (N, H, W, 1), given images, (N, H, W, C), in nats per image."""
        images, masks = batch
        loss = -ops.mean(Bernoulli(logits=self(images)).joint_log_prob(masks, axes=3))
        return loss, {"cross_entropy": loss.detach()}

    def predict(self, images: NDArray[np.float32], *, batch_size: int = 250) -> NDArray[np.float32]:
        """Return p(mask = 1 | x) of every pixel of any number of images, (N, H, W, C) -> (N, H, W, 1), without a graph."""
        return nn.in_batches(
            lambda x: ops.sigmoid(self(x)), images, device=self.last.weight.device, batch_size=batch_size
        )


def _two_convolutions(before: int, after: int, rng: Generator) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding="same", rng=rng), nn.ReLU(),
        nn.Conv2d(after, after, kernel_size=3, padding="same", rng=rng), nn.ReLU(),
    )  # fmt: skip
