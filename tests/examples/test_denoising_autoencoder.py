"""Denoising autoencoders: errors of damaged images, defaults, refusals; runs resumed, evaluated and sampled from; pictures."""

import numpy as np
import pytest

from minigen import lessons
from minigen.data import load_images
from minigen.models import Together

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

NAME = "denoising_autoencoder"
SHORT = ["--hidden", "16", "--code", "4", "--corruption", "masking", "block", "--no-plots", "--steps"]


def run(monkeypatch, out, *options, steps=6):
    return run_here(monkeypatch, NAME, out, *SHORT, steps, *options)


def test_damaged_images_are_as_far_from_the_whole_ones_as_they_must_be(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, steps=1)
    _, test = load_images("digits")
    images = test.unit().astype(np.float64)
    damaged = figures["spoiled_error"]
    assert list(damaged) == ["none", "gaussian", "masking", "salt-and-pepper", "block"]
    assert damaged["none"] == 0
    assert damaged["gaussian"] == pytest.approx(64 / 4, rel=0.03)  # variance 1/4 a pixel
    assert damaged["masking"] == pytest.approx((images**2).sum(axis=(1, 2, 3)).mean() / 2, rel=0.03)
    assert set(figures["test_error"]) == {"none", "masking", "block"}
    for errors in figures["test_error"].values():
        assert errors.keys() == damaged.keys()
        assert min(errors.values()) > 0
    assert figures["parameters"] == 65 * 16 + 17 * 4 + 5 * 16 + 17 * 64
    assert (figures["training_images"], figures["test_images"]) == (1438, 359)
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"hidden": (256,), "code": 64, "steps": 3000, "batch_size": 64}),
        (["--data", "mnist"], {"hidden": (1000,), "code": 250, "steps": 9000, "batch_size": 100}),
        (["--data", "fashion"], {"hidden": (1000,), "code": 250, "steps": 9000, "batch_size": 100}),
        (["--data", "mnist", "--conv"], {"hidden": (), "code": 250, "steps": 9000, "batch_size": 100}),
        (["--conv", "--corruption", "block"], {"hidden": (), "code": 64, "corruption": ("block",)}),
    ],
)
def test_defaults_depend_on_the_data_and_the_layers(words, expected):
    found = lessons.read_command_line(loaded(NAME)["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--conv", "--hidden", "8"], "--hidden is about fully connected layers"),
        (["--corruption"], "--corruption: name at least one of gaussian, masking, salt-and-pepper, block"),
        (["--corruption", "rain"], "invalid choice 'rain'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, NAME, *options)


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_measured_again_to_the_same_figures(tmp_path, monkeypatch):
    expected, broken = run(monkeypatch, tmp_path / "unbroken"), tmp_path / "broken"
    words = interrupted(monkeypatch, NAME, broken, *SHORT, "6", where=(Together, "loss"), after=4)
    assert "stopped after 4 of 6 steps" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    one, other = (entries(folder / "checkpoint.safetensors") for folder in (tmp_path / "unbroken", broken))
    assert one == other

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, NAME, broken, "--evaluate", broken, "--format", "svg")
    assert without_time(again) == without_time(expected)
    assert files_in(broken) == {"checkpoint.safetensors", "metrics.json", "mended.svg", "filters.svg"}


@pytest.mark.slow
def test_convolutions_have_no_filters_to_draw(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, NAME, tmp_path, "--conv", "--corruption", "salt-and-pepper", "--steps", "1")
    assert set(figures["test_error"]) == {"none", "salt-and-pepper"}
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "mended.png"}


@pytest.mark.slow
def test_as_many_samples_as_asked_for_the_same_each_time(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, steps=2)
    drawn = []
    for _ in range(2):
        run_here(monkeypatch, NAME, tmp_path, "--sample", "7")
        with np.load(tmp_path / "samples.npz") as arrays:
            drawn.append(arrays["images"])
    assert drawn[0].shape == (7, 8, 8, 1)
    np.testing.assert_array_equal(*drawn)
    assert (tmp_path / "samples.png").stat().st_size > 1000


@pytest.mark.slow
def test_there_must_be_a_run_to_draw_from(tmp_path, monkeypatch):
    words = ended(monkeypatch, NAME, "--sample", 3, "--out", tmp_path / "typo")
    assert words.startswith("error: there is no run in")
    assert not (tmp_path / "typo").exists()


@pytest.mark.slow
def test_each_model_restores_best_what_it_has_learned_to_restore(tmp_path):
    _, figures = run_alone(NAME, tmp_path, "--no-plots")
    errors = figures["test_error"]
    for kind in ("masking", "block", "gaussian"):
        assert min(errors, key=lambda name: errors[name][kind]) == kind
        assert errors[kind][kind] < 0.5 * min(errors["none"][kind], figures["spoiled_error"][kind])
