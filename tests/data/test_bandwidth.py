"""Sheather and Jones' bandwidth and the modes of a kernel density estimate: against brute force, and on samples of known densities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from minigen.data import estimated_modes, kernel_density, load_geyser, sheather_jones_bandwidth, silverman_bandwidth


def gaussians(seed, n, means, scales=1.0, weights=None):
    rng = np.random.default_rng(seed)
    component = rng.choice(len(means), n, p=weights)
    return np.array(means)[component] + np.broadcast_to(scales, len(means))[component] * rng.standard_normal(n)


def modes(samples):
    return estimated_modes(samples, bandwidth=sheather_jones_bandwidth(samples))


def brute_force(x):
    """Solve the equation with derivatives of the Gaussian summed over all pairs, no grid."""
    n, distance = x.size, x[:, None] - x
    derivatives = {
        4: lambda z: (z**4 - 6 * z**2 + 3) * stats.norm.pdf(z),
        6: lambda z: (z**6 - 15 * z**4 + 45 * z**2 - 15) * stats.norm.pdf(z),
    }

    def psi(order, g):
        return derivatives[order](distance / g).sum() / (n * (n - 1) * g ** (order + 1))

    spread = min(x.std(ddof=1), stats.iqr(x) / 1.349)
    ratio = -psi(4, 1.24 * spread * n ** (-1 / 7)) / psi(6, 1.23 * spread * n ** (-1 / 9))

    def difference(h):
        return h - (2 * math.sqrt(math.pi) * n * psi(4, 1.357 * ratio ** (1 / 7) * h ** (5 / 7))) ** -0.2

    return optimize.brentq(difference, 0.1 * silverman_bandwidth(x), 2 * silverman_bandwidth(x), rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(10, 150), distance=st.floats(0.0, 8.0))
def test_sheather_jones_against_sums_over_all_pairs(seed, n, distance):
    x = gaussians(seed, n, [0.0, distance])
    assert sheather_jones_bandwidth(x) == pytest.approx(brute_force(x), rel=2e-3)  # the grid's error


def test_sheather_jones_of_old_faithful_is_what_r_prints():
    # R: bw.SJ(faithful$eruptions), and bw.nrd0 of the same.
    assert round(sheather_jones_bandwidth(load_geyser().duration), 2) == 0.14
    assert round(silverman_bandwidth(load_geyser().duration), 4) == 0.3348


@given(seed=st.integers(0, 1000), factor=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3))
def test_bandwidth_and_modes_move_with_the_units(seed, factor, shift):
    x = gaussians(seed, 200, [0.0, 6.0])
    h = sheather_jones_bandwidth(x)
    moved = factor * (x + shift)
    assert sheather_jones_bandwidth(moved) == pytest.approx(factor * h, rel=1e-3)
    step = (np.ptp(x) + 16 * h) / 2**13
    before, after = estimated_modes(x, bandwidth=h), estimated_modes(moved, bandwidth=factor * h)
    np.testing.assert_allclose(np.array(after) / factor - shift, before, atol=step)


@pytest.mark.parametrize("n", [20, 100, 1000, 20_000])
def test_one_gaussian_has_one_mode_and_two_well_apart_have_two(n):
    seeds = range(20 if n < 20_000 else 5)
    ones = [len(modes(gaussians(seed, n, [0.0]))) for seed in seeds]
    twos = [len(modes(gaussians(seed, n, [-2.0, 2.0], 0.5))) for seed in seeds]
    assert np.mean(np.equal(ones, 1)) >= 0.95
    assert np.mean(np.equal(twos, 2)) >= 0.95


@pytest.mark.parametrize("n", [100, 1000])
def test_modes_of_unequal_weights_and_widths_stand_where_the_densities_do(n):
    found = [modes(gaussians(seed, n, [-3.0, 0.0, 3.0], [0.3, 0.5, 0.7], [0.2, 0.5, 0.3])) for seed in range(20)]
    assert np.mean([len(centres) == 3 for centres in found]) >= 0.95
    np.testing.assert_allclose(np.median([c for c in found if len(c) == 3], axis=0), [-3.0, 0.0, 3.0], atol=0.1)


def test_distant_modes_are_not_merged_where_silverman_smooths_their_shape_away():
    x = gaussians(0, 1000, [-100.0, 100.0])
    assert modes(x) == (pytest.approx(-100.0, abs=1), pytest.approx(100.0, abs=1))
    assert silverman_bandwidth(x) > 20
    assert sheather_jones_bandwidth(x) < 1


@pytest.mark.parametrize("heavy", ["laplace", "standard_t", "lognormal", "exponential"])
def test_single_samples_in_long_tails_are_no_modes(heavy):
    arguments = {"df": 2} if heavy == "standard_t" else {}
    counts = [len(modes(getattr(np.random.default_rng(s), heavy)(size=2000, **arguments))) for s in range(20)]
    assert np.mean(np.equal(counts, 1)) >= 0.9


@pytest.mark.parametrize("n", [100, 1000, 20_000])
@pytest.mark.parametrize("deviation", [2.0, 10.0])
def test_rounding_to_integers_makes_no_modes(n, deviation):
    for seed in range(10 if n < 20_000 else 3):
        x = np.round(gaussians(seed, n, [170.0], deviation))
        assert sheather_jones_bandwidth(x) >= 0.499
        assert len(modes(x)) == 1
        two = np.concatenate([x, x + np.round(8 * deviation)])
        assert len(modes(two)) == 2


def test_where_half_the_samples_coincide_that_is_the_mode():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = np.where(rng.random(1000) < 0.5, 0.0, rng.exponential(size=1000))
        assert modes(x) == (pytest.approx(0.0, abs=0.01),)


@given(samples=st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=2, max_size=60))
def test_any_samples_that_differ_have_a_bandwidth_and_a_mode_among_them(samples):
    if min(samples) == max(samples):
        return
    h = sheather_jones_bandwidth(samples)
    extent = max(samples) - min(samples)
    assert 0 < h <= extent
    centres = estimated_modes(samples, bandwidth=h)
    step = (extent + 16 * h) / 2**14
    assert len(centres) >= 1
    assert min(samples) - step <= min(centres) <= max(centres) <= max(samples) + step
    assert (np.diff(centres) > 0).all()


@given(seed=st.integers(0, 1000), n=st.integers(5, 300), h=st.floats(0.05, 3.0))
def test_a_mode_is_a_maximum_of_the_summed_estimate_and_the_highest_is_among_them(seed, n, h):
    x = gaussians(seed, n, [0.0, 4.0])
    centres = np.array(estimated_modes(x, bandwidth=h))
    beside = 20 * (np.ptp(x) + 16 * h) / 2**14  # a maximum on the grid may be off by a step
    p, left, right = (kernel_density(x, centres + d, bandwidth=h) for d in (0.0, -beside, beside))
    assert (p >= left).all()
    assert (p >= right).all()
    everywhere = kernel_density(x, np.linspace(x.min(), x.max(), 2001), bandwidth=h)
    assert p.max() >= everywhere.max() * (1 - 1e-6)


def test_a_mode_is_what_rises_above_its_valley_by_more_than_the_noise():
    # Two lumps far apart, and k samples far from both: at M = 3 maxima the threshold is 2 sqrt(log 3) = 2.1 deviations, and k samples
    # at one point rise by sqrt(k) 2^(1/4) = 1.19 sqrt(k) of them: k = 3 falls short, k = 4 does not.
    lumps = [0.0] * 50 + [100.0] * 50
    assert [len(estimated_modes(lumps + [50.0] * k, bandwidth=1.0)) for k in (1, 3, 4)] == [2, 2, 3]


@pytest.mark.parametrize("rule", [sheather_jones_bandwidth, silverman_bandwidth])
def test_samples_that_are_all_equal_have_no_bandwidth(rule):
    with pytest.raises(ValueError, match=f"{rule.__name__}: all 3 samples equal 2.0"):
        rule([2.0, 2.0, 2.0])
    with pytest.raises(ValueError, match=r"estimated_modes: all 2 samples equal 1\.0"):
        estimated_modes([1.0, 1.0], bandwidth=1.0)
    with pytest.raises(ValueError, match="bandwidth is 0"):
        estimated_modes([1.0, 2.0], bandwidth=0.0)
