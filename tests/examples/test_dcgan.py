"""DCGAN's lesson: figures that fit together, pictures, sums of z on faces, copies of few images, runs that are broken off, bad input."""

import numpy as np
import pytest

from minigen import lessons
from minigen.models import GAN
from minigen.training import read_state

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_here, without_time

SHORT = ["--steps", "4", "--width", "4", "--latent", "8"]
FIGURES = {"frechet", "kernel_distance", "precision", "recall", "density", "coverage"}


@pytest.fixture(autouse=True)
def _short_extractor(monkeypatch):
    monkeypatch.setattr(lessons.gans, "EXTRACTOR_STEPS", 4)


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "dcgan", out, *SHORT, "--no-plots", *options)


def test_the_figures_of_a_short_run_stand_beside_those_of_real_images(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path)
    assert files_in(tmp_path) == {"checkpoint.safetensors", "generator.safetensors", "metrics.json"}
    for name in FIGURES:
        assert np.isfinite([figures[name], figures[f"{name}_real"]]).all()
    assert figures["frechet"] > figures["frechet_real"] > 0
    assert figures["coverage_real"] == pytest.approx(0.875, abs=0.06)  # 1 - 1/2^3, nearly, for equal distributions
    assert figures["density_real"] == pytest.approx(1, abs=0.1)
    assert figures["judged_images"] == 898
    assert 0 <= figures["copying_auroc"] <= 1
    assert figures["extractor"] == "a ConvClassifier, 4 steps on these images"
    # z by 2 x 2 to 8 maps, by 4 x 4 to 4 and to 1 with a bias; two normalizations.
    assert figures["parameters"] == 8 * 4 * 8 + 8 * 16 * 4 + 4 * 16 * 1 + 1 + 2 * (8 + 4)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"data": "digits", "loss": "nonsaturating", "critic_steps": 1, "beta1": 0.5, "two_scales": 1.0, "batch_size": 64}),
        (["--loss", "hinge"], {"critic_steps": 1, "beta1": 0.0, "two_scales": 4.0}),
        (["--loss", "wasserstein-gp"], {"critic_steps": 5, "beta1": 0.0}),
        (["--memorize", "50"], {"memorize": 50, "batch_size": 50}),
        (["--memorize", "500"], {"batch_size": 64}),
    ],
)  # fmt: skip
def test_defaults_depend_on_loss_and_data(words, expected):
    found = lessons.read_command_line(loaded("dcgan")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "wasserstein-gp", "least-squares"])
def test_other_losses_with_pictures(loss, tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "dcgan", tmp_path, *SHORT, "--loss", loss)
    assert figures["loss"] == loss
    assert files_in(tmp_path) == {
        "checkpoint.safetensors", "generator.safetensors", "metrics.json", "training.png", "training.gif", "samples.png", "nearest.png",
        "interpolations.png", "filters.png", "game.png",
    }  # fmt: skip


@pytest.mark.slow
def test_sums_of_z_on_faces(tmp_path, monkeypatch):
    monkeypatch.setattr(lessons.gans, "JUDGED", 50)
    figures = run_here(monkeypatch, "dcgan", tmp_path, *SHORT, "--data", "faces", "--no-plots")
    assert figures["arithmetic_right"] is None or 0 <= figures["arithmetic_right"] <= 1


@pytest.mark.slow
def test_smoothing_lazy_r1_and_the_pool_together(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, "--smoothing", "0.9", "--gamma", "0.1", "--r1-every", "2", "--pool", "100")
    state = read_state(tmp_path / "checkpoint.safetensors")
    assert state["model.discriminator.pool.count"] == 100
    assert ["r1" in row for row in state["run.rows"]] == [True, False] * 2
    assert state["discriminator_optimizer.steps"] == 4 + 2


@pytest.mark.slow
def test_few_images_are_learnt_from_alone_and_copies_are_told(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--memorize", "20")
    assert figures["memorize"] == 20
    assert figures["batch_size"] == 20
    assert read_state(tmp_path / "checkpoint.safetensors")["run.step"] == 4


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_can_be_measured_and_sampled_from(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = run(monkeypatch, whole)
    words = interrupted(monkeypatch, "dcgan", broken, *SHORT, "--no-plots", where=(GAN, "generator_loss"), after=2)
    assert "stopped after 2 of 4 steps" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    assert entries(whole / "checkpoint.safetensors") == entries(broken / "checkpoint.safetensors")

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, "dcgan", broken, "--evaluate", broken, "--no-plots")
    assert without_time(again) == without_time(expected)
    run_here(monkeypatch, "dcgan", broken, "--sample", "12")
    with np.load(broken / "samples.npz") as found:
        assert found["images"].shape == (12, 8, 8, 1)
        assert 0 <= found["images"].min() <= found["images"].max() <= 1
        assert found["z"].shape == (12, 8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "cats"], "invalid choice 'cats' for argument '--data'"),
        (["--critic-steps", "0"], "--critic-steps: 0 must be at least 1"),
        (["--average", "2"], "--average: 2.0 must be from 0 to 1"),
        (["--two-scales", "0"], "--two-scales: 0.0 must be above 0"),
        (["--memorize", "-1"], "--memorize: -1 must be at least 0"),
    ],
)
def test_bad_options_are_refused(options, words, capsys, monkeypatch):
    assert words in refusal(capsys, monkeypatch, "dcgan", *options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "emoji", "--data-dir", "nowhere"], "nowhere"),
        (["--data", "faces", "--data-dir", "nowhere"], "the faces are part of the package"),
        (["--batch-size", "2000"], "batch_size is 2000, expected 1 to 1438"),
        (["--extractor", "nowhere.safetensors"], "--extractor nowhere.safetensors"),
        (
            ["--loss", "hinge", "--smoothing", "0.9"],
            "label smoothing: the loss hinge compares its scores with no target",
        ),
        (["--smoothing", "0"], "label smoothing: the target of real examples is 0.0, expected a number in (0, 1]"),
    ],
)
def test_what_cannot_be_run_ends_with_a_sentence(options, words, tmp_path, monkeypatch):
    assert words in ended(monkeypatch, "dcgan", *SHORT, *options, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
