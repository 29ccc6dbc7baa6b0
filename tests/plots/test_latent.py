"""Pictures of latent spaces: the plane the right way up, classes in their colours, bars in their order, terms with their signs."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from minigen import plots
from minigen.plots.latent import CLASS_COLORS
from minigen.plots.style import BLUE, LIGHT_GREY

from .mosaics import cells_of

rng = np.random.default_rng(0)


# -------------------------------------------------------------------------------------------------------------------- manifold


def test_the_plane_is_drawn_with_z1_to_the_right_and_z2_upwards():
    values = np.array([-1.0, 0.0, 2.0])
    z2, z1 = np.meshgrid(values, values, indexing="ij")
    images = np.stack([z1, z2], axis=2).reshape(3, 3, 1, 2, 1) / 4 + 0.5  # two pixels: z_1 and z_2
    (axes,) = plots.latent_manifold(images, values=values).axes
    ink = 1 - cells_of(axes, (1, 2))[..., 0, :, 0]  # (3, 3, 2)
    for row, column in np.ndindex(3, 3):
        # Where an image stands, the ticks beside and below it say its code.
        below = dict(zip(axes.get_xticks(), (float(t.get_text()) for t in axes.get_xticklabels()), strict=True))
        beside = dict(zip(axes.get_yticks(), (float(t.get_text()) for t in axes.get_yticklabels()), strict=True))
        np.testing.assert_allclose(4 * (ink[row, column, 0] - 0.5), below[column + 0.5])
        np.testing.assert_allclose(4 * (ink[row, column, 1] - 0.5), beside[row + 0.5])
    assert axes.get_ylim() == (3, 0)


def test_a_lattice_of_another_shape_is_refused():
    for shape in ((3, 2, 8, 8, 1), (2, 2, 8, 8, 1), (3, 3, 8, 8)):
        with pytest.raises(ValueError, match=r"expected \(R, R, H, W, C\) with R = 3"):
            plots.latent_manifold(np.zeros(shape), values=[0, 1, 2])


# ------------------------------------------------------------------------------------------------------------------------ codes


def test_each_class_has_its_colour_and_its_points():
    z, labels = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    (axes,) = plots.latent_codes({"VAE": plots.Codes(z, [0, 0], np.eye(2))}, labels=labels, classes="abc").axes
    for k, points in enumerate(axes.collections):
        np.testing.assert_array_equal(points.get_offsets(), z[labels == k])
        assert tuple(points.get_facecolor()[0]) == to_rgba(CLASS_COLORS[k])
    names = {text.get_text(): text.xy for text in axes.texts}
    np.testing.assert_array_equal(names["b"], np.median(z[labels == 1], axis=0))


def test_ten_colours_differ_for_all():
    colors = np.array([to_rgba(color)[:3] for color in CLASS_COLORS])
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 9 * np.eye(10)
    assert len(colors) == 10
    assert apart.min() > 0.25


def test_the_dashed_line_holds_95_percent():
    mean, covariance = np.array([3.0, -1.0]), np.array([[2.0, 1.5], [1.5, 4.0]])
    drawn = rng.multivariate_normal(mean, covariance, size=20_000)
    (axes,) = plots.latent_codes({"a": plots.Codes(drawn[:1], mean, covariance)}, labels=[0], classes="a").axes
    (ellipse,) = axes.patches
    # In the ellipse's own coordinates it is the unit circle.
    own = ellipse.get_patch_transform().inverted().transform(drawn)
    assert (np.linalg.norm(own, axis=1) < 1).mean() == pytest.approx(0.95, abs=0.006)


def test_codes_of_another_shape_or_too_many_classes_are_refused():
    codes = plots.Codes(np.zeros((3, 3)), [0, 0], np.eye(2))
    with pytest.raises(ValueError, match=r"the codes of 'VAE' have shape \(3, 3\), expected \(3, 2\)"):
        plots.latent_codes({"VAE": codes}, labels=[0, 0, 0], classes="a")
    with pytest.raises(ValueError, match="11 classes, but there are 10 colours"):
        plots.latent_codes({"VAE": codes}, labels=[0, 0, 0], classes="abcdefghijk")


# ----------------------------------------------------------------------------------------------------------- sums and latents


def test_a_sum_is_a_column_for_each_term_with_its_sign():
    a, b, c = rng.uniform(size=(3, 2, 4, 4, 1))
    figure = plots.vector_arithmetic([("", "a", a), ("-", "b", b)], result=("c", c))
    assert [panel.get_title() for panel in figure.axes] == ["a", "$-$ b", "$=$ c"]
    for panel, images in zip(figure.axes, (a, b, c), strict=True):
        np.testing.assert_allclose(1 - cells_of(panel, (4, 4))[..., 0], images[:, None, ..., 0])
    with pytest.raises(ValueError, match="expected one shape"):
        plots.vector_arithmetic([("", "a", a), ("-", "b", b[:1])], result=("c", c))


def test_latents_fall_from_left_to_right_and_active_ones_are_blue():
    divergences, active = np.array([0.1, 3.0, 0.2, 1.0]), np.array([False, True, True, False])
    (axes,) = plots.unit_divergences(divergences, active=active).axes
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    np.testing.assert_allclose([bar.get_height() for bar in bars], [3.0, 1.0, 0.2, 0.1])
    assert [bar.get_facecolor() for bar in bars] == [to_rgba(c) for c in (BLUE, LIGHT_GREY, BLUE, LIGHT_GREY)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["2 active", "2 not active"]
    (all_active,) = plots.unit_divergences([1.0], active=[True]).axes
    assert [text.get_text() for text in all_active.get_legend().get_texts()] == ["1 active"]
    with pytest.raises(ValueError, match=r"divergences are \(4,\), active \(3,\)"):
        plots.unit_divergences(divergences, active=active[:3])


# ----------------------------------------------------------------------------------------------------------------------- bounds


def test_the_steep_rise_is_left_out_below_but_all_else_is_seen():
    steps = np.arange(0, 1000, 10)
    bound = -100.0 - 1e4 * np.exp(-steps / 10)
    (axes,) = plots.bound_curves(steps, bounds={"ELBO": bound}, levels={"log p(x)": -95.0}).axes
    low, high = axes.get_ylim()
    assert bound[0] < low < bound[20]
    assert high > -95
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), bound)
    with pytest.raises(ValueError, match=r"bound_curves: bounds\['ELBO'\] has shape \(99,\), expected \(100,\)"):
        plots.bound_curves(steps, bounds={"ELBO": bound[1:]})
