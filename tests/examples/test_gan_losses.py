"""The comparison of losses: one budget for all, the spread between seeds, folders that tell what they hold, bad input."""

import numpy as np
import pytest

from minigen import lessons
from minigen.losses import ADVERSARIAL
from minigen.training import read_state

from .running import ended, files_in, loaded, refusal, run_here, without_time

SHORT = ["--steps", "12", "--width", "4"]


@pytest.fixture(autouse=True)
def _short_extractor(monkeypatch):
    monkeypatch.setattr(lessons.gans, "EXTRACTOR_STEPS", 4)


def test_every_loss_has_the_same_budget_and_every_seed_a_figure(tmp_path, monkeypatch):
    options = ["--losses", "hinge", "wasserstein-gp", "--seeds", "2", "--seed", "3"]
    figures = run_here(monkeypatch, "gan_losses", tmp_path, *SHORT, *options, "--no-plots")
    names = {f"{loss}-{seed}.safetensors" for loss in ("hinge", "wasserstein-gp") for seed in (3, 4)}
    assert files_in(tmp_path) == {"metrics.json", *names}
    for loss, rounds, critic_steps in (("hinge", 6, 1), ("wasserstein-gp", 2, 5)):
        state = read_state(tmp_path / f"{loss}-3.safetensors")
        assert state["run.step"] == rounds
        assert state["discriminator_optimizer.steps"] == rounds * critic_steps
    assert {loss: len(values) for loss, values in figures["frechet"].items()} == {"hinge": 2, "wasserstein-gp": 2}
    pairs = np.array(list(figures["frechet"].values()))
    assert figures["spread_of_seeds"] == pytest.approx(np.sqrt(np.mean(pairs.var(axis=1, ddof=1))))
    again = run_here(monkeypatch, "gan_losses", tmp_path, "--evaluate", tmp_path, "--no-plots")
    assert without_time(again) == without_time(figures)


def test_the_spread_is_pooled_and_one_seed_has_none():
    spread = loaded("gan_losses")["spread_of_seeds"]
    assert spread({"a": [1.0, 3.0], "b": [5.0, 5.0]}) == pytest.approx(1.0)  # (2 + 0) / 2 degrees of freedom
    assert spread({"a": [1.0], "b": [2.0]}) is None


@pytest.mark.slow
def test_all_losses_with_pictures(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gan_losses", tmp_path, *SHORT, "--all", "--seeds", "1")
    assert set(figures["frechet"]) == set(ADVERSARIAL)
    assert figures["spread_of_seeds"] is None
    assert {"samples.png", "comparison.png"} < files_in(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--losses", "hinge", "hinge"], "--losses: name some of nonsaturating, minimax"),
        (["--losses", "hings"], "invalid choice 'hings'"),
        (["--seeds", "0"], "--seeds: 0 must be at least 1"),
    ],
)
def test_bad_options_are_refused(options, words, capsys, monkeypatch):
    assert words in refusal(capsys, monkeypatch, "gan_losses", *options)


def test_another_programs_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    words = ended(monkeypatch, "gan_losses", "--evaluate", tmp_path)
    assert "belongs to another program: it does not hold games with several losses" in words
