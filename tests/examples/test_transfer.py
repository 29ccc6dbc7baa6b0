"""The example of transfer: what it leaves, how it learns from few labels, runs that are broken off and resumed, bad input."""

import re
import runpy
import signal
import sys

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from minigen import metrics
from minigen.data import load_images
from minigen.models import Together
from minigen.random import Generator

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SHORT = ["--steps", "8", "--anomaly-steps", "4", "--hidden", "12", "--latent", "3", "--draws", "2", "--labels", "20"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "transfer", out, *SHORT, "--held-out", "3", "--no-plots", *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return its last words."""
    monkeypatch.setattr(sys, "argv", ["transfer.py", *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "transfer.py"), run_name="__main__")
    return ended.value.code


@pytest.fixture(scope="module")
def example():
    """The example's functions."""
    return runpy.run_path(str(FOLDER / "transfer.py"), run_name="example")


def test_what_it_leaves(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "transfer", tmp_path, *SHORT, "--held-out", "3", "--format", "svg")
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint.safetensors", "without-3.safetensors", "metrics.json", "accuracies.svg", "scores-3.svg",
    }  # fmt: skip
    assert len(figures["accuracy"]) == len(figures["accuracy_spread"]) == 8
    assert figures["gain"]["linear: pixels"] == figures["gain"]["fine-tuned: random weights"] == 0
    for name, baseline in (("linear: VAE, code", "linear: pixels"), ("fine-tuned: VAE", "fine-tuned: random weights")):
        difference = figures["accuracy"][name] - figures["accuracy"][baseline]
        assert figures["gain"][name] == pytest.approx(difference)
    assert figures["accuracy"]["linear: pixels"] > 0.6  # which needs no training of the two models
    assert {name: list(areas) for name, areas in figures["auroc"].items()} == {"autoencoder": ["3"], "VAE": ["3"]}


def test_a_resumed_run_ends_as_an_unbroken_one_and_can_be_measured_again(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    loss, calls = Together.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(Together, "loss", loss_with_ctrl_c)
        assert "stopped after 2 of 4 steps" in refused(patch, broken, *SHORT, "--held-out", "3", "--no-plots")
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)

    (broken / "metrics.json").unlink()
    monkeypatch.setattr(sys, "argv", ["transfer.py", "--evaluate", str(broken), "--no-plots"])
    runpy.run_path(str(FOLDER / "transfer.py"), run_name="__main__")
    assert without_time(figures_in(broken)) == without_time(expected)

    monkeypatch.setattr(sys, "argv", ["transfer.py", "--sample", "5", "--out", str(broken)])
    runpy.run_path(str(FOLDER / "transfer.py"), run_name="__main__")
    with np.load(broken / "samples.npz") as found:
        assert found["images"].shape == (5, 8, 8, 1)


def test_labels_are_drawn_as_many_of_each_class(example):
    training, _ = load_images("digits")
    one, again, other = (example["labelled"](training, 30, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert len(set(one)) == 30
    assert set(one) != set(other)
    np.testing.assert_array_equal(np.bincount(training.labels[one]), 3)


def test_the_linear_classifier_is_at_the_minimum_of_its_penalized_loss(example):
    training, _ = load_images("digits")
    chosen = example["labelled"](training, 30, 0)
    x = training.unit()[chosen].reshape(30, 64) - 0.3
    labels = training.labels[chosen]
    network = example["linear_classifier"](x, labels, "cpu")

    def objective(parameters):
        w, b = parameters[:640].reshape(64, 10), parameters[640:]
        log_p = log_softmax(x @ w + b, axis=1)
        wrong = np.exp(log_p) - np.eye(10)[labels]
        gradient = np.concatenate([(x.T @ wrong / 30 + example["WEIGHT_DECAY"] * w).ravel(), wrong.mean(axis=0)])
        return 0.5 * example["WEIGHT_DECAY"] * (w**2).sum() - log_p[np.arange(30), labels].mean(), gradient

    best = minimize(objective, np.zeros(650), jac=True, method="L-BFGS-B")
    found = np.concatenate([network.weight.data.ravel(), network.bias.data])
    assert objective(found)[0] == pytest.approx(best.fun, rel=2e-3)
    assert objective(np.zeros(650))[0] > 1.2 * best.fun


def test_fine_tuning_begins_with_the_encoder_and_leaves_it_alone(example):
    from minigen.models import mlp_vae

    training, _ = load_images("digits")
    chosen = example["labelled"](training, 20, 0)
    encoder = mlp_vae(size=(8, 8, 1), hidden=(6,), latent=2, rng=Generator(0)).encoder
    before = {name: array.copy() for name, array in encoder.state().items()}
    network = example["fine_tuned"](encoder, training.unit()[chosen], training.labels[chosen], rng=Generator(1))
    for name, array in encoder.state().items():
        np.testing.assert_array_equal(array, before[name])
    first, own = network[1].weight.data, encoder[1].weight.data
    assert first.shape == own.shape
    assert 0 < np.abs(first - own).max() < 1  # moved, from there
    assert np.corrcoef(first.ravel(), own.ravel())[0, 1] > 0.5


def test_a_score_that_is_high_for_what_was_held_out_has_an_area_near_one(example, tmp_path):
    """Blank images for a class: after some steps on ink they stand out; an area of scores with the wrong sign would be near 0."""
    training, test = load_images("digits")
    strange = test._replace(images=np.where(test.labels[:, None, None, None] == 3, 16 - test.images, test.images))
    arguments = example["argparse"].Namespace(
        device="cpu", seed=0, hidden=[32], latent=4, learning_rate=5e-3, batch_size=64, out=tmp_path,
        data="digits", held_out=[3], labels=20, draws=2, anomaly_steps=100,
    )  # fmt: skip
    pair = example["Pair"](training, "x.safetensors", 100, arguments)
    pair.run.progress, pair.run.checkpoint = False, None
    pair.learn()
    for scores in example["anomaly_scores"](pair, strange).values():
        assert scores.shape == (359,)
        assert metrics.auroc(scores, test.labels == 3) > 0.99


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--held-out", "ten"], "'ten' is neither a class"),
        (["--draws", "1"], "1 is less than 2"),
        (["--labels", "0"], "0 is less than 1"),
    ],
)
def test_bad_options_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert refused(monkeypatch, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("labels", ["15", "100000"])
def test_labels_that_cannot_be_drawn_are_refused(labels, tmp_path, monkeypatch):
    words = refused(monkeypatch, tmp_path / "out", "--labels", labels)
    assert re.search(rf"error: --labels {labels}: expected a multiple of the 10 classes, up to \d+", words)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_most_digits_are_found_that_were_held_out(tmp_path):
    _, figures = run_alone("transfer", tmp_path, "--no-plots")
    assert np.mean(list(figures["auroc"]["autoencoder"].values())) > 0.8
    assert figures["accuracy"]["linear: pixels"] > 0.88
    assert figures["accuracy"]["fine-tuned: autoencoder"] > 0.88
