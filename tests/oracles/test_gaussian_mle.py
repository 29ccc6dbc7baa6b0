"""Maximum likelihood for a Gaussian, by the training loop, against the closed form: the sample mean and covariance."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from minigen.data import load_geyser
from minigen.models import Gaussian
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, fit_likelihood


def random_gaussian(features, seed, dtype=np.float64):
    """Return a model with random parameters, and its covariance by hand."""
    rng = np.random.default_rng(seed)
    model = Gaussian(features)
    for p in model.parameters():
        p.data = rng.normal(scale=0.7, size=p.shape).astype(dtype)
    factor = np.tril(model.below.data, -1) + np.diag(np.exp(model.log_diagonal.data))
    return model, np.linalg.inv(factor @ factor.T)


@given(features=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_log_prob_and_covariance(features, seed):
    model, covariance = random_gaussian(features, seed)
    x = np.random.default_rng(seed + 1).normal(scale=2.0, size=(8, features))
    expected = multivariate_normal(model.mean.data, covariance).logpdf(x)
    log_prob = model.log_prob(x)
    assert log_prob.shape == (8,)
    np.testing.assert_allclose(log_prob.data, expected, rtol=1e-8)
    np.testing.assert_allclose(model.covariance().data, covariance, rtol=1e-8, atol=1e-12)
    loss, terms = model.loss(x)
    np.testing.assert_allclose(loss.item(), -expected.mean(), rtol=1e-8)
    assert list(terms) == ["negative_log_likelihood"]
    assert terms["negative_log_likelihood"].item() == loss.item()


def test_moments_of_samples():
    n = 200_000
    model, covariance = random_gaussian(3, seed=1, dtype=np.float32)
    x = model.sample(n, rng=Generator(0)).data.astype(np.float64)
    assert x.shape == (n, 3)
    variances = np.diag(covariance)
    assert (np.abs(x.mean(axis=0) - model.mean.data) < 5 * np.sqrt(variances / n)).all()
    # Wishart: the variance of an entry of the sample covariance is (S_ij^2 + S_ii S_jj) / n.
    error = np.sqrt((covariance**2 + np.outer(variances, variances)) / n)
    assert (np.abs(np.cov(x.T) - covariance) < 5 * error).all()


def eruptions():
    geyser = load_geyser()
    return np.stack([geyser.duration, geyser.waiting / 10], axis=1).astype(np.float32)  # (272, 2)


def correlated():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(100, 4)) @ rng.normal(size=(4, 4)) + rng.normal(size=4)).astype(np.float32)


@pytest.mark.parametrize("data", [eruptions(), correlated()], ids=["eruptions", "correlated"])
def test_descent_reaches_the_closed_form(data):
    model = Gaussian(data.shape[1])
    steps = 1500
    run = Run(steps=steps, every=100, progress=False)
    optimizer = Adam(model, learning_rate=cosine(0.1, steps=steps))
    fit_likelihood(model, itertools.repeat(data), optimizer, run, rng=Generator(0))

    exact = data.astype(np.float64)
    mean, covariance = exact.mean(axis=0), np.cov(exact.T, bias=True)
    scale = np.sqrt(np.diag(covariance))
    # Sums of some hundred float32 terms, relative error 2^-24 each, bend the optimum by less than 1e-4 standard deviations.
    np.testing.assert_allclose((model.mean.data - mean) / scale, 0, atol=1e-4)
    np.testing.assert_allclose((model.covariance().data - covariance) / np.outer(scale, scale), 0, atol=1e-4)

    # Bishop 2006, section 2.3.4: at the optimum the quadratic form averages d.
    d = data.shape[1]
    minimum = 0.5 * (d + d * math.log(2 * math.pi) + np.linalg.slogdet(covariance)[1])
    losses = run.history.column("negative_log_likelihood")
    assert losses[-1] == pytest.approx(minimum, rel=1e-5)
    assert min(losses) > minimum - 1e-5 * abs(minimum)
