"""PixelRNN on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import numpy as np
import pytest

from minigen import lessons
from minigen.data import binarize, load_images
from minigen.models import BernoulliConditional, PixelRNN
from minigen.random import Generator
from minigen.training import read_state

from .running import ended, files_in, interrupted, loaded, run_alone, run_here, without_time

SMALL = ["--steps", "4", "--features", "6", "--layers", "2", "--batch-size", "16"]
SHORT = [*SMALL, "--no-plots"]


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    options = ["--model", "row", "--binarization", "static", "--seed", "3"]
    figures = run_here(monkeypatch, "pixelrnn", tmp_path, *SHORT, *options)
    state = read_state(tmp_path / lessons.CHECKPOINT)
    network = {"kind": "row", "features": 6, "layers": 2, "kernel_size": 3}
    model = PixelRNN((8, 8, 1), BernoulliConditional(), **network, rng=Generator(0))
    model.load_state({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    _, test = load_images("digits")
    x = binarize(test.unit(), protocol="static", key=1)
    log_p = model.log_prob(x).detach().numpy()
    assert figures["test_log_likelihood"] == pytest.approx(log_p.mean(), rel=1e-5)
    assert figures["bits_per_dimension"] == pytest.approx(-log_p.mean() / np.log(2) / 64, rel=1e-5)
    assert figures["epochs"] == 4 / 89
    assert figures["parameters"] == model.count_parameters()
    assert files_in(tmp_path) == {lessons.CHECKPOINT, "metrics.json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"model": "diagonal", "layers": 3, "features": 32, "kernel_size": 3, "steps": 1200, "batch_size": 64,
         "learning_rate": 3e-3}),
        (["--data", "mnist"], {"kernel_size": 7, "steps": 12_000, "features": 32, "batch_size": 64}),
        (["--data", "fashion", "--kernel-size", "5"], {"kernel_size": 5, "steps": 12_000}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded("pixelrnn")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_and_sampled_alike(tmp_path, monkeypatch):
    folder = tmp_path / "unbroken"
    unbroken = run_here(monkeypatch, "pixelrnn", folder, *SHORT)
    words = interrupted(monkeypatch, "pixelrnn", tmp_path / "broken", *SHORT, where=(PixelRNN, "loss"), after=2)
    assert "stopped after 2 of 4 steps" in words
    resumed = run_here(monkeypatch, "pixelrnn", tmp_path / "broken", *SHORT, "--resume")
    assert without_time(resumed) == without_time(unbroken)

    (folder / "metrics.json").unlink()
    assert run_here(monkeypatch, "pixelrnn", folder, "--evaluate", folder, "--no-plots") == unbroken

    run_here(monkeypatch, "pixelrnn", folder, "--sample", "7")
    with np.load(folder / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["row", "diagonal"])
def test_pictures(model, tmp_path, monkeypatch):
    run_here(monkeypatch, "pixelrnn", tmp_path, *SMALL, "--model", model, "--format", "svg")
    pictures = {f"{name}.svg" for name in ("samples", "completions", "receptive_field")}
    assert files_in(tmp_path) == {lessons.CHECKPOINT, "metrics.json", "growing.gif", *pictures}


def test_an_odd_number_of_features_is_refused(tmp_path, monkeypatch):
    message = ended(monkeypatch, "pixelrnn", *SHORT, "--features", "5", "--out", tmp_path / "out")
    assert "features = 5 must be a multiple of 2" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_default_run_draws_digits(tmp_path):
    _, figures = run_alone("pixelrnn", tmp_path, "--no-plots")
    assert figures["test_log_likelihood"] > -17.8
