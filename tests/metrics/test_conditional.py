"""Bounds of a conditional model beside a baseline: each from its own weights, all with the same noise, gaps image by image."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from minigen.metrics import conditional_likelihoods
from minigen.random import Generator

Y = np.linspace(-1, 1, 6)


class Known:
    """In place of a CVAE: an image is a number y, and its weights are y and noise."""

    def bound(self, batch, *, rng):
        (y,) = batch
        return SimpleNamespace(log_likelihood=y + 1, divergence=2 * y, unit_divergences=2 * y[:, None])

    def log_weights(self, batch, samples, *, rng):
        return batch[0] + rng.normal((samples, len(batch[0])), dtype="float64")

    def prior_log_likelihoods(self, batch, samples, *, rng):
        return batch[0] + 5 * rng.normal((samples, len(batch[0])), dtype="float64")


def test_each_bound_is_that_of_its_own_weights():
    baseline = SimpleNamespace(log_prob=lambda batch: 3 * batch[0])
    found = conditional_likelihoods(Known(), baseline, (Y,), samples=7, make_rng=lambda: Generator(4))
    noise = Generator(4).normal((7, 6), dtype="float64")
    bounds = {
        "gap_bound": 1 - Y,
        "gap_importance": Y + logsumexp(noise, axis=0) - np.log(7),
        "gap_prediction": Y + logsumexp(5 * noise, axis=0) - np.log(7),
    }
    assert (found["elbo"], found["log_likelihood"], found["divergence"]) == pytest.approx((1, 1, 0), abs=1e-12)
    assert found["importance"] == pytest.approx(bounds["gap_importance"].mean())
    assert found["prediction"] == pytest.approx(bounds["gap_prediction"].mean())
    assert found["baseline"] == pytest.approx(0, abs=1e-12)
    for name, values in bounds.items():
        gains = values - 3 * Y
        assert found[name] == pytest.approx(gains.mean())
        assert found[f"{name}_error"] == pytest.approx(gains.std(ddof=1) / 6**0.5)
