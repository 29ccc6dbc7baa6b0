"""Digits in clutter: every digit is there, whole, its mask where it is, and the clutter around it of the right kinds."""

import numpy as np
import pytest

from minigen.data import clutter, load_digits
from minigen.random import Generator

BARE = {"fragments": 0, "strokes": 0, "noise": 0.0}


@pytest.fixture(scope="module")
def digits():
    return load_digits().unit()[:200]


def test_without_clutter_there_is_the_digit_alone_somewhere(digits):
    images, masks = clutter(digits, size=13, **BARE, rng=Generator(0))
    np.testing.assert_allclose(images.sum(axis=(1, 2)), digits.sum(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(masks, images >= 0.5)
    places = set()
    for image, digit in zip(images, digits, strict=True):
        fits = [(i, j) for i in range(6) for j in range(6) if np.array_equal(image[i : i + 8, j : j + 8], digit)]
        assert fits
        places |= set(fits)
    assert len(places) == 36


def test_the_same_generator_gives_the_same_pictures(digits):
    one, same, other = (clutter(digits[:5], size=16, rng=Generator(seed)) for seed in (1, 1, 2))
    for part, again, others in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(part, again)
        assert (part != others).any()
        assert part.dtype == np.float32


@pytest.mark.parametrize("kind", [{"fragments": 3}, {"strokes": 2}])
def test_clutter_adds_ink_and_leaves_the_digit_and_its_mask(kind, digits):
    alone = clutter(digits, size=16, **BARE, rng=Generator(4))
    full = clutter(digits, size=16, **BARE | kind, rng=Generator(4))
    np.testing.assert_array_equal(full.masks, alone.masks)
    assert (full.images >= alone.images).all()
    added = (full.images > alone.images).mean(axis=(1, 2, 3))
    assert np.mean(added > 0) > 0.9
    assert added.max() < 0.5


def test_fragments_are_pieces_of_the_images(digits):
    black = digits * 0
    one = clutter(np.concatenate([digits[:1], black]), size=40, **BARE | {"fragments": 400}, rng=Generator(0))
    # On canvases of their own black images come with fragments of the one that is not, now and then.
    found = one.images[1:]
    assert found.max() > 0
    values = np.unique(found)
    assert set(values.tolist()) <= set(np.unique(digits[0]).tolist()) | {0.0}


def test_noise_has_its_scale_and_pixels_stay_in_range(digits):
    grey = np.full_like(digits, 0.5)
    images, _ = clutter(grey, size=8, **BARE | {"noise": 0.1}, rng=Generator(0))
    assert abs((images - 0.5).std() / 0.1 - 1) < 0.03
    images, _ = clutter(digits, size=16, noise=0.5, rng=Generator(0))
    assert images.min() == 0
    assert images.max() == 1


def test_colours_are_kept(digits):
    coloured = digits[:3] * np.array([1.0, 0.5, 0.0], "float32")
    images, masks = clutter(coloured, size=10, **BARE, rng=Generator(0))
    assert images.shape == (3, 10, 10, 3)
    np.testing.assert_allclose(images[..., 1], 0.5 * images[..., 0])
    np.testing.assert_array_equal(masks[..., 0], images[..., 0] >= 0.5)


@pytest.mark.parametrize("shape", [(2, 8, 6, 1), (2, 20, 20, 1), (8, 8)])
def test_images_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"clutter: images of shape .*, expected \(N, H, H, C\) with H at most 16"):
        clutter(np.ones(shape, "float32"), size=16, rng=Generator(0))


def test_pixels_out_of_range_are_refused(digits):
    with pytest.raises(ValueError, match=r"clutter: pixels from 0\.0 to 16\.0"):
        clutter(16 * digits, size=16, rng=Generator(0))
