"""The conditional GAN's lesson: accuracies, the sweep of the threshold, rows by class, evaluation and samples, bad input."""

import numpy as np
import pytest

from minigen import lessons

from .running import files_in, refusal, run_here, without_time

SHORT = ["--steps", "4", "--width", "4", "--latent", "8"]


@pytest.fixture(autouse=True)
def _short_extractor(monkeypatch):
    monkeypatch.setattr(lessons.gans, "EXTRACTOR_STEPS", 4)


def test_the_figures_of_a_short_run(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "conditional_gan", tmp_path, *SHORT, "--no-plots")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "generator.safetensors", "metrics.json"}
    for name in ("gan_train_accuracy", "gan_test_accuracy", "real_accuracy", "neighbour_accuracy"):
        assert 0 <= figures[name] <= 1
    assert figures["neighbour_accuracy_real"] > 0.9 > figures["neighbour_accuracy"]
    assert list(figures["truncation"]) == ["0.3", "0.5", "0.7", "1.0", "1.5", "2.0"]
    # A table of scales and one of shifts for each normalization of G; a vector for each class in D.
    assert figures["parameters"] == 8 * 4 * 8 + 8 * 16 * 4 + 4 * 16 * 1 + 1 + 10 * 2 * (8 + 4)
    assert figures["discriminator_parameters"] == 16 * 4 + 4 + 16 * 4 * 8 + 2 * 8 + 4 * 8 + 1 + 10 * 8


@pytest.mark.slow
def test_both_ways_of_telling_with_pictures_evaluation_and_samples(tmp_path, monkeypatch):
    ways = ["--tell-generator", "concatenation", "--tell-discriminator", "concatenation"]
    figures = run_here(monkeypatch, "conditional_gan", tmp_path, *SHORT, *ways)
    assert files_in(tmp_path) == {
        "checkpoint.safetensors", "generator.safetensors", "metrics.json", "training.png", "training.gif", "samples.png", "nearest.png",
        "classes.png", "truncation.png", "game.png",
    }  # fmt: skip
    assert figures["parameters"] == (8 + 10) * 4 * 8 + 8 * 16 * 4 + 4 * 16 * 1 + 1 + 2 * (8 + 4)
    again = run_here(monkeypatch, "conditional_gan", tmp_path, "--evaluate", tmp_path, "--no-plots")
    assert without_time(again) == without_time(figures)
    run_here(monkeypatch, "conditional_gan", tmp_path, "--sample", "12")
    with np.load(tmp_path / "samples.npz") as found:
        assert found["labels"].tolist() == [*range(10), 0, 1]
        assert found["images"].shape == (12, 8, 8, 1)


def test_an_unknown_way_of_telling_is_refused(capsys, monkeypatch):
    words = refusal(capsys, monkeypatch, "conditional_gan", "--tell-generator", "projection")
    assert "invalid choice 'projection' for argument '--tell-generator'" in words
