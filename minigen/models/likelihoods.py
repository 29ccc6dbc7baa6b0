"""What a decoder's numbers say about pixels: the observation model p(x | y), y the decoder's output.

    Bernoulli                  log p(x | y) = sum x y - softplus(y)                        y the logit of a pixel that is 0 or 1
    Gaussian, fixed scale      log p(x | y) = sum -(x - y)^2 / 2 s^2 - log s - log(2 pi)/2     s given
    Gaussian, learned scale    the same, with one log s^2 for all pixels, learned with the weights
    Gaussian, scale by pixel   y = (mean, log s^2), both from the decoder

The first two are the reconstruction errors of an autoencoder: the binary cross-entropy, and for s = 1 half the squared error and a
constant. With a fixed scale, 2 s^2 is the weight of a squared error against other terms, so s is not a detail: when it is learned, its best
value is the root of the mean squared error (Rybkin et al. 2021, "Simple and effective VAE training with calibrated decoders", equation 7).
"""

import math

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import device_of
from minigen.distributions import Bernoulli, Distribution, Normal
from minigen.distributions.distribution import raw
from minigen.engine import TensorLike, is_debugging

LEAST_LOG_VARIANCE = math.log(1e-4)  # s > 0.01: the density of a pixel that never varies has no bound


class Likelihood(nn.Module):
    """The observation model of images with C channels.

    Attributes:
        outputs: how many numbers the decoder gives for each channel of a pixel.
        support: what a value of a pixel may be, as (least, greatest).
    """

    outputs = 1
    support = (-math.inf, math.inf)

    def forward(self, y: TensorLike) -> Distribution:
        """Return p(x | y) of each pixel, y (..., outputs * C) -> batch shape (..., C)."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def check(self, x: TensorLike, owner: str) -> None:
        """Refuse pixels that the model cannot have produced. On a GPU they are looked at only while debugging.

        Args:
            x: images of any shape.
            owner: opens the message.

        Raises:
            ValueError: a pixel lies outside the support.
        """
        array = raw(x)
        if self.support == (-math.inf, math.inf) or not array.size or not (device_of(array) == "cpu" or is_debugging()):
            return
        least, greatest = float(array.min()), float(array.max())
        if not (self.support[0] <= least and greatest <= self.support[1]):
            raise ValueError(
                f"{owner}: pixels from {least:g} to {greatest:g}, but {type(self).__name__} is about values in "
                f"[{self.support[0]:g}, {self.support[1]:g}]; `Images.unit` gives such, or take a Gaussian likelihood"
            )


class BernoulliLikelihood(Likelihood):
    """Bits, or grey values in their place: see `distributions.Bernoulli.log_prob`.

    Example:
        >>> p = BernoulliLikelihood()(np.zeros((2, 8, 8, 1), "float32"))
        >>> p.batch_shape, float(p.mean[0, 0, 0, 0])
        ((2, 8, 8, 1), 0.5)
    """

    support = (0.0, 1.0)

    def forward(self, y: TensorLike) -> Bernoulli:
        """Return p(x | y) with logits y, of the same shape."""
        return Bernoulli(logits=y)


class GaussianLikelihood(Likelihood):
    """Normal noise of one scale for all pixels, given or learned.

    Args:
        scale: s, or its first value where it is learned.
        learned: whether log s^2 is a parameter.

    Attributes:
        log_variance: log s^2, (1,); a Parameter where it is learned, a Buffer otherwise.

    Raises:
        ValueError: the scale is not above 0.

    Example:
        >>> p = GaussianLikelihood(scale=0.1)(np.zeros((2, 8, 8, 1), "float32"))
        >>> round(float(p.scale.data[0]), 4)
        0.1
    """

    def __init__(self, *, scale: float = 1.0, learned: bool = False) -> None:
        if not scale > 0:
            raise ValueError(f"GaussianLikelihood: scale = {scale} must be above 0")
        log_variance = np.array([2 * math.log(scale)], np.float32)
        self.log_variance = nn.Parameter(log_variance) if learned else nn.Buffer(log_variance)

    def forward(self, y: TensorLike) -> Normal:
        """Return p(x | y) = N(y, s^2), of the same shape."""
        return Normal(y, log_variance=self.log_variance)


class PixelGaussianLikelihood(Likelihood):
    """Normal noise whose scale the decoder gives for each pixel. The scale stays above 0.01, along a softplus.

    Example:
        >>> p = PixelGaussianLikelihood()(np.zeros((2, 8, 8, 2), "float32"))
        >>> p.batch_shape
        (2, 8, 8, 1)
    """

    outputs = 2

    def forward(self, y: TensorLike) -> Normal:
        """Return p(x | y), y (..., 2C) -> batch shape (..., C)."""
        mean, log_variance = ops.split(y, 2, axis=-1)  # (..., C) each
        return Normal(mean, log_variance=LEAST_LOG_VARIANCE + ops.softplus(log_variance - LEAST_LOG_VARIANCE))


LIKELIHOODS = ("bernoulli", "gaussian", "gaussian-learned", "gaussian-pixel")


def pixel_likelihood(name: str, *, scale: float = 0.1) -> Likelihood:
    """Return an observation model by its name.

    Args:
        name: "bernoulli"; "gaussian", of fixed scale; "gaussian-learned", of one learned scale; "gaussian-pixel", a scale for each pixel.
        scale: of the two in the middle, for pixels in [0, 1]; the learned one begins there.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> pixel_likelihood("gaussian-pixel").outputs
        2
    """
    if name == "bernoulli":
        return BernoulliLikelihood()
    if name == "gaussian":
        return GaussianLikelihood(scale=scale)
    if name == "gaussian-learned":
        return GaussianLikelihood(scale=scale, learned=True)
    if name == "gaussian-pixel":
        return PixelGaussianLikelihood()
    raise ValueError(f"pixel likelihood {name!r} is unknown; it is one of {', '.join(LIKELIHOODS)}")
