"""Copies are found by their distance to the training images, and by birthdays."""

import math

import numpy as np
import pytest

from minigen.metrics import birthday_probability, birthday_test, copying_auroc
from minigen.random import Generator


def test_new_samples_are_told_from_held_out_images_by_chance_only():
    rng = np.random.default_rng(0)
    training, held_out, samples = rng.normal(size=(3, 500, 6))
    assert copying_auroc(samples, training=training, held_out=held_out) == pytest.approx(0.5, abs=0.06)


def test_the_more_copies_the_nearer_to_one():
    rng = np.random.default_rng(0)
    training, held_out, samples = rng.normal(size=(3, 400, 6))
    found = []
    for copies in (0, 200, 400):
        mixed = samples.copy()
        mixed[:copies] = training[:copies]
        found.append(copying_auroc(mixed, training=training, held_out=held_out))
    assert found[0] < 0.6
    assert found[1] == pytest.approx(0.5 + found[0] / 2, abs=0.03)  # half of the pairs are certain
    assert found[2] == 1
    assert copying_auroc(samples + 100, training=training, held_out=held_out) == 0  # far from everything is not a copy


def test_images_of_other_sizes_and_no_images_are_refused():
    x = np.zeros((3, 2, 2, 1))
    with pytest.raises(ValueError, match="copying_auroc: 0 samples and 3 held-out images, expected some of each"):
        copying_auroc(x[:0], training=x, held_out=x)
    with pytest.raises(ValueError, match="expected one size"):
        copying_auroc(x, training=np.zeros((3, 4)), held_out=x)


@pytest.mark.parametrize(("n", "s"), [(1, 1), (1, 2), (6, 3), (365, 23), (10, 11), (10**9, 50_000)])
def test_the_birthday_probability_is_the_product(n, s):
    none_alike = math.prod(1 - i / n for i in range(s)) if s <= n else 0.0
    assert birthday_probability(n, s) == pytest.approx(1 - none_alike, rel=1e-9)


def test_the_shares_are_those_of_a_known_support():
    values = np.random.default_rng(0).integers(0, 300, size=(20_000, 1)).astype(float)
    sizes = (5, 10, 24, 40)
    found = birthday_test(values[:5000], alike=0.0, batch_sizes=sizes, repetitions=300, rng=Generator(0))
    for size, share in zip(sizes, found.shares, strict=True):
        exact = birthday_probability(300, size)
        assert abs(share - exact) < 4 * math.sqrt(exact * (1 - exact) / 300) + 0.01
    assert found.support == pytest.approx(24**2 / (2 * math.log(2)))


def test_no_two_alike_is_an_infinite_support_and_the_distance_decides():
    x = np.arange(200.0)[:, None]
    assert birthday_test(x, alike=0.5, batch_sizes=(10, 50), rng=Generator(0)).support == math.inf
    assert birthday_test(x, alike=1.0, batch_sizes=(50,), rng=Generator(0)).shares == (1.0,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_sizes": (4, 2)}, r"batch sizes \(4, 2\), expected rising numbers of at most 5"),
        ({"batch_sizes": (2, 6)}, "expected rising numbers of at most 5, half of the samples"),
        ({"alike": -1.0}, "alike is -1.0, expected a distance of at least 0"),
        ({"batch_sizes": (0,)}, "expected at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"birthday_test: .*{words}"):
        birthday_test(np.zeros((10, 2)), **({"alike": 0.0, "batch_sizes": (2, 4)} | settings), rng=Generator(0))
