"""The convolutional classifier: its equations worked out by hand, its loss, and what it says of images alone and in company."""

import json

import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.special import log_softmax

import minigen as mg
from minigen.models import ConvClassifier
from minigen.optim import Adam
from minigen.random import Generator

SETTINGS = {"size": (9, 6), "channels": 2, "classes": 4, "widths": (3, 5), "kernel_size": 3, "features": 7}


@pytest.fixture
def classifier():
    """A small one whose normalization has something to do: weights and statistics are those of no fresh layer."""
    rng = np.random.default_rng(0)
    network = ConvClassifier(**SETTINGS, rng=Generator(1))
    state = {name: rng.normal(size=array.shape).astype("float32") for name, array in network.state().items()}
    for name in state:
        if name.endswith("running_var"):
            state[name] = np.exp(state[name])
    network.load_state(state)
    return network


def images(n, seed=2):
    return np.random.default_rng(seed).uniform(size=(n, 9, 6, 2)).astype("float32")


def by_hand(network, x):
    """The equations in the order of the file, for one image (H, W, C) in float64: the features and log p(y | x)."""
    state = {name: array.astype(np.float64) for name, array in network.state().items()}
    for block in range(2):
        weight, w, b, mean, var = (
            state[f"blocks.{block}.layers.{name}"]
            for name in ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
        )
        maps = np.stack(
            [
                sum(correlate2d(x[..., c], weight[..., c, k], mode="same") for c in range(x.shape[2]))
                for k in range(weight.shape[3])
            ],
            axis=2,
        )
        maps = np.maximum(w * (maps - mean) / np.sqrt(var + 1e-5) + b, 0)
        height, width = maps.shape[0] // 2, maps.shape[1] // 2
        x = maps[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).max(axis=(1, 3))
    features = np.maximum(x.ravel() @ state["hidden.weight"] + state["hidden.bias"], 0)
    return features, log_softmax(features @ state["last.weight"] + state["last.bias"])


def test_features_and_log_probabilities_are_those_of_the_equations(classifier):
    x = images(4)
    features, log_p = (np.stack(parts) for parts in zip(*(by_hand(classifier, image) for image in x), strict=True))
    assert (features > 0).any()
    np.testing.assert_allclose(classifier.features(x), features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(classifier.predict(x), log_p, rtol=1e-4, atol=1e-4)


def test_the_feature_maps_are_the_first_convolution_normalized_and_rectified(classifier):
    x, block = images(2), classifier.blocks[0]
    maps = classifier.feature_maps(x)
    assert maps.shape == (2, 9, 6, 3)
    pooled = maps[:, :8].reshape(2, 4, 2, 3, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(pooled, block.eval()(x).data)


def test_the_loss_is_the_mean_negative_log_probability_of_the_labels(classifier):
    x, labels = images(6), np.array([0, 1, 2, 3, 0, 1])
    log_p = classifier.predict(x)
    loss, terms = classifier.eval().loss((x, mg.tensor(labels)))
    assert loss.item() == pytest.approx(-np.mean([log_p[n, label] for n, label in enumerate(labels)]), rel=1e-5)
    assert terms["cross_entropy"].item() == loss.item()
    right = log_p.argmax(axis=1) == labels
    assert 0 < right.sum() < 6
    assert terms["accuracy"].item() == pytest.approx(right.mean())
    assert not any(term.requires_grad for term in terms.values())


def test_every_parameter_gets_a_gradient(classifier):
    loss, _ = classifier.loss((images(8), np.arange(8) % 4))
    loss.backward()
    for name, parameter in classifier.named_parameters().items():
        assert np.abs(parameter.grad.data).max() > 0, name


def test_training_drops_features_and_evaluation_none(classifier):
    x = images(3)
    classifier.train()
    assert not np.array_equal(classifier(x).data, classifier(x).data)
    classifier.eval()
    np.testing.assert_array_equal(classifier(x).data, classifier(x).data)
    whole = ConvClassifier(**SETTINGS, dropout=0.0, rng=Generator(0))
    np.testing.assert_array_equal(whole(x).data, whole(x).data)


@pytest.mark.parametrize("mode", [True, False])
def test_what_it_says_of_an_image_does_not_depend_on_others_and_changes_nothing(classifier, mode):
    classifier.train(mode)
    before = {name: array.copy() for name, array in classifier.state().items()}
    x = images(503)  # more than a batch
    for describe in (classifier.features, classifier.predict, classifier.feature_maps):
        together = describe(x)
        assert len(together) == 503
        for n in (0, 499, 500, 502):
            np.testing.assert_allclose(describe(x[n : n + 1])[0], together[n], rtol=1e-4, atol=1e-4)
    assert all(module.training is mode for module in classifier.named_modules().values())
    for name, array in classifier.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_it_returns_to_training_after_an_error(classifier):
    with pytest.raises(ValueError, match="conv2d"):
        classifier.features(images(2)[..., :1])
    assert classifier.training


def test_features_are_differentiable_in_the_image(classifier):
    x = mg.tensor(images(2), requires_grad=True)
    classifier.eval()
    mg.ops.sum(classifier.describe(x)).backward()
    step = np.zeros_like(x.data)
    step[1, 4, 3, 0] = 1e-2
    slope = (classifier.features(x.data + step).sum() - classifier.features(x.data - step).sum()) / 2e-2
    assert x.grad.data[1, 4, 3, 0] == pytest.approx(slope, rel=2e-2)
    assert slope != 0


def test_it_says_the_same_on_another_device(classifier, gpu_or_double):
    x = images(3)
    expected = classifier.features(x), classifier.predict(x)
    classifier.to(gpu_or_double)
    for found, known in zip((classifier.features(x), classifier.predict(x)), expected, strict=True):
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-4)


def test_it_can_be_built_again_from_its_configuration(classifier):
    again = ConvClassifier(**json.loads(json.dumps(classifier.configuration)), rng=Generator(9))
    assert again.configuration == classifier.configuration
    again.load_state(classifier.state())
    np.testing.assert_array_equal(again.features(images(2)), classifier.features(images(2)))


def test_it_learns_a_few_noisy_images_by_heart():
    x, labels = images(32), np.arange(32) % 4
    network = ConvClassifier(**SETTINGS | {"features": 32}, rng=Generator(0))
    optimizer = Adam(network, learning_rate=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss, _ = network.loss((x, labels))
        loss.backward()
        optimizer.step()
    assert (network.predict(x).argmax(axis=1) == labels).mean() >= 0.9


@pytest.mark.parametrize("change", [{"widths": ()}, {"widths": (2, 2, 2)}, {"size": (3, 9)}])
def test_images_that_cannot_be_halved_so_often_are_refused(change):
    with pytest.raises(ValueError, match=r"ConvClassifier: images of size \(\d, \d\) and widths"):
        ConvClassifier(**SETTINGS | change, rng=Generator(0))
