"""A linear VAE against probabilistic PCA: equal likelihoods at the optimum, which training finds.

The best model of this kind is known in closed form (Tipping & Bishop 1999), and a diagonal q(z|x) holds its posterior (Lucas et al. 2019).
"""

import numpy as np
import pytest

from minigen.data import Batches
from minigen.metrics import elbo, importance_log_likelihood, probabilistic_pca
from minigen.models import mlp_vae
from minigen.optim import Adam
from minigen.optim.schedules import cosine
from minigen.random import Generator

SIZE, LATENT = (2, 4, 1), 3


def images(n, seed=0):
    """Vectors of 8 numbers, with three directions of much variance."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(np.random.default_rng(7).normal(size=(8, 8)))[0]
    spreads = np.array([2.0, 1.5, 1.0, 0.3, 0.3, 0.3, 0.3, 0.3])
    return (0.5 + rng.normal(size=(n, 8)) * spreads @ axes).reshape(n, *SIZE)


def linear_vae(rng):
    return mlp_vae(size=SIZE, hidden=(), latent=LATENT, likelihood="gaussian-learned", rng=rng)


def optimal(fitted):
    """The linear VAE whose p(x|z) is probabilistic PCA's, and whose q(z|x) is its p(z|x); in float64."""
    vae = linear_vae(Generator(0))
    inverse = np.linalg.inv(fitted.weight.T @ fitted.weight + fitted.variance * np.eye(LATENT))  # diagonal
    gain = fitted.weight @ inverse  # (D, k)
    log_variance = np.log(fitted.variance * np.diag(inverse))
    (encoder,), (decoder, _) = list(vae.encoder)[1:], vae.decoder
    encoder.weight.data = np.concatenate([gain, np.zeros_like(gain)], axis=1)
    encoder.bias.data = np.concatenate([-fitted.mean @ gain, log_variance])
    decoder.weight.data, decoder.bias.data = fitted.weight.T.copy(), fitted.mean
    vae.likelihood.log_variance.data = np.log([fitted.variance])
    return vae


def test_at_the_optimum_each_weight_is_the_likelihood_itself():
    # w = p(x, z) / q(z|x) is p(x) whatever z is, if q(z|x) = p(z|x): so L_k = log p(x) for any k.
    x = images(50)
    fitted = probabilistic_pca(x, LATENT)
    expected = fitted.log_likelihood(x)
    log_w = optimal(fitted).log_weights(x, 7, rng=Generator(1)).data
    np.testing.assert_allclose(log_w, np.broadcast_to(expected, (7, 50)), rtol=1e-10)
    found = importance_log_likelihood(optimal(fitted), x, samples=3, rng=Generator(1))
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)


def test_at_the_optimum_the_bound_is_tight():
    x = images(200)
    fitted = probabilistic_pca(x, LATENT)
    found = elbo(optimal(fitted), x, draws=200, rng=Generator(2))
    expected = fitted.log_likelihood(x)
    noise = (found.values - expected).std() / np.sqrt(len(x))  # that of the draws, without the images'
    assert abs(found.elbo - expected.mean()) < 4 * noise < 0.03
    # KL(p(z|x) || p(z)) by p(z|x), and so the other term.
    mean, covariance = fitted.posterior(x)
    divergence = 0.5 * (np.trace(covariance) + (mean**2).sum(axis=1) - LATENT - np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(found.divergence, divergence.mean())


@pytest.mark.parametrize("change", ["encoder", "decoder"])
def test_away_from_the_optimum_the_bound_is_lower(change):
    x = images(200)
    fitted = probabilistic_pca(x, LATENT)
    vae = optimal(fitted)
    layer = {"encoder": vae.encoder[1], "decoder": vae.decoder[0]}[change]
    layer.bias.data = layer.bias.data + 0.2
    assert elbo(vae, x, draws=50, rng=Generator(2)).elbo < fitted.log_likelihood(x).mean() - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_training_finds_probabilistic_pca(seed):
    x = images(2000, seed).astype(np.float32)
    fitted = probabilistic_pca(x, LATENT)
    exact = fitted.log_likelihood(x).mean()
    rng = Generator(seed)
    vae = linear_vae(rng)
    vae.likelihood.log_variance.data[...] = (
        0.0  # noise that is large at first lets the posterior turn to the principal axes
    )
    optimizer, batches = Adam(vae, learning_rate=cosine(3e-2, steps=3000)), Batches(x, batch_size=200, rng=rng)
    for _ in range(3000):
        optimizer.zero_grad()
        vae.loss(next(batches), rng=rng)[0].backward()
        optimizer.step()
    found = elbo(vae, x, draws=100, rng=Generator(1))
    assert abs(found.elbo / exact - 1) < 0.005
    assert importance_log_likelihood(vae, x[:500], samples=100, rng=Generator(2)).mean == pytest.approx(
        fitted.log_likelihood(x[:500]).mean(), rel=0.005
    )
    np.testing.assert_allclose(np.exp(vae.likelihood.log_variance.data), fitted.variance, rtol=0.02)
    # The decoder's columns span the principal directions, though a rotation of z changes nothing but the tightness of a diagonal q.
    learnt = np.linalg.qr(vae.decoder[0].weight.data.T)[0]
    wanted = np.linalg.qr(fitted.weight)[0]
    assert np.linalg.svd(learnt.T @ wanted)[1].min() > 0.999
