"""The conditional VAE's lesson: figures that fit together, pictures, runs that are broken off, evaluated and sampled from, bad input."""

import re

import numpy as np
import pytest

from minigen import lessons
from minigen.data import load_images
from minigen.models import CVAE

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

SHORT = ["--steps", "12", "--hidden", "16", "--latent", "3", "--evaluation-k", "5"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "cvae", out, *SHORT, "--no-plots", *options)


def test_the_figures_of_the_smallest_setting_fit_together(tmp_path, monkeypatch):
    options = ["--steps", "3", "--hidden", "16", "--latent", "3", "--evaluation-k", "5", "--task", "class"]
    figures = run_here(monkeypatch, "cvae", tmp_path, *options, "--no-plots")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}
    assert (figures["visible"], figures["prior"], figures["hidden_pixels"], figures["test_images"]) == (
        0,
        "normal",
        64,
        359,
    )
    assert figures["elbo"] == pytest.approx(figures["log_likelihood"] - figures["divergence"], abs=1e-4)
    assert figures["elbo"] < figures["importance"] < 0
    for gap, own in (("gap_bound", "elbo"), ("gap_importance", "importance"), ("gap_prediction", "prediction")):
        assert figures[gap] == pytest.approx(figures[own] - figures["baseline"], abs=1e-4)
        assert 0 < figures[f"{gap}_error"] < 1
    assert 0.03 < figures["accuracy"] < 0.9  # hardly trained
    assert figures["baseline_best_monitored"] >= figures["baseline_last_monitored"]
    # From a one-hot class and y or z by 16 hidden units to 2 * 3 or 64 numbers.
    assert figures["baseline_parameters"] == (10 + 1) * 16 + (16 + 1) * 64
    assert figures["parameters"] == (64 + 10 + 1) * 16 + 17 * 6 + (3 + 10 + 1) * 16 + 17 * 64


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"task": "quadrants", "visible": 1, "prior": "conditional", "binarization": "threshold", "hidden": (200, 200),
         "latent": 10, "steps": 2000, "batch_size": 64, "learning_rate": 1e-3}),
        (["--task", "class"], {"visible": 0, "prior": "normal", "binarization": "threshold", "latent": 10}),
        (["--visible", "3", "--prior", "normal"], {"visible": 3, "prior": "normal"}),
        (["--data", "mnist"], {"visible": 1, "prior": "conditional", "binarization": "dynamic", "hidden": (500, 500),
         "latent": 50, "steps": 20_000, "batch_size": 100, "learning_rate": 1e-3}),
        (["--data", "fashion", "--task", "class"], {"visible": 0, "prior": "normal", "binarization": "dynamic", "latent": 50}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_task_and_the_data(words, expected):
    found = lessons.read_command_line(loaded("cvae")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.run.evaluation_k == 100


@pytest.mark.slow
def test_quadrants_with_pictures(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "cvae", tmp_path, *SHORT, "--visible", "2", "--format", "svg")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "training.svg", "completions.svg"}
    assert (figures["visible"], figures["hidden_pixels"], figures["test_images"]) == (2, 32, 359)
    assert "accuracy" not in figures
    # Hidden pixels only: twice as many would cost twice as much.
    assert abs(figures["baseline"]) < 1.05 * 32 * np.log(2)
    # Two layers from 64 numbers to 64; the latent's part comes on top.
    assert figures["baseline_parameters"] == (64 + 1) * 16 + (16 + 1) * 64
    assert figures["parameters"] == (128 + 1) * 16 + 17 * 6 + (67 + 1) * 16 + 17 * 64 + 65 * 16 + 17 * 6


@pytest.mark.slow
def test_classes_with_pictures(tmp_path, monkeypatch):
    run_here(monkeypatch, "cvae", tmp_path, *SHORT, "--task", "class")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "training.png", "classes_by_style.png"}
    run_here(monkeypatch, "cvae", tmp_path, "--sample", "12")
    with np.load(tmp_path / "samples.npz") as found:
        assert found["images"].shape == (12, 8, 8, 1)
        assert found["labels"].tolist() == [*range(10), 0, 1]


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_can_be_measured_again(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = run(monkeypatch, whole)
    words = interrupted(monkeypatch, "cvae", broken, *SHORT, where=(CVAE, "loss"), after=5)
    assert "stopped after 5 of 12 steps" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    assert entries(whole / "checkpoint.safetensors") == entries(broken / "checkpoint.safetensors")

    # --evaluate takes all settings from the run, whose folder it writes into.
    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, "cvae", broken, "--evaluate", broken, "--evaluation-k", "5", "--no-plots")
    assert without_time(again) == without_time(expected)


@pytest.mark.slow
def test_samples_keep_the_visible_pixels(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    run_here(monkeypatch, "cvae", tmp_path, "--sample", "6")
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
        (["--visible", "0"], "--visible is about quadrants"),
        (["--visible", "4"], "invalid choice '4' for argument '--visible'"),
        (["--alpha", "2"], "--alpha: 2.0 must be from 0 to 1"),
        (["--samples", "0"], "--samples: 0 must be at least 1"),
        (["--evaluation-k", "0"], "--evaluation-k: 0 must be at least 1"),
        (["--hidden"], "--hidden: the networks need at least one hidden layer"),
    ],
)
def test_bad_options_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "cvae", *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_other_bad_input_ends_with_a_sentence(tmp_path, monkeypatch):
    words = ended(monkeypatch, "cvae", "--sample", "2", "--out", tmp_path)
    assert re.search(r"error: there is no run in .*: name the folder of one with --out RUN", words)
    words = ended(monkeypatch, "cvae", "--data-dir", "x", "--out", tmp_path)
    assert "error: load_images: the digits are part of the package" in words


@pytest.mark.slow
@pytest.mark.parametrize("task", ["quadrants", "class"])
def test_it_beats_independent_pixels(task, tmp_path):
    _, figures = run_alone("cvae", tmp_path, "--task", task, "--no-plots")
    assert figures["gap_importance"] > 2.5
    assert figures["gap_bound"] > 1.8
    assert figures["importance"] > figures["prediction"] > figures["baseline"]
    assert figures.get("accuracy", 1.0) > 0.9
