"""KL divergences: zero only for equals, equal to the integral that defines them, and to averages over draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from integration import integral
from scipy import special, stats

import minigen as mg
from minigen.distributions import Bernoulli, Categorical, GumbelSoftmax, Laplace, Normal, kl_divergence
from minigen.distributions.closed_form_kl import CLOSED_FORMS, normal_kl
from minigen.random import Generator

locations, scales = st.floats(-3.0, 3.0), st.floats(0.3, 3.0)
vectors = arrays(np.float64, 4, elements=st.floats(-5.0, 5.0))

families = {
    "Normal": st.builds(lambda m, s: Normal(m, scale=s), locations, scales),
    "Laplace": st.builds(lambda m, s: Laplace(m, scale=s), locations, scales),
    "Bernoulli": st.builds(lambda logit: Bernoulli(logits=logit), st.floats(-8.0, 8.0)),
    "Categorical": st.builds(lambda logits: Categorical(logits=logits), vectors),
}
every_family = pytest.mark.parametrize("family", families)


def signature(p):
    """What tells two distributions of one family apart."""
    if isinstance(p, Categorical):
        return special.log_softmax(p.logits)
    return np.array([p.logits]) if isinstance(p, Bernoulli) else np.array([p.mean, p.scale])


@every_family
@given(data=st.data())
def test_not_negative_and_zero_only_for_equals(family, data):
    p, q = data.draw(families[family]), data.draw(families[family])
    assert kl_divergence(p, p) == 0.0
    assert kl_divergence(p, q) >= -1e-14
    if np.abs(signature(p) - signature(q)).max() > 0.01:
        assert kl_divergence(p, q) > 0.0


@pytest.mark.parametrize("family", ["Normal", "Laplace"])
@given(data=st.data())
def test_of_densities_by_quadrature(family, data):
    p, q = data.draw(families[family]), data.draw(families[family])
    integrand = lambda x: math.exp(p.log_prob(x)) * (p.log_prob(x) - q.log_prob(x))
    assert kl_divergence(p, q) == pytest.approx(integral(integrand, p.mean, q.mean), rel=1e-7, abs=1e-8)


@given(p=st.floats(-20.0, 20.0), q=st.floats(-20.0, 20.0))
def test_of_bits_by_enumeration(p, q):
    values = np.array([0.0, 1.0])
    p, q = Bernoulli(logits=p), Bernoulli(logits=q)
    exact = np.exp(p.log_prob(values)) @ (p.log_prob(values) - q.log_prob(values))
    assert kl_divergence(p, q) == pytest.approx(exact, rel=1e-10, abs=1e-12)


@given(p=vectors, q=vectors)
def test_of_categories_by_enumeration(p, q):
    exact = stats.entropy(special.softmax(p), special.softmax(q))
    assert kl_divergence(Categorical(logits=p), Categorical(logits=q)) == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (Normal(np.array([0.5, -1.0]), scale=np.array([0.7, 2.0])), Normal(0.0, scale=1.0)),
        (Laplace(np.array([0.5, -1.0]), scale=np.array([0.7, 2.0])), Laplace(0.0, scale=1.5)),
        (Bernoulli(logits=np.array([0.5, -2.0])), Bernoulli(logits=0.3)),
        (
            Categorical(logits=np.array([[0.0, 1.0, 2.0], [1.0, -1.0, 0.0]])),
            Categorical(logits=np.array([[0.5, 0.0, 0.0], [0.0, 0.0, -2.0]])),
        ),
    ],
    ids=list(families),
)
def test_agrees_with_draws(p, q):
    x = p.sample(20_000, rng=Generator(0))  # (20000, 2)
    ratio = p.log_prob(x) - q.log_prob(x)
    error = ratio.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(ratio.mean(axis=0) - kl_divergence(p, q)) < 4 * error).all()


@given(mean=locations, log_variance=st.floats(-6.0, 3.0))
def test_to_the_standard_normal_is_the_encoders_formula(mean, log_variance):
    # Kingma & Welling 2014, appendix B
    exact = -0.5 * (1 + log_variance - mean**2 - math.exp(log_variance))
    obtained = kl_divergence(Normal(mean, log_variance=log_variance), Normal(0.0, scale=1.0))
    assert obtained == pytest.approx(exact, rel=1e-12, abs=1e-14)
    assert normal_kl(log_variance, mean) == pytest.approx(exact, rel=1e-12, abs=1e-14)


def test_nearly_equal_normals_keep_their_digits():
    # KL = r^2 + O(r^3) for scales that differ by a factor e^r; a naive difference of ones would leave noise of 1e-16.
    r = 1e-6
    obtained = kl_divergence(Normal(0.0, log_variance=2 * r), Normal(0.0, log_variance=0.0))
    assert obtained == pytest.approx(r * r, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype):
    p = mg.tensor(np.array([1e4, 1e4, -1e4, -1e4], dtype), requires_grad=True)
    q = mg.tensor(np.array([1e4, -1e4, 1e4, -1e4], dtype), requires_grad=True)
    divergence = kl_divergence(Bernoulli(logits=p), Bernoulli(logits=q))
    assert divergence.data.tolist() == [0.0, 1e4, 1e4, 0.0]
    by_p, by_q = mg.grad(mg.sum(divergence), [p, q])
    assert by_p.data.tolist() == [0.0] * 4  # the derivative of a certain bit's probability is 0
    assert by_q.data.tolist() == [0.0, -1.0, 1.0, 0.0]

    certain, other = (
        mg.tensor(np.array(row, dtype), requires_grad=True) for row in ([1e4, -1e4, 0.0], [-1e4, 0.0, 1e4])
    )
    divergence = kl_divergence(Categorical(logits=certain), Categorical(logits=other))
    assert divergence.item() == 2e4
    by_p, by_q = mg.grad(divergence, [certain, other])
    assert by_p.data.tolist() == [0.0] * 3
    assert by_q.data.tolist() == [-1.0, 0.0, 1.0]


def test_impossible_categories():
    p, q = np.array([0.0, -np.inf, 0.0]), np.array([0.0, 0.0, 0.0])
    assert kl_divergence(Categorical(logits=p), Categorical(logits=p)) == 0.0
    assert kl_divergence(Categorical(logits=p), Categorical(logits=q)) == pytest.approx(math.log(1.5))
    assert kl_divergence(Categorical(logits=q), Categorical(logits=p)) == math.inf


def test_batches_broadcast():
    p = Normal(np.zeros((4, 1)), scale=np.ones(3))
    assert kl_divergence(p, Normal(np.zeros((2, 1, 1)), scale=2.0)).shape == (2, 4, 3)
    assert kl_divergence(Normal(0.0, scale=1.0), p).shape == (4, 3)
    one, many = Categorical(logits=np.zeros(5)), Categorical(logits=np.zeros((2, 3, 5)))
    assert kl_divergence(one, many).shape == kl_divergence(many, one).shape == (2, 3)


def test_pairs_without_a_closed_form_are_refused_with_words():
    with pytest.raises(
        TypeError, match=r"no closed form here for Normal/Laplace, only for Normal/Normal, Laplace/Laplace, .*"
    ):
        kl_divergence(Normal(0.0, scale=1.0), Laplace(0.0, scale=1.0))
    relaxed = GumbelSoftmax(logits=np.zeros(2), temperature=1.0)
    with pytest.raises(TypeError, match="no closed form here for GumbelSoftmax/GumbelSoftmax"):
        kl_divergence(relaxed, relaxed)
    with pytest.raises(ValueError, match="p has 3 categories, q has 1"):
        kl_divergence(Categorical(logits=np.zeros(3)), Categorical(logits=np.zeros(1)))


def test_a_new_pair_can_be_added(monkeypatch):
    # KL(Laplace(0, s) || N(0, t^2)) = -1 - log 2s + log(2 pi t^2) / 2 + s^2 / t^2
    def closed_form(p, q):
        return -1 - math.log(2 * p.scale) + 0.5 * math.log(2 * math.pi * q.variance) + p.scale**2 / q.variance

    monkeypatch.setitem(CLOSED_FORMS, (Laplace, Normal), closed_form)
    p, q = Laplace(0.0, scale=0.8), Normal(0.0, scale=1.3)
    integrand = lambda x: math.exp(p.log_prob(x)) * (p.log_prob(x) - q.log_prob(x))
    assert kl_divergence(p, q) == pytest.approx(integral(integrand, 0.0), abs=1e-8)
