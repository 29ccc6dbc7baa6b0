"""The picture of a fitted Gaussian: its ellipses are contours, and its minimum is the likelihood's."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from minigen import plots

samples = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.8], [0.0, 0.5]] + [2.0, -1.0]
exact_mean, exact_covariance = samples.mean(axis=0), np.cov(samples.T, bias=True)
mean, covariance = np.array([1.0, 0.0]), np.array([[2.0, -0.5], [-0.5, 0.3]])
history = np.array([5.0, 4.0, 3.0])


def picture(**changes):
    arguments = {
        "mean": mean, "covariance": covariance, "exact_mean": exact_mean, "exact_covariance": exact_covariance,
        "steps": np.array([0, 10, 20]),
        "history": history,
    }  # fmt: skip
    return plots.gaussian_fit(samples, **arguments | changes)


def test_the_ellipses_are_the_contours_at_one_and_two_standard_deviations():
    angle = np.linspace(0, 2 * np.pi, 17)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    expected = [
        (mean, covariance, 1),
        (mean, covariance, 2),
        (exact_mean, exact_covariance, 1),
        (exact_mean, exact_covariance, 2),
    ]
    for ellipse, (centre, spread, sigmas) in zip(picture().axes[0].patches, expected, strict=True):
        offset = ellipse.get_patch_transform().transform(circle) - centre
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(spread), offset), sigmas**2)


def test_the_loss_is_drawn_against_the_least_negative_log_likelihood_of_these_samples():
    curve, minimum = picture().axes[1].lines
    np.testing.assert_array_equal(curve.get_xdata(), [0, 10, 20])
    np.testing.assert_array_equal(curve.get_ydata(), history)
    least = -multivariate_normal(exact_mean, exact_covariance).logpdf(samples).mean()
    np.testing.assert_allclose(minimum.get_ydata(), least)
    assert minimum.get_label() == f"minimum: {least:.4f}"


def test_the_samples_are_all_there_and_circles_look_round():
    plane = picture().axes[0]
    np.testing.assert_array_equal(plane.collections[0].get_offsets(), samples)
    assert plane.get_aspect() == 1.0


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"gaussian_fit: exact_covariance has shape \(2,\), expected \(2, 2\)"):
        picture(exact_covariance=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"samples has shape \(200, 1\), expected \(200, 2\)"):
        plots.gaussian_fit(
            samples[:, :1],
            mean=mean,
            covariance=covariance,
            exact_mean=mean,
            exact_covariance=covariance,
            steps=[0, 10, 20],
            history=history,
        )
