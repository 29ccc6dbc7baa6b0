"""Networks to walk over images with, and the walk over images that are known."""

import numpy as np

from minigen.backend import to_device
from minigen.kernels.raster.network import Layer, Network


def random_layer(rng, n, source, target, channels, outputs, offsets, *, dtype, own_bias=False, **settings):
    weight = rng.standard_normal((len(offsets), channels, outputs)) / np.sqrt(len(offsets) * channels)
    bias = rng.standard_normal((n, outputs) if own_bias else outputs)
    return Layer(source, target, weight.astype(dtype), bias.astype(dtype), offsets, **settings)


def two_stacks(rng, n, colours, width, dtype):
    """A network with most kinds of layers: two stacks, a gate, what is added and what is kept, biases of examples."""

    def layer(*arguments, **settings):
        return random_layer(rng, n, *arguments, dtype=dtype, **settings)

    above = tuple((row, column) for row in (-2, -1) for column in range(-width, width + 1))
    rows = (
        layer("image", "v", colours, 2 * 5, above, activation="gate", kept="a", own_bias=True),
        layer("a", "link", 10, 12, ((0, 0),)),
    )
    pixels = (
        layer("image", "h", colours, 12, ((-1, 1), (-3, 0), (0, -width), (0, -1)), activation="gate", added=("link",)),
        layer("v", "w", 5, 6, ((0, 0), (-1, -1), (-1, 1)), activation="relu", added=("h",), kept="sum"),
        layer("w", "parameters", 6, 3, ((0, 0), (0, -1)), own_bias=True),
    )
    return Network(rows, (pixels,) * colours)


def three_lstms(rng, n, colours, width, dtype):
    """A network with LSTMs that walk down, to the left and to the right, with a block of channels to a colour in the last."""

    def layer(*arguments, **settings):
        return random_layer(rng, n, *arguments, dtype=dtype, **settings)

    def lstm(name, outputs, features, offsets, before, **settings):
        return layer(
            name, name, features, 4 * outputs, offsets, activation="lstm", added=(f"{name} inputs",), cell=f"{name} cells", before=before,
            **settings,
        )  # fmt: skip

    rows = (
        layer("image", "down inputs", colours, 8, ((-1, 0), (-1, width))),
        lstm("down", 2, 2, ((-1, -1), (-1, 0), (-1, 1)), (-1, 0)),
        layer("down", "left inputs", 2, 12, ((-1, 0), (0, -1), (0, 1))),
        lstm("left", 3, 3, ((0, 1), (-1, 0)), (0, 1), leftwards=True, own_bias=True),
        layer("left", "share", 3, 2 * colours, ((0, 0), (0, 1))),
    )

    def pixels(colour):
        return (
            layer("image", "right inputs", colours, 8, ((0, -1), (-2, 1)), channel=8 * colour),
            lstm("right", 2, 2 * colours, ((0, -1), (-1, 0)), (0, -1), channel=8 * colour),
            layer("right", "sum", 2 * colours, 2, ((0, 0), (0, -width)), channel=2 * colour, added=("share", "sum"), kept="sum"),
            layer("sum", "parameters", 2 * colours, 1, ((0, 0),), channel=colour),
        )  # fmt: skip

    return Network(rows, tuple(pixels(colour) for colour in range(colours)))


def with_arrays(network, moved):
    """The network with `moved(array)` in the place of every weight and bias."""

    def layers(group):
        return tuple(layer._replace(weight=moved(layer.weight), bias=moved(layer.bias)) for layer in group)

    return Network(layers(network.rows), tuple(map(layers, network.colours)))


def walked(walk, image):
    """Walk over images that are known, (N, H, W, C), and gather the parameters, (N, H, W, C, P)."""
    found = []
    for row, column in np.ndindex(image.shape[1:3]):
        if column == 0:
            walk.row(row)
        for colour in range(image.shape[3]):
            found.append(to_device(walk.parameters(row, column, colour), "cpu"))
            walk.put(row, column, colour, image[:, row, column, colour])
    return np.stack(found, axis=1).reshape(*image.shape, -1)
