"""With and without an encoder: the figures are those of the models, two models trained together are two trained alone, runs resumed."""

import re

import numpy as np
import pytest

from minigen import lessons
from minigen.data import Batches, binarize, load_images
from minigen.models import Together, mlp_vae
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, fit_likelihood, read_state

from .running import (
    ended,
    entries,
    figures_in,
    files_in,
    interrupted,
    loaded,
    refusal,
    run_alone,
    run_here,
    without_time,
)

SIZES = ["--images", "120", "--held-out", "12", "--hidden", "8", "--latent", "2", "--batch-size", "20"]
SHORT = [*SIZES, "--steps", "20", "--fit-steps", "5", "--evaluation-k", "3"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "vae_amortization", out, *SHORT, "--no-plots", *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end with a sentence; return that."""
    words = ended(monkeypatch, "vae_amortization", *SHORT, "--no-plots", *options, "--out", out)
    assert isinstance(words, str)
    return words


def test_each_model_is_trained_as_if_it_were_alone_and_the_gaps_fit_together(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--steps", "1")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}
    assert figures["parameters"] == {"encoder": 65 * 8 + 9 * 4, "table": 120 * 4, "decoder": 3 * 8 + 9 * 64}
    assert (figures["fit_steps"], figures["evaluation_k"]) == (5, 3)
    assert set(figures["inference"]) == {
        f"{how}, {which} images" for how in ("encoder", "table") for which in ("training", "held-out")
    }
    for name, found in figures["inference"].items():
        assert found["approximation_gap"] == found["log_likelihood"] - found["fitted_elbo"]
        if name == "table, held-out images":  # a table says nothing about new images
            assert found["elbo"] is None
            assert "amortization_gap" not in found
        else:
            assert found["amortization_gap"] == found["fitted_elbo"] - found["elbo"]

    checkpoint = read_state(tmp_path / "checkpoint.safetensors")
    x = binarize(load_images("digits")[0].unit()[:120], protocol="static", key=0)
    rng = Generator(0)
    vae = mlp_vae(size=(8, 8, 1), hidden=(8,), latent=2, rng=rng)
    rng.normal((120, 4))  # the table's rows, before they are set to 0
    batches = (images for images, _ in Batches((x, np.arange(120)), batch_size=20, rng=Generator(2**32)))
    optimizer = Adam(vae, learning_rate=cosine(1e-2, steps=1))
    fit_likelihood(vae, batches, optimizer, Run(steps=1, progress=False), rng=rng)
    for name, array in vae.state().items():
        found = checkpoint[f"models.models.encoder.{name}"]
        np.testing.assert_allclose(found, array, rtol=1e-4, atol=1e-6, err_msg=name)
    rows = checkpoint["models.models.table.encoder.weight"]
    assert (abs(rows).max(axis=1) > 0).sum() == 20  # the first batch's


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"images": 1438, "held_out": 359, "hidden": (100, 100), "latent": 8, "steps": 5000, "learning_rate": 1e-2}),
        (["--data", "mnist"], {"images": 10_000, "held_out": 500, "hidden": (200, 200), "latent": 20, "steps": 20_000,
         "learning_rate": 3e-3}),
        (["--data", "fashion"], {"images": 10_000, "held_out": 500, "hidden": (200, 200), "latent": 20, "steps": 20_000,
         "learning_rate": 3e-3}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded("vae_amortization")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.batch_size, found.full_covariance) == (100, False)
    assert (found.run.fit_steps, found.run.evaluation_k) == (500, 1000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--images", "99"], "--images: 99 must be at least 100"),
        (["--held-out", "11"], "--held-out: 11 must be at least 12"),
        (["--fit-steps", "0"], "--fit-steps: 0 must be at least 1"),
    ],
)
def test_too_few_images_or_steps_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "vae_amortization", *options)


@pytest.mark.slow
def test_a_run_and_what_can_be_done_with_it_later(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae_amortization", tmp_path, *SHORT)
    pictures = {"training.png", "gaps.png", "reconstructions.png"}
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", *pictures}

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "metrics.json").unlink()
    options = ["--evaluate", str(tmp_path), "--fit-steps", "5", "--evaluation-k", "3", "--no-plots"]
    again = run_here(monkeypatch, "vae_amortization", tmp_path, *options)
    assert without_time(again) == without_time(figures)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before["checkpoint.safetensors"]

    run_here(monkeypatch, "vae_amortization", tmp_path, "--sample", "7")
    with np.load(tmp_path / "samples.npz") as drawn:
        assert {name: drawn[name].shape for name in drawn} == {"encoder": (7, 8, 8, 1), "table": (7, 8, 8, 1)}
    assert (tmp_path / "samples.png").is_file()
    assert figures_in(tmp_path) == again


@pytest.mark.slow
def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    broken, step = tmp_path / "broken", (Together, "loss")
    words = interrupted(monkeypatch, "vae_amortization", broken, *SHORT, "--no-plots", where=step, after=9)
    assert re.search(
        r"stopped after 9 of 20 steps; their state is in .*; the same command with --resume goes on from there", words
    )
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    one, other = (entries(tmp_path / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
    assert one == other


@pytest.mark.slow
def test_more_images_than_there_are_and_other_runs_are_refused(tmp_path, monkeypatch):
    assert "--images 1439: there are 1438 images" in refused(monkeypatch, tmp_path, "--images", "1439")
    assert "--held-out 121: there are 120 images" in refused(monkeypatch, tmp_path, "--held-out", "121")
    words = refused(monkeypatch, tmp_path, "--evaluate", str(tmp_path / "typo"))
    assert re.search(r"there is no run in .*typo: name the folder of one", words)
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.slow
def test_the_encoder_costs_more_on_new_images_and_a_full_covariance_closes_the_other_gap(tmp_path):
    (_, diagonal), (_, full) = (
        run_alone("vae_amortization", tmp_path / name, "--no-plots", *options)
        for name, options in (("diagonal", []), ("full", ["--full-covariance"]))
    )
    for figures in (diagonal, full):
        new, seen = (figures["inference"][f"encoder, {which} images"] for which in ("held-out", "training"))
        assert new["amortization_gap"] > 1.5 * seen["amortization_gap"] > 0
        assert min(new["approximation_gap"], seen["approximation_gap"]) > 0.05
        assert 10 < figures["steps_to_equal_the_encoder"] < 100
    gaps = [figures["inference"]["encoder, held-out images"]["approximation_gap"] for figures in (full, diagonal)]
    assert gaps[0] < 0.8 * gaps[1]
