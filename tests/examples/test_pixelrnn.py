"""PixelRNN on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import binarize, load_images
from minigen.models import BernoulliConditional, PixelRNN
from minigen.random import Generator
from minigen.training import CHECKPOINT, read_state

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SMALL = ["--steps", "4", "--features", "6", "--layers", "2", "--batch-size", "16"]
SHORT = [*SMALL, "--no-plots"]


def refused(monkeypatch, *options):
    """Run it where it is to end before its time; return how."""
    monkeypatch.setattr(sys, "argv", ["pixelrnn.py", *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "pixelrnn.py"), run_name="__main__")
    return ended.value.code


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    figures = run_here(
        monkeypatch, "pixelrnn", tmp_path, *SHORT, "--model", "row", "--binarization", "static", "--seed", "3"
    )
    state = read_state(tmp_path / CHECKPOINT)
    model = PixelRNN(
        (8, 8, 1), BernoulliConditional(), kind="row", features=6, layers=2, kernel_size=3, rng=Generator(0)
    )
    model.load_state({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    _, test = load_images("digits")
    x = binarize(test.unit(), protocol="static", key=1)
    log_p = model.log_prob(x).detach().numpy()
    assert figures["test_log_likelihood"] == pytest.approx(log_p.mean(), rel=1e-5)
    assert figures["bits_per_dimension"] == pytest.approx(-log_p.mean() / np.log(2) / 64, rel=1e-5)
    assert figures["epochs"] == 4 / 89


def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_and_sampled_alike(tmp_path, monkeypatch):
    unbroken = run_here(monkeypatch, "pixelrnn", tmp_path / "unbroken", *SHORT)
    loss, calls = PixelRNN.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(PixelRNN, "loss", loss_with_ctrl_c)
        assert "stopped after 2 of 4 steps" in refused(patch, *SHORT, "--out", tmp_path / "broken")
    resumed = run_here(monkeypatch, "pixelrnn", tmp_path / "broken", *SHORT, "--resume")
    assert without_time(resumed) == without_time(unbroken)

    (tmp_path / "unbroken" / "metrics.json").unlink()
    monkeypatch.setattr(sys, "argv", ["pixelrnn.py", "--evaluate", str(tmp_path / "unbroken"), "--no-plots"])
    runpy.run_path(str(FOLDER / "pixelrnn.py"), run_name="__main__")
    assert figures_in(tmp_path / "unbroken") == unbroken

    monkeypatch.setattr(sys, "argv", ["pixelrnn.py", "--sample", "7", "--out", str(tmp_path / "unbroken")])
    runpy.run_path(str(FOLDER / "pixelrnn.py"), run_name="__main__")
    with np.load(tmp_path / "unbroken" / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["row", "diagonal"])
def test_pictures(model, tmp_path, monkeypatch):
    run_here(monkeypatch, "pixelrnn", tmp_path, *SMALL, "--model", model, "--format", "svg")
    pictures = {f"{name}.svg" for name in ("samples", "completions", "receptive_field")}
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "metrics.json", "growing.gif", *pictures}


def test_an_odd_number_of_features_is_refused(tmp_path, monkeypatch):
    message = refused(monkeypatch, *SHORT, "--features", "5", "--out", tmp_path / "out")
    assert "features = 5 must be a multiple of 2" in message


@pytest.mark.slow
def test_the_default_run_draws_digits(tmp_path):
    _, figures = run_alone("pixelrnn", tmp_path, "--no-plots")
    assert figures["test_log_likelihood"] > -17.8
