"""The bound and the importance-sampled likelihood: streaming against all weights at once, and against a likelihood that is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import minigen as mg
from minigen.metrics import bits_per_dimension, elbo, importance_log_likelihood, probabilistic_pca
from minigen.models import mlp_vae
from minigen.random import Generator


class Weights:
    """In place of a model: remembers the weights that it gave for each image, and how many at a time."""

    def __init__(self, scale=3.0, dtype="float64"):
        self.scale, self.dtype, self.given, self.most = scale, dtype, {}, 0

    def log_weights(self, batch, samples, *, rng):
        x, numbers = batch
        log_w = (self.scale * rng.normal((samples, len(x)), dtype="float64") - x).astype(self.dtype)
        for number, column in zip(numbers, log_w.T, strict=True):
            self.given.setdefault(int(number), []).append(column)
        self.most = max(self.most, log_w.size)
        return log_w


@settings(max_examples=20)
@given(
    n=st.integers(1, 40), samples=st.integers(1, 300), chunk=st.integers(1, 500), scale=st.sampled_from([1.0, 300.0])
)
def test_the_streamed_sum_is_that_of_all_weights(n, samples, chunk, scale):
    model, x = Weights(scale), np.linspace(0, 2000, n)
    found = importance_log_likelihood(model, (x, np.arange(n)), samples=samples, chunk=chunk, rng=Generator(0))
    weights = np.stack([np.concatenate(model.given[i]) for i in range(n)], axis=1)
    assert weights.shape == (samples, n)  # the k asked is the k used
    assert found.samples == samples
    assert model.most <= chunk  # in bounded memory
    np.testing.assert_allclose(found.values, logsumexp(weights, axis=0) - math.log(samples), rtol=1e-12)
    assert found.mean == pytest.approx(found.values.mean())
    if n > 1:
        assert found.standard_error == pytest.approx(found.values.std(ddof=1) / math.sqrt(n))
    else:
        assert math.isnan(found.standard_error)


def test_weights_in_float32_are_summed_in_float64():
    model = Weights(scale=1e-3, dtype="float32")
    found = importance_log_likelihood(model, (np.zeros(2), np.arange(2)), samples=5000, chunk=7, rng=Generator(0))
    weights = np.stack([np.concatenate(model.given[i]) for i in range(2)], axis=1).astype(np.float64)
    np.testing.assert_allclose(found.values, logsumexp(weights, axis=0) - math.log(5000), rtol=1e-9, atol=1e-12)


def test_it_rises_with_k_to_the_exact_likelihood():
    """A linear decoder with normal noise, and for q the prior, a poor choice."""
    rng = np.random.default_rng(0)
    vae = mlp_vae(size=(1, 3, 1), hidden=(), latent=2, likelihood="gaussian-learned", rng=Generator(0))
    vae.encoder[1].weight.data[...] = vae.encoder[1].bias.data[...] = 0
    W = vae.decoder[0].weight.data.astype(float)
    vae.likelihood.log_variance.data[...] = math.log(0.5)
    x = rng.multivariate_normal(vae.decoder[0].bias.data, W.T @ W + 0.5 * np.eye(3), 100)
    exact = multivariate_normal(vae.decoder[0].bias.data, W.T @ W + 0.5 * np.eye(3)).logpdf(x)
    images = x.astype(np.float32).reshape(-1, 1, 3, 1)
    found = [
        importance_log_likelihood(vae, images, samples=k, rng=Generator(1)).mean - exact.mean()
        for k in (1, 5, 50, 3000)
    ]
    assert found == sorted(found)
    assert found[0] < -0.5
    assert abs(found[-1]) < 0.01


def small_vae(device="cpu", **settings):
    return mlp_vae(size=(4, 4, 1), hidden=(8,), latent=3, rng=Generator(0), **settings).to(device)


def bits(n, device="cpu"):
    return mg.tensor(np.random.default_rng(0).integers(0, 2, (n, 4, 4, 1)).astype("float32"), device=device).data


@pytest.mark.parametrize("full", [False, True])
def test_the_terms_of_the_bound_are_means_over_images_and_draws(full):
    vae, x = small_vae(full_covariance=full), bits(11)
    found = elbo(vae, x, batch_size=4, draws=2, rng=Generator(3))
    rng = Generator(3)
    log_likelihood = np.concatenate(
        [
            np.mean([vae.bound(x[start : start + 4], rng=rng).log_likelihood.data for _ in range(2)], axis=0)
            for start in (0, 4, 8)
        ]
    )
    q = vae.posterior(x)
    np.testing.assert_allclose(found.log_likelihood, log_likelihood.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.divergence, q.divergence().data.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.unit_divergences, q.unit_divergences().data.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.values, log_likelihood - q.divergence().data, rtol=1e-6)
    assert found.elbo == pytest.approx(found.values.mean()) == pytest.approx(found.log_likelihood - found.divergence)
    assert found.standard_error == pytest.approx(found.values.std(ddof=1) / math.sqrt(11))
    assert found.draws == 2


def test_a_monte_carlo_divergence_is_the_closed_one():
    # E[log p(x, z) - log q(z|x)] = E[log p(x|z)] - KL, whether KL is closed or sampled.
    vae, x = small_vae(), bits(50)
    closed = elbo(vae, x, draws=300, rng=Generator(1))
    sampled = vae.log_weights(x, 300, rng=Generator(2)).data
    error = sampled.mean(axis=1).std() / math.sqrt(300)
    assert abs(closed.elbo - sampled.mean()) < 5 * error < 0.1


def test_figures_come_from_any_device(device):
    vae, x = small_vae(device), bits(9, device)
    found = elbo(vae, x, batch_size=4, rng=Generator(1, device=device))
    assert isinstance(found.elbo, float)
    assert type(found.unit_divergences) is np.ndarray
    evidence = importance_log_likelihood(vae, x, samples=30, chunk=64, rng=Generator(2, device=device))
    assert type(evidence.values) is np.ndarray
    here = importance_log_likelihood(small_vae(), bits(9), samples=30, chunk=64, rng=Generator(2))
    np.testing.assert_allclose(evidence.values, here.values, rtol=1e-5)


def test_nothing_is_recorded_and_no_gradient_left():
    vae = small_vae()
    importance_log_likelihood(vae, bits(3), samples=2, rng=Generator(0))
    elbo(vae, bits(3), rng=Generator(0))
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_a_bar_is_shown_if_asked_for(capsys):
    importance_log_likelihood(small_vae(), bits(3), samples=2, rng=Generator(0), progress=True)
    assert "L_2" in capsys.readouterr().err
    importance_log_likelihood(small_vae(), bits(3), samples=2, rng=Generator(0))
    assert capsys.readouterr().err == ""


@given(st.integers(1, 1000), st.integers(2, 256))
def test_bits_of_a_uniform_density_are_those_of_equally_likely_levels(dimensions, levels):
    discrete = bits_per_dimension(-dimensions * math.log(levels), dimensions=dimensions)
    assert discrete == pytest.approx(math.log2(levels))
    assert bits_per_dimension(0.0, dimensions=dimensions, levels=levels) == pytest.approx(discrete)


def test_bits_are_those_of_rescaled_pixels():
    """A density on [0, 1] with its correction is the density on [0, 256] without."""
    images = np.random.default_rng(0).normal(size=(30, 4)) @ np.diag([1.0, 2.0, 0.5, 0.1])
    fitted, scaled = (probabilistic_pca(factor * images, 2) for factor in (1, 256))
    np.testing.assert_allclose(
        bits_per_dimension(fitted.log_likelihood(images), dimensions=4, levels=256),
        bits_per_dimension(scaled.log_likelihood(256 * images), dimensions=4),
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: importance_log_likelihood(small_vae(), bits(3), samples=0, rng=Generator(0)), "samples = 0"),
        (lambda: importance_log_likelihood(small_vae(), bits(3), chunk=0, rng=Generator(0)), "chunk = 0"),
        (lambda: importance_log_likelihood(small_vae(), bits(0), rng=Generator(0)), "0 images"),
        (
            lambda: importance_log_likelihood(small_vae(), 2 * bits(3), samples=2, rng=Generator(0)),
            "pixels from 0 to 2",
        ),
        (lambda: elbo(small_vae(), bits(3), draws=0, rng=Generator(0)), "draws = 0"),
        (lambda: elbo(small_vae(), bits(3), batch_size=0, rng=Generator(0)), "batches of 0"),
        (lambda: elbo(small_vae(), bits(0), rng=Generator(0)), "0 images"),
        (lambda: bits_per_dimension(0.0, dimensions=0), "dimensions = 0"),
        (lambda: bits_per_dimension(0.0, dimensions=3, levels=0), "levels = 0"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
