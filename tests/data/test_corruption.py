"""Spoiled images: how many pixels, which ones, and that all else stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.data import CORRUPTIONS, corruption
from minigen.random import Generator


def images(n=6, size=(10, 12), channels=3):
    return np.random.default_rng(0).uniform(0.1, 0.9, (n, *size, channels)).astype("float32")


def within(count, total, probability):
    """Whether a binomial count is within 5 standard deviations."""
    return abs(count - total * probability) <= 5 * np.sqrt(total * probability * (1 - probability)) + 1e-9


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_images_stay_and_the_same_generator_spoils_the_same(name):
    x = images()
    before = x.copy()
    spoil = corruption(name)
    one, same, other = (spoil(x, rng=Generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert one.dtype == x.dtype
    assert one.shape == x.shape


@given(scale=st.floats(0.01, 2))
@settings(max_examples=10)
def test_gaussian_noise_has_its_scale(scale):
    noise = corruption("gaussian", strength=scale)(images(40), rng=Generator(0)) - images(40)
    n = noise.size
    assert abs(noise.mean()) < 5 * scale / np.sqrt(n)
    assert abs(noise.std() / scale - 1) < 5 / np.sqrt(2 * n)


@given(probability=st.floats(0, 1))
@settings(max_examples=20)
def test_masking_blackens_whole_pixels_at_the_rate(probability):
    x = images()
    spoiled = corruption("masking", strength=probability)(x, rng=Generator(0))
    gone = spoiled[..., 0] == 0
    assert within(gone.sum(), gone.size, probability)
    np.testing.assert_array_equal(spoiled, np.where(gone[..., None], np.float32(0), x))


@given(probability=st.floats(0, 1))
@settings(max_examples=20)
def test_salt_is_as_frequent_as_pepper(probability):
    x = images(60)
    spoiled = corruption("salt-and-pepper", strength=probability)(x, rng=Generator(0))
    for value in (0, 1):
        hit = spoiled[..., 0] == value
        assert within(hit.sum(), hit.size, probability / 2)
        np.testing.assert_array_equal(spoiled[hit], value)
    kept = (spoiled[..., 0] != 0) & (spoiled[..., 0] != 1)
    np.testing.assert_array_equal(spoiled[kept], x[kept])


@given(share=st.floats(0.01, 1), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_a_block_is_one_rectangle_of_its_size_inside_the_image(share, seed):
    x = images()
    spoiled = corruption("block", strength=share)(x, rng=Generator(seed))
    height, width = (max(1, round(share * side)) for side in (10, 12))
    for image, original in zip(spoiled, x, strict=True):
        rows, columns = np.nonzero((image == 0).all(axis=2))
        assert len(rows) == height * width
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (height, width)
        rest = (image != 0).all(axis=2)
        assert rest.sum() == 120 - height * width
        np.testing.assert_array_equal(image[rest], original[rest])


def test_blocks_are_as_often_in_each_place():
    spoiled = corruption("block", strength=0.5)(images(4000, size=(4, 4), channels=1), rng=Generator(0))
    rows, columns = ((spoiled[..., 0] == 0).any(axis=axis).argmax(axis=1) for axis in (2, 1))
    places, counts = np.unique(3 * rows + columns, return_counts=True)
    assert len(places) == 9
    assert all(within(count, 4000, 1 / 9) for count in counts)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_it_spoils_the_same_on_another_device(name, gpu_or_double):
    import minigen as mg

    expected = corruption(name)(images(), rng=Generator(3))
    found = corruption(name)(mg.tensor(images(), device=gpu_or_double).data, rng=Generator(3, device=gpu_or_double))
    np.testing.assert_allclose(mg.tensor(found).to("cpu").numpy(), expected, rtol=1e-5, atol=1e-6)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="'blur' is unknown; it is one of gaussian, masking, salt-and-pepper, block"):
        corruption("blur")
    with pytest.raises(ValueError, match=r"masking: images of shape \(8, 8\), expected \(N, H, W, C\)"):
        corruption("masking")(np.ones((8, 8), "float32"), rng=Generator(0))
    for name, strength in (
        ("block", 0.0),
        ("block", 1.5),
        ("masking", 1.5),
        ("salt-and-pepper", -0.5),
        ("gaussian", -1.0),
    ):
        with pytest.raises(ValueError, match=r"share = |probabilities from |scale"):
            corruption(name, strength=strength)(images(), rng=Generator(0))
