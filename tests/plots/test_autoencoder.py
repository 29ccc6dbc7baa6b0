"""Pictures of autoencoders: nets where they were computed, curves beside known values, the distances that stand below images, and
units as images."""

import numpy as np
import pytest

from minigen import plots

from .mosaics import cells_of

rng = np.random.default_rng(0)


def test_every_surface_has_a_panel_of_the_same_box_with_all_points():
    points = rng.normal(size=(30, 3))
    u, v = np.meshgrid(np.linspace(-9, 9, 6), np.linspace(0, 1, 4))
    figure = plots.fitted_surfaces(
        points, surfaces={"plane": np.stack([u, v, v], axis=-1), "curved": np.stack([u, v, u**2], axis=-1)}
    )
    plane, curved = figure.axes
    assert [plane.get_title(), curved.get_title()] == ["plane", "curved"]
    for limits in ("get_xlim", "get_ylim", "get_zlim"):
        assert getattr(plane, limits)() == getattr(curved, limits)()
    for axis, limits in enumerate((plane.get_xlim(), plane.get_ylim(), plane.get_zlim())):
        assert limits[0] < points[:, axis].min()
        assert points[:, axis].max() < limits[1]
    scattered, net = curved.collections
    np.testing.assert_allclose(np.sort(np.asarray(scattered._offsets3d[2])), np.sort(points[:, 2]))
    ends = np.concatenate([np.asarray(line) for line in net._segments3d])
    np.testing.assert_allclose(ends[:, 2], ends[:, 0] ** 2)


def test_surfaces_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"points have shape \(3, 2\), expected \(N, 3\)"):
        plots.fitted_surfaces(np.ones((3, 2)), surfaces={"plane": np.ones((2, 2, 3))})
    with pytest.raises(ValueError, match=r"'plane' has shape \(4, 3\), expected \(R, S, 3\)"):
        plots.fitted_surfaces(np.eye(3), surfaces={"plane": np.ones((4, 3))})


def test_error_curves_run_beside_the_known_value():
    (axes,) = plots.error_curves([0, 5, 9], errors={"a": [9, 3, 2], "b": [8, 2, 1]}, exact={"PCA": 1.5}).axes
    a, b, known = axes.lines
    np.testing.assert_array_equal(a.get_xdata(), [0, 5, 9])
    np.testing.assert_array_equal(a.get_ydata(), [9, 3, 2])
    np.testing.assert_array_equal(b.get_ydata(), [8, 2, 1])
    np.testing.assert_array_equal(known.get_ydata(), [1.5, 1.5])
    assert axes.get_yscale() == "log"
    with pytest.raises(ValueError, match=r"errors\['a'\] has shape \(2,\), expected \(3,\)"):
        plots.error_curves([0, 5, 9], errors={"a": [9, 3]})


def test_the_distance_to_the_first_image_stands_below_each_other():
    first, second, third = rng.uniform(size=(3, 6, 6))
    figure = plots.pixel_distances(
        [("a", first), ("b", second), ("c", third)], shifts=[0, 1, 2], distances=[0, 4, 6], levels={"another": 2.5}
    )
    *panels, curve = figure.axes
    for panel, image in zip(panels, (first, second, third), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), image)
    assert panels[0].get_xlabel() == ""
    for panel, image in zip(panels[1:], (second, third), strict=True):
        assert panel.get_xlabel().endswith(f"= {((image - first) ** 2).sum():.1f}")
    shifted, level = curve.lines
    np.testing.assert_array_equal(shifted.get_ydata(), [0, 4, 6])
    np.testing.assert_array_equal(level.get_ydata(), [2.5, 2.5])
    with pytest.raises(ValueError, match=r"pixel_distances: distances has shape \(2,\), expected \(3,\)"):
        plots.pixel_distances([("a", first)], shifts=[0, 1, 2], distances=[0, 4], levels={})


def test_the_strongest_units_are_images_whose_grey_is_zero():
    weights = np.zeros((6, 3))  # of 2 x 3 pixels and three units
    weights[:, 0], weights[0, 2], weights[5, 2] = 0.1, 4.0, -2.0
    figure = plots.strongest_units({"a": weights, "b": weights[:, :1]}, size=(2, 3, 1), most=2)
    (axes,) = figure.axes
    cells = cells_of(axes, (2, 3))[..., 0]  # (rows, units, 2, 3); a weight that is the unit's largest is black
    np.testing.assert_allclose(cells[0, 0], [[0, 0.5, 0.5], [0.5, 0.5, 0.75]], atol=0.01)
    np.testing.assert_allclose(cells[:, :, 0, 0], [[0, 0], [0, 1]], atol=0.01)  # the second row has one unit
    with pytest.raises(ValueError, match=r"'a' has shape \(6, 3\), expected \(16, units\)"):
        plots.strongest_units({"a": weights}, size=(4, 4, 1))
