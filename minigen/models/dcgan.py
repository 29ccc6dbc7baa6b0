"""GANs of images: deep convolutional ones, and those that are told a class.

DCGAN (Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks") found
by trial what makes convolutional GANs trainable. Its guidelines, section 3:

    1  strides in place of pooling: G enlarges by transposed convolutions, D shrinks by convolutions, each by 2
    2  batch normalization in both, but neither at G's output nor at D's input
    3  no fully connected hidden layers
    4  ReLU in G, and tanh at its output: pixels are in [-1, 1]
    5  leaky ReLU of slope 0.2 in D

With L the number of times that an image of H x W can be halved, h = H / 2^L and w = W / 2^L,

    G:  z -> (h, w, 2^(L-1) F) -> (2h, 2w, 2^(L-2) F) -> ... -> (H/2, W/2, F) -> (H, W, C)
    D:  (H, W, C) -> (H/2, W/2, F) -> ... -> (h, w, 2^(L-1) F) = phi(x) -> a score

and all weights are N(0, 0.02^2) at first (section 4). Kernels are 4 x 4, a multiple of the stride, so that all pixels of G get equally many
terms. A D whose slope at single examples is penalized has no batch normalization, which would mix them; for the hinge loss it has spectral
normalization in its place (Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks").

A class y of K enters each network in one of two ways:

    G   concatenation         y as K numbers, a 1 among zeros, beside z                         Mirza & Osindero 2014
        normalization         a scale and a shift of each class in every batch normalization    Dumoulin et al. 2017; de Vries et al. 2017
    D   concatenation         y as K planes, one of them all 1, beside the image's channels     Mirza & Osindero 2014
        projection            l(x, y) = psi(phi(x)) + <v_y, sum over places of phi(x)>          Miyato & Koyama 2018, equation 3

Projection is the form that log p(x | y) / q(x | y) + log p(y) / q(y) has where classes differ by an exponential family in phi.
"""

from itertools import pairwise
from typing import Any, Literal

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, array_module
from minigen.engine import Tensor, TensorLike
from minigen.losses import AdversarialLoss, adversarial
from minigen.models.gan import GAN
from minigen.models.judge import ImagePool, Judge
from minigen.ops.index import check_indices
from minigen.random import Generator
from minigen.sizes import counts

Size = tuple[int, int, int]  # (H, W, C) of an image
Norm = Literal["batch", "spectral", "none"]

SPREAD = 0.02
"""The standard deviation of the first weights."""


class DCGANGenerator(nn.Module):
    """The generator G of the module's docstring.

    Args:
        size: (H, W, C) of an image.
        latent: the dimension of z.
        width: F.
        classes: K; 0 for a generator that is told nothing.
        condition: how a class enters.
        rng: draws the initial weights.

    Raises:
        ValueError: an image of this size cannot be halved twice, or a number is out of range.

    Example:
        >>> generator = DCGANGenerator(size=(8, 8, 1), latent=16, width=8, rng=Generator(0))
        >>> generator(np.zeros((5, 16), "float32")).shape
        (5, 8, 8, 1)
    """

    def __init__(
        self,
        *,
        size: Size,
        latent: int,
        width: int,
        classes: int = 0,
        condition: Literal["concatenation", "normalization"] = "normalization",
        rng: Generator,
    ) -> None:
        (height, wide), levels = halved("DCGANGenerator", size)
        latent, width = counts("DCGANGenerator", latent=latent, width=width)
        _check_way("DCGANGenerator", condition, ("concatenation", "normalization"))
        self.classes, self.condition = classes, condition if classes else None
        channels = [width * 2**level for level in reversed(range(levels))]
        inputs = latent + (classes if self.condition == "concatenation" else 0)
        settings: dict[str, Any] = {"bias": False, "rng": rng, "initialize": _first_weights}
        self.convolutions: list[nn.Module] = [
            nn.ConvTranspose2d(inputs, channels[0], kernel_size=(height, wide), **settings)
        ]
        settings |= {"kernel_size": 4, "stride": 2, "padding": 1}
        self.convolutions += [nn.ConvTranspose2d(before, after, **settings) for before, after in pairwise(channels)]
        self.last = nn.ConvTranspose2d(channels[-1], size[2], **(settings | {"bias": True}))
        self.norms: list[nn.Module] = [
            nn.ConditionalBatchNorm(c, classes) if self.condition == "normalization" else nn.BatchNorm(c)
            for c in channels
        ]

    def forward(self, z: TensorLike, labels: Any = None) -> Tensor:
        """Return images with pixels in [-1, 1], (N, latent) -> (N, H, W, C).

        Args:
            z: noise.
            labels: integers (N,) in [0, K), for a generator that is told a class.
        """
        _check_condition("DCGANGenerator", self.classes, labels)
        told = (labels,) if self.condition == "normalization" else ()
        if self.condition == "concatenation":
            z = ops.concatenate([z, one_hot(labels, self.classes)], axis=1)
        x = ops.reshape(z, shape=(len(z), 1, 1, -1))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(norm(convolution(x), *told))
        return ops.tanh(self.last(x))


