"""Shares of the samples per mode, and the modes that are covered."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import TARGETS, grid, ring, target
from minigen.metrics import mode_coverage, mode_mass
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


points = st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))


@given(
    x=st.lists(points, min_size=1, max_size=30),
    centres=st.lists(points, min_size=1, max_size=5, unique=True),
    scale=st.floats(0.05, 1.0),
)
def test_coverage_against_counting(x, centres, scale):
    covered, good = set(), 0
    for sample in x:
        nearest = min(centres, key=lambda centre: math.dist(sample, centre))
        if math.dist(sample, nearest) < 3 * scale:
            covered.add(nearest)
            good += 1
    found = mode_coverage(x, centres, scale)
    assert found.modes == len(covered)
    assert found.high_quality == pytest.approx(good / len(x))


@pytest.mark.parametrize("density", [ring(), grid()], ids=lambda density: density.name)
def test_exact_samples_cover_every_mode_with_the_exact_share(density):
    # A point of an isotropic Gaussian in the plane is within r standard deviations with probability 1 - exp(-r^2 / 2).
    n, share = 20_000, 1 - math.exp(-9 / 2)
    found = mode_coverage(density.sample(n, Generator(4)), density.centres, density.scale)
    assert found.modes == len(density.centres)
    assert abs(found.high_quality - share) < 4 * math.sqrt(share * (1 - share) / n)


def test_a_mode_that_is_left_out_is_not_counted_and_one_sample_is_enough():
    density = ring()
    x = density.centres[[0, 0, 0, 2, 5]]
    assert mode_coverage(x, density.centres, density.scale) == (3, 1.0)
    assert mode_coverage(np.concatenate([x, [[0.0, 0.0]] * 5]), density.centres, density.scale) == (3, 0.5)


def test_coverage_stops_at_three_standard_deviations():
    near, far = np.nextafter(3.0, 0.0), 3.0
    assert mode_coverage([[near, 0.0]], [[0.0, 0.0]], 1.0) == (1, 1.0)
    assert mode_coverage([[far, 0.0]], [[0.0, 0.0]], 1.0) == (0, 0.0)


def test_coverage_of_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"samples have shape \(1, 3\), centres \(1, 2\)"):
        mode_coverage([[0.0, 0.0, 0.0]], [[0.0, 0.0]], 1.0)
    with pytest.raises(ValueError, match=r"samples have shape \(0, 2\)"):
        mode_coverage(np.zeros((0, 2)), [[0.0, 0.0]], 1.0)
    with pytest.raises(ValueError, match=r"mode_coverage: samples: 1 of 2 values .* nan"):
        mode_coverage([[0.0, np.nan]], [[0.0, 0.0]], 1.0)
    with pytest.raises(ValueError, match="scale is 0"):
        mode_coverage([[0.0, 0.0]], [[0.0, 0.0]], 0.0)
