"""W1: closed forms, its behaviour under shifts and scalings, and the floor of a finite sample."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minigen.data import Gaussian, Uniform, target
from minigen.metrics import wasserstein1, wasserstein1_floor, wasserstein1_to_quantile
from minigen.random import Generator

numbers = st.floats(-100.0, 100.0)
samples = st.lists(numbers, min_size=1, max_size=30)


def midpoints(n):
    return (np.arange(n) + 0.5) / n


@given(x=samples, y=samples)
def test_two_samples_against_an_independent_implementation(x, y):
    assert wasserstein1(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-12, abs=1e-12)


@given(data=st.data(), n=st.integers(1, 12), m=st.integers(1, 12))
def test_masses_against_an_independent_implementation(data, n, m):
    masses = lambda size: st.lists(st.floats(0.01, 1.0), min_size=size, max_size=size).map(
        lambda w: np.array(w) / sum(w)
    )
    x, y = (data.draw(st.lists(numbers, min_size=size, max_size=size)) for size in (n, m))
    a, b = data.draw(masses(n)), data.draw(masses(m))
    exact = stats.wasserstein_distance(x, y, a, b)
    assert wasserstein1(x, y, a=a, b=b) == pytest.approx(exact, rel=1e-9, abs=1e-12)
    assert wasserstein1(x, y, a=7 * a, b=7 * b) == pytest.approx(7 * exact, rel=1e-9, abs=1e-12)


@given(x=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_equal_sizes_pair_the_sorted_samples(x):
    x, y = np.array(x).T
    assert wasserstein1(x, y) == pytest.approx(np.abs(np.sort(x) - np.sort(y)).mean(), abs=1e-12)


@given(x=samples, y=samples, z=samples)
def test_it_is_a_metric(x, y, z):
    assert wasserstein1(x, x) == 0.0
    assert wasserstein1(x, y) == pytest.approx(wasserstein1(y, x), abs=1e-12)
    assert wasserstein1(x, z) <= wasserstein1(x, y) + wasserstein1(y, z) + 1e-10


@given(x=samples, y=samples, shift=numbers, scale=st.floats(-10.0, 10.0))
def test_shifts_cancel_and_scales_factor_out(x, y, shift, scale):
    x, y = np.array(x), np.array(y)
    moved = wasserstein1(scale * x + shift, scale * y + shift)
    assert moved == pytest.approx(abs(scale) * wasserstein1(x, y), abs=1e-9)


@given(x=samples, shift=numbers)
def test_a_shifted_sample_is_as_far_as_the_shift(x, shift):
    assert wasserstein1(x, np.array(x) + shift) == pytest.approx(abs(shift), abs=1e-9)


@given(a=numbers, b=numbers, n=st.integers(1, 9), m=st.integers(1, 9))
def test_point_masses_are_their_distance_apart(a, b, n, m):
    assert wasserstein1(np.full(n, a), np.full((m, 1), b)) == pytest.approx(abs(a - b))
    assert wasserstein1_to_quantile(np.full(n, a), lambda u: np.full_like(u, b)) == pytest.approx(abs(a - b))


@pytest.mark.parametrize("mu", [-2.0, 0.0, 1.0])
def test_gaussians_apart_by_their_means(mu):
    quantiles = Gaussian(mean=mu, scale=1.0).quantile(midpoints(1000))
    distance = wasserstein1_to_quantile(quantiles, Gaussian(mean=0.0, scale=1.0).quantile)
    assert distance == pytest.approx(abs(mu), abs=1e-12)


def test_gaussians_apart_by_their_scales():
    # |s - 1| E|z| = |s - 1| sqrt(2 / pi)
    quantiles = Gaussian(mean=0.0, scale=3.0).quantile(midpoints(100_000))
    distance = wasserstein1_to_quantile(quantiles, Gaussian(mean=0.0, scale=1.0).quantile)
    assert distance == pytest.approx(2 * math.sqrt(2 / math.pi), abs=1e-4)


def test_uniform_intervals_apart_by_their_shift():
    quantiles = Uniform(low=0.3, high=1.3).quantile(midpoints(100))
    assert wasserstein1_to_quantile(quantiles, Uniform(low=0.0, high=1.0).quantile) == pytest.approx(0.3)


@given(x=st.lists(st.floats(-2.0, 3.0), min_size=1, max_size=20))
def test_reading_the_quantile_once_per_cell_costs_no_more_than_stated(x):
    # Against the uniform, Q(u) = u: the integral of |x - u| over each cell has the primitive (u - x) |u - x| / 2.
    x = np.sort(x)
    edges = np.arange(x.size + 1) / x.size
    primitive = lambda u: (u - x) * np.abs(u - x) / 2
    exact = (primitive(edges[1:]) - primitive(edges[:-1])).sum()
    distance = wasserstein1_to_quantile(x, Uniform(low=0.0, high=1.0).quantile)
    assert abs(distance - exact) <= 1 / (2 * x.size) + 1e-12


def test_the_floor_of_the_uniform_follows_its_limit_law():
    # sqrt(N) W1 tends to the integral of |Brownian bridge|, of mean sqrt(2 / pi) times the integral of
    # sqrt(u (1 - u)), which is pi / 8, and of variance 7 / 60 less the mean's square.
    limit = math.sqrt(2 / math.pi) * math.pi / 8
    deviation = math.sqrt(7 / 60 - limit**2)
    floor = wasserstein1_floor(Uniform(low=0.0, high=1.0), 1000, rng=Generator(0), repetitions=400)
    assert math.sqrt(1000) * floor == pytest.approx(limit, abs=4 * deviation / math.sqrt(400))


@pytest.mark.parametrize("name", ["gaussian", "mixture", "three-modes", "laplace"])
def test_the_floor_stays_below_its_bound(name):
    # E|F_N - F| <= sqrt(F (1 - F) / N) at every point (Jensen); the limit is sqrt(2 / pi) = 0.80 of that.
    density = target(name)
    x = np.linspace(density.mean - 25, density.mean + 25, 20_001)
    F = density.cdf(x)
    bound = float(np.trapezoid(np.sqrt(F * (1 - F)), x)) / math.sqrt(500)
    assert 0.6 * bound < wasserstein1_floor(density, 500, rng=Generator(1), repetitions=50) < bound


def test_diverged_samples_are_refused_with_words():
    bad = np.zeros((1000, 1))
    bad[[17, 400]] = np.nan
    with pytest.raises(
        ValueError, match=r"samples: 2 of 1000 values are not finite, the first is nan at index \(17, 0\)"
    ):
        wasserstein1_to_quantile(bad, target("mixture").quantile)
    with pytest.raises(ValueError, match="wasserstein1: y: 1 of 2 values"):
        wasserstein1([0.0], [1.0, np.inf])
    with pytest.raises(ValueError, match=r"wasserstein1: x: shape \(0,\)"):
        wasserstein1([], [1.0])
    with pytest.raises(ValueError, match=r"shape \(3, 2\)"):
        wasserstein1(np.zeros((3, 2)), [1.0])
    with pytest.raises(ValueError, match=r"wasserstein1: a sums to 3.0 and b to 1.0, expected equal sums above 0"):
        wasserstein1([0.0, 1.0], [1.0], a=[1.0, 2.0])
