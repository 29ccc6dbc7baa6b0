"""How probable a latent-variable model finds images: its bound with the terms, the importance-sampled likelihood, bits per dimension.

    ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)                                     Kingma & Welling 2014, equation 3
    L_k(x)  = log 1/k sum_i w_i,   w_i = p(x, z_i) / q(z_i|x),   z_1..z_k ~ q(z|x)                  Burda et al. 2016, equation 8

1/k sum w_i is unbiased for p(x), so its logarithm is too low on average: E[L_k] rises with k to log p(x) (theorem 1). For large k the
deficit is Var(w) / (2 k p(x)^2) (Nowozin 2018, "Debiasing evidence approximations", proposition 1). The literature takes k = 5000. The
figure still depends on q, and a bad q loses more, so of two models the one with the poorer encoder is the more underrated.

The sum of exponentials is carried along as a logarithm, a chunk of draws at a time, in float64, so memory does not grow with k:

    log (sum of n + m weights) = log(exp(log (sum of n)) + exp(log (sum of m)))

The cost is that of the decoder, once for each image and draw. A decoder 50-200-200-784 takes 2 (50 * 200 + 200 * 200 + 200 * 784) =
0.41 million operations, so k = 5000 on 10,000 images takes 5e7 times that: 2.1e13. The encoder runs anew for each chunk, once for 128
draws of an image, which is some hundredth of the cost. A chunk is small enough to stay in the cache: what a layer writes, the next one
reads from there. `benchmarks/log_likelihood.py` times it.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen import kernels
from minigen.backend import array_module, to_device
from minigen.distributions.distribution import raw
from minigen.engine import no_grad
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.random import Generator

DECODED = 2048
"""Images decoded at a time: at 28 x 28 pixels 6 MB of logits."""

LEAST_IMAGES = 16
"""Images in a chunk where there are many draws of each; its draws are then at most 128."""


class EvidenceBound(NamedTuple):
    """The evidence lower bound of a data set of N images, in nats per image, each term a mean over the images.

    Attributes:
        elbo: log_likelihood - divergence.
        standard_error: of `elbo`, as an estimate from N images; it includes the noise of the draws.
        log_likelihood: E_q[log p(x|z)].
        divergence: KL(q(z|x) || p(z)).
        unit_divergences: that of each latent alone, (d,), float64.
        values: ELBO of each image, (N,), float64.
        draws: of z for each image.
    """

    elbo: float
    standard_error: float
    log_likelihood: float
    divergence: float
    unit_divergences: NDArray[np.float64]
    values: NDArray[np.float64]
    draws: int


class LogLikelihood(NamedTuple):
    """An estimate of log p(x), in nats per image.

    Attributes:
        mean: over the N images.
        standard_error: of the mean, as an estimate from N images; it includes the noise of the weights, but not their bias downwards.
        values: L_k of each image, (N,), float64.
        samples: k.
    """

    mean: float
    standard_error: float
    values: NDArray[np.float64]
    samples: int


def elbo(model: Any, images: Any, *, batch_size: int = 500, draws: int = 1, rng: Generator) -> EvidenceBound:
    """Measure the evidence lower bound of a data set, with its terms.

    With a closed KL the estimate is unbiased whatever `draws` is; more of them make it less noisy.

    Args:
        model: has `bound(batch, rng=...)`, as `models.VAE` has.
        images: (N, ...), what the model takes as a batch; or a tuple of arrays with N along the first axis.
        batch_size: images at a time.
        draws: of z for each image.
        rng: makes the draws, on the device of the images.

    Raises:
        ValueError: no images, or draws < 1.

    Example:
        >>> from minigen.data import load_digits
        >>> from minigen.models import mlp_vae
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(16,), latent=2, rng=Generator(0))
        >>> found = elbo(vae, load_digits().unit()[:100], rng=Generator(1))
        >>> abs(found.elbo - (found.log_likelihood - found.divergence)) < 1e-4, found.unit_divergences.shape
        (True, (2,))
    """
    if draws < 1:
        raise ValueError(f"elbo: draws = {draws}, expected at least 1")
    found: list[list[NDArray[np.float64]]] = []
    with no_grad(), one_blas_thread(), kept_memory():
        for batch in _batches(images, batch_size, "elbo"):
            bounds = [model.bound(batch, rng=rng) for _ in range(draws)]
            log_likelihood = np.mean([_doubles(bound.log_likelihood) for bound in bounds], axis=0)
            found.append([log_likelihood, _doubles(bounds[0].divergence), _doubles(bounds[0].unit_divergences)])
    log_likelihood, divergence, unit_divergences = (np.concatenate(parts) for parts in zip(*found, strict=True))
    values = log_likelihood - divergence
    return EvidenceBound(
        *_mean_and_error(values), float(log_likelihood.mean()), float(divergence.mean()), unit_divergences.mean(axis=0),
        values, draws,
    )  # fmt: skip


def importance_log_likelihood(
    model: Any, images: Any, *, samples: int = 5000, chunk: int = DECODED, rng: Generator, progress: bool = False
) -> LogLikelihood:
    """Estimate log p(x) of a data set by L_k.

    Args:
        model: has `log_weights(batch, k, rng=...)`, which returns log w, (k, N), as `models.VAE` has.
        images: (N, ...), what the model takes as a batch; or a tuple of arrays with N along the first axis.
        samples: k, draws for each image. As many are used.
        chunk: images decoded at a time, which bounds the memory. The draws depend on it.
        rng: makes the draws, on the device of the images.
        progress: whether to show a bar.

    Raises:
        ValueError: no images, or samples or chunk < 1.

    Example:
        >>> from minigen.data import load_digits
        >>> from minigen.models import mlp_vae
        >>> vae = mlp_vae(size=(8, 8, 1), hidden=(16,), latent=2, rng=Generator(0))
        >>> images = load_digits().unit()[:20]
        >>> few, many = (importance_log_likelihood(vae, images, samples=k, rng=Generator(1)) for k in (1, 500))
        >>> few.mean < many.mean, many.samples
        (True, 500)
    """
    if samples < 1 or chunk < 1:
        raise ValueError(f"importance_log_likelihood: samples = {samples} and chunk = {chunk} must be at least 1")
    from tqdm import tqdm

    batch_size = max(min(LEAST_IMAGES, chunk), chunk // samples)
    values = []
    with (
        no_grad(),
        one_blas_thread(),
        kept_memory(),
        tqdm(total=_count(images), desc=f"L_{samples}", unit="image", disable=not progress) as bar,
    ):
        for batch in _batches(images, batch_size, "importance_log_likelihood"):
            values.append(_streamed(model, batch, samples, chunk // batch_size, rng))
            bar.update(len(values[-1]))
    found = np.concatenate(values)
    return LogLikelihood(*_mean_and_error(found), found, samples)


def _streamed(model: Any, batch: Any, samples: int, at_a_time: int, rng: Generator) -> NDArray[np.float64]:
    """Return L_k of each image of a batch, (N,)."""
    total: Any = None  # log of the sum of the weights so far
    for done in range(0, samples, at_a_time):
        log_w = raw(model.log_weights(batch, min(at_a_time, samples - done), rng=rng))  # (draws, N)
        chunk = kernels.logsumexp(log_w.astype("float64"), axes=(0,))[0]  # (N,)
        total = chunk if total is None else array_module(chunk).logaddexp(total, chunk)
    return _doubles(total) - math.log(samples)


def bits_per_dimension(log_likelihood: ArrayLike, *, dimensions: int, levels: int = 1) -> Any:
    """Turn a log-likelihood in nats into bits per dimension, smaller being better.

        bits = (-log p(x) + D log levels) / (D log 2)

    A *density* depends on the units of x. One on pixels scaled to [0, 1] from `levels` whole numbers, 256 as a rule, is `levels` times
    as high for each pixel as one on the numbers themselves: with `levels` given, the outcome is that of pixels in [0, levels]. It bounds
    from above the bits of the discrete pixels only where noise was added that fills the gap to the next level, uniform on [0, 1/levels)
    (Theis, van den Oord & Bethge 2016, section 3.1); without it a density on discrete values has no bound, and the figure no meaning.

    Args:
        log_likelihood: log p(x) in nats per example, of any shape.
        dimensions: D, how many numbers an example has; H * W * C of an image.
        levels: 1 for the probability of bits or of other discrete values, which needs no correction.

    Returns:
        Bits per dimension, of the same shape.

    Raises:
        ValueError: dimensions or levels < 1.

    Example:
        >>> bits_per_dimension(-784 * np.log(2.0), dimensions=784)  # a fair coin for each pixel
        1.0
        >>> bits_per_dimension(0.0, dimensions=784, levels=256)  # uniform on [0, 1]
        8.0
    """
    if dimensions < 1 or levels < 1:
        raise ValueError(f"bits_per_dimension: dimensions = {dimensions} and levels = {levels} must be at least 1")
    bits = math.log2(levels) - np.asarray(log_likelihood, dtype=np.float64) / (dimensions * math.log(2))
    return bits if bits.ndim else float(bits)


# ------------------------------------------------------------------------------------------------ a data set


def _count(images: Any) -> int:
    return len(images[0] if isinstance(images, tuple) else images)


def _batches(images: Any, size: int, owner: str) -> Iterator[Any]:
    """Yield the images in their order, so many at a time."""
    n = _count(images)
    if n == 0 or size < 1:
        raise ValueError(f"{owner}: {n} images in batches of {size}; expected at least 1 of each")
    for start in range(0, n, size):
        stop = start + size
        yield tuple(part[start:stop] for part in images) if isinstance(images, tuple) else images[start:stop]


def _doubles(x: Any) -> NDArray[np.float64]:
    return to_device(raw(x), "cpu").astype(np.float64)


def _mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean and its standard error, which one value alone does not have."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)
