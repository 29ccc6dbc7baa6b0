"""Copies are found by their distance to the training images, and by birthdays."""

import math
import tracemalloc

import numpy as np
import pytest

from minigen.metrics import alike_distance, birthday_probability, birthday_test, copying, copying_auroc
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


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_share_of_copies_has_the_exact_expectation_and_honest_samples_the_stated_deviation(share):
    rng, n, k = np.random.default_rng(0), 60, 40
    found = []
    for _ in range(400):
        training, held_out, samples = (rng.normal(size=(count, 3)) for count in (50, k, n))
        copies = rng.random(n) < share
        samples[copies] = training[rng.integers(50, size=copies.sum())]
        found.append(copying_auroc(samples, training=training, held_out=held_out))
    assert abs(np.mean(found) - (1 + share) / 2) < 4 * np.std(found) / 20
    if not share:
        assert np.std(found) == pytest.approx(math.sqrt((n + k + 1) / (12 * n * k)), rel=0.15)


@pytest.mark.parametrize("name", ["samples", "training", "held_out"])
def test_a_pixel_that_is_not_finite_is_refused(name):
    images = {"samples": np.zeros((3, 2)), "training": np.ones((4, 2)), "held_out": np.zeros((5, 2))}
    images[name][1, 0] = np.nan
    with pytest.raises(ValueError, match=f"copying_auroc: {name}: 1 of .* values are not finite"):
        copying_auroc(images.pop("samples"), **images)


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


@pytest.mark.parametrize("chunk", [1, 400, 2**22])
def test_the_closest_pairs_and_those_alike_are_those_of_brute_force(chunk, monkeypatch):
    x = np.random.default_rng(0).normal(size=(60, 3))
    pairs = [(np.linalg.norm(x[i] - x[j]), i, j) for i in range(60) for j in range(i + 1, 60)]
    alike = sorted(pairs)[29][0]
    whole = birthday_test(x, alike=alike, batch_sizes=(5, 20), rng=Generator(0))
    monkeypatch.setattr(copying, "CHUNK", chunk)
    monkeypatch.setattr(copying, "PAIRS", 7)
    found = birthday_test(x, alike=alike, batch_sizes=(5, 20), rng=Generator(0))
    assert found.effective_support == 60 * 59 / 2 / 30
    np.testing.assert_array_equal(found.closest, [(i, j) for _, i, j in sorted(pairs)[:20]])
    np.testing.assert_allclose(found.distances, [distance for distance, _, _ in sorted(pairs)[:20]], rtol=1e-9)
    assert found.shares == whole.shares


def test_of_three_samples_there_are_three_pairs():
    found = birthday_test(np.array([[0.0], [5.0], [1.0]]), alike=2.0, batch_sizes=(1,), rng=Generator(0))
    np.testing.assert_array_equal(found.closest, [(0, 2), (1, 2), (0, 1)])
    assert found.effective_support == 3


@pytest.mark.parametrize("weights", [np.full(20, 0.05), np.append(np.full(18, 0.05), 0.1)])
def test_the_share_of_pairs_alike_is_unbiased_even_if_some_images_are_likelier(weights):
    rng = np.random.default_rng(1)
    draws = rng.choice(len(weights), p=weights, size=(300, 30, 1))
    shares = [
        1 / birthday_test(one, alike=0.0, batch_sizes=(2,), repetitions=1, rng=Generator(0)).effective_support
        for one in draws
    ]
    exact = np.square(weights).sum()
    assert abs(np.mean(shares) - exact) < 4 * np.std(shares) / math.sqrt(300)


def test_memory_does_not_grow_with_the_pairs_alike(monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", 2**14)
    tracemalloc.start()
    found = birthday_test(np.zeros((2000, 2)), alike=0.0, batch_sizes=(2,), repetitions=5, rng=Generator(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.effective_support == 1
    assert peak < 4e6  # a number for each of the 2 million pairs would take 16 MB


@pytest.mark.parametrize("dimensions", [1, 3])
def test_by_chance_as_many_pairs_are_alike_as_stated(dimensions):
    rng, n, share = np.random.default_rng(0), 300, 0.3
    found = []
    for _ in range(30):
        x, held_out = rng.random((2, n, dimensions))
        test = birthday_test(
            x, alike=alike_distance(held_out, share=share), batch_sizes=(1,), repetitions=1, rng=Generator(0)
        )
        found.append(n * (n - 1) / 2 / test.effective_support)
    assert np.mean(found) == pytest.approx(n / 2 * math.log(2) * share**dimensions, rel=0.25)


def test_the_distance_between_neighbours_needs_two_images_and_a_share():
    with pytest.raises(ValueError, match=r"alike_distance: held-out images \(1, 2\) and share 0.3, expected"):
        alike_distance(np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"share -1, expected"):
        alike_distance(np.zeros((3, 2)), share=-1)
    with pytest.raises(ValueError, match="alike_distance: held-out images: 2 of 4 values are not finite"):
        alike_distance([[0.0, 1.0], [np.nan, np.inf]])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_sizes": (4, 2)}, r"batch sizes \(4, 2\), expected rising numbers of at most 5"),
        ({"batch_sizes": (2, 6)}, "expected rising numbers of at most 5, half of the samples"),
        ({"batch_sizes": ()}, "batch_sizes is empty, expected at least one"),
        ({"alike": math.inf}, "alike is inf, expected a distance"),
        ({"alike": -1.0}, "alike is -1.0, expected a distance of at least 0"),
        ({"batch_sizes": (0,)}, "expected at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"birthday_test: .*{words}"):
        birthday_test(np.zeros((10, 2)), **({"alike": 0.0, "batch_sizes": (2, 4)} | settings), rng=Generator(0))
