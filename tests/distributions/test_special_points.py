"""Distributions at the ends of their parameters and at ties: values and derivatives of both orders are the limits there."""

import numpy as np
import pytest

import minigen as mg
from minigen.distributions import Bernoulli, Categorical, Laplace, Normal, NormalMixture, kl_divergence
from minigen.testing import gradcheck

INF = np.inf
FAR = 1e3  # there a logit's bit is certain in float64, and the log-probability of the other one is -1000

OF_A_LOGIT = {
    "log_prob(1)": lambda logits: Bernoulli(logits=logits).log_prob(np.ones(logits.shape, logits.dtype)),
    "log_prob(0)": lambda logits: Bernoulli(logits=logits).log_prob(np.zeros(logits.shape, logits.dtype)),
    "log_prob(1/4)": lambda logits: Bernoulli(logits=logits).log_prob(np.full(logits.shape, 0.25, logits.dtype)),
    "joint_log_prob": lambda logits: Bernoulli(logits=logits).joint_log_prob(
        np.array([1, 0, 1, 0], logits.dtype), axes=1
    ),
    "entropy": lambda logits: Bernoulli(logits=logits).entropy(),
    "mean": lambda logits: Bernoulli(logits=logits).mean,
    "variance": lambda logits: Bernoulli(logits=logits).variance,
    "KL(p || fair)": lambda logits: kl_divergence(Bernoulli(logits=logits), Bernoulli(logits=0.0)),
    "KL(p || p)": lambda logits: kl_divergence(Bernoulli(logits=logits), Bernoulli(logits=logits)),
    "KL(p || certain)": lambda logits: kl_divergence(
        Bernoulli(logits=logits), Bernoulli(logits=mg.tensor(logits.data))
    ),
}


def derivatives(function, values, dtype):
    """The values, and the sums of first and of second derivatives."""
    x = mg.Tensor(np.array(values, dtype), requires_grad=True)
    y = function(x)
    first = mg.grad(mg.sum(y), x, create_graph=True)
    second = mg.grad(mg.sum(first), x, allow_unused=True) if first.requires_grad else None
    return y.data, first.data, np.zeros(x.shape) if second is None else second.data


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_A_LOGIT)
def test_a_bit_that_is_certain_is_the_limit_of_bits_that_are_nearly_so(name, dtype):
    signs = np.array([1.0, -1.0, 1.0, -1.0])
    found = derivatives(OF_A_LOGIT[name], INF * signs, dtype)
    limits = derivatives(OF_A_LOGIT[name], FAR * signs, dtype)
    for obtained, limit in zip(found, limits, strict=True):
        assert obtained.dtype == dtype or obtained.dtype == np.float64
        limit = np.where(abs(limit) >= FAR / 4, np.copysign(INF, limit), limit)
        np.testing.assert_allclose(obtained, limit, atol=1e-12)


def test_certain_bits_in_numbers():
    certain, fair = Bernoulli(logits=INF), Bernoulli(logits=0.0)
    assert (certain.log_prob(1), certain.log_prob(0), certain.entropy()) == (0.0, -INF, 0.0)
    assert kl_divergence(certain, fair) == pytest.approx(np.log(2))
    assert kl_divergence(fair, certain) == INF
    assert kl_divergence(certain, certain) == 0.0
    assert type(kl_divergence(certain, fair)) is type(certain.entropy()) is type(certain.log_prob(1)) is float


@pytest.mark.parametrize("at", [0.0, 1.0, -3.0, 40.0, -700.0])
def test_bits_have_the_right_derivatives_at_a_fair_logit_and_far_out(at):
    """At 0 the formulas change over from one side of |l| to the other."""
    other = np.array([0.3])
    for x in (0.0, 0.25, 1.0):
        gradcheck(lambda x, logits: Bernoulli(logits=logits).log_prob(x), [np.array([x]), np.array([at])])
    gradcheck(lambda logits: Bernoulli(logits=logits).entropy(), [np.array([at])])
    gradcheck(lambda p, q: kl_divergence(Bernoulli(logits=p), Bernoulli(logits=q)), [np.array([at]), other])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_number_among_the_parameters_widens_the_result(dtype):
    x, number = np.array([1.0, 0.0], dtype), 0.5
    for result in (
        Bernoulli(logits=number).log_prob(x),
        Bernoulli(logits=x).log_prob(1),
        Bernoulli(logits=x).entropy(),
        kl_divergence(Bernoulli(logits=x), Bernoulli(logits=number)),
        kl_divergence(Bernoulli(logits=number), Bernoulli(logits=x)),
        kl_divergence(Laplace(x, scale=number), Laplace(number, scale=number)),
    ):
        assert result.dtype == dtype


def test_categories_that_are_impossible():
    p = np.array([[0.0, -INF, 1.0]])
    q = np.array([[0.5, 0.0, 1.0]])
    functions = {
        "log_prob": (lambda logits: Categorical(logits=logits).log_prob(np.array([0])), False),
        "log_prob of it": (lambda logits: Categorical(logits=logits).log_prob(np.array([1])), True),
        "entropy": (lambda logits: Categorical(logits=logits).entropy(), False),
        "KL(p || q)": (lambda logits: kl_divergence(Categorical(logits=logits), Categorical(logits=q)), False),
        "KL(q || p)": (lambda logits: kl_divergence(Categorical(logits=q), Categorical(logits=logits)), True),
        "KL(p || p)": (lambda logits: kl_divergence(Categorical(logits=logits), Categorical(logits=logits)), False),
    }
    for name, (function, is_infinite) in functions.items():
        found = derivatives(function, p, "float64")
        limits = derivatives(function, np.where(np.isinf(p), -FAR, p), "float64")
        assert np.isinf(found[0]).all() == is_infinite, name
        for obtained, limit in zip(found[is_infinite:], limits[is_infinite:], strict=True):
            np.testing.assert_allclose(obtained, limit, atol=1e-12, err_msg=name)


def test_the_divergence_of_laplace_distributions_is_smooth_where_their_locations_meet():
    """To second order in d it is s / t - 1 - log(s / t) + d^2 / 2 s t there, though |d| has a kink."""
    for s, t in ((1.0, 1.0), (2.0, 2.0), (1.3, 0.7)):
        value, first, second = derivatives(
            lambda m, s=s, t=t: kl_divergence(Laplace(m, scale=s), Laplace(0.5, scale=t)), [0.5], "float64"
        )
        expected = [s / t - 1 - np.log(s / t), 0.0, 1 / (s * t)]
        np.testing.assert_allclose([value[0], first[0], second[0]], expected, atol=1e-14)


@pytest.mark.parametrize(
    "distribution",
    [Normal(0.0, scale=1.0), Laplace(0.0, scale=1.0), NormalMixture(logits=np.zeros(2), means=np.zeros(2), scales=1.0)],
)
def test_infinitely_far_out_a_density_is_zero(distribution):
    np.testing.assert_array_equal(distribution.log_prob(np.array([INF, -INF])), -INF)
