"""Variational autoencoders (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014).

A latent z ~ p(z) = N(0, I) becomes an image x ~ p(x|z), whose parameters a decoder network computes. log p(x) = log integral p(x|z) p(z) dz
is out of reach; an approximate posterior q(z|x) bounds it from below:

    log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))  =  ELBO(x)                             Kingma & Welling 2014, equation 3
    log p(x) -  ELBO(x) = KL(q(z|x) || p(z|x))                                                    equation 1

The posterior is normal. With e ~ N(0, I), the *reparameterization* z = mean + L e lets gradients through the draw (section 2.4):

    q(z|x) = N(mean, L L^T)                  L = diag(s), or lower triangular with diagonal s: a full covariance
    log q(z|x) = log N(e; 0, I) - sum log s                                                       from det L = product of s
    KL(q || p) = 1/2 sum_ij L_ij^2 + 1/2 |mean|^2 - d/2 - sum log s                               appendix B

An *amortized* posterior computes (mean, log s^2) from x by an encoder network; one that is not has a free row of them for each image, a
table `nn.Embedding`, and is fitted image by image. Here both are the `encoder`, which maps what identifies an image to the numbers of q.

Variations of the objective; the true ELBO is always reported beside them:

    beta-VAE      E_q[log p(x|z)] - beta KL                                                       Higgins et al. 2017, equation 4
    free bits     E_q[log p(x|z)] - sum_j max(lambda, mean over the batch of KL_j)                Kingma et al. 2016, equation 15
                  = ELBO - sum_j max(lambda - KL_j, 0), which also has a meaning where the KL_j of the latents do not sum to the KL
    IWAE          L_k = E[log 1/k sum_i w_i],  w_i = p(x, z_i) / q(z_i|x),  z_1..z_k ~ q(z|x)      Burda et al. 2016, equation 8
                  ELBO = L_1 <= L_k <= L_k+1 <= log p(x)                                          theorem 1
"""

import math
from typing import Any, NamedTuple

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array
from minigen.distributions import Distribution
from minigen.distributions.closed_form_kl import normal_kl
from minigen.distributions.normal import standard_normal_log_density
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.models.image_networks import Size, conv_decoder, conv_encoder
from minigen.models.likelihoods import Likelihood, pixel_likelihood
from minigen.models.perceptron import mlp
from minigen.random import Generator


class Posterior:
    """q(z|x) = N(mean, L L^T) of N images.

    Args:
        parameters: (N, 2d): mean and log s^2; or (N, 2d + d(d-1)/2): further the entries of L below its diagonal, row by row.
        latent: d.

    Attributes:
        mean: (N, d).
        log_variance: log s^2, (N, d); s is the diagonal of L, and for a diagonal covariance the standard deviation.
        below: the strictly lower triangle of L, (N, d, d), or None.

    Raises:
        ValueError: another number of parameters.

    Example:
        >>> import numpy as np
        >>> q = Posterior(np.zeros((3, 4), "float32"), latent=2)
        >>> z, log_q = q.rsample(5, rng=Generator(0))
        >>> z.shape, log_q.shape, q.divergence()
        ((5, 3, 2), (5, 3), array([0., 0., 0.], dtype=float32))
    """

    def __init__(self, parameters: TensorLike, *, latent: int) -> None:
        count = 2 * latent + latent * (latent - 1) // 2
        if len(parameters.shape) != 2 or parameters.shape[1] not in (2 * latent, count):
            raise ValueError(
                f"Posterior: parameters of shape {parameters.shape}, expected (N, {2 * latent}) for a diagonal covariance of {latent} "
                f"latents or (N, {count}) for a full one"
            )
        self.latent = latent
        self.mean, self.log_variance = parameters[:, :latent], parameters[:, latent : 2 * latent]
        self.below = _lower_triangle(parameters[:, 2 * latent :], latent) if parameters.shape[1] > 2 * latent else None

    def rsample(self, samples: int, *, rng: Generator) -> tuple[Any, Any]:
        """Draw z = mean + L e, and give its log-density.

        Args:
            samples: k, how many draws for each image.
            rng: draws e, on the device of the parameters.

        Returns:
            z, (k, N, d), and log q(z|x), (k, N).
        """
        noise = rng.normal((samples, *self.mean.shape), dtype=self.mean.dtype)  # (k, N, d)
        z = self.mean + ops.exp(0.5 * self.log_variance) * noise
        if self.below is not None:
            z = z + ops.matmul(self.below, noise[..., None])[..., 0]  # (N, d, d) @ (k, N, d, 1)
        return z, standard_normal_log_density(noise) - 0.5 * ops.sum(self.log_variance, axis=-1)

    def divergence(self) -> Any:
        """Return KL(q(z|x) || N(0, I)) in nats, (N,)."""
        divergence = ops.sum(normal_kl(self.log_variance, self.mean), axis=-1)
        return divergence if self.below is None else divergence + 0.5 * ops.sum(self.below * self.below, axis=(1, 2))

    def unit_divergences(self) -> Any:
        """Return KL(q(z_j|x) || N(0, 1)) of each latent alone, (N, d); for a diagonal covariance they sum to `divergence`."""
        if self.below is None:
            return normal_kl(self.log_variance, self.mean)
        variance = ops.exp(self.log_variance) + ops.sum(self.below * self.below, axis=2)  # the diagonal of L L^T
        return normal_kl(ops.log(variance), self.mean)


