"""Gated PixelCNN (van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders").

Two stacks of masked convolutions see together all pixels that come before, with no blind spot: the *vertical* one, v, all rows above, the
*horizontal* one, h, its own row to the left, and what the vertical one says of the pixel (section 2.2, figure 2). Each layer is, with n x n
and 1 x n kernels,

    a <- conv n x n(v) + V_v s                      b <- conv 1 x n(h) + conv 1x1(a) + V_h s
    v <- gate(a)                                    h <- h + conv 1x1(gate(b))                       the first layer without the h

    gate(a) = tanh(a_1) * sigmoid(a_2),             the two halves of the channels                   equations 2 and 4

s is what the image is conditioned on, the one-hot vector of a class or an embedding; V s is a bias for all pixels (equation 4). The
parameters of p(x_i | ...) are those of `pixelcnn.py`: conv 1x1(relu(conv 1x1(relu(h)))).
"""

from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.engine import TensorLike
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


def gate(x: Any, *, colours: int = 1) -> Any:
    """Return tanh(x_1) * sigmoid(x_2), (N, H, W, 2p) -> (N, H, W, p).

    Args:
        x: blocks of channels, one for each colour; x_1 and x_2 are the halves of a block.
        colours: how many blocks there are.

    Example:
        >>> import numpy as np
        >>> gate(np.array([9.0, 9.0, 0.0, 9.0]).reshape(1, 1, 1, 4)).round(2)
        array([[[[0.5, 1. ]]]])
    """
    *places, channels = x.shape
    if colours > 1:
        x = ops.reshape(x, shape=(*places, colours, channels // colours))
    y = ops.gated_tanh(x)
    return y if colours == 1 else ops.reshape(y, shape=(*places, channels // 2))


class GatedLayer(nn.Module):
    """One layer of both stacks.

    Args:
        in_features: channels of v and of h.
        features: p, channels that come out.
        kernel_size: n.
        kind: "A" for the layer that sees the image, "B" for those that see features.
        colours: blocks of channels of h in an order of their own.
        classes, embedding_features: of the condition.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((2, 5, 5, 1), "float32")
        >>> layer = GatedLayer(1, 8, kernel_size=7, kind="A", colours=1, classes=None, embedding_features=None, rng=Generator(0))
        >>> a, h = layer(x, x)
        >>> a.shape, h.shape
        ((2, 5, 5, 16), (2, 5, 5, 8))
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        kernel_size: int,
        kind: str,
        colours: int,
        classes: int | None,
        embedding_features: int | None,
        rng: Generator,
    ) -> None:
        self.colours, self.is_residual = colours, kind == "B"
        both = 2 * features
        self.vertical = nn.MaskedConv2d(
            in_features, both, kernel_size=kernel_size, kind=kind, stack="vertical", rng=rng
        )
        self.horizontal = nn.MaskedConv2d(
            in_features, both, kernel_size=(1, kernel_size), kind=kind, stack="horizontal", colours=colours, rng=rng
        )
        self.link = nn.Conv2d(both, both, kernel_size=1, rng=rng)
        self.last = nn.MaskedConv2d(features, features, kernel_size=1, kind="B", colours=colours, rng=rng)
        self.vertical_shift, self.horizontal_shift = (
            condition_map(both, classes=classes, embedding_features=embedding_features, rng=rng) for _ in range(2)
        )

    def forward(self, v: Any, h: Any, condition: TensorLike | None = None) -> tuple[Any, Any]:
        """Return a, (N, H, W, 2p), and h, (N, H, W, p). The next layer's v is gate(a); after the last, none is needed."""
        vertical_shift, horizontal_shift = self.shifts(condition)
        a = shifted(self.vertical(v), vertical_shift)
        b = shifted(self.horizontal(h) + self.link(a), horizontal_shift)
        change = self.last(gate(b, colours=self.colours))
        return a, h + change if self.is_residual else change

    def shifts(self, condition: TensorLike | None) -> tuple[Any, Any]:
        """Return V_v s and V_h s, (N, 2p) each, or None."""
        if self.vertical_shift is None or self.horizontal_shift is None:
            return None, None
        return self.vertical_shift(condition), self.horizontal_shift(condition)


class GatedPixelCNN(RasterModel):
    """A gated PixelCNN of images (H, W, C).

    Args:
        size: (H, W, C).
        conditional: p(x_i | ...), such as `BernoulliConditional()`.
        features: p, a multiple of C.
        layers: how many, the first included.
        kernel_size: n of the first layer.
        layer_kernel_size: n of the others.
        head_features: between the last two convolutions, a multiple of C; by default p.
        classes: how many, for a model p(x|y) of classes y.
        embedding_features: E, for a model p(x|s) of embeddings s, (N, E).
        rng: draws the initial weights, which are put on its device.

    Raises:
        ValueError: settings out of range.

    Example:
        >>> import numpy as np
        >>> from minigen.models.conditionals import BernoulliConditional
        >>> model = GatedPixelCNN((8, 8, 1), BernoulliConditional(), features=8, layers=2, classes=10, rng=Generator(0))
        >>> model.sample(3, rng=Generator(1), condition=np.array([4, 4, 7])).shape
        (3, 8, 8, 1)
    """

    def __init__(
        self,
        size: Size,
        conditional: Conditional,
        *,
        features: int = 32,
        layers: int = 5,
        kernel_size: int = 7,
        layer_kernel_size: int = 3,
        head_features: int | None = None,
        classes: int | None = None,
        embedding_features: int | None = None,
        rng: Generator,
    ) -> None:
        super().__init__(size, conditional, classes=classes, embedding_features=embedding_features)
        colours = self.colours
        hidden = features if head_features is None else head_features
        if layers < 1 or features < 1 or features % colours or hidden < 1 or hidden % colours:
            raise ValueError(
                f"GatedPixelCNN: layers = {layers} must be at least 1, features = {features} and head_features = {hidden} multiples of "
                f"{colours} for images of {colours} channels"
            )
        check_kernels("GatedPixelCNN", kernel_size=kernel_size, layer_kernel_size=layer_kernel_size)
        self.layers = [
            GatedLayer(
                colours if i == 0 else features, features, kernel_size=kernel_size if i == 0 else layer_kernel_size,
                kind="A" if i == 0 else "B", colours=colours, classes=classes, embedding_features=embedding_features, rng=rng,
            )
            for i in range(layers)
        ]  # fmt: skip
        self.head = head(features, hidden, self, rng=rng)

    def outputs(self, x: Any, condition: TensorLike | None) -> Any:
        """See `RasterModel.outputs`."""
        a, h = self.layers[0](x, x, condition)
        for gated in self.layers[1:]:
            a, h = gated(gate(a), h, condition)
        return run_head(self.head, h)

    def network(self, condition: TensorLike | None) -> Network:
        """See `RasterModel.network`. The vertical stack depends on rows above only."""
        shifts = [gated.shifts(condition) for gated in self.layers]
        final = len(self.layers) - 1

        rows: list[Layer] = []
        for i, gated in enumerate(self.layers):
            source = f"v{i}" if i > 0 else "image"
            if i < final:
                rows += [
                    layer(gated.vertical, source, f"v{i + 1}", activation="gate", kept=f"a{i}", shift=shifts[i][0])
                ]
            else:
                rows += [layer(gated.vertical, source, f"a{i}", shift=shifts[i][0])]
            rows += [layer(gated.link, f"a{i}", f"link{i}")]

        def pixels(colour: int) -> list[Layer]:
            block_of: dict[str, Any] = {"colour": colour, "colours": self.colours}
            found = []
            for i, gated in enumerate(self.layers):
                source, gates = f"h{i}" if i > 0 else "image", f"gates{i}"
                found += [
                    layer(
                        gated.horizontal, source, gates, activation="gate", added=(f"link{i}",), shift=shifts[i][1], **block_of
                    ),
                    layer(
                        gated.last, gates, f"h{i + 1}", activation="relu" if i == final else "",
                        added=(source,) if gated.is_residual else (), **block_of,
                    ),
                ]  # fmt: skip
            return found + head_layers(self.head, f"h{len(self.layers)}", colour, self.colours)

        return Network(tuple(rows), tuple(tuple(pixels(colour)) for colour in range(self.colours)))
