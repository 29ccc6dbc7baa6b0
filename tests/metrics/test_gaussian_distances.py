"""The distances between two Gaussians, against integrals on a grid and their own differences."""

import numpy as np
import pytest

from minigen import metrics
from minigen.data import Gaussian
from minigen.metrics import gaussian_distances

THETA = np.array([-2.2, -0.7, 0.3, 0.9, 1.6])


@pytest.mark.parametrize("scale", [0.5, 0.8])
def test_the_gradients_are_those_of_the_values(scale):
    step = 1e-5
    _, gradients = gaussian_distances(THETA, scale=scale)
    (above, _), (below, _) = (gaussian_distances(THETA + change, scale=scale) for change in (step, -step))
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, (above[name] - below[name]) / (2 * step), atol=1e-6)


def test_the_values_are_those_of_the_metrics():
    x, dx = np.linspace(-12.0, 12.0, 24_001, retstep=True)
    values, _ = gaussian_distances(THETA, scale=0.5)
    standard = Gaussian(mean=0.0, scale=1.0)
    quantiles = standard.quantile((np.arange(100_000) + 0.5) / 100_000)
    for t, mean in enumerate(THETA):
        p, q = standard.pdf(x), Gaussian(mean=mean, scale=0.5).pdf(x)
        assert values["KL(q || p)"][t] == pytest.approx(metrics.kullback_leibler(q, p, dx), abs=1e-9)
        assert values["JS"][t] == pytest.approx(metrics.jensen_shannon(p, q, dx), abs=1e-9)
        assert values["TV"][t] == pytest.approx(metrics.total_variation(p, q, dx), abs=1e-6)
        assert values["W1"][t] == pytest.approx(np.abs(mean - 0.5 * quantiles).mean(), abs=1e-5)
        inside = np.abs(x) < 8  # farther out q underflows
        assert values["KL(p || q)"][t] == pytest.approx(metrics.kullback_leibler(p[inside], q[inside], dx), abs=1e-8)


@pytest.mark.parametrize("scale", [0.0, 1.0, -0.5, float("nan")])
def test_another_scale_is_refused(scale):
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        gaussian_distances(THETA, scale=scale)
