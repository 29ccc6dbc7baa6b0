"""The examples of autoencoders: short runs, resumed, evaluated and sampled from; pictures; what they refuse."""

import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import load_images
from minigen.metrics import pca
from minigen.models import Together
from minigen.training import read_state

from .running import FOLDER, run_alone, run_here, without_time

SHORT = {
    "pca_vs_autoencoder": ["--hidden", "16", "--code", "3", "--steps"],
    "denoising_autoencoder": ["--hidden", "16", "--code", "4", "--corruption", "masking", "block", "--steps"],
    "segmentation": ["--widths", "3", "4", "--batch-size", "8", "--steps"],
}
PICTURES = {
    "pca_vs_autoencoder": {"reconstructions.svg", "training.svg", "surface.svg", "pixel_distances.svg"},
    "denoising_autoencoder": {"mended.svg", "filters.svg"},
    "segmentation": {"found.svg"},
}
EXAMPLES = pytest.mark.parametrize("name", SHORT)


def run(monkeypatch, name, out, *options, steps=6):
    return run_here(monkeypatch, name, out, *SHORT[name], str(steps), "--no-plots", *options)


def ended(monkeypatch, name, *options):
    """Run an example that ends before its time; return its last words."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return end.value.code


def interrupted(monkeypatch, name, out, after):
    """Run an example and press Ctrl-C in the midst of a step; return its last words."""
    loss, calls = Together.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == after:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Together, "loss", loss_with_ctrl_c)
        return ended(patch, name, *SHORT[name], 6, "--no-plots", "--out", out)


@EXAMPLES
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_measured_again_to_the_same_figures(name, tmp_path, monkeypatch):
    expected = run(monkeypatch, name, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    assert "stopped after 4 of 6 steps" in interrupted(monkeypatch, name, broken, after=4)
    assert without_time(run(monkeypatch, name, broken, "--resume")) == without_time(expected)
    one, other = (read_state(folder / "checkpoint.safetensors") for folder in (tmp_path / "unbroken", broken))
    for entry in one.keys() - {"run.seconds"}:
        np.testing.assert_array_equal(one[entry], other[entry], err_msg=entry)

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, name, broken, "--evaluate", str(broken), "--format", "svg")
    assert without_time(again) == without_time(expected)
    assert {path.name for path in broken.iterdir()} == {"checkpoint.safetensors", "metrics.json", *PICTURES[name]}


@EXAMPLES
def test_as_many_samples_as_asked_for_the_same_each_time(name, tmp_path, monkeypatch):
    run(monkeypatch, name, tmp_path, steps=2)
    drawn = []
    for _ in range(2):
        run_here(monkeypatch, name, tmp_path, "--sample", "7")
        with np.load(tmp_path / "samples.npz") as arrays:
            drawn.append(arrays["images"])
    side = 16 if name == "segmentation" else 8
    assert drawn[0].shape == (7, side, side, 1)
    np.testing.assert_array_equal(*drawn)
    assert (tmp_path / "samples.png").stat().st_size > 1000


def test_errors_of_principal_components_are_those_of_the_data(tmp_path, monkeypatch):
    figures = run(monkeypatch, "pca_vs_autoencoder", tmp_path, steps=1)
    training, test = load_images("digits")
    exact = pca(training.unit(), 3)
    for part, data in (("training", training), ("test", test)):
        assert figures[f"{part}_error"]["pca"] == pytest.approx(exact.reconstruction_error(data.unit()))
    distances, images, labels = figures["pixel_distances"], test.unit()[..., 0].astype(np.float64), test.labels
    nearest = [
        ((images[labels != label] - image) ** 2).sum(axis=(1, 2)).min()
        for image, label in zip(images, labels, strict=True)
    ]
    assert distances["other"] == pytest.approx(np.mean(nearest), rel=1e-4)
    shifted = np.concatenate([np.zeros((len(images), 8, 1)), images[:, :, :-1]], axis=2)
    assert distances["shifted"][:2] == pytest.approx([0, ((shifted - images) ** 2).sum(axis=(1, 2)).mean()])


def test_spoiled_images_are_as_far_from_the_whole_ones_as_they_are(tmp_path, monkeypatch):
    figures = run(monkeypatch, "denoising_autoencoder", tmp_path, steps=1)
    _, test = load_images("digits")
    images = test.unit().astype(np.float64)
    spoiled = figures["spoiled_error"]
    assert spoiled["none"] == 0
    assert spoiled["gaussian"] == pytest.approx(64 / 4, rel=0.03)  # variance 1/4 a pixel
    assert spoiled["masking"] == pytest.approx((images**2).sum(axis=(1, 2, 3)).mean() / 2, rel=0.03)
    assert set(figures["test_error"]) == {"none", "masking", "block"}


def test_another_run_is_refused(tmp_path, monkeypatch):
    run(monkeypatch, "pca_vs_autoencoder", tmp_path, steps=1)
    words = ended(monkeypatch, "pca_vs_autoencoder", *SHORT["pca_vs_autoencoder"], 1, "--seed", 3, "--out", tmp_path)
    assert "seed: 0 there, 3 now" in words


@EXAMPLES
def test_there_must_be_a_run_to_draw_from(name, tmp_path, monkeypatch):
    words = ended(monkeypatch, name, "--sample", 3, "--out", tmp_path / "typo")
    assert "error: " in words
    assert "does not exist" in words


def test_hidden_layers_are_not_convolutions(tmp_path, monkeypatch, capsys):
    assert ended(monkeypatch, "denoising_autoencoder", "--conv", "--hidden", 8, "--out", tmp_path) == 2
    assert "--hidden is about fully connected layers" in capsys.readouterr().err


@pytest.mark.slow
def test_linear_autoencoders_reach_principal_components_and_the_deep_one_does_better(tmp_path):
    _, figures = run_alone("pca_vs_autoencoder", tmp_path, "--no-plots")
    for part in ("training", "test"):
        errors = figures[f"{part}_error"]
        assert errors["linear"] == pytest.approx(errors["pca"], rel=0.01)
        assert errors["tied"] == pytest.approx(errors["pca"], rel=0.01)
        assert errors["deep"] < 0.6 * errors["pca"]
    assert figures["points_error"]["autoencoder"] < 0.05 * figures["points_error"]["pca"]
    assert figures["pixel_distances"]["shifted"][1] > 2 * figures["pixel_distances"]["other"]


@pytest.mark.slow
def test_each_model_mends_best_what_it_has_learnt_to_mend(tmp_path):
    _, figures = run_alone("denoising_autoencoder", tmp_path, "--no-plots")
    errors = figures["test_error"]
    for kind in ("masking", "block", "gaussian"):
        assert min(errors, key=lambda name: errors[name][kind]) == kind
        assert errors[kind][kind] < 0.5 * min(errors["none"][kind], figures["spoiled_error"][kind])


@pytest.mark.slow
def test_skip_connections_find_the_digits_better(tmp_path):
    _, figures = run_alone("segmentation", tmp_path, "--no-plots")
    judged = figures["intersection_over_union"]
    assert judged["skips"] > 0.65
    assert judged["skips"] > judged["plain"] + 0.05 > judged["all_ink"]
