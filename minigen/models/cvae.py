"""Conditional variational autoencoders (Sohn, Lee & Yan 2015, "Learning structured output representation using deep conditional generative
models"): an image y given what is known of it, the condition c, which is its class or its visible part.

One prediction is not enough where many images fit the same condition. A network that says the probability of each pixel, p(y|c) =
prod_i p(y_i|c), answers with their blurred mean, however large it is. A latent z chooses among them:

    p(y|c) = integral p(y|c, z) p(z|c) dz
    log p(y|c) >= E_q(z|y,c)[log p(y|c, z)] - KL(q(z|y, c) || p(z|c))                             Sohn et al. 2015, equation 4
               ~  1/L sum_l log p(y|c, z_l) - KL(q(z|y, c) || p(z|c)),  z_l ~ q(z|y, c)            equation 5

q is the *recognition* network, p(z|c) the *conditional prior*, or N(0, I), and p(y|c, z) the decoder. In training z is drawn from
q(z|y, c), to predict from p(z|c): two different tasks. The Gaussian stochastic network draws from p(z|c) in training too; the hybrid has
both:

    1/L sum_l log p(y|c, z_l),  z_l ~ p(z|c)                                                      equation 6
    alpha (equation 5) + (1 - alpha) (equation 6)                                                 equation 7

The likelihood of a trained model is estimated by draws from the prior or, with far less noise, by importance sampling (section 4.3):

    log p(y|c) ~ log 1/k sum_i p(y|c, z_i),                          z_i ~ p(z|c)
    log p(y|c) ~ log 1/k sum_i p(y|c, z_i) p(z_i|c) / q(z_i|y, c),   z_i ~ q(z|y, c)

On average both are below log p(y|c), and rise with k. Every log p(y|c) here counts the *hidden* pixels only, those that c does not tell.

The paper begins with a trained network of independent pixels, and lets the CVAE correct its guess. Here the two only stand side by side: a
decoder that was added to such a guess stopped using z, with q(z|y, c) = p(z|c) from the first hundred steps on.
"""

import math
from typing import Any

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array, device_of
from minigen.distributions import Distribution, Normal, kl_divergence
from minigen.distributions.distribution import raw
from minigen.engine import Tensor, TensorLike, no_grad
from minigen.models.image_networks import Size
from minigen.models.likelihoods import Likelihood, pixel_likelihood
from minigen.models.perceptron import mlp
from minigen.models.vae import Bound
from minigen.nn.init import xavier_uniform
from minigen.random import Generator


