"""Divergences on a grid: closed forms, bounds and inequalities between them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

from minigen.data import Gaussian, Laplace, Uniform
from minigen.metrics import jensen_shannon, kullback_leibler, total_variation

# Wide enough to hold every Gaussian drawn below to 10 standard deviations, and narrow enough that none underflows.
GRID = np.linspace(-18.0, 18.0, 3601)
DX = 0.01

means, scales = st.floats(-3.0, 3.0), st.floats(0.75, 1.5)
gaussians = st.builds(lambda mean, scale: Gaussian(mean=mean, scale=scale), means, scales)
values = arrays(np.float64, 20, elements=st.floats(0.0, 5.0, allow_subnormal=False))


@given(p=gaussians, q=gaussians)
def test_kl_of_two_gaussians(p, q):
    s, t = p.standard_deviation, q.standard_deviation
    exact = math.log(t / s) + (s**2 + (p.mean - q.mean) ** 2) / (2 * t**2) - 0.5
    assert kullback_leibler(p.pdf(GRID), q.pdf(GRID), DX) == pytest.approx(exact, abs=1e-9)


@given(mean=means)
def test_kl_of_shifted_laplaces(mean):
    # KL = |mean| + exp(-|mean|) - 1 at scale 1; the kinks cost the trapezoid rule dx^2.
    p, q = Laplace(mean=0.0, scale=1.0).pdf(GRID), Laplace(mean=mean, scale=1.0).pdf(GRID)
    assert kullback_leibler(p, q, DX) == pytest.approx(abs(mean) + math.expm1(-abs(mean)), abs=DX**2)


@given(p=gaussians, q=gaussians)
def test_total_variation_of_gaussians_of_one_scale(p, q):
    q = Gaussian(mean=q.mean, scale=p.standard_deviation)
    # The densities cross once, half-way: TV = 2 Phi(distance / (2 scale)) - 1.
    exact = 2 * stats.norm.cdf(abs(p.mean - q.mean) / (2 * p.standard_deviation)) - 1
    assert total_variation(p.pdf(GRID), q.pdf(GRID), DX) == pytest.approx(exact, abs=DX**2)


@given(p=values)
def test_equal_densities_have_no_divergence(p):
    assert kullback_leibler(p, p, 0.1) == 0.0
    assert jensen_shannon(p, p, 0.1) == 0.0
    assert total_variation(p, p, 0.1) == 0.0


def test_disjoint_densities_are_as_far_as_can_be():
    p, q = Gaussian(mean=-15.0, scale=0.1).pdf(GRID), Gaussian(mean=15.0, scale=0.1).pdf(GRID)
    assert jensen_shannon(p, q, DX) == pytest.approx(math.log(2), abs=1e-12)
    assert total_variation(p, q, DX) == pytest.approx(1.0, abs=1e-12)
    assert kullback_leibler(p, q, DX) == math.inf


def test_zeros():
    p, q = np.array([0.0, 0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.25, 0.25, 0.5, 0.0])
    assert kullback_leibler(p, q, 1.0) == pytest.approx(math.log(2))  # 0 log 0 = 0
    assert kullback_leibler(q, p, 1.0) == math.inf
    # JS = H(m) - (H(p) + H(q)) / 2 in entropies of the three-point distributions.
    entropy = lambda w: special.entr(w).sum()
    assert jensen_shannon(p, q, 1.0) == pytest.approx(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)


@given(p=values, q=values)
def test_bounds(p, q):
    mass_p, mass_q = np.trapezoid(p, dx=0.1), np.trapezoid(q, dx=0.1)
    js, tv = jensen_shannon(p, q, 0.1), total_variation(p, q, 0.1)
    assert -1e-14 <= js <= math.log(2) * (mass_p + mass_q) / 2 + 1e-14
    assert 0 <= tv <= (mass_p + mass_q) / 2 + 1e-14
    assert js == jensen_shannon(q, p, 0.1)
    assert js <= math.log(2) * tv + 1e-14  # Lin 1991, Theorem 3
    assert kullback_leibler(p, q, 0.1) >= -1e-14


@given(p=gaussians, q=gaussians)
def test_pinsker(p, q):
    p, q = p.pdf(GRID), q.pdf(GRID)
    assert 2 * total_variation(p, q, DX) ** 2 <= kullback_leibler(p, q, DX) + 1e-14


@given(p=gaussians, q=gaussians, half_width=st.integers(10, 1000))
def test_a_short_grid_only_misses_mass(p, q, half_width):
    short = slice(1800 - half_width, 1801 + half_width)
    p, q = p.pdf(GRID), q.pdf(GRID)
    for divergence in (kullback_leibler, jensen_shannon, total_variation):
        assert -1e-12 <= divergence(p[short], q[short], DX) <= divergence(p, q, DX) + 1e-12


# ---------------------------------------------------------------------------------------------------------- probability vectors

probability_vectors = arrays(np.float64, 5, elements=st.floats(0.0, 1.0, allow_subnormal=False)).filter(
    lambda w: w.sum() > 0.1
).map(lambda w: w / w.sum())  # fmt: skip


@given(p=probability_vectors, q=probability_vectors)
def test_probabilities_against_independent_implementations(p, q):
    m = (p + q) / 2
    assert kullback_leibler(p, q) == pytest.approx(special.rel_entr(p, q).sum(), rel=1e-9, abs=1e-13)
    js = (special.rel_entr(p, m).sum() + special.rel_entr(q, m).sum()) / 2
    assert jensen_shannon(p, q) == pytest.approx(js, rel=1e-9, abs=1e-13)
    # TV is the largest difference that any event sees.
    events = np.array(list(itertools.product([0, 1], repeat=5)))
    assert total_variation(p, q) == pytest.approx((events @ (p - q)).max(), abs=1e-13)


def test_disjoint_probabilities():
    p, q = [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]
    assert jensen_shannon(p, q) == pytest.approx(math.log(2), abs=1e-15)
    assert total_variation(p, q) == 1.0
    assert kullback_leibler(p, q) == kullback_leibler(q, p) == math.inf


triples = st.tuples(probability_vectors, probability_vectors, probability_vectors)


@given(pqr=triples)
def test_total_variation_and_the_root_of_jensen_shannon_obey_the_triangle_inequality(pqr):
    p, q, r = pqr
    root = lambda p, q: math.sqrt(max(jensen_shannon(p, q), 0.0))
    for d, rounding in ((total_variation, 1e-14), (root, 1e-7)):  # the root of rounding, where two are equal
        assert d(p, r) <= d(p, q) + d(q, r) + rounding


def test_jensen_shannon_and_kullback_leibler_do_not():
    p, q, r = [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]
    assert jensen_shannon(p, q) == pytest.approx(0.75 * math.log(4 / 3), rel=1e-12)  # 0.216
    assert jensen_shannon(q, r) == pytest.approx(0.75 * math.log(4 / 3), rel=1e-12)
    assert jensen_shannon(p, r) == pytest.approx(math.log(2), rel=1e-12)  # 0.693
    p, q, r = [0.9, 0.1], [0.5, 0.5], [0.1, 0.9]
    assert kullback_leibler(p, r) > kullback_leibler(p, q) + kullback_leibler(q, r) + 0.5
    assert abs(kullback_leibler(p, q) - kullback_leibler(q, p)) > 0.1


@pytest.mark.parametrize("divergence", [kullback_leibler, jensen_shannon, total_variation])
def test_values_that_are_no_probabilities_are_refused(divergence):
    with pytest.raises(ValueError, match=f"{divergence.__name__}: p sums to 1.0 and q to 0.9, .* need its spacing dx"):
        divergence([0.5, 0.5], [0.5, 0.4])
    with pytest.raises(ValueError, match=rf"{divergence.__name__}: q\[1\] is -0.5"):
        divergence([0.5, 0.5], [1.5, -0.5])


# ----------------------------------------------------------------------------------------------------------------- densities


def test_jumps_cost_the_order_of_the_spacing():
    p, q = Uniform(low=0.0, high=1.0).pdf(GRID), Uniform(low=0.5, high=1.5).pdf(GRID)
    assert total_variation(p, q, DX) == pytest.approx(0.5, abs=DX)
    assert jensen_shannon(p, q, DX) == pytest.approx(0.5 * math.log(2), abs=DX)


@pytest.mark.parametrize("divergence", [kullback_leibler, jensen_shannon, total_variation])
@pytest.mark.parametrize(
    ("p", "q", "dx", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], 0.1, r"p has shape \(2,\) and q \(3,\)"),
        ([[1.0, 2.0]], [[1.0, 2.0]], 0.1, r"expected \(M,\)"),
        ([1.0, -2.0], [1.0, 2.0], 0.1, r"p\[1\] is -2.0, expected finite values >= 0"),
        ([1.0, 2.0], [np.nan, 2.0], 0.1, r"q\[0\] is nan"),
        ([1.0, 2.0], [1.0, 2.0], 0.0, "dx is 0.0"),
    ],
)
def test_bad_input_is_refused_with_words(divergence, p, q, dx, message):
    with pytest.raises(ValueError, match=f"{divergence.__name__}: .*{message}"):
        divergence(p, q, dx)
