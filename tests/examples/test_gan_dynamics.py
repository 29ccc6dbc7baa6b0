"""The dynamics of games: exact rates in the bilinear one; GANs that record what they cover, resume where they stopped, find the modes."""

import json
import math
import re

import numpy as np
import pytest

from minigen.data import grid, ring
from minigen.lessons.plane import EVALUATED
from minigen.metrics import mode_coverage
from minigen.random import Generator
from minigen.training import read_state

from .running import ended, files_in, loaded, refusal, run_here, without_time

METHODS = ("gan", "pacgan2", "wgan-gp")
SHORT = ["--steps", "3", "--no-plots"]
ONE = ["--data", "ring", "--methods", "gan"]


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "gan_dynamics", out, *SHORT, *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end with a sentence; return that."""
    words = ended(monkeypatch, "gan_dynamics", *SHORT, *options, "--out", out)
    assert isinstance(words, str)
    return words


def test_a_short_run_has_the_exact_rates_and_counts_what_each_method_covers(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, *ONE)
    expected = {
        "simultaneous": math.sqrt(1.04), "alternating": 1.0, "extragradient": math.sqrt(1 - 0.04 + 0.0016)
    }  # fmt: skip
    for way, growth in expected.items():
        assert figures["bilinear"][way]["exact"] == pytest.approx(growth, rel=1e-15)
        assert figures["bilinear"][way]["growth"] == pytest.approx(growth, rel=1e-13)
    (found,) = figures["coverage"]["ring"].values()
    assert 0 <= found["modes"][0] <= 8
    assert 0 <= found["high_quality"][0] <= 1
    assert files_in(tmp_path) == {"metrics.json", "ring-gan-0.safetensors"}


@pytest.mark.slow
def test_every_method_on_every_data_set_for_every_seed(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--seeds", "2", "--seed", "3")
    assert files_in(tmp_path) == {"metrics.json"} | {
        f"{data}-{method}-{seed}.safetensors" for data in ("ring", "grid") for method in METHODS for seed in (3, 4)
    }
    assert (figures["seed"], figures["seeds"], figures["steps"]) == (3, 2, 3)
    for data, modes in (("ring", 8), ("grid", 25)):
        assert list(figures["coverage"][data]) == list(METHODS)
        for found in figures["coverage"][data].values():
            assert len(found["modes"]) == len(found["high_quality"]) == 2
            assert all(0 <= count <= modes for count in found["modes"])
            assert all(0 <= share <= 1 for share in found["high_quality"])


@pytest.mark.slow
def test_the_discriminator_of_a_pack_sees_two_examples_and_the_critic_is_penalized(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, "--data", "ring")
    states = {method: read_state(tmp_path / f"ring-{method}-0.safetensors") for method in METHODS}
    inputs = {"gan": 2, "pacgan2": 4, "wgan-gp": 2}
    for method, state in states.items():
        weights = [array for name, array in state.items() if re.fullmatch(r"model\.discriminator.*weight", name)]
        assert weights[0].shape == (inputs[method], 64)
        assert ("gradient_penalty" in state["run.rows"][-1]) == (method == "wgan-gp")
        assert state["discriminator_optimizer.steps"] == state["generator_optimizer.steps"] == 3
    generators = [{name for name in state if name.startswith("model.generator")} for state in states.values()]
    assert generators[0] == generators[1] == generators[2]


@pytest.mark.slow
@pytest.mark.parametrize("density", [ring(), grid()], ids=lambda density: density.name)
def test_what_is_recorded_is_the_coverage_of_the_averaged_generator(density, tmp_path, monkeypatch):
    run_here(
        monkeypatch, "gan_dynamics", tmp_path, "--steps", "60", "--no-plots", "--data", density.name, "--methods", "gan"
    )
    state = read_state(tmp_path / f"{density.name}-gan-0.safetensors")
    weights = [
        array for name, array in state.items() if name.startswith("average.") and name.endswith("weight.average")
    ]
    biases = [array for name, array in state.items() if name.startswith("average.") and name.endswith("bias.average")]
    x = Generator(loaded("gan_dynamics")["Game"].evaluation_seed).normal((EVALUATED, 2))
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = (x if layer == 0 else np.maximum(x, 0)) @ weight + bias
    x = x * density.standard_deviation / 2 + density.mean
    last = state["run.rows"][-1]
    assert last["step"] == 59
    np.testing.assert_allclose(np.ravel(x[:500]), state["frames.rows"][-1]["samples"], rtol=2e-3, atol=1e-4)
    found = mode_coverage(x, density.centres, density.scale)
    assert last["high_quality"] == pytest.approx(found.high_quality, abs=2 / 2500)  # a sample may lie at the edge
    assert abs(last["modes"] - found.modes) <= 1


@pytest.mark.slow
def test_pictures_in_another_format(tmp_path, monkeypatch):
    run_here(
        monkeypatch, "gan_dynamics", tmp_path, "--steps", "3", "--format", "svg", "--data", "grid", "--methods", "wgan-gp", "gan"
    )  # fmt: skip
    pictures = {path.name for path in tmp_path.glob("*.svg")}
    assert pictures == {"bilinear.svg", "grid-samples.svg", "grid-training.svg"}
    assert all("<svg" in (tmp_path / name).read_text() for name in pictures)


@pytest.mark.slow
def test_resuming_goes_on_begins_what_is_not_there_and_changes_nothing(tmp_path, monkeypatch):
    whole = run(monkeypatch, tmp_path / "whole", "--data", "ring", "--methods", "gan", "wgan-gp")
    run(monkeypatch, tmp_path / "part", *ONE)
    part = tmp_path / "part" / "ring-gan-0.safetensors"
    seconds = read_state(part)["run.seconds"]
    resumed = run(monkeypatch, tmp_path / "part", "--data", "ring", "--methods", "gan", "wgan-gp", "--resume")
    assert without_time(resumed) == without_time(whole)
    assert read_state(part)["run.seconds"] == seconds  # it was finished and took no step
    again = run(monkeypatch, tmp_path / "part", "--data", "ring", "--methods", "gan", "wgan-gp", "--resume")
    assert again == resumed


@pytest.mark.slow
def test_a_run_with_more_steps_is_drawn_beside_one_that_began_with_as_many(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, *ONE)
    run_here(
        monkeypatch, "gan_dynamics", tmp_path, "--steps", "90", "--data", "ring", "--methods", "gan", "pacgan2", "--resume"
    )  # fmt: skip
    assert (tmp_path / "ring-training.png").is_file()
    rows = [read_state(tmp_path / f"ring-{method}-0.safetensors")["run.rows"] for method in ("gan", "pacgan2")]
    assert len(rows[0]) != len(rows[1])
    assert rows[0][-1]["step"] == rows[1][-1]["step"] == 89


@pytest.mark.slow
def test_another_run_in_the_folder_is_not_overwritten_by_mistake(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, *ONE)
    before = json.loads((tmp_path / "metrics.json").read_text())
    text = refused(monkeypatch, tmp_path, *ONE, "--steps", "4")
    assert "steps: 3 there, 4 now" in text
    assert json.loads((tmp_path / "metrics.json").read_text()) == before
    assert run(monkeypatch, tmp_path, *ONE, "--steps", "4", "--overwrite")["steps"] == 4


@pytest.mark.slow
def test_the_critic_with_a_gradient_penalty_finds_all_modes(tmp_path, monkeypatch):
    coverage = run_here(monkeypatch, "gan_dynamics", tmp_path, "--methods", "wgan-gp", "--seeds", "2")["coverage"]
    assert np.mean(coverage["ring"]["wgan-gp"]["modes"]) >= 7.5
    assert np.mean(coverage["grid"]["wgan-gp"]["modes"]) >= 23
    assert min(coverage["ring"]["wgan-gp"]["high_quality"] + coverage["grid"]["wgan-gp"]["high_quality"]) > 0.85


@pytest.mark.slow
def test_the_games_of_a_folder_are_measured_again(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--data", "ring", "--methods", "gan", "wgan-gp", "--seed", "3", "--seeds", "2")
    again = run_here(monkeypatch, "gan_dynamics", tmp_path, "--evaluate", tmp_path)
    assert without_time(again) == without_time(figures)
    (tmp_path / "ring-gan-4.safetensors").unlink()
    words = ended(monkeypatch, "gan_dynamics", "--evaluate", tmp_path)
    assert "ring-gan-4.safetensors does not exist" in words


@pytest.mark.slow
def test_a_folder_of_another_program_is_not_evaluated(tmp_path, monkeypatch):
    run_here(monkeypatch, "gaussian_mle", tmp_path, "--steps", "1", "--no-plots")
    words = ended(monkeypatch, "gan_dynamics", "--evaluate", tmp_path)
    assert words.startswith(f"error: {tmp_path} belongs to another program")


@pytest.mark.parametrize("methods", [[], ["gan", "gan"]])
def test_methods_are_named_once_and_at_all(methods, monkeypatch, capsys):
    assert "--methods: name some of gan, pacgan2, wgan-gp" in refusal(
        capsys, monkeypatch, "gan_dynamics", "--methods", *methods
    )