class DCGANDiscriminator(nn.Module):
    """The discriminator D of the module's docstring.

    Args:
        size: (H, W, C) of an image.
        width: F.
        norm: what normalizes its layers.
        classes: K; 0 for a discriminator that is told nothing.
        condition: how a class enters.
        rng: draws the initial weights.

    Raises:
        ValueError: an image of this size cannot be halved twice, or a number is out of range.

    Example:
        >>> discriminator = DCGANDiscriminator(size=(8, 8, 1), width=8, rng=Generator(0))
        >>> discriminator(np.zeros((5, 8, 8, 1), "float32")).shape
        (5, 1)
    """

    def __init__(
        self,
        *,
        size: Size,
        width: int,
        norm: Norm = "batch",
        classes: int = 0,
        condition: Literal["concatenation", "projection"] = "projection",
        rng: Generator,
    ) -> None:
        (height, wide), levels = halved("DCGANDiscriminator", size)
        (width,) = counts("DCGANDiscriminator", width=width)
        _check_way("DCGANDiscriminator", condition, ("concatenation", "projection"))
        if norm not in ("batch", "spectral", "none"):
            raise ValueError(f"DCGANDiscriminator: norm is {norm!r}, expected 'batch', 'spectral' or 'none'")
        self.classes, self.condition = classes, condition if classes else None

        def layer(made: nn.Module) -> nn.Module:
            return nn.SpectralNorm(made, rng=rng) if norm == "spectral" else made

        inputs = size[2] + (classes if self.condition == "concatenation" else 0)
        channels = [inputs, *(width * 2**level for level in range(levels))]
        self.blocks: list[nn.Sequential] = []
        for level, (before, after) in enumerate(pairwise(channels)):
            is_normalized = norm == "batch" and level > 0
            convolution = nn.Conv2d(
                before,
                after,
                kernel_size=4,
                stride=2,
                padding=1,
                bias=not is_normalized,
                rng=rng,
                initialize=_first_weights,
            )
            norms = [nn.BatchNorm(after)] if is_normalized else []
            self.blocks.append(nn.Sequential(layer(convolution), *norms, nn.LeakyReLU(slope=0.2)))
        self.last = layer(nn.Conv2d(channels[-1], 1, kernel_size=(height, wide), rng=rng, initialize=_first_weights))
        self.projection: nn.Module | None = None
        if self.condition == "projection":
            vectors = nn.Embedding(classes, channels[-1], rng=rng)
            vectors.weight.assign(SPREAD * vectors.weight.data)
            self.projection = layer(vectors)

    def forward(self, x: TensorLike, labels: Any = None) -> Tensor:
        """Return scores, (N, H, W, C) -> (N, 1).

        Args:
            x: images, pixels in [-1, 1].
            labels: integers (N,) in [0, K), for a discriminator that is told a class.
        """
        _check_condition("DCGANDiscriminator", self.classes, labels)
        if self.condition == "concatenation":
            planes = ops.reshape(one_hot(labels, self.classes), shape=(len(x), 1, 1, self.classes))
            x = ops.concatenate([x, ops.broadcast_to(planes, shape=(*x.shape[:3], self.classes))], axis=3)
        phi = self.layers(x)[-1]  # (N, h, w, 2^(L-1) F)
        score = nn.Flatten()(self.last(phi))  # psi(phi(x)), (N, 1)
        if self.projection is None:
            return score
        check_indices("DCGANDiscriminator", labels, self.classes, name="labels")
        return score + ops.sum(self.projection(labels) * ops.sum(phi, axis=(1, 2)), axis=1, keepdims=True)

    def layers(self, x: TensorLike) -> list[Tensor]:
        """Return the activations of all layers but the last, first to last, (N, H, W, C) -> (N, H/2^l, W/2^l, channels)."""
        found: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def features(self, x: TensorLike, *, grid: int = 4) -> Tensor:
        """Return what a classifier may learn from: every layer's activations, each pooled by its maxima to a small grid (section 5.1).

        Only for a discriminator that is not told a class, or told it by projection.

        Args:
            x: images, (N, H, W, C).
            grid: the height and width to which layers are pooled, where they are larger; those that it does not divide stay as they are.

        Returns:
            (N, features).
        """
        pooled = []
        for activations in self.layers(x):
            factor = activations.shape[1] // grid
            is_whole = factor > 1 and not (activations.shape[1] % grid or activations.shape[2] % factor)
            pooled.append(nn.Flatten()(ops.max_pool2d(activations, kernel_size=factor) if is_whole else activations))
        return ops.concatenate(pooled, axis=1)


