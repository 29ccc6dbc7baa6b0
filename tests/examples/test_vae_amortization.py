"""With and without an encoder: the figures are those of the models, two models trained together are two trained alone, runs resumed."""

import runpy
import signal
import sys

import numpy as np
import pytest

from minigen.data import Batches, binarize, load_images
from minigen.models import mlp_vae
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, fit_likelihood, read_state

from .running import FOLDER, figures_in, run_alone, run_here, without_time

SIZES = ["--images", "120", "--held-out", "12", "--hidden", "8", "--latent", "2", "--batch-size", "20"]
SHORT = [*SIZES, "--steps", "20", "--fit-steps", "5", "--evaluation-k", "3"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "vae_amortization", out, *SHORT, "--no-plots", *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end before its time; return its last words."""
    monkeypatch.setattr(sys, "argv", ["vae_amortization.py", *SHORT, "--no-plots", *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / "vae_amortization.py"), run_name="__main__")
    assert isinstance(ended.value.code, str)
    return ended.value.code


def test_a_run_and_what_can_be_done_with_it_later(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "vae_amortization", tmp_path, *SHORT)
    pictures = {"training.png", "gaps.png", "reconstructions.png"}
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.safetensors", "metrics.json", *pictures}
    assert figures["parameters"] == {
        "encoder": 65 * 8 + 9 * 4,
        "table": 120 * 4,
        "decoder": 3 * 8 + 9 * 64,
    }
    for name, found in figures["inference"].items():
        gap = found["log_likelihood"] - found["fitted_elbo"]
        assert found["approximation_gap"] == pytest.approx(gap)
        if name == "table, held-out images":  # of new images a table says nothing
            assert found["elbo"] is None
            assert "amortization_gap" not in found
        else:
            assert found["amortization_gap"] == pytest.approx(found["fitted_elbo"] - found["elbo"])

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "metrics.json").unlink()
    options = ["--evaluate", str(tmp_path), "--fit-steps", "5", "--evaluation-k", "3", "--no-plots"]
    again = run_here(monkeypatch, "vae_amortization", tmp_path, *options)
    assert without_time(again) == without_time(figures)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before["checkpoint.safetensors"]

    monkeypatch.setattr(sys, "argv", ["vae_amortization.py", "--sample", "7", "--out", str(tmp_path)])
    runpy.run_path(str(FOLDER / "vae_amortization.py"), run_name="__main__")
    with np.load(tmp_path / "samples.npz") as drawn:
        assert {name: drawn[name].shape for name in drawn} == {"encoder": (7, 8, 8, 1), "table": (7, 8, 8, 1)}
    assert (tmp_path / "samples.png").is_file()
    assert figures_in(tmp_path) == again


def test_each_model_is_trained_as_if_it_were_alone(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, "--steps", "1")
    found = read_state(tmp_path / "checkpoint.safetensors")
    x = binarize(load_images("digits")[0].unit()[:120], protocol="static", key=0)
    rng = Generator(0)
    vae = mlp_vae(size=(8, 8, 1), hidden=(8,), latent=2, rng=rng)
    rng.normal((120, 4))  # the table's rows, before they are set to 0
    batches = (images for images, _ in Batches((x, np.arange(120)), batch_size=20, rng=Generator(2**32)))
    optimizer = Adam(vae, learning_rate=cosine(1e-2, steps=1))
    fit_likelihood(vae, batches, optimizer, Run(steps=1, progress=False), rng=rng)
    for name, array in vae.state().items():
        np.testing.assert_allclose(found[f"models.amortized.{name}"], array, rtol=1e-4, atol=1e-6, err_msg=name)
    rows = found["models.free.encoder.weight"]
    assert (abs(rows).max(axis=1) > 0).sum() == 20  # the first batch's


def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    broken, normal, calls = tmp_path / "broken", Generator.normal, []

    def normal_with_ctrl_c(self, *arguments, **keywords):
        calls.append(arguments)
        if len(calls) == 30:
            signal.raise_signal(signal.SIGINT)
        return normal(self, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Generator, "normal", normal_with_ctrl_c)
        words = refused(patch, broken)
    assert "of 20 steps; their state is in" in words
    assert "the same command with --resume goes on from there" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    one, other = (read_state(tmp_path / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
    for name in one.keys() - {"run.seconds"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_more_images_than_there_are_and_other_runs_are_refused(tmp_path, monkeypatch):
    assert "--images 1439: there are 1438 images" in refused(monkeypatch, tmp_path, "--images", "1439")
    assert "--held-out 121: there are 120 images" in refused(monkeypatch, tmp_path, "--held-out", "121")
    assert "does not exist: name the folder" in refused(monkeypatch, tmp_path, "--evaluate", str(tmp_path / "typo"))
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
