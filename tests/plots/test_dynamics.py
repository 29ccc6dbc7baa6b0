"""The pictures of learning as a game hold the numbers they were given, where they say they do."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minigen import plots

angle = np.linspace(0, 3, 20)
circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
PATHS = {"alternating": circle, "simultaneous": circle * np.linspace(1, 2, 20)[:, None]}
EXACT = {"alternating": np.ones(20), "simultaneous": np.linspace(1, 2, 20)}


def turn(points):
    return np.stack([-points[:, 1], points[:, 0]], axis=1)


def game(**changes):
    arguments = {"field": turn, "exact": EXACT, "limit": 2.5} | changes
    return plots.game_trajectories(PATHS, **arguments)


def test_the_paths_lie_in_the_plane_and_their_distances_beside_the_exact_ones():
    plane, distance = game().axes
    for line, path in zip(plane.lines, PATHS.values(), strict=False):
        np.testing.assert_array_equal(line.get_xydata(), path)
    for measured, exact, (label, path) in zip(distance.lines[::2], distance.lines[1::2], PATHS.items(), strict=True):
        np.testing.assert_allclose(measured.get_ydata(), np.linalg.norm(path, axis=1))
        np.testing.assert_array_equal(exact.get_ydata(), EXACT[label])
        assert exact.get_linestyle() == "--"
        assert measured.get_label() == label
    assert distance.get_yscale() == "log"
    assert plane.get_aspect() == 1.0
    assert plane.get_xlim() == plane.get_ylim() == (-2.5, 2.5)


def test_the_arrows_are_the_field_at_points_all_over_the_plane():
    (arrows,) = game().axes[0].collections
    at = np.asarray(arrows.get_offsets())
    assert (at.min(), at.max()) == (-2.5, 2.5)
    np.testing.assert_array_equal(np.stack([arrows.U, arrows.V], axis=1), turn(at))


def test_start_and_equilibrium_are_marked():
    start, equilibrium = game().axes[0].lines[-2:]
    np.testing.assert_array_equal(start.get_xydata(), circle[:1])
    np.testing.assert_array_equal(equilibrium.get_xydata(), [[0, 0]])


def test_a_way_to_play_has_one_colour_in_both_panels():
    plane, distance = game().axes
    assert [line.get_color() for line in plane.lines[:2]] == [line.get_color() for line in distance.lines[::2]]


def test_trajectories_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected the same labels"):
        game(exact={"alternating": np.ones(20)})
    with pytest.raises(ValueError, match=r"exact\['simultaneous'\] has shape \(19,\)"):
        game(exact=EXACT | {"simultaneous": np.ones(19)})
    with pytest.raises(ValueError, match=r"trajectories\['a'\] has shape \(4, 3\), expected \(T \+ 1, 2\)"):
        plots.game_trajectories({"a": np.ones((4, 3))}, field=turn, exact={"a": np.ones(4)}, limit=1.0)


random = np.random.default_rng(0)
SAMPLES = {
    "GAN": [random.normal(size=(9, 2)) for _ in range(3)],
    "PacGAN2": [random.normal(size=(9, 2)) for _ in range(3)],
}
HEADINGS = ["step 1", "step 10", "step 100"]
CAPTIONS = {"GAN": ["a", "b", "c"], "PacGAN2": ["d", "e", "f"]}
CENTRES = np.array([[1.0, 0.0], [-1.0, 0.0]])


def panels(**changes):
    arguments = {"headings": HEADINGS, "captions": CAPTIONS, "centres": CENTRES, "limits": (-3, 3)} | changes
    return plots.sample_panels(arguments.pop("samples", SAMPLES), **arguments)


def test_each_panel_has_its_samples_and_every_mode():
    axes = np.array(panels().axes).reshape(2, 3)
    for row, (label, drawn) in zip(axes, SAMPLES.items(), strict=True):
        assert row[0].get_ylabel() == label
        assert [panel.get_xlabel() for panel in row] == CAPTIONS[label]
        for panel, points in zip(row, drawn, strict=True):
            modes, samples = panel.collections
            np.testing.assert_array_equal(modes.get_offsets(), CENTRES)
            np.testing.assert_array_equal(samples.get_offsets(), points)
            assert panel.get_xlim() == panel.get_ylim() == (-3, 3)
            assert panel.get_aspect() == 1.0
    assert [panel.get_title() for panel in axes[0]] == HEADINGS


def test_panels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="'GAN' has 3 panels and 3 captions for 2 headings"):
        panels(headings=HEADINGS[:2])
    with pytest.raises(ValueError, match="'PacGAN2' has 3 panels and 1 captions"):
        panels(captions=CAPTIONS | {"PacGAN2": ["d"]})
    with pytest.raises(ValueError, match=r"samples\['GAN'\] have shape \(9, 1\)"):
        panels(samples={"GAN": [np.ones((9, 1))] * 3})


MODES = {"GAN": [[1, 3, 5], [3, 5, 7]], "WGAN-GP": [[8, 8, 8]]}
QUALITY = {"GAN": [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]], "WGAN-GP": [[0.9, 0.9, 0.9]]}


def coverage(**changes):
    arguments = {"modes": MODES, "high_quality": QUALITY, "total": 8, "ceiling": 0.989} | changes
    return plots.coverage_curves([0, 10, 20], **arguments)


def test_runs_are_drawn_as_their_mean_in_a_band_from_least_to_greatest():
    for panel, values, data in zip(coverage().axes, (MODES, QUALITY), (8, 0.989), strict=True):
        *lines, exact = panel.lines
        np.testing.assert_array_equal(exact.get_ydata(), data)
        for line, band, (label, runs) in zip(lines, panel.collections, values.items(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), np.mean(runs, axis=0))
            np.testing.assert_array_equal(line.get_xdata(), [0, 10, 20])
            assert line.get_label() == label
            assert to_hex(band.get_facecolor()[0]) == to_hex(line.get_color())
            corners = band.get_paths()[0].vertices
            for step, column in zip((0, 10, 20), np.transpose(runs), strict=True):
                at = corners[corners[:, 0] == step, 1]
                assert (at.min(), at.max()) == (column.min(), column.max())


def test_one_legend_names_what_both_panels_show():
    for figure, names in ((coverage(), ["GAN", "WGAN-GP", "data"]), (game(), ["alternating", "simultaneous", "exact"])):
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == names


def test_coverage_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected the same labels"):
        coverage(high_quality={"GAN": QUALITY["GAN"]})
    with pytest.raises(ValueError, match=r"modes\['GAN'\] has shape \(2, 2\), expected \(runs, 3\)"):
        coverage(modes=MODES | {"GAN": [[1, 2], [3, 4]]})
