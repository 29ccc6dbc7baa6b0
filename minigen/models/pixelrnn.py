"""PixelRNN: distributions of images by LSTMs that walk over them (van den Oord et al. 2016a, "Pixel Recurrent Neural Networks").

    p(x) = prod_i p(x_i | x_1, ..., x_i-1),                          pixels row by row, each from left to right        equation 1

An LSTM's layer goes over the image line by line, all pixels of a line at once (section 3.1 and 3.2):

    a = K_is * x + K_ss * h,        i, f, g, o = the quarters of a under sigmoid, sigmoid, tanh, sigmoid               equation 3
    c' = f c + i g,    h' = o tanh(c')                                                 h and c of the line before, h' and c' of this one

K_is * x, "input-to-state", is a masked convolution of the layer's input, for all lines at once; K_ss * h, "state-to-state", is one without
a mask over the states of the line before. There are two kinds:

    Row LSTM           lines are rows. K_is is 1 x k along the row, masked, K_ss 1 x k over the row above: what a pixel sees is a triangle
                       above it, which does not reach all of the image
    Diagonal BiLSTM    lines are diagonals. K_is is 1 x 1; K_ss sees the pixel to the left and the one above, and through them all that is
                       to the left above. A second LSTM walks from the right: its map is shifted down by one row, so that no pixel to come
                       is seen, and added. Together, with one layer, they see all pixels before each one, but for the last of the row
                       above: features tell of the pixels before their own place, so those above tell of all but that one, and it is
                       seen only where the first convolution reaches it

Several of them are stacked with residual connections (section 3.3 and 3.4, figure 5, table 1):

    h <- conv 7x7, mask A                                            of the image: without the pixel itself
    h <- h + conv 1x1(LSTM(h))                                       several times; 2h -> h -> 2h channels
    parameters of p(x_i | ...) <- conv 1x1(relu(conv 1x1(relu(h))))
"""

from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.backend import array_module
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike
from minigen.kernels.image_lstm.lines import offsets
from minigen.kernels.raster.network import Layer, Network
from minigen.models.conditionals import Conditional
from minigen.models.raster import RasterModel, Size, check_kernels, head, head_layers, layer, run_head
from minigen.ops.image_lstm import image_lstm
from minigen.random import Generator

KINDS = ("row", "diagonal")


