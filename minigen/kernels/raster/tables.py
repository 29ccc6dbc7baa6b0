"""Where a compiled walk finds its numbers: all planes are pieces of one array, and so are all weights and all biases.

A plane is laid out as (R, W + margins, N, C), so that a tap's channels lie side by side. Tables of whole numbers say where everything
stands, and where *jumps* lead: from a pixel in the first row of a plane's ring to the pixels that a layer reads.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minigen.backend import Array, array_module
from minigen.kernels.raster.network import IMAGE, Layer, Network, Plane, planes

NONE = -1
"""The number of a plane that is not there."""

_ACTIVATIONS = {"": 0, "relu": 1, "gate": 2, "lstm": 3}
RELU, GATE, LSTM = (_ACTIVATIONS[name] for name in ("relu", "gate", "lstm"))

START, CHANNELS, PITCH, RING, PLANE_COLUMNS = range(5)
"""Columns of the table of planes: where a plane's first pixel stands, floats to a pixel of one example, to a row; rows of the ring. The
last says how many there are."""

SOURCE, TARGET, CELL, KEPT, CHANNEL, FIRST, WRITTEN, OUTPUTS, TAPS, JUMPS, WEIGHT, BIAS, BIAS_APART = range(13)
ACTIVATION, BEFORE_ROW, BEFORE_COLUMN, LEFTWARDS, ADDED = range(13, 18)
"""Columns of the table of layers: four planes; the first channel, that of the target and how many are written there; K; taps; where jumps,
weights and biases begin; from the bias of one example to the next; activation; row and column of the pixel that the cell comes from;
whether from right to left; the planes added, as many as there are."""


class Group(NamedTuple):
    """Layers that are computed one after the other.

    Attributes:
        table: a row for each.
        products: multiplications for one pixel of one example.
    """

    table: Array
    products: int


class _Pieces:
    """Arrays that are laid one after the other.

    Example:
        >>> pieces = _Pieces()
        >>> pieces.append(np.zeros(3)), pieces.append(np.ones(2)), pieces.joined()
        (0, 3, array([0., 0., 0., 1., 1.]))
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.size = 0

    def append(self, array: Array) -> int:
        """Lay an array behind the others, and return where it begins."""
        self.arrays.append(array.ravel())
        self.size += array.size
        return self.size - array.size

    def joined(self) -> Array:
        """Return all of them as one."""
        return array_module(self.arrays[0]).concatenate(self.arrays)


class TableWalk:
    """The base class of the compiled walks; see `reference.Walk`. A subclass defines `compute`, and may lay out numbers otherwise."""

    def __init__(self, network: Network, *, n: int, width: int) -> None:
        sizes = planes(network)
        number_of = {name: i for i, name in enumerate(sizes)} | {"": NONE}
        self.plane_table = np.empty((len(sizes), PLANE_COLUMNS), np.int64)
        size = 0
        for entry, (channels, rows, margin) in zip(self.plane_table, sizes.values(), strict=True):
            pitch = (width + 2 * margin) * n * channels
            entry[:] = size + margin * n * channels, channels, pitch, rows
            size += rows * pitch
        self.memory = array_module(network.colours[0][0].weight).zeros(size, np.float32)
        weights, biases, jumps = _Pieces(), _Pieces(), _Pieces()

        def group(layers: Sequence[Layer]) -> Group:
            most = max([1, *(len(layer.added) for layer in layers)])
            table = np.full((len(layers), ADDED + most), NONE, np.int64)
            for entry, layer in zip(table, layers, strict=True):
                taps, _, outputs = layer.weight.shape
                bias = self.laid_out_bias(layer.bias.reshape(-1, outputs))
                entry[:ADDED] = (
                    number_of[layer.source], number_of[layer.target], number_of[layer.cell], number_of[layer.kept], layer.channel,
                    *layer.target_channels, outputs, taps, jumps.append(self.jumps_of(layer, number_of[layer.source], n)),
                    weights.append(self.laid_out_weight(layer.weight)), biases.append(bias), bias.shape[1] if len(bias) > 1 else 0,
                    _ACTIVATIONS[layer.activation], *layer.before, layer.leftwards,
                )  # fmt: skip
                entry[ADDED : ADDED + len(layer.added)] = [number_of[name] for name in layer.added]
            return Group(table, sum(layer.weight.size for layer in layers))

        self.rows, self.colours = group(network.rows), [group(layers) for layers in network.colours]
        self.weights, self.biases, self.jumps = weights.joined(), biases.joined(), jumps.joined()
        self.n, self.width = n, width
        self.image = self._view(sizes[IMAGE], number_of[IMAGE])
        self.outcomes = []
        for *_, last in network.colours:
            channel, channels = last.target_channels
            whole = self._view(sizes[last.target], number_of[last.target])
            self.outcomes.append(whole[..., channel : channel + channels])

    def row(self, row: int) -> None:
        """See `reference.Walk.row`."""
        if len(self.rows.table):
            self.compute(self.rows, row, 0, self.width)

    def parameters(self, row: int, column: int, colour: int) -> Array:
        """See `reference.Walk.parameters`."""
        self.compute(self.colours[colour], row, column, column + 1)
        outcome = self.outcomes[colour]
        return outcome[row % len(outcome), column].copy()

    def put(self, row: int, column: int, colour: int, values: Array) -> None:
        """See `reference.Walk.put`."""
        self.image[row % len(self.image), column, :, colour] = values

    def compute(self, group: Group, row: int, first: int, last: int) -> None:
        """Compute layers at the columns from first up to last of a row."""
        raise NotImplementedError(f"{type(self).__module__}.{type(self).__name__} defines no compute")

    @staticmethod
    def laid_out_weight(weight: Array) -> Array:
        """Return a weight, (T, C, K), in the order in which it is read."""
        return weight

    @staticmethod
    def laid_out_bias(bias: Array) -> Array:
        """Return a bias, (1, K) or (N, K), as it is read."""
        return bias

    def jumps_of(self, layer: Layer, source: int, n: int) -> Array:
        """Return where the taps are from the first row of the ring, in floats, for each row of the ring that the pixel is in: (R, T)."""
        _, channels, pitch, rows = self.plane_table[source]
        row, column = np.array(layer.offsets).T  # (T,) each
        return (np.arange(rows)[:, None] + row) % rows * pitch + column * n * channels

    def _view(self, plane: Plane, number: int) -> Array:
        """Return a plane without its margins as a view, (R, W, N, C)."""
        shape = plane.rows, self.width + 2 * plane.margin, self.n, plane.channels
        start = int(self.plane_table[number, START]) - plane.margin * self.n * plane.channels
        whole = self.memory[start : start + math.prod(shape)].reshape(shape)
        return whole[:, plane.margin : plane.margin + self.width]
