"""What is to be computed at each pixel of an image that is drawn row by row, and what must be remembered for it.

A layer's output at a pixel is

    total = sum over taps of source[pixel + offset(tap)] @ weight[tap] + bias + added[pixel],       target[pixel] = activation(total)

or, with the quarters i, f, g, o of the total under sigmoid, sigmoid, tanh, sigmoid, an LSTM's

    cell[pixel] = f cell[pixel + before] + i g,                              target[pixel] = o tanh(cell[pixel])

where the offsets lead to pixels that come before, or to the pixel itself. So at each pixel every layer is computed once and at that pixel
alone, from values that are there already: as many products as one forward pass has, where computing all pixels anew for each of them
takes as many passes as there are pixels (Ramachandran et al. 2017, "Fast generation for convolutional autoregressive models").

The values of a layer are a *plane*. Of each plane only the last few rows are kept, as many as its readers look back, one below the other in
a ring: row r is written where row r - R stood. Around the rows is a margin of zeros, which is the padding of the convolutions.
"""

from collections.abc import Iterator
from typing import NamedTuple

from minigen.backend import Array
from minigen.kernels.convolution.geometry import Pair

IMAGE = "image"
"""The plane that holds what is drawn, as the network takes it."""


class Layer(NamedTuple):
    """One convolution of the network, with what comes before and after it.

    Attributes:
        source: the plane that is read.
        target: the plane that is written.
        weight: of the taps, (T, C, K).
        bias: (K,), or (N, K) where each example has its own.
        offsets: of the taps, (row, column) from the pixel; no row is below it.
        activation: "" for none, "relu", "gate": tanh of the first half of the K channels times the sigmoid of the second; or "lstm".
        added: planes that are added to the total.
        kept: a plane where the total before the activation is left, or "".
        channel: the first of its K channels in `added` and `kept`. In the target, where a gate writes K/2 and an LSTM K/4 of them, the
            first is a half or a quarter of that.
        cell: of an LSTM, the plane of its cells, with the channels of the target.
        before: of an LSTM, the offset of the pixel that the cell comes from.
        leftwards: whether the pixels of a row are computed one after the other, from right to left; only for what looks at rows above and
            its own pixels to the right. There is none in the first row, above which there is nothing.
    """

    source: str
    target: str
    weight: Array
    bias: Array
    offsets: tuple[Pair, ...]
    activation: str = ""
    added: tuple[str, ...] = ()
    kept: str = ""
    channel: int = 0
    cell: str = ""
    before: Pair = (0, 0)
    leftwards: bool = False

    @property
    def target_channels(self) -> tuple[int, int]:
        """The first channel of the target that is written, and how many there are."""
        parts = {"gate": 2, "lstm": 4}.get(self.activation, 1)
        return self.channel // parts, self.weight.shape[2] // parts


class Network(NamedTuple):
    """The layers in the order of their computation.

    Attributes:
        rows: those that look at rows above only; they are computed for a whole row, before its first pixel.
        colours: for each colour, those that are computed before it is drawn at a pixel; the last of each gives its parameters.
    """

    rows: tuple[Layer, ...]
    colours: tuple[tuple[Layer, ...], ...]

    @property
    def layers(self) -> Iterator[Layer]:
        """All of them."""
        yield from self.rows
        for layers in self.colours:
            yield from layers


class Plane(NamedTuple):
    """The size of a plane.

    Attributes:
        channels: C.
        rows: R, how many are kept.
        margin: columns of zeros on each side.
    """

    channels: int
    rows: int
    margin: int


def planes(network: Network) -> dict[str, Plane]:
    """Return the planes of a network, each as small as its readers allow.

    Example:
        >>> import numpy as np
        >>> first = Layer("image", "seen", np.ones((2, 1, 8)), np.zeros(8), ((-1, 0), (0, -1)), "relu")
        >>> last = Layer("seen", "parameters", np.ones((1, 8, 1)), np.zeros(1), ((0, 0),))
        >>> planes(Network((), ((first, last),)))["image"]
        Plane(channels=1, rows=2, margin=1)
    """
    found = {IMAGE: Plane(len(network.colours), 1, 0)}
    for layer in network.layers:
        width = layer.channel + layer.weight.shape[2]
        target = sum(layer.target_channels)
        for name, channels in (
            (layer.target, target), (layer.cell, target), (layer.kept, width), (layer.source, 0), *((name, width) for name in layer.added)
        ):  # fmt: skip
            if name:
                before = found.get(name, Plane(0, 1, 0))
                found[name] = before._replace(channels=max(before.channels, channels))
        for name, offsets in ((layer.source, layer.offsets), (layer.cell, (layer.before,))):
            if name:
                read = found[name]
                found[name] = read._replace(
                    rows=max([read.rows, *(1 - row for row, _ in offsets)]),
                    margin=max([read.margin, *(abs(column) for _, column in offsets)]),
                )
    return found