def _lower_triangle(entries: Any, size: int) -> Any:
    """Return strictly lower triangular matrices from their entries row by row, (N, d(d-1)/2) -> (N, d, d)."""
    rows, position = [], 0
    for row in range(size):
        rows.append(ops.pad(entries[:, position : position + row], width=((0, 0), (0, size - row))))  # (N, d)
        position += row
    return ops.stack(rows, axis=1)


class Bound(NamedTuple):
    """The two terms of an ELBO in nats, for each image: ELBO = log_likelihood - divergence.

    Attributes:
        log_likelihood: an estimate of E_q[log p(x|z)] by draws of z, (N,).
        unit_divergences: KL(q(z_j|x) || N(0, 1)), (N, d).
        divergence: KL(q(z|x) || p(z)), (N,).
    """

    log_likelihood: Any
    unit_divergences: Any
    divergence: Any


class VAE(nn.Module):
    """A variational autoencoder of images (H, W, C).

    A batch is images x, (N, H, W, C), which are also the encoder's input; or a pair (x, encoder_input), where that input is something else:
    the numbers of the images, (N,), for a table that is not amortized, or a corrupted copy of x. A table has rows for its training images
    only; `fit_posteriors`, in `amortization.py`, fits those of other images.

    Args:
        encoder: maps its input to the numbers of `Posterior`, (N, 2d) or (N, 2d + d(d-1)/2).
        decoder: maps z, (M, d), to y, (M, H, W, outputs * C).
        size: (H, W, C).
        latent: d.
        likelihood: p(x|y).
        beta: the weight of the KL term; `fit_likelihood` can let it rise.
        free_bits: lambda, nats for each latent that cost nothing.
        samples: k; 1 trains on the ELBO with its closed KL, more on L_k.

    Raises:
        ValueError: settings out of range, or that exclude each other.

    Example:
        >>> import numpy as np
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(32,), latent=2, rng=Generator(0))
        >>> loss, terms = vae.loss(np.zeros((5, 8, 8, 1), "float32"), rng=Generator(1))
        >>> loss.shape, sorted(terms), vae.sample(3, rng=Generator(2)).shape
        ((), ['divergence', 'elbo', 'log_likelihood', 'loss'], (3, 8, 8, 1))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        size: Size,
        latent: int,
        likelihood: Likelihood,
        beta: float = 1.0,
        free_bits: float = 0.0,
        samples: int = 1,
    ) -> None:
        if samples < 1 or beta < 0 or free_bits < 0 or latent < 1:
            raise ValueError(
                f"VAE: samples = {samples} and latent = {latent} must be at least 1, beta = {beta} and free_bits = {free_bits} at least 0"
            )
        if samples > 1 and (beta != 1 or free_bits):
            raise ValueError(
                f"VAE: L_k with k = {samples} has no KL term of its own to weigh: beta = {beta} and free_bits = {free_bits} need "
                "samples = 1"
            )
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.size, self.latent, self.samples = size, latent, samples
        self.beta, self.free_bits = beta, free_bits

    # -- the two networks

    def posterior(self, encoder_input: TensorLike) -> Posterior:
        """Return q(z|x)."""
        return Posterior(self.encoder(encoder_input), latent=self.latent)

    def encode(self, encoder_input: TensorLike) -> Tensor:
        """Return the posterior's mean, (N, d)."""
        return self.posterior(encoder_input).mean

    def decode(self, z: TensorLike) -> Distribution:
        """Return p(x|z), z (..., d) -> batch shape (..., H, W, C)."""
        y = self.decoder(ops.reshape(z, shape=(-1, self.latent)))  # (M, H, W, outputs * C)
        return self.likelihood(ops.reshape(y, shape=(*z.shape[:-1], *y.shape[1:])))

    # -- the bounds

    def bound(self, batch: Any, *, draws: int = 1, rng: Generator) -> Bound:
        """Return the terms of the ELBO of each image, the first as a mean over draws of z."""
        x, encoder_input = self._parts(batch)
        q = self.posterior(encoder_input)
        z, _ = q.rsample(draws, rng=rng)  # (draws, N, d)
        log_likelihood = self.decode(z).joint_log_prob(x, axes=3)  # (draws, N)
        return Bound(ops.mean(log_likelihood, axis=0), q.unit_divergences(), q.divergence())

    def log_weights(self, batch: Any, samples: int, *, rng: Generator) -> Any:
        """Return log w = log p(x, z) - log q(z|x) of k draws for each image, (k, N): their mean is an ELBO."""
        x, encoder_input = self._parts(batch)
        z, log_q = self.posterior(encoder_input).rsample(samples, rng=rng)  # (k, N, d), (k, N)
        log_likelihood = self.decode(z).joint_log_prob(x, axes=3)  # (k, N)
        return log_likelihood + (standard_normal_log_density(z) - log_q)

    def loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what training minimises, the mean over the batch in nats per image, and its terms."""
        if self.samples > 1:
            log_w = self.log_weights(batch, self.samples, rng=rng)  # (k, N)
            loss = math.log(self.samples) - ops.mean(ops.logsumexp(log_w, axis=0))
            return loss, {"elbo": ops.mean(log_w.detach()), "loss": loss.detach()}
        bound = self.bound(batch, rng=rng)
        log_likelihood, divergence = ops.mean(bound.log_likelihood), ops.mean(bound.divergence)
        if self.free_bits:
            by_unit = ops.mean(bound.unit_divergences, axis=0)  # (d,)
            penalty = divergence + ops.sum(ops.relu(self.free_bits - by_unit))
        else:
            penalty = divergence
        loss = self.beta * penalty - log_likelihood
        terms = {"log_likelihood": log_likelihood, "divergence": divergence, "elbo": log_likelihood - divergence}
        return loss, {name: term.detach() for name, term in (terms | {"loss": loss}).items()}

    # -- images

    def sample(self, n: int, *, rng: Generator) -> Array:
        """Return n images drawn from p(x), (n, H, W, C): z from the prior, x from p(x|z)."""
        with no_grad():
            return self.decode(rng.normal((n, self.latent))).sample(rng=rng)

    def mean_images(self, z: TensorLike) -> Array:
        """Return E[x|z], (..., d) -> (..., H, W, C): what pictures show, free of the pixels' own noise."""
        with no_grad():
            mean = self.decode(z).mean
        return mean.data if isinstance(mean, Tensor) else mean

    def _parts(self, batch: Any) -> tuple[TensorLike, TensorLike]:
        x, encoder_input = batch if isinstance(batch, tuple) else (batch, batch)
        if x.shape[1:] != self.size:
            raise ValueError(
                f"VAE: images of shape {x.shape}, expected (N, H, W, C) = (N, {', '.join(map(str, self.size))})"
            )
        self.likelihood.check(x, "VAE")
        return x, encoder_input


