"""The VAE's lesson: figures that fit together, pictures, runs that are broken off, evaluated again and sampled from; bad input."""

import json
import re

import numpy as np
import pytest

from minigen import lessons
from minigen.data import load_digits, split
from minigen.models import VAE, Autoencoder, ConvClassifier
from minigen.random import Generator
from minigen.training import read_state, save_classifier

from .running import ended, entries, figures_in, files_in, interrupted, loaded, refusal, run_here, without_time

SHORT = ["--steps", "30", "--hidden", "16", "--latent", "3", "--evaluation-k", "5"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "vae", out, *SHORT, "--no-plots", *options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run in bits, which no test changes."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        run(patch, out, "--likelihood", "bernoulli")
    return out


def test_the_figures_of_a_short_run_fit_together(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--likelihood", "bernoulli")
    assert figures["binarization"] == "dynamic"
    assert figures["elbo"] == pytest.approx(figures["reconstruction_term"] - figures["divergence"], rel=1e-5)
    assert sum(figures["unit_divergences"]) == pytest.approx(figures["divergence"], rel=1e-4)
    assert figures["elbo"] < figures["log_likelihood"] < 0  # of bits; L_5 is above the ELBO
    assert figures["bits_per_dimension"] == pytest.approx(-figures["log_likelihood"] / 64 / np.log(2))
    assert figures["active_units"] == sum(activity > 0.01 for activity in figures["activity"])
    assert figures["parameters"] == (64 + 1) * 16 + (16 + 1) * 6 + (3 + 1) * 16 + (16 + 1) * 64
    assert (figures["test_images"], figures["evaluation_k"], figures["steps"]) == (359, 5, 30)
    assert read_state(tmp_path / "checkpoint.safetensors")["snapshots.taken"] == 2  # before step 0, and after an epoch
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}


@pytest.mark.slow
def test_grey_pixels_are_given_noise_between_their_levels(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--k", "3")
    assert (figures["likelihood"], figures["binarization"]) == ("gaussian-learned", "none")
    # A density of pixels in [0, 1] is 17 times as high as one of pixels in [0, 17].
    bits = np.log2(17) - figures["log_likelihood"] / 64 / np.log(2)
    assert figures["bits_per_dimension"] == pytest.approx(bits)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"likelihood": "gaussian-learned", "hidden": (128, 128), "latent": 8, "batch_size": 64, "steps": 6000}),
        (["--data", "mnist"], {"likelihood": "bernoulli", "binarization": "dynamic", "hidden": (200, 200), "latent": 50,
         "batch_size": 100, "steps": 180_000, "learning_rate": 3e-3}),
        (["--data", "fashion"], {"likelihood": "gaussian-learned", "binarization": "none", "steps": 60_000, "learning_rate": 1e-3}),
        (["--data", "mnist", "--likelihood", "gaussian"], {"binarization": "none", "latent": 50}),
        (["--likelihood", "bernoulli"], {"binarization": "dynamic", "latent": 8}),
        (["--likelihood", "bernoulli", "--binarization", "static"], {"binarization": "static"}),
        (["--conv"], {"conv": True, "hidden": ()}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data_and_the_likelihood(words, expected):
    found = lessons.read_command_line(loaded("vae")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected
    exact = found.data == "mnist" and not found.conv
    assert found.run.evaluation_k == (5000 if exact else 100)


@pytest.mark.slow
def test_all_pictures_are_drawn_of_a_plane_and_an_autoencoder_stands_beside_it(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae", tmp_path, *SHORT, "--latent", "2", "--format", "svg")
    names = (
        "arithmetic codes inpainting interpolations latents manifold nearest new-codes reconstructions samples-by-epoch"
    )
    assert {path.stem for path in tmp_path.glob("*.svg")} == {*names.split(), "training", "traversal"}
    assert set(figures["latent_space"]) == {"autoencoder", "VAE"}
    again = run_here(monkeypatch, "vae", tmp_path, "--evaluate", tmp_path, "--evaluation-k", "5", "--no-plots")
    assert without_time(again) == without_time(figures)


@pytest.mark.slow
def test_a_classifier_measures_the_frechet_distance(finished, tmp_path, monkeypatch):
    save_classifier(tmp_path / "extractor.safetensors", ConvClassifier(size=(8, 8), features=4, rng=Generator(0)))
    before = figures_in(finished)
    options = ["--extractor", tmp_path / "extractor.safetensors", "--evaluation-k", "5", "--no-plots"]
    after = run_here(monkeypatch, "vae", finished, "--evaluate", finished, *options)
    (finished / "metrics.json").write_text(json.dumps(before))
    frechet = after.pop("frechet")
    assert (frechet["samples"], frechet["extractor"]) == (179, "extractor.safetensors")
    assert frechet["value"] > frechet["real_against_real"] > 0
    assert without_time(after) == without_time(before)  # evaluated again, from the checkpoint


@pytest.mark.slow
def test_samples_are_drawn_from_a_finished_run(finished, monkeypatch):
    before = {path: path.read_bytes() for path in finished.iterdir()}
    run_here(monkeypatch, "vae", finished, "--sample", "7")
    with np.load(finished / "samples.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == {
            "z": (7, 3), "means": (7, 8, 8, 1), "samples": (7, 8, 8, 1),
        }  # fmt: skip
        assert set(np.unique(arrays["samples"])) == {0, 1}
        assert 0 < arrays["means"].min() < arrays["means"].max() < 1
    for name in ("samples.npz", "samples.png"):
        (finished / name).unlink()
    assert {path: path.read_bytes() for path in finished.iterdir()} == before


# --------------------------------------------------------------------------------------------- broken off, resumed, refused


@pytest.mark.slow
def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(finished, tmp_path, monkeypatch):
    options = [*SHORT, "--likelihood", "bernoulli", "--no-plots"]
    words = interrupted(monkeypatch, "vae", tmp_path, *options, where=(VAE, "loss"), after=25)  # in the second epoch
    assert re.search(r"stopped after 25 of 30 steps; .*; the same command with --resume goes on from there", words)
    assert "go on with it (--resume)" in ended(monkeypatch, "vae", *options, "--out", tmp_path)
    figures = run(monkeypatch, tmp_path, "--likelihood", "bernoulli", "--resume")
    assert without_time(figures) == without_time(figures_in(finished))
    one, other = (entries(folder / "checkpoint.safetensors") for folder in (finished, tmp_path))
    assert one == other


@pytest.mark.slow
def test_an_autoencoder_beside_it_is_resumed_too(tmp_path, monkeypatch):
    options = ["--latent", "2"]
    expected = run(monkeypatch, tmp_path / "whole", *options)
    step = (Autoencoder, "loss")
    words = interrupted(monkeypatch, "vae", tmp_path / "part", *SHORT, "--no-plots", *options, where=step, after=7)
    assert "autoencoder.safetensors" in words
    assert without_time(run(monkeypatch, tmp_path / "part", *options, "--resume")) == without_time(expected)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_with_its_name_and_step(tmp_path, monkeypatch):
    loss, calls = VAE.loss, []

    def loss_that_diverges(self, batch, **keywords):
        calls.append(batch)
        return loss(self, batch * float("nan") if len(calls) == 13 else batch, **keywords)

    monkeypatch.setattr(VAE, "loss", loss_that_diverges)
    words = ended(monkeypatch, "vae", *SHORT, "--no-plots", "--out", tmp_path)
    assert re.search(r"error: VAE, digits: log_likelihood is nan at step 12; lower the learning rate", words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--likelihood", "gaussian", "--binarization", "static"], "--binarization makes bits"),
        (["--likelihood", "bernoulli", "--binarization", "none"], "--binarization makes bits"),
        (["--k", "5", "--beta", "2"], "--k above 1 has no KL term of its own"),
        (["--k", "0"], "--k: 0 must be at least 1"),
        (["--conv", "--hidden", "10"], "--hidden is about fully connected layers"),
        (["--likelihood", "poisson"], "invalid choice 'poisson'"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "vae", *options)


@pytest.mark.slow
def test_what_cannot_be_read_ends_with_a_sentence(finished, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def refused(*options):
        return ended(monkeypatch, "vae", *options, "--out", out)

    assert "there is no file" in refused("--extractor", tmp_path / "none")
    save_classifier(tmp_path / "other", ConvClassifier(size=(28, 28), features=4, rng=Generator(0)))
    words = refused("--extractor", tmp_path / "other")
    assert "expects images of size (28, 28, 1), but the model's are (8, 8, 1)" in words
    assert "the digits are part of the package" in refused("--data-dir", tmp_path)
    assert not out.exists()
    words = ended(monkeypatch, "vae", "--likelihood", "bernoulli", "--hidden", "16", "--latent", "4", "--out", finished)
    assert "latent: 3 there, 4 now" in words


# ------------------------------------------------------------------------------------------------------------- how well it does


@pytest.mark.slow
def test_the_default_run_learns_the_digits(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae", tmp_path, "--no-plots")
    assert figures["log_likelihood"] > 35
    assert figures["active_units"] == 8
    training, test = split(load_digits(), seed=0)
    away = np.square(test.unit() - training.unit().mean(axis=0)).sum(axis=(1, 2, 3)).mean()
    assert figures["squared_error"] < 0.25 * away
