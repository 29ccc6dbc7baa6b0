"""The pictures of adversarial learning hold the numbers they were given, where they say they do."""

import numpy as np
import pytest

from minigen import plots
from minigen.plots.style import FIXED

x = np.linspace(-4.0, 4.0, 81)
p, q = np.exp(-(x**2)), np.exp(-((x - 1) ** 2) / 2)
z = np.linspace(0.0, 1.0, 101)
g = np.tanh(3 * z) * 2 - 1


def densities(**changes):
    arguments = {"p_data": p, "p_generator": q, "latent": z, "generated": g, "latent_dimension": 1} | changes
    return plots.gan_densities(x, **arguments)


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def test_gan_densities_draws_each_curve_on_its_axis():
    d, best = p / (p + 2 * q), p / (p + q)
    figure = densities(discriminator=d, optimal=best, title="a title")
    upper, _, graph, right = figure.axes[:4]
    assert figure.get_suptitle() == "a title"
    np.testing.assert_array_equal(lines(upper)[r"$p_{\mathrm{data}}(x)$"], p)
    np.testing.assert_array_equal(lines(upper)["$p_g(x)$"], q)
    np.testing.assert_array_equal(lines(right)["$D(x)$"], d)
    np.testing.assert_array_equal(lines(right)["$D^*(x)$"], best)
    np.testing.assert_array_equal(graph.lines[0].get_xydata(), np.column_stack([g, z]))
    assert len(upper.get_legend().get_texts()) == 4
    assert right.get_ylabel() == "$D(x)$"
    assert right.get_ylim()[0] == 0.0
    assert 1.0 < right.get_ylim()[1] < 1.1


def test_an_arrow_leads_from_every_chosen_z_on_its_axis_to_g_of_z_on_the_data_axis():
    figure = densities()
    upper, arrows, _, z_axis = figure.axes
    (quiver,) = arrows.collections
    assert arrows.get_xlim() == upper.get_xlim() == (x[0], x[-1])

    figure.draw_without_rendering()
    tails = arrows.transData.transform(np.column_stack([quiver.X, quiver.Y]))
    drawn_z = z_axis.transData.inverted().transform(tails)[:, 0]
    tips = quiver.X + quiver.U
    assert len(drawn_z) == 33
    assert (drawn_z[0], drawn_z[-1]) == pytest.approx((0.0, 1.0))
    np.testing.assert_allclose(tips, np.tanh(3 * drawn_z) * 2 - 1, atol=1e-12)
    np.testing.assert_array_equal(quiver.Y, 0)
    np.testing.assert_array_equal(quiver.Y + quiver.V, 1)


def test_without_a_discriminator_there_is_no_right_hand_axis():
    assert len(densities().axes) == 4  # three panels, and the z axis of the arrows
    assert len(densities(optimal=p).axes) == 5


def test_a_discriminator_that_is_no_probability_keeps_its_scale_and_its_name():
    right = densities(discriminator=3 * np.sin(x), discriminator_label="D(x), no probability").axes[3]
    assert right.get_ylabel() == "D(x), no probability"
    assert right.get_ylim()[0] < -2.9
    assert right.get_ylim()[1] > 2.9


def test_a_many_dimensional_latent_is_named_as_what_is_drawn_of_it():
    figure = densities(latent_dimension=16)
    assert figure.axes[2].get_ylabel() == figure.axes[3].get_xlabel() == "$z_1$ (of 16; others 0)"


def test_a_column_of_generated_samples_is_taken_as_a_curve():
    np.testing.assert_array_equal(densities(generated=g[:, None]).axes[2].lines[0].get_xdata(), g)


def test_gan_densities_refuses_curves_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"gan_densities: p_generator has shape \(80,\), expected \(81,\)"):
        densities(p_generator=q[1:])
    with pytest.raises(ValueError, match="optimal has shape"):
        densities(optimal=p[1:])
    with pytest.raises(ValueError, match="latent runs from 1 to 0, expected rising"):
        densities(latent=z[::-1])


steps = np.arange(0, 50, 10)
falling = 10.0 ** -np.arange(5)


def test_training_curves_has_the_losses_the_distance_and_the_gradient():
    figure = plots.training_curves(
        steps, losses={"D": falling + 1, "G": falling + 2}, equilibrium={"D": np.log(4), "G": None},
        distance=falling, floor=0.02, gradient_norm=2 * falling,
    )  # fmt: skip
    loss, distance, norm = figure.axes
    assert list(lines(loss)) == ["D", "D at equilibrium: 1.386", "G"]
    np.testing.assert_array_equal(lines(loss)["D"], falling + 1)
    np.testing.assert_array_equal(lines(loss)["G"], falling + 2)
    assert set(lines(loss)["D at equilibrium: 1.386"]) == {np.log(4)}
    assert [line.get_color() for line in loss.lines] == [FIXED["D"].color, FIXED["D"].color, FIXED["G"].color]
    np.testing.assert_array_equal(lines(distance)["generated samples"], falling)
    assert set(lines(distance)["perfect samples: 0.02"]) == {0.02}
    np.testing.assert_array_equal(norm.lines[0].get_xydata(), np.column_stack([steps, 2 * falling]))
    assert [panel.get_yscale() for panel in figure.axes] == ["linear", "log", "log"]
    with pytest.raises(ValueError, match=r"training_curves: losses\['G'\] has shape \(4,\), expected \(5,\)"):
        plots.training_curves(steps, losses={"G": falling[1:]}, distance=falling, gradient_norm=falling)


def test_saturation_shows_proportion_as_a_parallel_course():
    figure = plots.saturation(
        steps, norms={"minimax": 3 * falling, "non-saturating": 1 - falling / 2}, discriminator_on_fake=falling
    )
    norm, fake = figure.axes
    np.testing.assert_array_equal(lines(norm)["minimax"], 3 * falling)
    np.testing.assert_array_equal(lines(norm)["non-saturating"], 1 - falling / 2)
    np.testing.assert_array_equal(fake.lines[0].get_ydata(), falling)
    assert norm.get_yscale() == fake.get_yscale() == "log"
    assert [text.get_text() for text in norm.get_legend().get_texts()] == ["minimax", "non-saturating"]
