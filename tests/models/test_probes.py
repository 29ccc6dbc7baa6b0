"""Classifiers of few labels: the linear one is at the minimum of its loss, the fine-tuned one begins with the encoder."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from minigen.data import balanced_draw, load_images
from minigen.models import fine_tuned, linear_probe, mlp_vae
from minigen.random import Generator


def few(n):
    """Return n labelled digits, (n, 8, 8, 1), as many of each class."""
    training, _ = load_images("digits")
    chosen = balanced_draw(training.labels, n, classes=10, rng=Generator(0))
    return training.unit()[chosen], training.labels[chosen]


@pytest.mark.parametrize("decay", [0.03, 0.3])
def test_the_linear_probe_is_at_the_minimum_of_its_penalized_loss(decay):
    images, labels = few(30)
    x = images.reshape(30, 64) - 0.3
    layer = linear_probe(x, labels, weight_decay=decay)

    def objective(parameters):
        w, b = parameters[:640].reshape(64, 10), parameters[640:]
        log_p = log_softmax(x @ w + b, axis=1)
        wrong = np.exp(log_p) - np.eye(10)[labels]
        gradient = np.concatenate([(x.T @ wrong / 30 + decay * w).ravel(), wrong.mean(axis=0)])
        return 0.5 * decay * (w**2).sum() - log_p[np.arange(30), labels].mean(), gradient

    best = minimize(objective, np.zeros(650), jac=True, method="L-BFGS-B")
    found = np.concatenate([layer.weight.data.ravel(), layer.bias.data])
    assert objective(found)[0] == pytest.approx(best.fun, rel=2e-3)
    assert objective(np.zeros(650))[0] > 1.1 * best.fun


def test_fine_tuning_begins_with_the_encoder_and_leaves_it_alone():
    images, labels = few(20)
    encoder = mlp_vae(size=(8, 8, 1), hidden=(6,), latent=2, rng=Generator(0)).encoder
    before = {name: array.copy() for name, array in encoder.state().items()}
    network = fine_tuned(encoder, images, labels, rng=Generator(1))
    for name, array in encoder.state().items():
        np.testing.assert_array_equal(array, before[name])
    first, own = network[1].weight.data, encoder[1].weight.data
    assert first.shape == own.shape
    assert 0 < np.abs(first - own).max() < 1  # moved, from there
    assert np.corrcoef(first.ravel(), own.ravel())[0, 1] > 0.5


def test_no_step_of_fine_tuning_leaves_the_hidden_layers_as_they_are():
    images, labels = few(10)
    encoder = mlp_vae(size=(8, 8, 1), hidden=(6,), latent=2, rng=Generator(0)).encoder
    network = fine_tuned(encoder, images, labels, steps=0, rng=Generator(1))
    np.testing.assert_array_equal(network[1].weight.data, encoder[1].weight.data)
    assert network.layers[-1].weight.shape == (6, 10)


def test_both_compute_on_another_device(gpu_or_double):
    images, labels = few(10)
    on_cpu = linear_probe(images.reshape(10, 64), labels, steps=3)
    there = linear_probe(images.reshape(10, 64), labels, steps=3, device=gpu_or_double)
    np.testing.assert_allclose(there.to("cpu").weight.data, on_cpu.weight.data, rtol=1e-4, atol=1e-6)
