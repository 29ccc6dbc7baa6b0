"""The lesson on optimal transport: figures in closed form, curves against the metrics, pictures, and what is refused."""

import math

import numpy as np
import pytest

from minigen import metrics

from .running import files_in, loaded, refusal, run_here

TITLES = [
    "segments side by side, shifted by 2", "intervals on the line, shifted by 2", "Gaussians, std 1 and 0.5, shifted by 2", "Transport",
    "Largest violations in 300 triples over 4 outcomes",
]  # fmt: skip


def test_it_finds_which_of_them_are_distances(tmp_path, monkeypatch, capsys):
    figures = run_here(monkeypatch, "optimal_transport", tmp_path, "--triples", "300", "--no-plots", "--seed", "3")
    assert {name: found["violates"] for name, found in figures["axioms"].items()} == {
        "KL": ["symmetry", "triangle"], "JS": ["triangle"], "sqrt(JS)": [], "TV": [], "W1": [],
    }  # fmt: skip
    assert figures["boxes"]["sorted"]["distance"] == figures["boxes"]["reversed"]["distance"] == 28
    assert figures["boxes_least_cost"] == pytest.approx(28, rel=1e-12)
    assert figures["boxes_dual"] == pytest.approx(28, rel=1e-9)
    assert figures["boxes"]["sorted"]["squared"] < figures["boxes"]["reversed"]["squared"]
    for metric, other in (("euclidean", "manhattan"), ("manhattan", "euclidean")):
        assert figures["plane"][metric][metric] < figures["plane"][other][metric]
    assert figures["segments_by_linear_program"] == pytest.approx(2.0, rel=1e-9)
    assert figures["at_shift"]["intervals on the line"]["JS"] == [pytest.approx(math.log(2)), 0.0]
    assert figures["at_shift"]["intervals on the line"]["KL(p || q)"] == ["infinite", None]
    assert (figures["shift"], figures["triples"], figures["outcomes"], figures["seed"]) == (2, 300, 4, 3)
    assert files_in(tmp_path) == {"metrics.json"}
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line in TITLES] == TITLES
    assert next(line.split() for line in printed if line.startswith("JS  ")) == ["JS", "0.6931", "0.0000"]


@pytest.mark.slow
def test_it_draws_in_other_formats(tmp_path, monkeypatch):
    run_here(monkeypatch, "optimal_transport", tmp_path, "--triples", "1", "--format", "svg")
    pictures = files_in(tmp_path) - {"metrics.json"}
    assert pictures == {"divergences.svg", "ground_distances.svg", "plans.svg"}
    assert all("<svg" in (tmp_path / name).read_text() for name in pictures)


def test_the_gradients_are_those_of_the_curves():
    theta, step = np.array([-2.2, -0.7, 0.3, 0.9, 1.6]), 1e-5
    for pair in loaded("optimal_transport")["PAIRS"].values():
        (_, gradients), (above, _), (below, _) = pair(theta), pair(theta + step), pair(theta - step)
        for name, gradient in gradients.items():
            known = ~np.isnan(gradient)
            slope = (above[name][known] - below[name][known]) / (2 * step)
            np.testing.assert_allclose(gradient[known], slope, atol=1e-6)
            assert known.all() or np.isinf(above[name]).all()


def test_curves_jump_and_bend_where_they_should():
    theta = np.array([-1.0, 0.0, 1.0])
    example = loaded("optimal_transport")
    values, gradients = example["segments"](theta)
    for name in values:
        assert np.isnan(values[name][1]) == (name != "W1")  # but for W1, which is 0, they are 0 at a point of their own
        assert np.isnan(gradients[name][1])
    values, gradients = example["intervals"](theta)
    assert [found[1] for found in values.values()] == [0] * 5
    assert np.isnan(gradients["TV"]).all()  # it bends at 0, and where the intervals part
    np.testing.assert_array_equal(gradients["W1"], [-1, np.nan, 1])


def test_the_curves_of_intervals_are_those_of_the_metrics():
    # Intervals as 10 equal cells: p on the cells from 0 on, q on those from theta on, where theta is whole cells.
    for cells in (3, 9, 10, 22):
        p, q, places = np.zeros(32), np.zeros(32), np.arange(32) / 10
        p[:10], q[cells : cells + 10] = 0.1, 0.1
        values, _ = loaded("optimal_transport")["intervals"](np.array([cells / 10]))
        assert values["TV"][0] == pytest.approx(metrics.total_variation(p, q))
        assert values["JS"][0] == pytest.approx(metrics.jensen_shannon(p, q))
        assert values["KL(p || q)"][0] == values["KL(q || p)"][0] == metrics.kullback_leibler(p, q) == math.inf
        assert values["W1"][0] == pytest.approx(metrics.wasserstein1(places, places, a=p, b=q))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shift", "101"], "--shift: 101 is above 100"),
        (["--shift", "0"], "--shift: 0.0 must be above 0"),
        (["--triples", "0"], "--triples: 0 must be at least 1"),
        (["--outcomes", "1"], "--outcomes: 1 must be at least 2"),
        (["--device", "cpu"], "Unrecognized options: --device"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "optimal_transport", *options)