class IndependentPixels(nn.Module):
    """p(y|c) = prod_i p(y_i|c): the deterministic prediction, which knows nothing of how pixels go together.

    Args:
        network: maps c, (N, ...), to (N, H * W * outputs * C).
        size: (H, W, C) of an image.
        likelihood: what those numbers say of a pixel.

    Example:
        >>> import numpy as np
        >>> model = IndependentPixels(nn.Linear(3, 64, rng=Generator(0)), size=(8, 8, 1), likelihood=pixel_likelihood("bernoulli"))
        >>> c, y = np.eye(3, dtype="float32"), np.zeros((3, 8, 8, 1), "float32")
        >>> model.log_prob((y, c)).shape, model.mean_images(c).shape
        ((3,), (3, 8, 8, 1))
    """

    def __init__(self, network: nn.Module, *, size: Size, likelihood: Likelihood) -> None:
        self.network, self.size, self.likelihood = network, size, likelihood

    def forward(self, c: TensorLike) -> Tensor:
        """Return the numbers about each pixel, (N, H, W, outputs * C)."""
        return ops.reshape(self.network(c), shape=(len(c), *self.size[:2], -1))

    def log_prob(self, batch: Any) -> Any:
        """Return log p(y|c) in nats for each image, (N,), of a batch as `CVAE` takes it."""
        y, c, hidden = _parts(batch, self)
        return _log_prob(self.likelihood(self(c)), y, hidden)

    def loss(self, batch: Any, *, rng: Generator | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean of -log p(y|c), in nats per image."""
        loss = -ops.mean(self.log_prob(batch))
        return loss, {"loss": loss.detach()}

    def mean_images(self, c: TensorLike) -> Array:
        """Return E[y|c], (N, H, W, C)."""
        with no_grad():
            return self.likelihood(self(c)).mean.data


class CVAE(nn.Module):
    """A conditional variational autoencoder of images (H, W, C).

    A batch is a pair (y, c), images (N, H, W, C) and conditions (N, ...); or (y, c, hidden), hidden being 1 for the pixels that count and
    0 for those that c tells, of a shape that broadcasts to that of y.

    Args:
        recognition: maps y, flat, and c to mean and log-variance of q(z|y, c), (N, HWC), (N, ...) -> (N, 2d).
        decoder: maps z and c to the numbers about the pixels, (..., N, d), (N, ...) -> (..., N, H * W * outputs * C).
        size: (H, W, C).
        latent: d.
        likelihood: p(y|c, z) of a pixel, given those numbers.
        prior: maps c to mean and log-variance of p(z|c), (N, 2d); without one p(z|c) is N(0, I).
        samples: L.
        alpha: the share of the bound in the hybrid objective.

    Raises:
        ValueError: samples or latent below 1, or alpha outside [0, 1].

    Example:
        >>> import numpy as np
        >>> cvae = mlp_cvae(size=(8, 8, 1), condition=10, hidden=(32,), latent=2, rng=Generator(0))
        >>> y, c = np.zeros((5, 8, 8, 1), "float32"), np.eye(10, dtype="float32")[:5]
        >>> loss, terms = cvae.loss((y, c), rng=Generator(1))
        >>> loss.shape, sorted(terms)
        ((), ['divergence', 'elbo', 'log_likelihood', 'loss'])
        >>> cvae.sample(3, c, rng=Generator(2)).shape
        (3, 5, 8, 8, 1)
    """

    def __init__(
        self,
        recognition: nn.Module,
        decoder: nn.Module,
        *,
        size: Size,
        latent: int,
        likelihood: Likelihood,
        prior: nn.Module | None = None,
        samples: int = 1,
        alpha: float = 1.0,
    ) -> None:
        if samples < 1 or latent < 1 or not 0 <= alpha <= 1:
            raise ValueError(
                f"CVAE: samples = {samples} and latent = {latent} must be at least 1, and alpha = {alpha} in [0, 1]"
            )
        self.recognition, self.decoder, self.conditional_prior = recognition, decoder, prior
        self.size, self.latent, self.likelihood = size, latent, likelihood
        self.samples, self.alpha = samples, alpha

    # -- the three distributions

    def posterior(self, y: TensorLike, c: TensorLike) -> Normal:
        """Return q(z|y, c), of batch shape (N, d)."""
        return _normal(self.recognition(ops.reshape(y, shape=(len(y), -1)), c))

    def prior(self, c: TensorLike) -> Normal:
        """Return p(z|c), of batch shape (N, d)."""
        if self.conditional_prior is None:
            zeros = ops.zeros((len(c), self.latent), dtype=c.dtype, device=device_of(raw(c)) or "cpu")
            return Normal(zeros, log_variance=zeros)
        return _normal(self.conditional_prior(c))

    def decode(self, z: TensorLike, c: TensorLike) -> Distribution:
        """Return p(y|c, z), z (..., N, d) and c (N, ...) -> batch shape (..., N, H, W, C)."""
        numbers = self.decoder(z, c)  # (..., N, H * W * outputs * C)
        return self.likelihood(ops.reshape(numbers, shape=(*z.shape[:-1], *self.size[:2], -1)))

    # -- bounds and estimates of log p(y|c)

    def bound(self, batch: Any, *, draws: int = 1, rng: Generator) -> Bound:
        """Return the terms of the bound of each image, the first as a mean over draws of z ~ q: equation 5."""
        y, c, hidden = _parts(batch, self)
        q, p = self.posterior(y, c), self.prior(c)
        log_likelihood = _log_prob(self.decode(q.rsample(draws, rng=rng), c), y, hidden)  # (draws, N)
        unit_divergences = kl_divergence(q, p)  # (N, d)
        return Bound(ops.mean(log_likelihood, axis=0), unit_divergences, ops.sum(unit_divergences, axis=1))

    def log_weights(self, batch: Any, samples: int, *, rng: Generator) -> Any:
        """Return log w = log p(y|c, z) + log p(z|c) - log q(z|y, c) of k draws z ~ q for each image, (k, N): their mean is a bound."""
        y, c, hidden = _parts(batch, self)
        q, p = self.posterior(y, c), self.prior(c)
        z = q.rsample(samples, rng=rng)  # (k, N, d)
        return _log_prob(self.decode(z, c), y, hidden) + ops.sum(p.log_prob(z) - q.log_prob(z), axis=2)

    def prior_log_likelihoods(self, batch: Any, samples: int, *, rng: Generator) -> Any:
        """Return log p(y|c, z) of k draws z ~ p(z|c) for each image, (k, N): what a prediction gives the truth."""
        y, c, hidden = _parts(batch, self)
        return _log_prob(self.decode(self.prior(c).rsample(samples, rng=rng), c), y, hidden)

    def loss(self, batch: Any, *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what training minimises, the mean over the batch in nats per image, and its terms; with alpha < 1 equation 6 is one."""
        bound = self.bound(batch, draws=self.samples, rng=rng)
        log_likelihood, divergence = ops.mean(bound.log_likelihood), ops.mean(bound.divergence)
        terms = {"log_likelihood": log_likelihood, "divergence": divergence, "elbo": log_likelihood - divergence}
        loss = -terms["elbo"]
        if self.alpha < 1:
            terms["prediction"] = ops.mean(self.prior_log_likelihoods(batch, self.samples, rng=rng))
            loss = self.alpha * loss - (1 - self.alpha) * terms["prediction"]
        return loss, {name: term.detach() for name, term in (terms | {"loss": loss}).items()}

    # -- images

    def sample(self, n: int, c: TensorLike, *, rng: Generator) -> Array:
        """Return n images drawn from p(y|c) for each condition, (n, N, H, W, C): z from the prior, y from p(y|c, z)."""
        with no_grad():
            return self.decode(self.prior(c).rsample(n, rng=rng), c).sample(rng=rng)

    def mean_images(self, z: TensorLike, c: TensorLike) -> Array:
        """Return E[y|c, z], (..., N, d) and (N, ...) -> (..., N, H, W, C): what pictures show, free of the pixels' own noise."""
        with no_grad():
            return self.decode(z, c).mean.data


def _normal(parameters: Tensor) -> Normal:
    mean, log_variance = ops.split(parameters, 2, axis=-1)
    return Normal(mean, log_variance=log_variance)


def _log_prob(pixels: Distribution, y: TensorLike, hidden: TensorLike | None) -> Any:
    """Return log p of the pixels that count, (..., N, H, W, C) -> (..., N)."""
    if hidden is None:
        return pixels.joint_log_prob(y, axes=3)
    return ops.sum(pixels.log_prob(y) * hidden, axis=(-3, -2, -1))


def _parts(batch: Any, model: IndependentPixels | CVAE) -> tuple[TensorLike, TensorLike, TensorLike | None]:
    owner = type(model).__name__
    y, c, hidden = batch if len(batch) == 3 else (*batch, None)
    if y.shape[1:] != model.size or len(c) != len(y):
        raise ValueError(
            f"{owner}: images of shape {y.shape} with conditions of shape {c.shape}, expected (N, H, W, C) = "
            f"(N, {', '.join(map(str, model.size))}) and (N, ...)"
        )
    if hidden is not None and not _broadcasts(hidden.shape, y.shape):
        raise ValueError(f"{owner}: hidden pixels of shape {hidden.shape}, expected one that broadcasts to {y.shape}")
    model.likelihood.check(y, owner)
    return y, c, hidden


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) == len(to) and all(n in (1, m) for n, m in zip(shape, to, strict=True))


