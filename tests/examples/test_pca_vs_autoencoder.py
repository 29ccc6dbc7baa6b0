"""The lesson on principal components: exact errors, runs that are broken off, evaluated again and sampled from; and what is learned."""

import numpy as np
import pytest

from minigen import lessons
from minigen.data import load_images
from minigen.metrics import pca, pixel_distances
from minigen.models import Together

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

NAME = "pca_vs_autoencoder"
SHORT = ["--hidden", "16", "--code", "3", "--no-plots"]


def run(monkeypatch, out, *options, steps=6):
    return run_here(monkeypatch, NAME, out, *SHORT, "--steps", steps, *options)


def test_errors_of_principal_components_are_those_of_the_data(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, steps=1)
    training, test = load_images("digits")
    exact = pca(training.unit(), 3)
    for part, data in (("training", training), ("test", test)):
        assert figures[f"{part}_error"]["pca"] == pytest.approx(exact.reconstruction_error(data.unit()))
        assert min(figures[f"{part}_error"].values()) == figures[f"{part}_error"]["pca"]  # after one step
        assert figures[f"{part}_images"] == len(data.images)
    distances = pixel_distances(test)
    assert figures["pixel_distances"] == {**distances._asdict(), "example": list(distances.example)}
    assert distances.shifted[1] > distances.other > distances.same
    deep = (64 + 1) * 16 + (16 + 1) * 3 + (3 + 1) * 16 + (16 + 1) * 64
    assert figures["parameters"] == {"linear": 65 * 3 + 4 * 64, "tied": 65 * 3 + 64, "deep": deep}
    assert 0 < figures["principal_angle"]["tied"] <= 90
    assert figures["points_error"]["pca"] < figures["points_error"]["autoencoder"]
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"hidden": (128, 64), "code": 8, "steps": 6000, "batch_size": 64, "learning_rate": 1e-2}),
        (["--data", "mnist"], {"hidden": (1000, 500, 250), "code": 30, "steps": 36_000, "batch_size": 100, "learning_rate": 1e-3}),
        (["--data", "fashion", "--code", "2"], {"hidden": (1000, 500, 250), "code": 2, "steps": 36_000, "learning_rate": 1e-3}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded(NAME)["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--code", "0"], "--code: 0 must be at least 1"),
        (["--hidden", "8", "0"], "--hidden: 0 must be at least 1"),
        (["--learning-rate", "0"], "--learning-rate: 0.0 must be above 0"),
        (["--data", "cifar"], "invalid choice 'cifar' for argument '--data'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, NAME, *options)


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_measured_again_to_the_same_figures(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    words = interrupted(monkeypatch, NAME, broken, *SHORT, "--steps", 6, where=(Together, "loss"), after=4)
    assert "stopped after 4 of 6 steps" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    one, other = (entries(folder / "checkpoint.safetensors") for folder in (tmp_path / "unbroken", broken))
    assert one == other

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, NAME, broken, "--evaluate", broken, "--format", "svg")
    assert without_time(again) == without_time(expected)
    pictures = {"reconstructions.svg", "training.svg", "surface.svg", "pixel_distances.svg"}
    assert files_in(broken) == {"checkpoint.safetensors", "metrics.json", *pictures}


@pytest.mark.slow
@pytest.mark.parametrize("code", [1, 3])
def test_as_many_samples_as_asked_for_the_same_each_time(code, tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, "--code", code, steps=2)
    drawn = []
    for _ in range(2):
        run_here(monkeypatch, NAME, tmp_path, "--sample", "7")
        with np.load(tmp_path / "samples.npz") as arrays:
            drawn.append(arrays["images"])
    assert drawn[0].shape == (7, 8, 8, 1)
    np.testing.assert_array_equal(*drawn)
    assert (tmp_path / "samples.png").stat().st_size > 1000


@pytest.mark.slow
def test_another_run_is_refused(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, steps=1)
    words = ended(monkeypatch, NAME, *SHORT, "--steps", 1, "--seed", 3, "--out", tmp_path)
    assert "seed: 0 there, 3 now" in words


def test_there_must_be_a_run_to_draw_from(tmp_path, monkeypatch):
    words = ended(monkeypatch, NAME, "--sample", 3, "--out", tmp_path / "typo")
    assert "error: there is no run in" in words


def test_there_are_not_more_components_than_pixels(tmp_path, monkeypatch):
    words = ended(monkeypatch, NAME, "--code", 65, "--out", tmp_path / "out")
    assert words == "error: --code: an image has 64 principal components, not 65"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_linear_autoencoders_reach_principal_components_and_the_deep_one_does_better(tmp_path):
    _, figures = run_alone(NAME, tmp_path, "--no-plots")
    for part in ("training", "test"):
        errors = figures[f"{part}_error"]
        assert errors["linear"] == pytest.approx(errors["pca"], rel=0.01)
        assert errors["tied"] == pytest.approx(errors["pca"], rel=0.01)
        assert errors["deep"] < 0.6 * errors["pca"]
    assert figures["points_error"]["autoencoder"] < 0.05 * figures["points_error"]["pca"]
    assert figures["pixel_distances"]["shifted"][1] > 2 * figures["pixel_distances"]["other"]
