"""Each target's exact answers agree with each other, and its sampler with them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from minigen.data import TARGETS, Density, Empirical, Gaussian, GaussianMixture, Laplace, Uniform, load_geyser, target
from minigen.random import Generator

CONTINUOUS = [name for name in TARGETS if name != "faithful"]
continuous = st.sampled_from(CONTINUOUS).map(target)
targets = st.sampled_from(list(TARGETS)).map(target)
probabilities = st.floats(0.0, 1.0)
positive = st.floats(0.05, 5.0)


@st.composite
def mixtures(draw) -> GaussianMixture:
    components = draw(st.integers(1, 4))
    weights = np.array(draw(st.lists(st.floats(0.05, 1.0), min_size=components, max_size=components)))
    means = draw(st.lists(st.floats(-5.0, 5.0), min_size=components, max_size=components))
    scales = draw(st.lists(positive, min_size=components, max_size=components))
    return GaussianMixture(weights=(weights / weights.sum()).tolist(), means=means, scales=scales)


def integral(density: Density, function, low: float, high: float) -> float:
    """Adaptive quadrature of function(x) pdf(x), cut where a density may have a kink, a jump or a narrow peak."""
    cuts = [*density.centres, density.mean, *density.support]
    if isinstance(density, Uniform):
        cuts += [density.low, density.high]
    points = sorted({low, high, *(cut for cut in cuts if low < cut < high)})
    return sum(
        integrate.quad(lambda x: function(x) * density.pdf(x), a, b, epsabs=1e-12, limit=200)[0]
        for a, b in itertools.pairwise(points)
    )


def whole_line(density: Density) -> tuple[float, float]:
    return density.mean - 40 * density.standard_deviation, density.mean + 40 * density.standard_deviation


@pytest.mark.parametrize("name", TARGETS)
def test_pdf_integrates_to_one(name):
    density = target(name)
    assert integral(density, lambda x: 1.0, *whole_line(density)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_mean_and_standard_deviation_are_moments_of_the_pdf(name):
    density = target(name)
    mean = integral(density, lambda x: x, *whole_line(density))
    variance = integral(density, lambda x: (x - mean) ** 2, *whole_line(density))
    assert density.mean == pytest.approx(mean, abs=1e-9)
    assert density.standard_deviation == pytest.approx(math.sqrt(variance), abs=1e-9)


@given(density=continuous, u=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)))
def test_cdf_is_the_integral_of_the_pdf(density, u):
    low, high = sorted(float(x) for x in density.quantile(u))
    assert float(density.cdf(high) - density.cdf(low)) == pytest.approx(
        integral(density, lambda x: 1.0, low, high), abs=1e-9
    )


@given(density=st.one_of(continuous, mixtures()), u=probabilities)
def test_cdf_undoes_quantile(density, u):
    assert float(density.cdf(density.quantile(u))) == pytest.approx(u, abs=1e-13)


@given(density=st.one_of(continuous, mixtures()), u=st.floats(1e-6, 1 - 1e-6))
def test_quantile_undoes_cdf(density, u):
    x = float(density.quantile(u))
    # F(x) is rounded to 1e-16, which moves its inverse by 1e-16 / p(x).
    conditioning = 4 * np.finfo(float).eps / float(density.pdf(x))
    assert float(density.quantile(density.cdf(x))) == pytest.approx(x, abs=1e-12 + conditioning)


@given(density=targets, u=st.lists(probabilities, min_size=2, max_size=20))
def test_quantile_rises_and_keeps_the_shape(density, u):
    x = density.quantile(np.reshape(np.sort(u), (-1, 1)))
    assert x.shape == (len(u), 1)
    assert x.dtype == np.float64
    assert (x[:-1] <= x[1:] + 1e-14).all()


@given(mixture=mixtures(), u=st.floats(1e-9, 1 - 1e-9))
def test_quantile_of_a_mixture_against_a_root_finder(mixture, u):
    brent = optimize.brentq(lambda x: float(mixture.cdf(x)) - u, -60.0, 60.0, xtol=1e-14, rtol=1e-14)
    conditioning = 4 * np.finfo(float).eps / float(mixture.pdf(brent))
    assert float(mixture.quantile(u)) == pytest.approx(brent, abs=1e-12 + conditioning)


@given(mean=st.floats(-5.0, 5.0), scale=positive, u=probabilities)
def test_a_mixture_of_one_is_the_gaussian(mean, scale, u):
    gaussian = Gaussian(mean=mean, scale=scale)
    mixture = GaussianMixture(weights=(1.0,), means=(mean,), scales=(scale,))
    x = gaussian.quantile(0.5 + 0.9 * (u - 0.5))
    assert mixture.quantile(u) == gaussian.quantile(u)
    np.testing.assert_allclose(mixture.pdf(x), gaussian.pdf(x), rtol=1e-14)
    np.testing.assert_allclose(mixture.cdf(x), gaussian.cdf(x), rtol=1e-14)


def test_quantile_at_the_ends():
    ends = [0.0, 1.0]
    for density in (Gaussian(mean=1.0, scale=2.0), Laplace(mean=1.0, scale=2.0), target("three-modes")):
        np.testing.assert_array_equal(density.quantile(ends), [-np.inf, np.inf])
    np.testing.assert_array_equal(Uniform(low=-3.0, high=5.0).quantile(ends), [-3.0, 5.0])
    np.testing.assert_array_equal(Empirical([3.0, -1.0, 2.0]).quantile(ends), [-1.0, 3.0])


@pytest.mark.parametrize(
    ("density", "twin"),
    [
        (Gaussian(mean=1.5, scale=0.7), stats.norm(1.5, 0.7)),
        (Uniform(low=-2.0, high=3.0), stats.uniform(-2.0, 5.0)),
        (Laplace(mean=-1.0, scale=2.0), stats.laplace(-1.0, 2.0)),
    ],
    ids=["gaussian", "uniform", "laplace"],
)
def test_against_an_independent_implementation(density, twin):
    x, u = np.linspace(-8.0, 8.0, 401), np.linspace(1e-12, 1 - 1e-12, 401)
    np.testing.assert_allclose(density.pdf(x), twin.pdf(x), rtol=1e-13)
    np.testing.assert_allclose(density.cdf(x), twin.cdf(x), rtol=1e-13)
    np.testing.assert_allclose(density.quantile(u), twin.ppf(u), rtol=1e-12, atol=1e-13)
    assert (density.mean, density.standard_deviation) == pytest.approx((twin.mean(), twin.std()))


@given(density=targets)
def test_the_drawn_interval_holds_all_but_a_trace(density):
    low, high = density.support
    assert integral(density, lambda x: 1.0, low, high) > 1 - 2.1e-4
    assert low < min(density.centres) <= max(density.centres) < high


def test_masses_of_the_modes():
    assert target("mixture").modes == ((-2.0, pytest.approx(0.5)), (2.0, pytest.approx(0.5)))
    assert target("gaussian").modes == ((1.0, 1.0),)
    # Three components: what each leaks over the borders at -1.5 and 1.5 is counted with its neighbour.
    phi = stats.norm.cdf
    components = [(0.2, -3.0, 0.3), (0.5, 0.0, 0.5), (0.3, 3.0, 0.7)]
    first = sum(w * phi((-1.5 - m) / s) for w, m, s in components)
    last = sum(w * (1 - phi((1.5 - m) / s)) for w, m, s in components)
    centres, masses = zip(*target("three-modes").modes, strict=True)
    assert centres == (-3.0, 0.0, 3.0)
    assert masses == pytest.approx((first, 1 - first - last, last))


@pytest.mark.parametrize("name", TARGETS)
def test_samples_are_float32_columns_and_repeat_with_the_seed(name):
    samples = target(name).sample(50, Generator(3))
    assert samples.shape == (50, 1)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, target(name).sample(50, Generator(3)))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_cdf(name):
    density = target(name)
    samples = density.sample(20_000, Generator(1)).astype(np.float64).reshape(-1)
    # The statistic exceeds 1.95 / sqrt(N) with probability 1e-3 for a right sampler.
    assert stats.kstest(samples, density.cdf).statistic < 1.95 / math.sqrt(20_000)


def test_faithful_draws_each_eruption_equally_often():
    faithful = target("faithful")
    samples = faithful.sample(50_000, Generator(2))
    values, multiplicity = np.unique(faithful.values.astype(np.float32), return_counts=True)
    drawn, counts = np.unique(samples, return_counts=True)
    np.testing.assert_array_equal(drawn, values)
    assert stats.chisquare(counts, multiplicity * 50_000 / 272).pvalue > 1e-3


values = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30).filter(lambda v: min(v) < max(v))


@given(values=values, x=st.floats(-6.0, 6.0), u=probabilities)
def test_an_empirical_staircase_against_its_definition(values, x, u):
    empirical = Empirical(values)
    assert empirical.cdf(x) == np.mean(np.array(values) <= x)
    assert empirical.quantile(u) == min(value for value in values if np.mean(np.array(values) <= value) >= u)
    np.testing.assert_array_equal(empirical.quantile(empirical.cdf(values)), values)


@given(values=values)
def test_moments_of_an_empirical(values):
    empirical = Empirical(values)
    assert empirical.mean == pytest.approx(np.mean(values))
    assert empirical.standard_deviation == pytest.approx(np.std(values))


def test_the_kernel_estimate_of_an_empirical_has_its_mean_and_a_wider_variance():
    faithful = target("faithful")
    mean = integral(faithful, lambda x: x, *whole_line(faithful))
    variance = integral(faithful, lambda x: (x - mean) ** 2, *whole_line(faithful))
    assert mean == pytest.approx(faithful.mean, abs=1e-9)
    assert variance == pytest.approx(faithful.standard_deviation**2 + faithful.bandwidth**2, abs=1e-9)


def test_the_modes_of_faithful_are_the_maxima_of_its_pdf():
    faithful = target("faithful")
    x = np.linspace(1.0, 6.0, 5001)
    p = faithful.pdf(x)
    maxima = x[1:-1][(p[1:-1] > p[:-2]) & (p[1:-1] > p[2:])]
    assert faithful.centres == pytest.approx(maxima, abs=0.05)
    short = np.mean(load_geyser().duration <= 3.2)
    assert faithful.modes == ((1.9, short), (4.5, pytest.approx(1 - short)))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_bears_its_name(name):
    assert target(name).name == name


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: target("laplas"), "'laplas' is unknown, did you mean 'laplace'"),
        (lambda: Gaussian(mean=0.0, scale=0.0), "Gaussian: scale is 0.0"),
        (lambda: Uniform(low=1.0, high=1.0), "high - low is 0.0"),
        (lambda: Laplace(mean=0.0, scale=float("nan")), "Laplace: scale is nan"),
        (lambda: GaussianMixture(weights=(0.5, 0.6), means=(0, 1), scales=(1, 1)), "weights sum to 1.1"),
        (lambda: GaussianMixture(weights=(1.5, -0.5), means=(0, 1), scales=(1, 1)), "weight is -0.5"),
        (lambda: GaussianMixture(weights=(1.0,), means=(0, 1), scales=(1, 1)), "1 weights, 2 means and 2 scales"),
        (lambda: Empirical([1.0, np.nan]), r"values: 1 of 2 values are not finite, the first is nan at index \(1,\)"),
        (lambda: Empirical([2.0, 2.0]), "all 2 samples equal 2.0"),
        (lambda: Empirical(np.zeros((4, 2))), r"shape \(4, 2\), expected \(N,\) or \(N, 1\)"),
        (lambda: target("mixture").quantile([0.5, 1.5]), r"u holds 1.5, expected values in \[0, 1\]"),
        (lambda: target("faithful").quantile(np.nan), "u holds nan"),
    ],
)
def test_bad_input_is_refused_with_words(action, message):
    with pytest.raises(ValueError, match=message):
        action()