def dcgan(
    *,
    size: Size,
    latent: int = 64,
    width: int = 64,
    loss: str | AdversarialLoss = "nonsaturating",
    noise: Literal["normal", "uniform"] = "uniform",
    critic_steps: int = 1,
    classes: int = 0,
    tell_generator: Literal["concatenation", "normalization"] = "normalization",
    tell_discriminator: Literal["concatenation", "projection"] = "projection",
    pool: int = 0,
    rng: Generator,
) -> GAN:
    """Return a GAN of images, whose discriminator is normalized as its loss allows.

    Args:
        size: (H, W, C) of an image, such as (8, 8, 1), (28, 28, 1) or (64, 64, 3).
        latent: the dimension of z.
        width: F, the filters next to the image.
        loss: as for `Judge`.
        noise, critic_steps: as for `GAN`.
        classes: K, for a GAN that is told a class; 0 for one that is not.
        tell_generator, tell_discriminator: how the class enters.
        pool: generated images that are shown again later; 0 for none. See `ImagePool`.
        rng: draws the initial weights.

    Raises:
        ValueError: an image of this size cannot be halved twice, or a setting is out of range.

    Example:
        >>> rng = Generator(0)
        >>> gan = dcgan(size=(8, 8, 1), latent=16, width=8, classes=10, rng=rng)
        >>> gan.sample(3, np.array([0, 5, 9]), rng=rng).shape
        (3, 8, 8, 1)
    """
    rules = adversarial(loss) if isinstance(loss, str) else loss
    norm: Norm = "none" if rules.penalty or rules.r1 else "spectral" if rules.name == "hinge" else "batch"
    generator = DCGANGenerator(
        size=size, latent=latent, width=width, classes=classes, condition=tell_generator, rng=rng
    )
    discriminator = DCGANDiscriminator(
        size=size, width=width, norm=norm, classes=classes, condition=tell_discriminator, rng=rng
    )
    judge = Judge(discriminator, loss=rules, pool=ImagePool(pool, size) if pool else None)
    return GAN(generator, judge, latent=latent, noise=noise, critic_steps=critic_steps)


def halved(owner: str, size: Size) -> tuple[tuple[int, int], int]:
    """Return the height and width at which halving an image ends, and how often it is halved: twice, or more as long as 4 pixels are left.

    Raises:
        ValueError: the image cannot be halved twice.

    Example:
        >>> [halved("it", (n, n, 1)) for n in (8, 16, 28, 32, 64)]
        [((2, 2), 2), ((4, 4), 2), ((7, 7), 2), ((4, 4), 3), ((4, 4), 4)]
    """
    height, width, _ = counts(owner, height=size[0], width=size[1], channels=size[2])
    if height % 4 or width % 4:
        raise ValueError(
            f"{owner}: images of {height} x {width} pixels cannot be halved twice; expected multiples of 4"
        )
    times = 4
    while not (height % (2 * times) or width % (2 * times)) and min(height, width) >= 8 * times:
        times *= 2
    return (height // times, width // times), times.bit_length() - 1


def one_hot(labels: Any, classes: int) -> Array:
    """Return labels, (N,), as rows of zeros with a 1 at the label, (N, K), float32.

    Raises:
        TypeError: the labels are not integers.
        IndexError: one is outside [0, K).

    Example:
        >>> one_hot(np.array([2, 0]), 3)
        array([[0., 0., 1.],
               [1., 0., 0.]], dtype=float32)
    """
    check_indices("one_hot", labels, classes, name="labels")
    values = labels.data if isinstance(labels, Tensor) else labels
    return (values[:, None] == array_module(values).arange(classes)).astype(np.float32)


def _first_weights(shape: tuple[int, ...], rng: Generator) -> Array:
    return rng.normal(shape, scale=SPREAD)


def _check_way(owner: str, way: str, known: tuple[str, str]) -> None:
    if way not in known:
        raise ValueError(f"{owner}: condition is {way!r}, expected {known[0]!r} or {known[1]!r}")


def _check_condition(owner: str, classes: int, labels: Any) -> None:
    if classes and labels is None:
        raise ValueError(
            f"{owner}: the labels are missing; the network is told one of {classes} classes for each example"
        )
    if labels is not None and not classes:
        raise ValueError(f"{owner}: there are labels, but the network was made without classes")
