"""The three protocols: what stays fixed, what is drawn anew, and with which probability a pixel is one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import BINARIZATIONS, Batches, BinaryBatches, binarize, load_digits
from minigen.random import Generator

LEVELS = np.linspace(0, 1, 9, dtype=np.float32)
GREY = np.tile(LEVELS, (4000, 1))  # (4000, 9): each column has one grey value


def batches(protocol, data, *, seed=0, key=0, batch_size=5):
    return BinaryBatches(data, protocol=protocol, batch_size=batch_size, rng=Generator(seed), key=key)


@pytest.mark.parametrize("protocol", ["static", "dynamic"])
def test_the_grey_value_is_the_probability(protocol):
    x = binarize(GREY, protocol=protocol, rng=Generator(2))
    assert (x.shape, x.dtype) == (GREY.shape, np.float32)
    assert np.unique(x).tolist() == [0, 1]
    np.testing.assert_allclose(x.mean(axis=0), LEVELS, atol=4 * 0.5 / np.sqrt(4000))
    assert (x[:, 0] == 0).all()
    assert (x[:, -1] == 1).all()
    # Pixels are drawn apart from each other.
    correlation = np.corrcoef(x[:, 1:-1].T) - np.eye(7)
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_the_threshold_is_a_half_and_a_half_is_one():
    np.testing.assert_array_equal(binarize(LEVELS, protocol="threshold"), [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_static_depends_on_the_key_alone_and_dynamic_on_the_generator():
    rng = Generator(1)
    static = [binarize(GREY, protocol="static", rng=rng, key=key) for key in (0, 0, 1)]
    assert (static[0] == static[1]).all()
    assert (static[0] != static[2]).any()
    assert rng.state() == Generator(1).state()  # untouched
    first, second = binarize(GREY, protocol="dynamic", rng=rng), binarize(GREY, protocol="dynamic", rng=rng)
    assert (first != second).any()
    np.testing.assert_array_equal(first, binarize(GREY, protocol="dynamic", rng=Generator(1)))


@pytest.mark.parametrize(("protocol", "changes"), [("static", False), ("threshold", False), ("dynamic", True)])
def test_an_image_is_the_same_in_every_epoch_except_dynamically(protocol, changes):
    grey = load_digits().unit()[:50]
    epochs = []
    iterator = batches(protocol, (grey, np.arange(50)))
    for _ in range(2):
        x, numbers = (np.concatenate(parts) for parts in zip(*itertools.islice(iterator, 10), strict=True))
        epochs.append(x[np.argsort(numbers)])
    assert (epochs[0] != epochs[1]).any() == changes
    if not changes:
        np.testing.assert_array_equal(epochs[0], binarize(grey, protocol=protocol))
    # Where the paper is blank and where the ink is full, there is nothing to draw.
    for x in epochs:
        np.testing.assert_array_equal(x[grey == 0], 0)
        np.testing.assert_array_equal(x[grey == 1], 1)


@given(protocol=st.sampled_from(BINARIZATIONS), taken=st.integers(0, 12), seed=st.integers(0, 2**31))
def test_a_resumed_run_sees_the_same_batches(protocol, taken, seed):
    rng = Generator(seed)
    iterator = BinaryBatches(GREY[:23], protocol=protocol, batch_size=5, rng=rng)
    for _ in range(taken):
        next(iterator)
    saved = iterator.state(), rng.state()
    following = [next(iterator) for _ in range(6)]

    rng = Generator(0)
    resumed = BinaryBatches(GREY[:23], protocol=protocol, batch_size=5, rng=rng)
    resumed.load_state(saved[0])
    rng.load_state(saved[1])
    np.testing.assert_array_equal([next(resumed) for _ in range(6)], following)


def test_the_order_is_that_of_batches_and_what_goes_with_the_images_is_left_alone():
    numbers = np.arange(40) * 1.5
    for protocol in ("static", "threshold"):
        iterator = batches(protocol, (GREY[:40], numbers), seed=7)
        plain = Batches((GREY[:40], numbers), batch_size=5, rng=Generator(7))
        for _ in range(20):
            x, with_x = next(iterator)
            np.testing.assert_array_equal(with_x, next(plain)[1])
            assert (x.dtype, x.shape) == (np.float32, (5, 9))


def test_the_data_stay_grey():
    grey = GREY[:10].copy()
    for protocol in BINARIZATIONS:
        next(batches(protocol, grey))
    np.testing.assert_array_equal(grey, GREY[:10])


@pytest.mark.parametrize(
    "make", [binarize, lambda x, **k: BinaryBatches(x, batch_size=1, **k)], ids=["array", "batches"]
)
def test_wrong_arguments_are_named(make):
    with pytest.raises(ValueError, match="protocol is 'fixed', expected one of static, dynamic, threshold"):
        make(GREY, protocol="fixed", rng=Generator(0))
    for protocol, wrong in itertools.product(BINARIZATIONS, (255 * GREY, GREY - 1)):
        with pytest.raises(ValueError, match=r"pixels from .* to .*, expected grey values in \[0, 1\], as Images.unit"):
            make(wrong, protocol=protocol, rng=Generator(0))


def test_dynamic_needs_a_generator_and_batches_need_data():
    with pytest.raises(ValueError, match="draws anew each time, and needs a generator"):
        binarize(GREY, protocol="dynamic")
    with pytest.raises(ValueError, match="expected one or more arrays"):
        batches("dynamic", ())