# ------------------------------------------------------------------------------------------------------ networks


class PairMLP(nn.Module):
    """Fully connected layers with rectifiers, shown two vectors side by side.

    The first layer is [a, b] W = a W_a + b W_b: where many a go with one b, as draws of z with a condition, b W_b is computed once.

    Args:
        first: length of a.
        second: how many numbers b has.
        sizes: units of the hidden layers, at least one, and outputs.
        rng: draws the initial weights.

    Example:
        >>> import numpy as np
        >>> net = PairMLP(2, 12, sizes=(8, 5), rng=Generator(0))
        >>> net(np.zeros((7, 3, 2), "float32"), np.zeros((3, 4, 3), "float32")).shape
        (7, 3, 5)
    """

    def __init__(self, first: int, second: int, *, sizes: tuple[int, ...], rng: Generator) -> None:
        self.first = nn.Linear(first, sizes[0], rng=rng, initialize=xavier_uniform)
        self.second = nn.Linear(second, sizes[0], rng=rng, bias=False, initialize=xavier_uniform)
        self.rest = nn.Sequential(nn.ReLU(), *mlp(sizes, rng=rng, activation=nn.ReLU))

    def forward(self, a: TensorLike, b: TensorLike) -> Tensor:
        """Return f([a, b]), a (..., N, first) and b (N, ...) -> (..., N, outputs)."""
        return self.rest(self.first(a) + self.second(ops.reshape(b, shape=(len(b), -1))))