# ------------------------------------------------------------------------------------------------------ networks


def posterior_size(latent: int, *, full_covariance: bool = False) -> int:
    """Return how many numbers an encoder says for each image.

    Example:
        >>> posterior_size(3), posterior_size(3, full_covariance=True)
        (6, 9)
    """
    return 2 * latent + (latent * (latent - 1) // 2 if full_covariance else 0)


def mlp_vae(
    *,
    size: Size,
    hidden: tuple[int, ...] = (200, 200),
    latent: int = 50,
    likelihood: str = "bernoulli",
    full_covariance: bool = False,
    rng: Generator,
    **settings: Any,
) -> VAE:
    """Return a VAE of fully connected layers with tanh, those of Burda et al. 2016, section 5, by default.

    Args:
        size: (H, W, C) of an image.
        hidden: units of the encoder's hidden layers, in order; the decoder has them in reverse.
        latent: d.
        likelihood: by name; see `pixel_likelihood`.
        full_covariance: whether q(z|x) has one.
        rng: draws the initial weights.
        **settings: beta, free_bits, samples; see `VAE`.
    """
    observed = pixel_likelihood(likelihood)
    height, width, channels = size
    outputs = (height, width, observed.outputs * channels)
    encoder = nn.Sequential(
        nn.Flatten(),
        *mlp((math.prod(size), *hidden, posterior_size(latent, full_covariance=full_covariance)), rng=rng),
    )
    decoder = nn.Sequential(*mlp((latent, *reversed(hidden), math.prod(outputs)), rng=rng), nn.Reshape(*outputs))
    return VAE(encoder, decoder, size=size, latent=latent, likelihood=observed, **settings)


def conv_vae(
    *,
    size: Size,
    widths: tuple[int, int] = (32, 64),
    latent: int = 16,
    likelihood: str = "bernoulli",
    full_covariance: bool = False,
    rng: Generator,
    **settings: Any,
) -> VAE:
    """Return a VAE whose encoder halves the image twice by strided convolutions, and whose decoder doubles it twice by transposed ones.

    Args:
        size: (H, W, C) of an image; H and W are multiples of 4.
        widths: channels after the encoder's first and second convolution.
        latent: d.
        likelihood: by name; see `pixel_likelihood`.
        full_covariance: whether q(z|x) has one.
        rng: draws the initial weights.
        **settings: beta, free_bits, samples; see `VAE`.

    Raises:
        ValueError: H or W is not a multiple of 4.

    Example:
        >>> vae = conv_vae(size=(28, 28, 1), rng=Generator(0))
        >>> vae.sample(2, rng=Generator(1)).shape
        (2, 28, 28, 1)
    """
    height, width, channels = size
    observed = pixel_likelihood(likelihood)
    outputs = (height, width, observed.outputs * channels)
    parameters = posterior_size(latent, full_covariance=full_covariance)
    encoder = conv_encoder(size=size, widths=widths, outputs=parameters, rng=rng)
    decoder = conv_decoder(latent=latent, widths=widths, size=outputs, rng=rng)
    return VAE(encoder, decoder, size=size, latent=latent, likelihood=observed, **settings)
