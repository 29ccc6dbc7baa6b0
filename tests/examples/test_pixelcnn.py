"""PixelCNN on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minigen import lessons
from minigen.data import binarize, load_images
from minigen.models import BernoulliConditional, GatedPixelCNN, PixelCNN
from minigen.random import Generator
from minigen.training import read_state

from .running import ended, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

SMALL = ["--steps", "6", "--features", "6", "--layers", "2", "--batch-size", "16"]
SHORT = [*SMALL, "--no-plots"]


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "pixelcnn", tmp_path, *SHORT, "--binarization", "static", "--seed", "3")
    state = read_state(tmp_path / lessons.CHECKPOINT)
    model = GatedPixelCNN((8, 8, 1), BernoulliConditional(), features=6, layers=2, classes=10, rng=Generator(0))
    model.load_state({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    _, test = load_images("digits")
    x = binarize(test.unit(), protocol="static", key=1)
    log_p = model.log_prob(x, test.labels).detach().numpy()
    assert figures["test_log_likelihood"] == pytest.approx(log_p.mean(), rel=1e-5)
    assert figures["bits_per_dimension"] == pytest.approx(-log_p.mean() / np.log(2) / 64, rel=1e-5)
    read = model.class_log_probabilities(x).argmax(axis=1)
    assert figures["accuracy"] == pytest.approx((read == test.labels).mean())
    assert figures["epochs"] == 6 / 89
    assert figures["classes"] is True
    assert figures["parameters"] == model.count_parameters()
    assert files_in(tmp_path) == {lessons.CHECKPOINT, "metrics.json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"model": "gated", "classes": True, "features": 24, "layers": 5, "kernel_size": 7, "steps": 600, "batch_size": 64,
         "learning_rate": 3e-3}),
        (["--model", "plain", "--no-classes"], {"classes": False, "features": 48, "steps": 600}),
        (["--data", "mnist", "--no-classes"], {"classes": False, "features": 24, "steps": 6000, "kernel_size": 7}),
        (["--data", "fashion", "--model", "plain", "--features", "8"], {"features": 8, "steps": 6000}),
        (["--pixels", "logistics", "--coloured"], {"coloured": True, "pixels": "logistics"}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data_and_the_network(words, expected):
    found = lessons.read_command_line(loaded("pixelcnn")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_and_sampled_alike(tmp_path, monkeypatch):
    options, folder = [*SHORT, "--model", "plain", "--no-classes"], tmp_path / "unbroken"
    unbroken = run_here(monkeypatch, "pixelcnn", folder, *options)
    assert "accuracy" not in unbroken
    assert unbroken["classes"] is False
    assert "--no-classes" in unbroken["command"].split()
    words = interrupted(monkeypatch, "pixelcnn", tmp_path / "broken", *options, where=(PixelCNN, "loss"), after=3)
    assert "stopped after 3 of 6 steps" in words
    resumed = run_here(monkeypatch, "pixelcnn", tmp_path / "broken", *options, "--resume")
    assert without_time(resumed) == without_time(unbroken)

    (folder / "metrics.json").unlink()
    assert run_here(monkeypatch, "pixelcnn", folder, "--evaluate", folder, "--no-plots") == unbroken

    run_here(monkeypatch, "pixelcnn", folder, "--sample", "7")
    with np.load(folder / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--no-classes", "--features", "5"], ["--pixels", "logistics", "--coloured"]])
def test_pictures(options, tmp_path, monkeypatch):
    run_here(monkeypatch, "pixelcnn", tmp_path, *SMALL, *options, "--format", "svg")
    pictures = {f"{name}.svg" for name in ("samples", "completions", "receptive_field")}
    assert files_in(tmp_path) == {lessons.CHECKPOINT, "metrics.json", "growing.gif", *pictures}


@pytest.mark.slow
def test_grey_values_have_the_levels_of_the_data(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "pixelcnn", tmp_path, *SHORT, "--pixels", "categorical")
    assert figures["bits_per_dimension"] == pytest.approx(-figures["test_log_likelihood"] / np.log(2) / 64)
    run_here(monkeypatch, "pixelcnn", tmp_path, "--sample", "20")
    with np.load(tmp_path / "samples.npz") as arrays:
        assert 1 < arrays["samples"].max() <= 16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "titles"),
    [
        ([], ["gated: sees 35 of 35", "plain 3x3, untrained: sees 29 of 35"]),
        (["--model", "plain", "--kernel-size", "3"], ["plain: sees 29 of 35", "gated 3x3, untrained: sees 35 of 35"]),
    ],
)
def test_the_blind_spot_of_the_plain_network_shows(options, titles):
    example = loaded("pixelcnn")
    lesson = example["Lesson"](lessons.read_command_line(example["defaults"], options))
    figure = lesson.receptive_field(lesson.both_kinds())
    assert [axes.get_title() for axes in figure.axes] == titles
    plt.close(figure)


def test_options_that_mean_nothing_are_refused(tmp_path, monkeypatch, capsys):
    out = ["--out", tmp_path / "out"]
    assert "colours have grey values" in refusal(capsys, monkeypatch, "pixelcnn", "--coloured", *out)
    assert "--kernel-size: 2 must be at least 3" in refusal(capsys, monkeypatch, "pixelcnn", "--kernel-size", "2", *out)
    words = ended(monkeypatch, "pixelcnn", *SMALL, "--model", "plain", "--features", "5", *out)
    assert "PixelCNN: blocks = 2" in words
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_default_run_draws_and_reads_digits(tmp_path):
    _, figures = run_alone("pixelcnn", tmp_path, "--no-plots")
    assert figures["test_log_likelihood"] > -14.5
    assert figures["accuracy"] > 0.9
