"""Autoencoders: an encoder E says a few numbers about an image x, its code z, and a decoder D makes the image again of them.

    z = E(x),   y = D(z),   loss = -log p(x | y)            mean over images, in nats; p is one of models/likelihoods.py

It is the reconstruction error: for normal pixels of scale s, |x - y|^2 / 2 s^2 and a constant; for bits with logits y, the cross-entropy.
Whatever is trained on, figures are compared by |x - m|^2 with m = E[x | y], summed over pixels, as by Hinton & Salakhutdinov 2006.

A *linear* autoencoder, z = x W + b and y = z V + c under the squared error, has one minimum up to the choice of axes of z: W V projects on
the span of the first principal components of the images, and its error is the sum of the other eigenvalues of their covariance. All
other points without a slope are saddles, one for each choice of other components (Baldi & Hornik 1989, "Neural networks and principal
component analysis: learning from examples without local minima", section 2). With *tied* weights, V = W^T, the axes of z are orthonormal
at the minimum. Nonlinear layers between make the plane of the principal components a curved surface (Hinton & Salakhutdinov 2006,
"Reducing the dimensionality of data with neural networks").

A *denoising* autoencoder sees a spoiled image x' ~ q(x' | x), and is to make x of it (Vincent et al. 2008, "Extracting and composing robust
features with denoising autoencoders"; Vincent et al. 2010, "Stacked denoising autoencoders", on other kinds of corruption):

    loss = E_q(x'|x)[-log p(x | D(E(x')))]

Under the squared error the best answer is the mean of all that x may have been; for normal noise of scale s it is a step uphill on the
density of what is seen (Miyasawa 1961; Alain & Bengio 2014, "What regularized auto-encoders learn", for autoencoders):

    D(E(x')) = E[x | x'] = x' + s^2 grad log p_s(x')            p_s: the density of x' = x + s e
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array
from minigen.distributions import Distribution
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.models.image_networks import Size, conv_decoder, conv_encoder
from minigen.models.likelihoods import Likelihood, pixel_likelihood
from minigen.models.perceptron import mlp
from minigen.random import Generator

Corruption = Callable[..., Array]
"""q(x' | x): called with images (N, H, W, C) and rng=, it returns spoiled ones of the same shape; data/corruption.py has some."""


class Autoencoder(nn.Module):
    """An autoencoder of images (H, W, C); with a corruption, a denoising one.

    Args:
        encoder: E, maps x, (N, H, W, C), to z, (N, d).
        decoder: D, maps z, (N, d), to y, (N, H, W, outputs * C).
        size: (H, W, C).
        likelihood: p(x | y).
        corrupt: q(x' | x), for training only; None shows the encoder the image itself.

    Example:
        >>> autoencoder = mlp_autoencoder(size=(8, 8, 1), hidden=(32,), code=2, rng=Generator(0))
        >>> images = np.zeros((5, 8, 8, 1), "float32")
        >>> loss, terms = autoencoder.loss(images)
        >>> loss.shape, list(terms), autoencoder.codes(images).shape, autoencoder.reconstruct(images).shape
        ((), ['loss', 'squared_error'], (5, 2), (5, 8, 8, 1))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        size: Size,
        likelihood: Likelihood,
        corrupt: Corruption | None = None,
    ) -> None:
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.size, self.corrupt = size, corrupt

    def encode(self, x: TensorLike) -> Tensor:
        """Return the codes z = E(x), (N, H, W, C) -> (N, d).

        Raises:
            ValueError: images of another size.
        """
        if x.shape[1:] != self.size:
            raise ValueError(
                f"Autoencoder: images of shape {x.shape}, expected (N, H, W, C) = (N, {', '.join(map(str, self.size))})"
            )
        return self.encoder(x)

    def decode(self, z: TensorLike) -> Distribution:
        """Return p(x | D(z)), z (..., d) -> batch shape (..., H, W, C)."""
        y = self.decoder(ops.reshape(z, shape=(-1, z.shape[-1])))  # (M, H, W, outputs * C)
        return self.likelihood(ops.reshape(y, shape=(*z.shape[:-1], *y.shape[1:])))

    def loss(self, batch: TensorLike, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what training minimises, the mean over a batch (N, H, W, C) in nats per image, and its terms.

        Args:
            batch: images x.
            rng: draws what the corruption needs, on the device of the images.

        Returns:
            -log p(x | y), and the terms "loss", the same, and "squared_error", |x - E[x | y]|^2 summed over pixels.

        Raises:
            ValueError: images of another size, or pixels that the likelihood does not allow.
        """
        self.likelihood.check(batch, "Autoencoder")
        seen = self.corrupt(raw(batch), rng=rng) if self.corrupt else batch
        p = self.decode(self.encode(seen))
        loss = -ops.mean(p.joint_log_prob(batch, axes=3))
        with no_grad():
            difference = p.mean - batch
            squared_error = ops.mean(ops.sum(difference * difference, axis=(1, 2, 3)))
        return loss, {"loss": loss.detach(), "squared_error": squared_error}

    # -- what a trained one says; without a graph, a few hundred images at a time

    def codes(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return z of any number of images, (N, H, W, C) -> (N, d)."""
        return self._evaluated(self.encode, images)

    def mean_images(self, z: TensorLike) -> Array:
        """Return E[x | D(z)], (..., d) -> (..., H, W, C)."""
        with no_grad():
            return raw(self.decode(z).mean)

    def reconstruct(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return E[x | D(E(x))] of any number of images, (N, H, W, C); of spoiled ones, what they were."""
        return self._evaluated(lambda x: self.decode(self.encode(x)).mean, images)

    def _evaluated(self, function: Callable[[Tensor], Tensor], images: NDArray[np.float32]) -> NDArray[np.float32]:
        return nn.in_batches(function, images, device=self.parameters()[0].device)


class Transposed(nn.Module):
    """The way back through a linear layer, z W^T + c: the weights are the layer's own, the bias is new.

    Args:
        layer: its W, (in, out), maps x to z.

    Example:
        >>> layer = nn.Linear(64, 2, rng=Generator(0))
        >>> back = Transposed(layer)
        >>> back(np.zeros((5, 2), "float32")).shape, list(nn.Sequential(layer, back).named_parameters())
        ((5, 64), ['layers.0.weight', 'layers.0.bias', 'layers.1.bias'])
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.weight = layer.weight
        self.bias = nn.Parameter(ops.zeros(layer.weight.shape[0]).data)

    def forward(self, z: TensorLike) -> Tensor:
        """Return z W^T + c, (..., out) -> (..., in)."""
        return ops.linear(z, ops.transpose(self.weight), self.bias)


def mlp_autoencoder(
    *,
    size: Size,
    hidden: tuple[int, ...] = (1000, 500, 250),
    code: int = 30,
    likelihood: str = "bernoulli",
    scale: float = 1.0,
    activation: Callable[[], nn.Module] = nn.ReLU,
    tied: bool = False,
    corrupt: Corruption | None = None,
    rng: Generator,
) -> Autoencoder:
    """Return an autoencoder of fully connected layers, whose code is linear; by default that of Hinton & Salakhutdinov 2006.

    Args:
        size: (H, W, C) of an image.
        hidden: units of the encoder's hidden layers, in order; the decoder has them in reverse. None of them, (), and a Gaussian
            likelihood make the linear autoencoder.
        code: d.
        likelihood: by name; see `pixel_likelihood`.
        scale: s, of the Gaussian ones.
        activation: makes the nonlinearity after each hidden layer.
        tied: whether the decoder's weights are the encoder's, transposed; for likelihoods of one number a pixel.
        corrupt: see `Autoencoder`.
        rng: draws the initial weights.

    Raises:
        ValueError: tied weights, and a likelihood that needs more than one number a pixel.

    Example:
        >>> linear = mlp_autoencoder(size=(8, 8, 1), hidden=(), code=3, likelihood="gaussian", tied=True, rng=Generator(0))
        >>> linear
        Autoencoder(259 parameters)
    """
    observed = pixel_likelihood(likelihood, scale=scale)
    height, width, channels = size
    outputs = (height, width, observed.outputs * channels)
    there = mlp((math.prod(size), *hidden, code), rng=rng, activation=activation)
    if not tied:
        back = mlp((code, *reversed(hidden), math.prod(outputs)), rng=rng, activation=activation)
    elif observed.outputs == 1:
        back = [Transposed(layer) if isinstance(layer, nn.Linear) else activation() for layer in reversed(there)]
    else:
        raise ValueError(
            f"mlp_autoencoder: the likelihood {likelihood!r} needs {observed.outputs} numbers a pixel, but with tied weights there is one"
        )
    encoder = nn.Sequential(nn.Flatten(), *there)
    decoder = nn.Sequential(*back, nn.Reshape(*outputs))
    return Autoencoder(encoder, decoder, size=size, likelihood=observed, corrupt=corrupt)


def conv_autoencoder(
    *,
    size: Size,
    widths: tuple[int, int] = (32, 64),
    code: int = 16,
    likelihood: str = "bernoulli",
    scale: float = 1.0,
    upsample: bool = False,
    corrupt: Corruption | None = None,
    rng: Generator,
) -> Autoencoder:
    """Return an autoencoder whose encoder halves the image twice by strided convolutions, and whose decoder doubles it twice.

    Args:
        size: (H, W, C) of an image; H and W are multiples of 4.
        widths: channels after the encoder's first and second convolution.
        code: d.
        likelihood: by name; see `pixel_likelihood`.
        scale: s, of the Gaussian ones.
        upsample: whether the decoder repeats pixels and convolves, in place of transposed convolutions.
        corrupt: see `Autoencoder`.
        rng: draws the initial weights.

    Raises:
        ValueError: H or W is not a multiple of 4.

    Example:
        >>> conv_autoencoder(size=(8, 8, 1), code=4, rng=Generator(0)).mean_images(np.zeros((2, 4), "float32")).shape
        (2, 8, 8, 1)
    """
    observed = pixel_likelihood(likelihood, scale=scale)
    height, width, channels = size
    encoder = conv_encoder(size=size, widths=widths, outputs=code, rng=rng)
    decoder = conv_decoder(
        latent=code, widths=widths, size=(height, width, observed.outputs * channels), upsample=upsample, rng=rng
    )
    return Autoencoder(encoder, decoder, size=size, likelihood=observed, corrupt=corrupt)
