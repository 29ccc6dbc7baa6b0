"""PixelCNN on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import binarize, load_images
from minigen.models import BernoulliConditional, GatedPixelCNN, PixelCNN
from minigen.random import Generator
from minigen.training import CHECKPOINT, read_state

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SMALL = ["--steps", "6", "--features", "6", "--layers", "2", "--batch-size", "16"]
SHORT = [*SMALL, "--no-plots"]


def refused(monkeypatch, *options):
    """Run it where it is to end before its time; return how."""
    monkeypatch.setattr(sys, "argv", ["pixelcnn.py", *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "pixelcnn.py"), run_name="__main__")
    return ended.value.code


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "pixelcnn", tmp_path, *SHORT, "--binarization", "static", "--seed", "3")
    state = read_state(tmp_path / CHECKPOINT)
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


def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_and_sampled_alike(tmp_path, monkeypatch):
    options = [*SHORT, "--model", "plain", "--no-classes"]
    unbroken = run_here(monkeypatch, "pixelcnn", tmp_path / "unbroken", *options)
    assert "accuracy" not in unbroken
    loss, calls = PixelCNN.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(PixelCNN, "loss", loss_with_ctrl_c)
        assert "stopped after 3 of 6 steps" in refused(patch, *options, "--out", tmp_path / "broken")
    resumed = run_here(monkeypatch, "pixelcnn", tmp_path / "broken", *options, "--resume")
    assert without_time(resumed) == without_time(unbroken)

    (tmp_path / "unbroken" / "metrics.json").unlink()
    monkeypatch.setattr(sys, "argv", ["pixelcnn.py", "--evaluate", str(tmp_path / "unbroken"), "--no-plots"])
    runpy.run_path(str(FOLDER / "pixelcnn.py"), run_name="__main__")
    assert figures_in(tmp_path / "unbroken") == unbroken

    monkeypatch.setattr(sys, "argv", ["pixelcnn.py", "--sample", "7", "--out", str(tmp_path / "unbroken")])
    runpy.run_path(str(FOLDER / "pixelcnn.py"), run_name="__main__")
    with np.load(tmp_path / "unbroken" / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--no-classes", "--features", "5"], ["--pixels", "logistics", "--coloured"]])
def test_pictures(options, tmp_path, monkeypatch):
    run_here(monkeypatch, "pixelcnn", tmp_path, *SMALL, *options, "--format", "svg")
    pictures = {f"{name}.svg" for name in ("samples", "completions", "receptive_field")}
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT, "metrics.json", "growing.gif", *pictures}


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        ([], ["gated: sees 35 of 35", "plain 3x3, untrained: sees 29 of 35"]),
        (["--model", "plain", "--kernel-size", "3"], ["plain: sees 29 of 35", "gated 3x3, untrained: sees 35 of 35"]),
    ],
)
def test_the_blind_spot_of_the_plain_network_shows(options, titles, tmp_path, monkeypatch):
    example = runpy.run_path(str(FOLDER / "pixelcnn.py"))
    monkeypatch.setattr(sys, "argv", ["pixelcnn.py", *options, "--out", str(tmp_path)])
    arguments = example["parse_arguments"]()
    figure = example["receptive_field"](example["Lesson"](*load_images("digits"), arguments), arguments)
    assert [axes.get_title() for axes in figure.axes] == titles


def test_options_that_mean_nothing_are_refused(tmp_path, monkeypatch, capsys):
    assert refused(monkeypatch, "--coloured", "--out", tmp_path / "out") == 2
    assert "colours have grey values" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert "PixelCNN: blocks = 2" in refused(
        monkeypatch, *SMALL, "--model", "plain", "--features", "5", "--out", tmp_path / "out"
    )


@pytest.mark.slow
def test_the_default_run_draws_and_reads_digits(tmp_path):
    _, figures = run_alone("pixelcnn", tmp_path, "--no-plots")
    assert figures["test_log_likelihood"] > -14.5
    assert figures["accuracy"] > 0.9
