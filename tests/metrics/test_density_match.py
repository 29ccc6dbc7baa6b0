"""The figures of a generator against its target: exact samples reach the floor, an optimal discriminator has no gap."""

import numpy as np
import pytest

from minigen import metrics
from minigen.data import TARGETS, target
from minigen.random import Generator

N = 50_000


@pytest.mark.parametrize("name", TARGETS)
def test_exact_samples_reach_the_floor(name):
    density = target(name)
    figures = metrics.compare_with_density(density.sample(N, Generator(1)), density)
    assert figures["wasserstein1"] < 4 * figures["wasserstein1_floor"]
    assert figures["jensen_shannon"] < 0.01
    np.testing.assert_allclose(figures["mode_mass"], figures["mode_mass_exact"], atol=4 * 0.5 / np.sqrt(N))
    assert figures["mean"] == pytest.approx(density.mean, abs=4 * density.standard_deviation / np.sqrt(N))
    assert figures["discriminator_gap"] is None


def test_the_optimal_discriminator_has_no_gap_and_a_blind_one_that_of_the_total_variation():
    density = target("gaussian")
    shifted = density.sample(N, Generator(2)) + 1.0  # p_g = N(2, 1)
    p_g = target("gaussian").pdf

    def optimal(x):
        return metrics.optimal_discriminator(density.pdf(x), p_g(x - 1.0))

    best = metrics.compare_with_density(shifted, density, discriminator=optimal)
    blind = metrics.compare_with_density(shifted, density, discriminator=lambda x: np.full_like(x, 0.5))
    # Under (p + q)/2 the mean |1/2 - D*| is the integral of |p - q|/4, half the total variation; here that is erf(1/(2 sqrt 2)).
    assert best["discriminator_gap"] < 0.01
    assert blind["discriminator_gap"] == pytest.approx(0.38292 / 2, abs=0.01)


def test_samples_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"compare_with_density: samples.*nan"):
        metrics.compare_with_density([0.0, float("nan")], target("gaussian"))
