"""Planar targets: the density is one, the samples follow it, and ring and grid stand where the literature has them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, multivariate_normal

from minigen.data import PlanarMixture, grid, ring
from minigen.random import Generator

coordinates = st.floats(-3.0, 3.0)
centres = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5)
scales = st.floats(0.05, 2.0)


@given(centres=centres, scale=scales, x=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=4))
def test_log_pdf_against_scipy(centres, scale, x):
    expected = [np.mean([multivariate_normal(c, scale**2).pdf(point) for c in centres]) for point in x]
    found = PlanarMixture(centres, scale=scale).log_pdf(x)
    assert found.shape == (len(x),)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-10, atol=1e-300)


def test_log_pdf_is_finite_where_the_density_underflows():
    far = PlanarMixture([[0.0, 0.0], [1.0, 0.0]], scale=0.01).log_pdf([[100.0, 0.0]])
    assert far[0] == pytest.approx(-0.5 * (99 / 0.01) ** 2 - math.log(4 * math.pi * 0.01**2), rel=1e-12)


def test_the_density_integrates_to_one_within_the_limits():
    mixture = PlanarMixture([[0.0, 0.0], [1.0, -0.5]], scale=0.4)
    line, step = np.linspace(*mixture.limits, 301, retstep=True)
    density = np.exp(mixture.log_pdf(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)))
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("density", [ring(), grid(), PlanarMixture([[0, 0], [3, 1]], scale=0.3)], ids=lambda d: d.name)
def test_samples_follow_the_density(density):
    n = 20_000
    x = density.sample(n, Generator(3))
    assert (x.shape, x.dtype) == ((n, 2), np.float32)
    offsets = x[:, None] - density.centres
    nearest = np.square(offsets).sum(axis=2).argmin(axis=1)
    assert chisquare(np.bincount(nearest, minlength=len(density.centres))).pvalue > 1e-4
    z = offsets[np.arange(n), nearest] / density.scale
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.05)
    # -log p has the mean of the entropy: log K + log(2 pi e s^2) where the modes are well apart.
    entropy = math.log(len(density.centres)) + math.log(2 * math.pi * math.e * density.scale**2)
    assert -density.log_pdf(x).mean() == pytest.approx(entropy, abs=5 / math.sqrt(n))
    inside = (x >= density.limits[0]) & (x <= density.limits[1])
    assert inside.mean() > 0.9998


@given(centres=centres, scale=scales)
def test_mean_and_standard_deviation_are_those_of_the_components(centres, scale):
    mixture = PlanarMixture(centres, scale=scale)
    c = np.array(centres)
    np.testing.assert_allclose(mixture.mean, c.mean(axis=0))
    second_moment = np.square(c).sum(axis=1).mean() + 2 * scale**2  # E|x|^2
    total_variance = second_moment - np.square(c.mean(axis=0)).sum()
    assert mixture.standard_deviation == pytest.approx(math.sqrt(total_variance / 2), rel=1e-9)


def test_ring_and_grid_are_those_of_the_literature():
    eight, twenty_five = ring(), grid()
    assert (eight.name, eight.scale, twenty_five.name, twenty_five.scale) == ("ring", 0.01, "grid", 0.05)
    angles = np.arctan2(*eight.centres.T[::-1]) % (2 * math.pi)
    np.testing.assert_allclose(np.hypot(*eight.centres.T), 1.0)
    np.testing.assert_allclose(angles, np.arange(8) * math.pi / 4, atol=1e-12)
    assert {tuple(c) for c in twenty_five.centres} == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


def test_ring_and_grid_of_other_sizes():
    three = ring(modes=3, radius=2.0, scale=0.2)
    gaps = np.linalg.norm(three.centres - np.roll(three.centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 2 * math.sqrt(3))
    np.testing.assert_allclose(three.mean, 0.0, atol=1e-15)
    assert sorted(grid(side=2, spacing=1.0).centres.tolist()) == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]


def test_the_same_generator_gives_the_same_samples():
    np.testing.assert_array_equal(ring().sample(50, Generator(5)), ring().sample(50, Generator(5)))
    assert (ring().sample(50, Generator(5)) != ring().sample(50, Generator(6))).any()


def test_what_is_no_mixture_is_refused():
    with pytest.raises(ValueError, match=r"centres have shape \(3,\), expected \(K, 2\)"):
        PlanarMixture([0.0, 1.0, 2.0], scale=1.0)
    with pytest.raises(ValueError, match=r"centres have shape \(0, 2\)"):
        PlanarMixture(np.zeros((0, 2)), scale=1.0)
    for scale in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="scale is"):
            PlanarMixture([[0.0, 0.0]], scale=scale)