def by_gate(x: Any, *, colours: int) -> Any:
    """Return channels gate by gate in place of colour by colour, (..., colours 4 f) -> (..., 4 colours f).

    Masks want the channels of a colour side by side, and an LSTM those of a gate.

    Example:
        >>> import numpy as np
        >>> by_gate(np.array(["Ri", "Rf", "Rg", "Ro", "Gi", "Gf", "Gg", "Go"]), colours=2)
        array(['Ri', 'Gi', 'Rf', 'Gf', 'Rg', 'Gg', 'Ro', 'Go'], dtype='<U2')
    """
    if colours == 1:
        return x
    *places, channels = x.shape
    parts = ops.reshape(x, shape=(*places, colours, 4, channels // (4 * colours)))
    return ops.reshape(ops.moveaxis(parts, -3, -2), shape=x.shape)


class ImageLSTM(nn.Module):
    """One LSTM that walks over an image.

    Args:
        in_features: channels of the input.
        features: h, channels of the states, a multiple of the colours.
        direction: "down", row by row, or along the diagonals to the "right" or to the "left".
        kernel_size: k of the walk down, odd; the other two have kernels of their own.
        colours: blocks of channels in an order of their own.
        rng: draws the initial weights.

    Attributes:
        input_to_state: K_is.
        state_to_state: K_ss, (taps, h, 4h).

    Example:
        >>> import numpy as np
        >>> lstm = ImageLSTM(8, 4, direction="right", rng=Generator(0))
        >>> lstm(np.zeros((2, 5, 5, 8), "float32")).shape
        (2, 5, 5, 4)
    """

    def __init__(
        self, in_features: int, features: int, *, direction: str, kernel_size: int = 1, colours: int = 1, rng: Generator
    ) -> None:
        self.direction, self.colours = direction, colours
        self.input_to_state = nn.MaskedConv2d(
            in_features, 4 * features, kernel_size=(1, kernel_size), kind="B", colours=colours, rng=rng
        )
        self.taps = offsets(direction, kernel_size)
        bound = (len(self.taps) * features) ** -0.5
        self.state_to_state = nn.Parameter(
            rng.uniform((len(self.taps), features, 4 * features), low=-bound, high=bound)
        )

    def forward(self, x: TensorLike) -> Tensor:
        """Return the states, (N, H, W, C) -> (N, H, W, h)."""
        gates = by_gate(self.input_to_state(x), colours=self.colours)  # (N, H, W, 4h)
        return image_lstm(gates, self.state_to_state, direction=self.direction)

    def states(self, source: str, target: str, *, colour: int | None = None, **settings: Any) -> Layer:
        """Return K_ss as a `Layer`: for a colour, or for all of them, colour by colour.

        Args:
            source: the plane of the states.
            target, settings: as of `Layer`.
            colour: the block of its outputs, 4h in all, or None for all.
        """
        weight = raw(self.state_to_state)
        taps, features, outputs = weight.shape
        f = features // self.colours
        blocks = weight.reshape(taps, features, 4, self.colours, f).swapaxes(2, 3).reshape(weight.shape)
        if colour is not None:
            outputs = 4 * f
            blocks = blocks[..., colour * outputs : (colour + 1) * outputs]
        return Layer(
            source, target, blocks, array_module(weight).zeros(outputs, weight.dtype), self.taps, channel=(colour or 0) * outputs,
            **settings,
        )  # fmt: skip


class RowLSTM(nn.Module):
    """An LSTM that walks down the rows.

    Args:
        in_features: channels of the input.
        features: h.
        kernel_size: k, odd.
        colours: blocks of channels in an order of their own.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> RowLSTM(8, 4, kernel_size=3, colours=1, rng=Generator(0))(np.zeros((2, 5, 5, 8), "float32")).shape
        (2, 5, 5, 4)
    """

    def __init__(self, in_features: int, features: int, *, kernel_size: int, colours: int, rng: Generator) -> None:
        self.down = ImageLSTM(
            in_features, features, direction="down", kernel_size=kernel_size, colours=colours, rng=rng
        )

    def forward(self, x: TensorLike) -> Tensor:
        """Return the states, (N, H, W, C) -> (N, H, W, h)."""
        return self.down(x)

    def rows(self, source: str, target: str, up: nn.MaskedConv2d) -> tuple[Layer, ...]:
        """Return the layers that look at rows above only: K_ss. The arguments are those of `DiagonalBiLSTM.rows`."""
        return (self.down.states(target, f"{target} above"),)

    def pixels(self, source: str, target: str, **block_of: Any) -> tuple[Layer, ...]:
        """Return the layers of a colour at a pixel: K_is, and the gates."""
        gates = layer(
            self.down.input_to_state, source, target, activation="lstm", added=(f"{target} above",), **block_of
        )
        return (gates._replace(cell=f"{target} cells", before=(-1, 0)),)

    def added(self, target: str) -> tuple[str, ...]:
        """Return the planes that are added where the states have gone through the convolution that widens them: none."""
        return ()


class DiagonalBiLSTM(nn.Module):
    """Two LSTMs that walk along the diagonals: to the right from the upper left corner, and to the left from the upper right one.

    Args:
        in_features: channels of the input.
        features: h, of both.
        colours: blocks of channels in an order of their own; of rows above, which is all that the one to the left is asked for, every
            colour may be seen.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> DiagonalBiLSTM(8, 4, colours=1, rng=Generator(0))(np.zeros((2, 5, 5, 8), "float32")).shape
        (2, 5, 5, 4)
    """

    def __init__(self, in_features: int, features: int, *, colours: int, rng: Generator) -> None:
        self.right = ImageLSTM(in_features, features, direction="right", colours=colours, rng=rng)
        self.left = ImageLSTM(in_features, features, direction="left", rng=rng)

    def forward(self, x: TensorLike) -> Tensor:
        """Return the sum of the states, those of the walk to the left shifted down, (N, H, W, C) -> (N, H, W, h)."""
        shifted = ops.pad(self.left(x)[:, :-1], width=((0, 0), (1, 0), (0, 0), (0, 0)))
        return self.right(x) + shifted

    def rows(self, source: str, target: str, up: nn.MaskedConv2d) -> tuple[Layer, ...]:
        """Return the layers that look at rows above only: the walk to the left over the row above, and its share of what comes next.

        That the map is shifted down is here a convolution whose one tap is the pixel above.
        """
        left, inputs = f"{target} left", f"{target} left inputs"
        share = layer(up, left, f"{target} share")
        return (
            layer(self.left.input_to_state, source, inputs)._replace(offsets=((-1, 0),)),
            self.left.states(
                left, left, added=(inputs,), activation="lstm", cell=f"{left} cells", before=(0, 1), leftwards=True
            ),
            share._replace(bias=array_module(share.bias).zeros_like(share.bias)),
        )

    def pixels(self, source: str, target: str, **block_of: Any) -> tuple[Layer, ...]:
        """Return the layers of a colour at a pixel: the walk to the right."""
        inputs = f"{target} inputs"
        return (
            layer(self.right.input_to_state, source, inputs, **block_of),
            self.right.states(
                target, target, colour=block_of["colour"], added=(inputs,), activation="lstm", cell=f"{target} cells", before=(0, -1)
            ),
        )  # fmt: skip

    def added(self, target: str) -> tuple[str, ...]:
        """Return the planes that are added where the states have gone through the convolution that widens them: the other walk's share."""
        return (f"{target} share",)


class RecurrentBlock(nn.Module):
    """The image's features, and what LSTMs of half as many add to them (figure 5, right).

    Args:
        features: 2h.
        kind: "row" or "diagonal".
        kernel_size: k of the Row LSTM.
        colours: blocks of channels in an order of their own.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> block = RecurrentBlock(8, kind="diagonal", kernel_size=3, colours=1, rng=Generator(0))
        >>> block(np.zeros((2, 5, 5, 8), "float32")).shape
        (2, 5, 5, 8)
    """

    def __init__(self, features: int, *, kind: str, kernel_size: int, colours: int, rng: Generator) -> None:
        half = features // 2
        self.lstm: RowLSTM | DiagonalBiLSTM = (
            RowLSTM(features, half, kernel_size=kernel_size, colours=colours, rng=rng)
            if kind == "row"
            else DiagonalBiLSTM(features, half, colours=colours, rng=rng)
        )
        self.up = nn.MaskedConv2d(half, features, kernel_size=1, kind="B", colours=colours, rng=rng)

    def forward(self, x: TensorLike) -> Tensor:
        """Return the features, (N, H, W, 2h) -> (N, H, W, 2h)."""
        return x + self.up(self.lstm(x))


class PixelRNN(RasterModel):
    """A PixelRNN of images (H, W, C).

    Args:
        size: (H, W, C).
        conditional: p(x_i | ...), such as `BernoulliConditional()`.
        kind: of LSTMs, "row" or "diagonal".
        features: 2h, a multiple of 2C.
        layers: of LSTMs.
        kernel_size: of the first convolution.
        row_kernel_size: k of the Row LSTM.
        head_features: between the last two convolutions, a multiple of C; by default 2h.
        rng: draws the initial weights, which are put on its device.

    Raises:
        ValueError: settings out of range.

    Example:
        >>> import numpy as np
        >>> from minigen.models.conditionals import BernoulliConditional
        >>> model = PixelRNN((8, 8, 1), BernoulliConditional(), kind="diagonal", features=16, layers=2, rng=Generator(0))
        >>> model.sample(3, rng=Generator(1)).shape, model.log_prob(np.zeros((2, 8, 8, 1), "float32")).shape
        ((3, 8, 8, 1), (2,))
    """

    def __init__(
        self,
        size: Size,
        conditional: Conditional,
        *,
        kind: str,
        features: int = 32,
        layers: int = 3,
        kernel_size: int = 7,
        row_kernel_size: int = 3,
        head_features: int | None = None,
        rng: Generator,
    ) -> None:
        super().__init__(size, conditional)
        colours = self.colours
        hidden = features if head_features is None else head_features
        if kind not in KINDS:
            raise ValueError(f"PixelRNN: kind is {kind!r}, expected one of {KINDS}")
        if layers < 1 or features < 1 or features % (2 * colours) or hidden < 1 or hidden % colours:
            raise ValueError(
                f"PixelRNN: layers = {layers} must be at least 1; for images of {colours} channels features = {features} must be a "
                f"multiple of {2 * colours}, head_features = {hidden} one of {colours}"
            )
        check_kernels("PixelRNN", kernel_size=kernel_size, row_kernel_size=row_kernel_size)
        self.first = nn.MaskedConv2d(colours, features, kernel_size=kernel_size, kind="A", colours=colours, rng=rng)
        self.blocks = [
            RecurrentBlock(features, kind=kind, kernel_size=row_kernel_size, colours=colours, rng=rng)
            for _ in range(layers)
        ]
        self.head = head(features, hidden, self, rng=rng)

    def outputs(self, x: Any, condition: TensorLike | None) -> Any:
        """See `RasterModel.outputs`."""
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        return run_head(self.head, h)

    def network(self, condition: TensorLike | None) -> Network:
        """See `RasterModel.network`; the plane "h0" and so on are h, "states0" and so on are those of the LSTMs."""
        final = len(self.blocks) - 1

        def pixels(colour: int) -> list[Layer]:
            block_of: dict[str, Any] = {"colour": colour, "colours": self.colours}
            found = [layer(self.first, "image", "h0", **block_of)]
            for b, block in enumerate(self.blocks):
                source, states = f"h{b}", f"states{b}"
                found += block.lstm.pixels(source, states, **block_of)
                found += [
                    layer(
                        block.up, states, f"h{b + 1}", added=(source, *block.lstm.added(states)),
                        activation="relu" if b == final else "", **block_of,
                    )
                ]  # fmt: skip
            return found + head_layers(self.head, f"h{len(self.blocks)}", colour, self.colours)

        rows = [block.lstm.rows(f"h{b}", f"states{b}", block.up) for b, block in enumerate(self.blocks)]
        return Network(sum(rows, ()), tuple(tuple(pixels(colour)) for colour in range(self.colours)))
