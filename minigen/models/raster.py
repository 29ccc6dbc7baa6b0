"""What PixelCNNs and PixelRNNs share: images drawn row by row, each from left to right, red before green before blue.

    p(x) = prod_i p(x_i,R | x_<i) p(x_i,G | x_<i, x_i,R) p(x_i,B | x_<i, x_i,R, x_i,G)       van den Oord et al. 2016a, section 2

All C channels of a pixel are in this order, whatever they are. Every layer of such a network looks back only: it is a masked convolution
(`nn.MaskedConv2d`), or an LSTM that walks over the image. A model says twice what it computes: as operations on whole images, from which
log p and gradients come, and as a list of layers, which `kernels.raster_walk` computes at one pixel after the other.
"""

from collections.abc import Iterable
from typing import Any

import minigen.ops as ops
from minigen import kernels, nn
from minigen.backend import Array, array_module
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike
from minigen.kernels.raster.network import Layer, Network
from minigen.models.autoregressive import Autoregressive
from minigen.models.conditionals import Conditional
from minigen.random import Generator

Size = tuple[int, int, int]  # (H, W, C) of an image


class RasterModel(Autoregressive):
    """The base class. A subclass defines `outputs` and `network`, which must say the same.

    Args:
        size: (H, W, C).
        conditional: p(x_i | ...).
        classes: how many, if the model is conditioned on classes.
        embedding_features: E, if it is conditioned on embeddings.

    Raises:
        ValueError: a size below 1, or two kinds of conditions.
    """

    def __init__(
        self, size: Size, conditional: Conditional, *, classes: int | None = None, embedding_features: int | None = None
    ) -> None:
        name = type(self).__name__
        if len(size) != 3 or min(size) < 1:
            raise ValueError(f"{name}: size is {size}, expected (H, W, C) of at least 1")
        if classes is not None and embedding_features is not None:
            raise ValueError(
                f"{name}: classes = {classes} and embedding_features = {embedding_features}; expected one of them at most"
            )
        self.size, self.conditional = (size[0], size[1], size[2]), conditional
        self.classes, self.embedding_features = classes, embedding_features

    @property
    def colours(self) -> int:
        """C."""
        return self.size[2]

    def outputs(self, x: Any, condition: TensorLike | None) -> Any:
        """Return all parameters, those of each colour side by side: (N, H, W, C), as a network takes it -> (N, H, W, C P)."""
        raise NotImplementedError(f"{type(self).__name__} defines no outputs")

    def network(self, condition: TensorLike | None) -> Network:
        """Return the layers behind `outputs`."""
        raise NotImplementedError(f"{type(self).__name__} defines no network")

    def predict(self, x: TensorLike, condition: TensorLike | None = None) -> Any:
        """See `Autoregressive.predict`."""
        self.check_condition(condition, len(x))
        found = self.outputs(self.conditional.scaled(self.as_floats(x)), condition)
        return ops.reshape(found, shape=(*x.shape, self.conditional.outputs))

    def stepper(self, n: int, condition: TensorLike | None = None) -> "RasterStepper":
        """See `Autoregressive.stepper`."""
        self.check_condition(condition, n)
        return RasterStepper(self, n, condition)


class RasterStepper:
    """Computes at each pixel what is new there. Each layer remembers as many rows as the next one looks back."""

    def __init__(self, model: RasterModel, n: int, condition: TensorLike | None) -> None:
        _, self.width, self.colours = model.size
        self.scaled = model.conditional.scaled
        self.walk = kernels.raster_walk(model.network(condition), n=n, width=self.width)

    def parameters(self, x: Array, i: int) -> Array:
        """See `Stepper`."""
        if i > 0:
            self.walk.put(*self._place(i - 1), self.scaled(x[:, i - 1]))
        row, column, colour = self._place(i)
        if column == colour == 0:
            self.walk.row(row)
        return self.walk.parameters(row, column, colour)

    def _place(self, i: int) -> tuple[int, int, int]:
        pixel, colour = divmod(i, self.colours)
        return *divmod(pixel, self.width), colour


