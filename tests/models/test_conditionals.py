"""Conditionals: distributions of whole numbers, exact in their tails, drawn by their quantiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import logistic

import minigen as mg
from minigen import ops
from minigen.models import BernoulliConditional, CategoricalConditional, LogisticMixtureConditional
from minigen.models.conditionals import Conditional

KINDS = {
    "bernoulli": BernoulliConditional(),
    "categorical": CategoricalConditional(5),
    "mixture of 2 levels": LogisticMixtureConditional(2, components=2),
    "mixture of 5 levels": LogisticMixtureConditional(5, components=3),
    "mixture of 256 levels": LogisticMixtureConditional(256, components=10),
}
EACH = pytest.mark.parametrize("conditional", KINDS.values(), ids=KINDS)


def parameters(conditional, n, seed=0, scale=2.0):
    return scale * np.random.default_rng(seed).standard_normal((n, conditional.outputs))


@EACH
def test_probabilities_sum_to_one_and_are_those_of_log_prob(conditional):
    p = parameters(conditional, 20)
    each = conditional.probabilities(p)
    np.testing.assert_allclose(each.sum(axis=-1), 1.0, atol=1e-12)
    for x in range(conditional.levels):
        np.testing.assert_allclose(np.exp(conditional.log_prob(p, np.full(20, float(x)))), each[:, x], rtol=1e-12)


@EACH
def test_the_quantile_is_the_smallest_level_whose_sum_exceeds_u(conditional):
    p = parameters(conditional, 200, seed=1)
    u = np.random.default_rng(2).uniform(size=200)
    u[:2] = 0.0, 1 - 2**-53
    sums = np.minimum(conditional.probabilities(p).cumsum(axis=-1), 1.0)
    sums[:, -1] = 1.0
    np.testing.assert_array_equal(conditional.quantile(p, u), (sums <= u[:, None]).sum(axis=-1))
    np.testing.assert_array_equal(conditional.quantile(p, u), Conditional.quantile(conditional, p, u))


LARGEST = np.float32(1 - 2**-24)  # of the float32 numbers below 1, which are drawn as u


def cut_off(conditional, n):
    """Parameters in float32 under which only some first levels are likely, and the last ones never drawn: (n, P), and how many levels."""
    p = parameters(conditional, n, seed=6, scale=1.0).astype(np.float32)
    if isinstance(conditional, CategoricalConditional):
        p[:, 3:] = -np.inf
        return p, 3
    logits, _, _ = np.split(p, 3, axis=1)  # narrow logistics at the lower end
    return np.concatenate([logits, np.full_like(logits, -1.5), np.full_like(logits, -4)], axis=1), 1


@pytest.mark.parametrize("conditional", [CategoricalConditional(61), LogisticMixtureConditional(256, components=10)])
def test_a_level_of_probability_zero_is_never_drawn_though_sums_of_float32_numbers_end_below_one(conditional):
    p, levels = cut_off(conditional, 2000)
    sums = conditional.probabilities(p).cumsum(axis=-1, dtype=np.float32)
    assert (sums[:, -1] <= LARGEST).any()  # else this would be no test
    assert conditional.quantile(p, np.full(2000, LARGEST)).max() < levels


def test_levels_of_probability_zero_before_the_first_likely_one_are_passed():
    logits = np.array([[-np.inf, -np.inf, 0.0, 0.0, -np.inf]], np.float32)
    drawn = [CategoricalConditional(5).quantile(logits, np.array([u], np.float32))[0] for u in (0.0, 0.4, 0.6, LARGEST)]
    assert drawn == [2, 2, 3, 3]


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 16, 17, 255, 256, 257])
def test_the_levels_of_a_mixture_are_found_by_blocks(levels):
    conditional = LogisticMixtureConditional(levels, components=2)
    p, u = parameters(conditional, 500, seed=7, scale=1.0), np.random.default_rng(8).uniform(size=500)
    found = conditional.quantile(p, u)
    np.testing.assert_array_equal(found, Conditional.quantile(conditional, p, u))
    assert 0 <= found.min() <= found.max() < levels


def test_a_logistic_may_be_all_in_one_level():
    conditional = LogisticMixtureConditional(256, components=1)
    p = np.array([[0.0, conditional.scaled(77.0), -30.0]], np.float32)
    assert conditional.probabilities(p)[0, 77] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
@EACH
def test_whole_numbers_of_any_dtype_have_the_log_probabilities_of_floats(conditional, dtype):
    p = parameters(conditional, 10).astype(np.float32)
    x = np.arange(10) % 2
    found = conditional.log_prob(p, x.astype(dtype))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, conditional.log_prob(p, x.astype(np.float32)))


@EACH
def test_quantiles_of_even_u_have_the_probabilities(conditional):
    n = 20_000
    p = parameters(conditional, 1, seed=3)
    drawn = conditional.quantile(np.repeat(p, n, axis=0), (np.arange(n) + 0.5) / n)
    shares = np.bincount(drawn.astype(int), minlength=conditional.levels) / n
    np.testing.assert_allclose(shares, conditional.probabilities(p)[0], atol=1.01 / n)


@pytest.mark.parametrize("levels", [2, 3, 7, 256])
def test_the_logistic_mixture_is_the_difference_of_scipys_distribution_functions(levels):
    conditional = LogisticMixtureConditional(levels, components=3)
    p = parameters(conditional, 8, seed=4, scale=1.0)
    logits, means, log_scales = np.split(p[:, :, None], 3, axis=1)  # (N, K, 1) each
    edges = (2 * np.arange(levels - 1) + 1) / (levels - 1) - 1  # between the levels, which go from -1 to 1
    below = logistic.cdf(edges, loc=means, scale=np.exp(log_scales))  # (N, K, L - 1)
    zero, one = np.zeros((8, 3, 1)), np.ones((8, 3, 1))
    parts = np.diff(np.concatenate([zero, below, one], axis=2), axis=2)
    weights = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(conditional.probabilities(p), (weights * parts).sum(axis=1), rtol=1e-9, atol=1e-14)


def test_the_logistic_mixture_is_exact_far_out_in_its_tails():
    # One logistic at 0 with scale 0.01: s(a) and s(b) are both 1 or both 0 in float64, their difference is not.
    conditional = LogisticMixtureConditional(256, components=1)
    p = np.array([[0.0, 0.0, np.log(0.01)]])
    x = np.array([0.0, 1.0, 254.0, 255.0])
    above, below = ((2 * x[:2] + side) / 255 / 0.01 - 100 for side in (1, -1))  # log s(a) = a this far out
    first, second = above[0], above[1] + np.log1p(-np.exp(below[1] - above[1]))
    expected = [first, second, second, first]  # the density is even
    np.testing.assert_allclose(conditional.log_prob(np.repeat(p, 4, axis=0), x), expected, rtol=1e-9)


@settings(max_examples=20)
@given(
    mean=st.sampled_from([-1e6, -30.0, -1.0, 0.0, 0.3, 1.0, 1e6]), log_scale=st.sampled_from([-1e3, -20.0, -7.0, 0.0, 7.0, 1e3]),
    logit=st.sampled_from([-1e4, 0.0, 1e4]), x=st.sampled_from([0.0, 1.0, 128.0, 254.0, 255.0]),
)  # fmt: skip
def test_gradients_of_the_logistic_mixture_are_finite_at_the_edges_and_for_extreme_parameters(
    mean, log_scale, logit, x
):
    conditional = LogisticMixtureConditional(256, components=2)
    p = mg.tensor(np.array([[logit, 0.0, mean, 0.1, log_scale, -2.0]], np.float32), requires_grad=True)
    log_p = conditional.log_prob(p, np.array([x], np.float32))
    ops.sum(log_p).backward()
    assert np.isfinite(log_p.data).all()
    assert np.isfinite(p.grad.data).all()


def test_gradients_of_the_logistic_mixture_are_those_of_numerical_differences():
    conditional = LogisticMixtureConditional(16, components=3)
    p = parameters(conditional, 6, seed=5, scale=1.0)
    x = np.array([0.0, 0.0, 15.0, 15.0, 7.0, 3.0])
    mg.testing.gradcheck(lambda p: conditional.log_prob(p, x), [p])


@EACH
def test_scaled_levels_go_from_minus_one_to_one(conditional):
    levels = np.arange(conditional.levels)
    np.testing.assert_allclose(conditional.scaled(levels.astype(float)), np.linspace(-1, 1, conditional.levels))


@pytest.mark.parametrize("bad", [-1.0, 5.0, 2.5, np.nan])
def test_values_that_are_no_levels_are_named(bad):
    x = np.array([0.0, 4.0, bad])
    with pytest.raises(
        ValueError, match=r"model: 1 of 3 values are not levels, the first is .*; expected whole numbers from 0 to 4"
    ):
        CategoricalConditional(5).check(x, "model")
    CategoricalConditional(5).check(x[:2], "model")


def test_settings_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"levels = 1 must be at least 2"):
        CategoricalConditional(1)
    with pytest.raises(ValueError, match=r"levels = 256 .* components = 0 at least 1"):
        LogisticMixtureConditional(256, components=0)
