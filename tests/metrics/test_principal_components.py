import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.data import load_images
from minigen.metrics import pca, probabilistic_pca


def data_of(seed, n=50, dimensions=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dimensions)) @ rng.normal(size=(dimensions, dimensions)) + rng.normal(size=dimensions)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), components=st.integers(1, 6), n=st.integers(2, 50))
def test_the_error_is_the_sum_of_the_variances_left_out(seed, components, n):
    data = data_of(seed, n)
    fitted = pca(data, components)
    np.testing.assert_allclose(fitted.reconstruction_error(data), fitted.variances[components:].sum(), atol=1e-9)
    np.testing.assert_allclose(fitted.components @ fitted.components.T, np.eye(components), atol=1e-9)
    np.testing.assert_allclose(fitted.project(data).var(axis=0), fitted.variances[:components], atol=1e-9)
    assert (np.diff(fitted.variances) <= 0).all()


def test_the_components_are_those_of_a_singular_value_decomposition():
    data = data_of(0)
    _, values, vectors = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    fitted = pca(data, 3)
    np.testing.assert_allclose(fitted.variances, values**2 / len(data))
    signs = np.sign((fitted.components * vectors[:3]).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(fitted.components, signs * vectors[:3], atol=1e-9)
    assert (fitted.components.max(axis=1) == np.abs(fitted.components).max(axis=1)).all()


def test_no_other_plane_has_a_smaller_error():
    data, rng = data_of(1), np.random.default_rng(2)
    best = pca(data, 2).reconstruction_error(data)
    centred = data - data.mean(axis=0)
    for _ in range(50):
        basis = np.linalg.qr(pca(data, 2).components.T + 0.1 * rng.normal(size=(6, 2)))[0]
        assert ((centred - centred @ basis @ basis.T) ** 2).sum(axis=1).mean() > best


def test_images_are_seen_as_vectors():
    images = data_of(3).reshape(50, 2, 3, 1).astype(np.float32)
    assert pca(images, 2).reconstruct(pca(images, 2).project(images)).shape == (50, 6)


def test_the_largest_angle_is_that_by_which_a_plane_is_turned():
    data = np.diag([5.0, 4.0, 1.0])
    fitted = pca(np.concatenate([data, -data]), 2)
    angle = np.radians(30)
    turned = np.array([[1.0, 0, 0], [0, np.cos(angle), np.sin(angle)]])
    mixed = np.array([[2.0, 1.0], [-3.0, 4.0]]) @ turned  # other vectors of the same plane
    assert fitted.largest_angle(mixed) == pytest.approx(30)
    assert fitted.largest_angle(mixed.reshape(2, 3, 1, 1)) == pytest.approx(30)
    assert fitted.largest_angle(fitted.components[::-1]) == pytest.approx(0, abs=1e-5)
    assert fitted.largest_angle([[0, 0, 1.0], [1.0, 0, 0]]) == pytest.approx(90)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), components=st.integers(1, 5))
def test_the_likelihood_is_that_of_the_normal_distribution(seed, components):
    data = data_of(seed)
    fitted = probabilistic_pca(data, components)
    covariance = fitted.weight @ fitted.weight.T + fitted.variance * np.eye(6)
    expected = scipy.stats.multivariate_normal(fitted.mean, covariance).logpdf(data)
    np.testing.assert_allclose(fitted.log_likelihood(data), expected, rtol=1e-7)
    # Tipping & Bishop, equation 15's maximum: C agrees with S along the components, and in the mean of the rest.
    S = np.cov(data.T, bias=True)
    np.testing.assert_allclose(np.trace(covariance), np.trace(S))
    np.testing.assert_allclose(fitted.weight.T @ S, fitted.weight.T @ covariance, atol=1e-8)


def test_no_other_model_near_by_is_more_likely():
    data, rng = data_of(4), np.random.default_rng(5)
    fitted = probabilistic_pca(data, 2)
    best = fitted.log_likelihood(data).mean()
    for _ in range(50):
        weight = fitted.weight + 0.05 * rng.normal(size=fitted.weight.shape)
        other = fitted._replace(weight=weight, variance=fitted.variance * np.exp(0.1 * rng.normal()))
        assert other.log_likelihood(data).mean() < best


def test_the_posterior_is_bayes_rule():
    data = data_of(6)
    fitted = probabilistic_pca(data, 2)
    mean, covariance = fitted.posterior(data)
    z = np.array([0.3, -1.2])
    x = data[7]
    joint = scipy.stats.multivariate_normal(np.zeros(2), np.eye(2)).logpdf(z) + scipy.stats.multivariate_normal(
        fitted.weight @ z + fitted.mean, fitted.variance * np.eye(6)
    ).logpdf(x)
    conditional = scipy.stats.multivariate_normal(mean[7], covariance).logpdf(z)
    np.testing.assert_allclose(joint - conditional, fitted.log_likelihood(x[None])[0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pca(data_of(0), 0), "components = 0, expected from 1 to the 6"),
        (lambda: pca(data_of(0), 7), "components = 7, expected from 1 to the 6"),
        (lambda: pca(np.zeros(5), 1), r"shape \(5,\)"),
        (lambda: pca(np.full((5, 2), np.nan), 1), "finite"),
        (lambda: pca(data_of(0), 2).project(np.zeros((3, 5))), "5 numbers, not 6"),
        (lambda: pca(data_of(0), 2).largest_angle(np.eye(2, 5)), "PCA.largest_angle: .* 5 numbers, not 6"),
        (lambda: probabilistic_pca(data_of(0), 6), "leave no variance"),
        (lambda: probabilistic_pca(np.outer(np.arange(5.0), np.ones(3)), 1), "leave no variance"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.slow
def test_30_components_of_mnist_have_the_published_error():
    """Hinton & Salakhutdinov 2006: 13.87."""
    folder = Path(os.environ.get("MINIGEN_DATA") or "~/.cache/minigen").expanduser() / "mnist"
    if not any(folder.glob("train-images-idx3-ubyte*")):  # a download that failed leaves an empty folder
        pytest.skip(f"MNIST is not in {folder}; set MINIGEN_DATA to the folder that holds mnist/")
    training, test = load_images("mnist")
    assert abs(pca(training.unit(), 30).reconstruction_error(test.unit()) - 13.866) < 0.005
