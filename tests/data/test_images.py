"""The packaged digits are the published ones; a split loses nothing; colours keep the grey values."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import Images, balanced_draw, coloured, load_digits, split
from minigen.random import Generator


def some_images(n, levels=17):
    rng = np.random.default_rng(n)
    images = rng.integers(0, levels, (n, 3, 4, 1)).astype(np.uint8)
    images[:, 0, 0] = np.arange(n)[:, None] % levels  # each image begins with its number
    return Images("some", images, np.arange(n, dtype=np.int64) % 5, tuple("abcde"), levels)


def test_digits_have_the_published_size_levels_and_counts():
    digits = load_digits()
    assert (digits.images.shape, digits.images.dtype) == ((1797, 8, 8, 1), np.uint8)
    assert (digits.labels.shape, digits.labels.dtype) == ((1797,), np.int64)
    assert np.unique(digits.images).tolist() == list(range(17))
    assert digits.levels == 17
    # The class counts that UCI states for optdigits.tes, and the sum of all pixels of scikit-learn's copy of it.
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert digits.images.sum(dtype=np.int64) == 561718


def test_labels_belong_to_the_images():
    # The nearest class mean is the right one for 90 %; with labels shuffled it would be for some 15 %.
    digits = load_digits()
    x = digits.images.reshape(1797, 64).astype(np.float64)
    means = np.stack([x[digits.labels == k].mean(axis=0) for k in range(10)])
    nearest = np.square(x[:, None] - means).sum(axis=2).argmin(axis=1)
    assert (nearest == digits.labels).mean() > 0.88


@given(levels=st.sampled_from([2, 17, 256]))
def test_unit_takes_the_ends_to_zero_and_one_and_loses_no_level(levels):
    every = np.arange(levels, dtype=np.uint8).reshape(levels, 1, 1, 1)
    pixels = Images("every", every, np.zeros(levels, np.int64), ("any",), levels).unit()
    assert pixels.dtype == np.float32
    assert (pixels[0], pixels[-1]) == (0, 1)
    np.testing.assert_array_equal(np.rint(pixels * (levels - 1)), every)


@given(n=st.integers(2, 60), held_out=st.floats(0.01, 0.99), seed=st.integers(0, 2**31))
def test_a_split_is_a_partition_and_keeps_labels_with_images(n, held_out, seed):
    data = some_images(n, levels=256)
    count = round(n * held_out)
    if not 1 <= count < n:
        with pytest.raises(ValueError, match="would give parts of"):
            split(data, held_out=held_out, seed=seed)
        return
    training, test = split(data, held_out=held_out, seed=seed)
    assert len(test.images) == count
    numbers = np.concatenate([training.images, test.images])[:, 0, 0, 0]
    assert sorted(numbers.tolist()) == list(range(n))
    np.testing.assert_array_equal(numbers % 5, np.concatenate([training.labels, test.labels]))
    again = split(data, held_out=held_out, seed=seed)
    np.testing.assert_array_equal(again[1].images, test.images)


def test_a_split_depends_on_the_seed_and_holds_out_every_class():
    first, second = (split(load_digits(), seed=seed)[1] for seed in (0, 1))
    assert (first.labels != second.labels).any()
    # Hypergeometric: 36 of a class on average, standard deviation 5.
    assert np.abs(np.bincount(first.labels) - 359 / 10).max() < 25


def test_colours_by_class_are_the_hues_in_order():
    data = some_images(30)
    found = coloured(data)
    assert (found.images.shape, found.images.dtype, found.levels) == ((30, 3, 4, 3), np.uint8, 256)
    assert found.name == "coloured some"
    expected = 255 * data.unit() * np.array([colorsys.hsv_to_rgb(k / 5, 1, 1) for k in data.labels])[:, None, None]
    assert np.abs(found.images - expected).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(found.labels, data.labels)


@pytest.mark.parametrize("by", ["class", "image"])
def test_the_brightest_channel_is_the_grey_value(by):
    digits = load_digits()
    found = coloured(digits, by=by).images
    np.testing.assert_array_equal(found.max(axis=3), np.rint(255 * digits.unit())[..., 0])
    assert (found.min(axis=3) == 0).all()  # fully saturated


def test_colours_by_image_are_reproducible_uniform_and_independent_of_the_class():
    digits = load_digits()
    found = coloured(digits, by="image", seed=3)
    np.testing.assert_array_equal(found.images, coloured(digits, by="image", seed=3).images)
    assert (found.images != coloured(digits, by="image", seed=4).images).any()
    brightest = found.images.sum(axis=3).reshape(1797, -1).argmax(axis=1)
    colours = found.images.reshape(1797, -1, 3)[np.arange(1797), brightest]
    hues = np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in colours.tolist()])
    circle = np.exp(2j * np.pi * hues)
    assert abs(circle.mean()) < 4 / np.sqrt(1797)
    assert max(abs(circle[digits.labels == k].mean()) for k in range(10)) < 4 / np.sqrt(170)


def test_wrong_arguments_are_named():
    data = some_images(5)
    with pytest.raises(ValueError, match=r"\(5, 3, 4, 3\), expected grey ones, C = 1"):
        coloured(coloured(data))
    with pytest.raises(ValueError, match="by = 'colour', expected 'class' or 'image'"):
        coloured(data, by="colour")


def test_images_are_taken_with_their_labels_by_number_or_by_a_mask():
    data = some_images(10)
    taken = data.take(np.array([7, 2]))
    assert taken.labels.tolist() == [2, 2]
    assert taken.images[:, 0, 0, 0].tolist() == [7, 2]
    assert data.take(data.labels == 4).images[:, 0, 0, 0].tolist() == [4, 9]
    assert taken.classes == data.classes


def test_a_balanced_draw_has_as_many_of_each_class():
    labels = load_digits().labels
    one, again, other = (balanced_draw(labels, 30, classes=10, rng=Generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert len(set(one)) == 30
    assert set(one) != set(other)
    np.testing.assert_array_equal(np.bincount(labels[one]), 3)


@pytest.mark.parametrize("n", [0, 15, 1750])
def test_a_draw_that_cannot_be_balanced_is_refused(n):
    with pytest.raises(ValueError, match=rf"balanced_draw: n = {n}, expected a multiple of the 10 classes, up to 1740"):
        balanced_draw(load_digits().labels, n, classes=10, rng=Generator(0))
