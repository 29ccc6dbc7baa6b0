"""Linear autoencoders, whose best weights are known: principal components, and of spoiled Gaussian data Wiener's filter."""

import itertools

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from minigen.metrics import pca
from minigen.models import mlp_autoencoder
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, fit_likelihood

SIZE, D, K = (2, 5, 1), 10, 3


@pytest.fixture(scope="module")
def data():
    """400 images of 10 pixels, correlated, with a mean that is not 0."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    scales = np.array([3.0, 2.2, 1.6, 1.0, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1])
    return (rng.normal(size=(400, D)) * scales @ axes + rng.normal(size=D)).astype("float32").reshape(-1, *SIZE)


def linear(code=K, **settings):
    return mlp_autoencoder(size=SIZE, hidden=(), code=code, likelihood="gaussian", rng=Generator(0), **settings)


def trained(model, data, *, steps=600, learning_rate=0.1):
    optimizer = Adam(model, learning_rate=cosine(learning_rate, steps=steps))
    fit_likelihood(
        model, itertools.repeat(data), optimizer, Run(steps=steps, every=steps, progress=False), rng=Generator(1)
    )
    return model


def squared_error(model, data):
    return float(((model.reconstruct(data) - data) ** 2).sum(axis=(1, 2, 3)).mean())


@pytest.mark.parametrize("tied", [False, True])
def test_descent_reaches_the_error_and_the_plane_of_principal_components(tied, data):
    model, exact = trained(linear(tied=tied), data), pca(data, K)
    assert squared_error(model, data) == pytest.approx(exact.reconstruction_error(data), rel=1e-3)
    # What is left out, by the eigenvalues.
    assert squared_error(model, data) == pytest.approx(exact.variances[K:].sum(), rel=1e-3)
    back = model.decoder[0].weight.data  # (K, D); tied, (D, K)
    assert np.degrees(subspace_angles(back if tied else back.T, exact.components.T)).max() < 1
    if tied:
        np.testing.assert_allclose(back.T @ back, np.eye(K), atol=0.02)
    np.testing.assert_allclose(model.reconstruct(data).mean(axis=0), data.mean(axis=0), atol=0.02)


def with_components(chosen, data):
    """The autoencoder in float64 whose plane is spanned by some principal components."""
    exact = pca(data, D)
    rows = exact.components[list(chosen)]  # (K, D)
    model = linear()
    encoder, decoder = model.encoder[1], model.decoder[0]
    for parameter, value in (
        (encoder.weight, rows.T),
        (encoder.bias, -rows @ exact.mean),
        (decoder.weight, rows),
        (decoder.bias, exact.mean),
    ):
        parameter.data = value.astype(np.float64)
    return model


def test_every_choice_of_components_is_a_stationary_point_and_the_first_ones_are_the_best(data):
    x = data.astype(np.float64)
    variances, losses = pca(data, D).variances, {}
    for chosen in itertools.combinations(range(5), K):
        model = with_components(chosen, data)
        loss, terms = model.loss(x)
        loss.backward()
        assert max(np.abs(parameter.grad.data).max() for parameter in model.parameters()) < 1e-5  # the data are float32
        losses[chosen] = terms["squared_error"].item()
        assert losses[chosen] == pytest.approx(variances.sum() - variances[list(chosen)].sum(), rel=1e-6)
    assert min(losses, key=losses.get) == (0, 1, 2)


def test_other_planes_are_no_stationary_points(data):
    model = with_components((0, 1, 2), data)
    turned = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, np.cos(0.3), np.sin(0.3)]]) @ pca(data, 4).components
    model.encoder[1].weight.data, model.decoder[0].weight.data = turned.T.copy(), turned
    model.loss(data.astype(np.float64))[0].backward()
    assert np.abs(model.decoder[0].weight.grad.data).max() > 0.1


@pytest.mark.parametrize("saddle", [(0, 1, 3), (1, 2, 3)])
def test_a_saddle_is_left_downhill_by_turning_towards_a_greater_component(saddle, data):
    x = data.astype(np.float64)
    at = with_components(saddle, data)
    missing = next(i for i in range(K) if i not in saddle)
    losses = []
    for angle in (-0.05, 0.0, 0.05):
        rows = pca(data, D).components[list(saddle)]
        rows[-1] = np.cos(angle) * rows[-1] + np.sin(angle) * pca(data, D).components[missing]
        mean = pca(data, D).mean
        at.encoder[1].weight.data, at.encoder[1].bias.data = rows.T.copy(), -rows @ mean
        at.decoder[0].weight.data = rows
        losses.append(at.loss(x)[0].item())
    assert max(losses[0], losses[2]) < losses[1]


def test_a_linear_denoising_autoencoder_becomes_wieners_filter():
    """For Gaussian data and noise E[x | x'] is linear: S (S + s^2 I)^-1 x', with the error sum_j lambda_j s^2 / (lambda_j + s^2)."""
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    variances = np.linspace(2.0, 0.1, D)
    s = 0.7

    def batches():
        noise = Generator(5)
        while True:
            yield ((noise.normal((500, D)) * np.sqrt(variances)) @ axes).astype("float32").reshape(-1, *SIZE)

    model = linear(code=D, corrupt=lambda x, *, rng: x + s * rng.normal(x.shape))
    steps = 500
    optimizer = Adam(model, learning_rate=cosine(0.02, steps=steps))
    fit_likelihood(model, batches(), optimizer, Run(steps=steps, every=steps, progress=False), rng=Generator(1))
    covariance = axes.T @ np.diag(variances) @ axes
    wiener = covariance @ np.linalg.inv(covariance + s**2 * np.eye(D))
    found = model.encoder[1].weight.data @ model.decoder[0].weight.data  # (D, D), row vectors: x' W V
    np.testing.assert_allclose(found, wiener, atol=0.06)
    fresh = next(batches())
    fresh = np.concatenate([fresh] * 20)
    made = model.reconstruct(fresh + s * Generator(9).normal(fresh.shape))
    error = ((made - fresh) ** 2).sum(axis=(1, 2, 3)).mean()
    assert error == pytest.approx((variances * s**2 / (variances + s**2)).sum(), rel=0.04)
