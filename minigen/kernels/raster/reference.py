"""The walk of a network of masked convolutions and LSTMs over an image, in plain array code."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigen.backend import Array, array_module
from minigen.kernels import reference
from minigen.kernels.raster.network import IMAGE, Layer, Network, planes


class Walk:
    """N images of one width, on which a network is computed pixel by pixel.

    For each row from the first to the last call `row`, and then for each of its pixels, colour by colour, `parameters` and `put`.

    Args:
        network: its layers.
        n: N.
        width: of the images.

    Example:
        >>> layer = Layer("image", "sum", np.ones((2, 1, 1)), np.zeros(1), ((0, -1), (-1, 0)))
        >>> walk = Walk(Network((), ((layer,),)), n=1, width=2)
        >>> for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        ...     walk.put(row, column, 0, 1.0 + walk.parameters(row, column, 0)[:, 0])
        >>> walk.parameters(1, 1, 0)  # 2 to the left and 2 above
        array([[4.]])
    """

    def __init__(self, network: Network, *, n: int, width: int) -> None:
        some = network.colours[0][0].weight
        module = array_module(some)
        sizes = planes(network)
        self.margins = {name: plane.margin for name, plane in sizes.items()}
        # The examples come last: so the taps of a pixel and their channels become the rows of one matrix, (T C, N), in one copy.
        self.planes = {
            name: module.zeros((rows, width + 2 * margin, channels, n), some.dtype)
            for name, (channels, rows, margin) in sizes.items()
        }

        def prepared(layers: Sequence[Layer]) -> list[tuple[Layer, Array, Array, Array]]:
            return [
                (
                    layer,
                    layer.weight.reshape(-1, layer.weight.shape[2]).T,  # (K, T C)
                    layer.bias.T if layer.bias.ndim == 2 else layer.bias[:, None],  # (K, N) or (K, 1)
                    module.asarray(self._places(layer, width)),
                )
                for layer in layers
            ]

        self.rows, self.colours = prepared(network.rows), [prepared(layers) for layers in network.colours]
        self.width = width

    def row(self, row: int) -> None:
        """Compute the layers that look at rows above only, for all pixels of a row."""
        for layer in self.rows:
            if not layer[0].leftwards:
                self._compute([layer], row, slice(0, self.width))
            elif row > 0:
                for column in range(self.width - 1, -1, -1):
                    self._compute([layer], row, slice(column, column + 1))

    def parameters(self, row: int, column: int, colour: int) -> Array:
        """Compute the layers of a colour at a pixel, and return the last one's outcome, (N, P)."""
        return self._compute(self.colours[colour], row, slice(column, column + 1))[0].T

    def put(self, row: int, column: int, colour: int, values: Array) -> None:
        """Write what was drawn into the image, (N,), as the network takes it."""
        image = self.planes[IMAGE]
        image[row % len(image), self.margins[IMAGE] + column, colour] = values

    def _places(self, layer: Layer, width: int) -> Array:
        """Return where each pixel's taps are in the plane that is read: for each row of the ring and each column, (R, W, T)."""
        rows, pitch = self.planes[layer.source].shape[:2]
        row, column = np.array(layer.offsets).T  # (T,) each
        ring = (np.arange(rows)[:, None] + row) % rows  # (R, T)
        return pitch * ring[:, None] + self.margins[layer.source] + np.arange(width)[:, None] + column

    def _compute(self, layers: Sequence[tuple[Layer, Array, Array, Array]], row: int, columns: slice) -> Any:
        """Compute layers at w pixels of a row; return the outcome of the last, (w, P, N)."""
        out = None
        for layer, weight, bias, places in layers:
            source = self.planes[layer.source]
            at = places[row % len(source), columns]  # (w, T)
            seen = source.reshape(-1, *source.shape[2:])[at]  # (w, T, C, N)
            total = weight @ seen.reshape(len(at), weight.shape[1], -1) + bias  # (K, T C) @ (w, T C, N)
            for name in layer.added:
                total += self._here(name, row, columns, layer.channel, len(weight))
            if layer.kept:
                self._here(layer.kept, row, columns, layer.channel, len(weight))[...] = total
            if layer.activation == "lstm":
                out = self._remember(layer, total, row, columns)
            elif layer.activation == "gate":
                half = len(weight) // 2
                out = reference.tanh(total[:, :half]) * reference.sigmoid(total[:, half:])
            else:
                out = reference.relu(total) if layer.activation == "relu" else total
            self._here(layer.target, row, columns, *layer.target_channels)[...] = out
        return out

    def _remember(self, layer: Layer, total: Array, row: int, columns: slice) -> Array:
        """Compute the cells of an LSTM at w pixels of a row, and return its states, from (w, K, N) to (w, K/4, N)."""
        down, right = layer.before
        channels, k = layer.target_channels, total.shape[1] // 4
        i, f, o = (reference.sigmoid(total[:, n * k : (n + 1) * k]) for n in (0, 1, 3))
        g = reference.tanh(total[:, 2 * k : 3 * k])
        old = self._here(layer.cell, row + down, slice(columns.start + right, columns.stop + right), *channels)
        cell = self._here(layer.cell, row, columns, *channels)
        cell[...] = f * old + i * g
        return o * reference.tanh(cell)

    def _here(self, name: str, row: int, columns: slice, channel: int, channels: int) -> Array:
        """Return some channels of a plane at pixels of a row, (w, channels, N), as a view."""
        plane, margin = self.planes[name], self.margins[name]
        return plane[row % len(plane), columns.start + margin : columns.stop + margin, channel : channel + channels]
