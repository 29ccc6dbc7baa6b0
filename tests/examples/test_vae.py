"""The VAE's example: its figures and pictures, runs that are broken off, resumed, evaluated again and sampled from; bad input."""

import json
import re
import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import load_digits, split
from minigen.models import VAE, ConvClassifier
from minigen.random import Generator
from minigen.training import read_state, save_classifier

from .running import FOLDER, figures_in, run_here, without_time

SHORT = ["--steps", "30", "--hidden", "16", "--latent", "3", "--evaluation-k", "5"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "vae", out, *SHORT, "--no-plots", *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return its last words."""
    monkeypatch.setattr(sys, "argv", ["vae.py", *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "vae.py"), run_name="__main__")
    return ended.value.code


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a short run in bits, which no test changes."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        run(patch, out, "--likelihood", "bernoulli")
    return out


# ------------------------------------------------------------------------------------------------------------- what it leaves


def test_the_figures_fit_together(finished):
    figures = figures_in(finished)
    assert figures["binarization"] == "dynamic"
    assert figures["elbo"] == pytest.approx(figures["reconstruction_term"] - figures["divergence"], rel=1e-5)
    assert sum(figures["unit_divergences"]) == pytest.approx(figures["divergence"], rel=1e-4)
    assert figures["elbo"] < figures["log_likelihood"] < 0  # of bits; L_5 is above the ELBO
    assert figures["bits_per_dimension"] == pytest.approx(-figures["log_likelihood"] / 64 / np.log(2))
    assert figures["active_units"] == sum(activity > 0.01 for activity in figures["activity"])
    assert figures["parameters"] == (64 + 1) * 16 + (16 + 1) * 6 + (3 + 1) * 16 + (16 + 1) * 64
    assert (figures["test_images"], figures["evaluation_k"], figures["steps"]) == (359, 5, 30)


def test_grey_pixels_are_given_noise_between_their_levels(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--k", "3")
    assert (figures["likelihood"], figures["binarization"]) == ("gaussian-learned", None)
    # A density of pixels in [0, 1] is 17 times as high as one of pixels in [0, 17].
    bits = np.log2(17) - figures["log_likelihood"] / 64 / np.log(2)
    assert figures["bits_per_dimension"] == pytest.approx(bits)


@pytest.mark.slow
def test_all_pictures_are_drawn_of_a_plane_and_an_autoencoder_stands_beside_it(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae", tmp_path, *SHORT, "--latent", "2", "--format", "svg")
    names = (
        "arithmetic codes inpainting interpolations latents manifold nearest new-codes reconstructions samples-by-epoch"
    )
    assert {path.stem for path in tmp_path.glob("*.svg")} == {*names.split(), "training", "traversal"}
    assert set(figures["latent_space"]) == {"autoencoder", "VAE"}
    again = run_here(monkeypatch, "vae", tmp_path, "--evaluate", str(tmp_path), "--evaluation-k", "5", "--no-plots")
    assert without_time(again) == without_time(figures)


def test_a_classifier_measures_the_frechet_distance(finished, tmp_path, monkeypatch):
    save_classifier(tmp_path / "extractor.safetensors", ConvClassifier(size=(8, 8), features=4, rng=Generator(0)))
    before = figures_in(finished)
    options = ["--extractor", str(tmp_path / "extractor.safetensors"), "--evaluation-k", "5", "--no-plots"]
    monkeypatch.setattr(sys, "argv", ["vae.py", "--evaluate", str(finished), *options])
    runpy.run_path(str(FOLDER / "vae.py"), run_name="__main__")
    after = figures_in(finished)
    (finished / "metrics.json").write_text(json.dumps(before))
    frechet = after.pop("frechet")
    assert (frechet["samples"], frechet["extractor"]) == (179, "extractor.safetensors")
    assert frechet["value"] > frechet["real_against_real"] > 0
    assert without_time(after) == without_time(before)  # evaluated again, from the checkpoint


def test_samples_are_drawn_from_a_finished_run(finished, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["vae.py", "--sample", "7", "--out", str(finished)])
    before = {path: path.read_bytes() for path in finished.iterdir()}
    runpy.run_path(str(FOLDER / "vae.py"), run_name="__main__")
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


def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(finished, tmp_path, monkeypatch):
    loss, calls = VAE.loss, []

    def loss_with_ctrl_c(self, batch, **keywords):
        calls.append(batch)
        if len(calls) == 25:  # in the second epoch
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, **keywords)

    options = [*SHORT, "--likelihood", "bernoulli", "--no-plots"]
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "loss", loss_with_ctrl_c)
        words = refused(patch, tmp_path, *options)
    assert re.search(r"stopped after 25 of 30 steps; .*; the same command with --resume goes on from there", words)
    assert "go on with it (--resume)" in refused(monkeypatch, tmp_path, *options)
    figures = run(monkeypatch, tmp_path, "--likelihood", "bernoulli", "--resume")
    assert without_time(figures) == without_time(figures_in(finished))
    one, other = (read_state(folder / "checkpoint.safetensors") for folder in (finished, tmp_path))
    for name in (one | other).keys() - {"run.seconds"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert one["snapshots.taken"] == 2  # before the first step, and after an epoch


def test_a_loss_that_is_not_finite_ends_the_run_with_its_name_and_step(tmp_path, monkeypatch):
    loss, calls = VAE.loss, []

    def loss_that_diverges(self, batch, **keywords):
        calls.append(batch)
        return loss(self, batch * float("nan") if len(calls) == 13 else batch, **keywords)

    monkeypatch.setattr(VAE, "loss", loss_that_diverges)
    words = refused(monkeypatch, tmp_path, *SHORT, "--no-plots")
    assert re.search(r"error: VAE, digits: log_likelihood is nan at step 12; lower the learning rate", words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--likelihood", "gaussian", "--binarization", "static"], "--binarization makes bits"),
        (["--k", "5", "--beta", "2"], "--k above 1 has no KL term of its own"),
        (["--k", "0"], "0 is less than 1"),
        (["--conv", "--hidden", "10"], "--hidden is about fully connected layers"),
        (["--likelihood", "poisson"], "invalid choice: 'poisson'"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert refused(monkeypatch, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_ends_with_a_sentence(finished, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert "checkpoint.safetensors does not exist" in refused(monkeypatch, out, "--evaluate", str(tmp_path))
    assert "there is no file" in refused(monkeypatch, out, "--extractor", str(tmp_path / "none"))
    save_classifier(tmp_path / "other", ConvClassifier(size=(28, 28), features=4, rng=Generator(0)))
    words = refused(monkeypatch, out, "--extractor", str(tmp_path / "other"))
    assert "is about images (28, 28, 1), the model about (8, 8, 1)" in words
    assert "the digits are part of the package" in refused(monkeypatch, out, "--data-dir", str(tmp_path))
    assert "latent: 3 there, 4 now" in refused(
        monkeypatch, finished, "--likelihood", "bernoulli", "--hidden", "16", "--latent", "4"
    )
    assert not out.exists()


# ------------------------------------------------------------------------------------------------------------- how well it does


@pytest.mark.slow
def test_the_default_run_learns_the_digits(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae", tmp_path, "--no-plots")
    assert figures["log_likelihood"] > 35
    assert figures["active_units"] == 8
    training, test = split(load_digits(), seed=0)
    away = np.square(test.unit() - training.unit().mean(axis=0)).sum(axis=(1, 2, 3)).mean()
    assert figures["squared_error"] < 0.25 * away
