"""The conditional VAE's example: what it leaves, runs that are broken off and resumed, figures and samples of a finished run, bad input."""

import re
import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import load_images
from minigen.models import CVAE
from minigen.training import read_state

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SHORT = ["--steps", "12", "--hidden", "16", "--latent", "3", "--evaluation-k", "5"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "cvae", out, *SHORT, "--no-plots", *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return its last words."""
    monkeypatch.setattr(sys, "argv", ["cvae.py", *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "cvae.py"), run_name="__main__")
    return ended.value.code


def files_in(out):
    return {path.name for path in out.iterdir()}


def test_quadrants_with_pictures(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "cvae", tmp_path, *SHORT, "--visible", "2", "--format", "svg")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "training.svg", "completions.svg"}
    assert (figures["visible"], figures["hidden_pixels"], figures["test_images"]) == (2, 32, 359)
    assert figures["elbo"] == pytest.approx(figures["log_likelihood"] - figures["divergence"], abs=1e-4)
    assert figures["elbo"] < figures["importance"] < 0
    for gap, own in (("gap_bound", "elbo"), ("gap_importance", "importance"), ("gap_prediction", "prediction")):
        assert figures[gap] == pytest.approx(figures[own] - figures["baseline"], abs=1e-4)
        assert 0 < figures[f"{gap}_error"] < 1
    assert abs(figures["baseline"]) < 1.05 * 32 * np.log(
        2
    )  # hidden pixels only: twice as many would cost twice as much
    # Two layers from 64 numbers to 64; the latent's part comes on top.
    assert figures["baseline_parameters"] == (64 + 1) * 16 + (16 + 1) * 64
    assert figures["parameters"] == (128 + 1) * 16 + 17 * 6 + (67 + 1) * 16 + 17 * 64 + 65 * 16 + 17 * 6


def test_classes_with_pictures_and_the_rule_of_bayes(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "cvae", tmp_path, *SHORT, "--task", "class")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "training.png", "classes_by_style.png"}
    assert (figures["prior"], figures["hidden_pixels"]) == ("normal", 64)
    assert 0.05 < figures["accuracy"] < 0.9  # hardly trained
    assert figures["visible"] is None


def test_a_resumed_run_ends_as_an_unbroken_one_and_can_be_measured_again(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    loss, calls = CVAE.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(CVAE, "loss", loss_with_ctrl_c)
        assert "stopped after 5 of 12 steps" in refused(patch, tmp_path / "broken", *SHORT)
    found = run(monkeypatch, tmp_path / "broken", "--resume")
    assert without_time(found) == without_time(expected)
    one, other = (read_state(tmp_path / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
    for name in one.keys() - {"run.seconds"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)

    # --evaluate takes all settings from the run, whose folder it writes into.
    (tmp_path / "broken" / "metrics.json").unlink()
    options = ["--evaluate", str(tmp_path / "broken"), "--evaluation-k", "5", "--no-plots"]
    monkeypatch.setattr(sys, "argv", ["cvae.py", *options])
    runpy.run_path(str(FOLDER / "cvae.py"), run_name="__main__")
    assert without_time(figures_in(tmp_path / "broken")) == without_time(expected)


def test_samples_keep_the_visible_pixels(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    monkeypatch.setattr(sys, "argv", ["cvae.py", "--sample", "6", "--out", str(tmp_path)])
    runpy.run_path(str(FOLDER / "cvae.py"), run_name="__main__")
    with np.load(tmp_path / "samples.npz") as found:
        images, completed = found["images"], found["completed"]
    assert images.shape == (6, 8, 8, 1)
    assert set(np.unique(images)) == {0.0, 1.0}
    _, test = load_images("digits")
    originals = (test.unit()[completed] >= 0.5).astype("float32")
    np.testing.assert_array_equal(images[:, 4:, :4], originals[:, 4:, :4])
    assert (images != originals).any()
    assert (tmp_path / "samples.png").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "class", "--visible", "1"], "--visible is about quadrants"),
        (["--visible", "4"], "--visible: invalid choice"),
        (["--alpha", "2"], "2 is not in"),
        (["--samples", "0"], "0 is less than 1"),
        (["--evaluation-k", "0"], "0 is less than 1"),
    ],
)
def test_bad_options_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert refused(monkeypatch, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_bad_input_ends_with_a_sentence(tmp_path, monkeypatch):
    assert re.search(r"error: .* does not exist: name the folder", refused(monkeypatch, tmp_path, "--sample", "2"))
    assert "error: load_images: the digits are part of the package" in refused(monkeypatch, tmp_path, "--data-dir", "x")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["quadrants", "class"])
def test_it_beats_independent_pixels(task, tmp_path):
    _, figures = run_alone("cvae", tmp_path, "--task", task, "--no-plots")
    assert figures["gap_importance"] > 2.5
    assert figures["gap_bound"] > 1.8
    assert figures["importance"] > figures["prediction"] > figures["baseline"]
    assert figures.get("accuracy", 1.0) > 0.9
