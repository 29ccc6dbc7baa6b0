"""VAEs: normal posteriors against scipy's, the bounds against brute force and against a known likelihood, and that each kind learns.

With a linear decoder and normal noise everything is known (Tipping & Bishop 1999, equations 6 to 12):

    p(x|z) = N(W z + b, s^2 I)    =>    p(x) = N(b, W W^T + s^2 I),    p(z|x) = N(M^-1 W^T (x - b) / s^2, M^-1),    M = I + W^T W / s^2
"""

import itertools
import math

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logsumexp
from scipy.stats import bernoulli, multivariate_normal, norm

import minigen as mg
from minigen import nn
from minigen.data import binarize, load_digits
from minigen.models import LIKELIHOODS, VAE, Posterior, conv_vae, mlp_vae, pixel_likelihood, posterior_table
from minigen.models.vae import posterior_size
from minigen.optim import Adam
from minigen.random import Generator
from minigen.testing import gradcheck

SCALE = 0.4  # of normal noise of pixels


class Fixed:
    """In place of a generator: always the same normal noise."""

    def __init__(self, noise):
        self.noise = noise

    def normal(self, shape, *, dtype):
        assert shape == self.noise.shape
        return self.noise.astype(dtype)


def numbers_of_posteriors(n, latent, *, full, seed):
    return 0.7 * np.random.default_rng(seed).normal(size=(n, posterior_size(latent, full_covariance=full)))


def by_hand(parameters, latent):
    """Means, (N, d), and the factors L, (N, d, d)."""
    factors = np.zeros((len(parameters), latent, latent))
    for factor, row in zip(factors, parameters, strict=True):
        np.fill_diagonal(factor, np.exp(0.5 * row[latent : 2 * latent]))
        if len(row) > 2 * latent:
            factor[np.tril_indices(latent, -1)] = row[2 * latent :]
    return parameters[:, :latent], factors


def double(model):
    """Make a model's parameters and buffers float64."""
    for module in model.named_modules().values():
        for name, value in vars(module).items():
            if isinstance(value, mg.Tensor):
                setattr(module, name, type(value)(value.data.astype(np.float64)))
    return model


# ------------------------------------------------------------------------------------------------------------- the posterior

sizes = {"n": st.integers(1, 3), "latent": st.integers(1, 4), "full": st.booleans(), "seed": st.integers(0, 2**32)}