def layer(
    convolution: nn.MaskedConv2d | nn.Conv2d,
    source: str,
    target: str,
    *,
    activation: str = "",
    added: tuple[str, ...] = (),
    kept: str = "",
    shift: TensorLike | None = None,
    colour: int = 0,
    colours: int = 1,
) -> Layer:
    """Return a convolution as a `Layer`: its live taps, and the block of its outputs that belongs to a colour.

    Args:
        convolution: masked, of an odd kernel, with as many pixels going out as come in; or a plain one of 1 x 1.
        source, target, activation, added, kept: as of `Layer`.
        shift: what each example adds to the bias, (N, K), or None.
        colour: the block.
        colours: how many blocks there are.

    Raises:
        ValueError: a plain convolution of another kernel, which sees what comes later.

    Example:
        >>> convolution = nn.MaskedConv2d(1, 8, kernel_size=3, kind="A", rng=Generator(0))
        >>> layer(convolution, "image", "seen").offsets
        ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    """
    weight, bias, taps = raw(convolution.weight), raw(convolution.bias), [(0, 0)]
    height, width, channels, outputs = weight.shape
    if isinstance(convolution, nn.MaskedConv2d):
        if convolution.mask is not None:
            weight = weight * raw(convolution.mask)
        taps = [(int(i), int(j)) for i, j in zip(*convolution.taps.nonzero(), strict=True)]
    elif (height, width) != (1, 1):
        raise ValueError(
            f"layer: a plain convolution of {height} x {width} sees pixels to come; expected 1 x 1, or a masked one"
        )
    if shift is not None:
        bias = bias + raw(shift)  # (N, K)
    live = array_module(weight).asarray([width * i + j for i, j in taps])
    block = outputs // colours
    first = colour * block
    flat = weight.reshape(height * width, channels, outputs)[..., first : first + block]
    return Layer(
        source, target, flat.take(live, axis=0), bias[..., first : first + block],
        tuple((i - height // 2, j - width // 2) for i, j in taps), activation, added, kept, first,
    )  # fmt: skip


def check_kernels(owner: str, *, kernel_size: int, **others: int) -> None:
    """Refuse sizes of kernels without a middle, and a first kernel that sees nothing.

    Args:
        owner: opens the message.
        kernel_size: of the first convolution, whose mask leaves out the pixel itself.
        **others: of those behind it, by name.

    Raises:
        ValueError: an even size, or one that is too small.
    """
    for name, size, least in (("kernel_size", kernel_size, 3), *((name, size, 1) for name, size in others.items())):
        if size < least or size % 2 == 0:
            raise ValueError(f"{owner}: {name} = {size} must be odd and at least {least}")


def head(features: int, hidden: int, model: RasterModel, *, rng: Generator) -> list[nn.MaskedConv2d]:
    """Return the two 1x1 convolutions that end a network.

    Args:
        features: channels that come in.
        hidden: channels between the two.
        model: says how many go out.
        rng: draws the initial weights.
    """
    outputs = model.colours * model.conditional.outputs
    return [
        nn.MaskedConv2d(before, after, kernel_size=1, kind="B", colours=model.colours, rng=rng)
        for before, after in ((features, hidden), (hidden, outputs))
    ]


def run_head(convolutions: Iterable[nn.MaskedConv2d], x: Any) -> Any:
    """Return the head's output, each convolution after a ReLU."""
    for convolution in convolutions:
        x = convolution(ops.relu(x))
    return x


def head_layers(convolutions: list[nn.MaskedConv2d], source: str, colour: int, colours: int) -> list[Layer]:
    """Return the head as layers; the source is the plane after the first ReLU."""
    first, last = convolutions
    return [
        layer(first, source, "head", activation="relu", colour=colour, colours=colours),
        layer(last, "head", "parameters", colour=colour, colours=colours),
    ]


def condition_map(
    outputs: int, *, classes: int | None, embedding_features: int | None, rng: Generator
) -> nn.Module | None:
    """Return what makes of a condition numbers that are added to features: a row for each class, a linear map of an embedding, or None.

    At first it adds little: rows are N(0, 0.1^2).

    Example:
        >>> import numpy as np
        >>> condition_map(16, classes=10, embedding_features=None, rng=Generator(0))(np.array([3, 3])).shape
        (2, 16)
    """
    if classes is not None:
        table = nn.Embedding(classes, outputs, rng=rng)
        table.weight.data *= 0.1
        return table
    return None if embedding_features is None else nn.Linear(embedding_features, outputs, rng=rng, bias=False)


def shifted(x: Any, shift: Tensor | None) -> Any:
    """Return features, (N, H, W, K), with numbers of each example, (N, K), added to all its pixels; without any, as they are."""
    return x if shift is None else x + ops.expand_dims(shift, (1, 2))
