"""What an encoder costs: posteriors that are fitted image by image, against one network for all of them.

An encoder *amortizes* inference: a network f, trained once, says q(z|x) = q(z; f(x)) for any x. Without it, each image x_i has free numbers
of its own, q(z|x_i) = q(z; lambda_i), a row of a table. The best row of an image is the best its family can do, whatever the encoder:

    lambda*(x) = argmax over lambda of ELBO(x; lambda),     the decoder standing still
    log p(x) - ELBO(x; f(x))  =  [log p(x) - ELBO(x; lambda*)]  +  [ELBO(x; lambda*) - ELBO(x; f(x))]
                                  approximation gap                 amortization gap

(Cremer, Li & Duvenaud 2018, "Inference suboptimality in variational autoencoders", section 3.) The approximation gap is KL(q* || p(z|x)):
what a normal q with that form of covariance cannot say. The amortization gap is what the encoder does not find.

A table knows nothing of images that it was not trained on: their rows are fitted first, by many steps for each image, where an encoder
needs one pass. Training without an encoder is `VAE(posterior_table(...), decoder, ...)`, with batches (x, numbers of the images).
"""

from typing import Any, NamedTuple

import numpy as np

import minigen.ops as ops
from minigen import nn
from minigen.backend import Array
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.models.vae import VAE, posterior_size
from minigen.optim import Adam, cosine
from minigen.random import Generator


def posterior_table(count: int, *, latent: int, full_covariance: bool = False, rng: Generator) -> nn.Embedding:
    """Return an encoder that is a table: a row of posterior numbers for each image, at first q(z|x) = N(0, I).

    Args:
        count: images.
        latent: d.
        full_covariance: whether q(z|x) has one.
        rng: its device is that of the table.

    Example:
        >>> import numpy as np
        >>> table = posterior_table(100, latent=2, rng=Generator(0))
        >>> table(np.array([7, 8])).shape, float(abs(table.weight.data).max())
        ((2, 4), 0.0)
    """
    table = nn.Embedding(count, posterior_size(latent, full_covariance=full_covariance), rng=rng)
    table.weight.data[...] = 0.0  # rows drawn from N(0, 1) would each claim to know their z, and know nothing
    return table


class FittedPosteriors(NamedTuple):
    """The posteriors of images, each fitted by itself.

    Attributes:
        vae: the same decoder, its encoder a table of their rows; batches are (x, numbers of the images).
        elbos: the mean ELBO of the images before each step, in nats, one number for each step.
    """

    vae: VAE
    elbos: list[float]


def fit_posteriors(
    vae: VAE,
    images: Array,
    *,
    steps: int = 300,
    learning_rate: float = 0.1,
    draws: int = 4,
    full_covariance: bool = False,
    batch_size: int = 500,
    rng: Generator,
) -> FittedPosteriors:
    """Maximise the ELBO of each image over its own q(z|x); nothing else moves.

    Args:
        vae: a trained model. Its encoder is not asked: each q begins as the prior.
        images: x, (N, H, W, C).
        steps: of Adam, for each image.
        learning_rate: of the first step; it falls to 0 along half a cosine.
        draws: of z for each image and step.
        full_covariance: whether q has one, whatever the encoder's has.
        batch_size: images that are fitted at once; none depends on the others but by the noise that it gets.
        rng: draws z, on the device of the model.

    Returns:
        The table and the course of the fit.

    Raises:
        ValueError: steps or draws is below 1.

    Example:
        >>> import numpy as np
        >>> from minigen.models import mlp_vae
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(32,), latent=2, rng=Generator(0))
        >>> images = np.ones((3, 8, 8, 1), "float32")
        >>> fitted = fit_posteriors(vae, images, steps=50, rng=Generator(1))
        >>> q = fitted.vae.posterior(np.array([0, 1, 2]))
        >>> q.mean.shape, fitted.elbos[-1] > fitted.elbos[0]
        ((3, 2), True)
    """
    if steps < 1 or draws < 1:
        raise ValueError(f"fit_posteriors: steps = {steps} and draws = {draws} must be at least 1")
    n = len(images)
    family: dict[str, Any] = {"latent": vae.latent, "full_covariance": full_covariance}
    whole = posterior_table(n, **family, rng=rng)
    elbos = [0.0] * steps
    with one_blas_thread(), kept_memory():
        for start in range(0, n, batch_size):
            x = ops.tensor(images[start : start + batch_size], device=whole.weight.device)
            # A table of its own, not a batch of the whole one's rows: Adam's momentum moves also rows that have no gradient.
            rows = posterior_table(len(x), **family, rng=rng)
            free, numbers = _with_encoder(vae, rows), np.arange(len(x))
            optimizer = Adam(rows, learning_rate=cosine(learning_rate, steps=steps))
            for step in range(steps):
                optimizer.zero_grad()
                bound = free.bound((x, numbers), draws=draws, rng=rng)
                # A sum over images, not a mean: the gradient of one does not depend on how many there are.
                elbo = ops.sum(bound.log_likelihood - bound.divergence)
                (-elbo).backward(inputs=rows.parameters())  # the decoder's gradient is not computed
                optimizer.step()
                elbos[step] += elbo.item() / n
            whole.weight.data[start : start + batch_size] = rows.weight.data
    return FittedPosteriors(_with_encoder(vae, whole), elbos)


def _with_encoder(vae: VAE, encoder: nn.Module) -> VAE:
    return VAE(encoder, vae.decoder, size=vae.size, latent=vae.latent, likelihood=vae.likelihood)
