"""The picture of gradient estimators: bands, the exact gradient, the fall of the spread."""

import numpy as np
import pytest

from minigen import plots

theta = np.linspace(-1.0, 1.0, 5)
noise = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # mean 0, variance 2
samples = np.array([1, 4, 16])


def picture(**changes):
    arguments = {
        "estimates": {"score function": theta[:, None] + 3 * noise, "reparameterized": theta[:, None] + noise},
        "exact": theta,
        "samples": samples,
        "deviations": {"score function": 3 / np.sqrt(samples), "reparameterized": 1 / np.sqrt(samples)},
    }
    return plots.estimator_spread(theta, **arguments | changes)


def test_the_band_is_one_standard_deviation_about_the_mean():
    for panel, factor in zip(picture().axes[:2], (3, 1), strict=True):
        band = panel.collections[0].get_paths()[0].vertices
        half = factor * np.sqrt(2)
        for value in theta:
            at = band[np.isclose(band[:, 0], value), 1]
            assert (at.min(), at.max()) == pytest.approx((value - half, value + half))
        mean, exact = panel.lines
        np.testing.assert_allclose(mean.get_ydata(), theta, atol=1e-15)
        np.testing.assert_array_equal(exact.get_ydata(), theta)


def test_the_estimators_share_one_scale_so_that_their_bands_compare():
    first, second, _ = picture().axes
    assert first.get_ylim() == second.get_ylim()
    assert (first.get_title(), second.get_title()) == ("score function", "reparameterized")


def test_the_spread_is_drawn_with_the_square_root_law_through_its_first_point():
    spread = picture().axes[2]
    assert spread.get_xscale() == spread.get_yscale() == "log"
    for curve, law in zip(spread.lines[::2], spread.lines[1::2], strict=True):
        np.testing.assert_allclose(curve.get_ydata(), law.get_ydata())  # these deviations follow the law
    assert len(spread.get_legend().get_texts()) == 3


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="expected the same labels"):
        picture(deviations={"score function": samples})
    with pytest.raises(ValueError, match=r"estimates\['a'\] has shape \(5,\), expected \(5, repetitions\)"):
        picture(estimates={"a": theta}, deviations={"a": samples})
