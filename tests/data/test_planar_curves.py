"""Bent planar targets and all planar targets by name: densities that integrate to one, samples that follow them, entropies, symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chisquare, multivariate_normal

from minigen.data import PLANAR_TARGETS, Circles, Pinwheel, PlanarDensity, PlanarMixture, moons, planar_target, spirals
from minigen.random import Generator

BENT = ("moons", "circles", "spirals", "pinwheel")
coordinates = st.floats(-4.0, 4.0)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=4).map(np.array)


def turned(x, angle):
    return x @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def on_a_grid(density, n):
    """Return n x n points over the limits, and p times the area of a cell at each."""
    low, high = density.limits
    edges = np.linspace(low, high, n + 1)
    line = 0.5 * (edges[1:] + edges[:-1])
    x = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    return x, np.exp(density.log_pdf(x)) * ((high - low) / n) ** 2


# ----------------------------------------------------------------------------------------------------------- the density is exact


@pytest.mark.parametrize("name", PLANAR_TARGETS)
def test_the_density_integrates_to_one_and_has_the_mean_and_deviation_it_states(name):
    density = planar_target(name)
    x, p = on_a_grid(density, 250)
    assert p.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(p @ x, density.mean, atol=1e-3)
    variances = p @ np.square(x - density.mean)
    assert density.standard_deviation == pytest.approx(math.sqrt(variances.mean()), rel=1e-3)


@given(x=points, radii=st.lists(st.floats(0.3, 3.0), min_size=1, max_size=3), scale=st.floats(0.1, 1.0))
def test_circles_against_the_integral_over_the_angle(x, radii, scale):
    def density(point):
        total = 0.0
        for radius in radii:
            noise = multivariate_normal(point, scale**2)
            at = math.atan2(point[1], point[0])  # the integrand is largest there
            integrand = lambda a, noise=noise, radius=radius: noise.pdf([radius * math.cos(a), radius * math.sin(a)])
            total += quad(integrand, at - math.pi, at + math.pi, points=[at], epsabs=1e-13)[0] / (2 * math.pi)
        return total / len(radii)

    found = np.exp(Circles(radii=radii, scale=scale).log_pdf(x))
    np.testing.assert_allclose(found, [density(point) for point in x], rtol=1e-6, atol=1e-11)


@given(x=points, arms=st.integers(2, 6), twist=st.floats(-2.0, 2.0))
def test_pinwheel_against_a_mixture_and_a_numerical_jacobian(x, arms, twist):
    pinwheel = Pinwheel(arms=arms, radius=1.5, lengthwise=0.6, across=0.2, twist=twist)
    spokes = []
    for k in range(arms):
        rotation = turned(np.eye(2), 2 * math.pi * k / arms).T
        covariance = rotation @ np.diag([0.36, 0.04]) @ rotation.T
        spokes.append(multivariate_normal(rotation @ [1.5, 0.0], covariance))

    def bend(point):
        return turned(point, twist * np.linalg.norm(point))

    for point in x:
        if np.linalg.norm(point) < 1e-3:  # the numerical derivative needs room
            continue
        step = 1e-6 * np.eye(2)
        jacobian = np.stack([(bend(point + h) - bend(point - h)) / 2e-6 for h in step], axis=1)
        expected = np.mean([spoke.pdf(point) for spoke in spokes]) / abs(np.linalg.det(jacobian))
        found = np.exp(pinwheel.log_pdf(bend(point)[None]))[0]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_the_curves_of_moons_and_spirals_are_smooth():
    # Gaussians at most one standard deviation apart: along the curve, away from its ends, the density does not vary.
    angle = np.linspace(0.6, math.pi - 0.6, 500)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert np.ptp(moons(scale=0.05).log_pdf(upper)) < 1e-6
    arm = spirals(scale=0.05)
    gaps = np.linalg.norm(np.diff(arm.centres[: len(arm.centres) // 2], axis=0), axis=1)
    assert 0.04 < gaps.min() <= gaps.max() <= 0.05
    radius, angle = np.hypot(*arm.centres.T), np.arctan2(*arm.centres.T[::-1])
    off = (angle - 2 * math.pi * 1.5 * radius / 2.0) % math.pi  # two arms, half a turn apart
    assert np.abs((off + 0.1) % math.pi - 0.1).max() < 1e-5


def test_moons_are_those_of_scikit_learn():
    centres = moons().centres
    upper, lower = centres[: len(centres) // 2], centres[len(centres) // 2 :]
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(*(lower - [1.0, 0.5]).T), 1)
    assert upper[:, 1].min() > -1e-12
    assert lower[:, 1].max() < 0.5 + 1e-12
    assert np.allclose([upper[0], upper[-1], lower[0], lower[-1]], [[1, 0], [-1, 0], [0, 0.5], [2, 0.5]])


@pytest.mark.parametrize("name", PLANAR_TARGETS)
def test_log_pdf_is_finite_far_away_and_at_the_middle(name):
    assert np.isfinite(planar_target(name).log_pdf([[1e4, -1e4], [0.0, 0.0]])).all()


# ------------------------------------------------------------------------------------------------------------------- symmetries


@given(x=points, angle=st.floats(0, 2 * math.pi))
def test_circles_look_the_same_from_every_side(x, angle):
    np.testing.assert_allclose(Circles().log_pdf(turned(x, angle)), Circles().log_pdf(x), rtol=1e-9, atol=1e-9)


@given(x=points, count=st.integers(2, 6), turn=st.integers(1, 5))
def test_arms_are_alike(x, count, turn):
    angle = 2 * math.pi * turn / count
    for density in (Pinwheel(arms=count), spirals(arms=count, scale=0.3)):
        np.testing.assert_allclose(density.log_pdf(turned(x, angle)), density.log_pdf(x), rtol=1e-7, atol=1e-7)


@given(x=points)
def test_one_moon_is_the_other_turned_half_about_the_mean(x):
    np.testing.assert_allclose(moons().log_pdf([1.0, 0.5] - x), moons().log_pdf(x), rtol=1e-9, atol=1e-9)


# ------------------------------------------------------------------------------------------------------------------------ samples


@pytest.mark.parametrize("name", BENT)
def test_samples_follow_the_density(name):
    density, n, cells, fine = planar_target(name), 40_000, 20, 12
    x = density.sample(n, Generator(5))
    assert (x.shape, x.dtype) == ((n, 2), np.float32)
    _, p = on_a_grid(density, cells * fine)
    expected = n * p.reshape(cells, fine, cells, fine).sum(axis=(1, 3)).ravel()
    low, high = density.limits
    found = np.histogram2d(*x.T.astype(np.float64), bins=np.linspace(low, high, cells + 1))[0].ravel()
    assert found.sum() > 0.9999 * n
    rare = expected < 5
    found = np.append(found[~rare], n - found[~rare].sum())
    expected = np.append(expected[~rare], n - expected[~rare].sum())
    assert chisquare(found, expected).pvalue > 1e-4


@pytest.mark.parametrize("name", BENT)
def test_the_mean_of_minus_log_p_over_samples_is_the_entropy(name):
    density = planar_target(name)
    surprise = -density.log_pdf(density.sample(40_000, Generator(6)))
    assert surprise.mean() == pytest.approx(density.entropy(), abs=4 * surprise.std() / math.sqrt(surprise.size))


# ------------------------------------------------------------------------------------------------------------------------ entropy


@settings(max_examples=8)
@given(scale=st.floats(0.01, 10.0), centre=st.tuples(coordinates, coordinates))
def test_entropy_of_one_gaussian(scale, centre):
    entropy = PlanarMixture([centre], scale=scale).entropy()
    assert entropy == pytest.approx(math.log(2 * math.pi * math.e * scale**2), abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ring", "grid"])
def test_entropy_of_modes_well_apart(name):
    mixture = planar_target(name)
    expected = math.log(len(mixture.centres)) + math.log(2 * math.pi * math.e * mixture.scale**2)
    assert mixture.entropy() == pytest.approx(expected, abs=2e-6)


@settings(max_examples=4)
@given(twist=st.floats(-1.0, 1.0))
def test_bending_keeps_the_entropy(twist):
    sizes = {"arms": 3, "radius": 1.0, "lengthwise": 0.4, "across": 0.3}
    assert Pinwheel(twist=twist, **sizes).entropy() == pytest.approx(Pinwheel(twist=0.0, **sizes).entropy(), abs=1e-5)


def test_entropy_of_a_circle_against_an_integral_over_the_radius():
    circle = Circles(radii=(1.0,), scale=0.2)

    def integrand(r):
        log_p = circle.log_pdf([[r, 0.0]])[0]
        return -2 * math.pi * r * math.exp(log_p) * log_p

    assert circle.entropy() == pytest.approx(quad(integrand, 0, 3, epsabs=1e-10)[0], abs=2e-6)


def test_no_density_fits_samples_better_than_their_own():
    a, b = moons(), moons(scale=0.15)
    x = a.sample(5_000, Generator(1))
    assert -b.log_pdf(x).mean() > a.entropy() + 0.05


class Square(PlanarDensity):
    name, mean, standard_deviation, limits = "square", np.zeros(2), math.sqrt(1 / 3), (-1.1, 1.1)

    def log_pdf(self, x):
        return np.where((np.abs(x) <= 1).all(axis=1), -math.log(4), -np.inf)

    def sample(self, n, rng):
        return rng.uniform((n, 2), low=-1.0, high=1.0)


TOO_FINE = PlanarMixture([[0, 0], [1, 0]], scale=1e-5)


@pytest.mark.parametrize("density", [Square(), pytest.param(TOO_FINE, marks=pytest.mark.slow)], ids=lambda d: d.name)
def test_entropy_refuses_what_the_sum_cannot_resolve(density):
    with pytest.raises(ArithmeticError, match=f"entropy: the sum for '{density.name}' does not converge"):
        density.entropy()


# ---------------------------------------------------------------------------------------------------------------- names, arguments


@pytest.mark.parametrize("name", PLANAR_TARGETS)
def test_targets_know_their_names(name):
    assert planar_target(name).name == name


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'swirls' is unknown, did you mean 'spirals'"):
        planar_target("swirls")
    for wrong in (
        {"radii": ()},
        {"radii": (1.0, -2.0)},
        {"scale": 0.0},
        {"scale": math.inf},
        {"radii": (1.0, math.nan)},
    ):
        with pytest.raises(ValueError, match=r"Circles: radii .* and scale .*, expected positive numbers"):
            Circles(**wrong)
    with pytest.raises(ValueError, match="Pinwheel: 1 arms, expected 2 or more"):
        Pinwheel(arms=1)
    for wrong in ({"lengthwise": 0.0}, {"across": math.nan}):
        with pytest.raises(ValueError, match=r"Pinwheel: lengthwise = .*expected positive numbers"):
            Pinwheel(**wrong)
