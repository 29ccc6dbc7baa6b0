"""Two unbiased gradients of an expectation, for quadratics, where all is known in closed form.

For z = m + s e, e ~ N(0, 1), and f(z) = a z^2 + b z + c, written as A + B e + C e^2 with

    A = f(m),     B = s f'(m),     C = a s^2,

the gradient of E[f(z)] = A + C is (B, 2 C) / s with respect to (m, s). Two estimators of it from one draw:

    pathwise          f'(z) (1, e)                       by backward through z (Kingma & Welling 2014, section 2.4)
    score function    f(z) (e, e^2 - 1) / s              f(z) d log N(z; m, s^2) (Williams 1992, REINFORCE)

Their variances follow from E[e^2], E[e^4], ... = 1, 3, 15, 105. Times s^2 they are

    pathwise          4 C^2                              B^2 + 8 C^2
    score function    (A + 3 C)^2 + 6 C^2 + 2 B^2        2 (A + 5 C)^2 + 24 C^2 + 10 B^2

so for a quadratic the pathwise estimate is never the noisier one.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen.distributions import Normal
from minigen.random import Generator

# Gauss-Hermite quadrature: sum_i WEIGHTS[i] g(NODES[i]) = E[g(e)] for every polynomial g of degree below 24.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

means, scales, coefficients = st.floats(-2.0, 2.0), st.floats(0.2, 2.0), st.tuples(*[st.floats(-3.0, 3.0)] * 3)


class Quadrature:
    """In place of a generator: its normal draws are the nodes, so an average with the weights is an expectation."""

    def normal(self, shape, *, dtype):
        assert shape == NODES.shape
        return NODES.astype(dtype)


def quadratic(z, a, b, c):
    return a * z * z + b * z + c


def gradients_of_each_draw(estimator, m, s, abc, *, rng, n):
    """The estimates (n,) of the gradients with respect to m and to s: one copy of both for each draw."""
    mean, scale = (mg.tensor(np.full(n, value), requires_grad=True) for value in (m, s))
    normal = Normal(mean, scale=scale)
    if estimator == "pathwise":
        surrogate = quadratic(normal.rsample(rng=rng), *abc)
    else:
        z = normal.sample(rng=rng)
        surrogate = quadratic(z, *abc) * normal.log_prob(z)
    by_mean, by_scale = mg.grad(mg.sum(surrogate), [mean, scale])
    return by_mean.data, by_scale.data


def closed_forms(estimator, m, s, abc):
    """Expectations and variances of the estimates with respect to m and to s."""
    a, b, _ = abc
    A, B, C = quadratic(m, *abc), s * (2 * a * m + b), a * s * s
    expectations = B / s, 2 * C / s
    if estimator == "pathwise":
        return expectations, (4 * C**2 / s**2, (B**2 + 8 * C**2) / s**2)
    by_mean = (A + 3 * C) ** 2 + 6 * C**2 + 2 * B**2
    by_scale = 2 * (A + 5 * C) ** 2 + 24 * C**2 + 10 * B**2
    return expectations, (by_mean / s**2, by_scale / s**2)


both = pytest.mark.parametrize("estimator", ["pathwise", "score function"])


@both
@given(m=means, s=scales, abc=coefficients)
def test_expectations_and_variances_are_the_closed_forms(estimator, m, s, abc):
    estimates = gradients_of_each_draw(estimator, m, s, abc, rng=Quadrature(), n=len(NODES))
    for gradient, expectation, variance in zip(estimates, *closed_forms(estimator, m, s, abc), strict=True):
        average = WEIGHTS @ gradient
        assert average == pytest.approx(expectation, rel=1e-9, abs=1e-9)
        assert WEIGHTS @ (gradient - average) ** 2 == pytest.approx(variance, rel=1e-8, abs=1e-8)


@given(m=means, s=scales, abc=coefficients)
def test_pathwise_is_never_the_noisier(m, s, abc):
    _, pathwise = closed_forms("pathwise", m, s, abc)
    _, score_function = closed_forms("score function", m, s, abc)
    assert all(small <= large for small, large in zip(pathwise, score_function, strict=True))


@both
@pytest.mark.parametrize(
    ("m", "s", "abc"), [(0.5, 1.0, (1.0, 0.0, 0.0)), (-1.0, 0.3, (0.5, -2.0, 1.0)), (2.0, 1.5, (0.0, 1.0, -1.0))]
)
def test_averages_over_draws_agree_within_their_standard_error(estimator, m, s, abc):
    n = 20_000
    estimates = gradients_of_each_draw(estimator, m, s, abc, rng=Generator(0), n=n)
    for gradient, expectation, variance in zip(estimates, *closed_forms(estimator, m, s, abc), strict=True):
        assert abs(gradient.mean() - expectation) <= 4 * math.sqrt(variance / n) + 1e-12


@given(m=means, log_variance=st.floats(-3.0, 1.0), abc=coefficients)
def test_the_gradient_with_respect_to_a_log_variance(m, log_variance, abc):
    # dE/d(log s^2) = (dE/ds) s / 2 = a s^2
    leaves = [mg.tensor(np.full(len(NODES), value), requires_grad=True) for value in (m, log_variance)]
    z = Normal(leaves[0], log_variance=leaves[1]).rsample(rng=Quadrature())
    _, gradient = mg.grad(mg.sum(quadratic(z, *abc)), leaves)
    assert WEIGHTS @ gradient.data == pytest.approx(abc[0] * math.exp(log_variance), rel=1e-9, abs=1e-9)