@settings(max_examples=20)
@given(**sizes)
def test_a_draw_is_the_mean_and_a_factor_of_the_covariance_times_noise(n, latent, full, seed):
    # For noise 0 and e_j the draws are the mean, and the mean and column j of L.
    parameters = numbers_of_posteriors(n, latent, full=full, seed=seed)
    means, factors = by_hand(parameters, latent)
    noise = np.zeros((latent + 1, n, latent))
    noise[1:] = np.eye(latent)[:, None]
    z, _ = Posterior(parameters, latent=latent).rsample(latent + 1, rng=Fixed(noise))
    np.testing.assert_allclose(z[0], means, rtol=1e-12)
    np.testing.assert_allclose(z[1:] - z[0], factors.transpose(2, 0, 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_draws_have_the_mean_and_the_covariance(full):
    k, parameters = 20_000, numbers_of_posteriors(2, 3, full=full, seed=1).astype(np.float32)
    z, _ = Posterior(parameters, latent=3).rsample(k, rng=Generator(0))
    assert z.dtype == np.float32
    for draws, mean, factor in zip(z.transpose(1, 0, 2), *by_hand(parameters, 3), strict=True):
        covariance = factor @ factor.T
        variances = covariance.diagonal()
        assert (abs(draws.mean(axis=0) - mean) < 5 * np.sqrt(variances / k)).all()
        # Wishart: the variance of an entry of the sample covariance is (S_ij^2 + S_ii S_jj) / k.
        error = np.sqrt((covariance**2 + np.outer(variances, variances)) / k)
        assert (abs(np.cov(draws.T) - covariance) < 5 * error).all()


@settings(max_examples=20)
@given(**sizes)
def test_log_q_is_the_density_at_the_draw(n, latent, full, seed):
    parameters = numbers_of_posteriors(n, latent, full=full, seed=seed)
    z, log_q = Posterior(parameters, latent=latent).rsample(5, rng=Generator(seed))
    assert log_q.shape == (5, n)
    for i, (mean, factor) in enumerate(zip(*by_hand(parameters, latent), strict=True)):
        np.testing.assert_allclose(log_q[:, i], multivariate_normal(mean, factor @ factor.T).logpdf(z[:, i]), rtol=1e-6)


@settings(max_examples=20)
@given(**sizes)
def test_the_divergence_is_that_of_normal_densities_and_by_unit_that_of_the_marginals(n, latent, full, seed):
    parameters = numbers_of_posteriors(n, latent, full=full, seed=seed)
    q = Posterior(parameters, latent=latent)
    divergence, by_unit = q.divergence(), q.unit_divergences()
    assert (divergence.shape, by_unit.shape) == ((n,), (n, latent))
    for i, (mean, factor) in enumerate(zip(*by_hand(parameters, latent), strict=True)):
        covariance = factor @ factor.T
        whole = 0.5 * (np.trace(covariance) + mean @ mean - latent - np.linalg.slogdet(covariance)[1])
        assert divergence[i] == pytest.approx(whole, rel=1e-9, abs=1e-12)
        variance = covariance.diagonal()
        np.testing.assert_allclose(by_unit[i], 0.5 * (variance + mean**2 - 1 - np.log(variance)), rtol=1e-9, atol=1e-12)
    if full:  # what the latents say of each other is counted in the whole only
        assert (by_unit.sum(axis=1) <= divergence + 1e-12).all()
    else:
        np.testing.assert_allclose(by_unit.sum(axis=1), divergence, rtol=1e-9)


def test_a_posterior_near_the_prior_keeps_the_digits_of_its_divergence():
    r = 1e-7  # KL = r^2 + O(r^3); e^2r - 1 by subtraction would be off by 1e-16
    q = Posterior(np.array([[0.0, 2 * r]]), latent=1)
    assert (q.divergence()[0], q.unit_divergences()[0, 0]) == pytest.approx((r * r, r * r), rel=1e-4)


@pytest.mark.parametrize("full", [False, True])
def test_the_divergence_is_the_mean_of_log_q_minus_log_p(full):
    q = Posterior(numbers_of_posteriors(3, 3, full=full, seed=4), latent=3)
    z, log_q = q.rsample(50_000, rng=Generator(0))
    difference = log_q - norm.logpdf(z).sum(axis=-1)
    error = difference.std(axis=0) / math.sqrt(len(z))
    assert (error < 0.03).all()
    assert (abs(difference.mean(axis=0) - q.divergence()) < 4 * error).all()


@pytest.mark.parametrize("full", [False, True])
def test_gradients_of_the_posterior_of_both_orders(full):
    noise = np.random.default_rng(0).normal(size=(2, 2, 3))

    def everything(parameters):
        q = Posterior(parameters, latent=3)
        return (*q.rsample(2, rng=Fixed(noise)), q.divergence(), q.unit_divergences())

    gradcheck(everything, [numbers_of_posteriors(2, 3, full=full, seed=2)])


def test_a_wrong_number_of_parameters_is_refused():
    for shape in ((5, 7), (5, 3), (6,), (2, 5, 6)):
        message = (
            rf"shape \({shape[0]}.*expected \(N, 6\) for a diagonal covariance of 3 latents or \(N, 9\) for a full"
        )
        with pytest.raises(ValueError, match=message):
            Posterior(np.zeros(shape), latent=3)


# ----------------------------------------------------------------------------------------------------------------- the bounds


def tiny_vae(likelihood="bernoulli", *, full=False, **settings):
    """A VAE of 2 x 1 pixels and 2 latents, in float64."""
    vae = mlp_vae(
        size=(2, 1, 1), hidden=(3,), latent=2, likelihood=likelihood, full_covariance=full, rng=Generator(3), **settings
    )
    vae.likelihood = pixel_likelihood(likelihood, scale=SCALE)
    return double(vae)


def tiny_images(likelihood="bernoulli", n=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n, 2, 1, 1)
    return rng.integers(0, 2, shape).astype(np.float64) if likelihood == "bernoulli" else rng.uniform(size=shape)


def log_densities(vae, likelihood, x, noise):
    """log p(x|z), log p(z) and log q(z|x), (k, N) each, by scipy, one draw after the other."""
    with mg.no_grad():
        means, factors = by_hand(vae.encoder(x).data, vae.latent)
        found = np.zeros((3, *noise.shape[:2]))
        for i, n in np.ndindex(noise.shape[:2]):
            z = means[n] + factors[n] @ noise[i, n]
            y = vae.decoder(z[None]).data[0]
            if likelihood == "bernoulli":
                of_pixels = bernoulli.logpmf(x[n], expit(y))
            elif likelihood == "gaussian-pixel":
                of_pixels = norm.logpdf(x[n], y[..., :1], np.sqrt(1e-4 + np.exp(y[..., 1:])))
            else:
                of_pixels = norm.logpdf(x[n], y, SCALE)
            covariance = factors[n] @ factors[n].T
            found[:, i, n] = of_pixels.sum(), norm.logpdf(z).sum(), multivariate_normal(means[n], covariance).logpdf(z)
    return found


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_terms_of_the_bounds_are_the_densities_of_scipy(likelihood, full):
    vae, x = tiny_vae(likelihood, full=full), tiny_images(likelihood)
    noise = np.random.default_rng(1).normal(size=(4, 3, 2))
    log_likelihood, log_prior, log_q = log_densities(vae, likelihood, x, noise)
    log_w = vae.log_weights(x, 4, rng=Fixed(noise))
    np.testing.assert_allclose(log_w.data, log_likelihood + log_prior - log_q, rtol=1e-5)

    bound = vae.bound(x, draws=4, rng=Fixed(noise))
    np.testing.assert_allclose(bound.log_likelihood.data, log_likelihood.mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(bound.divergence.data, vae.posterior(x).divergence().data)
    np.testing.assert_array_equal(bound.unit_divergences.data, vae.posterior(x).unit_divergences().data)

    loss, terms = vae.loss(x, rng=Fixed(noise[:1]))
    assert list(terms) == ["log_likelihood", "divergence", "elbo", "loss"]
    assert terms["log_likelihood"].item() == pytest.approx(log_likelihood[0].mean(), rel=1e-5)
    assert terms["divergence"].item() == pytest.approx(bound.divergence.data.mean())
    assert terms["elbo"].item() == pytest.approx(terms["log_likelihood"].item() - terms["divergence"].item())
    assert terms["loss"].item() == loss.item() == pytest.approx(-terms["elbo"].item())

    vae.samples = 4
    loss, terms = vae.loss(x, rng=Fixed(noise))
    assert list(terms) == ["elbo", "loss"]
    weights = log_likelihood + log_prior - log_q
    assert terms["loss"].item() == loss.item() == pytest.approx(math.log(4) - logsumexp(weights, axis=0).mean())
    assert terms["elbo"].item() == pytest.approx(weights.mean())
    assert not any(term.requires_grad for term in terms.values())


def test_beta_weighs_the_divergence_and_the_elbo_stays_the_true_one():
    x, noise = tiny_images(), np.random.default_rng(1).normal(size=(1, 3, 2))
    _, plain = tiny_vae().loss(x, rng=Fixed(noise))
    for beta in (0.0, 0.25, 4.0):
        loss, terms = tiny_vae(beta=beta).loss(x, rng=Fixed(noise))
        assert loss.item() == pytest.approx(beta * plain["divergence"].item() - plain["log_likelihood"].item())
        assert terms["elbo"].item() == plain["elbo"].item()


@pytest.mark.parametrize("full", [False, True])
def test_free_bits_cost_a_latent_nothing_up_to_lambda(full):
    x, noise = tiny_images(), np.random.default_rng(1).normal(size=(1, 3, 2))
    _, plain = tiny_vae(full=full).loss(x, rng=Fixed(noise))
    by_unit = tiny_vae(full=full).posterior(x).unit_divergences().data.mean(axis=0)
    between = by_unit.mean()
    assert by_unit.min() < between < by_unit.max()
    together = plain["divergence"].item() - by_unit.sum()  # 0 for a diagonal covariance
    assert (together > 1e-3) == full
    for free in (1e-9, between, 10.0):
        loss, terms = tiny_vae(full=full, free_bits=free).loss(x, rng=Fixed(noise))
        expected = np.maximum(by_unit, free).sum() + together - plain["log_likelihood"].item()
        assert loss.item() == pytest.approx(expected, rel=1e-6)
        assert terms["elbo"].item() == plain["elbo"].item()


def test_a_latent_below_lambda_is_pulled_by_the_likelihood_alone():
    x, noise = tiny_images(), np.random.default_rng(1).normal(size=(1, 3, 2))

    def slopes(**settings):
        vae = tiny_vae(**settings)
        vae.loss(x, rng=Fixed(noise))[0].backward()
        return [parameter.grad.data for parameter in vae.encoder.parameters()]

    for free, alone in zip(slopes(free_bits=10.0), slopes(beta=0.0), strict=True):
        np.testing.assert_allclose(free, alone, rtol=1e-9, atol=1e-12)


def with_tensors(model, tensors):
    """Put Tensors in the places of a model's parameters, in order."""
    tensors = iter(tensors)
    for module in model.named_modules().values():
        for name, value in vars(module).items():
            if isinstance(value, nn.Parameter):
                setattr(module, name, next(tensors))
    assert next(tensors, None) is None
    return model


@pytest.mark.parametrize(
    ("likelihood", "full", "settings"),
    [
        ("bernoulli", False, {}),
        ("gaussian", True, {}),
        ("gaussian-pixel", False, {}),
        ("gaussian-learned", True, {}),
        ("gaussian-learned", True, {"samples": 3}),
        ("bernoulli", False, {"beta": 2.0, "free_bits": 0.3}),
    ],
)
def test_gradients_of_the_loss(likelihood, full, settings):
    x = tiny_images(likelihood)
    noise = np.random.default_rng(1).normal(size=(settings.get("samples", 1), 3, 2))

    def loss(*tensors):
        return with_tensors(tiny_vae(likelihood, full=full, **settings), tensors).loss(x, rng=Fixed(noise))[0]

    values = [parameter.data for parameter in tiny_vae(likelihood, full=full).parameters()]
    gradcheck(loss, values, order=2 if likelihood == "gaussian-learned" else 1)


# ---------------------------------------------------------------------------------- a model whose likelihood is known exactly


class LinearGaussian:
    """A VAE of 3 x 1 pixels and 2 latents whose decoder is linear, and its exact densities."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.scale, self.weight, self.offset = 0.5, rng.normal(size=(3, 2)), rng.normal(size=3)
        decoder = nn.Sequential(nn.Linear(2, 3, rng=Generator(0)), nn.Reshape(3, 1, 1))
        decoder.layers[0].weight.data, decoder.layers[0].bias.data = self.weight.T, self.offset
        likelihood = double(pixel_likelihood("gaussian", scale=self.scale))
        precision = np.eye(2) + self.weight.T @ self.weight / self.scale**2  # M
        self.covariance = np.linalg.inv(precision)
        self.gain = self.covariance @ self.weight.T / self.scale**2  # (2, 3)
        self.vae = VAE(self.encoder, decoder, size=(3, 1, 1), latent=2, likelihood=likelihood)

    def images(self, n, seed=1):
        rng = np.random.default_rng(seed)
        z, noise = rng.normal(size=(n, 2)), rng.normal(size=(n, 3))
        return (z @ self.weight.T + self.offset + self.scale * noise).reshape(n, 3, 1, 1)

    def log_prob(self, x):
        covariance = self.weight @ self.weight.T + self.scale**2 * np.eye(3)
        return multivariate_normal(self.offset, covariance).logpdf(x.reshape(-1, 3))

    def means(self, x):
        return (x.reshape(-1, 3) - self.offset) @ self.gain.T

    def encoder(self, x):
        """The numbers of p(z|x) itself, whose covariance is full."""
        factor = np.linalg.cholesky(self.covariance)
        rest = [2 * np.log(factor[0, 0]), 2 * np.log(factor[1, 1]), factor[1, 0]]
        return np.concatenate([self.means(x), np.tile(rest, (len(x), 1))], axis=1)

    def poor_encoder(self, x):
        """A normal q that is too wide, beside the mean, and of diagonal covariance."""
        log_variance = np.log(2.5 * self.covariance.diagonal())
        return np.concatenate([self.means(x) + 0.15, np.tile(log_variance, (len(x), 1))], axis=1)

    def divergence(self, parameters):
        """KL(q(z|x) || p(z|x)) of a poor q, (N,); that of its images differs not at all."""
        spread = np.diag(np.exp(parameters[0, 2:]))
        inverse, shift = np.linalg.inv(self.covariance), np.full(2, 0.15)
        logdets = np.linalg.slogdet(self.covariance)[1] - np.linalg.slogdet(spread)[1]
        return 0.5 * (np.trace(inverse @ spread) + shift @ inverse @ shift - 2 + logdets)


def test_with_the_true_posterior_every_weight_is_the_likelihood():
    # p(x, z) / p(z|x) = p(x), whatever z is.
    model = LinearGaussian()
    x = model.images(5)
    with mg.no_grad():
        log_w = model.vae.log_weights(x, 7, rng=Generator(0)).data
    np.testing.assert_allclose(log_w, np.tile(model.log_prob(x), (7, 1)), rtol=1e-6)


def test_the_elbo_falls_short_of_the_likelihood_by_the_divergence_from_the_true_posterior():
    model = LinearGaussian()
    model.vae.encoder = model.poor_encoder
    x, short = model.images(4), model.divergence(model.poor_encoder(model.images(4)))
    assert short > 0.3
    with mg.no_grad():
        bound = model.vae.bound(np.repeat(x, 500, axis=0), draws=100, rng=Generator(0))
    elbos = (bound.log_likelihood.data - bound.divergence).reshape(4, 500)
    error = elbos.std(axis=1) / math.sqrt(500)
    assert (error < 0.02).all()
    assert (abs(elbos.mean(axis=1) - (model.log_prob(x) - short)) < 4.5 * error).all()


def test_the_bound_rises_with_k_to_the_likelihood():
    model = LinearGaussian()
    model.vae.encoder = model.poor_encoder
    x = model.images(4)
    bounds, errors = [], []
    for k, repeats in ((1, 3000), (4, 1500), (16, 700), (128, 200), (1024, 50)):
        with mg.no_grad():
            log_w = model.vae.log_weights(np.repeat(x, repeats, axis=0), k, rng=Generator(k)).data
        of_groups = logsumexp(log_w, axis=0).reshape(4, repeats).mean(axis=0) - math.log(k)
        bounds.append(of_groups.mean())
        errors.append(of_groups.std() / math.sqrt(repeats))
    for i, j in itertools.pairwise(range(4)):
        assert bounds[j] - bounds[i] > 4 * math.hypot(errors[i], errors[j])
    exact = model.log_prob(x).mean()
    assert max(bounds) < exact + 4 * errors[-1]
    assert exact - bounds[0] > 0.3
    assert abs(bounds[-1] - exact) < 0.01


# ----------------------------------------------------------------------------------------------------------- images and networks


def test_samples_are_drawn_through_the_prior_and_the_decoder():
    vae = mlp_vae(size=(4, 4, 2), hidden=(8,), latent=3, rng=Generator(0))
    images = vae.sample(6, rng=Generator(1))
    assert (images.shape, images.dtype) == ((6, 4, 4, 2), np.float32)
    rng = Generator(1)
    with mg.no_grad():
        p = vae.decode(rng.normal((6, 3)))
    np.testing.assert_array_equal(images, p.sample(rng=rng))
    assert set(np.unique(images)) == {0.0, 1.0}
    z = Generator(2).normal((2, 5, 3))
    means = vae.mean_images(z)
    assert means.shape == (2, 5, 4, 4, 2)
    np.testing.assert_allclose(means[1, 4], expit(vae.decoder(z[1, 4:]).data[0]), rtol=1e-5)


def test_the_mean_of_a_normal_pixel_is_no_graph():
    vae = mlp_vae(size=(4, 4, 1), hidden=(8,), latent=3, likelihood="gaussian-learned", rng=Generator(0))
    assert isinstance(vae.mean_images(np.zeros((2, 3), np.float32)), np.ndarray)
    assert vae.encode(np.zeros((2, 4, 4, 1), np.float32)).shape == (2, 3)


def test_the_networks_are_those_of_the_paper_by_default():
    # Burda et al. 2016, section 5: 784-200-200-50 and back, with tanh.
    vae = mlp_vae(size=(28, 28, 1), rng=Generator(0))
    weights = [p.shape for name, p in vae.named_parameters().items() if name.endswith("weight")]
    assert weights == [(784, 200), (200, 200), (200, 100), (50, 200), (200, 200), (200, 784)]
    full = mlp_vae(size=(28, 28, 1), full_covariance=True, rng=Generator(0))
    assert full.encoder.parameters()[-1].shape == (100 + 50 * 49 // 2,)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("build", [mlp_vae, conv_vae])
def test_every_parameter_gets_a_gradient(build, likelihood):
    vae = build(size=(8, 4, 3), latent=2, likelihood=likelihood, full_covariance=True, rng=Generator(0))
    x = np.random.default_rng(0).uniform(size=(5, 8, 4, 3)).astype(np.float32)
    loss, _ = vae.loss(x, rng=Generator(1))
    loss.backward()
    assert loss.dtype == np.float32
    for name, parameter in vae.named_parameters().items():
        assert abs(parameter.grad.data).max() > 0, name


def test_the_encoder_is_given_its_own_input_and_the_bound_is_about_the_image():
    table = posterior_table(9, latent=2, rng=Generator(0))
    table.weight.data[...] = Generator(1).normal(table.weight.shape)
    whole = mlp_vae(size=(4, 4, 1), hidden=(8,), latent=2, rng=Generator(0))
    vae = VAE(table, whole.decoder, size=(4, 4, 1), latent=2, likelihood=whole.likelihood)
    x, numbers = Generator(2).bernoulli(np.full((3, 4, 4, 1), 0.5)), np.array([7, 0, 7])
    q = Posterior(table.weight.data[numbers], latent=2)
    bound = vae.bound((x, numbers), rng=Generator(3))
    np.testing.assert_array_equal(bound.divergence.data, q.divergence())
    z, _ = q.rsample(1, rng=Generator(3))
    expected = whole.decode(z[0]).log_prob(x).data.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bound.log_likelihood.data, expected, rtol=1e-5)
    vae.loss((x, numbers), rng=Generator(3))[0].backward()
    assert abs(table.weight.grad.data).max(axis=1).nonzero()[0].tolist() == [0, 7]


@pytest.mark.parametrize("settings", [{}, {"samples": 3}, {"free_bits": 0.1}, {"full_covariance": True}])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_it_says_the_same_on_another_device(likelihood, settings, gpu_or_double):
    x = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype(np.float32)

    def results(device):
        vae = conv_vae(size=(4, 4, 1), widths=(2, 3), latent=2, likelihood=likelihood, rng=Generator(0), **settings)
        vae.to(device)
        rng = Generator(1, device=device)
        loss, terms = vae.loss(mg.tensor(x, device=device), rng=rng)
        loss.backward()
        slopes = [parameter.grad for parameter in vae.parameters()]
        with mg.no_grad():
            log_w = vae.log_weights(mg.tensor(x, device=device), 2, rng=rng)
        shown = vae.mean_images(rng.normal((2, 2)))
        return [on_host(part) for part in (*terms.values(), *slopes, log_w, shown, vae.sample(2, rng=rng))]

    *expected, _ = results("cpu")
    *found, sample = results(gpu_or_double)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert sample.shape == (2, 4, 4, 1)


# --------------------------------------------------------------------------------------------------------------- that they learn

KINDS = {
    "mlp": (mlp_vae, {"hidden": (32,)}),
    "full covariance": (mlp_vae, {"hidden": (32,), "full_covariance": True}),
    "convolutions": (conv_vae, {"widths": (4, 8)}),
    "k = 5": (mlp_vae, {"hidden": (32,), "samples": 5}),
    "beta": (mlp_vae, {"hidden": (32,), "beta": 0.5}),
    "free bits": (mlp_vae, {"hidden": (32,), "free_bits": 0.5}),
    "table": (mlp_vae, {"hidden": (32,)}),
    **{name: (mlp_vae, {"hidden": (32,), "likelihood": name}) for name in LIKELIHOODS[1:]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_64_digits(kind):
    x = binarize(load_digits().unit()[:64], protocol="threshold")
    build, settings = KINDS[kind]
    rng = Generator(0)
    vae = build(size=(8, 8, 1), latent=4, rng=rng, **settings)
    batch = encoder_input = x
    if kind == "table":
        vae.encoder, encoder_input = posterior_table(64, latent=4, rng=rng), np.arange(64)
        batch = (x, encoder_input)
    optimizer = Adam(vae, learning_rate=2e-2)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss, _ = vae.loss(batch, rng=rng)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < losses[0] - 20
    # The latents say more of an image than that it is one of 64.
    error = np.square(vae.mean_images(vae.encode(encoder_input)) - x).sum(axis=(1, 2, 3)).mean()
    assert error < 0.9 * np.square(x.mean(axis=0) - x).sum(axis=(1, 2, 3)).mean()


# ------------------------------------------------------------------------------------------------------------- what is refused


def test_images_of_another_size_or_range_are_refused():
    vae = mlp_vae(size=(8, 8, 1), hidden=(4,), latent=2, rng=Generator(0))
    for shape in ((5, 8, 7, 1), (8, 8, 1), (5, 64)):
        x = np.zeros(shape, np.float32)
        for batch in (x, (x, x)):
            with pytest.raises(ValueError, match=r"VAE: images of shape .*, expected \(N, H, W, C\) = \(N, 8, 8, 1\)"):
                vae.loss(batch, rng=Generator(1))
    with pytest.raises(
        ValueError, match=r"VAE: pixels from 0 to 16, but BernoulliLikelihood is about values in \[0, 1\]"
    ):
        vae.loss(load_digits().images[:3], rng=Generator(1))
    with pytest.raises(ValueError, match="VAE: pixels from 16 to 16"):
        vae.log_weights(np.full((5, 8, 8, 1), 16.0, np.float32), 3, rng=Generator(1))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 0}, "samples = 0 and latent = 2 must be at least 1"),
        ({"latent": 0}, "latent = 0 must be at least 1"),
        ({"beta": -1.0}, "beta = -1.0 and free_bits = 0.0 at least 0"),
        ({"free_bits": -0.1}, "free_bits = -0.1 at least 0"),
        (
            {"samples": 5, "beta": 2.0},
            "L_k with k = 5 has no KL term of its own to weigh: beta = 2.0 and free_bits = 0",
        ),
        ({"samples": 5, "free_bits": 1.0}, "free_bits = 1.0 need samples = 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    whole = mlp_vae(size=(4, 4, 1), hidden=(4,), latent=2, rng=Generator(0))
    parts = {"size": (4, 4, 1), "latent": 2, "likelihood": whole.likelihood} | settings
    with pytest.raises(ValueError, match=words):
        VAE(whole.encoder, whole.decoder, **parts)


def test_sizes_that_cannot_be_halved_and_other_likelihoods_are_refused():
    with pytest.raises(ValueError, match="6 x 8 pixels cannot be halved twice; expected multiples of 4"):
        conv_vae(size=(6, 8, 1), rng=Generator(0))
    for build in (mlp_vae, conv_vae):
        with pytest.raises(ValueError, match="pixel likelihood 'cauchy' is unknown"):
            build(size=(8, 8, 1), likelihood="cauchy", rng=Generator(0))