def mlp_cvae(
    *,
    size: Size,
    condition: int,
    hidden: tuple[int, ...] = (500, 500),
    latent: int = 50,
    likelihood: str = "bernoulli",
    conditional_prior: bool = True,
    rng: Generator,
    **settings: Any,
) -> CVAE:
    """Return a CVAE of fully connected layers with rectifiers.

    Args:
        size: (H, W, C) of an image.
        condition: how many numbers c has.
        hidden: units of the hidden layers of each network, in order; there is at least one.
        latent: d.
        likelihood: by name; see `pixel_likelihood`.
        conditional_prior: whether p(z|c) depends on c.
        rng: draws the initial weights.
        **settings: samples, alpha; see `CVAE`.
    """
    observed = pixel_likelihood(likelihood)
    pixels = math.prod(size)
    prior = mlp((condition, *hidden, 2 * latent), rng=rng, activation=nn.ReLU) if conditional_prior else None
    return CVAE(
        PairMLP(pixels, condition, sizes=(*hidden, 2 * latent), rng=rng),
        PairMLP(latent, condition, sizes=(*hidden, observed.outputs * pixels), rng=rng),
        size=size,
        latent=latent,
        likelihood=observed,
        prior=nn.Sequential(nn.Flatten(), *prior) if prior else None,
        **settings,
    )


def mlp_independent_pixels(
    *, size: Size, condition: int, hidden: tuple[int, ...] = (500, 500), likelihood: str = "bernoulli", rng: Generator
) -> IndependentPixels:
    """Return the deterministic prediction by fully connected layers with rectifiers, of the size of `mlp_cvae`'s decoder.

    Args:
        size: (H, W, C) of an image.
        condition: how many numbers c has.
        hidden: units of the hidden layers, in order.
        likelihood: by name; see `pixel_likelihood`.
        rng: draws the initial weights.
    """
    observed = pixel_likelihood(likelihood)
    layers = mlp((condition, *hidden, observed.outputs * math.prod(size)), rng=rng, activation=nn.ReLU)
    return IndependentPixels(nn.Sequential(nn.Flatten(), *layers), size=size, likelihood=observed)
