"""The lesson on transfer: what it leaves, anomalies, runs that are broken off and resumed, bad input."""

import re

import numpy as np
import pytest

from minigen import lessons, metrics
from minigen.models import Together

from .running import SMALLEST, ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

SHORT = ["--steps", "8", "--anomaly-steps", "4", "--hidden", "12", "--latent", "3", "--draws", "2", "--labels", "20"]


def test_gains_are_over_the_baseline_of_their_kind_in_the_smallest_setting(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "transfer", tmp_path, *SMALLEST["transfer"], "--no-plots")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "without-4.safetensors", "metrics.json"}
    assert len(figures["accuracy"]) == len(figures["accuracy_spread"]) == 8
    assert figures["gain"]["linear: pixels"] == figures["gain"]["fine-tuned: random weights"] == 0
    for name, accuracy in figures["accuracy"].items():
        baseline = {"linear": "linear: pixels", "fine-tuned": "fine-tuned: random weights"}[name.partition(":")[0]]
        assert figures["gain"][name] == pytest.approx(accuracy - figures["accuracy"][baseline])
    assert figures["accuracy"]["linear: pixels"] > 0.85  # which needs no training of the two models
    assert {name: list(areas) for name, areas in figures["auroc"].items()} == {"autoencoder": ["4"], "VAE": ["4"]}
    assert figures["held_out"] == [4]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"labels": 100, "draws": 10, "held_out": tuple(range(10)), "hidden": (128,), "latent": 16, "steps": 1500,
         "anomaly_steps": 700, "batch_size": 64, "learning_rate": 2e-3}),
        (["--held-out", "3", "8"], {"held_out": (3, 8)}),
        (["--data", "mnist"], {"hidden": (500,), "latent": 50, "steps": 12_000, "anomaly_steps": 3000, "batch_size": 100,
         "learning_rate": 2e-3}),
        (["--data", "fashion"], {"hidden": (500,), "latent": 50, "steps": 12_000, "anomaly_steps": 3000, "batch_size": 100}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded("transfer")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_pair_learns_from_all_images_but_those_of_its_class():
    settings = loaded("transfer")["Settings"](hidden=(4,), latent=2)
    everything, without = (loaded("transfer")["Pair"](settings, without=k) for k in (None, 7))
    assert set(without.training.labels) == set(range(10)) - {7}
    assert len(everything.training.labels) == len(without.training.labels) + (everything.training.labels == 7).sum()
    assert (everything.run.steps, without.run.steps) == (1500, 700)


@pytest.mark.slow
def test_what_it_leaves_with_pictures(tmp_path, monkeypatch):
    run_here(monkeypatch, "transfer", tmp_path, *SHORT, "--held-out", "3", "--format", "svg")
    assert files_in(tmp_path) == {
        "checkpoint.safetensors", "without-3.safetensors", "metrics.json", "accuracies.svg", "scores-3.svg",
    }  # fmt: skip
    run_here(monkeypatch, "transfer", tmp_path / "two", *SHORT, "--held-out", "3", "5")
    names = {path.stem for path in (tmp_path / "two").glob("*.png")}
    assert names == {"accuracies", "auroc", "scores-3", "scores-5"}


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_can_be_measured_again(tmp_path, monkeypatch):
    options = [*SHORT, "--held-out", "3", "--no-plots"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = run_here(monkeypatch, "transfer", whole, *options)
    words = interrupted(monkeypatch, "transfer", broken, *options, where=(Together, "loss"), after=10)
    assert "stopped after 2 of 4 steps" in words
    assert without_time(run_here(monkeypatch, "transfer", broken, *options, "--resume")) == without_time(expected)
    for file in ("checkpoint.safetensors", "without-3.safetensors"):
        assert entries(whole / file) == entries(broken / file)

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, "transfer", broken, "--evaluate", broken, "--no-plots")
    assert without_time(again) == without_time(expected)

    run_here(monkeypatch, "transfer", broken, "--sample", "5")
    with np.load(broken / "samples.npz") as found:
        assert found["images"].shape == (5, 8, 8, 1)


@pytest.mark.slow
def test_a_score_that_is_high_for_what_was_held_out_has_an_area_near_one():
    """Blank images for a class: after some steps on ink they stand out; an area of scores with the wrong sign would be near 0."""
    settings = loaded("transfer")["Settings"](hidden=(32,), latent=4, learning_rate=5e-3, steps=100)
    pair = loaded("transfer")["Pair"](settings)
    pair.run.progress, pair.run.checkpoint = False, None
    pair.train()
    test = pair.test
    strange = np.where(test.labels[:, None, None, None] == 3, 1 - test.unit(), test.unit())
    for scores in pair.anomaly_scores(strange).values():
        assert scores.shape == (359,)
        assert metrics.auroc(scores, test.labels == 3) > 0.99


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--held-out", "ten"], "Error parsing --held-out"),
        (["--held-out", "10"], "--held-out: 10 must be from 0 to 9"),
        (["--held-out", "4", "4"], "--held-out: name at least one class, and each of them once"),
        (["--held-out"], "--held-out: name at least one class"),
        (["--hidden"], "--hidden: the encoders need at least one hidden layer"),
        (["--draws", "1"], "--draws: 1 must be at least 2"),
        (["--labels", "0"], "--labels: 0 must be at least 1"),
    ],
)
def test_bad_options_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "transfer", *options)


@pytest.mark.parametrize("labels", ["15", "100000"])
def test_labels_that_cannot_be_drawn_are_refused(labels, tmp_path, monkeypatch):
    words = ended(monkeypatch, "transfer", "--labels", labels, "--out", tmp_path / "out")
    assert re.search(rf"error: --labels {labels}: expected a multiple of the 10 classes, up to \d+", words)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_most_digits_are_found_that_were_held_out(tmp_path):
    _, figures = run_alone("transfer", tmp_path, "--no-plots")
    assert np.mean(list(figures["auroc"]["autoencoder"].values())) > 0.8
    assert figures["accuracy"]["linear: pixels"] > 0.88
    assert figures["accuracy"]["fine-tuned: autoencoder"] > 0.88
