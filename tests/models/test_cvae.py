"""The conditional VAE: bounds against a linear model whose likelihood is exact, the terms against formulas, what is hidden, bad input."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import minigen as mg
from minigen import nn, ops
from minigen.data import conceal, fill_in, hidden_quadrants
from minigen.models import CVAE, IndependentPixels, Together, mlp_cvae, mlp_independent_pixels, pixel_likelihood
from minigen.models.cvae import PairMLP
from minigen.models.likelihoods import GaussianLikelihood
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck

SIZE = (2, 2, 1)


class Linear(nn.Module):
    """c -> c A + b, in float64."""

    def __init__(self, weight, bias):
        self.weight, self.bias = nn.Parameter(np.asarray(weight)), nn.Parameter(np.asarray(bias))

    def forward(self, c):
        return ops.linear(c, self.weight, self.bias)


class PairLinear(nn.Module):
    """(a, c) -> a W + c V, in float64."""

    def __init__(self, first, second, bias):
        self.first, self.second, self.bias = (nn.Parameter(np.asarray(array)) for array in (first, second, bias))

    def forward(self, a, c):
        return ops.linear(a, self.first, self.bias) + ops.matmul(c, self.second)


def linear_gaussian(seed=0, scale=0.7, latent=2, condition=3, optimal=False):
    """y = z W + c V + b + s e with z ~ N(c A + a, diag t^2): p(y|c) is normal. Return the CVAE and its arrays."""
    rng = np.random.default_rng(seed)
    w, v, b = rng.normal(size=(latent, 4)), rng.normal(size=(condition, 4)), rng.normal(size=4)
    if optimal:  # rows of W at right angles, so that the posterior's covariance is diagonal
        w = np.linalg.qr(rng.normal(size=(4, latent)))[0].T * np.array([[1.5], [0.5]])
    a, log_variance = rng.normal(size=(condition, latent)), rng.normal(size=latent) * 0.3
    prior = Linear(np.hstack([a, np.zeros((condition, latent))]), np.concatenate([np.zeros(latent), log_variance]))
    # q = p(z|y, c): precision P = diag 1/t^2 + W W^T / s^2, mean P^-1 (c A / t^2 + (y - c V - b) W^T / s^2)
    precision = np.diag(np.exp(-log_variance)) + w @ w.T / scale**2
    gain = w.T / scale**2 @ np.linalg.inv(precision)  # (4, latent)
    from_c = a * np.exp(-log_variance) @ np.linalg.inv(precision) - v @ gain
    recognition = PairLinear(
        np.hstack([gain, np.zeros((4, latent))]),
        np.hstack([from_c, np.zeros((condition, latent))]),
        np.concatenate([-b @ gain, -np.log(np.diagonal(precision))]),
    )
    likelihood = GaussianLikelihood(scale=scale)
    likelihood.log_variance = nn.Buffer(np.array([2 * math.log(scale)]))
    model = CVAE(recognition, PairLinear(w, v, b), size=SIZE, latent=latent, likelihood=likelihood, prior=prior)

    def exact(y, c):
        covariance = w.T @ np.diag(np.exp(log_variance)) @ w + scale**2 * np.eye(4)
        means = c @ a @ w + c @ v + b
        return np.array(
            [multivariate_normal.logpdf(row.ravel(), m, covariance) for row, m in zip(y, means, strict=True)]
        )

    return model, exact


def examples(n=5, condition=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *SIZE)), rng.normal(size=(n, condition))


def small(rng=None, **settings):
    return mlp_cvae(size=(4, 4, 1), condition=16, hidden=(12,), latent=3, rng=rng or Generator(0), **settings)


def quadrant_batch(n=6, seed=3):
    y = (np.random.default_rng(seed).uniform(size=(n, 4, 4, 1)) < 0.5).astype("float32")
    hidden = hidden_quadrants((4, 4, 1), visible=1)
    return y, conceal(y, hidden), hidden


def values(tensor):
    return tensor.data


# ------------------------------------------------------------------------------------------------- against exact likelihoods


def test_with_the_true_posterior_every_weight_is_the_exact_likelihood():
    model, exact = linear_gaussian(optimal=True)
    y, c = examples()
    with mg.no_grad():
        log_w = values(model.log_weights((y, c), 7, rng=Generator(0)))
    assert log_w.shape == (7, 5)
    np.testing.assert_allclose(log_w, np.tile(exact(y, c), (7, 1)), rtol=1e-9)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_bound_is_below_the_exact_likelihood_and_rises_with_k_towards_it(seed):
    model, exact = linear_gaussian(seed, scale=1.5)  # its q has no correlations, and the posterior has some
    y, c = examples(seed=seed)
    with mg.no_grad():
        bound = model.bound((y, c), draws=400, rng=Generator(seed))
        log_w = values(model.log_weights((y, c), 6_000, rng=Generator(seed + 1)))  # (k, N)
    truth = exact(y, c).mean()
    levels = [(logsumexp(log_w.reshape(-1, k, 5), axis=1) - math.log(k)).mean() for k in (1, 10, 100, 6_000)]
    elbo = values(bound.log_likelihood - bound.divergence).mean()
    assert elbo == pytest.approx(levels[0], abs=0.15)
    assert all(below <= above + 1e-12 for below, above in pairwise(levels))
    assert levels[-1] == pytest.approx(truth, abs=0.03)
    assert elbo < truth + 0.1


def test_draws_from_the_prior_average_to_the_exact_likelihood():
    model, exact = linear_gaussian(scale=1.5)
    y, c = examples()
    with mg.no_grad():
        log_p = values(model.prior_log_likelihoods((y, c), 40_000, rng=Generator(0)))
    np.testing.assert_allclose(logsumexp(log_p, axis=0) - math.log(40_000), exact(y, c), atol=0.1)


def test_the_terms_are_those_of_the_equations():
    model, _ = linear_gaussian()
    y, c = examples()
    p, q = model.prior(c), model.posterior(y, c)
    with mg.no_grad():
        bound = model.bound((y, c), rng=Generator(4))
    z = values(q.rsample(1, rng=Generator(4)))[0]
    w, v, b = (values(part) for part in (model.decoder.first, model.decoder.second, model.decoder.bias))
    expected = norm.logpdf(y.reshape(5, 4), z @ w + c @ v + b, 0.7).sum(axis=1)
    np.testing.assert_allclose(values(bound.log_likelihood), expected, rtol=1e-10)
    m, s, n, t = (values(part) for part in (q.mean, q.scale, p.mean, p.scale))
    divergences = np.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
    np.testing.assert_allclose(values(bound.unit_divergences), divergences, rtol=1e-9)
    np.testing.assert_allclose(values(bound.divergence), divergences.sum(axis=1), rtol=1e-9)


def test_where_the_posterior_is_the_prior_nothing_is_paid():
    model, _ = linear_gaussian()
    model.posterior = lambda y, c: model.prior(c)
    y, c = examples()
    with mg.no_grad():
        bound = model.bound((y, c), rng=Generator(0))
        log_w, log_p = (f((y, c), 3, rng=Generator(0)) for f in (model.log_weights, model.prior_log_likelihoods))
    np.testing.assert_allclose(values(bound.divergence), 0.0, atol=1e-12)
    np.testing.assert_allclose(values(log_w), values(log_p), rtol=1e-12)


def test_without_a_conditional_prior_it_is_standard():
    model = small(conditional_prior=False)
    p = model.prior(np.zeros((6, 16), "float32"))
    assert p.batch_shape == (6, 3)
    assert not values(p.mean).any()
    assert (values(p.scale) == 1).all()


# ---------------------------------------------------------------------------------------------------- the objective


def test_the_loss_is_minus_the_mean_bound_over_l_draws():
    model, batch = small(samples=3), quadrant_batch()
    loss, terms = model.loss(batch, rng=Generator(5))
    bound = model.bound(batch, draws=3, rng=Generator(5))
    assert loss.item() == pytest.approx(-values(bound.log_likelihood - bound.divergence).mean(), rel=1e-6)
    assert terms["elbo"].item() == pytest.approx(terms["log_likelihood"].item() - terms["divergence"].item(), rel=1e-6)
    singles = [small().bound(batch, rng=Generator(seed)) for seed in range(3)]
    assert len({bound.log_likelihood.data[0] for bound in singles}) == 3  # another draw, another value
    assert len({bound.divergence.data[0] for bound in singles}) == 1  # which has a closed form


@settings(max_examples=10)
@given(alpha=st.floats(0.0, 0.99))
def test_the_hybrid_objective_is_a_mean_of_both(alpha):
    loss, terms = small(alpha=alpha).loss(quadrant_batch(), rng=Generator(5))
    expected = alpha * terms["elbo"].item() + (1 - alpha) * terms["prediction"].item()
    assert loss.item() == pytest.approx(-expected, rel=1e-5)


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.5, "samples": 2}, {"likelihood": "gaussian-pixel"}])
def test_gradients_of_the_loss(settings):
    model = small(**settings)
    y, _, hidden = (array.astype("float64") for array in quadrant_batch(n=2))
    c = np.random.default_rng(7).normal(size=(2, 16))
    names = [name for name in model.named_parameters() if name.endswith("bias") or name == "decoder.first.weight"]
    parameters = model.named_parameters()
    for parameter in model.parameters():
        parameter.data = parameter.data.astype("float64")

    def loss(*arrays):
        for name, array in zip(names, arrays, strict=True):
            owner = model
            *path, last = name.split(".")
            for part in path:
                owner = owner[int(part)] if isinstance(owner, list) else getattr(owner, part)
            setattr(owner, last, array)
        return model.loss((y, c, hidden), rng=Generator(1))[0]

    gradcheck(loss, [parameters[name].data for name in names], order=1, tolerance=1e-5)


def test_every_parameter_gets_a_gradient():
    model = small()
    model.loss(quadrant_batch(), rng=Generator(0))[0].backward()
    for name, parameter in model.named_parameters().items():
        assert np.abs(parameter.grad.data).max() > 0, name


# -------------------------------------------------------------------------------------------------------- what is hidden


def test_only_hidden_pixels_count():
    model, independent = small(), mlp_independent_pixels(size=(4, 4, 1), condition=16, hidden=(12,), rng=Generator(1))
    y, c, hidden = quadrant_batch()
    z = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    model.posterior = lambda y, c: mg.distributions.Normal(mg.tensor(z), log_variance=mg.tensor(np.full_like(z, -40.0)))
    with mg.no_grad():
        log_p = values(model.decode(mg.tensor(z), c).log_prob(y))
        bound = model.bound((y, c, hidden), rng=Generator(0))
        whole = model.bound((y, c), rng=Generator(0))
        np.testing.assert_allclose(values(bound.log_likelihood), (log_p * hidden).sum(axis=(1, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(values(whole.log_likelihood), log_p.sum(axis=(1, 2, 3)), rtol=1e-5)
        flipped = np.where(hidden == 1, y, 1 - y)
        assert np.array_equal(
            values(model.bound((flipped, c, hidden), rng=Generator(0)).log_likelihood), values(bound.log_likelihood)
        )
        log_p = values(independent.likelihood(independent(c)).log_prob(y))
        np.testing.assert_allclose(
            values(independent.log_prob((y, c, hidden))), (log_p * hidden).sum(axis=(1, 2, 3)), rtol=1e-5
        )


def test_the_prediction_does_not_see_what_is_hidden():
    y, c, hidden = quadrant_batch()
    assert (c[np.broadcast_to(hidden, c.shape) == 1] == 0).all()
    np.testing.assert_array_equal(c, conceal(np.where(hidden == 1, 1 - y, y), hidden))
    visible = np.broadcast_to(hidden, y.shape) == 0
    np.testing.assert_array_equal((c[visible] + 1) / 2, y[visible])


@pytest.mark.parametrize(("visible", "count"), [(1, 12), (2, 8), (3, 4)])
def test_quadrants_of_four_by_four_pixels(visible, count):
    hidden = hidden_quadrants((4, 4, 1), visible=visible)[0, ..., 0]
    assert hidden.sum() == count
    assert hidden[0, 3] == 1  # the upper right one is always hidden
    assert hidden[3, 0] == 0  # the lower left one never
    assert (hidden[0, 0], hidden[3, 3]) == (visible < 2, visible < 3)


def test_no_visible_quadrant_hides_the_whole_image():
    np.testing.assert_array_equal(hidden_quadrants((4, 6, 1), visible=0), np.ones((1, 4, 6, 1)))


def test_what_is_filled_in_replaces_the_hidden_pixels_only():
    rng = np.random.default_rng(0)
    y, parts, hidden = (
        rng.normal(size=(3, 4, 4, 1)),
        rng.normal(size=(3, 4, 4, 1)),
        hidden_quadrants((4, 4, 1), visible=1),
    )
    filled, mask = fill_in(y, hidden, parts), np.broadcast_to(hidden, y.shape) == 1
    np.testing.assert_array_equal(filled[mask], parts[mask])
    np.testing.assert_array_equal(filled[~mask], y[~mask])


def test_another_number_of_quadrants_is_refused():
    with pytest.raises(ValueError, match="visible = 4, expected 0, 1, 2 or 3"):
        hidden_quadrants((4, 4, 1), visible=4)


# ---------------------------------------------------------------------------------------------------------- networks, images


def test_the_pair_network_is_one_of_both_vectors_side_by_side():
    net = PairMLP(2, 3, sizes=(4, 5), rng=Generator(0))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 7, 2)).astype("float32"), rng.normal(size=(7, 3)).astype("float32")
    weight = np.concatenate([net.first.weight.data, net.second.weight.data])
    both = np.concatenate([a, np.broadcast_to(b, (6, 7, 3))], axis=2)
    hidden = np.maximum(both @ weight + net.first.bias.data, 0)
    last = net.rest[1]
    np.testing.assert_allclose(net(a, b).data, hidden @ last.weight.data + last.bias.data, rtol=1e-4, atol=1e-5)


def test_samples_have_the_mean_of_the_model():
    model, (_, c, _) = small(), quadrant_batch()
    drawn = model.sample(4000, c, rng=Generator(0))
    assert drawn.shape == (4000, 6, 4, 4, 1)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    z = model.prior(c).sample(4000, rng=Generator(1))
    np.testing.assert_allclose(drawn.mean(axis=0), model.mean_images(mg.tensor(z), c).mean(axis=0), atol=0.05)


def test_labels_as_conditions_and_bits_that_depend_on_them_are_learnt():
    """Two classes, each with two equally likely images: one bit is left when the class is known, log 2 nats."""
    images = np.zeros((4, 4, 4, 1), "float32")
    for i in range(4):
        images[i, i] = 1.0
    labels = np.array([0, 0, 1, 1])
    y, c = np.tile(images, (8, 1, 1, 1)), np.tile(np.eye(2, dtype="float32")[labels], (8, 1))
    cvae = mlp_cvae(size=(4, 4, 1), condition=2, hidden=(32,), latent=2, rng=Generator(0))
    independent = mlp_independent_pixels(size=(4, 4, 1), condition=2, hidden=(32,), rng=Generator(0))
    both = Together(cvae=cvae, independent=independent)
    optimizer, rng = Adam(both, learning_rate=1e-2), Generator(1)
    for _ in range(300):
        optimizer.zero_grad()
        both.loss((y, c), rng=rng)[0].backward()
        optimizer.step()
    with mg.no_grad():
        log_w = values(cvae.log_weights((y, c), 200, rng=rng))
        guess = values(independent.log_prob((y, c))).mean()
    assert (logsumexp(log_w, axis=0) - math.log(200)).mean() == pytest.approx(-math.log(2), abs=0.3)
    assert guess == pytest.approx(-8 * math.log(2), abs=0.1)  # eight pixels, each 1 in every other image


def test_together_each_learns_as_it_would_alone():
    batch, rng = quadrant_batch(), Generator(9)
    model, independent = small(), mlp_independent_pixels(size=(4, 4, 1), condition=16, hidden=(12,), rng=Generator(1))
    loss, terms = Together(a=model, b=independent).loss(batch, rng=rng)
    loss.backward()
    found = {name: parameter.grad.data.copy() for name, parameter in model.named_parameters().items()}
    for parameter in model.parameters():
        parameter.grad = None
    alone, own_terms = model.loss(batch, rng=Generator(9))
    alone.backward()
    for name, parameter in model.named_parameters().items():
        np.testing.assert_array_equal(parameter.grad.data, found[name], err_msg=name)
    assert terms["a_elbo"].item() == own_terms["elbo"].item()
    assert terms["b_loss"].item() == pytest.approx(loss.item() - alone.item(), rel=1e-5)


def test_it_says_the_same_on_another_device(gpu_or_double):
    model, batch = small(), quadrant_batch()
    expected = model.bound(batch, rng=Generator(2)), model.sample(2, batch[1], rng=Generator(3))
    model.to(gpu_or_double)
    moved = tuple(mg.tensor(part, device=gpu_or_double) for part in batch)
    found = model.bound(moved, rng=Generator(2, device=gpu_or_double))
    for a, b in zip(found, expected[0], strict=True):
        np.testing.assert_allclose(a.detach().to("cpu").numpy(), b.data, rtol=1e-4, atol=1e-4)
    drawn = model.sample(2, moved[1], rng=Generator(3, device=gpu_or_double))
    assert mg.tensor(drawn).to("cpu").shape == expected[1].shape
    assert small(conditional_prior=False).to(gpu_or_double).prior(moved[1]).mean.device == gpu_or_double


# -------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("settings", [{"samples": 0}, {"latent": 0}, {"alpha": 1.5}, {"alpha": -0.1}])
def test_settings_out_of_range_are_refused(settings):
    arguments = {"size": SIZE, "latent": 2, "likelihood": pixel_likelihood("bernoulli")} | settings
    with pytest.raises(ValueError, match=r"CVAE: samples = .* must be at least 1, and alpha"):
        CVAE(nn.Sequential(), nn.Sequential(), **arguments)


@pytest.mark.parametrize("model", [small(), mlp_independent_pixels(size=(4, 4, 1), condition=16, rng=Generator(0))])
def test_batches_that_do_not_fit_are_refused(model):
    name = type(model).__name__
    y, c, hidden = quadrant_batch()
    for wrong in ((y[:, :3], c, hidden), (y, c[:4], hidden)):
        with pytest.raises(ValueError, match=rf"{name}: images of shape .* expected \(N, H, W, C\) = \(N, 4, 4, 1\)"):
            model.loss(wrong, rng=Generator(0))
    with pytest.raises(ValueError, match=rf"{name}: hidden pixels of shape \(1, 3, 4, 1\)"):
        model.loss((y, c, hidden[:, :3]), rng=Generator(0))
    with pytest.raises(ValueError, match=rf"{name}: pixels from 0 to 255"):
        model.loss((255 * y, c, hidden), rng=Generator(0))


def test_the_baseline_gives_each_pixel_its_mean():
    layer = nn.Linear(3, 16, rng=Generator(0))
    model = IndependentPixels(layer, size=(4, 4, 1), likelihood=pixel_likelihood("bernoulli"))
    c = np.eye(3, dtype="float32")
    logits = layer.weight.data + layer.bias.data
    np.testing.assert_allclose(model.mean_images(c).reshape(3, 16), 1 / (1 + np.exp(-logits)), rtol=1e-5)
