"""The bent sheet: its points lie on two half cylinders, and the net reaches its edges."""

import numpy as np

from minigen.data import bent_sheet, bent_sheet_net
from minigen.random import Generator


def assert_on_the_sheet(points):
    """Both halves of the S are arcs of radius 1, about the points 1 above and 1 below the middle."""
    x, _, z = np.moveaxis(points.astype(np.float64), -1, 0)
    np.testing.assert_allclose(x**2 + (np.abs(z) - 1) ** 2, 1, atol=1e-6)


def test_points_are_spread_over_the_sheet_the_same_each_time():
    points = bent_sheet(2000, rng=Generator(3))
    assert points.dtype == np.float32
    assert_on_the_sheet(points)
    np.testing.assert_array_equal(points, bent_sheet(2000, rng=Generator(3)))
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=5 * 2 / 3**0.5 / 2000**0.5)
    assert 1.9 < points[:, 1].max() <= 2
    assert 1.9 < np.abs(points[:, 2]).max() <= 2


def test_the_net_runs_from_edge_to_edge():
    net = bent_sheet_net(5, 3)
    assert_on_the_sheet(net)
    end = 1.3 * np.pi
    np.testing.assert_allclose(net[-1, 0], [np.sin(end), -2, np.cos(end) - 1], rtol=1e-6)
    np.testing.assert_allclose(net[0], net[-1] * [-1, 1, -1], rtol=1e-6)
    np.testing.assert_array_equal(net[:, :, 1], np.tile([-2, 0, 2], (5, 1)))
