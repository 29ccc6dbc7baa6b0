"""What is lost between log p(x) and a bound, in a linear model in which every term is known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from minigen import nn
from minigen.metrics import judge_inference
from minigen.models import VAE, pixel_likelihood, posterior_table
from minigen.random import Generator

SCALE = 0.5
WEIGHT = np.array([[1.0, 0.4], [-0.3, 0.8], [0.5, 0.5]], np.float32)  # (pixels, d)
PRECISION = np.eye(2) + WEIGHT.T @ WEIGHT / SCALE**2  # of p(z|x), the same for every x


def linear_vae():
    """p(x|z) = N(W z, s^2 I), and a table that says q(z|x) = N(0, I) of every image."""
    decoder = nn.Sequential(nn.Linear(2, 3, bias=False, rng=Generator(0)), nn.Reshape(3, 1, 1))
    decoder.layers[0].weight.data[...] = WEIGHT.T
    table = posterior_table(6, latent=2, rng=Generator(0))
    return VAE(table, decoder, size=(3, 1, 1), latent=2, likelihood=pixel_likelihood("gaussian", scale=SCALE))


def divergence(means, variances, posterior_means):
    """KL(N(m, diag v) || p(z|x)), the mean over images."""
    away = means - posterior_means
    quadratic = np.einsum("ni,ij,nj->n", away, PRECISION, away).mean()
    log_determinants = np.linalg.slogdet(PRECISION)[1] + np.log(variances).sum()
    return 0.5 * (variances @ PRECISION.diagonal() + quadratic - 2 - log_determinants)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 2)) @ WEIGHT.T + SCALE * rng.normal(size=(6, 3))
    return x.astype(np.float32).reshape(6, 3, 1, 1)


def test_both_gaps_are_divergences_from_the_true_posterior(images):
    found = judge_inference(
        linear_vae(), images, encoder_input=np.arange(6), steps=150, draws=1500, k=500, make_rng=lambda: Generator(2)
    )
    exact = multivariate_normal(np.zeros(3), WEIGHT @ WEIGHT.T + SCALE**2 * np.eye(3)).logpdf(images.reshape(6, 3))
    means = images.reshape(6, 3) @ WEIGHT @ np.linalg.inv(PRECISION) / SCALE**2
    least = divergence(means, 1 / PRECISION.diagonal(), means)  # of normal distributions without covariances
    prior = divergence(np.zeros((6, 2)), np.ones(2), means)
    assert found.log_likelihood == pytest.approx(exact.mean(), abs=0.02)
    assert found.gaps["approximation gap"] == pytest.approx(least, abs=0.05)
    assert found.gaps["amortization gap"] == pytest.approx(prior - least, rel=0.03)
    assert found.figures() == {
        "elbo": found.elbo,
        "fitted_elbo": found.fitted_elbo,
        "log_likelihood": found.log_likelihood,
        "approximation_gap": found.log_likelihood - found.fitted_elbo,
        "amortization_gap": found.fitted_elbo - found.elbo,
    }
    best = next(i for i, bound in enumerate(found.fitted.elbos) if bound >= found.elbo)
    assert found.steps_to_equal == best <= 2  # where the fit begins, but for the noise of its draws


def test_a_model_without_posteriors_of_its_own_has_no_amortization_gap(images):
    found = judge_inference(linear_vae(), images, steps=3, draws=2, k=2, make_rng=lambda: Generator(2))
    assert found.elbo is None
    assert found.steps_to_equal is None
    assert list(found.gaps) == ["approximation gap"]
    assert list(found.figures()) == ["elbo", "fitted_elbo", "log_likelihood", "approximation_gap"]
    assert len(found.fitted.elbos) == 3


def test_a_full_covariance_closes_the_approximation_gap(images):
    found = judge_inference(
        linear_vae(), images, steps=200, draws=1500, k=100, full_covariance=True, make_rng=lambda: Generator(2)
    )
    assert found.gaps["approximation gap"] == pytest.approx(0, abs=0.04)
