"""PixelCNN: a distribution of images by masked convolutions (van den Oord et al. 2016a, "Pixel Recurrent Neural Networks", section 3).

    p(x) = prod_i p(x_i | x_1, ..., x_i-1),                          pixels row by row, each from left to right        equation 1

All conditionals come from one pass of a network whose layers look back only (section 3.4, table 1):

    h <- conv 7x7, mask A                                            of the image: without the pixel itself
    h <- h + conv 1x1(relu(conv 3x3, mask B(relu(conv 1x1(relu(h))))))                 several times; 2h -> h -> h -> 2h   figure 5, left
    parameters of p(x_i | ...) <- conv 1x1(relu(conv 1x1(relu(h))))

A model of classes p(x|y) has a bias for each class beside that of every 3x3 convolution.

Masks in raster order, layer upon layer, leave a *blind spot*: a wedge of pixels to the right above comes into no conditional, however deep
the network (van den Oord et al. 2016b, figure 1). The gated PixelCNN of `gated_pixelcnn.py` has none.
"""

from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.engine import Tensor, TensorLike
from minigen.kernels.raster.network import Layer, Network
from minigen.models.conditionals import Conditional
from minigen.models.raster import (
    RasterModel,
    Size,
    check_kernels,
    condition_map,
    head,
    head_layers,
    layer,
    run_head,
    shifted,
)
from minigen.random import Generator


class MaskedBlock(nn.Module):
    """The image's features, and what a masked convolution of half as many channels adds to them.

    Args:
        features: 2h.
        kernel_size: of the masked convolution.
        colours: blocks of channels in an order of their own.
        classes: how many, if there are biases of classes.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> MaskedBlock(8, kernel_size=3, colours=1, classes=None, rng=Generator(0))(np.zeros((2, 5, 5, 8), "float32")).shape
        (2, 5, 5, 8)
    """

    def __init__(self, features: int, *, kernel_size: int, colours: int, classes: int | None, rng: Generator) -> None:
        def masked(before: int, after: int, kernel: int) -> nn.MaskedConv2d:
            return nn.MaskedConv2d(before, after, kernel_size=kernel, kind="B", colours=colours, rng=rng)

        half = features // 2
        self.narrow, self.masked, self.wide = (
            masked(features, half, 1),
            masked(half, half, kernel_size),
            masked(half, features, 1),
        )
        self.shift = condition_map(half, classes=classes, embedding_features=None, rng=rng)

    def forward(self, x: TensorLike, condition: TensorLike | None = None) -> Tensor:
        """Return the features, (N, H, W, 2h) -> (N, H, W, 2h)."""
        h = ops.relu(self.narrow(ops.relu(x)))
        h = shifted(self.masked(h), self.shift(condition) if self.shift else None)
        return x + self.wide(ops.relu(h))


class PixelCNN(RasterModel):
    """A PixelCNN of images (H, W, C).

    Args:
        size: (H, W, C).
        conditional: p(x_i | ...), such as `BernoulliConditional()`.
        features: 2h, a multiple of 2C.
        blocks: residual blocks.
        kernel_size: of the first convolution.
        block_kernel_size: of the blocks'.
        head_features: between the last two convolutions, a multiple of C; by default 2h.
        classes: how many, for a model p(x|y) of classes y; None for p(x).
        rng: draws the initial weights, which are put on its device.

    Raises:
        ValueError: settings out of range.

    Example:
        >>> import numpy as np
        >>> from minigen.models.conditionals import BernoulliConditional
        >>> model = PixelCNN((8, 8, 1), BernoulliConditional(), features=16, blocks=2, rng=Generator(0))
        >>> model.sample(3, rng=Generator(1)).shape, model.log_prob(np.zeros((2, 8, 8, 1), "float32")).shape
        ((3, 8, 8, 1), (2,))
    """

    def __init__(
        self,
        size: Size,
        conditional: Conditional,
        *,
        features: int = 64,
        blocks: int = 5,
        kernel_size: int = 7,
        block_kernel_size: int = 3,
        head_features: int | None = None,
        classes: int | None = None,
        rng: Generator,
    ) -> None:
        super().__init__(size, conditional, classes=classes)
        colours = self.colours
        hidden = features if head_features is None else head_features
        if blocks < 0 or features < 1 or features % (2 * colours) or hidden < 1 or hidden % colours:
            raise ValueError(
                f"PixelCNN: blocks = {blocks} must be at least 0, features = {features} a multiple of {2 * colours} and head_features = "
                f"{hidden} one of {colours} for images of {colours} channels"
            )
        check_kernels("PixelCNN", kernel_size=kernel_size, block_kernel_size=block_kernel_size)
        self.first = nn.MaskedConv2d(colours, features, kernel_size=kernel_size, kind="A", colours=colours, rng=rng)
        self.blocks = [
            MaskedBlock(features, kernel_size=block_kernel_size, colours=colours, classes=classes, rng=rng)
            for _ in range(blocks)
        ]
        self.head = head(features, hidden, self, rng=rng)

    def outputs(self, x: Any, condition: TensorLike | None) -> Any:
        """See `RasterModel.outputs`."""
        h = self.first(x)
        for block in self.blocks:
            h = block(h, condition)
        return run_head(self.head, h)

    def network(self, condition: TensorLike | None) -> Network:
        """See `RasterModel.network`; the plane "sum" is h, "h0" and so on are h after a ReLU."""

        def layers(colour: int) -> list[Layer]:
            block_of: dict[str, Any] = {"colour": colour, "colours": self.colours, "activation": "relu"}
            found = [layer(self.first, "image", "h0", kept="sum", **block_of)]
            for b, block in enumerate(self.blocks):
                shift = block.shift(condition) if block.shift else None
                found += [
                    layer(block.narrow, f"h{b}", f"narrow{b}", **block_of),
                    layer(block.masked, f"narrow{b}", f"masked{b}", shift=shift, **block_of),
                    layer(block.wide, f"masked{b}", f"h{b + 1}", added=("sum",), kept="sum", **block_of),
                ]
            return found + head_layers(self.head, f"h{len(self.blocks)}", colour, self.colours)

        return Network((), tuple(tuple(layers(colour)) for colour in range(self.colours)))
