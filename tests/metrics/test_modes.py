"""Shares of the samples per mode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import TARGETS, target
from minigen.metrics import mode_mass
from minigen.random import Generator

numbers = st.floats(-10.0, 10.0)


@given(x=st.lists(numbers, min_size=1, max_size=30), centres=st.lists(numbers, min_size=1, max_size=5, unique=True))
def test_against_counting(x, centres):
    counts = dict.fromkeys(centres, 0)
    for sample in x:
        counts[min(centres, key=lambda centre: abs(sample - centre))] += 1
    np.testing.assert_allclose(mode_mass(x, centres), np.array(list(counts.values())) / len(x))


def test_a_tie_counts_for_the_first_centre():
    np.testing.assert_array_equal(mode_mass([0.0], [1.0, -1.0]), [1.0, 0.0])


@pytest.mark.parametrize("name", TARGETS)
def test_samples_of_a_target_have_its_exact_masses(name):
    n = 20_000
    centres, masses = map(np.array, zip(*target(name).modes, strict=True))
    error = mode_mass(target(name).sample(n, Generator(7)), centres) - masses
    assert (np.abs(error) <= 4 * np.sqrt(masses * (1 - masses) / n)).all()


def test_diverged_samples_are_refused_with_words():
    with pytest.raises(ValueError, match=r"mode_mass: samples: 1 of 2 values .* nan at index \(1, 0\)"):
        mode_mass([[0.0], [np.nan]], [0.0])
    with pytest.raises(ValueError, match=r"mode_mass: centres: shape \(0,\)"):
        mode_mass([0.0], [])
