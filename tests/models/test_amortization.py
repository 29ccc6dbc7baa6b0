"""Posteriors without an encoder: where they begin, that the best one is found where it is known, and that nothing else moves."""

import math

import numpy as np
import pytest
from devices import on_host
from scipy.stats import multivariate_normal

import minigen as mg
from minigen import nn
from minigen.models import VAE, Posterior, fit_posteriors, mlp_vae, pixel_likelihood, posterior_table
from minigen.random import Generator

SCALE = 0.5
WEIGHT = np.array([[1.0, 0.4], [-0.3, 0.8], [0.5, 0.5]], np.float32)  # (pixels, d)
PRECISION = np.eye(2) + WEIGHT.T @ WEIGHT / SCALE**2  # of p(z|x), the same for every x


def linear_vae():
    """p(x|z) = N(W z, s^2 I): p(z|x) is normal, and p(x) = N(0, W W^T + s^2 I)."""
    decoder = nn.Sequential(nn.Linear(2, 3, bias=False, rng=Generator(0)), nn.Reshape(3, 1, 1))
    decoder.layers[0].weight.data[...] = WEIGHT.T
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(3, 4, rng=Generator(1)))
    return VAE(encoder, decoder, size=(3, 1, 1), latent=2, likelihood=pixel_likelihood("gaussian", scale=SCALE))


def some_images(n, seed=0):
    z = np.random.default_rng(seed).normal(size=(n, 2)) @ WEIGHT.T
    return (z + SCALE * np.random.default_rng(seed + 1).normal(size=(n, 3))).astype(np.float32).reshape(n, 3, 1, 1)


def best_means(x):
    return x.reshape(-1, 3) @ WEIGHT @ np.linalg.inv(PRECISION) / SCALE**2


@pytest.mark.parametrize("full", [False, True])
def test_a_table_begins_with_the_prior(full):
    table = posterior_table(5, latent=3, full_covariance=full, rng=Generator(0))
    q = Posterior(table(np.arange(5)), latent=3)
    assert (q.below is not None) == full
    np.testing.assert_array_equal(q.divergence().data, np.zeros(5))
    assert table.weight.requires_grad


def test_the_best_diagonal_posterior_has_the_means_and_the_precisions_of_the_true_one():
    # The least KL(q || p) over diagonal q: q's means are p's, and 1 / s_j^2 is the diagonal of p's precision (Bishop 2006, 10.1.2).
    x = some_images(6)
    fitted = fit_posteriors(linear_vae(), x, steps=200, draws=256, rng=Generator(2))
    with mg.no_grad():
        q = fitted.vae.posterior(np.arange(6))
    np.testing.assert_allclose(q.mean.data, best_means(x), atol=0.03)
    np.testing.assert_allclose(np.exp(-q.log_variance.data), np.tile(PRECISION.diagonal(), (6, 1)), rtol=0.05)


def test_with_a_full_covariance_the_bound_is_the_likelihood():
    x = some_images(6)
    fitted = fit_posteriors(linear_vae(), x, steps=200, draws=256, full_covariance=True, rng=Generator(2))
    exact = multivariate_normal(np.zeros(3), WEIGHT @ WEIGHT.T + SCALE**2 * np.eye(3)).logpdf(x.reshape(6, 3))
    with mg.no_grad():
        log_w = fitted.vae.log_weights((x, np.arange(6)), 200, rng=Generator(3)).data
    np.testing.assert_allclose(log_w.mean(axis=0), exact, atol=0.02)
    assert log_w.std(axis=0).max() < 0.15  # with the true posterior it is 0


def test_the_course_is_the_elbo_before_each_step():
    x = some_images(7)
    vae = linear_vae()
    fitted = fit_posteriors(vae, x, steps=40, draws=200, batch_size=3, rng=Generator(2))
    assert len(fitted.elbos) == 40
    # q = N(0, I) at first: KL 0, and E[log p(x|z)] in closed form.
    squares = np.square(x).sum(axis=(1, 2, 3)) + np.square(WEIGHT).sum()
    at_first = -0.5 * squares / SCALE**2 - 3 * math.log(SCALE) - 1.5 * math.log(2 * math.pi)
    assert fitted.elbos[0] == pytest.approx(at_first.mean(), rel=0.03)
    with mg.no_grad():
        bound = fitted.vae.bound((x, np.arange(7)), draws=200, rng=Generator(3))
    assert fitted.elbos[-1] == pytest.approx((bound.log_likelihood - bound.divergence).data.mean(), abs=0.15)
    assert fitted.elbos[-1] > fitted.elbos[0] + 2


def test_an_image_is_fitted_alike_whatever_is_in_its_batch():
    x = some_images(5)
    fits = [
        fit_posteriors(linear_vae(), x, steps=120, draws=256, batch_size=size, rng=Generator(2)).vae.encoder.weight.data
        for size in (2, 5)
    ]
    np.testing.assert_allclose(*fits, atol=0.06)


def test_nothing_but_the_table_moves():
    vae = mlp_vae(size=(4, 4, 1), hidden=(8,), latent=2, likelihood="gaussian-learned", rng=Generator(0))
    before = {name: array.copy() for name, array in vae.state().items()}
    x = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype(np.float32)
    fitted = fit_posteriors(vae, x, steps=5, rng=Generator(1))
    for name, array in vae.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(parameter.grad is None and not parameter.is_owned for parameter in vae.parameters())
    assert fitted.vae.decoder is vae.decoder
    assert abs(fitted.vae.encoder.weight.data).min() > 0


def test_one_seed_gives_one_fit_on_each_device(gpu_or_double):
    x = some_images(4)

    def rows(device, seed=2):
        vae = linear_vae()
        vae.to(device)
        return on_host(fit_posteriors(vae, x, steps=10, rng=Generator(seed, device=device)).vae.encoder.weight)

    np.testing.assert_array_equal(rows("cpu"), rows("cpu"))
    assert abs(rows("cpu") - rows("cpu", seed=3)).max() > 1e-3
    np.testing.assert_allclose(rows(gpu_or_double), rows("cpu"), rtol=1e-3, atol=1e-4)


def test_less_than_one_step_or_draw_is_refused():
    for steps, draws in ((0, 1), (1, 0)):
        message = f"fit_posteriors: steps = {steps} and draws = {draws} must be at least 1"
        with pytest.raises(ValueError, match=message):
            fit_posteriors(linear_vae(), some_images(2), steps=steps, draws=draws, rng=Generator(0))
