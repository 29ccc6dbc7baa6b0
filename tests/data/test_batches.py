"""Batches: every example once per epoch, and a resumed run that cannot be told from an unbroken one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import Batches, density_batches, target
from minigen.random import Generator

sizes = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


def take(batches, count):
    return list(itertools.islice(batches, count))


@given(sizes=sizes, seed=st.integers(0, 2**31))
def test_an_epoch_repeats_no_example_and_keeps_the_batch_size(sizes, seed):
    n, batch_size = sizes
    batches = Batches(np.arange(n), batch_size=batch_size, rng=Generator(seed))
    for _ in range(3):
        epoch = take(batches, n // batch_size)
        assert all(batch.shape == (batch_size,) for batch in epoch)
        seen = np.concatenate(epoch)
        assert len(set(seen.tolist())) == seen.size
        assert set(seen.tolist()) <= set(range(n))


def test_epochs_have_different_orders():
    first, second = take(Batches(np.arange(1000), batch_size=1000, rng=Generator(0)), 2)
    assert (np.sort(first) == np.sort(second)).all()
    # Two random orders agree in one place on average.
    assert np.mean(first == second) < 0.02


def test_examples_left_out_of_an_epoch_are_left_out_by_chance():
    batches = Batches(np.arange(5), batch_size=3, rng=Generator(0))  # one batch an epoch, two left out
    counts = np.bincount(np.concatenate(take(batches, 2000)), minlength=5)
    # Binomial(2000, 3/5): standard deviation 22.
    assert np.abs(counts - 1200).max() < 5 * 22


def test_arrays_of_a_tuple_stay_together():
    x = np.arange(24.0).reshape(12, 2)
    for batch, labels in take(Batches((x, np.arange(12)), batch_size=5, rng=Generator(1)), 4):
        assert batch.shape == (5, 2)
        np.testing.assert_array_equal(batch, x[labels])


def test_a_batch_is_a_copy():
    data = np.zeros((4, 1), dtype=np.float32)
    batch = next(Batches(data, batch_size=4, rng=Generator(0)))
    batch += 1
    assert batch.dtype == np.float32
    assert (data == 0).all()


@given(sizes=sizes, before=st.integers(0, 30))
def test_resuming_is_bitwise_equal(sizes, before):
    n, batch_size = sizes
    data = np.arange(n)
    rng = Generator(5)
    unbroken = Batches(data, batch_size=batch_size, rng=rng)
    take(unbroken, before)
    state, rng_state = unbroken.state(), rng.state()
    expected = take(unbroken, 20)

    rng = Generator(99)
    resumed = Batches(data, batch_size=batch_size, rng=rng)
    take(resumed, 3)
    resumed.load_state(state)
    rng.load_state(rng_state)
    np.testing.assert_array_equal(take(resumed, 20), expected)


def test_the_state_is_integers():
    batches = Batches(np.arange(6), batch_size=2, rng=Generator(0))
    take(batches, 2)
    assert all(type(value) is int for value in batches.state().values())
    assert batches.state()["position"] == 4


def test_fresh_batches_resume_from_the_generator_alone():
    mixture, rng = target("mixture"), Generator(4)
    stream = density_batches(mixture, batch_size=16, rng=rng)
    first = next(stream)
    state = rng.state()
    expected = take(stream, 3)
    assert first.shape == (16, 1)
    assert first.dtype == np.float32
    assert not np.array_equal(first, expected[0])

    rng = Generator(0)
    rng.load_state(state)
    np.testing.assert_array_equal(take(density_batches(mixture, batch_size=16, rng=rng), 3), expected)


@pytest.mark.parametrize(
    ("data", "batch_size", "message"),
    [
        (np.zeros((3, 2)), 4, "batch_size is 4, expected 1 to 3"),
        (np.zeros((3, 2)), 0, "batch_size is 0, expected 1 to 3"),
        (np.zeros((0, 2)), 1, "batch_size is 1, expected 1 to 0"),
        ((np.zeros(3), np.zeros(4)), 1, r"shapes \[\(3,\), \(4,\)\]"),
        ((), 1, r"shapes \[\]"),
        (np.float64(1.0), 1, r"shapes \[\(\)\]"),
        (
            np.array([[0.0, 1.0], [np.inf, np.nan]]),
            1,
            r"2 of 4 values are not finite, the first is inf at index \(1, 0\)",
        ),
        ((np.zeros(2), np.array([0.0, np.nan])), 1, r"data\[1\]: 1 of 2 values .* nan at index \(1,\)"),
    ],
)
def test_bad_data_are_refused_with_words(data, batch_size, message):
    with pytest.raises(ValueError, match=message):
        Batches(data, batch_size=batch_size, rng=Generator(0))


def test_a_state_of_other_data_is_refused():
    batches = Batches(np.arange(5), batch_size=2, rng=Generator(0))
    with pytest.raises(ValueError, match="position is 6, but there are 5 examples"):
        batches.load_state({"epoch_seed": 1, "position": 6})
