"""Observation models: their densities against scipy's, the best scale, what each refuses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

import minigen as mg
from minigen.backend import to_device
from minigen.models import LIKELIHOODS, pixel_likelihood
from minigen.models.likelihoods import LEAST_LOG_VARIANCE, BernoulliLikelihood, GaussianLikelihood
from minigen.testing import gradcheck

SCALE = 0.3


def expected_log_prob(name, x, y):
    """log p(x | y) by scipy, of scale 0.3 where it is one for all pixels."""
    if name == "bernoulli":
        return stats.bernoulli.logpmf(x, expit(y))
    if name == "gaussian-pixel":
        mean, log_variance = np.split(y, 2, axis=-1)
        return stats.norm.logpdf(x, mean, np.sqrt(1e-4 * (1 + np.exp(log_variance) / 1e-4)))
    return stats.norm.logpdf(x, y, SCALE)


def numbers(name, shape, seed, dtype=np.float64):
    """Return pixels that the model can produce, (*shape, C), and numbers of a decoder, (*shape, outputs * C)."""
    rng = np.random.default_rng(seed)
    *outer, channels = shape
    x = rng.integers(0, 2, shape) if name == "bernoulli" else rng.normal(size=shape)
    y = rng.normal(size=(*outer, pixel_likelihood(name).outputs * channels))
    return x.astype(dtype), y.astype(dtype)


by_name = pytest.mark.parametrize("name", LIKELIHOODS)


@by_name
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 3), channels=st.integers(1, 3))
def test_log_probabilities_are_those_of_scipy(name, seed, n, channels):
    x, y = numbers(name, (n, 2, 3, channels), seed)
    p = pixel_likelihood(name, scale=SCALE)(y)
    assert p.batch_shape == x.shape
    found = p.log_prob(x)
    found = found.data if isinstance(found, mg.Tensor) else found
    np.testing.assert_allclose(found, expected_log_prob(name, x, y), rtol=1e-5, atol=1e-6)


@by_name
def test_gradients_of_both_orders(name):
    likelihood = pixel_likelihood(name, scale=SCALE)
    x, y = numbers(name, (2, 1, 2, 1), seed=0)
    if name == "gaussian-learned":

        def log_prob(y, log_variance):
            likelihood.log_variance = log_variance
            return likelihood(y).log_prob(x)

        gradcheck(log_prob, [y, np.array([2 * math.log(SCALE)])])
    else:
        gradcheck(lambda y: likelihood(y).log_prob(x), [y])


@by_name
def test_float32_stays_float32(name):
    x, y = numbers(name, (2, 2, 2, 1), seed=0, dtype=np.float32)
    p = pixel_likelihood(name)(y)
    assert p.log_prob(x).dtype == p.mean.dtype == np.float32


def test_only_the_learned_scale_is_a_parameter_and_both_are_saved():
    fixed, learned = (pixel_likelihood(name, scale=SCALE) for name in ("gaussian", "gaussian-learned"))
    assert not list(fixed.parameters())
    assert list(learned.named_parameters()) == ["log_variance"]
    assert fixed.state().keys() == learned.state().keys() == {"log_variance"}
    for likelihood in (fixed, learned):
        assert likelihood.state()["log_variance"] == pytest.approx(2 * math.log(SCALE), rel=1e-6)


@given(error=st.floats(0.02, 2.0), seed=st.integers(0, 2**32))
def test_the_best_learned_scale_is_the_root_of_the_mean_squared_error(error, seed):
    noise = error * np.random.default_rng(seed).normal(size=(4, 2, 2, 1))
    squared = (noise**2).mean()
    likelihood = GaussianLikelihood(learned=True)

    def slope(variance):
        likelihood.log_variance = mg.tensor(np.array([math.log(variance)]), requires_grad=True)
        mg.mean(likelihood(np.zeros_like(noise)).log_prob(noise)).backward()
        return likelihood.log_variance.grad.item()

    assert slope(squared) == pytest.approx(0, abs=1e-9)
    assert slope(0.5 * squared) > 0 > slope(2 * squared)


def test_a_pixels_scale_has_a_floor_and_above_it_is_the_decoders():
    likelihood = pixel_likelihood("gaussian-pixel")
    y = np.zeros((1, 1, 5, 2))
    y[0, 0, :, 1] = [-1e4, -100.0, 2 * math.log(0.1), 0.0, 6.0]
    scale = likelihood(y).scale[0, 0, :, 0]
    least = math.exp(0.5 * LEAST_LOG_VARIANCE)
    assert least == pytest.approx(0.01)
    np.testing.assert_allclose(scale[:2], least, rtol=1e-9)
    np.testing.assert_allclose(scale[2:], [math.sqrt(0.01 + 1e-4), math.sqrt(1 + 1e-4), math.exp(3)], rtol=1e-6)
    tracked = mg.tensor(y, requires_grad=True)
    mg.sum(likelihood(tracked).log_prob(np.ones((1, 1, 5, 1)))).backward()
    assert np.isfinite(tracked.grad.data).all()


# --------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("pixels", [[0.0, 1.0], [0.5, 0.5], []])
def test_bits_and_grey_values_are_accepted(pixels):
    BernoulliLikelihood().check(np.array(pixels), "VAE")


@pytest.mark.parametrize(
    ("pixels", "words"),
    [([0.0, 255.0], "0 to 255"), ([-0.5, 1.0], "-0.5 to 1"), ([0.0, math.nan], "nan to nan")],
)
def test_pixels_that_are_no_probabilities_are_refused(pixels, words):
    message = (
        rf"VAE: pixels from {words}, but BernoulliLikelihood is about values in \[0, 1\]; `Images.unit` gives such"
    )
    for x in (np.array(pixels), mg.tensor(pixels)):
        with pytest.raises(ValueError, match=message):
            BernoulliLikelihood().check(x, "VAE")
    for name in set(LIKELIHOODS) - {"bernoulli"}:
        pixel_likelihood(name).check(np.array(pixels), "VAE")


def test_on_a_gpu_pixels_are_looked_at_while_debugging_only(gpu_or_double):
    x = to_device(np.array([7.0], np.float32), gpu_or_double)
    BernoulliLikelihood().check(x, "VAE")
    with mg.debug(), pytest.raises(ValueError, match="pixels from 7 to 7"):
        BernoulliLikelihood().check(x, "VAE")


def test_another_name_or_scale_is_refused():
    with pytest.raises(ValueError, match="pixel likelihood 'laplace' is unknown; it is one of bernoulli, gaussian, "):
        pixel_likelihood("laplace")
    for scale in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"GaussianLikelihood: scale = {scale} must be above 0"):
            pixel_likelihood("gaussian", scale=scale)
