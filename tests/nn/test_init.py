"""Initial weights: variances in closed form, orthogonality, gains.

n independent draws of kurtosis k give the variance with relative standard deviation sqrt((k - 1) / n): sqrt(2 / n) for a normal
variable (k = 3), sqrt(0.8 / n) for a uniform one (k = 9/5). Five of these are allowed.
"""

import math

import numpy as np
import pytest
from devices import on_host

from minigen.backend import device_of
from minigen.nn import init
from minigen.random import Generator

SHAPES = [(250, 130), (40, 600), (3, 3, 24, 48), (5, 4, 60, 30)]


def fans_by_hand(shape):
    *taps, fan_in, fan_out = shape
    return math.prod(taps) * fan_in, math.prod(taps) * fan_out


def xavier_variance(shape):
    return 2 / sum(fans_by_hand(shape))


def kaiming_variance(shape):
    return 1 / fans_by_hand(shape)[0]


INITS = [
    (init.xavier_uniform, xavier_variance, 1.0, 1.8),
    (init.xavier_normal, xavier_variance, 1.0, 3.0),
    (init.kaiming_uniform, kaiming_variance, math.sqrt(2), 1.8),
    (init.kaiming_normal, kaiming_variance, math.sqrt(2), 3.0),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [None, 0.5])
@pytest.mark.parametrize(("initialize", "variance", "default_gain", "kurtosis"), INITS)
def test_variance(initialize, variance, default_gain, kurtosis, gain, shape):
    w = initialize(shape, Generator(1), **({} if gain is None else {"gain": gain})).astype(np.float64)
    expected = (gain or default_gain) ** 2 * variance(shape)
    assert abs(w.mean()) < 5 * math.sqrt(expected / w.size)
    assert abs((w**2).mean() / expected - 1) < 5 * math.sqrt((kurtosis - 1) / w.size)
    if kurtosis == 1.8:
        bound = math.sqrt(3 * expected)
        # The largest of n uniform numbers falls short of the bound by a share r with probability (1 - r)^n.
        assert 1 - 20 / w.size < np.abs(w).max() / bound < 1 + 1e-6


@pytest.mark.parametrize("initialize", [*(row[0] for row in INITS), init.orthogonal])
def test_weights_are_float32_and_come_from_the_generator_alone(initialize, device):
    w = initialize((3, 3, 2, 4), Generator(1, device=device))
    assert w.shape == (3, 3, 2, 4)
    assert w.dtype == np.float32
    assert device_of(w) == device
    np.testing.assert_allclose(on_host(w), initialize((3, 3, 2, 4), Generator(1)), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(on_host(w), initialize((3, 3, 2, 4), Generator(2)))


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (20, 20), (3, 3, 4, 8), (3, 3, 2, 60), (1, 7)])
@pytest.mark.parametrize("gain", [1.0, 1.7])
def test_orthogonal_columns_or_rows(shape, gain, device):
    w = on_host(init.orthogonal(shape, Generator(0, device=device), gain=gain)).astype(np.float64)
    matrix = w.reshape(-1, shape[-1])  # (taps * in, out)
    high, wide = matrix.shape
    gram = matrix.T @ matrix if high >= wide else matrix @ matrix.T
    # Each entry is rounded to float32, a relative error of at most 2^-24; a product of unit vectors then errs by 2^-23.
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(high, wide)), atol=gain**2 * 2.0**-22)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_orthogonal_is_uniform_over_the_group(shape):
    # Uniform: every entry is symmetric about 0, with second moment 1/3 (a coordinate of a random direction in space).
    draws = np.stack([init.orthogonal(shape, Generator(seed)) for seed in range(600)])  # (600, *shape)
    standard_error = math.sqrt(1 / 3 / len(draws))
    assert np.abs(draws.mean(axis=0)).max() < 5 * standard_error
    # The square has variance E[x^4] - 1/9 = 1/5 - 1/9.
    assert np.abs((draws**2).mean(axis=0) - 1 / 3).max() < 5 * math.sqrt((1 / 5 - 1 / 9) / len(draws))


def test_gains():
    assert init.gain("linear") == init.gain("sigmoid") == 1
    assert init.gain("tanh") == 5 / 3
    assert init.gain("relu") == math.sqrt(2)
    assert init.gain("selu") == 0.75
    assert init.gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.gain("leaky_relu", 0.0) == init.gain("relu")


def test_the_gain_of_relu_keeps_the_mean_square():
    # He et al. 2015, equation 7: for symmetric pre-activations E[relu(y)^2] = var(y) / 2.
    y = Generator(0).normal(100_000, dtype="float64")
    squares = (init.gain("relu") * np.maximum(y, 0)) ** 2
    assert abs(squares.mean() - 1) < 5 * squares.std() / math.sqrt(squares.size)


def test_errors():
    with pytest.raises(ValueError, match=r"gain: nonlinearity 'swish' is unknown; it is one of .*'leaky_relu'.*'relu'"):
        init.gain("swish")
    for initialize in (*(row[0] for row in INITS), init.orthogonal, lambda shape, rng: init.fans(shape)):
        with pytest.raises(ValueError, match=r"fans: a weight has at least the axes \(in, out\); shape \(7,\)"):
            initialize((7,), Generator(0))
