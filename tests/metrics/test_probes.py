"""Accuracies after learning from few labels: only the labels drawn are used, and features are scaled without them."""

import numpy as np
import pytest

from minigen import nn
from minigen.metrics import probe_accuracies, tuning_accuracies
from minigen.random import Generator

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
X = (np.eye(3)[LABELS] + 0.05 * RNG.normal(size=(60, 3))).astype("float32")
DRAWS = [np.arange(6), np.arange(30, 42), np.arange(9)]


def test_features_that_tell_the_classes_apart_give_an_accuracy_of_1():
    found = probe_accuracies(lambda x: x, (X, LABELS), (X, LABELS), DRAWS, classes=3)
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])


def test_only_the_labels_drawn_are_looked_at():
    hidden = LABELS.copy()
    hidden[np.setdiff1d(np.arange(60), DRAWS[0])] = -1
    found = probe_accuracies(lambda x: x, (X, hidden), (X, LABELS), DRAWS[:1], classes=3)
    np.testing.assert_array_equal(found, [1.0])


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_the_scale_and_the_place_of_features_do_not_matter(shift):
    expected = probe_accuracies(lambda x: x, (X, LABELS), (-X, LABELS), DRAWS, classes=3)
    found = probe_accuracies(lambda x: 64 * x + shift, (X, LABELS), (-X, LABELS), DRAWS, classes=3)
    np.testing.assert_array_equal(found, expected)


def test_each_draw_is_tuned_with_a_generator_of_its_own():
    seen = []

    def encoder(rng):
        seen.append(rng.normal(()).item())
        return nn.Sequential(nn.Linear(3, 16, rng=rng), nn.Tanh(), nn.Linear(16, 2, rng=rng))

    found = tuning_accuracies(encoder, (X, LABELS), (X, LABELS), DRAWS, classes=3, seed=7)
    np.testing.assert_array_equal(found, [1.0, 1.0, 1.0])
    assert seen == [Generator(7 + i).normal(()).item() for i in range(3)]


def test_features_that_are_constant_give_the_accuracy_of_chance():
    labels = np.arange(20) % 2
    same = np.ones((20, 3), np.float32)
    (found,) = probe_accuracies(nn.Flatten(), (same, labels), (same, labels), [np.arange(10)], classes=2)
    assert found == 0.5
