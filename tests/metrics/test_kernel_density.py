"""The kernel density estimate: its definition against its fast twin and an independent implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minigen.data import kernel_density, silverman_bandwidth, target
from minigen.metrics import binned_kernel_density
from minigen.random import Generator

samples = st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=40)
SAMPLE = target("mixture").sample(500, Generator(0))


def test_the_definition_against_an_independent_implementation():
    x, h = np.linspace(-6.0, 6.0, 101), 0.3
    data = SAMPLE.astype(np.float64).reshape(-1)
    twin = stats.gaussian_kde(data, bw_method=h / data.std(ddof=1))
    np.testing.assert_allclose(kernel_density(SAMPLE, x, bandwidth=h), twin(x), rtol=1e-10)


def test_one_sample_is_one_kernel():
    x = np.linspace(-5.0, 5.0, 12).reshape(3, 4)
    np.testing.assert_allclose(kernel_density([0.7], x, bandwidth=0.4), stats.norm.pdf(x, 0.7, 0.4))


@given(
    x=samples, low=st.floats(-6.0, 0.0), width=st.floats(0.5, 8.0), size=st.integers(2, 80), cells=st.floats(1.0, 20.0)
)
def test_binning_costs_no_more_than_stated(x, low, width, size, cells):
    grid = np.linspace(low, low + width, size)
    dx = width / (size - 1)
    h = cells * dx
    error = np.abs(binned_kernel_density(x, grid, bandwidth=h) - kernel_density(x, grid, bandwidth=h)).max()
    peak = 1 / (h * math.sqrt(2 * math.pi))
    # Besides: at h = dx the kernel's sum over the grid is off by 2 exp(-2 pi^2) = 5e-9 of its integral.
    assert error <= peak * ((dx / h) ** 2 / 8 + 1e-8)


def test_binning_is_exact_for_samples_on_the_grid():
    grid = np.linspace(-2.0, 2.0, 401)
    x = grid[[0, 100, 100, 399, 400]]
    np.testing.assert_allclose(
        binned_kernel_density(x, grid, bandwidth=0.1), kernel_density(x, grid, bandwidth=0.1), atol=1e-12
    )


def test_an_unresolved_bandwidth_keeps_the_mass():
    grid = np.linspace(-5.0, 5.0, 201)
    p = binned_kernel_density(SAMPLE, grid, bandwidth=1e-6)
    assert p.sum() * 0.05 == pytest.approx(1.0, abs=1e-12)


def test_samples_outside_the_grid_count_but_are_not_moved_in():
    grid = np.linspace(-1.0, 1.0, 201)
    inside = binned_kernel_density([0.0], grid, bandwidth=0.1)
    np.testing.assert_allclose(binned_kernel_density([0.0, 50.0], grid, bandwidth=0.1), inside / 2)
    # A sample just outside still reaches in.
    near = binned_kernel_density([-1.1], grid, bandwidth=0.1)
    assert near[0] == pytest.approx(stats.norm.pdf(1.0) / 0.1, rel=1e-3)


def test_the_mean_estimate_is_the_density_smoothed_by_the_kernel():
    # A Gaussian of scale 1 smoothed by a kernel of scale h is a Gaussian of scale sqrt(1 + h^2).
    h, n = 0.5, 50_000
    x = target("gaussian").sample(n, Generator(1))
    grid = np.linspace(-4.0, 6.0, 2001)
    smoothed = stats.norm.pdf(grid, 1.0, math.hypot(1.0, h))
    deviation = np.sqrt(smoothed / (2 * math.sqrt(math.pi) * n * h))
    assert np.abs(binned_kernel_density(x, grid, bandwidth=h) - smoothed).max() < 5 * deviation.max()


def test_default_bandwidth_is_silvermans():
    grid = np.linspace(-6.0, 6.0, 301)
    by_hand = binned_kernel_density(SAMPLE, grid, bandwidth=silverman_bandwidth(SAMPLE))
    np.testing.assert_array_equal(binned_kernel_density(SAMPLE, grid), by_hand)


def test_silvermans_rule():
    x = np.array([0.0, 1.0, 2.0, 3.0, 100.0])
    # The quartiles are 1 and 3; the outlier blows up the standard deviation only.
    assert silverman_bandwidth(x) == pytest.approx(0.9 * (2 / 1.34) * 5**-0.2)
    assert silverman_bandwidth(2 * x) == pytest.approx(2 * silverman_bandwidth(x))
    # More than half the samples coincide: the quartiles say nothing.
    x = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    assert silverman_bandwidth(x) == pytest.approx(0.9 * math.sqrt(0.2) * 5**-0.2)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: silverman_bandwidth([1.0, 1.0, 1.0]), "all 3 samples equal 1.0"),
        (lambda: silverman_bandwidth([1.0]), "all 1 samples equal 1.0"),
        (lambda: silverman_bandwidth([1.0, np.nan]), "1 of 2 values are not finite"),
        (lambda: kernel_density([0.0], [0.0], bandwidth=0.0), "kernel_density: bandwidth is 0.0"),
        (lambda: binned_kernel_density([0.0], [0.0, 1.0], bandwidth=np.nan), "bandwidth is nan"),
        (lambda: binned_kernel_density([0.0], [0.0, 1.0, 3.0], bandwidth=1.0), "grid steps run from 1.0 to 2.0"),
        (lambda: binned_kernel_density([0.0], [1.0, 0.0], bandwidth=1.0), "grid steps run from -1.0"),
        (lambda: binned_kernel_density([0.0], [1.0], bandwidth=1.0), r"shape \(1,\), expected \(M,\)"),
        (lambda: binned_kernel_density([[np.inf]], [0.0, 1.0]), r"inf at index \(0, 0\)"),
    ],
)
def test_bad_input_is_refused_with_words(action, message):
    with pytest.raises(ValueError, match=message):
        action()
