"""Belief net, NADE and MADE on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import runpy
import signal
import sys

import numpy as np
import pytest

from minigen import plots
from minigen.data import binarize, load_images
from minigen.models import MADE
from minigen.random import Generator
from minigen.training import CHECKPOINT, read_state

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SHORT = ["--steps", "12", "--hidden", "20", "--no-plots"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "made", out, *SHORT, *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return how."""
    monkeypatch.setattr(sys, "argv", ["made.py", *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "made.py"), run_name="__main__")
    return ended.value.code


def files_in(out):
    return {path.name for path in out.iterdir()}


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--binarization", "static", "--seed", "3")
    assert files_in(tmp_path) == {CHECKPOINT, "metrics.json"}
    state = read_state(tmp_path / CHECKPOINT)
    made = MADE((8, 8, 1), hidden=(20,), rng=Generator(0))
    made.load_state({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    training, test = load_images("digits")
    for name, images, key in (("test", test, 1), ("training", training, 0)):
        log_p = made.log_prob(binarize(images.unit(), protocol="static", key=key)).detach().numpy()
        assert figures[f"{name}_log_likelihood"] == pytest.approx(log_p.mean(), rel=1e-5)
    assert figures["test_bits_per_pixel"] == pytest.approx(-figures["test_log_likelihood"] / np.log(2) / 64)
    assert figures["ordering_log_likelihoods"] == [pytest.approx(figures["test_log_likelihood"], rel=1e-5)]
    assert figures["parameters"] == 64 * 20 + 20 + 20 * 64 + 64
    assert figures["epochs"] == 12 / 14


def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_alike(tmp_path, monkeypatch):
    options = ["--orderings", "3", "--direct"]
    unbroken = run(monkeypatch, tmp_path / "unbroken", *options)
    loss, calls = MADE.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(MADE, "loss", loss_with_ctrl_c)
        words = refused(patch, tmp_path / "broken", *SHORT, *options)
    assert "stopped after 5 of 12 steps" in words
    assert without_time(run(monkeypatch, tmp_path / "broken", *options, "--resume")) == without_time(unbroken)

    (tmp_path / "unbroken" / "metrics.json").unlink()
    monkeypatch.setattr(sys, "argv", ["made.py", "--evaluate", str(tmp_path / "unbroken"), "--no-plots"])
    runpy.run_path(str(FOLDER / "made.py"), run_name="__main__")
    assert figures_in(tmp_path / "unbroken") == unbroken


def test_samples_of_a_finished_run(tmp_path, monkeypatch):
    run_here(monkeypatch, "made", tmp_path, "--model", "nade", "--steps", "3", "--no-plots")
    monkeypatch.setattr(sys, "argv", ["made.py", "--sample", "7", "--out", str(tmp_path)])
    runpy.run_path(str(FOLDER / "made.py"), run_name="__main__")
    with np.load(tmp_path / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}
    assert (tmp_path / "samples.png").is_file()


@pytest.mark.parametrize(
    ("options", "pictures"),
    [
        (("--model", "belief-net"), {"samples", "completions", "weights", "pixels"}),
        (("--orderings", "2"), {"samples", "completions", "weights", "pixels", "orderings"}),
    ],
)
def test_pictures(options, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "save_animation", lambda _, path: path.touch())  # it takes longest
    run_here(monkeypatch, "made", tmp_path, *options, "--steps", "2", "--format", "svg")
    assert files_in(tmp_path) == {CHECKPOINT, "metrics.json", "growing.gif", *(f"{name}.svg" for name in pictures)}


def test_growing_images_come_in_the_order_of_the_model_and_the_rest_is_blank(tmp_path, monkeypatch):
    frames = []
    monkeypatch.setattr(plots, "growing_images", lambda shown, **_: frames.extend(shown))
    monkeypatch.setattr(plots, "save_animation", lambda *_: None)
    run_here(monkeypatch, "made", tmp_path, "--ordering", "random", "--steps", "1", "--format", "svg")
    order = np.argsort(read_state(tmp_path / CHECKPOINT)["model.degrees.0"])
    assert (order != np.arange(64)).any()
    assert [pixels for pixels, _ in frames] == sorted({pixels for pixels, _ in frames})
    finished = frames[-1][1].reshape(-1, 64)
    for pixels, images in frames:
        np.testing.assert_array_equal(images.reshape(-1, 64)[:, order[:pixels]], finished[:, order[:pixels]])
        assert not images.reshape(-1, 64)[:, order[pixels:]].any()
    assert finished.any(axis=0).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "belief-net", "--hidden", "3"), "of which a belief net has none"),
        (("--model", "nade", "--hidden", "3", "3"), "nade has one hidden layer"),
        (("--model", "nade", "--orderings", "2"), "are made's, but --model nade is given"),
        (("--orderings", "0"), "0 is less than 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert refused(monkeypatch, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_model_is_refused_with_the_differences(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    words = refused(monkeypatch, tmp_path, *SHORT, "--model", "nade", "--resume")
    assert "model: 'made' there, 'nade' now" in words
    assert "does not exist: name the folder of a run" in refused(monkeypatch, tmp_path / "none", "--sample", "3")


@pytest.mark.slow
def test_hidden_units_tell_more_than_pairs_of_pixels(tmp_path):
    _, net = run_alone("made", tmp_path / "net", "--model", "belief-net", "--no-plots")
    _, made = run_alone("made", tmp_path / "made", "--no-plots")
    assert net["test_log_likelihood"] > -18.7
    assert made["test_log_likelihood"] > net["test_log_likelihood"] + 0.3
